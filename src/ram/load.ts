import { RamError } from "../errors.js";
import { Arena } from "../kernels/index.js";
import type { RAMBlock, RAMBlockList } from "./block.js";
import { inflatePage } from "./compression.js";
import { checkDiscard, type ByteRange } from "./discard.js";
import type { MemorySegment } from "./guest-memory.js";
import { HostPageAssembler } from "./host-page.js";
import { KernelBindings } from "./kernel-bindings.js";
import type { RamConfig } from "./options.js";
import { bitmapBytes, fillBits } from "./page-bitmap.js";
import type { RamBlockEntry, RamTarget, RamVisitor } from "./page-codec.js";
import { RunDecoder, zeroRunPages } from "./run-decoder.js";
import { ScratchDecoder } from "./scratch-decoder.js";
import type { RamStats } from "./stats.js";

/** A block while it is being loaded. */
export interface LoadedBlock extends RamTarget {
  readonly block: RAMBlock;
  /** Host page size. */
  readonly pageSize: number;
  /** One bit per target page of its maximum length: what has been placed and was not discarded since. */
  readonly received: Uint8Array<ArrayBuffer>;
}

/**
 * One load of RAM: puts the content of page records where it belongs. Holds received bitmaps, a page or two, and
 * nothing that a stream could make longer.
 */
export class RamLoad implements RamVisitor<LoadedBlock> {
  readonly #list: RAMBlockList;
  readonly #config: RamConfig;
  readonly #stats: RamStats;
  readonly #blocks = new Map<RAMBlock, LoadedBlock>();
  readonly #bindings: KernelBindings;
  readonly #assembler: HostPageAssembler<LoadedBlock>;
  #views = new Map<MemorySegment, Uint8Array>();
  #arena: { arena: Arena; encoded: number; page: number } | null = null;
  #advised = false;
  #inPostcopy = false;
  readonly #scratchDecoder: ScratchDecoder;
  readonly #decoder: RunDecoder;

