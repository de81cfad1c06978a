import { createKernels, type GrowableBuffer, type KernelOptions, type Kernels } from "../kernels/index.js";

/** Kernels bound to the emulator's memories, each once. */
export class KernelBindings {
  readonly #options: KernelOptions;
  readonly #byMemory = new Map<GrowableBuffer, Kernels>();

  constructor(options: KernelOptions) {
    // Guest memory may be a plain buffer, which WebAssembly cannot use even where it is insisted on.
    this.#options = options.implementation === "wasm" ? { ...options, implementation: "auto" } : options;
  }

  for(memory: GrowableBuffer): Kernels {
    let kernels = this.#byMemory.get(memory);
    if (kernels === undefined) {
      kernels = createKernels(memory, this.#options);
      this.#byMemory.set(memory, kernels);
    }
    return kernels;
  }
}
