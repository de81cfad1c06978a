import { addContext, RamError } from "../errors.js";
import {
  ENCODING_FLAG_XBZRLE,
  RAM_SAVE_FLAG_COMPRESS_PAGE,
  RAM_SAVE_FLAG_CONTINUE,
  RAM_SAVE_FLAG_EOS,
  RAM_SAVE_FLAG_HOOK,
  RAM_SAVE_FLAG_MEM_SIZE,
  RAM_SAVE_FLAG_MULTIFD_FLUSH,
  RAM_SAVE_FLAG_PAGE,
  RAM_SAVE_FLAG_XBZRLE,
  RAM_SAVE_FLAG_ZERO,
} from "../stream/constants.js";
import { countedString, type Decode } from "../stream/drive.js";
import { isTargetPageSize } from "../stream/page-size.js";
import type { Reader } from "../stream/reader.js";

/**
 * The records of the `ram` section (RAM section, The word): a be64 of offset | flags, the name of the block unless
 * CONTINUE says "as before", then what the flag promises. The flags are the bits below the target page size.
 *
 *     00000000 00006008 06 "pc.ram" <4096 bytes>     PAGE at 0x6000
 *     00000000 00007022 00                           ZERO | CONTINUE at 0x7000
 *     00000000 00000010                              EOS
 */

/** What a reader must know of a block: its name, and how far its pages may reach. */
export interface RamTarget {
  readonly name: string;
  /** Bytes; page records at or behind it are refused. Infinity where nobody knows. */
  readonly usedLength: number;
}

/** One entry of the block list in the START section. */
export interface RamBlockEntry {
  readonly name: string;
  readonly usedLength: number;
  /** Page size behind the block on the sender's host; null where the list does not tell. */
  readonly pageSize: number | null;
  /** Guest-physical address; null without x-ignore-shared. */
  readonly gpa: bigint | null;
}

/**
 * Receives the records. `bytes` are views into the stream: valid during the call only. Offsets are bytes in the
 * block, always a multiple of the page size. Methods may throw {@link RamError}s; the reader adds the stream offset.
 */
export interface RamVisitor<B extends RamTarget> {
  /** The block of a page record; throws for one that is unknown or must not come. */
  resolve(name: string): B;
  /** One entry of the block list. `remaining`: bytes of the total that are still to come behind it. */
  onBlock(entry: RamBlockEntry, remaining: number): void;
  /** True if the list entry of that block carries a page size (postcopy with huge pages on the reader's side). */
  hasPageSize?(name: string): boolean;
  onZero(block: B, offset: number, fill: number): void;
  onPage(block: B, offset: number, bytes: Uint8Array): void;
  onXbzrle(block: B, offset: number, encoded: Uint8Array): void;
  onCompressed(block: B, offset: number, data: Uint8Array): void;
  onFlush?(): void;
  onEos?(): void;
  /**
   * A chance to take many records at once: `bytes` begin at a record and `block` is what CONTINUE refers to. Returns
   * the number of bytes taken, whole CONTINUE records of that block only; 0 to have them read one by one.
   */
  onRun?(block: B, bytes: Uint8Array): number;
}

/** How records are to be read. */
export interface RamReaderOptions {
  /** Target page size in bytes, a power of two from 256 to 65536. */
  readonly pageSize: number;
  /** QEMU 8.2's verdict on non-zero fill bytes and unexpected compressed pages. */
  readonly strict?: boolean | undefined;
  /** Capability compress: compressed pages are expected. */
  readonly compress?: boolean | undefined;
  /** Capability x-ignore-shared: list entries carry a guest-physical address. */
  readonly ignoreShared?: boolean | undefined;
}

/** Fewest bytes at hand for which {@link RamVisitor.onRun} is worth a call. */
const RUN_BYTES = 2048;

/**
 * Reads the records of one channel. Keeps the last block named, to which CONTINUE refers, across sections; nothing
 * else, so it serves streams of machines that nobody registered as well as loads.
 */
