import { RamError } from "../errors.js";
import type { RAMBlock } from "./block.js";
import type { PageBitmap } from "./page-bitmap.js";

/** Ranges of one block in one POSTCOPY_RAM_DISCARD command, at most. */
export const MAX_DISCARD_RANGES = 12;

/** Bytes of a block, start and length. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/**
 * Make every host page that holds a dirty target page wholly dirty: a destination can only receive whole host pages.
 * @param ratio target pages per host page
 * @returns how many pages became dirty by this
 */
export function canonicalise(dirty: PageBitmap, ratio: number): number {
  if (ratio <= 1) return 0;
  const before = dirty.count();
  let at = dirty.nextSet(0);
  while (at < dirty.pages) {
    const first = Math.floor(at / ratio) * ratio;
    const end = Math.min(Math.ceil(dirty.nextClear(at) / ratio) * ratio, dirty.pages);
    dirty.setRange(first, end);
    at = dirty.nextSet(end);
  }
  return dirty.count() - before;
}

/** Runs of dirty pages as byte ranges, ascending. */
export function* dirtyRanges(dirty: PageBitmap, pageSize: number): Generator<ByteRange, void, void> {
  let first = dirty.nextSet(0);
  while (first < dirty.pages) {
    const end = dirty.nextClear(first);
    yield { start: first * pageSize, length: (end - first) * pageSize };
    first = dirty.nextSet(end);
  }
}

/** The ranges of one block, cut into what one command may hold. */
export function* discardGroups(ranges: Iterable<ByteRange>): Generator<ByteRange[], void, void> {
  let group: ByteRange[] = [];
  for (const range of ranges) {
    group.push(range);
    if (group.length === MAX_DISCARD_RANGES) {
      yield group;
      group = [];
    }
  }
  if (group.length > 0) yield group;
}

/**
 * Check a range that a sender wants discarded.
 * @throws RamError unless it is whole host pages inside the block's maximum length
 */
export function checkDiscard(block: RAMBlock, { start, length }: ByteRange): void {
  if (start % block.pageSize !== 0 || length % block.pageSize !== 0) {
    const message = `Discard ${length} bytes at ${start} of "${block.name}": its host pages have ${block.pageSize} bytes`;
    throw new RamError("PAGE_SIZE", message);
  }
  if (start > block.maxLength || length > block.maxLength - start) {
    const message = `Discard ${length} bytes at ${start} of "${block.name}": it has ${block.maxLength}`;
    throw new RamError("PAGE_OFFSET", message);
  }
}
