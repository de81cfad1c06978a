import { RamError, StreamError } from "../errors.js";

/** Unit of caching and spilling; no page is larger. */
const CHUNK = 64 << 10;
/** Pages per piece of the bitmap that says which pages came. */
const PIECE = 1 << 15;

/** Somewhere to put content that exceeds the budget: sparse storage in which what was never written is not read. */
export interface SpillFile {
  write(position: number, bytes: Uint8Array): void;
  read(position: number, target: Uint8Array): void;
  close(): void;
}

export interface PageStoreOptions {
  /** Bytes of content that stay in memory. */
  readonly budget?: number;
  /** Opened when the budget is exceeded; without it, exceeding is an error. */
  readonly spill?: (() => SpillFile) | null;
}

interface Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  dirty: boolean;
}

/**
 * Content of the RAM of a machine that we are not: pages as they come, in any order and repeatedly, within a fixed
 * amount of memory. What never came, and what came as zeros, takes no room.
 */
export class PageStore {
  readonly blocks: StoredBlock[] = [];
  readonly #budget: number;
  readonly #openSpill: (() => SpillFile) | null;
  #spill: SpillFile | null = null;
  /** Least recently used first. */
  readonly #cache = new Map<number, Chunk>();
  /** Chunks of all blocks that went to the spill file. */
  readonly #spilled = new Bits();
  #end = 0;

  constructor({ budget = 32 << 20, spill = null }: PageStoreOptions = {}) {
    this.#budget = Math.max(2, Math.floor(budget / CHUNK));
    this.#openSpill = spill;
  }

  /** Make room for a block of `length` bytes. */
  add(name: string, length: number, pageSize: number): StoredBlock {
    const block = new StoredBlock(this, name, length, pageSize, this.#end);
    this.#end += Math.ceil(length / CHUNK);
    this.blocks.push(block);
    return block;
  }

  close(): void {
    this.#spill?.close();
    this.#spill = null;
    this.#cache.clear();
  }

  /** Chunk number `index` of all; with `make` false, null if nothing but zeros was ever there. */
  chunk(index: number, make: boolean): Chunk | null {
    let chunk = this.#cache.get(index);
    if (chunk !== undefined) {
      this.#cache.delete(index);
      this.#cache.set(index, chunk);
      return chunk;
    }
    const isSpilled = this.#spilled.has(index);
    if (!isSpilled && !make) return null;
    const bytes = this.#evict() ?? new Uint8Array(CHUNK);
    if (isSpilled) this.#spill?.read(index * CHUNK, bytes);
    else bytes.fill(0);
    chunk = { bytes, dirty: false };
    this.#cache.set(index, chunk);
    return chunk;
  }

  #evict(): Uint8Array<ArrayBuffer> | null {
    if (this.#cache.size < this.#budget) return null;
    const [[index, chunk]] = this.#cache;
    if (chunk.dirty) {
      this.#spill ??= this.#openSpill?.() ?? null;
      if (this.#spill === null) {
        throw new StreamError("LIMIT_EXCEEDED", "Keep the content of RAM: it exceeds the memory set aside for it");
      }
      this.#spill.write(index * CHUNK, chunk.bytes);
      this.#spilled.add(index);
    }
    this.#cache.delete(index);
    return chunk.bytes;
  }
}

/** One RAMBlock's content. */
export class StoredBlock {
  readonly name: string;
  /** Bytes. */
  readonly length: number;
  #pageSize: number;
  readonly #store: PageStore;
  readonly #first: number;
  readonly #received = new Bits();
  #receivedCount = 0;

  constructor(store: PageStore, name: string, length: number, pageSize: number, first: number) {
    this.#store = store;
    this.name = name;
    this.length = length;
    this.#pageSize = pageSize;
    this.#first = first;
  }

  get pageSize(): number {
    return this.#pageSize;
  }

