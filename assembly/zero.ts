// Zero test of whole pages. A page is a power of two of at least 256 bytes, so no loop here has a tail.
// All loads are unaligned loads: guest RAM may begin anywhere.

import { isZero128, or64 } from "./vector";

/** OR of the first, the middle and the last word: settles almost every non-zero page without a scan. */
@inline
function sample(page: usize, pageSize: u32): u64 {
  return load<u64>(page) | load<u64>(page + (pageSize >>> 1)) | load<u64>(page + pageSize - 8);
}

/** Is all of [p, end) zero? By `!=`, since the end of a 4 GiB memory is address 0 again. */
function isZeroRange(p: usize, end: usize): bool {
  while (p != end) {
    if (!isZero128(p)) return false;
    p += 128;
  }
  return true;
}

export function isZeroPage(page: usize, pageSize: u32): bool {
  return sample(page, pageSize) == 0 && isZeroRange(page, page + pageSize);
}

/**
 * Bits 0 to 3: which of four adjacent pages are zero. While all may be zero they are read in lock step: the
 * hardware prefetcher stops at 4 KiB boundaries, so four streams hide the latency that one stream pays.
 */
export function zeroMask4(page: usize, pageSize: u32): u32 {
  const second = page + pageSize;
  const third = second + pageSize;
  const fourth = third + pageSize;
  const s0 = sample(page, pageSize);
  const s1 = sample(second, pageSize);
  const s2 = sample(third, pageSize);
  const s3 = sample(fourth, pageSize);
  let at: usize = 0;
  if ((s0 | s1 | s2 | s3) == 0) {
    while (at < pageSize) {
      const all = v128.or(
        v128.or(or64(page + at), or64(second + at)),
        v128.or(or64(third + at), or64(fourth + at)),
      );
      if (v128.any_true(all)) break;
      at += 64;
    }
    if (at == pageSize) return 15;
    at &= ~127; // isZeroRange goes by 128 bytes
  }
  let mask: u32 = 0;
  if (s0 == 0 && isZeroRange(page + at, second)) mask |= 1;
  if (s1 == 0 && isZeroRange(second + at, third)) mask |= 2;
  if (s2 == 0 && isZeroRange(third + at, fourth)) mask |= 4;
  if (s3 == 0 && isZeroRange(fourth + at, fourth + pageSize)) mask |= 8;
  return mask;
}

/** Bit i of the result: page i of `count` (at most 32) at `src` is zero. */
export function zeroPageMask(src: usize, pageSize: u32, count: u32): u32 {
  let mask: u32 = 0;
  let i: u32 = 0;
  for (; i + 4 <= count; i += 4) {
    mask |= zeroMask4(src, pageSize) << i;
    src += pageSize << 2;
  }
  for (; i < count; i++) {
    if (isZeroPage(src, pageSize)) mask |= 1 << i;
    src += pageSize;
  }
  return mask;
}
