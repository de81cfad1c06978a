import { type Arena, type KernelOptions, type Kernels } from "../kernels/index.js";
import { RAM_SAVE_FLAG_CONTINUE, RAM_SAVE_FLAG_PAGE, RAM_SAVE_FLAG_ZERO } from "../stream/constants.js";
import { encodeName } from "../stream/names.js";
import type { RAMBlock } from "./block.js";
import type { MemorySegment } from "./guest-memory.js";
import { KernelBindings } from "./kernel-bindings.js";
import { compressBound } from "./page-codec.js";
import { NAME_BYTES, PageOutput } from "./page-output.js";
import type { RamStats } from "./stats.js";

/** A run of dirty pages in one segment: it is sent whole. */
export interface PageRun {
  readonly block: RAMBlock;
  readonly segment: MemorySegment;
  /** First page, counted from the start of the block. */
  readonly first: number;
  readonly count: number;
  /** Whether the first record continues the block of the record before it. */
  readonly continues: boolean;
}

/** Writes runs as ZERO and PAGE records; one for each way that memory can be reached. */
export interface RunEncoder {
  readonly output: PageOutput;
  /** Most pages of one run. */
  readonly maxPages: number;
  /** `output` has room for the run, were every page to be sent whole. */
  encode(run: PageRun, stats: RamStats): void;
}

/** Bytes of records handed over at once; two such pieces stay in the cache of a core. */
const OUTPUT = 256 << 10;
/** Pages of one run, at most. */
const RUN_PAGES = 256;
const MIN_SCRATCH = 8 << 10;
/** `RESULT_BYTES`, rounded so that what follows begins on a word. */
const RESULT_ROOM = 32;

/** Room for the longest record there is: word, name, lengths, and a page that zlib could not make smaller. */
export function recordBytes(pageSize: number): number {
  return 8 + NAME_BYTES + 4 + compressBound(pageSize);
}

/**
 * Picks the encoder for a segment: in place where the emulator gave us a scratch region; else, with Wasm kernels and a
 * plain buffer, on a copy in the arena, since the pages must be copied out in any case; else page by page.
 */
export class RunEncoders {
  readonly arena: Arena;
  /** In the arena; for records that are made page by page too. */
  readonly output: PageOutput;
  readonly #pageSize: number;
  readonly #bindings: KernelBindings;
  readonly #copying: RunEncoder;
  readonly #bySegment = new Map<MemorySegment, RunEncoder>();

  constructor(arena: Arena, pageSize: number, options: KernelOptions) {
    this.arena = arena;
    this.#pageSize = pageSize;
    this.#bindings = new KernelBindings(options);
    const name = arena.reserve("block name", NAME_BYTES);
    const output = arena.reserve("page records", 2 * Math.max(OUTPUT, 8 * recordBytes(pageSize)));
    this.output = new PageOutput(arena.kernels, output.address, output.byteLength, name.address);
    this.#copying = new DirectEncoder(arena.kernels, this.output, pageSize, false);
  }

  forSegment(segment: MemorySegment): RunEncoder {
    let encoder = this.#bySegment.get(segment);
    if (encoder === undefined) {
      encoder = this.#choose(segment);
      this.#bySegment.set(segment, encoder);
    }
    return encoder;
  }

