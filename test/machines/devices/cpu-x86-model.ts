/** Settings of an x86 CPU that decide what of its state is saved. */

/** CPUID bits that decide what is migrated. */
export type CpuFeature = "svm-tsc-scale" | "tsx-ctrl" | "sgx-lc" | "xfd" | "amx-tile" | "arch-lbr" | "hv-runtime";

/** What was configured, not loaded: it must be the same on both sides. */
export interface CpuModel {
  readonly features: ReadonlySet<CpuFeature>;
  readonly tcg: boolean;
  readonly migrateSmiCount: boolean;
  readonly enableLmce: boolean;
  /** The machine type lets the TSC frequency travel. */
  readonly saveTscKhz: boolean;
  /** The frequency that the user asked for; 0 if none. */
  readonly userTscKhz: bigint;
}

export interface Configured {
  readonly model: CpuModel;
}