  constructor(list: RAMBlockList, config: RamConfig, stats: RamStats) {
    this.#list = list;
    this.#config = config;
    this.#stats = stats;
    this.#bindings = new KernelBindings(config.kernels);
    this.#assembler = new HostPageAssembler(config.pageSize, (...page) => this.#placeHostPage(...page));
    this.#scratchDecoder = new ScratchDecoder(config.pageSize, this.#bindings);
    this.#decoder = new RunDecoder(config.pageSize, {
      bytes: (segment) => this.#bytes(segment),
      zeroMask: (segment, at, count) => this.#zeroMask(segment, at, count),
    });
  }

  /** True once pages are placed by whole host pages. */
  get inPostcopy(): boolean {
    return this.#inPostcopy;
  }

  /** Postcopy was announced (POSTCOPY_ADVISE): the block list names the page sizes that differ from the host's. */
  advise(): void {
    this.#advised = true;
  }

  /** The destination is about to run: pages are placed by whole host pages from here on. */
  startPostcopy(): void {
    this.#inPostcopy = true;
  }

  /** A channel broke: what was begun is dropped, it was not marked received. */
  dropIncomplete(): void {
    this.#assembler.drop();
  }

  /** What has arrived of a block. */
  received(block: RAMBlock): Uint8Array<ArrayBuffer> {
    return this.#loaded(block).received;
  }

  /**
   * Forget a range: it will be sent again.
   * @throws RamError unless it is whole host pages inside the block
   */
  discard(name: string, range: ByteRange): void {
    const loaded = this.resolve(name);
    checkDiscard(loaded.block, range);
    const { pageSize } = this.#config;
    fillBits(loaded.received, range.start / pageSize, (range.start + range.length) / pageSize, false);
    loaded.block.memory.clear(range.start, range.length);
  }

  resolve(name: string): LoadedBlock {
    const block = this.#list.find(name);
    if (block === undefined) throw new RamError("BLOCK_UNKNOWN", `Load a page: there is no RAMBlock "${name}"`);
    if (block.isIgnored(this.#config.ignoreShared)) {
      throw new RamError("BLOCK_IGNORED", `Load a page of "${name}": the block is shared and not migrated`);
    }
    return this.#loaded(block);
  }

  hasPageSize(name: string): boolean {
    const block = this.#list.find(name);
    const { postcopy, hostPageSize } = this.#config;
    return this.#advised && postcopy && block !== undefined && block.pageSize !== hostPageSize;
  }

  onBlock({ name, usedLength, pageSize, gpa }: RamBlockEntry): void {
    const block = this.#list.find(name);
    if (block === undefined) {
      throw new RamError("BLOCK_UNKNOWN", `Load the RAM block list: there is no RAMBlock "${name}"`, {
        hint: "Register the memory that the sender has, under the same names",
      });
    }
    this.#resize(block, usedLength);
    if (pageSize !== null && pageSize !== block.pageSize) {
      const message = `Load RAMBlock "${name}": its host pages have ${pageSize} bytes, want ${block.pageSize}`;
      throw new RamError("PAGE_SIZE", message);
    }
    if (gpa !== null && gpa !== block.gpa && block.isIgnored(this.#config.ignoreShared)) {
      const message = `Load RAMBlock "${name}": it is at 0x${gpa.toString(16)}, want 0x${block.gpa.toString(16)}`;
      throw new RamError("BLOCK_ADDRESS", message);
    }
  }

  onRun(loaded: LoadedBlock, bytes: Uint8Array): number {
    if (this.#inPostcopy) return 0;
    let done = this.#scratchDecoder.decode(loaded, bytes);
    if (done.bytes === 0) done = this.#decoder.decode(loaded, bytes);
    this.#stats.zeroPages += done.zeroPages;
    this.#stats.normalPages += done.normalPages;
    return done.bytes;
  }

  onZero(loaded: LoadedBlock, offset: number, fill: number): void {
    this.#stats.zeroPages++;
    if (this.#inPostcopy) {
      this.#assembler.add(loaded, offset, null);
      return;
    }
    const { pageSize } = this.#config;
    const segment = loaded.block.memory.segmentAt(offset);
    const at = offset - segment.start;
    // A page of zeros that is zero stays untouched: no memory is committed for it.
    if (fill !== 0 || this.#zeroMask(segment, at, 1) === 0) this.#bytes(segment).fill(fill, at, at + pageSize);
    this.#mark(loaded, offset);
  }

  onPage(loaded: LoadedBlock, offset: number, bytes: Uint8Array): void {
    this.#stats.normalPages++;
    this.#put(loaded, offset, bytes);
  }

  onCompressed(loaded: LoadedBlock, offset: number, data: Uint8Array): void {
    this.#stats.compressedPages++;
    this.#stats.compressedBytes += data.length;
    this.#put(loaded, offset, inflatePage(data, this.#config.pageSize));
  }

  onXbzrle(loaded: LoadedBlock, offset: number, encoded: Uint8Array): void {
    const { pageSize } = this.#config;
    const { arena, encoded: input, page } = (this.#arena ??= this.#makeArena());
    const segment = loaded.block.memory.segmentAt(offset);
    const target = this.#bytes(segment);
    const at = offset - segment.start;
    const heap = new Uint8Array(arena.kernels.buffer);
    heap.set(encoded, input);
    heap.set(target.subarray(at, at + pageSize), page);
    if (arena.kernels.xbzrleDecode(input, encoded.length, page, pageSize) < 0) {
      throw new RamError("XBZRLE_CORRUPT", `Load an XBZRLE page of "${loaded.name}": the difference is corrupt`);
    }
    target.set(heap.subarray(page, page + pageSize), at);
    this.#stats.xbzrlePages++;
    this.#stats.xbzrleBytes += encoded.length;
    this.#mark(loaded, offset);
  }

  /** Bit i: page i of those at `at` of the segment is all zero. */
  #zeroMask(segment: MemorySegment, at: number, count: number): number {
    const { pageSize } = this.#config;
    const inPlace = this.#bindings.for(segment.memory);
    if (inPlace.implementation === "wasm") return inPlace.zeroPageMask(segment.address + at, pageSize, count);
    const { arena, page } = (this.#arena ??= this.#makeArena());
    if (arena.kernels.implementation === "js") return inPlace.zeroPageMask(segment.address + at, pageSize, count);
    // Copying pages for the SIMD test is several times faster than a test in JavaScript; most that are not zero show it.
    const bytes = this.#bytes(segment);
    let candidates = 0;
    for (let i = 0, first = at; i < count; i++, first += pageSize) {
      if (bytes[first] === 0 && bytes[first + pageSize - 1] === 0) candidates |= 1 << i;
    }
    if (candidates === 0) return 0;
    const window = new Uint8Array(arena.kernels.buffer, page, count * pageSize);
    window.set(bytes.subarray(at, at + count * pageSize));
    return (arena.kernels.zeroPageMask(page, pageSize, count) & candidates) >>> 0;
  }

  #put(loaded: LoadedBlock, offset: number, bytes: Uint8Array): void {
    if (this.#inPostcopy) {
      this.#assembler.add(loaded, offset, bytes);
      return;
    }
    const segment = loaded.block.memory.segmentAt(offset);
    this.#bytes(segment).set(bytes, offset - segment.start);
    this.#mark(loaded, offset);
  }

  #placeHostPage(loaded: LoadedBlock, offset: number, bytes: Uint8Array | null, length: number): void {
    if (bytes === null) loaded.block.memory.clear(offset, length);
    else loaded.block.memory.write(offset, bytes);
    const { pageSize } = this.#config;
    fillBits(loaded.received, offset / pageSize, (offset + length) / pageSize, true);
  }

  /** Lengths may differ only where the block is resizable (RAM section, Setup body). */
  #resize(block: RAMBlock, usedLength: number): void {
    if (usedLength === block.usedLength) return;
    const unit = Math.max(block.pageSize, this.#config.pageSize);
    const length = Math.ceil(usedLength / unit) * unit;
    if (length === block.usedLength) return;
    if (block.resizable && length <= block.maxLength) {
      block.resize(length);
      return;
    }
    const want = block.resizable ? `at most ${block.maxLength}` : String(block.usedLength);
    throw new RamError("BLOCK_SIZE", `Load RAMBlock "${block.name}": it has ${usedLength} bytes, want ${want}`);
  }

  #loaded(block: RAMBlock): LoadedBlock {
    let loaded = this.#blocks.get(block);
    if (loaded === undefined) {
      block.checkPages(this.#config.pageSize);
      const received = new Uint8Array(bitmapBytes(Math.ceil(block.maxLength / this.#config.pageSize)));
      loaded = new Loaded(block, received);
      this.#blocks.set(block, loaded);
    }
    return loaded;
  }

  #mark({ received }: LoadedBlock, offset: number): void {
    const page = offset / this.#config.pageSize;
    received[Math.floor(page / 8)] |= 1 << (page % 8);
  }

  /** All bytes of a segment; a new view only when the memory has grown. */
  #bytes(segment: MemorySegment): Uint8Array {
    const { buffer } = segment.memory;
    let bytes = this.#views.get(segment);
    if (bytes === undefined || bytes.buffer !== buffer) {
      bytes = new Uint8Array(buffer, segment.address, segment.end - segment.start);
      this.#views.set(segment, bytes);
    }
    return bytes;
  }

  #makeArena(): { arena: Arena; encoded: number; page: number } {
    const { pageSize, kernels } = this.#config;
    const arena = Arena.create(kernels);
    const encoded = arena.reserve("encoded difference", pageSize);
    const page = arena.reserve("pages to decode or look at", zeroRunPages(pageSize) * pageSize);
    return { arena, encoded: encoded.address, page: page.address };
  }
}

class Loaded implements LoadedBlock {
  readonly block: RAMBlock;
  readonly name: string;
  readonly pageSize: number;
  readonly received: Uint8Array<ArrayBuffer>;

  constructor(block: RAMBlock, received: Uint8Array<ArrayBuffer>) {
    this.block = block;
    this.name = block.name;
    this.pageSize = block.pageSize;
    this.received = received;
  }

  get usedLength(): number {
    return this.block.usedLength;
  }
}