  #choose(segment: MemorySegment): RunEncoder {
    const { memory, scratch } = segment;
    const enough = MIN_SCRATCH + 2 * recordBytes(this.#pageSize);
    if (scratch !== null && scratch.length >= enough) {
      return new InPlaceEncoder(this.#bindings.for(memory), scratch, this.#pageSize);
    }
    const kernels = this.#bindings.for(memory);
    if (kernels.implementation === "js" && this.arena.kernels.implementation === "wasm") return this.#copying;
    return new DirectEncoder(kernels, this.output, this.#pageSize, true);
  }
}

/** Where the kernel that encodes runs works. Addresses are in the memory of the kernels. */
interface RunSite {
  readonly kernels: Kernels;
  readonly output: PageOutput;
  readonly pageSize: number;
  /** {@link RUN_PAGES} bits. */
  readonly bitmap: number;
  /** `RESULT_BYTES` bytes. */
  readonly result: number;
}

/** Encode a whole run whose pages are at the address `ram`. */
function encodeRun(site: RunSite, ram: number, { block, first, count, continues }: PageRun, stats: RamStats): void {
  const { kernels, output, pageSize, bitmap, result } = site;
  // The kernel takes the bits of the pages it writes.
  output.heap().fill(0xff, bitmap, bitmap + Math.ceil(count / 8));
  const done = kernels.encodePages({
    ram,
    pageSize,
    blockPage: first,
    bitmap,
    first: 0,
    end: count,
    name: continues ? 0 : output.name(block),
    out: output.at,
    outEnd: output.end,
    result,
  });
  output.advance(done.bytes);
  stats.zeroPages += done.zeroPages;
  stats.normalPages += done.normalPages;
}

/** Works on the emulator's memory alone: bitmap, name and records are in its scratch region. */
class InPlaceEncoder implements RunEncoder {
  readonly output: PageOutput;
  readonly maxPages = RUN_PAGES;
  readonly #site: RunSite;

  constructor(kernels: Kernels, scratch: { offset: number; length: number }, pageSize: number) {
    const result = scratch.offset;
    const bitmap = result + RESULT_ROOM;
    const name = bitmap + RUN_PAGES / 8;
    const start = name + NAME_BYTES;
    // More than a core's cache holds would only be slower.
    const length = Math.min(scratch.offset + scratch.length - start, 2 * Math.max(OUTPUT, 8 * recordBytes(pageSize)));
    this.output = new PageOutput(kernels, start, length, name);
    this.#site = { kernels, output: this.output, pageSize, bitmap, result };
  }

  encode(run: PageRun, stats: RamStats): void {
    const { segment, first } = run;
    encodeRun(this.#site, segment.address + (first * this.#site.pageSize - segment.start), run, stats);
  }
}

/**
 * Copies each page straight into its record, and asks whether it is zero before, where the kernels reach guest memory,
 * or else of the copy. Page by page: to copy 128 KiB at once and encode the copy took a third longer, and to ask about 32
 * pages before the first is copied took twice as long for a mix of zero and other pages (Zen 4, memory in no cache).
 */
class DirectEncoder implements RunEncoder {
  readonly output: PageOutput;
  readonly maxPages = RUN_PAGES;
  readonly #kernels: Kernels;
  readonly #pageSize: number;
  readonly #inPlace: boolean;

  /** @param kernels bound to guest memory if `inPlace`, else to the memory of the output */
  constructor(kernels: Kernels, output: PageOutput, pageSize: number, inPlace: boolean) {
    this.#kernels = kernels;
    this.output = output;
    this.#pageSize = pageSize;
    this.#inPlace = inPlace;
  }

  encode({ block, segment, first, count, continues }: PageRun, stats: RamStats): void {
    const { output } = this;
    const pageSize = this.#pageSize;
    const start = first * pageSize;
    const pages = block.memory.view(start, count * pageSize);
    const address = segment.address + (start - segment.start);
    // Taken once: asking a WebAssembly.Memory for its buffer leaves compiled code, too often if done for every page.
    const heap = output.heap();
    const view = new DataView(heap.buffer);
    let name = continues ? null : encodeName(block.name);
    let { at } = output;
    for (let from = 0; from < pages.length; from += pageSize) {
      const body = at + 8 + (name === null ? 0 : 1 + name.length);
      // Most pages that are not zero begin so, and need no call.
      let isZero = pages[from] === 0;
      if (this.#inPlace) isZero &&= this.#isZero(address + from);
      if (!this.#inPlace || !isZero) heap.set(pages.subarray(from, from + pageSize), body);
      if (!this.#inPlace) isZero &&= this.#isZero(body);
      const offset = start + from;
      const flags = (isZero ? RAM_SAVE_FLAG_ZERO : RAM_SAVE_FLAG_PAGE) | (name === null ? RAM_SAVE_FLAG_CONTINUE : 0);
      view.setUint32(at, Math.floor(offset / 0x1_0000_0000));
      view.setUint32(at + 4, (offset >>> 0) | flags);
      if (name !== null) {
        heap[at + 8] = name.length;
        heap.set(name, at + 9);
        name = null;
      }
      if (isZero) {
        heap[body] = 0;
        at = body + 1;
        stats.zeroPages++;
      } else {
        at = body + pageSize;
        stats.normalPages++;
      }
    }
    output.advance(at - output.at);
  }

  #isZero(page: number): boolean {
    return this.#kernels.zeroPageMask(page, this.#pageSize, 1) === 1;
  }
}
