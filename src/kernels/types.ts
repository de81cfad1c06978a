/**
 * The hot paths, as one interface with two implementations of equal results: WebAssembly SIMD, and TypeScript for
 * engines without SIMD and pages that forbid WebAssembly.
 *
 * Kernels are bound to one linear memory and see nothing else. Every argument is a byte address in it, a length or
 * a count: an integer from 0 to 2^32 - 1 (the end of a region may be 2^32). Nothing is written outside the regions
 * that the caller names, so kernels may work in place on the memory of a running emulator. Arguments outside the
 * memory are programmer mistakes: RangeError, before anything is written.
 *
 * Page sizes are powers of two from 256 to 65536. Bitmaps are in little-endian bit order: page p is bit p % 8 of
 * byte p / 8; bits of a byte outside a given range are left alone. No alignment is asked for, though words of 8
 * bytes are fastest.
 *
 * On shared memory, marks that another thread may be setting (the source of {@link Kernels.bitmapMergeClear}, the
 * byte map of {@link Kernels.byteMapMerge}, the bitmap of {@link Kernels.encodePages}) are taken by atomic
 * operations, and no mark is lost. Guest pages may change while they are encoded, since they are then marked again.
 * All other regions must not change during a call.
 */
export interface Kernels {
  /** Which implementation this is. */
  readonly implementation: "wasm" | "js";
  /** Why WebAssembly was not used although it was asked for; undefined when it is in use or was not wanted. */
  readonly fallbackCause: unknown;
  /** The memory as it is now. Growing it makes a new buffer, so take views anew for each use. */
  readonly buffer: ArrayBufferLike;

  /** Bit i of the result: page i of `count` (at most 32) at `src` is all zero. */
  zeroPageMask(src: number, pageSize: number, count: number): number;

  /** Bit i of the result: page i of `count` (at most 32) differs between the regions `a` and `b`. */
  changedPageMask(a: number, b: number, pageSize: number, count: number): number;

  /**
   * Writes the 64-bit hash of each of `count` pages at `out`, 8 bytes each, little-endian. The hash finds changes;
   * it is not cryptographic, and equal hashes are no proof of equal pages.
   */
  hashPages64(src: number, pageSize: number, count: number, out: number): void;

  /** Like {@link Kernels.hashPages64} with 16 bytes each; the first 8 are the 64-bit hash. */
  hashPages128(src: number, pageSize: number, count: number, out: number): void;

  /**
   * Encodes the difference of two pages of `length` bytes as XBZRLE (RAM section, XBZRLE).
   *
   * Returns the number of bytes written to `out`, 0 when the pages are equal, or -1 when QEMU's encoder would
   * report an overflow of `capacity` bytes; bytes of `out` may have been written then. A run of 16384 or more
   * bytes cannot be expressed in the format (pages above 16 KiB only) and counts as an overflow too.
   *
   * `newPage` must not change meanwhile: encode from a copy that nobody writes.
   */
  xbzrleEncode(oldPage: number, newPage: number, length: number, out: number, capacity: number): number;

  /**
   * Applies `length` encoded bytes at `src` to the page. Returns the position in the page behind the last byte
   * written (0 for no input), or -1 when the bytes are no valid encoding; the page may have been changed by then.
   */
  xbzrleDecode(src: number, length: number, page: number, pageSize: number): number;

  /** How many of the bits [from, end) are set. */
  bitmapCount(bitmap: number, from: number, end: number): number;

  /** The first set bit in [from, end), or `end`. */
  bitmapNextSet(bitmap: number, from: number, end: number): number;

  /** The first clear bit in [from, end), or `end`. */
  bitmapNextClear(bitmap: number, from: number, end: number): number;

  /**
   * Writes the runs of set bits in [from, end), ascending, as pairs of little-endian u32 (first bit, bit behind the
   * last) at `out`, `capacity` pairs at most; room behind the last pair may have been written to as well. Returns the
   * number of pairs; when all were used, go on from the end of the last run.
   *
   * The bitmap must be quiet meanwhile: bits are read more than once, and runs are wrong when they change in between.
   */
  bitmapRuns(bitmap: number, from: number, end: number, out: number, capacity: number): number;

  /**
   * Moves the first `bits` bits: target |= source, source = 0. Returns how many bits of the target are new. Only
   * the source may be written by others meanwhile.
   */
  bitmapMergeClear(target: number, source: number, bits: number): number;

  /**
   * Sets bit i of the bitmap for each of the `count` bytes at `marks` (one per page) that is not zero, and zeroes
   * those bytes if `clear` says so. Returns how many bits of the bitmap are new.
   */
  byteMapMerge(bitmap: number, marks: number, count: number, clear: boolean): number;

