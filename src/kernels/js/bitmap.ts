import type { Views } from "./views.js";

// Marks that another thread may be setting are taken with Atomics, which do no harm on plain memory.

/** How many bits of a 32-bit word are set. */
function popcount(word: number): number {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

export function bitmapCount({ u8, u32 }: Views, bitmap: number, from: number, end: number): number {
  if (from >= end) return 0;
  const last = bitmap + ((end - 1) >>> 3);
  let at = bitmap + (from >>> 3);
  // The bits before `from` and from `end` on belong to others.
  let count = -popcount(u8[at] & ((1 << (from & 7)) - 1));
  count -= popcount(u8[last] & ~((2 << ((end - 1) & 7)) - 1));
  while (at <= last) {
    if ((at & 3) === 0 && last - at >= 3) {
      count += popcount(u32[at / 4]);
      at += 4;
    } else {
      count += popcount(u8[at++]);
    }
  }
  return count;
}

/** First bit in [from, end) that differs from the bits of `skip` (0 or 255), else `end`. */
function nextBit({ u8, u32 }: Views, bitmap: number, from: number, end: number, skip: number): number {
  if (from >= end) return end;
  const skipWord = skip === 0 ? 0 : 0xffffffff;
  const last = bitmap + ((end - 1) >>> 3);
  let at = bitmap + (from >>> 3);
  let bits = (u8[at] ^ skip) & (255 << (from & 7));
  while (bits === 0) {
    at++;
    if ((at & 3) === 0) while (last - at >= 3 && u32[at / 4] === skipWord) at += 4;
    if (at > last) return end;
    bits = u8[at] ^ skip;
  }
  return Math.min((at - bitmap) * 8 + (31 - Math.clz32(bits & -bits)), end);
}

export function bitmapNextSet(views: Views, bitmap: number, from: number, end: number): number {
  return nextBit(views, bitmap, from, end, 0);
}

export function bitmapNextClear(views: Views, bitmap: number, from: number, end: number): number {
  return nextBit(views, bitmap, from, end, 255);
}

export function bitmapRuns(
  views: Views,
  bitmap: number,
  from: number,
  end: number,
  out: number,
  capacity: number,
): number {
  let runs = 0;
  while (runs < capacity) {
    const first = nextBit(views, bitmap, from, end, 0);
    if (first >= end) break;
    from = nextBit(views, bitmap, first, end, 255);
    views.data.setUint32(out + runs * 8, first, true);
    views.data.setUint32(out + runs * 8 + 4, from, true);
    runs++;
  }
  return runs;
}

/** Sets bits of a byte; returns how many were not set yet. */
function addBits(u8: Uint8Array, at: number, bits: number): number {
  const old = u8[at];
  u8[at] = old | bits;
  return popcount(bits & ~old);
}

export function bitmapMergeClear({ u8, u32 }: Views, target: number, source: number, bits: number): number {
  const bytes = bits >>> 3;
  let added = 0;
  let at = 0;
  while (at < bytes) {
    if (((source + at) & 3) === 0) while (bytes - at >= 4 && u32[(source + at) / 4] === 0) at += 4;
    if (at === bytes) break;
    if (u8[source + at] !== 0) added += addBits(u8, target + at, Atomics.exchange(u8, source + at, 0));
    at++;
  }
  const rest = (1 << (bits & 7)) - 1;
  if (rest !== 0) added += addBits(u8, target + bytes, Atomics.and(u8, source + bytes, ~rest) & rest);
  return added;
}

export function byteMapMerge({ u8, u32 }: Views, bitmap: number, marks: number, count: number, clear: boolean): number {
  let added = 0;
  let i = 0;
  while (i < count) {
    if (((marks + i) & 3) === 0) while (count - i >= 4 && u32[(marks + i) / 4] === 0) i += 4;
    if (i >= count) break;
    if (u8[marks + i] !== 0 && (!clear || Atomics.exchange(u8, marks + i, 0) !== 0)) {
      added += addBits(u8, bitmap + (i >>> 3), 1 << (i & 7));
    }
    i++;
  }
  return added;
}

/** Clears one bit. */
export function clearBit(u8: Uint8Array, bitmap: number, bit: number): void {
  Atomics.and(u8, bitmap + (bit >>> 3), ~(1 << (bit & 7)));
}

/** Sets one bit. */
export function setBit(u8: Uint8Array, bitmap: number, bit: number): void {
  Atomics.or(u8, bitmap + (bit >>> 3), 1 << (bit & 7));
}
