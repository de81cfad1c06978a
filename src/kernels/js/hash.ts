import type { Views } from "./views.js";

// The scheme is described beside the SIMD kernel, assembly/hash.ts. A 64-bit lane is two words here, low then high.

const STRIPE = 128;
const BLOCK = 1024;

type U64 = readonly [low: number, high: number];

const FOLD: U64 = [0x1e98df25, 0x9fb21c65];
const FOLD_HIGH: U64 = [0x27d4eb4f, 0xc2b2ae3d];
const FINISH: U64 = [0x6659fd93, 0xd6e8feb8];

// prettier-ignore
const START = [
  0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89,
  0x452821e6, 0x38d01377, 0xbe5466cf, 0x34e90c6c, 0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917,
];
const KEY_X = [0x9216d5d9, 0x8979fb1b, 0xd1310ba6, 0x98dfb5ac];
const KEY_Y = [0x2ffd72db, 0xd01adfb7, 0xb8e1afed, 0x6a267e96];
const STEP_X = [0xba7c9045, 0xf12c7f99, 0x24a19947, 0xb3916cf7];
const STEP_Y = [0x0801f2e3, 0x858efc17, 0x636920d9, 0x71574e69];

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

/** lanes[i, i + 1] += (low, high) */
function add64(lanes: Uint32Array, i: number, low: number, high: number): void {
  const sum = lanes[i] + low;
  lanes[i] = sum;
  lanes[i + 1] += high + (sum >= 0x100000000 ? 1 : 0);
}

/** lanes[i, i + 1] *= factor */
function mul64(lanes: Uint32Array, i: number, factor: U64): void {
  const low = lanes[i];
  const high = lanes[i + 1];
  lanes[i] = Math.imul(low, factor[0]);
  lanes[i + 1] = mulHigh(low, factor[0]) + Math.imul(low, factor[1]) + Math.imul(high, factor[0]);
}

/** lanes[i, i + 1] ^= itself >>> shift, for a shift up to 32 */
function xorShift(lanes: Uint32Array, i: number, shift: number): void {
  const high = lanes[i + 1];
  if (shift === 32) {
    lanes[i] ^= high;
  } else {
    lanes[i] ^= (lanes[i] >>> shift) | (high << (32 - shift));
    lanes[i + 1] ^= high >>> shift;
  }
}

/** One stripe into the accumulators; `pair` counts the pairs of vectors before it. */
function addStripe(data: DataView, at: number, pair: number, sums: Uint32Array): void {
  for (let j = 0; j < 4; j++, pair++, at += 32) {
    const product = j * 4;
    const forX = ((j + 1) & 3) * 4;
    const forY = ((j + 2) & 3) * 4;
    for (let i = 0; i < 4; i++) {
      const x = (data.getUint32(at + i * 4, true) + KEY_X[i] + Math.imul(pair, STEP_X[i])) >>> 0;
      const y = (data.getUint32(at + 16 + i * 4, true) + KEY_Y[i] + Math.imul(pair, STEP_Y[i])) >>> 0;
      add64(sums, product + (i & 1) * 2, Math.imul(x, y) >>> 0, mulHigh(x, y));
    }
    for (let i = 0; i < 4; i += 2) {
      add64(sums, forX + i, data.getUint32(at + i * 4, true), data.getUint32(at + i * 4 + 4, true));
      add64(sums, forY + i, data.getUint32(at + 16 + i * 4, true), data.getUint32(at + 20 + i * 4, true));
    }
  }
}

/** Rotates each accumulator of 128 bits right by 40. */
function rotate(sums: Uint32Array): void {
  for (let i = 0; i < 16; i += 4) {
    const [a, b, c, d] = [sums[i], sums[i + 1], sums[i + 2], sums[i + 3]];
    sums[i] = (b >>> 8) | (c << 24);
    sums[i + 1] = (c >>> 8) | (d << 24);
    sums[i + 2] = (d >>> 8) | (a << 24);
    sums[i + 3] = (a >>> 8) | (b << 24);
  }
}

/** Folds the lanes, first to last or last to first, into 8 bytes at `out`. */
function finish(sums: Uint32Array, backwards: boolean, pageSize: number, data: DataView, out: number): void {
  const hash = Uint32Array.of(pageSize, 0);
  for (let step = 0; step < 16; step += 2) {
    const lane = backwards ? 14 - step : step;
    hash[0] ^= sums[lane];
    hash[1] ^= sums[lane + 1];
    mul64(hash, 0, backwards ? FOLD_HIGH : FOLD);
    xorShift(hash, 0, 32);
  }
  xorShift(hash, 0, 29);
  mul64(hash, 0, FINISH);
  xorShift(hash, 0, 32);
  data.setUint32(out, hash[0], true);
  data.setUint32(out + 4, hash[1], true);
}

/** Hashes `count` pages, `width` (8 or 16) bytes each. */
export function hashPages(
  { data }: Views,
  src: number,
  pageSize: number,
  count: number,
  out: number,
  width: number,
): void {
  const sums = new Uint32Array(16);
  const block = Math.min(pageSize, BLOCK);
  for (let page = 0; page < count; page++, src += pageSize, out += width) {
    sums.set(START);
    for (let at = 0; at < pageSize; at += STRIPE) {
      addStripe(data, src + at, at / 32, sums);
      rotate(sums);
      if ((at + STRIPE) % block !== 0) continue;
      for (let lane = 0; lane < 16; lane += 2) {
        xorShift(sums, lane, 29);
        mul64(sums, lane, FOLD);
      }
    }
    finish(sums, false, pageSize, data, out);
    if (width === 16) finish(sums, true, pageSize, data, out + 8);
  }
}
