import { describe, expect, it } from "vitest";
import { Arena } from "../../src/kernels/index.js";
import { RAMBlock } from "../../src/ram/block.js";
import { bitmapTracker, byteMapTracker, type DirtyTracker, type MarkSource } from "../../src/ram/dirty.js";
import { PageBitmap } from "../../src/ram/page-bitmap.js";
import { implementations, wasmMemory } from "./kit.js";

const PAGE = 256;
/** More than one look and one piece of marks: 1.5 MiB of them. */
const MARK_BYTES = (3 << 19) + 3;

const sources: Record<string, () => MarkSource> = {
  bytes: () => new Uint8Array(MARK_BYTES),
  "bytes inside a buffer": () => new Uint8Array(MARK_BYTES + 9).subarray(5, 5 + MARK_BYTES),
  "shared bytes": () => new Uint8Array(new SharedArrayBuffer(MARK_BYTES)),
  "Wasm memory": () => ({ memory: wasmMemory(MARK_BYTES + 99), offset: 77, length: MARK_BYTES }),
  "shared Wasm memory": () => ({ memory: wasmMemory(MARK_BYTES + 99, true), offset: 77, length: MARK_BYTES }),
};

function bytesOf(marks: MarkSource): Uint8Array {
  return marks instanceof Uint8Array ? marks : new Uint8Array(marks.memory.buffer, marks.offset, marks.length);
}

const kinds: Record<string, [(marks: MarkSource) => DirtyTracker, number, number]> = {
  bitmapTracker: [(marks) => bitmapTracker(() => marks), 8, 0x80],
  byteMapTracker: [(marks) => byteMapTracker(() => marks), 1, 1],
};

/** A machine's block of so many pages, all of one small memory. */
function repeated(pages: number): RAMBlock {
  const part = new Uint8Array(PAGE << 10);
  const whole = Math.floor(pages / 1024);
  const rest = part.subarray(0, (pages % 1024) * PAGE);
  return new RAMBlock({ segments: [...new Array<Uint8Array>(whole).fill(part), rest] });
}

describe.each(implementations)("trackers of marks, %s kernels", (implementation) => {
  describe.each(Object.keys(kinds))("%s", (kind) => {
    it.each(Object.keys(sources))("marks far between in %s: each is found once, and taken", (name) => {
      const [make, pagesPerByte, mark] = kinds[kind];
      const marks = sources[name]();
      const bytes = bytesOf(marks);
      const block = repeated(MARK_BYTES * pagesPerByte);
      const arena = Arena.create({ implementation });
      const dirty = new PageBitmap(arena, "ram", MARK_BYTES * pagesPerByte);
      const tracker = make(marks);
      tracker.start!({ arena, pageSize: PAGE, blocks: [block] });
      expect(tracker.sync(block, dirty)).toBe(0);
      const places = [0, 1, 4095, 4096, 40_000, (1 << 20) - 1, 1 << 20, MARK_BYTES - 1];
      for (const at of places) bytes[at] = mark;
      expect(tracker.sync(block, dirty)).toBe(places.length);
      const found: number[] = [];
      for (let page = dirty.nextSet(0); page < dirty.pages; page = dirty.nextSet(page + 1)) found.push(page);
      expect(found).toEqual(places.map((at) => at * pagesPerByte + pagesPerByte - 1));
      expect(bytes.every((byte) => byte === 0)).toBe(true);
      expect(tracker.sync(block, dirty)).toBe(0);
    });
  });
});
