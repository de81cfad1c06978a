// Edges of bit sets: bits that differ from the bit before them. Starts and ends of runs alternate in them, so runs
// are found without asking of any bit which of the two it is. Edges are written as u32, in order, at `at`; `first`
// is the number of the word's first bit. All functions return the address behind the last one written.

/** Edges of the word at `p`. Reads the word before it, too. */
@inline
export function edgesAt(p: usize): u64 {
  const bits = load<u64>(p);
  return bits ^ ((bits << 1) | (load<u64>(p - 8) >>> 63));
}

/** Edges of the two words at `p`. */
@inline
function edges2(p: usize): v128 {
  const bits = v128.load(p);
  return v128.xor(bits, v128.or(i64x2.shl(bits, 1), i64x2.shr_u(v128.load(p - 8), 63)));
}

/** Bit j of the result: word j of the four at `p` has no edge. */
@inline
function plainWords4(p: usize): u32 {
  const zero = i64x2(0, 0);
  const a = i64x2.eq(edges2(p), zero);
  const b = i64x2.eq(edges2(p + 16), zero);
  return <u32>i32x4.bitmask(v128.shuffle<u32>(a, b, 0, 2, 4, 6));
}

/** Bit j of the result: word j of the 16 at `p` has an edge. */
@inline
export function edgeWords16(p: usize): u32 {
  const plain =
    plainWords4(p) |
    (plainWords4(p + 32) << 4) |
    (plainWords4(p + 64) << 8) |
    (plainWords4(p + 96) << 12);
  return ~plain & 0xffff;
}

/** Writes the edges of one word, until they reach `outEnd`. */
export function putEdges(edges: u64, first: u32, at: usize, outEnd: usize): usize {
  while (edges) {
    store<u32>(at, first + <u32>ctz(edges));
    at += 4;
    if (at == outEnd) break;
    edges &= edges - 1;
  }
  return at;
}

/** Like {@link putEdges} for the 16 words at `p`. */
export function putBlock(p: usize, first: u32, at: usize, outEnd: usize): usize {
  const end = p + 128;
  do {
    at = putEdges(edgesAt(p), first, at, outEnd);
    first += 64;
    p += 8;
  } while (at != outEnd && p != end);
  return at;
}

/** What the following functions may write from `at` on for one block of 16 words, whatever its edges. */
@inline export const BLOCK_ROOM: u32 = 16 * 256 + 16;

/**
 * Writes the edges of one word, four at a time: three branches that cannot be foreseen are dearer than three
 * entries that the next word overwrites.
 */
@inline
export function putEdges4(edges: u64, first: u32, at: usize): usize {
  const next = at + (<usize>popcnt(edges) << 2);
  do {
    store<u32>(at, first + <u32>ctz(edges));
    edges &= edges - 1;
    store<u32>(at, first + <u32>ctz(edges), 4);
    edges &= edges - 1;
    store<u32>(at, first + <u32>ctz(edges), 8);
    edges &= edges - 1;
    store<u32>(at, first + <u32>ctz(edges), 12);
    edges &= edges - 1;
    at += 16;
  } while (edges);
  return next;
}

// Dense words go by nibbles: bit j of a nibble is its edge number k where EDGE_k[nibble] is j.
const EDGE_0: v128 = i8x16(0, 0, 1, 0, 2, 0, 1, 0, 3, 0, 1, 0, 2, 0, 1, 0);
const EDGE_1: v128 = i8x16(0, 0, 0, 1, 0, 2, 2, 1, 0, 3, 3, 1, 3, 2, 2, 1);
const EDGE_2: v128 = i8x16(0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 3, 3, 2);
const EDGE_3: v128 = i8x16(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3);
/** Bytes that the edges of a nibble take. */
const WIDTH: v128 = i8x16(0, 4, 4, 8, 4, 8, 8, 12, 4, 8, 8, 12, 8, 12, 12, 16);
/** First bit of each nibble of a word. */
const NIBBLE: v128 = i8x16(0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60);
/** A factor: byte j of the product is the sum of bytes 0 to j. */
@inline const SUMS: u64 = 0x0101010101010101;

@inline
function zipLow8(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

@inline
function zipHigh8(a: v128, b: v128): v128 {
  return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

@inline
function zipLow16(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

@inline
function zipHigh16(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/**
 * Writes four nibbles, whose edges are bytes of `quads`, four each: with the upper bytes put to them they are u32.
 * Each nibble goes behind `at` by the byte at `offsets`, over what the one before wrote too much.
 */
@inline
function putNibbles4(at: usize, offsets: usize, quads: v128, second: v128, upper: v128): void {
  const low = zipLow8(quads, second);
  const high = zipHigh8(quads, second);
  v128.store(at + <usize>load<u8>(offsets), zipLow16(low, upper));
  v128.store(at + <usize>load<u8>(offsets, 1), zipHigh16(low, upper));
  v128.store(at + <usize>load<u8>(offsets, 2), zipLow16(high, upper));
  v128.store(at + <usize>load<u8>(offsets, 3), zipHigh16(high, upper));
}

/** Writes the edges of one word whose first bit is a multiple of 64, in the same time however many there are. */
@inline
function putDenseWord(edges: u64, first: u32, at: usize): usize {
  const word = i64x2.splat(edges);
  const mask = i8x16.splat(15);
  const nibbles = zipLow8(v128.and(word, mask), v128.and(i64x2.shr_u(word, 4), mask));
  // Where each nibble goes; kept behind all that one word can take, since a byte is read faster than extracted.
  const widths = i8x16.swizzle(WIDTH, nibbles);
  const low = i64x2.extract_lane(widths, 0) * SUMS;
  const high = i64x2.extract_lane(widths, 1) * SUMS;
  const offsets = at + 256;
  store<u64>(offsets, low << 8);
  store<u64>(offsets, (high << 8) + (low >>> 56) * SUMS, 8);
  // No carry leaves the lowest byte.
  const base = i8x16.add(NIBBLE, i8x16.splat(<i8>first));
  const e0 = i8x16.add(i8x16.swizzle(EDGE_0, nibbles), base);
  const e1 = i8x16.add(i8x16.swizzle(EDGE_1, nibbles), base);
  const e2 = i8x16.add(i8x16.swizzle(EDGE_2, nibbles), base);
  const e3 = i8x16.add(i8x16.swizzle(EDGE_3, nibbles), base);
  const low01 = zipLow8(e0, e1);
  const low23 = zipLow8(e2, e3);
  const high01 = zipHigh8(e0, e1);
  const high23 = zipHigh8(e2, e3);
  const second = i8x16.splat(<i8>(first >>> 8));
  const upper = i16x8.splat(<i16>(first >>> 16));
  putNibbles4(at, offsets, zipLow16(low01, low23), second, upper);
  putNibbles4(at, offsets + 4, zipHigh16(low01, low23), second, upper);
  putNibbles4(at, offsets + 8, zipLow16(high01, high23), second, upper);
  putNibbles4(at, offsets + 12, zipHigh16(high01, high23), second, upper);
  return at + (<usize>popcnt(edges) << 2);
}

/** Writes the edges of the 16 words at `p`. */
export function putDenseBlock(p: usize, first: u32, at: usize): usize {
  const end = p + 128;
  do {
    at = putDenseWord(edgesAt(p), first, at);
    at = putDenseWord(edgesAt(p + 8), first + 64, at);
    p += 16;
    first += 128;
  } while (p != end);
  return at;
}
