import { measure, type Operation, type Sampler } from "./measure.js";
import type { Better, Figure, Ratio, RowResult } from "./result.js";
import { median, summarise } from "./statistics.js";

/** What a figure must reach, and what is aimed at. */
export interface Limits {
  readonly floor?: number;
  readonly goal?: number;
}

/** Two variants to be divided by each other: above 1 is better for `of`. */
export interface WantedRatio extends Limits {
  readonly of: string;
  readonly to: string;
}

/** What {@link TimedRow.prepare} leaves ready, its results already compared with each other. */
export interface Prepared {
  readonly variants: Readonly<Record<string, Operation>>;
  cleanUp?(): unknown;
}

interface RowHead {
  /** `group/path[/mix]`. */
  readonly id: string;
  readonly title: string;
  /** Left out where a variant is missing, as the native ones are without a compiler. */
  readonly ratios?: readonly WantedRatio[];
  /** Rounds, unless the options say; 9 unless given. */
  readonly rounds?: number;
}

/** A row of operations that are timed side by side; its values are GB/s. */
export interface TimedRow extends RowHead {
  /** How many bytes one call of a variant works on. */
  readonly bytes: number;
  /** Whether a sample is one call: for operations of milliseconds, and asynchronous ones. */
  readonly once?: boolean;
  prepare(): Prepared | Promise<Prepared>;
}

/** A row that measures by itself: memory, growth, a fit, or times that need a procedure of their own. */
export interface MeasuredRow extends RowHead {
  readonly unit: string;
  readonly better: Better;
  /** What values must reach, by their names. */
  readonly limits?: Readonly<Record<string, Limits>>;
  /** Values by name, in `unit`: one number, or one for each round. */
  measure(options: RowOptions & { readonly rounds: number }): MeasuredValues | Promise<MeasuredValues>;
}

export type Row = TimedRow | MeasuredRow;
export type MeasuredValues = Readonly<Record<string, number | readonly number[]>>;

/** How to run rows. */
export interface RowOptions {
  /** Rounds of every row, whatever it wants. */
  readonly rounds?: number | undefined;
  /** Seconds; see {@link measure}. */
  readonly warmUp: number;
  /** Whether the run is to be quick rather than exact. */
  readonly quick: boolean;
  /** How a turn of a variant is timed where a sample may be several calls. */
  readonly sample: Sampler;
  /** How a turn is timed where a sample must be one call. */
  readonly sampleOnce: Sampler;
  /** Whether only variants are timed that a ratio with a floor needs. */
  readonly flooredOnly?: boolean;
}

const ROUNDS = 9;

/** Measures one row. */
export async function measureRow(row: Row, options: RowOptions): Promise<RowResult> {
  const rounds = options.rounds ?? row.rounds ?? ROUNDS;
  if ("measure" in row) {
    const values = await row.measure({ ...options, rounds });
    return finish(row, row.unit, row.better, values);
  }
  const { bytes } = row;
  const prepared = await row.prepare();
  try {
    const sample = row.once === true ? options.sampleOnce : options.sample;
    const variants = options.flooredOnly === true ? floored(row, prepared.variants) : prepared.variants;
    const times = await measure(variants, { rounds, warmUp: options.warmUp, sample });
    const rates = Object.entries(times).map(([name, all]) => [name, all.map((seconds) => bytes / seconds / 1e9)]);
    return finish(row, "GB/s", "higher", Object.fromEntries(rates) as Record<string, number[]>);
  } finally {
    await prepared.cleanUp?.();
  }
}

function floored(row: Row, variants: Prepared["variants"]): Prepared["variants"] {
  const ratios = (row.ratios ?? []).filter(
    ({ of, to, floor }) => floor !== undefined && of in variants && to in variants,
  );
  const names = new Set(ratios.flatMap(({ of, to }) => [of, to]));
  return Object.fromEntries(Object.entries(variants).filter(([name]) => names.has(name)));
}

function finish(row: Row, unit: string, better: Better, measured: MeasuredValues): RowResult {
  const { id, title } = row;
  const samples = new Map(
    Object.entries(measured).map(([name, values]) => [name, typeof values === "number" ? [values] : values]),
  );
  for (const [name, values] of samples) {
    if (values.length === 0 || values.some((value) => Number.isNaN(value)))
      throw new Error(`Measure ${id}: ${name} has no value`);
  }
  const limits = "limits" in row ? row.limits : undefined;
  const values = Object.fromEntries([...samples].map(([name, rounds]) => [name, figure(rounds, limits?.[name])]));
  const ratios: Ratio[] = [];
  for (const { of, to, ...wanted } of row.ratios ?? []) {
    const [ours, theirs] = [samples.get(of), samples.get(to)];
    if (ours === undefined || theirs === undefined) continue;
    if (ours.length !== theirs.length)
      throw new Error(`Measure ${id}: ${ours.length} rounds of ${of}, ${theirs.length} of ${to}`);
    const rounds = ours.map((value, i) => (better === "higher" ? value / theirs[i] : theirs[i] / value));
    ratios.push({ of, to, ...figure(rounds, wanted) });
  }
  return { id, title, unit, better, values, ratios };
}

function figure(rounds: readonly number[], limits: Limits = {}): Figure {
  return { ...summarise(rounds), ...limits, runs: [median(rounds)], rounds };
}
