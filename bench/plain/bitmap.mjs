// Bitmaps in plain JavaScript, 32 bits at a time. Addresses are multiples of 4 and bit counts of 32.

function popcount(word) {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Set bits of [0, end). */
export function bitmapCount({ u32 }, bitmap, end) {
  const first = bitmap >>> 2;
  const last = first + (end >>> 5);
  let count = 0;
  for (let at = first; at < last; at++) count += popcount(u32[at]);
  return count;
}

/** Runs of set bits by their edges. */
export function bitmapRuns({ u32 }, bitmap, from, end, out, capacity) {
  const first = bitmap >>> 2;
  const last = first + (end >>> 5);
  const outStart = out >>> 2;
  const outEnd = outStart + capacity * 2;
  let to = outStart;
  let at = first + (from >>> 5);
  let before = 0;
  let word = u32[at] & (-1 << (from & 31));
  while (true) {
    const base = (at - first) * 32;
    let edges = word ^ ((word << 1) | before);
    before = word >>> 31;
    while (edges !== 0) {
      u32[to++] = base + 31 - Math.clz32(edges & -edges);
      if (to === outEnd) return capacity;
      edges &= edges - 1;
    }
    at++;
    if (before === 0) while (at < last && u32[at] === 0) at++;
    else while (at < last && u32[at] === 0xffffffff) at++;
    if (at >= last) break;
    word = u32[at];
  }
  if (before !== 0) u32[to++] = end;
  return (to - outStart) >>> 1;
}

/** Moves the first `bits` bits. */
export function bitmapMergeClear({ u32 }, target, source, bits) {
  const last = (source + (bits >>> 3)) >>> 2;
  let added = 0;
  for (let from = source >>> 2, to = target >>> 2; from < last; from++, to++) {
    const taken = u32[from];
    if (taken === 0) continue;
    u32[from] = 0;
    added += popcount(taken & ~u32[to]);
    u32[to] |= taken;
  }
  return added;
}
