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
  const end = (page + pageSize) / 4;
  for (let at = page / 4; at < end; at += 8) {
    const bits =
      u32[at] | u32[at + 1] | u32[at + 2] | u32[at + 3] | u32[at + 4] | u32[at + 5] | u32[at + 6] | u32[at + 7];
    if (bits !== 0) return false;
  }
  return true;
}

/** Do the pages at `a` and `b` hold the same bytes? */
function isEqualPage({ u8, u32 }: Views, a: number, b: number, pageSize: number): boolean {
  if (((a | b) & 3) !== 0) {
    for (let at = 0; at < pageSize; at++) if (u8[a + at] !== u8[b + at]) return false;
    return true;
  }
  const wordA = a / 4;
  const wordB = b / 4;
  for (let at = 0; at < pageSize / 4; at += 4) {
    if (
      u32[wordA + at] !== u32[wordB + at] ||
      u32[wordA + at + 1] !== u32[wordB + at + 1] ||
      u32[wordA + at + 2] !== u32[wordB + at + 2] ||
      u32[wordA + at + 3] !== u32[wordB + at + 3]
    ) {
      return false;
    }
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
