// XBZRLE (RAM section, XBZRLE): page := { zrun nzrun }, lengths as ULEB128 of one or two bytes.
//
// The encoder looks at the edges between equal and differing bytes, 64 at a time: starts and ends of runs
// alternate by themselves, so no branch depends on a single byte. It writes more than it has to and moves on by what
// counts, as long as no test of QEMU's could fail; where one could, at the end of the page or of the room, it hands
// over to a loop that makes each test in its place.

import { differMask64, equal128 } from "./vector";

/** A length of this many bytes needs a third ULEB128 byte, which the format does not have. */
@inline const LENGTH_LIMIT: u32 = 1 << 14;

@inline const BLOCK: u32 = 64;
@inline const VECTOR: u32 = 16;

/**
 * More than a block can write, apart from what its first run has of blocks before it: 32 runs of one byte and their
 * lengths, two more bytes where those of the first run are long, and nearly a vector too many.
 */
@inline const BLOCK_ROOM: u32 = 128;

/** After so many blocks without a change they are compared in pairs, without masks. */
@inline const QUIET_BLOCKS: u32 = 2;

/** Writes a length below LENGTH_LIMIT, and perhaps a byte too many; returns the address behind it. */
@inline
function putLength(at: usize, length: u32): usize {
  const long = <u32>(length > 127);
  store<u16>(at, (length & 127) | (long << 7) | ((length >>> 7) << 8));
  return at + 1 + long;
}

/** Copies whole vectors until `length` bytes, at least 1, are copied; returns the end of those. */
@inline
function copyVectors(target: usize, source: usize, length: u32): usize {
  const end = target + length;
  v128.store(target, v128.load(source));
  while ((target += VECTOR) < end) {
    source += VECTOR;
    v128.store(target, v128.load(source));
  }
  return end;
}

/** Copies `length` bytes, at least 1, and touches nothing else. */
@inline
function copyExactly(target: usize, source: usize, length: u32): void {
  if (length < 4) {
    store<u8>(target, load<u8>(source));
    store<u8>(target + (length >>> 1), load<u8>(source + (length >>> 1)));
    store<u8>(target + length - 1, load<u8>(source + length - 1));
  } else if (length < 8) {
    const last = load<u32>(source + length - 4);
    store<u32>(target, load<u32>(source));
    store<u32>(target + length - 4, last);
  } else if (length < VECTOR) {
    const last = load<u64>(source + length - 8);
    store<u64>(target, load<u64>(source));
    store<u64>(target + length - 8, last);
  } else {
    const end = target + length - VECTOR;
    const last = v128.load(source + length - VECTOR);
    while (target < end) {
      v128.store(target, v128.load(source));
      target += VECTOR;
      source += VECTOR;
    }
    v128.store(end, last);
  }
}

/**
 * Goes on at byte i of the page, where the bytes from `runEnd` to i are equal, with `at` as the next address to write
 * to. The tests are QEMU's: room for two bytes before each length, whatever that length needs, then room for the bytes
 * themselves; and room for one more length before it looks at an equal tail, which is not written.
 */
function encodeRest(
  oldPage: usize,
  newPage: usize,
  i: u32,
  length: u32,
  runEnd: u32,
  out: usize,
  at: usize,
  limit: usize,
): i32 {
  while (i < length) {
    if (limit - at < 2) return -1;
    while (length - i >= 8 && load<u64>(oldPage + i) == load<u64>(newPage + i)) i += 8;
    while (i < length && load<u8>(oldPage + i) == load<u8>(newPage + i)) i++;
    if (i == length) break;
    const same = i - runEnd;
    if (same >= LENGTH_LIMIT) return -1;
    at = putLength(at, same);

    if (limit - at < 2) return -1;
    const start = i;
    do i++;
    while (i < length && load<u8>(oldPage + i) != load<u8>(newPage + i));
    const run = i - start;
    if (run >= LENGTH_LIMIT) return -1;
    at = putLength(at, run);
    if (limit - at < run) return -1;
    copyExactly(at, newPage + start, run);
    at += run;
    runEnd = i;
  }
  return <i32>(at - out);
}

