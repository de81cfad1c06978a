import type { GrowableBuffer } from "./types.js";

/** Type test by tag, not by class: memories may come from another realm (an iframe, a worker's context). */
function hasTag(value: unknown, tag: string): boolean {
  return Object.prototype.toString.call(value) === `[object ${tag}]`;
}

/** Is the buffer shared between threads? */
export function isSharedBuffer(buffer: ArrayBufferLike): boolean {
  return hasTag(buffer, "SharedArrayBuffer");
}

/** Is this a memory that WebAssembly can import? */
export function isWebAssemblyMemory(memory: GrowableBuffer): memory is WebAssembly.Memory {
  return hasTag(memory, "WebAssembly.Memory");
}

/** Bytes of a WebAssembly page. */
export const WASM_PAGE_BYTES = 65536;

/** Stands in for `WebAssembly.Memory` where there is none: a buffer that grows by being replaced. */
export class HeapMemory implements GrowableBuffer {
  #buffer: ArrayBuffer = new ArrayBuffer(0);

  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  /** Adds `pages` pages of 64 KiB, zeroed. */
  grow(pages: number): void {
    const grown = new Uint8Array(this.#buffer.byteLength + pages * WASM_PAGE_BYTES);
    grown.set(new Uint8Array(this.#buffer));
    this.#buffer = grown.buffer;
  }
}
