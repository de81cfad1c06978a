/** Sizes of target pages, in bytes: the flags of a page record need the low 8 bits, and no CPU has more than 64 KiB. */

export const SMALLEST_PAGE = 256;
export const LARGEST_PAGE = 64 << 10;

/** True for a power of two from 256 to 65536. */
export function isTargetPageSize(bytes: number): boolean {
  return bytes >= SMALLEST_PAGE && bytes <= LARGEST_PAGE && Number.isInteger(Math.log2(bytes));
}
