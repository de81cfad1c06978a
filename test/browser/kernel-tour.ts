import type { Kernels } from "../../src/kernels/index.js";

const PAGE_SIZE = 1024;
const PAGES = 32;
const RAM = 0x1000;
const OTHER = 0xa000;
const PLACED = 0x14000;
const OUT = 0x20000;
const OUT_END = 0x30000;
const BITMAP = 0x100;
const MARKS = 0x200;
const RECEIVED = 0x300;
const RESULT = 0x400;
const WORDS = 0x600;

/** The results of a run, to compare between implementations. */
export interface Tour {
  readonly pagesSent: number;
  readonly pagesPlaced: number;
  readonly numbers: readonly number[];
}

/**
 * Runs every kernel once, on memory (256 KiB at least) that the seed decides: a quarter of the pages zero, a quarter
 * changed in one byte, the others as they were. Not a thorough test, that one is in test/kernels; this one asks whether
 * an engine runs them as Node does.
 */
export function runKernels(kernels: Kernels, seed: number): Tour {
  const memory = new Uint8Array(kernels.buffer);
  const random = randomBytes(seed);
  for (let at = 0; at < memory.length; at++) memory[at] = random();
  for (let page = 0; page < PAGES; page++) {
    const at = RAM + page * PAGE_SIZE;
    if (page % 4 === 0) memory.fill(0, at, at + PAGE_SIZE);
    memory.copyWithin(OTHER + page * PAGE_SIZE, at, at + PAGE_SIZE);
    if (page % 4 === 1) memory[at + random()] ^= 1;
  }
  memory.fill(0, PLACED, PLACED + PAGES * PAGE_SIZE);
  memory.fill(0, RECEIVED, RECEIVED + PAGES / 8);

  const changed = RAM + PAGE_SIZE;
  const xbzrle = kernels.xbzrleEncode(OTHER + PAGE_SIZE, changed, PAGE_SIZE, OUT, PAGE_SIZE);
  const numbers = [
    kernels.zeroPageMask(RAM, PAGE_SIZE, PAGES),
    kernels.changedPageMask(RAM, OTHER, PAGE_SIZE, PAGES),
    xbzrle,
    kernels.xbzrleDecode(OUT, xbzrle, OTHER + PAGE_SIZE, PAGE_SIZE),
    kernels.changedPageMask(changed, OTHER + PAGE_SIZE, PAGE_SIZE, 1),
    kernels.byteMapMerge(BITMAP, MARKS, PAGES, true),
    kernels.bitmapMergeClear(BITMAP, BITMAP + 64, PAGES),
    kernels.bitmapCount(BITMAP, 0, PAGES),
    kernels.bitmapNextSet(BITMAP, 5, PAGES),
    kernels.bitmapNextClear(BITMAP, 5, PAGES),
    kernels.bitmapRuns(BITMAP, 0, PAGES, RESULT + 64, PAGES),
  ];
  kernels.hashPages64(RAM, PAGE_SIZE, PAGES, WORDS);
  kernels.hashPages128(RAM, PAGE_SIZE, PAGES, WORDS + 0x200);
  kernels.swap16(WORDS, WORDS, 16);
  kernels.swap32(WORDS + 0x40, WORDS + 0x40, 16);
  kernels.swap64(WORDS + 0x80, WORDS + 0x80, 16);

  const window = { ram: RAM, pageSize: PAGE_SIZE, blockPage: 3, result: RESULT };
  const sent = kernels.encodePages({
    ...window,
    bitmap: BITMAP,
    first: 0,
    end: PAGES,
    name: 0,
    out: OUT,
    outEnd: OUT_END,
  });
  const placed = kernels.decodePages({
    ...window,
    ram: PLACED,
    pages: PAGES,
    input: OUT,
    inputEnd: OUT + sent.bytes,
    received: RECEIVED,
  });
  return {
    pagesSent: sent.zeroPages + sent.normalPages,
    pagesPlaced: placed.zeroPages + placed.normalPages,
    numbers: [...numbers, sent.bytes, sent.next, sent.zeroPages, placed.bytes, placed.zeroPages],
  };
}

/** A small xorshift generator: the same bytes in every engine. */
function randomBytes(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  };
}
