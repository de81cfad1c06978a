// Zero test of whole pages. A page is a power of two of at least 256 bytes, so no loop here has a tail.
// All loads are unaligned loads: guest RAM may begin anywhere.
//
// Memory is read once, in ascending order and across page boundaries. Looking at the middle and the end of a page
// first, or at several pages in lock step, keeps the prefetcher of some cores from running ahead: on a Zen 4 the one
// costs a tenth and the other a quarter of the bandwidth of cold memory. A page that is not zero ends with its first
// non-zero byte, and most have one early.

import { isZero128 } from "./vector";

/** Address of the first 128 bytes of [p, end) that are not all zero, or `end`. */
function skipZeros(p: usize, end: usize): usize {
  // By `!=`, since the end of a 4 GiB memory is address 0 again.
  while (p != end && isZero128(p)) p += 128;
  return p;
}

export function isZeroPage(page: usize, pageSize: u32): bool {
  const end = page + pageSize;
  return load<u64>(page) == 0 && skipZeros(page, end) == end;
}

/** Bit i of the result: page i of `count` (at most 32) at `src` is zero. */
export function zeroPageMask(src: usize, pageSize: u32, count: u32): u32 {
  const shift = <u32>ctz(pageSize);
  const end = src + (<usize>count << shift);
  let mask: u64 = 0;
  for (let page: u32 = 0; page < count; page++) {
    const nonZero = <u32>((skipZeros(src + (<usize>page << shift), end) - src) >>> shift);
    mask |= ((<u64>1) << nonZero) - ((<u64>1) << page);
    page = nonZero;
  }
  return <u32>mask;
}
