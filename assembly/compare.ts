// Equality of whole pages in two regions (shadow compare). Read in ascending order, for the reason given in zero.ts.

import { equal128 } from "./vector";

/** Address of the first 128 bytes of [a, end) that differ from those at `b`, or `end`. */
function skipEqual(a: usize, b: usize, end: usize): usize {
  // By `!=`, since the end of a 4 GiB memory is address 0 again.
  while (a != end && equal128(a, b)) {
    a += 128;
    b += 128;
  }
  return a;
}

/** Bit i of the result: page i of `count` (at most 32) differs between `a` and `b`. */
export function changedPageMask(a: usize, b: usize, pageSize: u32, count: u32): u32 {
  const shift = <u32>ctz(pageSize);
  const end = a + (<usize>count << shift);
  let mask: u32 = 0;
  for (let page: u32 = 0; page < count; page++) {
    const at = <usize>page << shift;
    page = <u32>((skipEqual(a + at, b + at, end) - a) >>> shift);
    if (page < count) mask |= 1 << page;
  }
  return mask;
}
