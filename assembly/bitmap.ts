// Dirty bitmaps. Little-endian bit order whatever the guest: bit p is bit p % 8 of byte p / 8. No store
// touches a byte outside those that hold the bits asked for, and no load does, but for `bitmapRuns`: it also reads the
// 8 bytes before each block of 128, so from the multiple of 64 bits at or before the first bit on, inside the bitmap.
//
// In the shared build, sources that another thread may be setting bits in are taken by atomic exchange, so that
// a mark set between read and clear is not lost.

import { BLOCK_ROOM, edgesAt, edgeWords16, putBlock, putDenseBlock, putEdges, putEdges4 } from "./edges";
import { isZero128, or64 } from "./vector";

/** The up to 64 bits from bit `base` (a multiple of 8) on; those from `end` on read as zero. */
function word(bitmap: usize, base: u32, end: u32): u64 {
  const left = end - base;
  const p = bitmap + (base >>> 3);
  if (left >= 64) return load<u64>(p);
  let bits: u64 = 0;
  for (let at: u32 = 0; at < left; at += 8) bits |= <u64>load<u8>(p + (at >>> 3)) << at;
  return bits & (((<u64>1) << left) - 1);
}

/** The word that holds bit `from`, without the bits before it. */
@inline
function firstWord(bitmap: usize, from: u32, end: u32): u64 {
  return word(bitmap, from & ~7, end) & (~(<u64>0) << (from & 7));
}

/** How many of the bits [from, end) are set. */
export function bitmapCount(bitmap: usize, from: u32, end: u32): u32 {
  if (from >= end) return 0;
  let count = popcnt(firstWord(bitmap, from, end));
  let base = from & ~7;
  if (end - base <= 64) return <u32>count;
  base += 64;
  while (end - base >= 256) {
    const p = bitmap + (base >>> 3);
    count +=
      popcnt(load<u64>(p)) + popcnt(load<u64>(p, 8)) + (popcnt(load<u64>(p, 16)) + popcnt(load<u64>(p, 24)));
    base += 256;
  }
  while (end - base > 64) {
    count += popcnt(load<u64>(bitmap + (base >>> 3)));
    base += 64;
  }
  return <u32>(count + popcnt(word(bitmap, base, end)));
}

/** First set bit in [from, end), else `end`. */
export function bitmapNextSet(bitmap: usize, from: u32, end: u32): u32 {
  if (from >= end) return end;
  let base = from & ~7;
  let bits = firstWord(bitmap, from, end);
  while (!bits) {
    if (end - base <= 64) return end;
    base += 64;
    while (end - base >= 1024 && isZero128(bitmap + (base >>> 3))) base += 1024;
    if (base == end) return end;
    bits = word(bitmap, base, end);
  }
  return base + <u32>ctz(bits);
}

/** AND of the 64 bytes at `p`. */
@inline
function and64(p: usize): v128 {
  return v128.and(v128.and(v128.load(p), v128.load(p, 16)), v128.and(v128.load(p, 32), v128.load(p, 48)));
}

@inline
function isOnes128(p: usize): bool {
  return !v128.any_true(v128.not(v128.and(and64(p), and64(p + 64))));
}

/** First clear bit in [from, end), else `end`. */
export function bitmapNextClear(bitmap: usize, from: u32, end: u32): u32 {
  if (from >= end) return end;
  let base = from & ~7;
  let bits = ~word(bitmap, base, end) & (~(<u64>0) << (from & 7));
  while (!bits) {
    if (end - base <= 64) return end;
    base += 64;
    while (end - base >= 1024 && isOnes128(bitmap + (base >>> 3))) base += 1024;
    if (base == end) return end;
    bits = ~word(bitmap, base, end);
  }
  // Bits from the end on read as zero: the one at the end looks clear, none behind it is found.
  return base + <u32>ctz(bits);
}

/** More edges in a block of 128 bytes: the next one is taken for dense. */
@inline const DENSE_BLOCK: u32 = 128;

/**
 * Runs of set bits in [from, end), in order, as pairs of u32 (first bit, bit behind the last) at `out`; at most
 * `capacity` pairs. Returns the number of pairs. Room that is not used may be written to.
 *
 * A run is open whenever the number of edges written is odd. Words are read more than once and must be the same each
 * time, so nobody may write to the bitmap meanwhile.
 */
