// RAM section records of one block (RAM section, The word and its flags), whole runs at a time:
//
//   be64 (offset in block | flags)  [ u8 n, n bytes name ]  ZERO: u8 0 | PAGE: the page
//
// The name stands only in records without CONTINUE. A window is a part of a block: `blockPage` is the number of
// its first page in the block, `ram` that page's address, bit 0 of its bitmap that page's bit.

import { bitmapNextSet, clearBits, setBits } from "./bitmap";
import { copyOut } from "./vector";
import { isZeroPage } from "./zero";

@inline const ZERO: u64 = 0x02;
@inline const PAGE: u64 = 0x08;
@inline const CONTINUE: u64 = 0x20;

/**
 * Records of the pages [first, end) of the window that are dirty, to [out, outEnd), until done or the next record
 * does not fit. A bit is cleared before its page is read, so that a writer on another thread makes the page
 * dirty again; it is set again when the record did not fit. With a `name` (address of the counted string) the
 * first record carries it, else all carry CONTINUE.
 *
 * Five words at `result`: bytes written, first page not handled, ZERO records, PAGE records, 1 if the name
 * was written.
 */
export function encodePages(
  bitmap: usize,
  first: u32,
  end: u32,
  ram: usize,
  pageSize: u32,
  blockPage: u32,
  name: usize,
  out: usize,
  outEnd: usize,
  result: usize,
): void {
  const shift = <u32>ctz(pageSize);
  const nameBytes: u32 = name ? <u32>load<u8>(name) + 1 : 0;
  let header: u32 = 8 + nameBytes;
  let flags: u64 = name ? 0 : CONTINUE;
  let at = out;
  let zeros: u32 = 0;
  let normals: u32 = 0;
  let page = bitmapNextSet(bitmap, first, end);
  while (page < end) {
    clearBits(bitmap, page, 1);
    const source = ram + (<usize>page << shift);
    const zero = isZeroPage(source, pageSize);
    if (<u32>(outEnd - at) < header + (zero ? 1 : pageSize)) {
      setBits(bitmap, page, 1);
      break;
    }
    const offset = (<u64>blockPage + page) << shift;
    store<u64>(at, bswap<u64>(offset | flags | (zero ? ZERO : PAGE)));
    if (!flags) {
      memory.copy(at + 8, name, nameBytes);
      flags = CONTINUE;
    }
    at += header;
    header = 8;
    if (zero) {
      store<u8>(at, 0);
      at++;
      zeros++;
    } else {
      memory.copy(at, source, pageSize);
      at += pageSize;
      normals++;
    }
    page = bitmapNextSet(bitmap, page + 1, end);
  }
  store<u32>(result, <u32>(at - out));
  store<u32>(result, page, 4);
  store<u32>(result, zeros, 8);
  store<u32>(result, normals, 12);
  store<u32>(result, name && zeros + normals ? 1 : 0, 16);
}

/**
 * Places the ZERO and PAGE records at [input, inputEnd) in the window of `pages` pages, and sets their bits in
 * the bitmap `received` (0: none). Stops in front of the first record that is incomplete, lacks CONTINUE, is of
 * another kind, has a fill byte other than zero, or lies outside the window. A zero page that is zero already is
 * not written: it stays unallocated in a sparse memory.
 *
 * Three words at `result`: bytes consumed, ZERO records, PAGE records.
 */
export function decodePages(
  input: usize,
  inputEnd: usize,
  ram: usize,
  pageSize: u32,
  blockPage: u32,
  pages: u32,
  received: usize,
  result: usize,
): void {
  const shift = <u32>ctz(pageSize);
  let at = input;
  let zeros: u32 = 0;
  let normals: u32 = 0;
  while (<u32>(inputEnd - at) >= 9) {
    const word = bswap<u64>(load<u64>(at));
    const flags = word & <u64>(pageSize - 1);
    const index = (word >>> shift) - blockPage;
    if (index >= <u64>pages) break;
    const page = <u32>index;
    const target = ram + (page << shift);
    if (flags == (ZERO | CONTINUE)) {
      if (load<u8>(at, 8) != 0) break;
      if (!isZeroPage(target, pageSize)) memory.fill(target, 0, pageSize);
      at += 9;
      zeros++;
    } else if (flags == (PAGE | CONTINUE)) {
      if (<u32>(inputEnd - at) < 8 + pageSize) break;
      copyOut(target, at + 8, pageSize);
      at += 8 + pageSize;
      normals++;
    } else break;
    if (received) setBits(received, page, 1);
  }
  store<u32>(result, <u32>(at - input));
  store<u32>(result, zeros, 4);
  store<u32>(result, normals, 8);
}
