import type { Arena, Kernels } from "../kernels/index.js";
import type { RAMBlock } from "./block.js";
import { GuestMemory, type LinearMemory } from "./guest-memory.js";
import { KernelBindings } from "./kernel-bindings.js";
import type { PageBitmap } from "./page-bitmap.js";

/** What a tracker gets to work with during one save. */
export interface TrackingContext {
  /** Lives as long as the save; kernels and scratch memory. */
  readonly arena: Arena;
  /** Target page size in bytes. */
  readonly pageSize: number;
  readonly blocks: readonly RAMBlock[];
}

/**
 * Finds out which pages were written while a save is under way. Bring your own if the emulator knows better than those
 * here. Pages are target pages, ranges are first page and page behind the last.
 *
 * The order that keeps pages from being lost: {@link sync} takes the marks, {@link clear} is told right before pages
 * are read to be sent, and whatever is written after that must be reported by the next {@link sync}.
 */
export interface DirtyTracker {
  /** Tracking begins: what is written from now on must be reported. Every page counts as dirty already. */
  start?(context: TrackingContext): void;
  /** Mark the pages of the block that were written, and forget about them. Returns how many are newly marked. */
  sync(block: RAMBlock, dirty: PageBitmap): number;
  /** The pages of the range are about to be read. */
  clear?(block: RAMBlock, first: number, end: number): void;
  /** The save is over. */
  stop?(): void;
}

/** Marks that the emulator sets: bytes, or a region of a memory that may grow. */
export type MarkSource = Uint8Array | LinearMemory;

/** Bytes of marks taken at once: few enough to pass over what is clean between two of them. */
const CHUNK = 4 << 10;
/** Bytes of marks looked at in one call: their bits have numbers of 32 bits. */
const LOOK = 1 << 20;

/** Nothing is tracked: every page is sent once. Right while the machine stands still for the whole save. */
export function untracked(): DirtyTracker {
  return { sync: () => 0 };
}

/**
 * Marks are one bit per target page, page p being bit p % 8 of byte p / 8, set by the emulator and cleared by us; on
 * shared memory by atomic exchange.
 * @param marksOf the bitmap of a block, null for one that is never written
 */
export function bitmapTracker(marksOf: (block: RAMBlock) => MarkSource | null): DirtyTracker {
  return new MarkTracker(marksOf, 8, ({ kernels }, dirty, marks, first, count) =>
    kernels.bitmapMergeClear(dirty.address + first / 8, marks, count),
  );
}

/**
 * Marks are one byte per target page, not zero when it was written, set by the emulator and cleared by us; on shared
 * memory by atomic exchange.
 * @param marksOf the byte map of a block, null for one that is never written
 */
export function byteMapTracker(marksOf: (block: RAMBlock) => MarkSource | null): DirtyTracker {
  return new MarkTracker(marksOf, 1, ({ kernels }, dirty, marks, first, count) =>
    kernels.byteMapMerge(dirty.address + first / 8, marks, count, false),
  );
}

type Merge = (arena: Arena, dirty: PageBitmap, marks: number, first: number, count: number) => number;

class MarkTracker implements DirtyTracker {
  readonly #marksOf: (block: RAMBlock) => MarkSource | null;
  readonly #pagesPerByte: number;
  readonly #merge: Merge;
  readonly #sources = new Map<RAMBlock, GuestMemory | null>();
  #run: { arena: Arena; address: number; bindings: KernelBindings } | null = null;

  constructor(marksOf: (block: RAMBlock) => MarkSource | null, pagesPerByte: number, merge: Merge) {
    this.#marksOf = marksOf;
    this.#pagesPerByte = pagesPerByte;
    this.#merge = merge;
  }

