/** What a save or a load of RAM has done so far. Plain data; pages are target pages. */
export interface RamStats {
  /** Records by kind. */
  zeroPages: number;
  normalPages: number;
  xbzrlePages: number;
  compressedPages: number;
  /** Pages that XBZRLE found unchanged: handled without a record. */
  unchangedPages: number;
  /** XBZRLE: pages that were not in the cache, and pages whose difference was longer than a page. */
  cacheMisses: number;
  cacheOverflows: number;
  /** Bytes of encoded differences. */
  xbzrleBytes: number;
  /** Bytes of compressed pages. */
  compressedBytes: number;
  /** Bytes of records, words and names included. */
  recordBytes: number;
  /** How often dirty bitmaps were synchronised. */
  dirtySyncs: number;
  /** Pages marked dirty and not sent yet. */
  dirtyPages: number;
}

/** Where every save and every load begins. */
export function emptyRamStats(): RamStats {
  return {
    zeroPages: 0,
    normalPages: 0,
    xbzrlePages: 0,
    compressedPages: 0,
    unchangedPages: 0,
    cacheMisses: 0,
    cacheOverflows: 0,
    xbzrleBytes: 0,
    compressedBytes: 0,
    recordBytes: 0,
    dirtySyncs: 0,
    dirtyPages: 0,
  };
}
