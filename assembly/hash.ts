// Page hash of 64 or 128 bits. Not cryptographic: it finds changes, it does not resist an attacker.
//
// Four accumulators of two 64-bit lanes. Each stripe of 128 bytes is four pairs of vectors (x, y); keyed halves
// of x and y are multiplied 32 x 32 -> 64 bits into one accumulator, and x and y themselves are added to two
// others, so that a factor that happens to be zero hides nothing. What keeps the position of a word:
//   - the keys advance with every pair (a Weyl sequence in each 32-bit lane),
//   - every stripe rotates each accumulator by 40 of its 128 bits,
//   - every KiB (or page, if smaller) each lane is mixed: an xor-shift and an odd multiplication.
// Additive mixing alone collides on sparse pages, which random pages never show.

@inline const STRIPE: u32 = 128;
@inline const BLOCK: u32 = 1024;

@inline const FOLD: u64 = 0x9fb21c651e98df25;
@inline const FOLD_HIGH: u64 = 0xc2b2ae3d27d4eb4f;
@inline const FINISH: u64 = 0xd6e8feb86659fd93;

// Starting values are fractional digits of pi; the steps are odd in every lane.
const A0: v128 = i32x4(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344);
const A1: v128 = i32x4(0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89);
const A2: v128 = i32x4(0x452821e6, 0x38d01377, 0xbe5466cf, 0x34e90c6c);
const A3: v128 = i32x4(0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917);
const KEY_X: v128 = i32x4(0x9216d5d9, 0x8979fb1b, 0xd1310ba6, 0x98dfb5ac);
const KEY_Y: v128 = i32x4(0x2ffd72db, 0xd01adfb7, 0xb8e1afed, 0x6a267e96);
const STEP_X: v128 = i32x4(0xba7c9045, 0xf12c7f99, 0x24a19947, 0xb3916cf7);
const STEP_Y: v128 = i32x4(0x0801f2e3, 0x858efc17, 0x636920d9, 0x71574e69);

@inline
function rotate(v: v128): v128 {
  return v128.shuffle<u8>(v, v, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4);
}

@inline
function mix(v: v128): v128 {
  return i64x2.mul(v128.xor(v, i64x2.shr_u(v, 29)), i64x2.splat(FOLD));
}

/** Products of the 32-bit lanes of x and y, two and two added up. */
@inline
function products(x: v128, y: v128): v128 {
  return i64x2.add(i64x2.extmul_low_i32x4_u(x, y), i64x2.extmul_high_i32x4_u(x, y));
}

@inline
function fold(hash: u64, lane: u64, factor: u64): u64 {
  hash = (hash ^ lane) * factor;
  return hash ^ (hash >>> 32);
}

@inline
function finish(hash: u64): u64 {
  hash = (hash ^ (hash >>> 29)) * FINISH;
  return hash ^ (hash >>> 32);
}

/** Writes the hash of one page at `out`: 8 bytes, or 16 of which the first 8 are the same. */
function hashPage(page: usize, pageSize: u32, out: usize, wide: bool): void {
  let a0 = A0;
  let a1 = A1;
  let a2 = A2;
  let a3 = A3;
  let keyX = KEY_X;
  let keyY = KEY_Y;
  const block = min<u32>(pageSize, BLOCK);
  const end = page + pageSize;
  while (page != end) {
    const blockEnd = page + block;
    while (page != blockEnd) {
      let x = v128.load(page);
      let y = v128.load(page, 16);
      a0 = i64x2.add(a0, products(i32x4.add(x, keyX), i32x4.add(y, keyY)));
      a1 = i64x2.add(a1, x);
      a2 = i64x2.add(a2, y);
      keyX = i32x4.add(keyX, STEP_X);
      keyY = i32x4.add(keyY, STEP_Y);

      x = v128.load(page, 32);
      y = v128.load(page, 48);
      a1 = i64x2.add(a1, products(i32x4.add(x, keyX), i32x4.add(y, keyY)));
      a2 = i64x2.add(a2, x);
      a3 = i64x2.add(a3, y);
      keyX = i32x4.add(keyX, STEP_X);
      keyY = i32x4.add(keyY, STEP_Y);

      x = v128.load(page, 64);
      y = v128.load(page, 80);
      a2 = i64x2.add(a2, products(i32x4.add(x, keyX), i32x4.add(y, keyY)));
      a3 = i64x2.add(a3, x);
      a0 = i64x2.add(a0, y);
      keyX = i32x4.add(keyX, STEP_X);
      keyY = i32x4.add(keyY, STEP_Y);

      x = v128.load(page, 96);
      y = v128.load(page, 112);
      a3 = i64x2.add(a3, products(i32x4.add(x, keyX), i32x4.add(y, keyY)));
      a0 = i64x2.add(a0, x);
      a1 = i64x2.add(a1, y);
      keyX = i32x4.add(keyX, STEP_X);
      keyY = i32x4.add(keyY, STEP_Y);

      a0 = rotate(a0);
      a1 = rotate(a1);
      a2 = rotate(a2);
      a3 = rotate(a3);
      page += STRIPE;
    }
    a0 = mix(a0);
    a1 = mix(a1);
    a2 = mix(a2);
    a3 = mix(a3);
  }
  const l0 = i64x2.extract_lane(a0, 0);
  const l1 = i64x2.extract_lane(a0, 1);
  const l2 = i64x2.extract_lane(a1, 0);
  const l3 = i64x2.extract_lane(a1, 1);
  const l4 = i64x2.extract_lane(a2, 0);
  const l5 = i64x2.extract_lane(a2, 1);
  const l6 = i64x2.extract_lane(a3, 0);
  const l7 = i64x2.extract_lane(a3, 1);
  let hash = <u64>pageSize;
  hash = fold(hash, l0, FOLD);
  hash = fold(hash, l1, FOLD);
  hash = fold(hash, l2, FOLD);
  hash = fold(hash, l3, FOLD);
  hash = fold(hash, l4, FOLD);
  hash = fold(hash, l5, FOLD);
  hash = fold(hash, l6, FOLD);
  hash = fold(hash, l7, FOLD);
  store<u64>(out, finish(hash));
  if (!wide) return;
  hash = <u64>pageSize;
  hash = fold(hash, l7, FOLD_HIGH);
  hash = fold(hash, l6, FOLD_HIGH);
  hash = fold(hash, l5, FOLD_HIGH);
  hash = fold(hash, l4, FOLD_HIGH);
  hash = fold(hash, l3, FOLD_HIGH);
  hash = fold(hash, l2, FOLD_HIGH);
  hash = fold(hash, l1, FOLD_HIGH);
  hash = fold(hash, l0, FOLD_HIGH);
  store<u64>(out, finish(hash), 8);
}

/** Writes the 64-bit hash of each of `count` pages, little-endian, at `out`. */
export function hashPages64(src: usize, pageSize: u32, count: u32, out: usize): void {
  for (; count > 0; count--) {
    hashPage(src, pageSize, out, false);
    src += pageSize;
    out += 8;
  }
}

/** Writes the 128-bit hash of each of `count` pages, little-endian, at `out`. */
export function hashPages128(src: usize, pageSize: u32, count: u32, out: usize): void {
  for (; count > 0; count--) {
    hashPage(src, pageSize, out, true);
    src += pageSize;
    out += 16;
  }
}
