import { isSharedBuffer, isWebAssemblyMemory } from "../memory.js";
import type { GrowableBuffer } from "../types.js";

/** Views of a memory that may grow. Never kept across calls: {@link Views.current} renews them when needed. */
export class Views {
  readonly #memory: GrowableBuffer;
  u8 = new Uint8Array(0);
  /** Whole words of the memory; byte address / 4. Only compared with each other, 0 or -1: order does not matter. */
  u32 = new Uint32Array(0);
  data: DataView = new DataView(new ArrayBuffer(0));
  /** Whether another thread may be writing. Where none can, atomic operations would only be slow. */
  shared = false;

  constructor(memory: GrowableBuffer) {
    this.#memory = memory;
  }

  /**
   * Whether a new buffer detaches the one before, so that views of some length are views of the memory as it is.
   * Asking a `WebAssembly.Memory` for its buffer takes as long as decoding half a page.
   */
  #detaches = false;

  /** Returns itself, with views of the memory as it is now. */
  current(): this {
    if (this.#detaches && this.u8.length !== 0) return this;
    const buffer = this.#memory.buffer;
    if (this.u8.buffer !== buffer || this.data.byteLength !== buffer.byteLength) {
      const length = buffer.byteLength;
      // Explicit lengths: the views of a resizable buffer would track it, and disagree with each other meanwhile.
      this.u8 = new Uint8Array(buffer as ArrayBuffer, 0, length);
      this.u32 = new Uint32Array(buffer as ArrayBuffer, 0, Math.floor(length / 4));
      this.data = new DataView(buffer, 0, length);
      this.shared = isSharedBuffer(buffer);
      const resizable = "resizable" in buffer && buffer.resizable === true;
      this.#detaches = isWebAssemblyMemory(this.#memory) && !this.shared && !resizable;
    }
    return this;
  }
}
