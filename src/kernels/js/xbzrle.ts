import type { Views } from "./views.js";

/** A length of this many bytes needs a third ULEB128 byte, which the format does not have. */
const LENGTH_LIMIT = 1 << 14;

/** From this length on a copy as a whole is worth its call. */
const LONG_COPY = 64;

/** Copies between regions that do not overlap. */
function copy(u8: Uint8Array, target: number, source: number, length: number): void {
  if (length >= LONG_COPY) u8.copyWithin(target, source, source + length);
  else for (let i = 0; i < length; i++) u8[target + i] = u8[source + i];
}

/** Index behind the run of equal bytes that begins at `i`. */
function equalRunEnd({ u8, u32 }: Views, a: number, b: number, i: number, length: number): number {
  if (((a | b) & 3) === 0) {
    while ((i & 3) !== 0 && i < length && u8[a + i] === u8[b + i]) i++;
    if ((i & 3) === 0) {
      const end = (a + length - (length & 3)) / 4;
      let p = (a + i) / 4;
      let q = (b + i) / 4;
      while (p + 4 <= end) {
        const low = (u32[p] ^ u32[q]) | (u32[p + 1] ^ u32[q + 1]);
        const high = (u32[p + 2] ^ u32[q + 2]) | (u32[p + 3] ^ u32[q + 3]);
        if ((low | high) !== 0) break;
        p += 4;
        q += 4;
      }
      while (p < end && u32[p] === u32[q]) {
        p++;
        q++;
      }
      i = p * 4 - a;
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
    copy(u8, page + position, at, run);
    position += run;
    at += run;
  }
  return position;
}
