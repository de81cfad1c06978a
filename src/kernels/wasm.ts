import * as loader from "@assemblyscript/loader";
import { plain, shared, type EmbeddedKernels } from "virtual:savevm-kernels";
import { isSharedBuffer } from "./memory.js";
import type { RawKernels } from "./types.js";

function embeddedFor(memory: WebAssembly.Memory): EmbeddedKernels {
  return isSharedBuffer(memory.buffer) ? shared : plain;
}

/** The two builds of the kernels, compiled by the caller. */
export interface KernelModules {
  /** `savevm/kernels.wasm`, for memories that are not shared. */
  readonly plain?: WebAssembly.Module | undefined;
  /** `savevm/kernels.shared.wasm`, for shared ones. */
  readonly shared?: WebAssembly.Module | undefined;
}

function given(memory: WebAssembly.Memory, { plain, shared }: KernelModules): WebAssembly.Module | undefined {
  return isSharedBuffer(memory.buffer) ? shared : plain;
}

/** The binaries as bytes: to decode one takes longer than to compile it, and every save and load needs kernels. */
const decoded = new WeakMap<EmbeddedKernels, Uint8Array<ArrayBuffer>>();

function source(kernels: EmbeddedKernels): WebAssembly.Module | Uint8Array<ArrayBuffer> {
  if (typeof kernels.source !== "string") return kernels.source;
  let binary = decoded.get(kernels);
  if (binary === undefined) {
    binary = Uint8Array.from(atob(kernels.source), (character) => character.charCodeAt(0));
    decoded.set(kernels, binary);
  }
  return binary;
}

/**
 * Instantiates the kernels on a memory, compiling in place unless `modules` has the build for it. Throws
 * what the engine throws where that is forbidden or impossible: CompileError, EvalError, LinkError, RangeError.
 */
export function instantiateKernels(memory: WebAssembly.Memory, modules: KernelModules = {}): RawKernels {
  const binary = given(memory, modules) ?? source(embeddedFor(memory));
  return loader.instantiateSync<RawKernels>(binary, { env: { memory } }).exports;
}

/** Like {@link instantiateKernels}, for threads that must not compile synchronously. Rejects where that throws. */
export async function instantiateKernelsAsync(
  memory: WebAssembly.Memory,
  modules: KernelModules = {},
): Promise<RawKernels> {
  const binary = given(memory, modules) ?? source(embeddedFor(memory));
  return (await loader.instantiate<RawKernels>(binary, { env: { memory } })).exports;
}
