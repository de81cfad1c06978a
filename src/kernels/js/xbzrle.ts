import type { Views } from "./views.js";

/** A length of this many bytes needs a third ULEB128 byte, which the format does not have. */
const LENGTH_LIMIT = 1 << 14;

/** Index behind the run of equal bytes that begins at `i`. */
function equalRunEnd({ u8, u32 }: Views, a: number, b: number, i: number, length: number): number {
  const aligned = ((a | b) & 3) === 0;
  while (i < length) {
    if (aligned && (i & 3) === 0) while (i + 4 <= length && u32[(a + i) / 4] === u32[(b + i) / 4]) i += 4;
    if (i === length || u8[a + i] !== u8[b + i]) break;
    i++;
  }
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
    u8.copyWithin(at, newPage + differing, newPage + i);
    at += run;
  }
  return at - out;
}

export function xbzrleDecode({ u8 }: Views, src: number, length: number, page: number, pageSize: number): number {
  const end = src + length;
  let at = src;
  let position = 0;
  /** The length at `at`, which two bytes at least must follow or form; -1 if there is none. */
  const takeLength = (): number => {
    if (end - at < 2) return -1;
    const low = u8[at++];
    if (low < 128) return low;
    const high = u8[at++];
    return high < 128 ? (low & 127) | (high << 7) : -1;
  };
  while (at < end) {
    const first = at === src;
    const same = takeLength();
    if (same < 0 || (same === 0 && !first) || same > pageSize - position) return -1;
    position += same;
    const run = takeLength();
    if (run <= 0 || run > pageSize - position || run > end - at) return -1;
    u8.copyWithin(page + position, at, at + run);
    position += run;
    at += run;
  }
  return position;
}
