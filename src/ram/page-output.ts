import { RAM_SAVE_FLAG_CONTINUE } from "../stream/constants.js";
import type { Encode } from "../stream/drive.js";
import { encodeName } from "../stream/names.js";
import type { GrowableBuffer } from "../kernels/index.js";
import type { Writer } from "../stream/writer.js";
import type { RAMBlock } from "./block.js";

/** Bytes of the region that holds a counted name for the kernels. */
export const NAME_BYTES = 256;

/**
 * A region of a linear memory that records are written to, and handed to the stream by reference. Its halves take
 * turns: while a sink that queues still reads one, the other is filled.
 */
export class PageOutput {
  readonly #memory: GrowableBuffer;
  readonly #start: number;
  readonly #half: number;
  /** Address behind the half in use. */
  #end: number;
  readonly #nameAddress: number;
  #at: number;
  #pushed: number;
  #heap: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #handedOut: ArrayBufferLike | null = null;

  /** @param nameAddress where {@link NAME_BYTES} bytes are free for {@link name} */
  constructor(memory: GrowableBuffer, start: number, length: number, nameAddress: number) {
    this.#memory = memory;
    this.#start = this.#at = this.#pushed = start;
    this.#half = Math.floor(length / 2);
    this.#end = start + this.#half;
    this.#nameAddress = nameAddress;
  }

  /** Address of the next record. */
  get at(): number {
    return this.#at;
  }

  /** Address behind the bytes free. */
  get end(): number {
    return this.#end;
  }

  /** Bytes free. */
  get room(): number {
    return this.#end - this.#at;
  }

  /** Bytes free after {@link recycle}. */
  get capacity(): number {
    return this.#half;
  }

  /** Bytes written and not yet handed to the stream. */
  get unpushed(): number {
    return this.#at - this.#pushed;
  }

  /** All of the memory as it is now; for use until the next yield. */
  heap(): Uint8Array {
    const { buffer } = this.#memory;
    if (this.#heap.buffer !== buffer) {
      this.#heap = new Uint8Array(buffer);
      this.#view = new DataView(buffer);
    }
    return this.#heap;
  }

  /** `bytes` of records were put at {@link at}. */
  advance(bytes: number): void {
    this.#at += bytes;
  }

  /** Put the counted name of a block where kernels find it. */
  name(block: RAMBlock): number {
    const name = encodeName(block.name);
    const heap = this.heap();
    heap[this.#nameAddress] = name.length;
    heap.set(name, this.#nameAddress + 1);
    return this.#nameAddress;
  }

  /** The word of a page record, and the name of the block unless it `continues`. */
  header(block: RAMBlock, offset: number, flag: number, continues: boolean): void {
    const heap = this.heap();
    this.#view.setUint32(this.#at, Math.floor(offset / 0x1_0000_0000));
    this.#view.setUint32(this.#at + 4, (offset >>> 0) | flag | (continues ? RAM_SAVE_FLAG_CONTINUE : 0));
    this.#at += 8;
    if (continues) return;
    const name = encodeName(block.name);
    heap[this.#at] = name.length;
    heap.set(name, this.#at + 1);
    this.#at += 1 + name.length;
  }

  u8(value: number): void {
    this.heap()[this.#at++] = value;
  }

  u16(value: number): void {
    this.heap();
    this.#view.setUint16(this.#at, value);
    this.#at += 2;
  }

  u32(value: number): void {
    this.heap();
    this.#view.setUint32(this.#at, value);
    this.#at += 4;
  }

  bytes(bytes: Uint8Array): void {
    this.heap().set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Hand what is new to the stream, by reference. Returns its length in bytes. */
  push(writer: Writer): number {
    const length = this.#at - this.#pushed;
    if (length === 0) return 0;
    this.#checkStayed();
    this.#handedOut = this.#memory.buffer;
    writer.reference(new Uint8Array(this.#memory.buffer, this.#pushed, length));
    this.#pushed = this.#at;
    return length;
  }

  /** Hand everything over and go on in the other half: what it held was handed over at an earlier yield. */
  *recycle(writer: Writer): Encode<void> {
    this.push(writer);
    yield;
    this.#checkStayed();
    const inFirst = this.#end === this.#start + this.#half;
    this.#at = this.#pushed = inFirst ? this.#end : this.#start;
    this.#end = this.#at + this.#half;
  }

  /** Growing detached the views that the sink was reading: what arrived is not to be trusted. */
  #checkStayed(): void {
    if (this.#handedOut !== null && this.#handedOut !== this.#memory.buffer) {
      throw new TypeError("Save RAM: a memory with a scratch region has grown while its pages were being written");
    }
  }
}