/** Encoded length, 0 when the pages are equal, -1 when `capacity` does not suffice. */
export function xbzrleEncode(oldPage: usize, newPage: usize, length: u32, out: usize, capacity: u32): i32 {
  const limit = out + capacity;
  let at = out;
  let base: u32 = 0; // of the block
  let start: u32 = 0; // of the open run of differing bytes
  let runEnd: u32 = 0; // of the last complete one
  let open: u64 = 0; // 1 while a run of differing bytes is open
  let quiet: u32 = QUIET_BLOCKS;
  let next: u64 = 0;
  while (true) {
    if (quiet == QUIET_BLOCKS) {
      while (length - base >= 2 * BLOCK && equal128(oldPage + base, newPage + base)) base += 2 * BLOCK;
      quiet = 0;
      if (length - base >= BLOCK) next = differMask64(oldPage + base, newPage + base);
    }
    // The last vector of a run may reach beyond the block.
    if (length - base < BLOCK + VECTOR) {
      // An equal last block is the usual end.
      if (length - base == BLOCK && !(next | open)) base += BLOCK;
      break;
    }
    if (limit - at < BLOCK_ROOM) break;
    const mask = next;
    let edges = mask ^ ((mask << 1) | open);
    // The mask of the next block, before this one's branches go wrong.
    if (length - base >= 2 * BLOCK) next = differMask64(oldPage + base + BLOCK, newPage + base + BLOCK);
    if (!edges) {
      quiet += <u32>(open ^ 1);
      base += BLOCK;
      continue;
    }
    quiet = 0;
    const openAfter = mask >>> 63;
    let pending: u32 = 0;
    if (openAfter) {
      pending = 63 - <u32>clz(edges);
      edges ^= <u64>1 << pending;
    }
    if (edges) {
      const block = newPage + base;
      let first = start - base; // before the block, if a run is open
      if (!open) {
        first = <u32>ctz(edges);
        edges &= edges - 1;
      }
      let end = runEnd - base;
      while (true) {
        const same = first - end;
        end = <u32>ctz(edges);
        edges &= edges - 1;
        const run = end - first;
        if ((same | ((run - 1) << 3)) < 128) {
          store<u16>(at, same | (run << 8));
          v128.store(at, v128.load(block + first), 2);
          at += run + 2;
        } else {
          if ((same | run) >= LENGTH_LIMIT || limit - at < run + BLOCK_ROOM) {
            return encodeRest(oldPage, newPage, base + first, length, base + first - same, out, at, limit);
          }
          at = copyVectors(putLength(putLength(at, same), run), block + first, run);
        }
        // The runs behind are near this one and have no other block's bytes: their own length is all there is to test.
        let more = edges;
        while (more) {
          first = <u32>ctz(more);
          more &= more - 1;
          const behind = <u32>ctz(more);
          const short = behind - first;
          if (short > VECTOR) break;
          more &= more - 1;
          store<u16>(at, (first - end) | (short << 8));
          v128.store(at, v128.load(block + first), 2);
          at += short + 2;
          end = behind;
          edges = more;
        }
        if (!edges) break;
        first = <u32>ctz(edges);
        edges &= edges - 1;
      }
      runEnd = base + end;
    }
    if (openAfter) start = base + pending;
    open = openAfter;
    base += BLOCK;
  }
  if (base == length) return length != 0 && limit - at < 2 ? -1 : <i32>(at - out);
  return encodeRest(oldPage, newPage, open ? start : base, length, runEnd, out, at, limit);
}

/**
 * Applies `length` bytes at `src` to the page. Returns the position in the page behind the last byte written, or
 * -1 for bytes that no encoder can have made; the page may have been changed by then.
 */
export function xbzrleDecode(src: usize, length: u32, page: usize, pageSize: u32): i32 {
  const end = src + length;
  let at = src;
  let target = page;
  let room = pageSize;
  while (at != end) {
    // Both lengths in one word, where there is one: a pair of runs has three bytes at least.
    const left = <u32>(end - at);
    let head: u32;
    if (left >= 4) head = load<u32>(at);
    else if (left == 3) head = <u32>load<u16>(at) | (<u32>load<u8>(at, 2) << 16);
    else return -1;
    let same = head & 0xff;
    let from = at + 2;
    if (same & 128) {
      if (head & 0x8000) return -1;
      same = (same & 127) | ((head & 0x7f00) >>> 1);
      head >>>= 8;
      from++;
    }
    let run = (head >>> 8) & 0xff;
    if (run & 128) {
      if (head & 0x800000) return -1;
      if (from == end) return -1;
      run = (run & 127) | ((head & 0x7f0000) >>> 9);
      from++;
    }
    if (same == 0) {
      if (at != src) return -1;
    }
    if (run == 0) return -1;
    if (same + run > room) return -1;
    if (run > <u32>(end - from)) return -1;
    room -= same + run;
    target += same;
    copyExactly(target, from, run);
    target += run;
    at = from + run;
  }
  return pageSize - room;
}
