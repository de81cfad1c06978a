// Guests that are saved round by round: a tracker says which pages were written, a round sends those.

import { fillRandom, MIB, PAGE, randomNumbers } from "../kit.mjs";

/** Distinct memory behind a guest of any size: more than caches hold. */
const SEGMENT = 256 * MIB;

/** A guest whose segments are all the same memory: as large as wanted, and no part of it is kept twice. */
export function repeatedMemory(length, segment) {
  const segments = new Array(Math.ceil(length / segment.length)).fill(segment);
  const last = length % segment.length;
  if (last !== 0) segments.push(segments.pop().subarray(0, last));
  return { segments };
}

let noise = null;

/** Memory for {@link repeatedMemory}, full of noise. */
export function noiseSegment() {
  if (noise === null) fillRandom((noise = new Uint8Array(SEGMENT)));
  return noise;
}

/** Where the emulator keeps its dirty marks, a bit a page. */
export const MARKS = {
  "Wasm memory": (bytes) => {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
    return { memory, offset: 0, length: bytes };
  },
  "shared Wasm memory": (bytes) => {
    const pages = Math.ceil(bytes / 65536);
    return {
      memory: new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
      offset: 0,
      length: bytes,
    };
  },
  "plain bytes": (bytes) => new Uint8Array(bytes),
};

/** A guest in the middle of a migration: every page was sent, and from now on the marks tell. */
export class RoundGuest {
  marks;
  #handler;
  #context;
  #library;
  #writer;
  #sink;

  /**
   * @param source what the RAM block is registered with
   * @param sink takes what is sent
   */
  constructor(library, { source, length, marks, sink }) {
    const { RamHandler, RAMBlockList, bitmapTracker, encodeSync, Writer } = library;
    const blocks = new RAMBlockList();
    blocks.addGlobal("ram", source);
    this.#library = library;
    this.#sink = sink;
    this.marks = marks instanceof Uint8Array ? marks : new Uint8Array(marks.memory.buffer, marks.offset, marks.length);
    this.#handler = new RamHandler(blocks, {
      pageSize: PAGE,
      maxPartMs: Infinity,
      tracker: bitmapTracker(() => marks),
    });
    this.#writer = new Writer();
    this.#context = { writer: this.#writer, inPostcopy: false, rateExceeded: () => false };
    encodeSync(this.#handler.saveSetup(this.#context), this.#writer, sink);
    // As if the first round, which sends all of RAM, were over.
    for (const { dirty } of this.#handler.save.blocks) dirty.clearRange(0, dirty.pages);
    this.#handler.saveStats.dirtyPages = 0;
    this.pages = length / PAGE;
  }

  /** Mark that share of the pages, scattered at random; returns how many. */
  dirty(share, seed = 1) {
    const { marks, pages } = this;
    if (share === 1) {
      marks.fill(0xff, 0, pages / 8);
      return pages;
    }
    const random = randomNumbers(seed);
    const wanted = Math.round(pages * share);
    let marked = 0;
    while (marked < wanted) {
      const page = Math.floor(random() * pages);
      const bit = 1 << (page & 7);
      if ((marks[page >> 3] & bit) !== 0) continue;
      marks[page >> 3] |= bit;
      marked++;
    }
    return wanted;
  }

  /** One round: ask what is left, and send it. Returns the number of pages sent. */
  round() {
    const handler = this.#handler;
    const before = handler.saveStats.normalPages + handler.saveStats.zeroPages;
    handler.statePendingExact();
    this.#library.encodeSync(handler.saveLiveIterate(this.#context), this.#writer, this.#sink);
    return handler.saveStats.normalPages + handler.saveStats.zeroPages - before;
  }
}
