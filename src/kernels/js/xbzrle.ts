import type { Views } from "./views.js";

/** A length of this many bytes needs a third ULEB128 byte, which the format does not have. */
const LENGTH_LIMIT = 1 << 14;

/** From this length on a copy as a whole is worth its call. */
const LONG_COPY = 64;

/** Copies between regions that do not overlap. */
function copy(u8: Uint8Array, target: number, source: number, length: number): void {
  if (length >= LONG_COPY) u8.copyWithin(target, source, source + length);
  else for (const end = source + length; source < end;) u8[target++] = u8[source++];
}

/** Index behind the run of equal bytes that begins at `i`. */
function equalRunEnd({ u8, u32, data }: Views, a: number, b: number, i: number, length: number): number {
  if (((a | b) & 3) === 0) {
    while ((i & 3) !== 0 && i < length && u8[a + i] === u8[b + i]) i++;
    if ((i & 3) !== 0) return i;
    const first = (a + i) >>> 2;
    const end = first + ((length - i) >>> 2);
    const distance = (b >>> 2) - (a >>> 2);
    let at = first;
    while (at < end && u32[at] === u32[at + distance]) at++;
    i += (at - first) * 4;
    if (at < end) {
      const differing = data.getInt32(a + i, true) ^ data.getInt32(b + i, true);
      return i + ((31 - Math.clz32(differing & -differing)) >>> 3);
    }
  }
  while (i < length && u8[a + i] === u8[b + i]) i++;
  return i;
}

function putLength(u8: Uint8Array, at: number, length: number): number {
  if (length < 128) {
    u8[at] = length;
    return at + 1;
  }
  u8[at] = (length & 127) | 128;
  u8[at + 1] = length >>> 7;
  return at + 2;
}

export function xbzrleEncode(
  views: Views,
  oldPage: number,
  newPage: number,
  length: number,
  out: number,
  capacity: number,
): number {
  const { u8 } = views;
  const limit = out + capacity;
  let at = out;
  let i = 0;
  while (i < length) {
    if (at + 2 > limit) return -1;
    const differing = equalRunEnd(views, oldPage, newPage, i, length);
    const same = differing - i;
    i = differing;
    if (same === length) return 0;
    if (i === length) break;
    if (same >= LENGTH_LIMIT) return -1;
    at = putLength(u8, at, same);

    if (at + 2 > limit) return -1;
    while (i < length && u8[oldPage + i] !== u8[newPage + i]) i++;
    const run = i - differing;
    if (run >= LENGTH_LIMIT) return -1;
    at = putLength(u8, at, run);
    if (at + run > limit) return -1;
    copy(u8, at, newPage + differing, run);
    at += run;
  }
  return at - out;
}

export function xbzrleDecode({ u8 }: Views, src: number, length: number, page: number, pageSize: number): number {
  const end = src + length;
  let at = src;
  let position = 0;
  while (at < end) {
    // A length and a byte more, or a length of two bytes.
    if (end - at < 2) return -1;
    let same = u8[at++];
    if (same >= 128) {
      const high = u8[at++];
      if (high >= 128) return -1;
      same = (same & 127) | (high << 7);
    }
    if ((same === 0 && position !== 0) || same > pageSize - position) return -1;
    position += same;

    if (end - at < 2) return -1;
    let run = u8[at++];
    if (run >= 128) {
      const high = u8[at++];
      if (high >= 128) return -1;
      run = (run & 127) | (high << 7);
    }
    if (run === 0 || run > pageSize - position || run > end - at) return -1;
    copy(u8, page + position, at, run);
    position += run;
    at += run;
  }
  return position;
}
