import { MASK_PAGES } from "../kernels/index.js";
import { RAM_SAVE_FLAG_CONTINUE, RAM_SAVE_FLAG_PAGE, RAM_SAVE_FLAG_ZERO } from "../stream/constants.js";
import type { GuestMemory, MemorySegment } from "./guest-memory.js";
import { fillBits } from "./page-bitmap.js";

/** Where the pages of one block go. */
export interface PageTarget {
  /** Bytes; records at or behind it are left to whoever reports them. */
  readonly usedLength: number;
  readonly block: { readonly memory: GuestMemory };
  /** One bit per page: what has been placed. */
  readonly received: Uint8Array<ArrayBuffer>;
}

/** How the memory of segments is reached. */
export interface SegmentAccess {
  /** All bytes of a segment, as they are now. */
  bytes(segment: MemorySegment): Uint8Array;
  /** Bit i: page i of the `count` pages at `at` is all zero. */
  zeroMask(segment: MemorySegment, at: number, count: number): number;
}

/** What one call did. */
export interface DecodedRun {
  /** Bytes of whole records. */
  bytes: number;
  zeroPages: number;
  normalPages: number;
}

const ZERO = RAM_SAVE_FLAG_ZERO | RAM_SAVE_FLAG_CONTINUE;
const PAGE = RAM_SAVE_FLAG_PAGE | RAM_SAVE_FLAG_CONTINUE;

/**
 * Places the records of a run that are whole and say CONTINUE: pages, and zero pages with fill byte 0. Stops in front of
 * the first other one. This is a loop in JavaScript because a page is moved straight from the stream to where it
 * belongs: a kernel reaches one memory only, and copying what is in no cache there first costs more than a view for each
 * page. See {@link ScratchDecoder} for what is.
 * Putting pages that follow each other side by side first, for larger copies to the guest, won 3 to 11 % on chunks that
 * were in the cache and lost 5 to 13 % on others.
 */
export class RunDecoder {
  readonly #pageSize: number;
  readonly #access: SegmentAccess;
  /** Most zero pages looked at in one go. */
  readonly #most: number;
  readonly #done: DecodedRun = { bytes: 0, zeroPages: 0, normalPages: 0 };

  constructor(pageSize: number, access: SegmentAccess) {
    this.#pageSize = pageSize;
    this.#access = access;
    this.#most = zeroRunPages(pageSize);
  }

  /** The result is valid until the next call. */
  decode(target: PageTarget, input: Uint8Array): Readonly<DecodedRun> {
    const size = this.#pageSize;
    const flagMask = size - 1;
    const { usedLength, received } = target;
    const { memory } = target.block;
    const done = this.#done;
    done.bytes = done.zeroPages = done.normalPages = 0;
    const last = input.length - 9;
    let at = 0;
    let start = 0;
    let end = 0;
    let segment: MemorySegment | null = null;
    let bytes = input;
    // Pages [first, next) were placed and not reported yet.
    let first = 0;
    let next = 0;
    while (at <= last) {
      const high = word(input, at);
      const low = word(input, at + 4);
      const flags = low & flagMask;
      const offset = high * 0x1_0000_0000 + (low - flags);
      if (offset >= usedLength) break;
      if (segment === null || offset < start || offset >= end) {
        segment = memory.segmentAt(offset);
        ({ start, end } = segment);
        bytes = this.#access.bytes(segment);
      }
      let placed: number;
      if (flags === PAGE) {
        if (input.length - at < 8 + size) break;
        bytes.set(input.subarray(at + 8, at + 8 + size), offset - start);
        at += 8 + size;
        placed = 1;
        done.normalPages++;
      } else if (flags === ZERO) {
        const most = Math.min(this.#most, (Math.min(end, usedLength) - offset) / size);
        placed = zeroRun(input, at, most, size);
        if (placed === 0) break;
        this.#clear(segment, bytes, offset - start, placed);
        at += 9 * placed;
        done.zeroPages += placed;
      } else break;
      const page = offset / size;
      if (page !== next) {
        if (next > first) fillBits(received, first, next, true);
        first = page;
      }
      next = page + placed;
    }
    if (next > first) fillBits(received, first, next, true);
    done.bytes = at;
    return done;
  }

  /** Zero pages that are zero stay untouched: no memory is committed for them. */
  #clear(segment: MemorySegment, bytes: Uint8Array, at: number, count: number): void {
    const size = this.#pageSize;
    const zero = this.#access.zeroMask(segment, at, count);
    if (count === MASK_PAGES ? zero === 0xffff_ffff : zero === 2 ** count - 1) return;
    for (let i = 0; i < count; i++) {
      if (((zero >>> i) & 1) === 0) bytes.fill(0, at + i * size, at + (i + 1) * size);
    }
  }
}

/** Pages whose content is looked at in one go: as many as a mask has bits, of large pages fewer. */
export function zeroRunPages(pageSize: number): number {
  return Math.max(1, Math.min(MASK_PAGES, (128 << 10) / pageSize));
}

/** How many zero records with fill byte 0 and ascending offsets stand at `at`, at most `most`. */
function zeroRun(input: Uint8Array, at: number, most: number, size: number): number {
  const last = input.length - 9;
  const high = word(input, at);
  let low = word(input, at + 4);
  let count = 0;
  // Offsets that reach the next 4 GiB of a block begin a run of their own.
  for (let record = at; count < most && record <= last && input[record + 8] === 0; record += 9, low += size, count++) {
    if (word(input, record + 4) !== low || word(input, record) !== high) break;
  }
  return count;
}

/** The be32 at `at`. */
function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