  start({ arena, blocks, pageSize }: TrackingContext): void {
    this.#sources.clear();
    for (const block of blocks) {
      const marks = this.#marksOf(block);
      const source = marks === null ? null : new GuestMemory(marks);
      const need = Math.ceil(block.usedLength / pageSize / this.#pagesPerByte);
      if (source !== null && source.length < need) {
        throw new RangeError(`Track "${block.name}": its marks have ${source.length} bytes, want ${need}`);
      }
      this.#sources.set(block, source);
    }
    const { implementation } = arena.kernels;
    const bindings = new KernelBindings(implementation === "js" ? { implementation } : {});
    this.#run = { arena, address: arena.reserve("dirty marks", CHUNK).address, bindings };
  }

  sync(block: RAMBlock, dirty: PageBitmap): number {
    const source = this.#sources.get(block) ?? null;
    if (source === null || this.#run === null) return 0;
    const { arena, address } = this.#run;
    const heap = new Uint8Array(arena.kernels.buffer, address, CHUNK);
    const bytes = Math.ceil(dirty.pages / this.#pagesPerByte);
    let added = 0;
    for (let at = this.#nextMark(source, 0, bytes); at < bytes; at = this.#nextMark(source, at + CHUNK, bytes)) {
      const marks = source.view(at, Math.min(CHUNK, bytes - at));
      takeMarks(marks, heap);
      const first = at * this.#pagesPerByte;
      const count = Math.min(marks.length * this.#pagesPerByte, dirty.pages - first);
      added += this.#merge(arena, dirty, address, first, count);
    }
    return added;
  }

  /**
   * The first of the chunks from `from` on in which something is marked: most of them are clean in most rounds, and are
   * only read. A multiple of {@link CHUNK}; `end` or more if there is none.
   */
  #nextMark(source: GuestMemory, from: number, end: number): number {
    if (this.#run === null || from >= end) return end;
    const [segment] = source.segments;
    const inPlace = this.#run.bindings.for(segment.memory);
    // A twin reaches any buffer; it is as fast there as in the arena.
    if (inPlace.implementation === "wasm" || this.#run.arena.kernels.implementation === "js") {
      return nextMarkInPlace(inPlace, segment.address, from, end);
    }
    const { arena, address } = this.#run;
    for (let at = from; at < end; at += CHUNK) {
      const marks = source.view(at, Math.min(CHUNK, end - at));
      // Copied for a look by SIMD, which is several times faster than one in JavaScript.
      new Uint8Array(arena.kernels.buffer, address, CHUNK).set(marks);
      if (arena.kernels.bitmapNextSet(address, 0, marks.length * 8) < marks.length * 8) return at;
    }
    return end;
  }

  stop(): void {
    this.#sources.clear();
    this.#run = null;
  }
}

function nextMarkInPlace(kernels: Kernels, address: number, from: number, end: number): number {
  for (let at = from; at < end; at += LOOK) {
    const bits = Math.min(LOOK, end - at) * 8;
    const found = kernels.bitmapNextSet(address + at, 0, bits);
    if (found < bits) return at + Math.floor(found / 8 / CHUNK) * CHUNK;
  }
  return end;
}

/** Move marks to `target`. Another thread may be setting them if they are shared. */
function takeMarks(marks: Uint8Array, target: Uint8Array): void {
  if (marks.buffer instanceof ArrayBuffer) {
    target.set(marks);
    marks.fill(0);
    return;
  }
  for (let i = 0; i < marks.length; i++) target[i] = marks[i] === 0 ? 0 : Atomics.exchange(marks, i, 0);
}

/** Bytes of guest memory that {@link hashTracker} and {@link shadowTracker} look at in one go. */
const SCAN = 128 << 10;
/** Bytes of one hash. */
const HASH = 16;

/**
 * The emulator tracks nothing: pages are compared with a hash of what was sent (128 bits, not cryptographic, so a guest
 * that wants to can hide a change). Costs 16 bytes per page, and a scan of all RAM per synchronisation.
 */
export function hashTracker(): DirtyTracker {
  return new ScanTracker(HASH, hashPages);
}

/**
 * The emulator tracks nothing: pages are compared with a copy of what was sent. Costs as much memory as RAM has (in one
 * linear memory, so below 4 GiB), and a scan of all RAM per synchronisation.
 */
export function shadowTracker(): DirtyTracker {
  return new ScanTracker(null, null);
}

/** Writes the hashes of the `count` pages at `pages` (an address in the arena) to `out`. */
type Digest = (arena: Arena, pages: number, pageSize: number, count: number, out: number) => void;

const hashPages: Digest = ({ kernels }, pages, pageSize, count, out) =>
  kernels.hashPages128(pages, pageSize, count, out);

/** Remembers a digest, or all, of each page sent and compares. */
class ScanTracker implements DirtyTracker {
  readonly #digest: Digest | null;
  readonly #digestBytes: number | null;
  readonly #known = new Map<RAMBlock, number>();
  #context: TrackingContext | null = null;
  #window = 0;
  #fresh = 0;

  constructor(digestBytes: number | null, digest: Digest | null) {
    this.#digestBytes = digestBytes;
    this.#digest = digest;
  }

  start(context: TrackingContext): void {
    const { arena, pageSize, blocks } = context;
    this.#context = context;
    const size = this.#digestBytes ?? pageSize;
    this.#window = arena.reserve("pages to compare", SCAN).address;
    this.#fresh = arena.reserve("fresh digests", (SCAN / pageSize) * HASH).address;
    this.#known.clear();
    for (const block of blocks) {
      if (block.readOnly) continue;
      const pages = block.usedLength / pageSize;
      this.#known.set(block, arena.reserve(`what was sent of ${block.name}`, pages * size).address);
    }
  }

  sync(block: RAMBlock, dirty: PageBitmap): number {
    const known = this.#known.get(block);
    if (known === undefined || this.#context === null) return 0;
    const { pageSize } = this.#context;
    let added = 0;
    // What is dirty already is not looked at: it will be read when it is sent.
    let first = dirty.nextClear(0);
    while (first < dirty.pages) {
      const end = dirty.nextSet(first, this.#scanEnd(block, first, dirty.pages));
      this.#copy(block, first, end);
      if (this.#digest !== null) this.#digest(this.#context.arena, this.#window, pageSize, end - first, this.#fresh);
      added += this.#markChanged(dirty, first, end, known);
      first = dirty.nextClear(end);
    }
    return added;
  }

  clear(block: RAMBlock, first: number, end: number): void {
    const known = this.#known.get(block);
    if (known === undefined || this.#context === null) return;
    const { arena, pageSize } = this.#context;
    for (let at = first; at < end;) {
      const stop = this.#scanEnd(block, at, end);
      if (this.#digest === null) {
        const bytes = (stop - at) * pageSize;
        const target = new Uint8Array(arena.kernels.buffer, known + at * pageSize, bytes);
        target.set(block.memory.view(at * pageSize, bytes));
      } else {
        this.#copy(block, at, stop);
        this.#digest(arena, this.#window, pageSize, stop - at, known + at * HASH);
      }
      at = stop;
    }
  }

  stop(): void {
    this.#known.clear();
    this.#context = null;
  }

  /** As far as one go may reach: the window, the segment, `end`. */
  #scanEnd(block: RAMBlock, first: number, end: number): number {
    const pageSize = this.#context?.pageSize ?? 1;
    const segmentEnd = block.memory.segmentAt(first * pageSize).end / pageSize;
    return Math.min(end, segmentEnd, first + SCAN / pageSize);
  }

  #copy(block: RAMBlock, first: number, end: number): void {
    if (this.#context === null) return;
    const { arena, pageSize } = this.#context;
    const bytes = (end - first) * pageSize;
    new Uint8Array(arena.kernels.buffer, this.#window, bytes).set(block.memory.view(first * pageSize, bytes));
  }

  #markChanged(dirty: PageBitmap, first: number, end: number, known: number): number {
    if (this.#context === null) return 0;
    const { arena, pageSize } = this.#context;
    let added = 0;
    const mark = (page: number): void => {
      dirty.setRange(page, page + 1);
      added++;
    };
    if (this.#digest === null) {
      for (let at = first; at < end; at += 32) {
        const count = Math.min(32, end - at);
        const window = this.#window + (at - first) * pageSize;
        const mask = arena.kernels.changedPageMask(window, known + at * pageSize, pageSize, count);
        for (let i = 0; mask !== 0 && i < count; i++) if ((mask >>> i) & 1) mark(at + i);
      }
      return added;
    }
    const words = new Int32Array(arena.kernels.buffer);
    for (let page = first; page < end; page++) {
      const a = (this.#fresh + (page - first) * HASH) / 4;
      const b = (known + page * HASH) / 4;
      let same = true;
      for (let i = 0; i < HASH / 4; i++) same &&= words[a + i] === words[b + i];
      if (!same) mark(page);
    }
    return added;
  }
}
