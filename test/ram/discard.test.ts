import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { Arena } from "../../src/kernels/index.js";
import { canonicalise, dirtyRanges, discardGroups, type ByteRange } from "../../src/ram/discard.js";
import { PageBitmap } from "../../src/ram/page-bitmap.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { toHex } from "../kit/hex.js";
import { implementations, RamMachine } from "./kit.js";

interface HexRange {
  start: string;
  length: string;
}
interface Vectors {
  encode: { name: string; block: string; ranges: HexRange[]; commands: string[] }[];
  bitmap_to_ranges: {
    name: string;
    target_page_size: number;
    host_page_size: number;
    pages: number;
    dirty_in: number[];
    dirty_after_canonicalise: number[];
    ranges: HexRange[];
  }[];
}
const vectors = JSON.parse(readFileSync(new URL("../vectors/discard.json", import.meta.url), "utf8")) as Vectors;
const numbers = ({ start, length }: HexRange): ByteRange => ({ start: Number(start), length: Number(length) });

function command(block: string, ranges: readonly ByteRange[]): string {
  const writer = new Writer();
  writer.u8(8);
  writer.u16(6);
  writer.u16(3 + block.length + 16 * ranges.length);
  writer.u8(0);
  writer.countedString(block);
  writer.u8(0);
  for (const { start, length } of ranges) {
    writer.u64Number(start);
    writer.u64Number(length);
  }
  return toHex(concat(writer.take()));
}

describe.each(implementations)("discard bitmaps with %s kernels", (implementation) => {
  it.each(vectors.bitmap_to_ranges)("$name: canonical bitmap and ranges", (vector) => {
    const { target_page_size: size, host_page_size: hostPage, pages, dirty_in, dirty_after_canonicalise } = vector;
    const dirty = new PageBitmap(Arena.create({ implementation }), "block", pages);
    for (const page of dirty_in) dirty.setRange(page, page + 1);
    const added = canonicalise(dirty, hostPage / size);
    const set = Array.from({ length: pages }, (_, page) => page).filter((page) => dirty.has(page));
    expect(set).toEqual(dirty_after_canonicalise);
    expect(added).toBe(dirty_after_canonicalise.length - dirty_in.length);
    expect(Array.from(dirtyRanges(dirty, size))).toEqual(vector.ranges.map(numbers));
  });
});

describe("discardGroups", () => {
  it.each(vectors.encode)("$name: as many ranges per command as the sender of the vector", (vector) => {
    const groups = Array.from(discardGroups(vector.ranges.map(numbers)));
    expect(groups.map((ranges) => command(vector.block, ranges))).toEqual(vector.commands);
  });
});

describe("RamLoad.discard", () => {
  function loading(): RamMachine {
    const machine = new RamMachine({ pageSize: 1024 });
    machine.blocks.addGlobal("ram", new Uint8Array(8 * 4096).fill(5), { pageSize: 4096 });
    machine.handler.loadSetup();
    return machine;
  }

  it("whole host pages: clears memory and received bits of the range alone", () => {
    const machine = loading();
    const load = machine.handler.load!;
    const received = load.received(machine.block("ram")).fill(0xff);
    load.discard("ram", { start: 4096, length: 8192 });
    expect(Array.from(received.subarray(0, 4))).toEqual([0x0f, 0xf0, 0xff, 0xff]);
    const memory = machine.read("ram");
    expect(memory.subarray(4096, 12288).every((byte) => byte === 0)).toBe(true);
    expect([memory[4095], memory[12288]]).toEqual([5, 5]);
  });

  it.each([
    [{ start: 1024, length: 4096 }, "PAGE_SIZE"],
    [{ start: 4096, length: 1024 }, "PAGE_SIZE"],
    [{ start: 8 * 4096, length: 4096 }, "PAGE_OFFSET"],
    [{ start: 2 ** 52, length: 2 ** 53 - 4096 }, "PAGE_OFFSET"],
  ] as const)("range %o: RamError %s", (range, code) => {
    const load = loading().handler.load!;
    let error: unknown;
    try {
      load.discard("ram", range);
    } catch (thrown) {
      error = thrown;
    }
    expect(isMigrationError(error, code)).toBe(true);
  });
});