  /** Another page size, as long as no page came. */
  resize(pageSize: number): void {
    if (this.#receivedCount > 0) throw new TypeError("Change the page size of a block: it has pages already");
    this.#pageSize = pageSize;
  }

  get pages(): number {
    return Math.ceil(this.length / this.pageSize);
  }

  /** Pages that have some content, zeros included. */
  get received(): number {
    return this.#receivedCount;
  }

  hasPage(page: number): boolean {
    return this.#received.has(page);
  }

  /** A page at `offset` came. */
  write(offset: number, bytes: Uint8Array): void {
    this.#mark(offset);
    const chunk = this.#chunk(offset, true) as Chunk;
    chunk.bytes.set(bytes, offset % CHUNK);
    chunk.dirty = true;
  }

  /** A page at `offset` came that is `value` in every byte. */
  fill(offset: number, value: number): void {
    this.#mark(offset);
    this.#set(offset, value);
  }

  /** Bring the page at `offset` to `change`, which alters it in place. */
  update(offset: number, change: (page: Uint8Array) => void): void {
    this.#mark(offset);
    const chunk = this.#chunk(offset, true) as Chunk;
    change(chunk.bytes.subarray(offset % CHUNK, (offset % CHUNK) + this.pageSize));
    chunk.dirty = true;
  }

  /** Pages of the range are void: zero, and not received. */
  discard(start: number, length: number): void {
    const end = Math.min(start + length, this.length);
    for (let offset = start; offset < end; offset += this.pageSize) {
      if (this.#received.delete(offset / this.pageSize)) this.#receivedCount--;
      this.#set(offset, 0);
    }
  }

  /** Content at `offset`, as long as `target`. */
  read(offset: number, target: Uint8Array): void {
    for (let done = 0; done < target.length;) {
      const at = (offset + done) % CHUNK;
      const step = Math.min(CHUNK - at, target.length - done);
      const chunk = this.#chunk(offset + done, false);
      if (chunk === null) target.fill(0, done, done + step);
      else target.set(chunk.bytes.subarray(at, at + step), done);
      done += step;
    }
  }

  /** The content from `start` to `end` in order, in parts valid until the next one; null stands for `length` zeros. */
  *parts(start = 0, end = this.length): Generator<{ offset: number; length: number; bytes: Uint8Array | null }> {
    for (let offset = start; offset < end;) {
      const at = offset % CHUNK;
      const length = Math.min(CHUNK - at, end - offset);
      const chunk = this.#chunk(offset, false);
      yield { offset, length, bytes: chunk === null ? null : chunk.bytes.subarray(at, at + length) };
      offset += length;
    }
  }

  #set(offset: number, value: number): void {
    const chunk = this.#chunk(offset, value !== 0);
    if (chunk === null) return;
    const at = offset % CHUNK;
    chunk.bytes.fill(value, at, at + this.pageSize);
    chunk.dirty = true;
  }

  #chunk(offset: number, make: boolean): Chunk | null {
    return this.#store.chunk(this.#first + Math.floor(offset / CHUNK), make);
  }

  #mark(offset: number): void {
    if (offset + this.pageSize > this.length) {
      throw new RamError("PAGE_OFFSET", `Keep a page of "${this.name}": offset ${offset} is outside the block`);
    }
    if (this.#received.add(offset / this.pageSize)) this.#receivedCount++;
  }
}

/** A set of small integers, sparse in large steps. */
class Bits {
  readonly #pieces = new Map<number, Uint8Array>();

  has(n: number): boolean {
    const piece = this.#pieces.get(Math.floor(n / PIECE));
    return piece !== undefined && (piece[(n % PIECE) >> 3] & (1 << (n & 7))) !== 0;
  }

  /** False if it was there. */
  add(n: number): boolean {
    const index = Math.floor(n / PIECE);
    let piece = this.#pieces.get(index);
    if (piece === undefined) this.#pieces.set(index, (piece = new Uint8Array(PIECE >> 3)));
    const at = (n % PIECE) >> 3;
    const bit = 1 << (n % 8);
    if ((piece[at] & bit) !== 0) return false;
    piece[at] |= bit;
    return true;
  }

  /** False if it was not there. */
  delete(n: number): boolean {
    if (!this.has(n)) return false;
    (this.#pieces.get(Math.floor(n / PIECE)) as Uint8Array)[(n % PIECE) >> 3] &= ~(1 << (n % 8));
    return true;
  }
}
