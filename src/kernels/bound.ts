import {
  MASK_PAGES,
  RESULT_BYTES,
  type DecodedPages,
  type DecodePages,
  type EncodedPages,
  type EncodePages,
  type GrowableBuffer,
  type Kernels,
  type RawKernels,
} from "./types.js";

/**
 * Raw kernels and the memory they are bound to: checks arguments once for both implementations, and makes results
 * unsigned. A check costs a few nanoseconds: the length of the memory is only asked for again when an argument
 * lies behind the last known one, since memories never shrink.
 */
export class BoundKernels implements Kernels {
  readonly implementation: "wasm" | "js";
  readonly fallbackCause: unknown;
  readonly #raw: RawKernels;
  readonly #memory: GrowableBuffer;
  #byteLength = 0;

  constructor(implementation: "wasm" | "js", raw: RawKernels, memory: GrowableBuffer, fallbackCause?: unknown) {
    this.implementation = implementation;
    this.fallbackCause = fallbackCause;
    this.#raw = raw;
    this.#memory = memory;
  }

  get buffer(): ArrayBufferLike {
    return this.#memory.buffer;
  }

  zeroPageMask(src: number, pageSize: number, count: number): number {
    checkPageSize(pageSize);
    checkMaskCount(count);
    this.#check(src, pageSize * count);
    return this.#raw.zeroPageMask(src, pageSize, count) >>> 0;
  }

  changedPageMask(a: number, b: number, pageSize: number, count: number): number {
    checkPageSize(pageSize);
    checkMaskCount(count);
    this.#check(a, pageSize * count);
    this.#check(b, pageSize * count);
    return this.#raw.changedPageMask(a, b, pageSize, count) >>> 0;
  }

  hashPages64(src: number, pageSize: number, count: number, out: number): void {
    checkPageSize(pageSize);
    checkCount(count);
    this.#check(src, pageSize * count);
    this.#check(out, 8 * count);
    this.#raw.hashPages64(src, pageSize, count, out);
  }

  hashPages128(src: number, pageSize: number, count: number, out: number): void {
    checkPageSize(pageSize);
    checkCount(count);
    this.#check(src, pageSize * count);
    this.#check(out, 16 * count);
    this.#raw.hashPages128(src, pageSize, count, out);
  }

  xbzrleEncode(oldPage: number, newPage: number, length: number, out: number, capacity: number): number {
    checkXbzrleLength(length);
    this.#check(oldPage, length);
    this.#check(newPage, length);
    this.#check(out, capacity);
    return this.#raw.xbzrleEncode(oldPage, newPage, length, out, capacity) | 0;
  }

  xbzrleDecode(src: number, length: number, page: number, pageSize: number): number {
    checkXbzrleLength(pageSize);
    this.#check(src, length);
    this.#check(page, pageSize);
    return this.#raw.xbzrleDecode(src, length, page, pageSize) | 0;
  }

  bitmapCount(bitmap: number, from: number, end: number): number {
    this.#checkBits(bitmap, from, end);
    return this.#raw.bitmapCount(bitmap, from, end) >>> 0;
  }

  bitmapNextSet(bitmap: number, from: number, end: number): number {
    this.#checkBits(bitmap, from, end);
    return this.#raw.bitmapNextSet(bitmap, from, end) >>> 0;
  }

  bitmapNextClear(bitmap: number, from: number, end: number): number {
    this.#checkBits(bitmap, from, end);
    return this.#raw.bitmapNextClear(bitmap, from, end) >>> 0;
  }

  bitmapRuns(bitmap: number, from: number, end: number, out: number, capacity: number): number {
    this.#checkBits(bitmap, from, end);
    checkCount(capacity);
    this.#check(out, 8 * capacity);
    return this.#raw.bitmapRuns(bitmap, from, end, out, capacity) >>> 0;
  }

  bitmapMergeClear(target: number, source: number, bits: number): number {
    this.#checkBits(target, 0, bits);
    this.#checkBits(source, 0, bits);
    return this.#raw.bitmapMergeClear(target, source, bits) >>> 0;
  }

  byteMapMerge(bitmap: number, marks: number, count: number, clear: boolean): number {
    this.#checkBits(bitmap, 0, count);
    this.#check(marks, count);
    return this.#raw.byteMapMerge(bitmap, marks, count, clear) >>> 0;
  }

