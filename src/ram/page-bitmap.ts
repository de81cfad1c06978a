import type { Arena, ArenaWindow } from "../kernels/index.js";

/**
 * One bit per target page of a block, in the arena of a run, where the kernels reach it: page p is bit p % 8 of
 * byte p / 8. Ranges are given as first page and page behind the last.
 */
export class PageBitmap {
  readonly pages: number;
  readonly #arena: Arena;
  readonly #window: ArenaWindow;

  constructor(arena: Arena, name: string, pages: number) {
    this.pages = pages;
    this.#arena = arena;
    this.#window = arena.reserve(`bitmap of ${name}`, bitmapBytes(pages));
    this.bytes().fill(0);
  }

  /** Address in the arena, for kernels. */
  get address(): number {
    return this.#window.address;
  }

  /** The bytes, valid until the arena grows; as long as QEMU's: a multiple of 8. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#arena.bytes(this.#window);
  }

  has(page: number): boolean {
    return this.#arena.kernels.bitmapNextSet(this.address, page, page + 1) === page;
  }

  /** First set page in [from, end), or `end`. */
  nextSet(from: number, end = this.pages): number {
    return this.#arena.kernels.bitmapNextSet(this.address, from, end);
  }

  /** First clear page in [from, end), or `end`. */
  nextClear(from: number, end = this.pages): number {
    return this.#arena.kernels.bitmapNextClear(this.address, from, end);
  }

  /** Set pages in [from, end). */
  count(from = 0, end = this.pages): number {
    return this.#arena.kernels.bitmapCount(this.address, from, end);
  }

  setRange(first: number, end: number): void {
    fillBits(this.bytes(), first, end, true);
  }

  clearRange(first: number, end: number): void {
    fillBits(this.bytes(), first, end, false);
  }

  /** Give the memory back to the arena. */
  release(): void {
    this.#arena.release(this.#window);
  }
}

/** Bytes of a bitmap of `pages` bits, rounded up to whole 64-bit words as on QEMU's hosts. */
export function bitmapBytes(pages: number): number {
  return Math.ceil(pages / 64) * 8;
}

/** Set or clear the bits [first, end) of a little-endian bitmap. */
export function fillBits(bytes: Uint8Array, first: number, end: number, value: boolean): void {
  if (first >= end) return;
  const head = Math.floor(first / 8);
  const tail = Math.floor((end - 1) / 8);
  const headMask = (0xff << (first % 8)) & 0xff;
  const tailMask = 0xff >> (7 - ((end - 1) % 8));
  const apply = (at: number, mask: number): void => {
    bytes[at] = value ? bytes[at] | mask : bytes[at] & ~mask;
  };
  if (head === tail) {
    apply(head, headMask & tailMask);
    return;
  }
  apply(head, headMask);
  bytes.fill(value ? 0xff : 0, head + 1, tail);
  apply(tail, tailMask);
}
