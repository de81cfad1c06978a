import type { Plugin, RollupOptions } from "rollup";

/** One build of the kernels. */
export interface CompiledKernels {
  /** The binary. */
  readonly base64: string;
  /** Its SHA-256 in hex. */
  readonly sha256: string;
  readonly byteLength: number;
  /** Declarations of the exports, as asc writes them. */
  readonly bindings: string;
}

export function checkKernels(wasm: Uint8Array): void;
export function compileKernels(): Promise<{ readonly plain: CompiledKernels; readonly shared: CompiledKernels }>;
export function kernels(options?: { readonly embed?: boolean; readonly emit?: boolean }): Plugin;
export default function configure(): Promise<RollupOptions[]>;
