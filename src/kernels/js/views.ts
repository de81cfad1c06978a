import { isSharedBuffer } from "../memory.js";
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

  /** Returns itself, with views of the memory as it is now. */
  current(): this {
    const buffer = this.#memory.buffer;
    if (this.u8.buffer !== buffer || this.data.byteLength !== buffer.byteLength) {
      const length = buffer.byteLength;
      // Explicit lengths: the views of a resizable buffer would track it, and disagree with each other meanwhile.
      this.u8 = new Uint8Array(buffer as ArrayBuffer, 0, length);
      this.u32 = new Uint32Array(buffer as ArrayBuffer, 0, Math.floor(length / 4));
      this.data = new DataView(buffer, 0, length);
      this.shared = isSharedBuffer(buffer);
    }
    return this;
  }
}
