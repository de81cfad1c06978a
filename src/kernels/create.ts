import { BoundKernels } from "./bound.js";
import { createJsKernels } from "./js.js";
import { isWebAssemblyMemory } from "./memory.js";
import type { GrowableBuffer, Kernels } from "./types.js";
import { instantiateKernels, instantiateKernelsAsync, type KernelModules } from "./wasm.js";

/** What kernels can be bound to. Only a `WebAssembly.Memory` can be used by WebAssembly. */
export type KernelMemory = WebAssembly.Memory | GrowableBuffer | ArrayBuffer | SharedArrayBuffer;

/** Which kernels to use. */
export interface KernelOptions {
  /**
   * "auto" (the default) takes WebAssembly where the memory and the engine allow it and the TypeScript twin
   * elsewhere; "wasm" throws instead; "js" always takes the twin.
   */
  readonly implementation?: "auto" | "wasm" | "js" | undefined;
  /** Compiled by the caller: where bytes must not be compiled at run time, or to compile once for many workers. */
  readonly modules?: KernelModules | undefined;
}

/**
 * Binds the kernels to a memory. The memory is neither grown nor written to.
 *
 * Compiles synchronously, which engines may refuse on the main thread of a page: see {@link loadKernels}. With
 * "auto" any such refusal ends in the twin, and is kept as `fallbackCause`.
 */
export function createKernels(memory: KernelMemory, options: KernelOptions = {}): Kernels {
  const target = growable(memory);
  const implementation = options.implementation ?? "auto";
  if (implementation !== "js" && isWebAssemblyMemory(target)) {
    try {
      return new BoundKernels("wasm", instantiateKernels(target, options.modules), target);
    } catch (error) {
      if (implementation === "wasm") throw error;
      return new BoundKernels("js", createJsKernels(target), target, error);
    }
  }
  return withoutWasm(target, implementation);
}

/** Like {@link createKernels}, compiling asynchronously: for the main thread of a page. */
export async function loadKernels(memory: KernelMemory, options: KernelOptions = {}): Promise<Kernels> {
  const target = growable(memory);
  const implementation = options.implementation ?? "auto";
  if (implementation !== "js" && isWebAssemblyMemory(target)) {
    try {
      return new BoundKernels("wasm", await instantiateKernelsAsync(target, options.modules), target);
    } catch (error) {
      if (implementation === "wasm") throw error;
      return new BoundKernels("js", createJsKernels(target), target, error);
    }
  }
  return withoutWasm(target, implementation);
}

function withoutWasm(memory: GrowableBuffer, implementation: "auto" | "wasm" | "js"): Kernels {
  if (implementation === "wasm") {
    throw new TypeError("Cannot use WebAssembly kernels on a buffer: want a WebAssembly.Memory");
  }
  return new BoundKernels("js", createJsKernels(memory), memory);
}

function growable(memory: KernelMemory): GrowableBuffer {
  // A view has a buffer too, but its offset in that buffer would be ignored.
  if (ArrayBuffer.isView(memory)) throw new TypeError("Cannot bind kernels to a view: want its buffer or its memory");
  return "buffer" in memory ? memory : { buffer: memory };
}
