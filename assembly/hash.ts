// Page hash of 64 or 128 bits. Not cryptographic: it finds changes, it does not resist an attacker.
//
// Four pairs of accumulators (a, b) of four 32-bit lanes. Each stripe of 128 bytes is four pairs of vectors (x, y),
// one for each pair of accumulators:
//
//   a = turn6(a + x) * M ^ y        turn: rotation of all 16 bytes, to the right by 6 or by 11 bytes
//   b = turn11(b + y) * M ^ x       + and *: lane by lane, M is odd
//
// Either line can be undone, so a change of one vector never gets lost, and what came before goes through one more
// rotation and multiplication with every stripe, which keeps the position of a word. A second change may cancel the
// first in a or in b: a few high bits of a lane pass a multiplication as a few high bits. It does not do so in both,
// since the rotations bring the first change to different lanes: that is why each vector goes into both lines. No
// sum, difference or double of the rotations is a whole turn (with 5 and 11, changes of x and y cancelled each other).
//
// At the end the pairs go into each other by the same step, then two 64-bit lanes of a and two of b are multiplied
// together. Additive mixing alone collides on sparse pages, which random pages never show.

@inline const HALF_STRIPE: u32 = 64;

@inline const FOLD_A: u64 = 0x9fb21c651e98df25;
@inline const FOLD_B: u64 = 0xc2b2ae3d27d4eb4f;
@inline const FINISH: u64 = 0xd6e8feb86659fd93;

// Starting values are fractional digits of pi, the multipliers primes of XXH32.
const A0: v128 = i32x4(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344);
const B0: v128 = i32x4(0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89);
const A1: v128 = i32x4(0x452821e6, 0x38d01377, 0xbe5466cf, 0x34e90c6c);
const B1: v128 = i32x4(0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917);
const A2: v128 = i32x4(0x9216d5d9, 0x8979fb1b, 0xd1310ba6, 0x98dfb5ac);
const B2: v128 = i32x4(0x2ffd72db, 0xd01adfb7, 0xb8e1afed, 0x6a267e96);
const A3: v128 = i32x4(0xba7c9045, 0xf12c7f99, 0x24a19947, 0xb3916cf7);
const B3: v128 = i32x4(0x0801f2e3, 0x858efc17, 0x636920d9, 0x71574e69);
const MULTIPLIER: v128 = i32x4(0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f);

@inline
function turn6(v: v128): v128 {
  return v128.shuffle<u8>(v, v, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5);
}

@inline
function turn11(v: v128): v128 {
  return v128.shuffle<u8>(v, v, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
}

@inline
function stepA(a: v128, x: v128, y: v128, m: v128): v128 {
  return v128.xor(i32x4.mul(turn6(i32x4.add(a, x)), m), y);
}

@inline
function stepB(b: v128, x: v128, y: v128, m: v128): v128 {
  return v128.xor(i32x4.mul(turn11(i32x4.add(b, y)), m), x);
}

@inline
function fold(hash: u64, lane: u64, factor: u64): u64 {
  hash = (hash ^ lane) * factor;
  return hash ^ (hash >>> 32);
}

/** 64 bits of four lanes: two chains, so that one multiplication need not wait for the other. */
@inline
function finish(pageSize: u32, a: u64, b: u64, c: u64, d: u64, factor: u64, other: u64): u64 {
  let hash = fold(fold(pageSize, a, factor), b, factor) + fold(fold(pageSize, c, other), d, other);
  hash = (hash ^ (hash >>> 29)) * FINISH;
  return hash ^ (hash >>> 32);
}

/** Writes the hash of one page at `out`: 8 bytes, or 16 of which the first 8 are the same. */
@inline
function hashPage(page: usize, pageSize: u32, out: usize, wide: bool): void {
  let a0 = A0;
  let b0 = B0;
  let a1 = A1;
  let b1 = B1;
  let a2 = A2;
  let b2 = B2;
  let a3 = A3;
  let b3 = B3;
  // The exclusive or is with zero. Engines (V8 13) build a constant anew for each use, at half the speed of the
  // whole, but keep in a register what they have to compute.
  const m = v128.xor(MULTIPLIER, i32x4.splat(pageSize >>> 31));
  const end = page + pageSize;
  while (true) {
    let x = v128.load(page);
    let y = v128.load(page, 16);
    a0 = stepA(a0, x, y, m);
    b0 = stepB(b0, x, y, m);
    x = v128.load(page, 32);
    y = v128.load(page, 48);
    a1 = stepA(a1, x, y, m);
    b1 = stepB(b1, x, y, m);
    page += HALF_STRIPE;
    // Never taken, a page being whole stripes: it keeps the loads of the other half behind it. All eight at once and
    // eight accumulators are more than there are registers.
    if (page == end) break;

    x = v128.load(page);
    y = v128.load(page, 16);
    a2 = stepA(a2, x, y, m);
    b2 = stepB(b2, x, y, m);
    x = v128.load(page, 32);
    y = v128.load(page, 48);
    a3 = stepA(a3, x, y, m);
    b3 = stepB(b3, x, y, m);
    page += HALF_STRIPE;
    if (page == end) break;
  }
  const a02 = stepA(a0, a2, b2, m);
  const b02 = stepB(b0, a2, b2, m);
  const a13 = stepA(a1, a3, b3, m);
  const b13 = stepB(b1, a3, b3, m);
  const a = stepA(a02, a13, b13, m);
  const b = stepB(b02, a13, b13, m);
  const l0 = i64x2.extract_lane(a, 0);
  const l1 = i64x2.extract_lane(a, 1);
  const l2 = i64x2.extract_lane(b, 0);
  const l3 = i64x2.extract_lane(b, 1);
  store<u64>(out, finish(pageSize, l0, l1, l2, l3, FOLD_A, FOLD_B));
  if (wide) store<u64>(out, finish(pageSize, l3, l0, l1, l2, FOLD_B, FOLD_A), 8);
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
