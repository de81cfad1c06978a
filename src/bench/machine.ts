import { describeEnvironment } from "./environment.js";
import { sampleFor, sampleOnce } from "./measure.js";
import { mergeResults } from "./merge.js";
import { SCHEMA, type BenchmarkResults, type Machine } from "./result.js";
import { measureRow, type Limits, type Row } from "./row.js";

/** A saved state: one piece, as `SaveVM.saveSync` returns it. */
export type SavedState = Uint8Array;

/** An emulator to be measured, and how. */
export interface BenchmarkMachineOptions {
  /** What the results are of. */
  readonly name: string;
  /** Saves the machine as it is. */
  readonly save: () => SavedState | Promise<SavedState>;
  /** Loads what `save` returned. */
  readonly load: (state: SavedState) => unknown;
  /** Bytes of RAM, which rates and the copy are of; unless given, as many as the state has. */
  readonly ramBytes?: number;
  /** What save and load must reach, as a share of the speed of a copy. */
  readonly limits?: { readonly save?: Limits; readonly load?: Limits };
  /** How often everything is measured; 5 unless given. The differences tell {@link compareResults} what is noise. */
  readonly runs?: number;
  /** How often save, load and copy have their turn in each run; 5 unless given. */
  readonly rounds?: number;
  /** Seconds that each of them runs before the first round; 0.1 unless given. */
  readonly warmUp?: number;
  /** Whether a state that was loaded is saved to the same bytes again, which is checked first; true unless given. */
  readonly reproducible?: boolean;
  /** What was measured, for the record. */
  readonly commit?: string | null;
  readonly dirty?: boolean;
  /** The computer, where the engine does not tell enough of it. */
  readonly machine?: Partial<Machine>;
}

/** The least time of a sample: what is shorter is repeated. */
const SAMPLE_SECONDS = 0.01;

/**
 * Measures an emulator's save and load, as rates and as shares of the speed of a memory copy in the same rounds, and
 * the size of its state.
 * @throws {Error} if the machine saves something else after it loaded what it had saved.
 */
export async function benchmarkMachine(options: BenchmarkMachineOptions): Promise<BenchmarkResults> {
  const { name, runs = 5, rounds = 5, warmUp = 0.1, commit = null, dirty = false } = options;
  const date = new Date().toISOString();
  const state = await checkedState(options);
  const sampling = { rounds, warmUp, quick: false, sample: sampleFor(SAMPLE_SECONDS), sampleOnce };
  const { runtime, machine } = describeEnvironment();
  const head = { name, date, commit, dirty, quick: false, runtime, machine: { ...machine, ...options.machine } };
  const all: BenchmarkResults[] = [];
  for (let run = 0; run < runs; run++) {
    const results = [];
    for (const row of rowsOf(options, state)) results.push(await measureRow(row, sampling));
    all.push({ schema: SCHEMA, ...head, rows: results });
  }
  return mergeResults(all);
}

async function checkedState({ name, save, load, reproducible = true }: BenchmarkMachineOptions): Promise<SavedState> {
  // A copy, since a machine may save into the same memory each time. Not slice(): that of a Node Buffer is no copy.
  const state = new Uint8Array(await save());
  await load(state);
  const again = await save();
  if (!reproducible) return state;
  const at = state.findIndex((byte, i) => byte !== again[i]);
  if (at >= 0 || again.length !== state.length) {
    const where = at >= 0 ? `byte ${at} differs` : `${again.length} bytes instead of ${state.length}`;
    throw new Error(`Measure ${name}: what was loaded is saved differently: ${where}`);
  }
  return state;
}

function rowsOf({ save, load, ramBytes, limits }: BenchmarkMachineOptions, state: SavedState): Row[] {
  const bytes = ramBytes ?? state.length;
  // Not zero, which some systems have without having memory for it.
  const source = new Uint8Array(bytes).fill(1);
  const target = new Uint8Array(bytes).fill(2);
  const copy = (): void => target.set(source);
  return [
    {
      id: "machine/save",
      title: "save, against a memory copy",
      bytes,
      prepare: () => ({ variants: { save, copy } }),
      ratios: [{ of: "save", to: "copy", ...limits?.save }],
    },
    {
      id: "machine/load",
      title: "load, against a memory copy",
      bytes,
      prepare: () => ({ variants: { load: () => load(state), copy } }),
      ratios: [{ of: "load", to: "copy", ...limits?.load }],
    },
    {
      id: "machine/size",
      title: "size of the state",
      unit: "MiB",
      better: "lower",
      measure: () => ({ state: state.length / 2 ** 20 }),
    },
  ];
}
