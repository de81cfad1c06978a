import { unzlibSync, zlibSync } from "fflate";
import { RamError } from "../errors.js";

/** Compression levels of zlib, as QEMU's parameter compress-level: 0 stores, 1 is fastest, 9 smallest. */
export type CompressLevel = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

/**
 * Unpack one COMPRESS_PAGE record to exactly one page, checksum included.
 * @throws RamError PAGE_COMPRESSED
 */
export function inflatePage(data: Uint8Array, pageSize: number): Uint8Array {
  // One byte of room beyond the page tells a longer output from a whole one.
  const room = new Uint8Array(pageSize + 1);
  let page: Uint8Array;
  try {
    page = unzlibSync(data, { out: room });
  } catch (cause) {
    throw new RamError("PAGE_COMPRESSED", "Load a compressed page: the data is corrupt", { cause });
  }
  if (page.length !== pageSize) {
    const got = page.length > pageSize ? "more" : String(page.length);
    throw new RamError("PAGE_COMPRESSED", `Load a compressed page: it unpacks to ${got} bytes, want ${pageSize}`);
  }
  const stated = new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(data.length - 4);
  if (adler32(page) !== stated) throw new RamError("PAGE_COMPRESSED", "Load a compressed page: its checksum is wrong");
  return page;
}

/** Pack one page as zlib does; other bytes than QEMU's, for the same page. */
export function deflatePage(page: Uint8Array, level: CompressLevel): Uint8Array {
  return zlibSync(page, { level });
}

function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    // Sums stay exact far beyond one page of 64 KiB: reduce at the end.
    a += byte;
    b += a;
  }
  return (((b % 65521) << 16) | (a % 65521)) >>> 0;
}
