import { RamError } from "../errors.js";
import { Arena, RESULT_BYTES } from "../kernels/index.js";
import type { RAMBlock, RAMBlockList } from "./block.js";
import { inflatePage } from "./compression.js";
import { checkDiscard, type ByteRange } from "./discard.js";
import type { MemorySegment } from "./guest-memory.js";
import { HostPageAssembler } from "./host-page.js";
import { KernelBindings } from "./kernel-bindings.js";
import type { RamConfig } from "./options.js";
import { bitmapBytes, fillBits } from "./page-bitmap.js";
import type { RamBlockEntry, RamTarget, RamVisitor } from "./page-codec.js";
import type { RamStats } from "./stats.js";

/** A block while it is being loaded. */
export interface LoadedBlock extends RamTarget {
  readonly block: RAMBlock;
  /** Host page size. */
  readonly pageSize: number;
  /** One bit per target page of its maximum length: what has been placed and was not discarded since. */
  readonly received: Uint8Array<ArrayBuffer>;
}

/** Pages of one window for which in-place decoding keeps marks in the scratch region. */
const WINDOW_PAGES = 4096;
const MIN_SCRATCH = 8 << 10;

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
  readonly onRun?: (block: LoadedBlock, bytes: Uint8Array) => number;

  constructor(list: RAMBlockList, config: RamConfig, stats: RamStats) {
    this.#list = list;
    this.#config = config;
    this.#stats = stats;
    this.#bindings = new KernelBindings(config.kernels);
    this.#assembler = new HostPageAssembler(config.pageSize, (...page) => this.#placeHostPage(...page));
    const inPlace = Array.from(list).some(({ memory }) => memory.segments.some(({ scratch }) => scratch !== null));
    if (inPlace) this.onRun = (block, bytes) => this.#decodeInPlace(block, bytes);
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
    if (fill !== 0 || !this.#isZero(segment, at)) this.#bytes(segment).fill(fill, at, at + pageSize);
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

  #isZero(segment: MemorySegment, at: number): boolean {
    const { pageSize } = this.#config;
    const inPlace = this.#bindings.for(segment.memory);
    if (inPlace.implementation === "wasm") return inPlace.zeroPageMask(segment.address + at, pageSize, 1) === 1;
    const { arena, page } = (this.#arena ??= this.#makeArena());
    if (arena.kernels.implementation === "js") return inPlace.zeroPageMask(segment.address + at, pageSize, 1) === 1;
    // Copying a page for the SIMD test is several times faster than a test in JavaScript.
    const bytes = this.#bytes(segment);
    if (bytes[at] !== 0 || bytes[at + pageSize - 1] !== 0) return false;
    new Uint8Array(arena.kernels.buffer, page, pageSize).set(bytes.subarray(at, at + pageSize));
    return arena.kernels.zeroPageMask(page, pageSize, 1) === 1;
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

  /** Whole records at once, where the emulator's memory has a scratch region for us. Returns the bytes taken. */
  #decodeInPlace(loaded: LoadedBlock, bytes: Uint8Array): number {
    const { pageSize } = this.#config;
    if (this.#inPostcopy || bytes.length < 8) return 0;
    const high = ((bytes[0] << 24) | (bytes[1] << 16) | (bytes[2] << 8) | bytes[3]) >>> 0;
    const low = ((bytes[4] << 24) | (bytes[5] << 16) | (bytes[6] << 8) | bytes[7]) >>> 0;
    const page = Math.floor((high * 0x1_0000_0000 + low) / pageSize);
    if (page * pageSize >= loaded.usedLength) return 0;
    const { start, end, memory, address, scratch } = loaded.block.memory.segmentAt(page * pageSize);
    if (scratch === null || scratch.length < MIN_SCRATCH + 2 * pageSize) return 0;
    const windowStart = Math.max(page - (page % WINDOW_PAGES), start / pageSize);
    const windowEnd = Math.min(windowStart + WINDOW_PAGES, Math.min(end, loaded.usedLength) / pageSize);
    if (windowStart % 8 !== 0) return 0;

    const received = scratch.offset + Math.ceil(RESULT_BYTES / 8) * 8;
    const input = received + WINDOW_PAGES / 8;
    const taken = Math.min(bytes.length, scratch.offset + scratch.length - input);
    const heap = new Uint8Array(memory.buffer);
    const marks = loaded.received.subarray(windowStart / 8, Math.ceil(windowEnd / 8));
    heap.set(marks, received);
    heap.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), input);
    const done = this.#bindings.for(memory).decodePages({
      ram: address + (windowStart * pageSize - start),
      pageSize,
      blockPage: windowStart,
      pages: windowEnd - windowStart,
      input,
      inputEnd: input + taken,
      received,
      result: scratch.offset,
    });
    marks.set(heap.subarray(received, received + marks.length));
    this.#stats.zeroPages += done.zeroPages;
    this.#stats.normalPages += done.normalPages;
    return done.bytes;
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
    const page = arena.reserve("page to decode", pageSize);
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
