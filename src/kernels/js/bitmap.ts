import type { Views } from "./views.js";

// Marks that another thread may be setting are taken with Atomics.

/** How many bits of a 32-bit word are set. */
function popcount(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** How many of the words [at, stop) are set bits, eight words at a time. */
function popcountWords(u32: Uint32Array, at: number, stop: number): number {
  let count = 0;
  // Carry-save adders: bits of equal weight are added up across words, and only what weighs 8 is counted each time.
  let ones = 0;
  let twos = 0;
  let fours = 0;
  for (; at + 8 <= stop; at += 8) {
    const a = u32[at] ^ u32[at + 1];
    const twosA = (u32[at] & u32[at + 1]) | (ones & a);
    ones ^= a;
    const b = u32[at + 2] ^ u32[at + 3];
    const twosB = (u32[at + 2] & u32[at + 3]) | (ones & b);
    ones ^= b;
    const c = u32[at + 4] ^ u32[at + 5];
    const twosC = (u32[at + 4] & u32[at + 5]) | (ones & c);
    ones ^= c;
    const d = u32[at + 6] ^ u32[at + 7];
    const twosD = (u32[at + 6] & u32[at + 7]) | (ones & d);
    ones ^= d;
    const ab = twosA ^ twosB;
    const foursA = (twosA & twosB) | (twos & ab);
    twos ^= ab;
    const cd = twosC ^ twosD;
    const foursB = (twosC & twosD) | (twos & cd);
    twos ^= cd;
    const all = foursA ^ foursB;
    count += 8 * popcount((foursA & foursB) | (fours & all));
    fours ^= all;
  }
  count += 4 * popcount(fours) + 2 * popcount(twos) + popcount(ones);
  while (at < stop) count += popcount(u32[at++]);
  return count;
}

/** The up to 32 bits at address `at`; those from the bit number `left` on read as zero. */
function word({ u8, data }: Views, at: number, left: number): number {
  if (left >= 32) return data.getInt32(at, true);
  let bits = 0;
  for (let i = 0; i < left; i += 8) bits |= u8[at + (i >>> 3)] << i;
  return bits & ((1 << left) - 1);
}

/** Address of the first of the words [at, stop) that is not `value`, else `stop`. */
function skipWords({ u32, data }: Views, at: number, stop: number, value: 0 | -1): number {
  if ((at & 3) !== 0) {
    while (at < stop && data.getInt32(at, true) === value) at += 4;
    return at;
  }
  const first = at >>> 2;
  const end = first + ((stop - at) >>> 2);
  let i = first;
  while (i + 8 <= end) {
    const low = (u32[i] ^ value) | (u32[i + 1] ^ value) | (u32[i + 2] ^ value) | (u32[i + 3] ^ value);
    const high = (u32[i + 4] ^ value) | (u32[i + 5] ^ value) | (u32[i + 6] ^ value) | (u32[i + 7] ^ value);
    if ((low | high) !== 0) break;
    i += 8;
  }
  while (i < end && (u32[i] ^ value) === 0) i++;
  return at + (i - first) * 4;
}

/** Address behind the last whole word of the bitmap. */
function wordsEnd(bitmap: number, end: number): number {
  return bitmap + (end >>> 5) * 4;
}

export function bitmapCount(views: Views, bitmap: number, from: number, end: number): number {
  if (from >= end) return 0;
  const { u32, data } = views;
  const first = from - (from & 31);
  let at = bitmap + (first >>> 3);
  let count = popcount(word(views, at, end - first) & (-1 << (from & 31)));
  if (end - first <= 32) return count;
  at += 4;
  const stop = wordsEnd(bitmap, end);
  if ((at & 3) === 0) count += popcountWords(u32, at >>> 2, (at >>> 2) + ((stop - at) >>> 2));
  else for (; at < stop; at += 4) count += popcount(data.getInt32(at, true));
  return count + popcount(word(views, stop, end & 31));
}

/** First bit in [from, end) that differs from the bits of `skip`, else `end`. */
function nextBit(views: Views, bitmap: number, from: number, end: number, skip: 0 | -1): number {
  if (from >= end) return end;
  const first = from - (from & 31);
  let at = bitmap + (first >>> 3);
  let bits = (word(views, at, end - first) ^ skip) & (-1 << (from & 31));
  if (bits === 0) {
    if (end - first <= 32) return end;
    at = skipWords(views, at + 4, wordsEnd(bitmap, end), skip);
    const base = (at - bitmap) * 8;
    if (base === end) return end;
    bits = word(views, at, end - base) ^ skip;
    if (bits === 0) return end;
  }
  // Bits from the end on read as zero, which looks like a find among ones.
  return Math.min((at - bitmap) * 8 + 31 - Math.clz32(bits & -bits), end);
}

export function bitmapNextSet(views: Views, bitmap: number, from: number, end: number): number {
  return nextBit(views, bitmap, from, end, 0);
}

export function bitmapNextClear(views: Views, bitmap: number, from: number, end: number): number {
  return nextBit(views, bitmap, from, end, -1);
}

export function bitmapRuns(
  views: Views,
  bitmap: number,
  from: number,
  end: number,
  out: number,
  capacity: number,
): number {
  if (from >= end || capacity === 0) return 0;
  const { data } = views;
  const outEnd = out + capacity * 8;
  const stop = wordsEnd(bitmap, end);
  let base = from - (from & 31);
  let bits = word(views, bitmap + (base >>> 3), end - base) & (-1 << (from & 31));
  let to = out;
  let open = 0;
  while (true) {
    // Starts and ends of runs are bits that differ from the bit before them.
    let edges = bits ^ ((bits << 1) | open);
    open = bits >>> 31;
    while (edges !== 0) {
      data.setInt32(to, (base + 31 - Math.clz32(edges & -edges)) | 0, true);
      to += 4;
      if (to === outEnd) return capacity;
      edges &= edges - 1;
    }
    if (end - base <= 32) break;
    base += 32;
    bits = word(views, bitmap + (base >>> 3), end - base);
    if (bits === -open) {
      const at = skipWords(views, bitmap + (base >>> 3), stop, open === 0 ? 0 : -1);
      base = (at - bitmap) * 8;
      if (base === end) break;
      bits = word(views, at, end - base);
    }
  }
  if (open !== 0) {
    data.setUint32(to, end, true);
    to += 4;
  }
  return (to - out) / 8;
}

/** Sets bits of a byte; returns how many were not set yet. */
function addBits(u8: Uint8Array, at: number, bits: number): number {
  const old = u8[at];
  u8[at] = old | bits;
  return popcount(bits & ~old);
}

/** Takes the bits of `mask` of a byte: reads and clears them. */
function takeByte({ u8, shared }: Views, at: number, mask: number): number {
  if (shared) return Atomics.and(u8, at, ~mask) & mask;
  const taken = u8[at] & mask;
  u8[at] ^= taken;
  return taken;
}

/** Moves `count` words, given by their numbers; returns how many bits of the target are new. */
function moveWords({ u32, shared }: Views, target: number, source: number, count: number): number {
  const stop = source + count;
  let added = 0;
  const distance = target - source;
  for (let from = source; from < stop; from++) {
    let bits = u32[from] | 0;
    if (bits === 0) {
      while (from + 4 < stop && (u32[from + 1] | u32[from + 2] | u32[from + 3] | u32[from + 4]) === 0) from += 4;
      continue;
    }
    const to = from + distance;
    if (shared) bits = Atomics.exchange(u32, from, 0) | 0;
    else u32[from] = 0;
    const old = u32[to];
    u32[to] = old | bits;
    added += popcount(bits & ~old);
  }
  return added;
}

export function bitmapMergeClear(views: Views, target: number, source: number, bits: number): number {
  const { u8 } = views;
  const bytes = bits >>> 3;
  let added = 0;
  let at = 0;
  if (((target | source) & 3) === 0) {
    at = bytes - (bytes & 3);
    added = moveWords(views, target >>> 2, source >>> 2, at >>> 2);
  }
  for (; at < bytes; at++) {
    if (u8[source + at] !== 0) added += addBits(u8, target + at, takeByte(views, source + at, 255));
  }
  const rest = (1 << (bits & 7)) - 1;
  if (rest !== 0) added += addBits(u8, target + bytes, takeByte(views, source + bytes, rest));
  return added;
}

export function byteMapMerge(views: Views, bitmap: number, marks: number, count: number, clear: boolean): number {
  const { u8, u32 } = views;
  let added = 0;
  let i = 0;
  while (i < count) {
    if (((marks + i) & 3) === 0) while (count - i >= 4 && u32[(marks + i) / 4] === 0) i += 4;
    if (i >= count) break;
    if (u8[marks + i] !== 0 && (!clear || takeByte(views, marks + i, 255) !== 0)) {
      added += addBits(u8, bitmap + (i >>> 3), 1 << (i & 7));
    }
    i++;
  }
  return added;
}

/** Clears one bit. */
export function clearBit({ u8, shared }: Views, bitmap: number, bit: number): void {
  const at = bitmap + (bit >>> 3);
  if (shared) Atomics.and(u8, at, ~(1 << (bit & 7)));
  else u8[at] &= ~(1 << (bit & 7));
}

/** Sets one bit. */
export function setBit({ u8, shared }: Views, bitmap: number, bit: number): void {
  const at = bitmap + (bit >>> 3);
  if (shared) Atomics.or(u8, at, 1 << (bit & 7));
  else u8[at] |= 1 << (bit & 7);
}
