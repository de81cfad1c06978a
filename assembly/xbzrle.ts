// XBZRLE (RAM section, XBZRLE): page := { zrun nzrun }, lengths as ULEB128 of one or two bytes.
//
// The encoder looks at the edges between equal and differing bytes, 64 at a time: starts and ends of runs
// alternate by themselves, so no branch depends on a single byte.

import { copyBytes, differMask64, equal128 } from "./vector";

/** A length of this many bytes needs a third ULEB128 byte, which the format does not have. */
@inline const LENGTH_LIMIT: u32 = 1 << 14;

/** Writes a length below LENGTH_LIMIT; returns the address behind it. */
@inline
function putLength(at: usize, length: u32): usize {
  if (length < 128) {
    store<u8>(at, length);
    return at + 1;
  }
  store<u16>(at, (length & 127) | 128 | ((length >>> 7) << 8));
  return at + 2;
}

/**
 * Writes one pair of runs behind the first `done` bytes of `out`: `same` unchanged bytes, then the `length`
 * bytes at `literal`. Returns the new count of bytes, or -1 when they do not fit. The tests are QEMU's: room for
 * two bytes before each length, whatever that length needs, then room for the bytes themselves.
 */
function putRun(out: usize, done: u32, capacity: u32, same: u32, literal: usize, length: u32): i32 {
  if (capacity - done < 2 || same >= LENGTH_LIMIT || length >= LENGTH_LIMIT) return -1;
  let at = putLength(out + done, same);
  if (capacity - <u32>(at - out) < 2) return -1;
  at = putLength(at, length);
  if (capacity - <u32>(at - out) < length) return -1;
  copyBytes(at, literal, length);
  return <i32>(at + length - out);
}

/** Bit j: byte j of the `length` (below 64) bytes at `a` differs from byte j at `b`. */
function differMaskShort(a: usize, b: usize, length: u32): u64 {
  let mask: u64 = 0;
  for (let j: u32 = 0; j < length; j++) {
    mask |= <u64>(load<u8>(a + j) != load<u8>(b + j)) << j;
  }
  return mask;
}

/** Encoded length, 0 when the pages are equal, -1 when `capacity` does not suffice. */
export function xbzrleEncode(oldPage: usize, newPage: usize, length: u32, out: usize, capacity: u32): i32 {
  let done: i32 = 0;
  let runStart: u32 = 0; // of the open run of differing bytes
  let runEnd: u32 = 0; // of the last complete one
  let open: u64 = 0; // 1 while a run of differing bytes is open
  for (let base: u32 = 0; base < length; base += 64) {
    if (!open) {
      while (length - base >= 128 && equal128(oldPage + base, newPage + base)) base += 128;
      if (base == length) break;
    }
    const left = length - base;
    const mask =
      left >= 64
        ? differMask64(oldPage + base, newPage + base)
        : differMaskShort(oldPage + base, newPage + base, left);
    let edges = mask ^ ((mask << 1) | open);
    while (edges) {
      const position = base + <u32>ctz(edges);
      edges &= edges - 1;
      if (open) {
        done = putRun(out, done, capacity, runStart - runEnd, newPage + runStart, position - runStart);
        if (done < 0) return -1;
        runEnd = position;
      } else {
        runStart = position;
      }
      open ^= 1;
    }
  }
  if (open) return putRun(out, done, capacity, runStart - runEnd, newPage + runStart, length - runStart);
  // An equal tail is not written, but QEMU asks for room for one more length before it looks.
  if (runEnd < length && capacity - done < 2) return -1;
  return done;
}

/**
 * Applies `length` bytes at `src` to the page. Returns the position in the page behind the last byte written, or
 * -1 for bytes that no encoder can have made; the page may have been changed by then.
 */
export function xbzrleDecode(src: usize, length: u32, page: usize, pageSize: u32): i32 {
  let i: u32 = 0;
  let position: u32 = 0;
  while (i < length) {
    if (length - i < 2) return -1;
    let run = <u32>load<u8>(src + i);
    let width: u32 = 1;
    if (run & 128) {
      const high = <u32>load<u8>(src + i, 1);
      if (high & 128) return -1;
      run = (run & 127) | (high << 7);
      width = 2;
    }
    if (run == 0 && i != 0) return -1;
    i += width;
    if (run > pageSize - position) return -1;
    position += run;

    if (length - i < 2) return -1;
    run = <u32>load<u8>(src + i);
    width = 1;
    if (run & 128) {
      const high = <u32>load<u8>(src + i, 1);
      if (high & 128) return -1;
      run = (run & 127) | (high << 7);
      width = 2;
    }
    i += width;
    if (run == 0 || run > pageSize - position || run > length - i) return -1;
    copyBytes(page + position, src + i, run);
    position += run;
    i += run;
  }
  return position;
}
