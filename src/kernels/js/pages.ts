import type { Views } from "./views.js";

/** Is the page at `page` all zero? */
export function isZeroPage(views: Views, page: number, pageSize: number): boolean {
  const { u8, u32 } = views;
  // The last byte first: of pages that are not zero, many begin with zeros.
  if (u8[page + pageSize - 1] !== 0) return false;
  if ((page & 3) !== 0) {
    for (let at = page; at < page + pageSize; at++) if (u8[at] !== 0) return false;
    return true;
  }
  // Shifted, not divided: quotients are kept as doubles, and each index would be converted.
  const first = page >>> 2;
  const end = first + (pageSize >>> 2);
  if (u32[first + (pageSize >>> 3)] !== 0) return false;
  for (let at = first; at < end; at += 16) {
    const a = u32[at] | u32[at + 1] | u32[at + 2] | u32[at + 3];
    const b = u32[at + 4] | u32[at + 5] | u32[at + 6] | u32[at + 7];
    const c = u32[at + 8] | u32[at + 9] | u32[at + 10] | u32[at + 11];
    const d = u32[at + 12] | u32[at + 13] | u32[at + 14] | u32[at + 15];
    if ((a | b | c | d) !== 0) return false;
  }
  return true;
}

/** Do the pages at `a` and `b` hold the same bytes? */
function isEqualPage({ u8, u32 }: Views, a: number, b: number, pageSize: number): boolean {
  if (((a | b) & 3) !== 0) {
    for (let at = 0; at < pageSize; at++) if (u8[a + at] !== u8[b + at]) return false;
    return true;
  }
  const end = (a >>> 2) + (pageSize >>> 2);
  for (let i = a >>> 2, j = b >>> 2; i < end; i += 8, j += 8) {
    const low = (u32[i] ^ u32[j]) | (u32[i + 1] ^ u32[j + 1]) | (u32[i + 2] ^ u32[j + 2]) | (u32[i + 3] ^ u32[j + 3]);
    const high =
      (u32[i + 4] ^ u32[j + 4]) | (u32[i + 5] ^ u32[j + 5]) | (u32[i + 6] ^ u32[j + 6]) | (u32[i + 7] ^ u32[j + 7]);
    if ((low | high) !== 0) return false;
  }
  return true;
}

export function zeroPageMask(views: Views, src: number, pageSize: number, count: number): number {
  let mask = 0;
  for (let i = 0; i < count; i++) if (isZeroPage(views, src + i * pageSize, pageSize)) mask |= 1 << i;
  return mask;
}

export function changedPageMask(views: Views, a: number, b: number, pageSize: number, count: number): number {
  let mask = 0;
  for (let i = 0; i < count; i++) {
    if (!isEqualPage(views, a + i * pageSize, b + i * pageSize, pageSize)) mask |= 1 << i;
  }
  return mask;
}