  swap16(target: number, source: number, count: number): void {
    this.#checkArrays(target, source, 2, count);
    this.#raw.swap16(target, source, count);
  }

  swap32(target: number, source: number, count: number): void {
    this.#checkArrays(target, source, 4, count);
    this.#raw.swap32(target, source, count);
  }

  swap64(target: number, source: number, count: number): void {
    this.#checkArrays(target, source, 8, count);
    this.#raw.swap64(target, source, count);
  }

  encodePages(job: EncodePages): EncodedPages {
    const { bitmap, first, end, ram, pageSize, blockPage, name, out, outEnd, result } = job;
    checkPageSize(pageSize);
    checkCount(blockPage);
    this.#checkBits(bitmap, first, end);
    this.#check(ram, pageSize * end);
    this.#check(out, outEnd - out);
    this.#check(result, RESULT_BYTES);
    if (name !== 0) {
      this.#check(name, 1);
      this.#check(name, 1 + new Uint8Array(this.buffer, name, 1)[0]);
    }
    this.#raw.encodePages(bitmap, first, end, ram, pageSize, blockPage, name, out, outEnd, result);
    const words = new DataView(this.buffer, result, RESULT_BYTES);
    return {
      bytes: words.getUint32(0, true),
      next: words.getUint32(4, true),
      zeroPages: words.getUint32(8, true),
      normalPages: words.getUint32(12, true),
      nameSent: words.getUint32(16, true) !== 0,
    };
  }

  decodePages(job: DecodePages): DecodedPages {
    const { input, inputEnd, ram, pageSize, blockPage, pages, received, result } = job;
    checkPageSize(pageSize);
    checkCount(blockPage);
    checkCount(pages);
    this.#check(input, inputEnd - input);
    this.#check(ram, pageSize * pages);
    this.#check(result, RESULT_BYTES);
    if (received !== 0) this.#checkBits(received, 0, pages);
    this.#raw.decodePages(input, inputEnd, ram, pageSize, blockPage, pages, received, result);
    const words = new DataView(this.buffer, result, RESULT_BYTES);
    return {
      bytes: words.getUint32(0, true),
      zeroPages: words.getUint32(4, true),
      normalPages: words.getUint32(8, true),
    };
  }

  /** Does [address, address + length) lie in the memory? The conditions are false for NaN, too. */
  #check(address: number, length: number): void {
    const end = address + length;
    if (length >= 0 && Number.isInteger(length) && address >>> 0 === address) {
      if (end <= this.#byteLength) return;
      this.#byteLength = this.#memory.buffer.byteLength;
      if (end <= this.#byteLength) return;
    }
    throw new RangeError(
      `Cannot use ${length} bytes at address ${address}: the memory has ${this.#memory.buffer.byteLength} bytes`,
    );
  }

  #checkBits(bitmap: number, from: number, end: number): void {
    if (from >>> 0 !== from || end >>> 0 !== end || from > end) {
      throw new RangeError(`Cannot use bits ${from} to ${end}: want 0 <= from <= end < 2^32`);
    }
    this.#check(bitmap, Math.ceil(end / 8));
  }

  #checkArrays(target: number, source: number, width: number, count: number): void {
    checkCount(count);
    const bytes = width * count;
    this.#check(target, bytes);
    this.#check(source, bytes);
    if (target !== source && target < source + bytes && source < target + bytes) {
      throw new RangeError(`Cannot swap ${bytes} bytes from ${source} to ${target}: the regions overlap`);
    }
  }
}

function checkPageSize(pageSize: number): void {
  if (pageSize >>> 0 !== pageSize || pageSize < 256 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0) {
    throw new RangeError(`Page size must be a power of two from 256 to 65536: ${pageSize}`);
  }
}

function checkCount(count: number): void {
  if (count >>> 0 !== count) throw new RangeError(`Count must be an integer from 0 to 2^32 - 1: ${count}`);
}

function checkMaskCount(count: number): void {
  if (count >>> 0 !== count || count > MASK_PAGES) {
    throw new RangeError(`Page count must be an integer from 0 to ${MASK_PAGES}: ${count}`);
  }
}

/** Far more than any page: keeps results within the range of a signed word. */
function checkXbzrleLength(length: number): void {
  if (length >>> 0 !== length || length > 1 << 30) {
    throw new RangeError(`Length must be an integer from 0 to 2^30: ${length}`);
  }
}