export function bitmapRuns(bitmap: usize, from: u32, end: u32, out: usize, capacity: u32): u32 {
  if (from >= end || capacity == 0) return 0;
  const outEnd = out + (capacity << 3);
  let at = out;
  let base = from & ~7;
  let width: u32 = 64 - (base & 63); // of the word at hand: all but the first begin at a multiple of 64
  let bits = firstWord(bitmap, from, end - base < width ? end : base + width);
  let blockAt = out; // `at` before the last block
  while (true) {
    // Bits behind the end are zero: a run that reaches the end closes there.
    let edges = bits ^ ((bits << 1) | ((at - out) & 4 ? 1 : 0));
    if (width < 64) edges &= ((<u64>1) << width) - 1;
    at = putEdges(edges, base, at, outEnd);
    if (at == outEnd) return capacity;
    if (end - base <= width) break;
    base += width;
    width = 64;
    while (end - base >= 1024) {
      let p = bitmap + (base >>> 3);
      const stop = p + (((end - base) >>> 3) & ~127);
      if ((at - out) & 4) {
        while (p != stop && isOnes128(p)) p += 128;
      } else {
        while (p != stop && isZero128(p)) p += 128;
      }
      base = <u32>(p - bitmap) << 3;
      if (p == stop) break;
      if (<u32>(outEnd - at) < BLOCK_ROOM) {
        at = putBlock(p, base, at, outEnd);
        if (at == outEnd) return capacity;
      } else if (at - blockAt > DENSE_BLOCK << 2) {
        blockAt = at;
        at = putDenseBlock(p, base, at);
      } else {
        blockAt = at;
        let words = edgeWords16(p);
        while (words) {
          const i = <u32>ctz(words);
          words &= words - 1;
          at = putEdges4(edgesAt(p + (i << 3)), base + (i << 6), at);
        }
      }
      base += 1024;
    }
    if (base == end) break;
    bits = word(bitmap, base, end);
  }
  if ((at - out) & 4) {
    store<u32>(at, end);
    at += 4;
  }
  return <u32>(at - out) >>> 3;
}

/** Takes the 8 bytes at `p`: reads and clears them. */
@inline
function take64(p: usize): u64 {
  const taken = load<u64>(p);
  if (taken == 0) return 0;
  if (ASC_FEATURE_THREADS) return atomic.xchg<u64>(p, 0);
  store<u64>(p, 0);
  return taken;
}

/** Takes the bits `mask` of the byte at `p`. */
@inline
function take8(p: usize, mask: u8): u8 {
  const taken = load<u8>(p) & mask;
  if (taken == 0) return 0;
  if (ASC_FEATURE_THREADS) return atomic.and<u8>(p, ~mask) & mask;
  store<u8>(p, load<u8>(p) & ~mask);
  return taken;
}

/** Adds bits to a byte; returns how many were not set yet. */
@inline
function add8(p: usize, bits: u8): u32 {
  const old = load<u8>(p);
  store<u8>(p, old | bits);
  return popcnt<u32>(bits & ~old);
}

/** Adds bits to 8 bytes; returns how many were not set yet. */
@inline
function add64(p: usize, bits: u64): u32 {
  const old = load<u64>(p);
  store<u64>(p, old | bits);
  return <u32>popcnt(bits & ~old);
}

/** Moves 8 bytes. */
@inline
function move64(target: usize, source: usize): u32 {
  const taken = take64(source);
  return taken ? add64(target, taken) : 0;
}

/** Moves 16 bytes that nobody else writes, without asking whether there is anything in them. */
@inline
function move128(target: usize, source: usize): u32 {
  const bits = v128.load(source);
  const old = v128.load(target);
  v128.store(target, v128.or(old, bits));
  v128.store(source, i64x2(0, 0));
  const added = v128.andnot(bits, old);
  return <u32>(popcnt(i64x2.extract_lane(added, 0)) + popcnt(i64x2.extract_lane(added, 1)));
}

/** Moves 64 bytes, of which some are not zero. Returns how many bits of the target are new. */
@inline
function moveBlock(target: usize, source: usize): u32 {
  if (!ASC_FEATURE_THREADS) {
    return (
      move128(target, source) +
      move128(target + 16, source + 16) +
      (move128(target + 32, source + 32) + move128(target + 48, source + 48))
    );
  }
  let added: u32 = 0;
  for (let i: usize = 0; i < 64; i += 8) added += move64(target + i, source + i);
  return added;
}

