import {
  ENCODING_FLAG_XBZRLE,
  RAM_SAVE_FLAG_COMPRESS_PAGE,
  RAM_SAVE_FLAG_CONTINUE,
  RAM_SAVE_FLAG_EOS,
  RAM_SAVE_FLAG_MEM_SIZE,
  RAM_SAVE_FLAG_MULTIFD_FLUSH,
  RAM_SAVE_FLAG_PAGE,
  RAM_SAVE_FLAG_XBZRLE,
  RAM_SAVE_FLAG_ZERO,
} from "../stream/constants.js";
import type { Writer } from "../stream/writer.js";
import type { RamBlockEntry } from "./page-codec.js";

/**
 * Writes records one by one: for block lists, and for tools that compose a stream. The other way round of
 * `RamRecordReader`. Page records name their block unless the last one of this channel was of the same.
 */
export class RamRecordWriter {
  readonly #writer: Writer;
  #block: string | null = null;

  constructor(writer: Writer) {
    this.#writer = writer;
  }

  /** Forget the last block, so that the next record carries its name. */
  reset(): void {
    this.#block = null;
  }

  /** The block list of the START section; the total is that of the lengths given, which are whole pages. */
  blockList(entries: readonly RamBlockEntry[]): void {
    const total = entries.reduce((sum, { usedLength }) => sum + usedLength, 0);
    this.#word(total, RAM_SAVE_FLAG_MEM_SIZE);
    for (const { name, usedLength, pageSize, gpa } of entries) {
      this.#writer.countedString(name);
      this.#writer.u64Number(usedLength);
      if (pageSize !== null) this.#writer.u64Number(pageSize);
      if (gpa !== null) this.#writer.u64(gpa);
    }
  }

  /** @param fill what every byte of the page is; QEMU 8.2 and later accept nothing but 0 */
  zero(block: string, offset: number, fill = 0): void {
    this.#page(block, offset, RAM_SAVE_FLAG_ZERO);
    this.#writer.u8(fill);
  }

  /** `bytes` is copied. */
  page(block: string, offset: number, bytes: Uint8Array): void {
    this.#page(block, offset, RAM_SAVE_FLAG_PAGE);
    this.#writer.bytes(bytes);
  }

  xbzrle(block: string, offset: number, encoded: Uint8Array): void {
    this.#page(block, offset, RAM_SAVE_FLAG_XBZRLE);
    this.#writer.u8(ENCODING_FLAG_XBZRLE);
    this.#writer.u16(encoded.length);
    this.#writer.bytes(encoded);
  }

  /** @param data a zlib stream of one page */
  compressed(block: string, offset: number, data: Uint8Array): void {
    this.#page(block, offset, RAM_SAVE_FLAG_COMPRESS_PAGE);
    this.#writer.u32(data.length);
    this.#writer.bytes(data);
  }

  multifdFlush(): void {
    this.#word(0, RAM_SAVE_FLAG_MULTIFD_FLUSH);
  }

  eos(): void {
    this.#word(0, RAM_SAVE_FLAG_EOS);
  }

  #page(block: string, offset: number, flag: number): void {
    if (block === this.#block) this.#word(offset, flag | RAM_SAVE_FLAG_CONTINUE);
    else {
      this.#word(offset, flag);
      this.#writer.countedString(block);
      this.#block = block;
    }
  }

  #word(offset: number, flags: number): void {
    this.#writer.u64Number(offset + flags);
  }
}
