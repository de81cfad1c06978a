import type { Views } from "./views.js";

// The scheme is described beside the SIMD kernel, assembly/hash.ts. A vector is four words here, and a 64-bit lane
// two, low then high.

const STRIPE = 128;
const PAIRS = 4;

type U64 = readonly [low: number, high: number];

const FOLD_A: U64 = [0x1e98df25, 0x9fb21c65];
const FOLD_B: U64 = [0x27d4eb4f, 0xc2b2ae3d];
const FINISH: U64 = [0x6659fd93, 0xd6e8feb8];

/** Four words of a, four of b, for each pair. */
// prettier-ignore
const START = [
  0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89,
  0x452821e6, 0x38d01377, 0xbe5466cf, 0x34e90c6c, 0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917,
  0x9216d5d9, 0x8979fb1b, 0xd1310ba6, 0x98dfb5ac, 0x2ffd72db, 0xd01adfb7, 0xb8e1afed, 0x6a267e96,
  0xba7c9045, 0xf12c7f99, 0x24a19947, 0xb3916cf7, 0x0801f2e3, 0x858efc17, 0x636920d9, 0x71574e69,
];
const M0 = 0x9e3779b1;
const M1 = 0x85ebca77;
const M2 = 0xc2b2ae3d;
const M3 = 0x27d4eb2f;

/**
 * Takes every `stride`-th pair of vectors from `at` on, up to `end`, into the pair of accumulators at `pair`. One
 * pair at a time, since eight words are few enough to stay in registers.
 */
function absorb(data: DataView, at: number, end: number, stride: number, sums: Int32Array, pair: number): void {
  let a0 = sums[pair];
  let a1 = sums[pair + 1];
  let a2 = sums[pair + 2];
  let a3 = sums[pair + 3];
  let b0 = sums[pair + 4];
  let b1 = sums[pair + 5];
  let b2 = sums[pair + 6];
  let b3 = sums[pair + 7];
  for (; at < end; at += stride) {
    const x0 = data.getInt32(at, true);
    const x1 = data.getInt32(at + 4, true);
    const x2 = data.getInt32(at + 8, true);
    const x3 = data.getInt32(at + 12, true);
    const y0 = data.getInt32(at + 16, true);
    const y1 = data.getInt32(at + 20, true);
    const y2 = data.getInt32(at + 24, true);
    const y3 = data.getInt32(at + 28, true);

    const p0 = (a0 + x0) | 0;
    const p1 = (a1 + x1) | 0;
    const p2 = (a2 + x2) | 0;
    const p3 = (a3 + x3) | 0;
    a0 = Math.imul((p1 >>> 16) | (p2 << 16), M0) ^ y0;
    a1 = Math.imul((p2 >>> 16) | (p3 << 16), M1) ^ y1;
    a2 = Math.imul((p3 >>> 16) | (p0 << 16), M2) ^ y2;
    a3 = Math.imul((p0 >>> 16) | (p1 << 16), M3) ^ y3;

    const q0 = (b0 + y0) | 0;
    const q1 = (b1 + y1) | 0;
    const q2 = (b2 + y2) | 0;
    const q3 = (b3 + y3) | 0;
    b0 = Math.imul((q2 >>> 24) | (q3 << 8), M0) ^ x0;
    b1 = Math.imul((q3 >>> 24) | (q0 << 8), M1) ^ x1;
    b2 = Math.imul((q0 >>> 24) | (q1 << 8), M2) ^ x2;
    b3 = Math.imul((q1 >>> 24) | (q2 << 8), M3) ^ x3;
  }
  sums[pair] = a0;
  sums[pair + 1] = a1;
  sums[pair + 2] = a2;
  sums[pair + 3] = a3;
  sums[pair + 4] = b0;
  sums[pair + 5] = b1;
  sums[pair + 6] = b2;
  sums[pair + 7] = b3;
}

/** High half of the 64-bit product of two 32-bit words. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = ((middle & 0xffff) + aLow * bHigh) >>> 16;
  return aHigh * bHigh + (middle >>> 16) + carry;
}

/** lanes[i, i + 1] *= factor */
function mul64(lanes: Uint32Array, i: number, factor: U64): void {
  const low = lanes[i];
  const high = lanes[i + 1];
  lanes[i] = Math.imul(low, factor[0]);
  lanes[i + 1] = mulHigh(low, factor[0]) + Math.imul(low, factor[1]) + Math.imul(high, factor[0]);
}

/** hash[i, i + 1] takes in the 64-bit lane of `sums` at `lane`. */
function fold(hash: Uint32Array, i: number, sums: Int32Array, lane: number, factor: U64): void {
  hash[i] ^= sums[lane];
  hash[i + 1] ^= sums[lane + 1];
  mul64(hash, i, factor);
  hash[i] ^= hash[i + 1];
}

/** Buffers of one call: the accumulators, as words and as bytes to be absorbed, and two hashes in the making. */
class Scratch {
  readonly sums = new Int32Array(8 * PAIRS);
  readonly hash = new Uint32Array(4);
  readonly data = new DataView(new ArrayBuffer(32));

  /** The pair of accumulators `from` goes into the pair `into`. */
  merge(into: number, from: number): void {
    for (let i = 0; i < 8; i++) this.data.setInt32(i * 4, this.sums[from * 8 + i], true);
    absorb(this.data, 0, 32, 32, this.sums, into * 8);
  }

  /** Writes 64 bits of the 64-bit lanes at a, b, c and d of the accumulators. */
  finish(
    pageSize: number,
    [a, b, c, d]: readonly number[],
    factor: U64,
    other: U64,
    target: DataView,
    out: number,
  ): void {
    const { hash, sums } = this;
    hash[0] = hash[2] = pageSize;
    hash[1] = hash[3] = 0;
    fold(hash, 0, sums, a, factor);
    fold(hash, 0, sums, b, factor);
    fold(hash, 2, sums, c, other);
    fold(hash, 2, sums, d, other);
    const low = hash[0] + hash[2];
    const high = (hash[1] + hash[3] + (low > 0xffffffff ? 1 : 0)) | 0;
    hash[0] = low ^ ((low >>> 29) | (high << 3));
    hash[1] = high ^ (high >>> 29);
    mul64(hash, 0, FINISH);
    target.setUint32(out, hash[0] ^ hash[1], true);
    target.setUint32(out + 4, hash[1], true);
  }
}

/** Lanes of a, then of b, by the index of their low word. */
const LANES = [0, 2, 4, 6];
const LANES_HIGH = [6, 0, 2, 4];

/** Hashes `count` pages, `width` (8 or 16) bytes each. */
export function hashPages(
  { data }: Views,
  src: number,
  pageSize: number,
  count: number,
  out: number,
  width: number,
): void {
  const scratch = new Scratch();
  const { sums } = scratch;
  for (let page = 0; page < count; page++, src += pageSize, out += width) {
    sums.set(START);
    for (let pair = 0; pair < PAIRS; pair++) absorb(data, src + pair * 32, src + pageSize, STRIPE, sums, pair * 8);
    scratch.merge(0, 2);
    scratch.merge(1, 3);
    scratch.merge(0, 1);
    scratch.finish(pageSize, LANES, FOLD_A, FOLD_B, data, out);
    if (width === 16) scratch.finish(pageSize, LANES_HIGH, FOLD_B, FOLD_A, data, out + 8);
  }
}
