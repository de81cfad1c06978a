// What a thread does to a part of the guest: the same code in the rows of one thread and in those of several.

import { PAGE } from "../kit.mjs";

const CALL = 32; // pages, the most of one call for a mask

const NATIVE_CALL = 256;

/** Bytes of records that a worker has in hand at once, as many as a save has; they stay in its second-level cache. */
export const ARENA = 256 * 1024;

/** Counts the zero pages among [first, end). */
function scan({ kernels, ram }, first, end) {
  let zeros = 0;
  for (let page = first; page < end; page += CALL) {
    let mask = kernels.zeroPageMask(ram + page * PAGE, PAGE, Math.min(CALL, end - page));
    if (mask === 0xffffffff) zeros += CALL;
    else for (; mask !== 0; mask &= mask - 1) zeros++;
  }
  return zeros;
}

/** Encodes the pages [first, end), all of them dirty, an arena at a time; returns how many pages became records. */
function encode({ kernels, bytes, ram, bitmap, out, result }, first, end) {
  bytes.fill(255, bitmap + first / 8, bitmap + end / 8);
  const job = { bitmap, end, ram, pageSize: PAGE, blockPage: 0, name: 0, out, outEnd: out + ARENA, result };
  let records = 0;
  while (first < end) {
    const { next, zeroPages, normalPages } = kernels.encodePages({ ...job, first });
    records += zeroPages + normalPages;
    first = next;
  }
  return records;
}

/** The same by native code, as far as one call of it goes. */
function nativeScan({ native, ram }, first, end) {
  let zeros = 0;
  for (let page = first; page < end; page += NATIVE_CALL) {
    zeros += native.zeroPages(ram + page * PAGE, PAGE, Math.min(NATIVE_CALL, end - page));
  }
  return zeros;
}

function nativeEncode({ native, bytes, ram, bitmap, out, result }, first, end) {
  bytes.fill(255, bitmap + first / 8, bitmap + end / 8);
  const from = first;
  while (first < end) first = native.encodeRam(bitmap, first, end, ram, PAGE, 0, out, out + ARENA, result);
  return end - from;
}

export const JOBS = { scan, encode, nativeScan, nativeEncode };
