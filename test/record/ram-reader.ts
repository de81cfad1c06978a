/** The `ram` section for the recorder's own reader: applies page records and counts them. */
import { inflateSync } from "node:zlib";
import type { BlockEntry } from "./manifest.js";
import type { Cursor } from "./second-opinion.js";

const ZERO = 0x02n;
const MEM_SIZE = 0x04n;
const PAGE = 0x08n;
const EOS = 0x10n;
const CONTINUE = 0x20n;
const XBZRLE = 0x40n;
const COMPRESS_PAGE = 0x100n;

interface Block extends Omit<BlockEntry, "sha256"> {
  readonly content: Uint8Array;
}

export class RamReader {
  readonly #pageSize: number;
  readonly #ignoreShared: boolean;
  readonly #blocks = new Map<string, Block>();
  #current: Block | undefined;

  constructor(pageSize: number, ignoreShared: boolean) {
    this.#pageSize = pageSize;
    this.#ignoreShared = ignoreShared;
  }

  get blocks(): Omit<BlockEntry, "sha256">[] {
    return Array.from(this.#blocks.values(), ({ name, length, pages }) => ({ name, length, pages }));
  }

  /** Content by block; null for a block of which no page was sent although shared memory is left out. */
  memory(): Map<string, Uint8Array | null> {
    const entries = Array.from(this.#blocks.values(), (block) => {
      const silent = Object.values(block.pages).every((count) => count === 0);
      return [block.name, silent && this.#ignoreShared ? null : block.content] as const;
    });
    return new Map(entries);
  }

  /** One section body, up to and with its end-of-section word. */
  read(input: Cursor): void {
    for (;;) {
      const at = input.at;
      const word = input.u64();
      const mask = BigInt(this.#pageSize - 1);
      // Pages of 256 bytes leave no room for the larger flags, which then never occur.
      const flags = word & mask;
      if ((flags & EOS) !== 0n) return;
      if ((flags & MEM_SIZE) !== 0n) this.#readBlockList(input, word & ~mask);
      else this.#readPage(input, flags, Number(word & ~mask), at);
    }
  }

  /** POSTCOPY_RAM_DISCARD: what the ranges held is gone. */
  discard(input: Cursor, end: number): void {
    input.u8();
    const block = this.#blocks.get(input.text())!;
    input.u8();
    while (input.at < end) {
      const start = Number(input.u64());
      block.content.fill(0, start, start + Number(input.u64()));
    }
  }

  #readBlockList(input: Cursor, total: bigint): void {
    let left = total;
    while (left > 0n) {
      const name = input.text();
      const length = input.u64();
      if (this.#ignoreShared) input.u64();
      left -= length;
      const pages = { zero: 0, normal: 0, xbzrle: 0, compressed: 0 };
      this.#blocks.set(name, { name, length: Number(length), pages, content: new Uint8Array(Number(length)) });
    }
  }

  #readPage(input: Cursor, flags: bigint, offset: number, at: number): void {
    if ((flags & CONTINUE) === 0n) this.#current = this.#blocks.get(input.text());
    const block = this.#current;
    if (!block) throw new Error(`Page record at ${at} has no block`);
    const page = block.content.subarray(offset, offset + this.#pageSize);
    if (page.length !== this.#pageSize) throw new Error(`Page record at ${at} is outside ${block.name}: ${offset}`);
    switch (flags & ~CONTINUE) {
      case ZERO:
        page.fill(input.u8());
        block.pages.zero++;
        return;
      case PAGE:
        page.set(input.take(this.#pageSize));
        block.pages.normal++;
        return;
      case XBZRLE:
        if (input.u8() !== 1) throw new Error(`Unknown encoding at ${at}`);
        applyXbzrle(input.take(input.u16()), page);
        block.pages.xbzrle++;
        return;
      case COMPRESS_PAGE:
        page.set(inflateSync(input.take(input.u32())));
        block.pages.compressed++;
        return;
      default:
        throw new Error(`Unknown flags 0x${flags.toString(16)} at ${at}`);
    }
  }
}

/** Runs of "keep" and "replace" lengths, each in one or two bytes of seven bits. */
function applyXbzrle(encoded: Uint8Array, page: Uint8Array): void {
  let at = 0;
  let to = 0;
  const length = () => {
    const low = encoded[at++];
    return low < 0x80 ? low : (low & 0x7f) | (encoded[at++] << 7);
  };
  while (at < encoded.length) {
    to += length();
    const count = length();
    page.set(encoded.subarray(at, at + count), to);
    at += count;
    to += count;
  }
}
