export { Arena, type ArenaWindow } from "./arena.js";
export { createKernels, loadKernels, type KernelMemory, type KernelOptions } from "./create.js";
export {
  MASK_PAGES,
  RESULT_BYTES,
  type DecodedPages,
  type DecodePages,
  type EncodedPages,
  type EncodePages,
  type GrowableBuffer,
  type Kernels,
} from "./types.js";
export type { KernelModules } from "./wasm.js";
