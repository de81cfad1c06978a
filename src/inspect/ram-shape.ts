import { isMigrationError } from "../errors.js";
import { inflatePage } from "../ram/compression.js";
import {
  QEMU_VM_SECTION_END,
  QEMU_VM_SECTION_FOOTER,
  QEMU_VM_SECTION_PART,
  RAM_SAVE_FLAG_COMPRESS_PAGE,
  RAM_SAVE_FLAG_CONTINUE,
  RAM_SAVE_FLAG_EOS,
  RAM_SAVE_FLAG_MEM_SIZE,
  RAM_SAVE_FLAG_MULTIFD_FLUSH,
  RAM_SAVE_FLAG_PAGE,
  RAM_SAVE_FLAG_XBZRLE,
  RAM_SAVE_FLAG_ZERO,
} from "../stream/constants.js";
import { decodeName } from "../stream/names.js";
import { LARGEST_PAGE, SMALLEST_PAGE } from "../stream/page-size.js";

/**
 * What a `ram` section does not say of itself: the target page size, whose low bits hold the flags, and whether the
 * entries of the block list carry an address. Both are found by trying, on bytes that were looked at ahead.
 */

/** Bytes to look at ahead: some pages of any size, and the block list. */
export const RAM_LOOKAHEAD = 1 << 20;

/** Cursor over a window; reads past its end throw the sentinel, which the trials catch. */
class Trial {
  readonly #view: DataView;
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  u8(): number {
    this.need(1);
    return this.bytes[this.at++];
  }

  u16(): number {
    this.need(2);
    this.at += 2;
    return this.#view.getUint16(this.at - 2);
  }

  u32(): number {
    this.need(4);
    this.at += 4;
    return this.#view.getUint32(this.at - 4);
  }

  name(): string {
    const length = this.u8();
    this.skip(length);
    return decodeName(this.bytes.subarray(this.at - length, this.at));
  }

  skip(n: number): void {
    this.need(n);
    this.at += n;
  }

  need(n: number): void {
    if (this.left < n) throw new WindowEnd();
  }
}

class WindowEnd extends Error {}

/** The block list at the start of a START section, as far as its lengths go. */
export interface ListShape {
  /** Each entry carries a guest-physical address (x-ignore-shared). */
  readonly withAddress: boolean;
  /** Used lengths by name. */
  readonly blocks: ReadonlyMap<string, number>;
  /** Bytes of the word and the list. */
  readonly length: number;
}

/**
 * Read the block list that `window` begins with.
 *
 * @param withAddress whether entries carry an address; null to try both
 * @param pageSizes sizes that an entry may name (the summary of POSTCOPY_ADVISE); 0 for none
 * @returns null when the window does not begin with a well-formed list
 */
export function readListShape(window: Uint8Array, withAddress: boolean | null, pageSizes: number): ListShape | null {
  for (const choice of withAddress === null ? [false, true] : [withAddress]) {
    try {
      const shape = tryList(new Trial(window), choice, pageSizes);
      if (shape !== null) return shape;
    } catch (error) {
      if (!(error instanceof WindowEnd)) throw error;
    }
  }
  return null;
}

function tryList(trial: Trial, withAddress: boolean, pageSizes: number): ListShape | null {
  const high = trial.u32();
  const low = trial.u32();
  if ((low & (SMALLEST_PAGE - 1)) !== RAM_SAVE_FLAG_MEM_SIZE || high > 0x1fffff) return null;
  let left = high * 0x1_0000_0000 + low - RAM_SAVE_FLAG_MEM_SIZE;
  const blocks = new Map<string, number>();
  while (left > 0) {
    const name = trial.name();
    const length = trial.u32() * 0x1_0000_0000 + trial.u32();
    if (name === "" || length > left || blocks.has(name)) return null;
    blocks.set(name, length);
    left -= length;
    if (namesPageSize(trial.bytes, trial.at, pageSizes)) trial.skip(8);
    if (withAddress) trial.skip(8);
  }
  const length = trial.at;
  return beginsRecord(trial) ? { withAddress, blocks, length } : null;
}

/** False for a multiple of the smallest page, such as the address of a block: a record has flags there. */
function beginsRecord(trial: Trial): boolean {
  if (trial.left < 8) return true;
  const high = trial.u32();
  const low = trial.u32();
  return (low & (SMALLEST_PAGE - 1)) !== 0 || (high === 0 && low === RAM_SAVE_FLAG_MULTIFD_FLUSH);
}

