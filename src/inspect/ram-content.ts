import { RamError, StreamError } from "../errors.js";
import { Arena, type ArenaWindow } from "../kernels/index.js";
import type { Limits } from "../limits.js";
import { inflatePage } from "../ram/compression.js";
import type { RamBlockEntry, RamTarget, RamVisitor } from "../ram/page-codec.js";
import type { DiscardRange } from "../savevm/commands.js";
import { RAM_SAVE_FLAG_CONTINUE, RAM_SAVE_FLAG_PAGE, RAM_SAVE_FLAG_ZERO } from "../stream/constants.js";
import { LARGEST_PAGE } from "../stream/page-size.js";
import { equalBytes } from "./byte-comparer.js";
import type { PageStore, StoredBlock } from "./page-store.js";

/** Page records by kind. */
export interface PageCounts {
  zero: number;
  normal: number;
  xbzrle: number;
  compressed: number;
}

/** A RAMBlock as the block list of the stream names it. */
export interface ScannedBlock extends RamTarget {
  readonly entry: RamBlockEntry;
  readonly counts: PageCounts;
  /** Its content; null when content is not asked for. */
  readonly content: StoredBlock | null;
}

/** Told of every record after it was applied. `bytes` are views, valid during the call only. */
export interface RamObserver {
  onBlockList(entries: readonly RamBlockEntry[]): void;
  onZero(block: ScannedBlock, offset: number, fill: number): void;
  onPage(block: ScannedBlock, offset: number, bytes: Uint8Array): void;
  /** `again` is our own encoding of the same change, null when ours would have sent the page whole. */
  onXbzrle(block: ScannedBlock, offset: number, encoded: Uint8Array, again: Uint8Array | null): void;
  onCompressed(block: ScannedBlock, offset: number, data: Uint8Array, page: Uint8Array): void;
  onFlush(): void;
  onEos(): void;
}

/** A machine has a few dozens; entries of length 0 would let a stream list any number. */
const MAX_BLOCKS = 1 << 16;

export interface RamContentOptions {
  readonly pageSize: number;
  readonly store: PageStore | null;
  readonly observer: RamObserver | null;
  readonly limits: Limits;
  /** True if the entry of the block list that is being read names the page size of its block. */
  readonly hasPageSize: () => boolean;
}

/** Applies the records of a stream to the RAM of a machine that nobody registered: the list says what there is. */
export class RamContent implements RamVisitor<ScannedBlock> {
  readonly blocks: ScannedBlock[] = [];
  readonly #byName = new Map<string, ScannedBlock>();
  readonly #options: RamContentOptions;
  #pageSize: number;
  #list: RamBlockEntry[] = [];
  #scratch: Scratch | null = null;
  #pages = 0;
  /** Only where nobody asks what pages hold. */
  readonly onRun?: (block: ScannedBlock, bytes: Uint8Array) => number;
  /** Barriers of multifd channels: pages may have travelled elsewhere. */
  flushes = 0;

