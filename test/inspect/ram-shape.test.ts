import { describe, expect, it } from "vitest";
import { inferPageSize, largestPage, namesPageSize, readListShape } from "../../src/inspect/ram-shape.js";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { concat, Writer } from "../../src/stream/writer.js";

/** Bytes of pages to show: a scan looks further ahead. */
const LOOK = 256 << 10;
const PAGE_SIZES = [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

function records(write: (records: RamRecordWriter) => void): Uint8Array {
  const writer = new Writer();
  write(new RamRecordWriter(writer));
  return concat(writer.take());
}

/** Bytes that look like nothing in particular. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

const entry = (name: string, usedLength: number) => ({ name, usedLength, pageSize: null, gpa: null });

describe("inferPageSize", () => {
  const blocks = new Map([["ram", 64 << 16]]);
  const infer = (window: Uint8Array, ended = false): number => inferPageSize({ window, ended, blocks, id: 3 });

  it.each(PAGE_SIZES)("pages of %i bytes sent whole: that size", (page) => {
    const window = records((r) => {
      for (let n = 0; n * page < LOOK; n++) r.page("ram", n * page, noise(page, n + 1));
    });
    expect(infer(window)).toBe(page);
  });

  it.each(PAGE_SIZES)("pages of %i bytes, all of them zero: that size, by the steps of the offsets", (page) => {
    const window = records((r) => {
      for (let n = 0; n < 64; n++) r.zero("ram", n * page);
    });
    expect(infer(window)).toBe(page);
  });

  it.each(PAGE_SIZES)("pages of %i bytes whose content is zeros but for the end: that size", (page) => {
    const content = new Uint8Array(page).fill(1, page - 1);
    const window = records((r) => {
      for (let n = 0; n * page < LOOK; n++) r.page("ram", n * page, content);
    });
    expect(infer(window)).toBe(page);
  });

  it("a first round of one page, then others in the next section: found across the footer", () => {
    const writer = new Writer();
    const r = new RamRecordWriter(writer);
    r.zero("ram", 0);
    r.eos();
    writer.u8(0x7e);
    writer.u32(3);
    writer.u8(2);
    writer.u32(3);
    r.zero("ram", 1024);
    expect(infer(concat(writer.take()))).toBe(1024);
  });

  it("the window ends in the middle of a page and the stream goes on: no reason against that size", () => {
    const window = records((r) => r.page("ram", 0, noise(8192, 5)));
    expect(inferPageSize({ window: window.subarray(0, 4000), ended: false, blocks, id: 3 })).toBe(65536);
  });

  it("the stream ends with the window: a page that would reach beyond it is no page", () => {
    const window = records((r) => {
      r.page("ram", 0, noise(2048, 5));
      r.eos();
    });
    expect(infer(concat([window, Uint8Array.of(0x7e, 0, 0, 0, 3, 0)]), true)).toBe(2048);
  });
});

describe("largestPage", () => {
  it.each([
    [[1 << 20, 4096], 4096],
    [[1 << 20, 1024, 4096], 1024],
    [[1 << 30], 65536],
    [[768], 256],
    [[], 65536],
  ])("of %j is %i", (lengths, page) => {
    expect(largestPage(lengths)).toBe(page);
  });
});

describe("readListShape", () => {
  it("a list without addresses: found without, where nothing is known", () => {
    const window = records((r) => {
      r.blockList([entry("pc.ram", 1 << 20), entry("rom", 4096)]);
      r.eos();
    });
    expect(readListShape(window, null, 0)).toMatchObject({ withAddress: false, length: window.length - 8 });
  });

  it("a list with addresses: found with, where nothing is known", () => {
    const window = records((r) => {
      r.blockList([
        { ...entry("pc.ram", 1 << 20), gpa: 0n },
        { ...entry("rom", 4096), gpa: 0xc0000n },
      ]);
      r.eos();
    });
    expect(readListShape(window, null, 0)).toMatchObject({ withAddress: true, length: window.length - 8 });
  });

  it("lengths that do not add up: null", () => {
    const window = records((r) => r.blockList([entry("pc.ram", 8192), entry("rom", 4096)]));
    window[6] = 0x40;
    expect(readListShape(window, null, 0)).toBeNull();
  });

  it("huge pages behind a block: skipped where POSTCOPY_ADVISE named that size", () => {
    const window = records((r) => {
      r.blockList([{ ...entry("m", 4 << 20), pageSize: 2 << 20 }, entry("rom", 4096)]);
      r.eos();
    });
    expect(readListShape(window, false, (2 << 20) | 4096)).toMatchObject({ length: window.length - 8 });
    expect(readListShape(window, false, 4096)).toBeNull();
  });
});

describe("namesPageSize", () => {
  const word = (value: bigint): Uint8Array => new Uint8Array(new BigUint64Array([value]).buffer).reverse();

  it.each([
    [2n << 20n, true],
    [4096n, false],
    [1n << 30n, false],
    [0x10n, false],
    [(2n << 20n) + 1n, false],
  ])("%i among sizes of 4 KiB and 2 MiB: %s", (value, is) => {
    expect(namesPageSize(word(value), 0, 4096 | (2 << 20))).toBe(is);
  });
});