/**
 * True if the be64 at `at` is one of `pageSizes` and above the usual host page: a block list entry then names the page
 * size of its block. What else may stand there begins with the length of a name, which is not 0, or is a record word,
 * whose flags are smaller.
 */
export function namesPageSize(window: Uint8Array, at: number, pageSizes: number): boolean {
  if (window.length - at < 8) return false;
  const view = new DataView(window.buffer, window.byteOffset + at, 8);
  const value = view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
  return value > 4096 && Number.isInteger(Math.log2(value)) && Math.floor(pageSizes / value) % 2 === 1;
}

/** The largest page of which all `lengths` are multiples. */
export function largestPage(lengths: Iterable<number>): number {
  let page = LARGEST_PAGE;
  for (const length of lengths) while (page > SMALLEST_PAGE && length % page !== 0) page /= 2;
  return page;
}

export interface PageTrial {
  /** From a record word on. */
  readonly window: Uint8Array;
  /** The stream ends with the window. */
  readonly ended: boolean;
  readonly blocks: ReadonlyMap<string, number>;
  /** The section that the records are of. */
  readonly id: number;
}

/**
 * Find the page size from records: the largest one with which everything in the window is legal. A smaller page than
 * the true one fails in the middle of the first page sent whole, or is as legal when only zero pages came (which is why
 * the largest is taken); a larger one fails at the first odd page, whose lowest offset bit it takes for a flag.
 */
export function inferPageSize(trial: PageTrial): number {
  const largest = largestPage(trial.blocks.values());
  let best = { page: largest, reached: -1 };
  for (let page = largest; page >= SMALLEST_PAGE; page /= 2) {
    const reached = tryPages(trial, page);
    if (reached === Infinity) return page;
    if (reached > best.reached) best = { page, reached };
  }
  return best.page;
}

/** Where the first illegal record is, Infinity if there is none. */
function tryPages({ window, ended, blocks, id }: PageTrial, page: number): number {
  const trial = new Trial(window);
  let block: number | null = null;
  let start = 0;
  try {
    for (;;) {
      start = trial.at;
      const high = trial.u32();
      const low = trial.u32();
      const flags = low & (page - 1);
      const kind = flags & ~RAM_SAVE_FLAG_CONTINUE;
      if (kind === RAM_SAVE_FLAG_EOS) {
        if (!skipToNextBody(trial, id)) return Infinity;
        continue;
      }
      if (kind === RAM_SAVE_FLAG_MULTIFD_FLUSH) continue;
      // A second list is legal and rare: give up searching for contradictions there.
      if (kind === RAM_SAVE_FLAG_MEM_SIZE) return Infinity;
      if (!PAGE_KINDS.has(kind)) return start;
      // What CONTINUE refers to before the first name is unknown here, so nothing can be said of the offset.
      if ((flags & RAM_SAVE_FLAG_CONTINUE) === 0) {
        const named = blocks.get(trial.name());
        if (named === undefined) return start;
        block = named;
      }
      if (block !== null && high * 0x1_0000_0000 + (low - flags) >= block) return start;
      if (kind === RAM_SAVE_FLAG_ZERO) trial.skip(1);
      else if (kind === RAM_SAVE_FLAG_PAGE) trial.skip(page);
      else if (kind === RAM_SAVE_FLAG_XBZRLE) {
        if (trial.u8() !== 1) return start;
        trial.skip(trial.u16());
      } else {
        const length = trial.u32();
        trial.skip(length);
        if (!unpacksTo(trial.bytes.subarray(trial.at - length, trial.at), page)) return start;
      }
    }
  } catch (error) {
    if (!(error instanceof WindowEnd)) throw error;
    return ended ? start : Infinity;
  }
}
function unpacksTo(data: Uint8Array, page: number): boolean {
  try {
    inflatePage(data, page);
    return true;
  } catch (error) {
    if (!isMigrationError(error)) throw error;
    return false;
  }
}
const PAGE_KINDS: ReadonlySet<number> = new Set([
  RAM_SAVE_FLAG_ZERO,
  RAM_SAVE_FLAG_PAGE,
  RAM_SAVE_FLAG_XBZRLE,
  RAM_SAVE_FLAG_COMPRESS_PAGE,
]);

/** From behind an EOS word to the next body of the same section; false if something else follows. */
function skipToNextBody(trial: Trial, id: number): boolean {
  let type = trial.u8();
  if (type === QEMU_VM_SECTION_FOOTER) {
    if (trial.u32() !== id) return false;
    type = trial.u8();
  }
  return (type === QEMU_VM_SECTION_PART || type === QEMU_VM_SECTION_END) && trial.u32() === id;
}