  constructor(options: RamContentOptions) {
    this.#options = options;
    this.#pageSize = options.pageSize;
    if (options.store === null && options.observer === null) {
      this.onRun = (block, bytes) => countRun(block, bytes, this.#pageSize);
    }
  }

  get pageSize(): number {
    return this.#pageSize;
  }

  /** Correct the page size, as long as no page came. */
  set pageSize(pageSize: number) {
    this.#pageSize = pageSize;
    for (const { content } of this.blocks) content?.resize(pageSize);
  }

  resolve(name: string): ScannedBlock {
    const block = this.#byName.get(name);
    if (block === undefined) throw new RamError("BLOCK_UNKNOWN", `Read a page: block "${name}" is not in the list`);
    return block;
  }

  hasPageSize(): boolean {
    return this.#options.hasPageSize();
  }

  onBlock(entry: RamBlockEntry, remaining: number): void {
    this.#add(entry);
    this.#list.push(entry);
    if (remaining > 0) return;
    this.#options.observer?.onBlockList(this.#list);
    this.#list = [];
  }

  onZero(block: ScannedBlock, offset: number, fill: number): void {
    block.counts.zero++;
    block.content?.fill(offset, fill);
    this.#options.observer?.onZero(block, offset, fill);
  }

  onPage(block: ScannedBlock, offset: number, bytes: Uint8Array): void {
    block.counts.normal++;
    block.content?.write(offset, bytes);
    this.#options.observer?.onPage(block, offset, bytes);
  }

  onXbzrle(block: ScannedBlock, offset: number, encoded: Uint8Array): void {
    block.counts.xbzrle++;
    const { observer } = this.#options;
    const again = this.#applyXbzrle(block, offset, encoded, observer !== null);
    observer?.onXbzrle(block, offset, encoded, again);
  }

  onCompressed(block: ScannedBlock, offset: number, data: Uint8Array): void {
    block.counts.compressed++;
    const page = inflatePage(data, this.#pageSize);
    block.content?.write(offset, page);
    this.#options.observer?.onCompressed(block, offset, data, page);
  }

  onFlush(): void {
    this.flushes++;
    this.#options.observer?.onFlush();
  }

  onEos(): void {
    this.#options.observer?.onEos();
  }

  /** The source will send these ranges anew: what came before is void. */
  discard(name: string, ranges: readonly DiscardRange[]): void {
    const block = this.resolve(name);
    for (const { start, length } of ranges) {
      if (start % this.#pageSize !== 0 || length % this.#pageSize !== 0 || start + length > block.usedLength) {
        const message = `Discard pages of "${name}": ${length} bytes at ${start} are no pages of the block`;
        throw new RamError("PAGE_OFFSET", message);
      }
      block.content?.discard(start, length);
    }
  }

  #add(entry: RamBlockEntry): void {
    const { name, usedLength } = entry;
    if (name === "") throw new RamError("BLOCK_UNKNOWN", "Read the block list: a name is empty");
    const known = this.#byName.get(name);
    if (known !== undefined) {
      if (known.usedLength === usedLength) return;
      const message = `Read the block list: "${name}" has ${usedLength} bytes, and ${known.usedLength} before`;
      throw new RamError("BLOCK_SIZE", message);
    }
    if (usedLength % this.#pageSize !== 0) {
      const message = `Read the block list: "${name}" has ${usedLength} bytes, which are no pages of ${this.#pageSize}`;
      throw new RamError("BLOCK_SIZE", message);
    }
    this.#pages += usedLength / this.#pageSize;
    const { ramPages } = this.#options.limits;
    if (this.blocks.length >= MAX_BLOCKS || this.#pages > ramPages) {
      const message = `Read the block list: ${this.blocks.length + 1} blocks with ${this.#pages} pages are too many`;
      throw new StreamError("LIMIT_EXCEEDED", message, { hint: `The ceiling ramPages is ${ramPages}` });
    }
    const content = this.#options.store?.add(name, usedLength, this.#pageSize) ?? null;
    const block = { name, usedLength, entry, content, counts: { zero: 0, normal: 0, xbzrle: 0, compressed: 0 } };
    this.blocks.push(block);
    this.#byName.set(name, block);
  }

  /** Returns our own encoding of the same change if `encode` says so. */
  #applyXbzrle(block: ScannedBlock, offset: number, encoded: Uint8Array, encode: boolean): Uint8Array | null {
    const { arena, window } = (this.#scratch ??= makeScratch());
    const memory = arena.bytes(window);
    const size = this.#pageSize;
    const [old, page, wire] = [0, LARGEST_PAGE, 2 * LARGEST_PAGE];
    const current = memory.subarray(page, page + size);
    if (block.content === null) current.fill(0);
    else block.content.read(offset, current);
    memory.copyWithin(old, page, page + size);
    memory.set(encoded, wire);
    const { address } = window;
    const { kernels } = arena;
    if (kernels.xbzrleDecode(address + wire, encoded.length, address + page, size) < 0) {
      throw new RamError("XBZRLE_CORRUPT", `Read an XBZRLE page of "${block.name}": the encoding is not valid`);
    }
    block.content?.write(offset, current);
    if (!encode) return null;
    const length = kernels.xbzrleEncode(address + old, address + page, size, address + wire, size);
    if (length < 0) return null;
    const again = memory.subarray(wire, wire + length);
    if (!equalBytes(again, encoded)) {
      // Another form, which must then mean the same.
      const reached = kernels.xbzrleDecode(address + wire, length, address + old, size);
      if (reached < 0 || !equalBytes(memory.subarray(old, old + size), current)) return null;
    }
    return again;
  }
}

const ZERO = RAM_SAVE_FLAG_ZERO | RAM_SAVE_FLAG_CONTINUE;
const PAGE = RAM_SAVE_FLAG_PAGE | RAM_SAVE_FLAG_CONTINUE;

/**
 * Counts the records of `block` that are whole and say CONTINUE: pages, and zero pages with fill byte 0. Returns the
 * bytes of what stands in front of the first other one. Of each page but its word nothing is looked at.
 */
function countRun({ counts, usedLength }: ScannedBlock, bytes: Uint8Array, pageSize: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const last = bytes.length - 9;
  let at = 0;
  while (at <= last) {
    const low = view.getUint32(at + 4);
    const flags = low & (pageSize - 1);
    if (view.getUint32(at) * 0x1_0000_0000 + (low - flags) >= usedLength) break;
    if (flags === PAGE && at + 8 + pageSize <= bytes.length) {
      counts.normal++;
      at += 8 + pageSize;
    } else if (flags === ZERO && bytes[at + 8] === 0) {
      counts.zero++;
      at += 9;
    } else break;
  }
  return at;
}

/** Room for the old page, the new one, and what was on the wire. */
interface Scratch {
  readonly arena: Arena;
  readonly window: ArenaWindow;
}

function makeScratch(): Scratch {
  const arena = Arena.create();
  return { arena, window: arena.reserve("xbzrle", 3 * LARGEST_PAGE) };
}
