// The only export list. Pure kernels: numbers in, numbers out; no managed objects, no data segment, no heap, no
// write outside what the caller names, since the imported memory may be a running emulator's own.

export { zeroPageMask } from "./zero";
export { changedPageMask } from "./compare";
export { hashPages64, hashPages128 } from "./hash";
export { xbzrleEncode, xbzrleDecode } from "./xbzrle";
export { bitmapCount, bitmapNextSet, bitmapNextClear, bitmapRuns, bitmapMergeClear, byteMapMerge } from "./bitmap";
export { swap16, swap32, swap64 } from "./endian";
export { encodePages, decodePages } from "./ram";
