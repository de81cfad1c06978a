/** What a scan tolerates, and what it makes of it ("Rules for tolerance" of the chapter on versions). */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { summarise } from "../../src/inspect/inspect.js";
import type { ScanOptions } from "../../src/inspect/scanner.js";
import type { ScanResult } from "../../src/inspect/scan-result.js";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { writeCommand, type Command } from "../../src/savevm/commands.js";
import { writeSectionFooter, writeSectionHeader, type SectionType } from "../../src/savevm/section.js";
import { concat, Writer } from "../../src/stream/writer.js";
import { compose, pageOf, scanBytes } from "./scan-kit.js";

const PAGE = 4096;

/** A stream of RAM only, written step by step. */
class RamStream {
  readonly writer = new Writer();
  readonly records = new RamRecordWriter(this.writer);

  constructor(version = 3, configuration = "") {
    this.writer.u32(0x5145564d);
    this.writer.u32(version);
    this.writer.bytes(Uint8Array.from(Buffer.from(configuration, "hex")));
  }

  section(type: SectionType, write: (records: RamRecordWriter) => void = () => undefined, version = 4): this {
    writeSectionHeader(this.writer, type, { id: 2, idstr: "ram", instanceId: 0, version });
    write(this.records);
    this.records.eos();
    writeSectionFooter(this.writer, 2);
    return this;
  }

  start(length: number, gpa: bigint | null = null, pageSize: number | null = null): this {
    return this.section("start", (r) => r.blockList([{ name: "ram0", usedLength: length, pageSize, gpa }]));
  }

  command(command: Command): this {
    writeCommand(this.writer, command);
    return this;
  }

  scan(options: ScanOptions = {}, tail = "00"): ScanResult {
    this.writer.bytes(Uint8Array.from(Buffer.from(tail, "hex")));
    return scanBytes(concat(this.writer.take()), { pageSize: null, ...options });
  }
}

