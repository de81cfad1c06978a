import { SCHEMA, summarise, type BenchmarkResults, type Figure, type RowResult } from "../../src/bench/index.js";

/** Results of so many rows, all else made up. */
export function resultsOf(rows: readonly RowResult[], over: Partial<BenchmarkResults> = {}): BenchmarkResults {
  return {
    schema: SCHEMA,
    name: "savevm",
    date: "2026-01-02T03:04:05.000Z",
    commit: "0123456789abcdef0123456789abcdef01234567",
    dirty: false,
    quick: false,
    runtime: { name: "node", version: "20.1.2" },
    machine: { platform: "linux", arch: "x64", cpu: "A processor", cores: 2 },
    rows,
    ...over,
  };
}

/** A figure with these medians of runs. */
export function figureOf(runs: readonly number[], limits: { floor?: number; goal?: number } = {}): Figure {
  return { ...summarise(runs), ...limits, runs };
}

/** A row with one ratio, wasm / native. */
export function ratioRow(
  id: string,
  runs: readonly number[],
  limits: { floor?: number; goal?: number } = {},
): RowResult {
  return {
    id,
    title: `title of ${id}`,
    unit: "GB/s",
    better: "higher",
    values: { wasm: figureOf(runs.map((ratio) => ratio * 10)), native: figureOf([10]) },
    ratios: [{ of: "wasm", to: "native", ...figureOf(runs, limits) }],
  };
}

/** A row with one value and nothing to compare it with. */
export function valueRow(
  id: string,
  runs: readonly number[],
  {
    unit = "MiB",
    better = "lower",
    ...limits
  }: { unit?: string; better?: "lower"; floor?: number; goal?: number } = {},
): RowResult {
  return { id, title: `title of ${id}`, unit, better, values: { peak: figureOf(runs, limits) }, ratios: [] };
}

/** Numbers from 0 to 1, the same in every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