  /** Reverses the bytes of each of `count` 16-bit words. The regions are the same or do not overlap. */
  swap16(target: number, source: number, count: number): void;
  /** Reverses the bytes of each of `count` 32-bit words. The regions are the same or do not overlap. */
  swap32(target: number, source: number, count: number): void;
  /** Reverses the bytes of each of `count` 64-bit words. The regions are the same or do not overlap. */
  swap64(target: number, source: number, count: number): void;

  /**
   * Writes the RAM section records of dirty pages of a window, ascending, until the window is done or the next
   * record does not fit. Takes the dirty bit of each page before reading the page.
   */
  encodePages(job: EncodePages): EncodedPages;

  /**
   * Places the RAM section records of one block, as far as they are complete ZERO (with fill byte 0) and PAGE
   * records with CONTINUE inside the window. The first record of any other kind is left for the caller, as are
   * incomplete ones. Zero pages that are zero already are not written.
   */
  decodePages(job: DecodePages): DecodedPages;
}

/** A part of a RAMBlock that lies in the memory of the kernels. */
export interface PageWindow {
  /** Address of the first page. */
  readonly ram: number;
  readonly pageSize: number;
  /** Number of that page in its block: the wire offset of page i is (blockPage + i) * pageSize. */
  readonly blockPage: number;
}

/** Work for {@link Kernels.encodePages}. */
export interface EncodePages extends PageWindow {
  /** Dirty bitmap of the window: bit 0 is the page at `ram`. Bits of pages that were written are cleared. */
  readonly bitmap: number;
  /** First page of the window to look at, */
  readonly first: number;
  /** and the page behind the last. */
  readonly end: number;
  /** Address of the block's counted name (a length byte, then the name) for the first record; 0: send CONTINUE. */
  readonly name: number;
  /** Where records go, */
  readonly out: number;
  /** and the end of that region. */
  readonly outEnd: number;
  /** Address of {@link RESULT_BYTES} bytes that the kernel may use to hand back its counts. */
  readonly result: number;
}

/** What {@link Kernels.encodePages} did. */
export interface EncodedPages {
  /** Bytes of records at `out`. */
  readonly bytes: number;
  /** The first page that was not handled: `end`, or the dirty page whose record did not fit. */
  readonly next: number;
  readonly zeroPages: number;
  readonly normalPages: number;
  /** Whether a record with the name was written; from then on the block goes on with CONTINUE. */
  readonly nameSent: boolean;
}

/** Work for {@link Kernels.decodePages}. */
export interface DecodePages extends PageWindow {
  /** Pages in the window. */
  readonly pages: number;
  /** Where the records begin, */
  readonly input: number;
  /** and where the bytes at hand end. */
  readonly inputEnd: number;
  /** Bitmap of the window in which bits of placed pages are set; 0: none. */
  readonly received: number;
  /** Address of {@link RESULT_BYTES} bytes that the kernel may use to hand back its counts. */
  readonly result: number;
}

/** What {@link Kernels.decodePages} did. */
export interface DecodedPages {
  /** Bytes of input used up. */
  readonly bytes: number;
  readonly zeroPages: number;
  readonly normalPages: number;
}

/** Bytes that {@link EncodePages.result} and {@link DecodePages.result} point to. */
export const RESULT_BYTES = 20;

/** Most pages that one call with a mask as its result can look at. */
export const MASK_PAGES = 32;

/** Something with a buffer that may be replaced by a bigger one: a `WebAssembly.Memory`, or anything like it. */
export interface GrowableBuffer {
  readonly buffer: ArrayBufferLike;
}

/**
 * What the compiled module exports, and what the TypeScript twin offers in its place: the kernels with plain
 * numbers only and unchecked arguments. Counts of {@link RawKernels.encodePages} and `decodePages` come back as
 * little-endian u32 at `result`, in the order of {@link EncodedPages} and {@link DecodedPages}. Results are not
 * yet normalised to unsigned.
 */
export type RawKernels = Pick<
  Kernels,
  | "zeroPageMask"
  | "changedPageMask"
  | "hashPages64"
  | "hashPages128"
  | "xbzrleEncode"
  | "xbzrleDecode"
  | "bitmapCount"
  | "bitmapNextSet"
  | "bitmapNextClear"
  | "bitmapRuns"
  | "bitmapMergeClear"
  | "byteMapMerge"
  | "swap16"
  | "swap32"
  | "swap64"
> & {
  encodePages(
    bitmap: number,
    first: number,
    end: number,
    ram: number,
    pageSize: number,
    blockPage: number,
    name: number,
    out: number,
    outEnd: number,
    result: number,
  ): void;
  decodePages(
    input: number,
    inputEnd: number,
    ram: number,
    pageSize: number,
    blockPage: number,
    pages: number,
    received: number,
    result: number,
  ): void;
};
