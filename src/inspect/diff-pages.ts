import { equalBytes, isZero } from "./byte-comparer.js";
import type { StoredBlock } from "./page-store.js";
import type { ScannedBlock } from "./ram-content.js";

/** Bytes of a block, whole pages. */
export interface PageRange {
  readonly offset: number;
  readonly length: number;
}

/** A RAMBlock that differs. */
export interface BlockDifference {
  readonly name: string;
  /** The one stream that has it; null for both. */
  readonly onlyIn: "a" | "b" | null;
  /** Bytes; null where it is absent. */
  readonly length: { readonly a: number | null; readonly b: number | null };
  /** Pages that differ, within the length that both have. */
  readonly pages: number;
  /** Where they are, in order; not all of them if `more`. */
  readonly ranges: readonly PageRange[];
  readonly more: boolean;
}

/** Ranges of one block that are kept; beyond, pages are only counted. */
const MAX_RANGES = 1 << 16;

/** What differs in the final content of the blocks, in the order of `a`; what never came is zero. */
export function compareBlocks(a: readonly ScannedBlock[], b: readonly ScannedBlock[]): BlockDifference[] {
  const others = new Map(b.map((block) => [block.name, block]));
  const found: BlockDifference[] = [];
  for (const block of a) {
    const other = others.get(block.name);
    others.delete(block.name);
    const difference = other === undefined ? onlyIn("a", block) : compareBlock(block, other);
    if (difference !== null) found.push(difference);
  }
  return [...found, ...Array.from(others.values(), (block) => onlyIn("b", block))];
}

function onlyIn(side: "a" | "b", { name, usedLength }: ScannedBlock): BlockDifference {
  const length = { a: null, b: null, [side]: usedLength };
  return { name, onlyIn: side, length, pages: 0, ranges: [], more: false };
}

function compareBlock(a: ScannedBlock, b: ScannedBlock): BlockDifference | null {
  const ranges: { offset: number; length: number }[] = [];
  let pages = 0;
  let more = false;
  if (a.content !== null && b.content !== null) {
    const size = Math.min(a.content.pageSize, b.content.pageSize);
    for (const offset of differingPages(a.content, b.content, size)) {
      pages++;
      const last = ranges.at(-1);
      if (last !== undefined && last.offset + last.length === offset) last.length += size;
      else if (ranges.length < MAX_RANGES) ranges.push({ offset, length: size });
      else more = true;
    }
  }
  if (pages === 0 && a.usedLength === b.usedLength) return null;
  return { name: a.name, onlyIn: null, length: { a: a.usedLength, b: b.usedLength }, pages, ranges, more };
}

/** Offsets of the pages that differ, ascending. Both blocks hand out their content in parts of one size. */
function* differingPages(a: StoredBlock, b: StoredBlock, size: number): Generator<number> {
  const others = b.parts();
  for (const { offset, length, bytes } of a.parts()) {
    const other = others.next();
    if (other.done === true) return;
    if (bytes === null && other.value.bytes === null) continue;
    const common = Math.min(length, other.value.length);
    for (let at = 0; at < common; at += size) {
      if (!samePage(bytes, other.value.bytes, at, Math.min(at + size, common))) yield offset + at;
    }
  }
}

/** Null stands for zeros. */
function samePage(a: Uint8Array | null, b: Uint8Array | null, from: number, end: number): boolean {
  const [x, y] = [a?.subarray(from, end), b?.subarray(from, end)];
  if (x === undefined) return y === undefined || isZero(y);
  return y === undefined ? isZero(x) : equalBytes(x, y);
}
