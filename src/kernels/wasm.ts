import * as loader from "@assemblyscript/loader";
import { plain, shared, type EmbeddedKernels } from "virtual:savevm-kernels";
import { isSharedBuffer } from "./memory.js";
import type { RawKernels } from "./types.js";

function embeddedFor(memory: WebAssembly.Memory): EmbeddedKernels {
  return isSharedBuffer(memory.buffer) ? shared : plain;
}

function source(kernels: EmbeddedKernels): WebAssembly.Module | Uint8Array<ArrayBuffer> {
  if (typeof kernels.source !== "string") return kernels.source;
  return Uint8Array.from(atob(kernels.source), (character) => character.charCodeAt(0));
}

/**
 * Instantiates the kernels on a memory, compiling in place; `module` is used instead of the embedded binary. Throws
 * what the engine throws where that is forbidden or impossible: CompileError, EvalError, LinkError, RangeError.
 */
export function instantiateKernels(memory: WebAssembly.Memory, module?: WebAssembly.Module): RawKernels {
  const { exports } = loader.instantiateSync<RawKernels>(module ?? source(embeddedFor(memory)), { env: { memory } });
  return exports;
}

/** Like {@link instantiateKernels}, for threads that must not compile synchronously. Rejects where that throws. */
export async function instantiateKernelsAsync(
  memory: WebAssembly.Memory,
  module?: WebAssembly.Module,
): Promise<RawKernels> {
  const { exports } = await loader.instantiate<RawKernels>(module ?? source(embeddedFor(memory)), { env: { memory } });
  return exports;
}
