import { zlibSync } from "fflate";
import { describe, expect, it, vi } from "vitest";
import { isMigrationError, type ErrorCode, type MigrationError } from "../../src/errors.js";
import type { RamOptions } from "../../src/ram/options.js";
import type { RamBlockEntry } from "../../src/ram/page-codec.js";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { concat, Writer } from "../../src/stream/writer.js";
import {
  firstDifference,
  implementations,
  layouts,
  loadAll,
  loadContext,
  RamMachine,
  randomBytes,
  saveAll,
} from "./kit.js";

const PAGE = 4096;

/** A section body made of the records that `compose` writes, and EOS. */
function body(compose: (records: RamRecordWriter, writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  const records = new RamRecordWriter(writer);
  compose(records, writer);
  records.eos();
  return concat(writer.take());
}

const entry = (name: string, usedLength: number, rest: Partial<RamBlockEntry> = {}): RamBlockEntry => ({
  name,
  usedLength,
  pageSize: null,
  gpa: null,
  ...rest,
});

function failure(run: () => void): MigrationError | null {
  try {
    run();
  } catch (error) {
    if (isMigrationError(error)) return error;
    throw error;
  }
  return null;
}

function machine(options: Partial<RamOptions> = {}): RamMachine {
  const made = new RamMachine({ pageSize: PAGE, ...options }, { ram: new Uint8Array(8 * PAGE).fill(9) });
  made.blocks.addGlobal("tables", new Uint8Array(4 * PAGE), { resizable: true, usedLength: 2 * PAGE });
  made.blocks.addGlobal("m", new Uint8Array(2 * PAGE), { shared: true, gpa: 0x1000 });
  made.blocks.addGlobal("huge", new Uint8Array(4 * PAGE), { pageSize: 2 * PAGE });
  return made;
}

describe("RamHandler.loadState, block list", () => {
  it("resizable block, up to its maximum: takes the sender's length", () => {
    const target = machine();
    loadAll(
      target,
      body((records) => records.blockList([entry("tables", 4 * PAGE)])),
    );
    expect(target.block("tables").usedLength).toBe(4 * PAGE);
    loadAll(
      target,
      body((records) => records.blockList([entry("tables", PAGE)])),
    );
    expect(target.block("tables").usedLength).toBe(PAGE);
  });

  it("any order, blocks missing, no list, list sent again: accepted", () => {
    const list = body((records) => records.blockList([entry("m", 2 * PAGE), entry("ram", 8 * PAGE)]));
    loadAll(machine(), [list, list, body((records) => records.zero("ram", 0))]);
    loadAll(
      machine(),
      body((records) => records.zero("ram", 0)),
    );
  });

  const wrong: [string, (records: RamRecordWriter, writer: Writer) => void, ErrorCode, Partial<RamOptions>][] = [
    ["another length", (records) => records.blockList([entry("ram", 7 * PAGE)]), "BLOCK_SIZE", {}],
    ["longer than the maximum", (records) => records.blockList([entry("tables", 5 * PAGE)]), "BLOCK_SIZE", {}],
    ["unknown block", (records) => records.blockList([entry("bogus", PAGE)]), "BLOCK_UNKNOWN", {}],
    [
      "nameless block",
      (_, writer) => writer.bytes(Uint8Array.of(0, 0, 0, 0, 0, 0, 0x10, 4, 0, 0, 0, 0, 0, 0, 0, 0x10, 0)),
      "BLOCK_UNKNOWN",
      {},
    ],
    [
      "length above the total",
      (_, writer) => writer.bytes(Uint8Array.of(0, 0, 0, 0, 0, 0, 0x10, 4, 1, 0x61, 0, 0, 0, 0, 0, 0, 0x20, 0)),
      "BLOCK_SIZE",
      {},
    ],
    ["total above 2^53", (_, writer) => writer.u64(0x7fff_ffff_ffff_f004n), "BLOCK_SIZE", {}],
    [
      "another address of an ignored block",
      (records) => records.blockList([entry("m", 2 * PAGE, { gpa: 0n })]),
      "BLOCK_ADDRESS",
      { ignoreShared: true },
    ],
  ];
  it.each(wrong)("%s: RamError with the offset of the list", (_, compose, code, options) => {
    const error = failure(() => loadAll(machine(options), body(compose)));
    expect([error?.code, error?.offset]).toEqual([code, 0]);
  });

  it("x-ignore-shared: addresses are compared for ignored blocks only", () => {
    const list = [entry("ram", 8 * PAGE, { gpa: 77n }), entry("m", 2 * PAGE, { gpa: 0x1000n })];
    loadAll(
      machine({ ignoreShared: true }),
      body((records) => records.blockList(list)),
    );
  });

  it.each([
    [2 * PAGE, null],
    [PAGE, "PAGE_SIZE"],
  ])("after ADVISE, host page size %i stated: %s", (pageSize, code) => {
    const target = machine({ postcopy: true });
    target.handler.loadSetup();
    target.handler.load!.advise();
    const reader = Reader.of(
      body((records) => records.blockList([entry("huge", 4 * PAGE, { pageSize }), entry("ram", 8 * PAGE)])),
    );
    const error = failure(() => decodeSync(target.handler.loadState(loadContext(reader), 4), reader, bytesSource()));
    expect(error?.code ?? null).toBe(code);
  });

  it("postcopy-ram without ADVISE: lists carry no page size", () => {
    loadAll(
      machine({ postcopy: true }),
      body((records) => records.blockList([entry("huge", 4 * PAGE)])),
    );
  });
});

describe.each(implementations)("RamHandler.loadState, pages, %s kernels", (implementation) => {
  const kernels = { implementation };

  it("pages of an ignored block: RamError", () => {
    const error = failure(() =>
      loadAll(
        machine({ ignoreShared: true, kernels }),
        body((records) => records.zero("m", 0)),
      ),
    );
    expect([error?.code, error?.offset]).toEqual(["BLOCK_IGNORED", 0]);
  });

  it("page behind the length in use, although memory goes on: RamError", () => {
    const two = body((records) => {
      records.zero("tables", 0);
      records.page("tables", 2 * PAGE, new Uint8Array(PAGE));
    });
    const error = failure(() => loadAll(machine({ kernels }), two));
    expect([error?.code, error?.offset]).toEqual(["PAGE_OFFSET", 16]);
  });

  it("offset above 2^53: RamError", () => {
    const bytes = body((_, writer) => {
      writer.u64(0xffff_ffff_ffff_f002n);
      writer.countedString("ram");
      writer.u8(0);
    });
    expect(failure(() => loadAll(machine({ kernels }), bytes))?.code).toBe("PAGE_OFFSET");
  });

  it("section version 3: SectionError, version 5: SectionError", () => {
    const reader = Reader.of(body(() => undefined));
    for (const [version, code] of [
      [3, "VERSION_TOO_OLD"],
      [5, "VERSION_TOO_NEW"],
    ] as const) {
      const { handler } = machine();
      const load = (): void => {
        decodeSync(handler.loadState(loadContext(reader), version), reader, bytesSource());
      };
      expect(failure(load)?.code).toBe(code);
    }
  });

  it("fill byte, tolerant: fills the page; strict: RamError that leaves the page alone", () => {
    const bytes = body((records) => records.zero("ram", PAGE, 0x5a));
    const tolerant = machine({ kernels });
    loadAll(tolerant, bytes, false);
    expect(
      tolerant
        .read("ram")
        .subarray(PAGE, 2 * PAGE)
        .every((byte) => byte === 0x5a),
    ).toBe(true);
    const strict = machine({ kernels });
    expect(failure(() => loadAll(strict, bytes))?.code).toBe("PAGE_FILL");
    expect(strict.read("ram").every((byte) => byte === 9)).toBe(true);
  });

  it("compressed pages, tolerant without the capability: accepted", () => {
    const page = randomBytes(PAGE);
    const target = machine({ kernels });
    loadAll(
      target,
      body((records) => records.compressed("ram", 0, zlibSync(page))),
      false,
    );
    expect(firstDifference(target.read("ram").subarray(0, PAGE), page)).toBe(-1);
  });

  const packed = zlibSync(randomBytes(PAGE));
  const damaged: [string, Uint8Array][] = [
    ["cut short", packed.subarray(0, 100)],
    ["nothing", new Uint8Array(0)],
    ["no zlib header", packed.subarray(2)],
    ["a page and a byte", zlibSync(new Uint8Array(PAGE + 1))],
    ["a page of stored bytes and more", zlibSync(randomBytes(PAGE + 5), { level: 0 })],
    ["less than a page", zlibSync(new Uint8Array(PAGE - 1))],
    ["a megabyte of zeros", zlibSync(new Uint8Array(1 << 20))],
    ["wrong checksum", packed.map((byte, i) => (i === packed.length - 1 ? byte ^ 1 : byte))],
  ];
  it.each(damaged)("compressed page, %s: RamError that leaves the page alone", (_, data) => {
    const target = machine({ kernels, compress: 1 });
    expect(
      failure(() =>
        loadAll(
          target,
          body((records) => records.compressed("ram", 0, data)),
        ),
      )?.code,
    ).toBe("PAGE_COMPRESSED");
    expect(target.read("ram").every((byte) => byte === 9)).toBe(true);
  });

  it("XBZRLE that fails behind its first run: RamError that leaves the page alone", () => {
    const target = machine({ kernels });
    const bytes = body((records) => records.xbzrle("ram", 0, Uint8Array.of(0, 1, 0xaa, 0, 1, 0xbb)));
    expect(failure(() => loadAll(target, bytes))?.code).toBe("XBZRLE_CORRUPT");
    expect(target.read("ram").every((byte) => byte === 9)).toBe(true);
  });

  it("CONTINUE: refers to the last section's block, until the next load", () => {
    const target = machine({ kernels });
    const named = body((records) => records.zero("ram", 0));
    const continued = Uint8Array.of(0, 0, 0, 0, 0, 0, 0x10, 0x22, 0, ...body(() => undefined));
    loadAll(target, [named, continued]);
    expect(
      target
        .read("ram")
        .subarray(0, 2 * PAGE)
        .every((byte) => byte === 0),
    ).toBe(true);
    expect(failure(() => loadAll(target, continued))?.code).toBe("BLOCK_UNKNOWN");
  });

  it("received: bits of placed pages alone", () => {
    const target = machine({ kernels });
    const bytes = body((records) => {
      records.zero("ram", 0);
      records.page("ram", 2 * PAGE, new Uint8Array(PAGE));
      records.xbzrle("ram", 7 * PAGE, new Uint8Array(0));
    });
    loadAll(target, bytes);
    expect(Array.from(target.handler.load!.received(target.block("ram")))).toEqual([0x85, 0, 0, 0, 0, 0, 0, 0]);
    expect(target.handler.loadStats).toMatchObject({ zeroPages: 1, normalPages: 1, xbzrlePages: 1 });
  });

  it("zero pages that are zero already: not written", () => {
    let writes = 0;
    const memory = new Uint8Array(2 * PAGE);
    memory[PAGE] = 1;
    const target = new RamMachine({ pageSize: PAGE, kernels }, { ram: memory });
    const fill = vi.spyOn(Uint8Array.prototype, "fill").mockImplementation(function (
      this: Uint8Array,
      value,
      from,
      to,
    ) {
      if (this.buffer === memory.buffer) writes++;
      for (let i = from ?? 0; i < (to ?? this.length); i++) this[i] = value;
      return this;
    });
    loadAll(
      target,
      body((records) => [0, PAGE].forEach((offset) => records.zero("ram", offset))),
    );
    fill.mockRestore();
    expect([writes, memory[PAGE]]).toEqual([1, 0]);
  });

  it.each(Object.keys(layouts))(
    "records that change block with every page, memory kept as %s: equal memory",
    (layout) => {
      const lengths = { one: 32 * PAGE, two: 32 * PAGE };
      const source = new RamMachine({ pageSize: PAGE });
      const target = new RamMachine({ pageSize: PAGE, kernels });
      for (const [name, length] of Object.entries(lengths)) {
        source.blocks.addGlobal(name, randomBytes(length, length));
        target.blocks.addGlobal(name, layouts[layout](length));
      }
      const bytes = body((records) => {
        for (let page = 0; page < 32; page++) {
          for (const name of Object.keys(lengths))
            records.page(name, page * PAGE, source.block(name).memory.view(page * PAGE, PAGE));
        }
      });
      loadAll(target, bytes);
      for (const name of Object.keys(lengths)) expect(firstDifference(target.read(name), source.read(name))).toBe(-1);
    },
  );
});

describe("RamLoad in postcopy", () => {
  function running(): {
    target: RamMachine;
    load: (compose: (records: RamRecordWriter) => void) => MigrationError | null;
  } {
    const target = new RamMachine({ pageSize: PAGE, postcopy: true });
    target.blocks.addGlobal("huge", new Uint8Array(16 * PAGE).fill(9), { pageSize: 4 * PAGE });
    target.handler.loadSetup();
    target.handler.load!.startPostcopy();
    return {
      target,
      load: (compose) => {
        const reader = Reader.of(body(compose));
        return failure(() => decodeSync(target.handler.loadState(loadContext(reader), 4), reader, bytesSource()));
      },
    };
  }

  it("host page, its last target page missing: not placed; complete: placed and marked at once", () => {
    const { target, load } = running();
    const page = randomBytes(PAGE);
    const received = target.handler.load!.received(target.block("huge"));
    load((records) => {
      records.zero("huge", 4 * PAGE);
      records.page("huge", 5 * PAGE, page);
      records.zero("huge", 6 * PAGE);
    });
    expect(target.read("huge").every((byte) => byte === 9)).toBe(true);
    expect(received[0]).toBe(0);
    load((records) => records.zero("huge", 7 * PAGE));
    expect(received[0]).toBe(0xf0);
    const placed = target.read("huge").subarray(4 * PAGE, 8 * PAGE);
    expect(firstDifference(placed.subarray(PAGE, 2 * PAGE), page)).toBe(-1);
    expect(placed.subarray(2 * PAGE).every((byte) => byte === 0)).toBe(true);
    expect(placed.subarray(0, PAGE).every((byte) => byte === 0)).toBe(true);
  });

  it("host page that begins with zeros, after one with content: nothing of the first is left in it", () => {
    const { target, load } = running();
    const page = randomBytes(PAGE);
    load((records) => {
      for (let i = 0; i < 4; i++) records.page("huge", i * PAGE, page);
      records.zero("huge", 4 * PAGE);
      for (let i = 5; i < 8; i++) records.page("huge", i * PAGE, page);
    });
    const placed = target.read("huge");
    expect(placed.subarray(4 * PAGE, 5 * PAGE).every((byte) => byte === 0)).toBe(true);
    expect(firstDifference(placed.subarray(7 * PAGE, 8 * PAGE), page)).toBe(-1);
  });

  it("dropIncomplete: the host page begins anew", () => {
    const { target, load } = running();
    load((records) => records.page("huge", 0, new Uint8Array(PAGE)));
    target.handler.load!.dropIncomplete();
    expect(load((records) => records.page("huge", 4 * PAGE, new Uint8Array(PAGE)))).toBeNull();
  });

  it.each<[string, (records: RamRecordWriter) => void, ErrorCode]>([
    ["XBZRLE", (records) => records.xbzrle("huge", 0, Uint8Array.of(0, 1, 2)), "PAGE_FLAGS"],
    ["a block list", (records) => records.blockList([entry("huge", 16 * PAGE)]), "PAGE_FLAGS"],
    ["a fill byte", (records) => records.zero("huge", 0, 1), "PAGE_FILL"],
  ])("%s: RamError", (_, compose, code) => {
    expect(running().load(compose)?.code).toBe(code);
  });

  it("host pages smaller than target pages: RamError", () => {
    const target = new RamMachine({ pageSize: 8192, postcopy: true }, { ram: new Uint8Array(8192) });
    target.handler.loadSetup();
    target.handler.load!.startPostcopy();
    const reader = Reader.of(body((records) => records.zero("ram", 0)));
    const error = failure(() => decodeSync(target.handler.loadState(loadContext(reader), 4), reader, bytesSource()));
    expect(error?.code).toBe("PAGE_SIZE");
  });
});

describe("RamHandler, bad input", () => {
  const source = new RamMachine({ pageSize: 256, xbzrle: true }, { a: new Uint8Array(1024), b: randomBytes(512) });
  source.block("a").memory.view(256, 256).fill(3);
  const good = concat([
    saveAll(source),
    body((records) => {
      records.xbzrle("b", 0, Uint8Array.of(3, 1, 0xbb));
      records.zero("a", 768);
    }),
  ]);
  const target = (): RamMachine =>
    new RamMachine(
      { pageSize: 256, kernels: { implementation: "js" } },
      { a: new Uint8Array(1024), b: new Uint8Array(512) },
    );

  it("cut anywhere: StreamError TRUNCATED at the end, or a shorter whole number of sections", () => {
    for (let length = 0; length < good.length; length++) {
      const error = failure(() => loadAll(target(), good.subarray(0, length)));
      if (error !== null) expect([error.code, error.offset]).toEqual(["TRUNCATED", length]);
    }
  }, 30_000);

  it("any byte changed to anything telling: a RamError or StreamError with an offset, or a load", () => {
    let failures = 0;
    for (let at = 0; at < good.length; at++) {
      for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
        const bad = good.slice();
        bad[at] ^= bit;
        const error = failure(() => loadAll(target(), bad));
        if (error === null) continue;
        failures++;
        const named = error.name === "RamError" || error.name === "StreamError";
        const placed = error.offset !== null && error.offset >= 0 && error.offset <= bad.length;
        if (!named || !placed) throw error;
      }
    }
    expect(failures).toBeGreaterThan(300);
  }, 30_000);

  it.each([1, 2, 3, 7, 255, 256, 257, 1000])("pieces of %i bytes: the same memory", (size) => {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < good.length; at += size) pieces.push(good.subarray(at, at + size));
    const whole = target();
    const pieced = target();
    loadAll(whole, good);
    loadAll(pieced, pieces);
    for (const name of ["a", "b"]) expect(firstDifference(pieced.read(name), whole.read(name))).toBe(-1);
  });
});
