import type { Arena } from "../kernels/index.js";
import {
  ENCODING_FLAG_XBZRLE,
  RAM_SAVE_FLAG_COMPRESS_PAGE,
  RAM_SAVE_FLAG_PAGE,
  RAM_SAVE_FLAG_XBZRLE,
  RAM_SAVE_FLAG_ZERO,
} from "../stream/constants.js";
import { deflatePage, type CompressLevel } from "./compression.js";
import { compressBound } from "./page-codec.js";
import type { PageCache } from "./page-cache.js";
import type { PageOutput } from "./page-output.js";
import type { RAMBlock } from "./block.js";
import type { RamStats } from "./stats.js";

/** One dirty page to be sent in the most compact form. */
export interface PageJob {
  readonly block: RAMBlock;
  /** Bytes from the start of the block. */
  readonly offset: number;
  /** Page number in the address space of all blocks: the key of the cache. */
  readonly key: number;
  readonly continues: boolean;
  /** The destination has every page by now: differences may be sent. */
  readonly xbzrle: boolean;
  /** How often dirty bitmaps were synchronised so far: the clock of the cache. */
  readonly generation: number;
  /** The machine is stopped and everything left is being sent: the cache will not be used again. */
  readonly lastStage: boolean;
}

/**
 * Writes pages one by one, in QEMU's order of choices (RAM section, Page choice): zero page, difference to what the
 * destination has, whole page; before differences begin, compressed page. Pages are copied to the arena first, so that
 * what is compared, sent and cached is one and the same even if another thread is writing the page.
 */
export class PageEncoder {
  readonly #arena: Arena;
  readonly #pageSize: number;
  readonly #cache: PageCache | null;
  readonly #compress: CompressLevel | null;
  readonly #page: number;

  constructor(arena: Arena, pageSize: number, cache: PageCache | null, compress: CompressLevel | null) {
    this.#arena = arena;
    this.#pageSize = pageSize;
    this.#cache = cache;
    this.#compress = compress;
    this.#page = arena.reserve("page to encode", pageSize).address;
  }

  /** Returns whether a record was written: a page that did not change needs none. */
  encode(job: PageJob, output: PageOutput, stats: RamStats): boolean {
    const cache = job.xbzrle ? this.#cache : null;
    const size = this.#pageSize;
    const page = this.#page;
    output.heap().set(job.block.memory.view(job.offset, size), page);
    if (this.#arena.kernels.zeroPageMask(page, size, 1) === 1) {
      this.#zero(job, cache, output, stats);
      return true;
    }
    if (cache !== null) return this.#difference(job, cache, output, stats);
    // The first page of a block is never compressed: QEMU's threads cannot write its name.
    if (this.#compress === null || !job.continues || !this.#packed(job, this.#compress, output, stats)) {
      this.#whole(job, output, stats);
    }
    return true;
  }

  #zero(job: PageJob, cache: PageCache | null, output: PageOutput, stats: RamStats): void {
    const slot = cache?.insert(job.key, job.generation) ?? 0;
    if (slot !== 0) output.heap().fill(0, slot, slot + this.#pageSize);
    output.header(job.block, job.offset, RAM_SAVE_FLAG_ZERO, job.continues);
    output.u8(0);
    stats.zeroPages++;
  }

  #difference(job: PageJob, cache: PageCache, output: PageOutput, stats: RamStats): boolean {
    const { block, offset, key, continues, generation, lastStage } = job;
    const size = this.#pageSize;
    const heap = output.heap();
    const cached = cache.lookup(key, generation);
    if (cached === 0) {
      stats.cacheMisses++;
      const slot = lastStage ? 0 : cache.insert(key, generation);
      if (slot !== 0) heap.copyWithin(slot, this.#page, this.#page + size);
      this.#whole(job, output, stats);
      return true;
    }
    // The bytes behind the word are encoded first: only then is it known whether there is a record.
    const start = output.at;
    output.header(block, offset, RAM_SAVE_FLAG_XBZRLE, continues);
    const length = this.#arena.kernels.xbzrleEncode(cached, this.#page, size, output.at + 3, size);
    if (length <= 0) output.advance(start - output.at);
    if (length === 0) {
      stats.unchangedPages++;
      return false;
    }
    if (!lastStage) heap.copyWithin(cached, this.#page, this.#page + size);
    if (length < 0) {
      stats.cacheOverflows++;
      this.#whole(job, output, stats);
      return true;
    }
    output.u8(ENCODING_FLAG_XBZRLE);
    output.u16(length);
    output.advance(length);
    stats.xbzrlePages++;
    stats.xbzrleBytes += length;
    return true;
  }

  /** False if zlib made it larger than a reader accepts; nothing was written then. */
  #packed(job: PageJob, level: CompressLevel, output: PageOutput, stats: RamStats): boolean {
    const page = output.heap().subarray(this.#page, this.#page + this.#pageSize);
    const data = deflatePage(page, level);
    if (data.length > compressBound(page.length)) return false;
    output.header(job.block, job.offset, RAM_SAVE_FLAG_COMPRESS_PAGE, true);
    output.u32(data.length);
    output.bytes(data);
    stats.compressedPages++;
    stats.compressedBytes += data.length;
    return true;
  }

  #whole({ block, offset, continues }: PageJob, output: PageOutput, stats: RamStats): void {
    output.header(block, offset, RAM_SAVE_FLAG_PAGE, continues);
    output.heap().copyWithin(output.at, this.#page, this.#page + this.#pageSize);
    output.advance(this.#pageSize);
    stats.normalPages++;
  }
}
