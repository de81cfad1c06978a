import type { Arena, ArenaWindow } from "../kernels/index.js";

/** Generations of dirty synchronisation that a page stays in its slot before another may take it. */
const LIFETIME = 2;

/**
 * The pages that the destination holds, as last sent (RAM section, XBZRLE): one slot per key modulo the number of
 * slots, no search. A slot in use goes to another page only when it has not been used for two generations.
 */
export class PageCache {
  /** A power of two. */
  readonly slots: number;
  readonly #pageSize: number;
  readonly #arena: Arena;
  readonly #window: ArenaWindow;
  /** Page number + 1 in each slot; 0 is empty. */
  readonly #keys: Float64Array;
  readonly #ages: Float64Array;

  /**
   * @param bytes size of the cache; rounded down to a power of two of pages
   * @param pages page numbers are below this; more slots than that are never needed
   * @throws RangeError if not even one page fits
   */
  constructor(arena: Arena, bytes: number, pageSize: number, pages: number) {
    if (bytes < pageSize) throw new RangeError(`Use an XBZRLE cache of ${bytes} bytes: want at least ${pageSize}`);
    const wanted = 2 ** Math.floor(Math.log2(bytes / pageSize));
    this.slots = Math.min(wanted, 2 ** Math.ceil(Math.log2(Math.max(pages, 1))));
    this.#pageSize = pageSize;
    this.#arena = arena;
    this.#window = arena.reserve("XBZRLE cache", this.slots * pageSize);
    this.#keys = new Float64Array(this.slots);
    this.#ages = new Float64Array(this.slots);
  }

  /** Address of the cached page, its age renewed; 0 if it is not there. */
  lookup(page: number, generation: number): number {
    const slot = page % this.slots;
    if (this.#keys[slot] !== page + 1) return 0;
    this.#ages[slot] = generation;
    return this.#window.address + slot * this.#pageSize;
  }

  /** Address of a slot for the page, whose content is up to the caller; 0 if another page still needs it. */
  insert(page: number, generation: number): number {
    const slot = page % this.slots;
    const key = this.#keys[slot];
    if (key !== 0 && key !== page + 1 && this.#ages[slot] + LIFETIME > generation) return 0;
    this.#keys[slot] = page + 1;
    this.#ages[slot] = generation;
    return this.#window.address + slot * this.#pageSize;
  }

  release(): void {
    this.#arena.release(this.#window);
  }
}
