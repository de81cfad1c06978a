// Equality of whole pages in two regions (shadow compare).

import { equal128, xor64 } from "./vector";

/** Differences in the first, the middle and the last word. */
@inline
function sample(a: usize, b: usize, pageSize: u32): u64 {
  const middle = <usize>(pageSize >>> 1);
  const last = <usize>pageSize - 8;
  return (
    (load<u64>(a) ^ load<u64>(b)) |
    (load<u64>(a + middle) ^ load<u64>(b + middle)) |
    (load<u64>(a + last) ^ load<u64>(b + last))
  );
}

/** Does [a, end) differ from the bytes at `b`? By `!=`, since the end of a 4 GiB memory is address 0 again. */
function differs(a: usize, b: usize, end: usize): bool {
  while (a != end) {
    if (!equal128(a, b)) return true;
    a += 128;
    b += 128;
  }
  return false;
}

/** Bits 0 and 1: which of two adjacent pages differ. In lock step, for the reason given in `zeroMask4`. */
function changedMask2(a: usize, b: usize, pageSize: u32): u32 {
  const a2 = a + pageSize;
  const b2 = b + pageSize;
  const s1 = sample(a, b, pageSize);
  const s2 = sample(a2, b2, pageSize);
  let at: usize = 0;
  if ((s1 | s2) == 0) {
    while (at < pageSize) {
      if (v128.any_true(v128.or(xor64(a + at, b + at), xor64(a2 + at, b2 + at)))) break;
      at += 64;
    }
    if (at == pageSize) return 0;
    at &= ~127; // differs() goes by 128 bytes
  }
  let mask: u32 = 0;
  if (s1 != 0 || differs(a + at, b + at, a2)) mask |= 1;
  if (s2 != 0 || differs(a2 + at, b2 + at, a2 + pageSize)) mask |= 2;
  return mask;
}

/** Bit i of the result: page i of `count` (at most 32) differs between `a` and `b`. */
export function changedPageMask(a: usize, b: usize, pageSize: u32, count: u32): u32 {
  let mask: u32 = 0;
  let i: u32 = 0;
  for (; i + 2 <= count; i += 2) {
    mask |= changedMask2(a, b, pageSize) << i;
    a += pageSize << 1;
    b += pageSize << 1;
  }
  if (i < count && (sample(a, b, pageSize) != 0 || differs(a, b, a + pageSize))) mask |= 1 << i;
  return mask;
}
