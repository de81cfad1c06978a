// RAM section records in plain JavaScript: of pages that are all dirty, with CONTINUE, into memory that holds zeros.

import { zeroPageMask } from "./pages.mjs";

const ZERO = 0x22; // with CONTINUE
const PAGE = 0x28;

/** Takes the marks of [0, end) and writes the records; returns their bytes. */
export function encodePages(views, bitmap, end, ram, pageSize, out) {
  const { u8, data } = views;
  let at = out;
  for (let page = 0; page < end; page++) {
    const byte = bitmap + (page >>> 3);
    const mark = 1 << (page & 7);
    if ((u8[byte] & mark) === 0) continue;
    u8[byte] &= ~mark;
    const source = ram + page * pageSize;
    const zero = zeroPageMask(views, source, pageSize, 1) !== 0;
    data.setUint32(at, 0);
    data.setUint32(at + 4, (page * pageSize) | (zero ? ZERO : PAGE));
    if (zero) {
      u8[at + 8] = 0;
      at += 9;
    } else {
      u8.copyWithin(at + 8, source, source + pageSize);
      at += 8 + pageSize;
    }
  }
  return at - out;
}

/** Places records; returns how many. */
export function decodePages(views, input, inputEnd, ram, pageSize) {
  const { u8, data } = views;
  let at = input;
  let records = 0;
  while (inputEnd - at >= 9) {
    const word = data.getUint32(at + 4);
    const target = ram + (word & -pageSize);
    const flags = word & (pageSize - 1);
    if (flags === ZERO) {
      if (zeroPageMask(views, target, pageSize, 1) === 0) u8.fill(0, target, target + pageSize);
      at += 9;
    } else if (flags === PAGE) {
      u8.copyWithin(target, at + 8, at + 8 + pageSize);
      at += 8 + pageSize;
    } else break;
    records++;
  }
  return records;
}
