import { createKernels, loadKernels, type KernelOptions } from "./create.js";
import { HeapMemory, WASM_PAGE_BYTES } from "./memory.js";
import type { Kernels } from "./types.js";

/** A region of an arena, for one purpose. */
export interface ArenaWindow {
  /** What it is for; shown in errors. */
  readonly name: string;
  readonly address: number;
  readonly byteLength: number;
}

/** Addresses that hold vectors and atomic words; also what keeps windows apart from each other's cache lines. */
const ALIGNMENT = 64;

/**
 * Our own linear memory, with kernels bound to it: for scratch, for output, and for RAM of emulators that keep it
 * in plain buffers. Windows are reserved by those who know how much the machine registered; the memory grows as
 * needed and never shrinks, so an arena belongs to one run (a save, a load, a migration) and dies with it.
 *
 * Address 0 is in no window: kernels take it for "none".
 */
export class Arena {
  readonly kernels: Kernels;
  readonly #memory: WebAssembly.Memory | HeapMemory;
  #end = ALIGNMENT;
  /** Released regions, ascending, never adjacent. */
  readonly #free: { address: number; byteLength: number }[] = [];
  readonly #windows = new Set<ArenaWindow>();

  private constructor(memory: WebAssembly.Memory | HeapMemory, kernels: Kernels) {
    this.#memory = memory;
    this.kernels = kernels;
  }

  /** Makes an empty arena; compiles the kernels synchronously. */
  static create(options: KernelOptions = {}): Arena {
    const memory = createMemory(options);
    return new Arena(memory, createKernels(memory, options));
  }

  /** Makes an empty arena; compiles the kernels asynchronously, as the main thread of a page must. */
  static async load(options: KernelOptions = {}): Promise<Arena> {
    const memory = createMemory(options);
    return new Arena(memory, await loadKernels(memory, options));
  }

  /**
   * Reserves `byteLength` bytes at an address that is a multiple of 64. They are zero, unless they were in a window
   * that was released. May grow the memory: views taken before are then detached.
   *
   * @throws RangeError when the memory cannot grow that much
   */
  reserve(name: string, byteLength: number): ArenaWindow {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new RangeError(`Cannot reserve window ${name}: want a length, got ${byteLength}`);
    }
    const window: ArenaWindow = Object.freeze({ name, address: this.#allocate(name, roundUp(byteLength)), byteLength });
    this.#windows.add(window);
    return window;
  }

  /** Gives a window back. Whoever still uses it will see another's bytes. */
  release(window: ArenaWindow): void {
    if (!this.#windows.delete(window)) throw new TypeError(`Cannot release window ${window.name}: not reserved here`);
    const region = { address: window.address, byteLength: roundUp(window.byteLength) };
    if (region.byteLength === 0) return;
    const free = this.#free;
    let index = free.findIndex((other) => other.address > region.address);
    if (index < 0) index = free.length;
    free.splice(index, 0, region);
    const next = free[index + 1];
    if (next && region.address + region.byteLength === next.address) {
      region.byteLength += next.byteLength;
      free.splice(index + 1, 1);
    }
    const previous = free[index - 1];
    if (previous && previous.address + previous.byteLength === region.address) {
      previous.byteLength += region.byteLength;
      free.splice(index, 1);
    }
  }

  /** The bytes of a window. Valid until the next {@link Arena.reserve}: take it anew for each use. */
  bytes(window: ArenaWindow): Uint8Array<ArrayBuffer> {
    if (!this.#windows.has(window)) throw new TypeError(`Cannot view window ${window.name}: not reserved here`);
    return new Uint8Array(this.#memory.buffer, window.address, window.byteLength);
  }

  /** Finds `byteLength` (a multiple of the alignment) free bytes; first fit. */
  #allocate(name: string, byteLength: number): number {
    const index = this.#free.findIndex((region) => region.byteLength >= byteLength);
    const region = this.#free[index];
    if (region) {
      const address = region.address;
      region.address += byteLength;
      region.byteLength -= byteLength;
      if (region.byteLength === 0) this.#free.splice(index, 1);
      return address;
    }
    const address = this.#end;
    const missing = address + byteLength - this.#memory.buffer.byteLength;
    if (missing > 0) {
      try {
        this.#memory.grow(Math.ceil(missing / WASM_PAGE_BYTES));
      } catch (cause) {
        throw new RangeError(`Cannot reserve window ${name}: no memory for ${byteLength} more bytes`, { cause });
      }
    }
    this.#end += byteLength;
    return address;
  }
}

function roundUp(byteLength: number): number {
  return Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
}

function createMemory(options: KernelOptions): WebAssembly.Memory | HeapMemory {
  if (options.implementation === "js" || typeof WebAssembly === "undefined") return new HeapMemory();
  return new WebAssembly.Memory({ initial: 1 });
}
