// The page hash of 64 bits (assembly/hash.ts has the scheme) in plain JavaScript; addresses are multiples of 4.

// prettier-ignore
const START = Int32Array.of(
  0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0x082efa98, 0xec4e6c89,
  0x452821e6, 0x38d01377, 0xbe5466cf, 0x34e90c6c, 0xc0ac29b7, 0xc97c50dd, 0x3f84d5b5, 0xb5470917,
  0x9216d5d9, 0x8979fb1b, 0xd1310ba6, 0x98dfb5ac, 0x2ffd72db, 0xd01adfb7, 0xb8e1afed, 0x6a267e96,
  0xba7c9045, 0xf12c7f99, 0x24a19947, 0xb3916cf7, 0x0801f2e3, 0x858efc17, 0x636920d9, 0x71574e69,
);
const M0 = 0x9e3779b1;
const M1 = 0x85ebca77;
const M2 = 0xc2b2ae3d;
const M3 = 0x27d4eb2f;
const FOLD_A = 0x9fb21c651e98df25n;
const FOLD_B = 0xc2b2ae3d27d4eb4fn;
const FINISH = 0xd6e8feb86659fd93n;

/** Takes `count` pairs of vectors, `stride` words apart, into the accumulators at `at`. */
function absorb(words, from, count, stride, sums, at) {
  let a0 = sums[at];
  let a1 = sums[at + 1];
  let a2 = sums[at + 2];
  let a3 = sums[at + 3];
  let b0 = sums[at + 4];
  let b1 = sums[at + 5];
  let b2 = sums[at + 6];
  let b3 = sums[at + 7];
  for (let i = 0; i < count; i++, from += stride) {
    const x0 = words[from];
    const x1 = words[from + 1];
    const x2 = words[from + 2];
    const x3 = words[from + 3];
    const y0 = words[from + 4];
    const y1 = words[from + 5];
    const y2 = words[from + 6];
    const y3 = words[from + 7];
    const p0 = (a0 + x0) | 0;
    const p1 = (a1 + x1) | 0;
    const p2 = (a2 + x2) | 0;
    const p3 = (a3 + x3) | 0;
    const q0 = (b0 + y0) | 0;
    const q1 = (b1 + y1) | 0;
    const q2 = (b2 + y2) | 0;
    const q3 = (b3 + y3) | 0;
    a0 = Math.imul((p1 >>> 16) | (p2 << 16), M0) ^ y0;
    a1 = Math.imul((p2 >>> 16) | (p3 << 16), M1) ^ y1;
    a2 = Math.imul((p3 >>> 16) | (p0 << 16), M2) ^ y2;
    a3 = Math.imul((p0 >>> 16) | (p1 << 16), M3) ^ y3;
    b0 = Math.imul((q2 >>> 24) | (q3 << 8), M0) ^ x0;
    b1 = Math.imul((q3 >>> 24) | (q0 << 8), M1) ^ x1;
    b2 = Math.imul((q0 >>> 24) | (q1 << 8), M2) ^ x2;
    b3 = Math.imul((q1 >>> 24) | (q2 << 8), M3) ^ x3;
  }
  sums[at] = a0;
  sums[at + 1] = a1;
  sums[at + 2] = a2;
  sums[at + 3] = a3;
  sums[at + 4] = b0;
  sums[at + 5] = b1;
  sums[at + 6] = b2;
  sums[at + 7] = b3;
}

const trim = (value) => BigInt.asUintN(64, value);

function fold(hash, lane, factor) {
  const product = trim((hash ^ lane) * factor);
  return product ^ ((product >> 32n) & 0xffffffffn);
}

/** Writes 8 bytes for each of `count` pages at `out`. */
export function hashPages({ u8, data }, src, pageSize, count, out) {
  const words = new Int32Array(u8.buffer);
  const sums = new Int32Array(32);
  const lanes = new BigUint64Array(sums.buffer);
  for (let page = 0; page < count; page++, src += pageSize) {
    sums.set(START);
    for (let pair = 0; pair < 4; pair++) absorb(words, src / 4 + pair * 8, pageSize / 128, 32, sums, pair * 8);
    absorb(sums, 16, 1, 0, sums, 0);
    absorb(sums, 24, 1, 0, sums, 8);
    absorb(sums, 8, 1, 0, sums, 0);
    const a = fold(fold(BigInt(pageSize), lanes[0], FOLD_A), lanes[1], FOLD_A);
    const b = fold(fold(BigInt(pageSize), lanes[2], FOLD_B), lanes[3], FOLD_B);
    let hash = trim(a + b);
    hash = trim((hash ^ (hash >> 29n)) * FINISH);
    data.setBigUint64(out + page * 8, hash ^ (hash >> 32n), true);
  }
}
