/** The compiled kernels, as the build (rollup) and the tests (vitest) embed them: never older than assembly/. */
declare module "virtual:savevm-kernels" {
  /** One build of the kernels. */
  export interface EmbeddedKernels {
    /** The binary in base64; or the module itself, where the platform compiles ahead and not at run time. */
    readonly source: string | WebAssembly.Module;
    /** SHA-256 of the binary, in hex. */
    readonly sha256: string;
    /** Length of the binary. */
    readonly byteLength: number;
  }
  /** For memories that are not shared. */
  export const plain: EmbeddedKernels;
  /** For shared memories. */
  export const shared: EmbeddedKernels;
}
