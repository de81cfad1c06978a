import { bitmapNextSet, clearBit, setBit } from "./bitmap.js";
import { isZeroPage } from "./pages.js";
import type { Views } from "./views.js";

// Record words of the RAM section (RAM section, The word and its flags). The kernels are the lowest layer and
// cannot import the stream's constants; a test holds the two together.
const RAM_SAVE_FLAG_ZERO = 0x02;
const RAM_SAVE_FLAG_PAGE = 0x08;
const RAM_SAVE_FLAG_CONTINUE = 0x20;

const TWO_32 = 2 ** 32;

export function encodePages(
  views: Views,
  bitmap: number,
  first: number,
  end: number,
  ram: number,
  pageSize: number,
  blockPage: number,
  name: number,
  out: number,
  outEnd: number,
  result: number,
): void {
  const { u8, data } = views;
  let nameBytes = name === 0 ? 0 : u8[name] + 1;
  let flags = name === 0 ? RAM_SAVE_FLAG_CONTINUE : 0;
  let at = out;
  let zeros = 0;
  let normals = 0;
  let page = bitmapNextSet(views, bitmap, first, end);
  while (page < end) {
    // Clear, then read: a write that comes in between marks the page again.
    clearBit(views, bitmap, page);
    const source = ram + page * pageSize;
    const zero = isZeroPage(views, source, pageSize);
    if (outEnd - at < 8 + nameBytes + (zero ? 1 : pageSize)) {
      setBit(views, bitmap, page);
      break;
    }
    const offset = (blockPage + page) * pageSize;
    data.setUint32(at, Math.floor(offset / TWO_32));
    data.setUint32(at + 4, (offset | flags | (zero ? RAM_SAVE_FLAG_ZERO : RAM_SAVE_FLAG_PAGE)) >>> 0);
    at += 8;
    if (nameBytes !== 0) {
      u8.copyWithin(at, name, name + nameBytes);
      at += nameBytes;
      nameBytes = 0;
      flags = RAM_SAVE_FLAG_CONTINUE;
    }
    if (zero) {
      u8[at++] = 0;
      zeros++;
    } else {
      u8.copyWithin(at, source, source + pageSize);
      at += pageSize;
      normals++;
    }
    page = bitmapNextSet(views, bitmap, page + 1, end);
  }
  const words = [at - out, page, zeros, normals, name !== 0 && zeros + normals > 0 ? 1 : 0];
  words.forEach((word, index) => data.setUint32(result + index * 4, word, true));
}

export function decodePages(
  views: Views,
  input: number,
  inputEnd: number,
  ram: number,
  pageSize: number,
  blockPage: number,
  pages: number,
  received: number,
  result: number,
): void {
  const { u8, data } = views;
  const shift = 31 - Math.clz32(pageSize);
  let at = input;
  let zeros = 0;
  let normals = 0;
  while (inputEnd - at >= 9) {
    const low = data.getInt32(at + 4);
    const flags = low & (pageSize - 1);
    // Inexact above 2^53, which no window reaches.
    const page = data.getUint32(at) * (TWO_32 / pageSize) + (low >>> shift) - blockPage;
    if (page < 0 || page >= pages) break;
    const target = ram + page * pageSize;
    if (flags === (RAM_SAVE_FLAG_ZERO | RAM_SAVE_FLAG_CONTINUE)) {
      if (u8[at + 8] !== 0) break;
      if (!isZeroPage(views, target, pageSize)) u8.fill(0, target, target + pageSize);
      at += 9;
      zeros++;
    } else if (flags === (RAM_SAVE_FLAG_PAGE | RAM_SAVE_FLAG_CONTINUE)) {
      if (inputEnd - at < 8 + pageSize) break;
      u8.copyWithin(target, at + 8, at + 8 + pageSize);
      at += 8 + pageSize;
      normals++;
    } else break;
    if (received !== 0) setBit(views, received, page);
  }
  const words = [at - input, zeros, normals];
  words.forEach((word, index) => data.setUint32(result + index * 4, word, true));
}
