// Byte order of whole arrays. `target` and `source` are the same address, or their regions do not overlap.

@inline
function swapLanes16(v: v128): v128 {
  return v128.shuffle<u8>(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

@inline
function swapLanes32(v: v128): v128 {
  return v128.shuffle<u8>(v, v, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

@inline
function swapLanes64(v: v128): v128 {
  return v128.shuffle<u8>(v, v, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
}

/** Reverses the bytes of each of `count` 16-bit words. */
export function swap16(target: usize, source: usize, count: u32): void {
  for (; count >= 8; count -= 8) {
    v128.store(target, swapLanes16(v128.load(source)));
    target += 16;
    source += 16;
  }
  for (; count > 0; count--) {
    store<u16>(target, bswap<u16>(load<u16>(source)));
    target += 2;
    source += 2;
  }
}

/** Reverses the bytes of each of `count` 32-bit words. */
export function swap32(target: usize, source: usize, count: u32): void {
  for (; count >= 4; count -= 4) {
    v128.store(target, swapLanes32(v128.load(source)));
    target += 16;
    source += 16;
  }
  for (; count > 0; count--) {
    store<u32>(target, bswap<u32>(load<u32>(source)));
    target += 4;
    source += 4;
  }
}

/** Reverses the bytes of each of `count` 64-bit words. */
export function swap64(target: usize, source: usize, count: u32): void {
  for (; count >= 2; count -= 2) {
    v128.store(target, swapLanes64(v128.load(source)));
    target += 16;
    source += 16;
  }
  if (count > 0) store<u64>(target, bswap<u64>(load<u64>(source)));
}