/** target |= source, source = 0, for the first `bits` bits. Returns how many bits of the target are new. */
export function bitmapMergeClear(target: usize, source: usize, bits: u32): u32 {
  let added: u32 = 0;
  let left = bits;
  // Atomic exchange wants aligned words.
  while (left >= 8 && (source & 7) != 0) {
    const taken = take8(source, 255);
    if (taken) added += add8(target, taken);
    source++;
    target++;
    left -= 8;
  }
  while (left >= 512) {
    const from = source;
    const stop = source + ((left >>> 3) & ~63);
    while (source != stop && !v128.any_true(or64(source))) source += 64;
    target += source - from;
    left -= <u32>(source - from) << 3;
    if (source == stop) break;
    added += moveBlock(target, source);
    source += 64;
    target += 64;
    left -= 512;
  }
  while (left >= 64) {
    added += move64(target, source);
    source += 8;
    target += 8;
    left -= 64;
  }
  while (left > 0) {
    const width = min<u32>(left, 8);
    const taken = take8(source, <u8>(<u32>255 >>> (8 - width)));
    if (taken) added += add8(target, taken);
    source++;
    target++;
    left -= width;
  }
  return added;
}

/** Takes one mark byte; true when it was not zero. */
@inline
function takeMark(p: usize): bool {
  if (load<u8>(p) == 0) return false;
  if (ASC_FEATURE_THREADS) return atomic.xchg<u8>(p, 0) != 0;
  store<u8>(p, 0);
  return true;
}

/** Bit j: byte j of the eight in `marks` is not zero. */
@inline
function foldMarks(marks: u64): u8 {
  return <u8>~i8x16.bitmask(i8x16.eq(i64x2(marks, 0), i64x2(0, 0)));
}

/**
 * Sets bit i of the bitmap for each of the `count` bytes at `marks` that is not zero, and with `clear` zeroes
 * those bytes. Returns how many bits of the bitmap are new.
 */
export function byteMapMerge(bitmap: usize, marks: usize, count: u32, clear: bool): u32 {
  let added: u32 = 0;
  let left = count;
  while (left >= 8) {
    if (left >= 128 && isZero128(marks)) {
      marks += 128;
      bitmap += 16;
      left -= 128;
      continue;
    }
    let bits = foldMarks(load<u64>(marks));
    if (bits) {
      if (clear) bits = takeMarks8(marks);
      added += add8(bitmap, bits);
    }
    marks += 8;
    bitmap++;
    left -= 8;
  }
  if (left > 0) {
    let bits: u32 = 0;
    for (let i: u32 = 0; i < left; i++) {
      const marked = clear ? takeMark(marks + i) : load<u8>(marks + i) != 0;
      if (marked) bits |= 1 << i;
    }
    if (bits) added += add8(bitmap, <u8>bits);
  }
  return added;
}

/** Takes eight mark bytes as bits. */
function takeMarks8(p: usize): u8 {
  if (!ASC_FEATURE_THREADS || (p & 7) == 0) return foldMarks(take64(p));
  let bits: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) {
    if (takeMark(p + i)) bits |= 1 << i;
  }
  return <u8>bits;
}

/** Takes (clears) the bits of `mask`, at most 8 bits wide, from bit `first` on. */
export function clearBits(bitmap: usize, first: u32, mask: u32): void {
  const p = bitmap + (first >>> 3);
  const bits = mask << (first & 7);
  take8(p, <u8>bits);
  if (bits >>> 8) take8(p + 1, <u8>(bits >>> 8));
}

/** Sets the bits of `mask`, at most 8 bits wide, from bit `first` on; atomically in the shared build. */
export function setBits(bitmap: usize, first: u32, mask: u32): void {
  const p = bitmap + (first >>> 3);
  const bits = mask << (first & 7);
  setByte(p, <u8>bits);
  if (bits >>> 8) setByte(p + 1, <u8>(bits >>> 8));
}

@inline
function setByte(p: usize, bits: u8): void {
  if (ASC_FEATURE_THREADS) atomic.or<u8>(p, bits);
  else store<u8>(p, load<u8>(p) | bits);
}