function hashOf(scan: ScanResult): string | null | undefined {
  const sha256 = () => {
    const hash = createHash("sha256");
    return { update: (bytes: Uint8Array) => void hash.update(bytes), digest: () => hash.digest("hex") };
  };
  return summarise(scan, sha256).blocks[0]?.sha256;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

describe("scan: page sizes", () => {
  it.each([256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])("pages of %i bytes, found by trial", (size) => {
    const content = new Uint8Array(8 * 65536);
    for (let at = 0; at < content.length; at += size) content.fill((at / size) % 251, at, at + size);
    const stream = new RamStream().start(content.length).section("part", (r) => {
      for (let at = 0; at < content.length; at += size) {
        const page = content.subarray(at, at + size);
        if (page[0] === 0) r.zero("ram0", at);
        else r.page("ram0", at, page);
      }
    });
    const found = stream.section("end").scan();
    expect(found.ram?.pageSize).toBe(size);
    expect(hashOf(found)).toBe(sha256(content));
  });

  it("POSTCOPY_ADVISE says it: no trial", () => {
    const stream = new RamStream().command({ name: "POSTCOPY_ADVISE", ram: { pageSizes: 4096, targetPageSize: 1024 } });
    expect(
      stream
        .start(PAGE)
        .section("part", (r) => r.zero("ram0", 0))
        .scan().ram?.pageSize,
    ).toBe(1024);
  });

  it("the configuration says it: no trial", () => {
    const subsection = `05 1e ${Buffer.from("configuration/target-page-bits").toString("hex")} 00000001 0000000b`;
    const stream = new RamStream(3, `07 00000000 ${subsection}`.replaceAll(" ", ""));
    expect(
      stream
        .start(PAGE)
        .section("part", (r) => r.zero("ram0", 0))
        .scan().ram?.pageSize,
    ).toBe(2048);
  });

  it("the description says something else than the records: a problem with a hint", () => {
    const bytes = compose({
      blocks: [{ name: "ram0", length: 2 * 8192 }],
      records: (r) => r.zero("ram0", 0),
      devices: [{ name: "uart", body: Uint8Array.of(1), fields: [{ name: "x", type: "uint8", size: 1 }] }],
    });
    const found = scanBytes(bytes, { pageSize: null });
    expect(found.problems.map(({ code, hint }) => [code, hint])).toEqual([["PAGE_SIZE", "Give the page size: 4096"]]);
    expect(scanBytes(bytes, { pageSize: 4096 }).problems).toEqual([]);
  });

  it("no page came: the description decides, else the usual size", () => {
    const stream = new RamStream().start(1 << 20).section("end");
    const description = { configuration: null, pageSize: 8192, devices: [] };
    expect(stream.scan({ description }).ram?.pageSize).toBe(8192);
    expect(new RamStream().start(1 << 20).scan().ram?.pageSize).toBe(4096);
  });

  it.each([0, 7, 17, 40])("target page bits %i: PAGE_SIZE", (bits) => {
    const name = Buffer.from("configuration/target-page-bits").toString("hex");
    const stream = new RamStream(3, `0700000000051e${name}00000001${bits.toString(16).padStart(8, "0")}`);
    expect(() => stream.start(PAGE).scan()).toThrow(expect.objectContaining({ code: "PAGE_SIZE" }));
  });
});

describe("scan: tolerance", () => {
  const page = (r: RamRecordWriter): void => r.page("ram0", 0, pageOf(7));
  const options = { pageSize: PAGE };

  it("no END: a warning", () => {
    const found = new RamStream().start(PAGE).section("part", page).scan(options);
    expect(found.warnings.join()).toContain("no END section");
    expect(hashOf(found)).toBe(sha256(pageOf(7)));
  });

  it("bytes behind the EOF byte: counted in a warning, and read to the end", () => {
    const found = new RamStream().start(PAGE).section("end", page).scan(options, "00 aabbcc".replace(" ", ""));
    expect(found.warnings).toEqual([expect.stringMatching(/^3 bytes follow/)]);
  });

  it("a repeated START: accepted; of another length: BLOCK_SIZE", () => {
    const again = new RamStream().start(PAGE).section("part", page).start(PAGE).section("end");
    expect(again.scan(options).ram?.blocks).toHaveLength(1);
    expect(() =>
      new RamStream()
        .start(PAGE)
        .start(2 * PAGE)
        .scan(options),
    ).toThrow(expect.objectContaining({ code: "BLOCK_SIZE" }));
  });

  it("a fill byte that is not zero fills the page, as up to 8.1", () => {
    const found = new RamStream()
      .start(PAGE)
      .section("end", (r) => r.zero("ram0", 0, 0x5a))
      .scan(options);
    expect(hashOf(found)).toBe(sha256(pageOf(0x5a)));
  });

  it("multifd flush words: a warning that pages went elsewhere", () => {
    const found = new RamStream()
      .start(PAGE)
      .section("end", (r) => r.multifdFlush())
      .scan(options);
    expect(found.warnings.join()).toContain("multifd");
  });

  it("SWITCHOVER_START: listed", () => {
    const found = new RamStream().start(PAGE).command({ name: "SWITCHOVER_START" }).section("end", page).scan(options);
    expect(found.commands.map(({ command, length }) => [command.name, length])).toEqual([["SWITCHOVER_START", 0]]);
  });

  it("discarded pages: zero and missing, until they come again", () => {
    const discard = { name: "POSTCOPY_RAM_DISCARD", block: "ram0", ranges: [{ start: 0, length: 2 * PAGE }] } as const;
    const both = (r: RamRecordWriter): void => {
      r.page("ram0", 0, pageOf(1));
      r.page("ram0", PAGE, pageOf(2));
    };
    const stream = new RamStream()
      .start(2 * PAGE)
      .section("part", both)
      .command(discard);
    const found = stream.section("end", (r) => r.page("ram0", PAGE, pageOf(3))).scan(options);
    expect(hashOf(found)).toBe(sha256(concat([pageOf(0), pageOf(3)])));
    expect(found.warnings.join()).toContain('1 of the 2 pages of "ram0"');
  });

  it("addresses in the block list, no configuration section to tell of them: found", () => {
    const found = new RamStream().start(PAGE, 0x1000n).section("end", page).scan(options);
    expect(found.ram?.blocks[0].entry.gpa).toBe(0x1000n);
  });

  it("huge pages in the block list of a postcopy stream: found", () => {
    const advise: Command = { name: "POSTCOPY_ADVISE", ram: { pageSizes: (2 << 20) | PAGE, targetPageSize: PAGE } };
    const found = new RamStream()
      .command(advise)
      .start(2 << 20, null, 2 << 20)
      .section("end", page)
      .scan();
    expect(found.ram?.blocks[0].entry.pageSize).toBe(2 << 20);
  });
});

describe("scan: what cannot be read", () => {
  it("version 2: BAD_VERSION, by its own message", () => {
    expect(() => new RamStream(2).scan()).toThrow(expect.objectContaining({ code: "BAD_VERSION", offset: 4 }));
  });

  it.each([
    [3, "VERSION_TOO_OLD"],
    [5, "VERSION_TOO_NEW"],
  ])('"ram" of version %i: %s', (version, code) => {
    const stream = new RamStream().section("start", (r) => r.blockList([]), version);
    expect(() => stream.scan()).toThrow(
      expect.objectContaining({ code, section: { id: 2, idstr: "ram", instanceId: 0, version } }),
    );
  });

  it("mapped-ram: UNSUPPORTED, not garbage", () => {
    const name = Buffer.from("configuration/capabilities").toString("hex");
    const capability = Buffer.from("mapped-ram").toString("hex");
    const stream = new RamStream(3, `0700000000051a${name}00000001000000010a${capability}`);
    expect(() => stream.scan()).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  });

  it("a page of a block that is not listed: BLOCK_UNKNOWN at its record", () => {
    const stream = new RamStream().start(PAGE);
    const at = stream.writer.offset + 5;
    const found = (): unknown => stream.section("part", (r) => r.zero("other", 0)).scan({ pageSize: PAGE });
    expect(found).toThrow(expect.objectContaining({ code: "BLOCK_UNKNOWN", offset: at }));
  });

  it.each([0, 12, 255])("an unknown command %i: COMMAND_UNKNOWN", (number) => {
    const tail = `08${number.toString(16).padStart(4, "0")}0000`;
    expect(() => new RamStream().start(PAGE).scan({}, tail)).toThrow(
      expect.objectContaining({ code: "COMMAND_UNKNOWN" }),
    );
  });

  it("a byte that begins nothing: UNKNOWN_SECTION_TYPE", () => {
    expect(() => new RamStream().start(PAGE).scan({}, "05")).toThrow(
      expect.objectContaining({ code: "UNKNOWN_SECTION_TYPE" }),
    );
  });
});