export class RamRecordReader<B extends RamTarget> {
  readonly #visitor: RamVisitor<B>;
  readonly #options: RamReaderOptions;
  readonly #pageSize: number;
  readonly #flagMask: number;
  #block: B | null = null;
  #at = 0;
  #flags = 0;

  /** True once the destination runs: only whole pages may come. */
  inPostcopy = false;

  constructor(visitor: RamVisitor<B>, options: RamReaderOptions) {
    checkTargetPageSize(options.pageSize);
    this.#visitor = visitor;
    this.#options = options;
    this.#pageSize = options.pageSize;
    this.#flagMask = options.pageSize - 1;
  }

  /** Absolute offset of the record under way. */
  get at(): number {
    return this.#at;
  }

  /** Flags of the record under way, CONTINUE included. */
  get flags(): number {
    return this.#flags;
  }

  /** What CONTINUE refers to. */
  get block(): B | null {
    return this.#block;
  }

  /** Forget what CONTINUE refers to: a channel begins anew. */
  reset(): void {
    this.#block = null;
  }

  /**
   * Read one section body, up to and with its EOS record.
   * @throws RamError for records that QEMU refuses, StreamError TRUNCATED
   */
  *section(reader: Reader): Decode<void> {
    const visitor = this.#visitor;
    const size = this.#pageSize;
    try {
      for (;;) {
        if (visitor.onRun !== undefined && this.#tryRun(reader)) continue;
        if (!reader.has(8)) yield 8;
        this.#at = reader.offset;
        const high = reader.u32();
        const low = reader.u32();
        const flags = low & this.#flagMask;
        this.#flags = flags;
        const kind = flags & ~RAM_SAVE_FLAG_CONTINUE;
        const offset = high * 0x1_0000_0000 + (low - flags);
        if (kind === RAM_SAVE_FLAG_ZERO || kind === RAM_SAVE_FLAG_PAGE) {
          if (kind === flags) yield* this.#name(reader);
          const block = this.#target(offset);
          const need = kind === RAM_SAVE_FLAG_ZERO ? 1 : size;
          if (!reader.has(need)) yield need;
          if (kind === RAM_SAVE_FLAG_ZERO) this.#zero(block, offset, reader.u8());
          else visitor.onPage(block, offset, reader.view(size));
        } else if (kind === RAM_SAVE_FLAG_EOS) {
          visitor.onEos?.();
          return;
        } else yield* this.#rareRecord(reader, kind, offset);
      }
    } catch (error) {
      throw addContext(error, { offset: this.#at });
    }
  }

  *#rareRecord(reader: Reader, kind: number, offset: number): Decode<void> {
    switch (kind) {
      case RAM_SAVE_FLAG_XBZRLE:
        if (this.inPostcopy) throw this.#badFlags("XBZRLE after the switch to postcopy");
        yield* this.#xbzrlePage(reader, offset);
        return;
      case RAM_SAVE_FLAG_COMPRESS_PAGE:
        yield* this.#compressedPage(reader, offset);
        return;
      case RAM_SAVE_FLAG_MEM_SIZE:
        if (this.inPostcopy) throw this.#badFlags("a block list after the switch to postcopy");
        yield* this.#blockList(reader, offset);
        return;
      case RAM_SAVE_FLAG_MULTIFD_FLUSH:
        this.#visitor.onFlush?.();
        return;
      case RAM_SAVE_FLAG_HOOK:
        throw this.#badFlags("private data of an RDMA transport, of which there is none");
      default:
        throw this.#badFlags("an unknown combination");
    }
  }

  #tryRun(reader: Reader): boolean {
    if (this.#block === null || reader.available < RUN_BYTES) return false;
    const bytes = reader.window();
    if (bytes.length < RUN_BYTES) return false;
    this.#at = reader.offset;
    return reader.advance(this.#visitor.onRun?.(this.#block, bytes) ?? 0) > 0;
  }

  *#name(reader: Reader): Decode<void> {
    const name = yield* countedString(reader);
    this.#block = this.#visitor.resolve(name);
  }

  /** The block of the page record under way. */
  #target(offset: number): B {
    const block = this.#block;
    if (block === null) throw new RamError("BLOCK_UNKNOWN", "Load a page: CONTINUE refers to no block");
    if (offset < block.usedLength && Number.isSafeInteger(offset)) return block;
    const hex = `0x${offset.toString(16)}`;
    throw new RamError(
      "PAGE_OFFSET",
      `Load a page: illegal offset ${hex} in "${block.name}", which has ${block.usedLength} bytes`,
    );
  }

  #zero(block: B, offset: number, fill: number): void {
    if (fill !== 0 && (this.inPostcopy || this.#options.strict === true)) {
      throw new RamError("PAGE_FILL", `Load a zero page: its fill byte is ${fill}, want 0`);
    }
    this.#visitor.onZero(block, offset, fill);
  }

  *#xbzrlePage(reader: Reader, offset: number): Decode<void> {
    if ((this.#flags & RAM_SAVE_FLAG_CONTINUE) === 0) yield* this.#name(reader);
    const block = this.#target(offset);
    if (!reader.has(3)) yield 3;
    const encoding = reader.u8();
    const length = reader.u16();
    if (encoding !== ENCODING_FLAG_XBZRLE) {
      throw new RamError("XBZRLE_CORRUPT", `Load an XBZRLE page: its encoding is ${encoding}, want 1`);
    }
    if (length > this.#pageSize) {
      const message = `Load an XBZRLE page: it takes ${length} bytes, want at most ${this.#pageSize}`;
      throw new RamError("XBZRLE_CORRUPT", message);
    }
    if (!reader.has(length)) yield length;
    this.#visitor.onXbzrle(block, offset, reader.view(length));
  }

  *#compressedPage(reader: Reader, offset: number): Decode<void> {
    if (this.#options.strict === true && this.#options.compress !== true) {
      throw new RamError("PAGE_COMPRESSED", "Load a compressed page: the capability compress is off");
    }
    if ((this.#flags & RAM_SAVE_FLAG_CONTINUE) === 0) yield* this.#name(reader);
    const block = this.#target(offset);
    if (!reader.has(4)) yield 4;
    const length = reader.u32();
    const most = compressBound(this.#pageSize);
    if (length > most) {
      throw new RamError("PAGE_COMPRESSED", `Load a compressed page: it takes ${length} bytes, want at most ${most}`);
    }
    if (!reader.has(length)) yield length;
    this.#visitor.onCompressed(block, offset, reader.view(length));
  }

  *#blockList(reader: Reader, total: number): Decode<void> {
    if (!Number.isSafeInteger(total)) {
      throw new RamError("BLOCK_SIZE", `Load the RAM block list: it has ${total} bytes in total`);
    }
    let remaining = total;
    while (remaining > 0) {
      const name = yield* countedString(reader);
      if (!reader.has(8)) yield 8;
      const usedLength = reader.u64Number();
      if (usedLength > remaining) {
        const message = `Load RAMBlock "${name}": it has ${usedLength} bytes, of the total ${remaining} are left`;
        throw new RamError("BLOCK_SIZE", message);
      }
      let pageSize: number | null = null;
      if (this.#visitor.hasPageSize?.(name) === true) {
        if (!reader.has(8)) yield 8;
        pageSize = reader.u64Number();
      }
      let gpa: bigint | null = null;
      if (this.#options.ignoreShared === true) {
        if (!reader.has(8)) yield 8;
        gpa = reader.u64();
      }
      remaining -= usedLength;
      this.#visitor.onBlock({ name, usedLength, pageSize, gpa }, remaining);
    }
  }

  #badFlags(why: string): RamError {
    return new RamError("PAGE_FLAGS", `Load a RAM record: flags 0x${this.#flags.toString(16)}, ${why}`);
  }
}

/** Most bytes zlib can make of `length` (its compressBound). */
export function compressBound(length: number): number {
  return length + (length >>> 12) + (length >>> 14) + (length >>> 25) + 13;
}

/** @throws RangeError unless it is a power of two from 256 to 65536 */
export function checkTargetPageSize(pageSize: number): void {
  if (!isTargetPageSize(pageSize)) {
    throw new RangeError(`Use target pages of ${pageSize} bytes: want a power of two from 256 to 65536`);
  }
}
