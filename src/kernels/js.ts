import * as bitmap from "./js/bitmap.js";
import { hashPages } from "./js/hash.js";
import { changedPageMask, zeroPageMask } from "./js/pages.js";
import { decodePages, encodePages } from "./js/records.js";
import { Views } from "./js/views.js";
import { xbzrleDecode, xbzrleEncode } from "./js/xbzrle.js";
import type { GrowableBuffer, RawKernels } from "./types.js";

/**
 * The TypeScript twin: the same results as the WebAssembly kernels on any buffer, plainer and slower. It is the
 * reference in the tests, and what runs where WebAssembly cannot.
 */
export function createJsKernels(memory: GrowableBuffer): RawKernels {
  const views = new Views(memory);
  return {
    zeroPageMask: (src, pageSize, count) => zeroPageMask(views.current(), src, pageSize, count),
    changedPageMask: (a, b, pageSize, count) => changedPageMask(views.current(), a, b, pageSize, count),
    hashPages64: (src, pageSize, count, out) => hashPages(views.current(), src, pageSize, count, out, 8),
    hashPages128: (src, pageSize, count, out) => hashPages(views.current(), src, pageSize, count, out, 16),
    xbzrleEncode: (oldPage, newPage, length, out, capacity) =>
      xbzrleEncode(views.current(), oldPage, newPage, length, out, capacity),
    xbzrleDecode: (src, length, page, pageSize) => xbzrleDecode(views.current(), src, length, page, pageSize),
    bitmapCount: (address, from, end) => bitmap.bitmapCount(views.current(), address, from, end),
    bitmapNextSet: (address, from, end) => bitmap.bitmapNextSet(views.current(), address, from, end),
    bitmapNextClear: (address, from, end) => bitmap.bitmapNextClear(views.current(), address, from, end),
    bitmapRuns: (address, from, end, out, capacity) =>
      bitmap.bitmapRuns(views.current(), address, from, end, out, capacity),
    bitmapMergeClear: (target, source, bits) => bitmap.bitmapMergeClear(views.current(), target, source, bits),
    byteMapMerge: (address, marks, count, clear) => bitmap.byteMapMerge(views.current(), address, marks, count, clear),
    swap16: (target, source, count) => {
      const { data } = views.current();
      for (let i = 0; i < count * 2; i += 2) data.setUint16(target + i, data.getUint16(source + i), true);
    },
    swap32: (target, source, count) => {
      const { data } = views.current();
      for (let i = 0; i < count * 4; i += 4) data.setUint32(target + i, data.getUint32(source + i), true);
    },
    swap64: (target, source, count) => {
      const { data } = views.current();
      for (let i = 0; i < count * 8; i += 8) {
        const high = data.getUint32(source + i);
        data.setUint32(target + i, data.getUint32(source + i + 4), true);
        data.setUint32(target + i + 4, high, true);
      }
    },
    encodePages: (...job) => encodePages(views.current(), ...job),
    decodePages: (...job) => decodePages(views.current(), ...job),
  };
}
