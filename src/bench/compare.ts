/**
 * Tells a change of the code from a change of the weather.
 *
 * Figures of two results are compared as ratios to a reference that ran in the same rounds, because times of one code
 * differ between runs by more than a regression. What is left, differences from process to process, is estimated from
 * repeated runs: from those of the figure itself, and, since a handful of runs says little, from those of all figures
 * together. A figure has moved if its change is several times what that noise would make it, and nearly every run of
 * one side lies on the same side of nearly every run of the other. It is a regression if it moved for the worse by more
 * than the threshold, or from where its floor was reached to where it is not.
 */
import { mergeResults } from "./merge.js";
import {
  reaches,
  runtimeLabel,
  type Better,
  type BenchmarkResults,
  type Figure,
  type Ratio,
  type RowResult,
} from "./result.js";
import { median } from "./statistics.js";

/** A change that {@link compareResults} looked at. */
export interface Movement {
  /** Id of the row. */
  readonly row: string;
  readonly title: string;
  /** The ratio or the value: "wasm / native", "peak". */
  readonly figure: string;
  /** Medians of the runs. */
  readonly before: number;
  readonly after: number;
  /** What is gained, as a fraction: 0.1 is better by a tenth, negative is worse, in whatever unit. */
  readonly change: number;
  /** What noise alone would change, as a fraction: one standard error. */
  readonly noise: number;
  readonly verdict: "same" | "better" | "worse" | "regression";
}

export interface Comparison {
  readonly movements: readonly Movement[];
  readonly regressions: readonly Movement[];
  /**
   * What only one side has: ids of rows, and figures of rows that both have, as "id: figure". What is gone may be a row
   * that failed.
   */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** What a reader should know before believing: other machine, other engine, too few runs. */
  readonly notes: readonly string[];
}

export interface CompareOptions {
  /** What may be lost, as a fraction, before it counts as a regression; 0.15 unless given. */
  readonly threshold?: number;
}

const DEFAULT_THRESHOLD = 0.15;
/** How many standard errors are more than chance: some hundred figures are looked at, and none shall cry wolf. */
const BEYOND_NOISE = 5;
/** The share of pairs (a run before, a run after) that must agree on which is better: of five runs one may go wrong. */
const AGREEMENT = 0.8;
/** How far processes differ where nothing tells: the standard deviation of the logarithm. */
const USUAL_NOISE = 0.05;
/** Below this many differences between runs, what all figures say together is no better than USUAL_NOISE. */
const ENOUGH_RUNS = 20;
/** For how many runs the noise of all figures counts, beside a figure's own. */
const PRIOR_RUNS = 4;
/** From so many runs on the farthest may be spared; what is left is this much narrower than it was. */
const RUNS_TO_SPARE = 5;
const SPARED = 1.15;
/** With fewer runs a side the noise is a guess. */
const RUNS_WANTED = 3;

/** A figure on both sides. */
interface Pair {
  readonly row: RowResult;
  readonly name: string;
  readonly better: Better;
  readonly before: Figure;
  readonly after: Figure;
}

/**
 * Compares two results, or two sets of results of repeated runs.
 * @throws {RangeError} if a side is empty, or the threshold is not between 0 and 1.
 */
export function compareResults(
  before: BenchmarkResults | readonly BenchmarkResults[],
  after: BenchmarkResults | readonly BenchmarkResults[],
  { threshold = DEFAULT_THRESHOLD }: CompareOptions = {},
): Comparison {
  if (!(threshold > 0 && threshold < 1)) throw new RangeError(`Compare results: threshold ${threshold} not in 0..1`);
  const sides = [before, after].map((side) => mergeResults("rows" in side ? [side] : side));
  const [old, now] = sides;
  const rows = sides.map((side) => new Map(side.rows.map((row) => [row.id, row])));
  const pairs = now.rows.flatMap((row) => pairsOf(rows[0].get(row.id), row));
  const usual = usualNoise(pairs);
  const movements = pairs.map((pair) => judge(pair, usual, threshold));
  return {
    movements,
    regressions: movements.filter(({ verdict }) => verdict === "regression"),
    onlyBefore: old.rows.flatMap((row) => missingFrom(rows[1].get(row.id), row)),
    onlyAfter: now.rows.flatMap((row) => missingFrom(rows[0].get(row.id), row)),
    notes: notesOn(old, now, pairs),
  };
}

/** The comparison as text: what moved, then what it adds up to. */
export function formatComparison(comparison: Comparison): string {
  const { movements, regressions, onlyBefore, onlyAfter, notes } = comparison;
  const moved = movements.filter(({ verdict }) => verdict !== "same");
  const lines = notes.map((note) => `Note: ${note}`);
  for (const { row, figure, before, after, change, noise, verdict } of moved) {
    const figures = `${digits(before)} -> ${digits(after)}`;
    lines.push(
      `${verdict.padEnd(10)}  ${row}  ${figure}: ${figures}, ${percent(change)} (noise ${percent(noise, "±")})`,
    );
  }
  if (onlyBefore.length > 0) lines.push(`Gone: ${onlyBefore.join(", ")}`);
  if (onlyAfter.length > 0) lines.push(`New: ${onlyAfter.join(", ")}`);
  const still = movements.length - moved.length;
  const gone = onlyBefore.length > 0 ? `, ${onlyBefore.length} gone` : "";
  lines.push(`${movements.length} compared, ${still} within noise, ${regressions.length} regressions${gone}`);
  return lines.join("\n");
}

function pairsOf(before: RowResult | undefined, after: RowResult): Pair[] {
  if (before === undefined) return [];
  return comparable(after).flatMap((name) => {
    const [old, now] = [figureOf(before, name, after.unit), figureOf(after, name, after.unit)];
    if (old === undefined || now === undefined) return [];
    const better = after.ratios.length > 0 ? "higher" : after.better;
    return [{ row: after, name, better, before: old, after: now }];
  });
}

/** The row or those of its figures that another lacks. */
function missingFrom(other: RowResult | undefined, row: RowResult): string[] {
  if (other === undefined) return [row.id];
  const missing = comparable(row).filter((name) => figureOf(other, name, row.unit) === undefined);
  return missing.map((name) => `${row.id}: ${name}`);
}

/** Names of what of a row is compared: its ratios, or the values of a row that has none. */
function comparable({ ratios, values, unit }: RowResult): string[] {
  if (ratios.length === 0) return isTime(unit) ? [] : Object.keys(values);
  // The fallback is measured in rows of its own; as a reference it only stands in for a better one.
  const better = ratios.filter(
    ({ of, to }) => to !== "js" || ratios.every((other) => other.of !== of || other.to === to),
  );
  return better.map(nameOf);
}

/** A ratio or a value by its name; a value in another unit is another figure. */
function figureOf(row: RowResult, name: string, unit: string): Figure | undefined {
  const ratio = row.ratios.find((each) => nameOf(each) === name);
  return ratio ?? (row.unit === unit && Object.hasOwn(row.values, name) ? row.values[name] : undefined);
}

function nameOf({ of, to }: Ratio): string {
  return `${of} / ${to}`;
}

/** Times, and rates of any kind, say something about the machine; without a reference they cannot be compared. */
function isTime(unit: string): boolean {
  return /^[nµum]?s$|\/s$/.test(unit);
}

function judge(pair: Pair, usual: number, threshold: number): Movement {
  const { row, name, better, before, after } = pair;
  const values = { before: median(before.runs), after: median(after.runs) };
  const gains = before.runs.flatMap((old) => after.runs.map((now) => gainOf(old, now, better)));
  // The median of all differences: where a figure has two states, as memory that got large pages or did not, medians of
  // the sides would jump from one state to the other.
  const gain = median(gains);
  const agreement = gains.filter((each) => Math.sign(each) === Math.sign(gain)).length / gains.length;
  const noise = standardError(pair, usual);
  const moved = Math.abs(gain) > BEYOND_NOISE * noise && agreement >= AGREEMENT;
  // A value that still reaches its goal may be lost some of: nobody wants more of it.
  const fine = after.goal !== undefined && row.ratios.length === 0 && reaches(values.after, after.goal, better);
  const { floor } = after;
  const fell = floor !== undefined && reaches(values.before, floor, better) && !reaches(values.after, floor, better);
  let verdict: Movement["verdict"] = "same";
  if (moved && gain > 0) verdict = "better";
  else if (moved) verdict = fell || (gain < Math.log(1 - threshold) && !fine) ? "regression" : "worse";
  return {
    row: row.id,
    title: row.title,
    figure: name,
    ...values,
    change: Math.expm1(gain),
    noise: Math.expm1(noise),
    verdict,
  };
}

/** How much better, as a logarithm: positive is better. */
function gainOf(before: number, after: number, better: Better): number {
  if (before === after) return 0;
  const gain = Math.log(Math.max(after, 0) / Math.max(before, 0));
  return better === "higher" ? gain : -gain;
}

function standardError({ before, after }: Pair, usual: number): number {
  const [m, n] = [before.runs.length, after.runs.length];
  const own = deviation(before, after);
  const freedom = Math.max(m + n - 2, 0);
  const variance = (freedom * own ** 2 + PRIOR_RUNS * usual ** 2) / (freedom + PRIOR_RUNS);
  return Math.sqrt(variance * (1 / m + 1 / n));
}

/**
 * How far runs of one side lie from their median, as a standard deviation of logarithms; 0 for single runs. Of five runs
 * or more the farthest counts as the one before it: a run that went wrong must not hide everything else.
 */
function deviation(...figures: readonly Figure[]): number {
  let sum = 0;
  let count = 0;
  let freedom = 0;
  for (const { runs } of figures) {
    const middle = median(runs);
    const distances = runs.map((value) => (value > 0 && middle > 0 ? Math.abs(Math.log(value / middle)) : 0));
    distances.sort((x, y) => x - y);
    if (runs.length >= RUNS_TO_SPARE) distances[distances.length - 1] = distances[distances.length - 2];
    for (const distance of distances) sum += distance;
    count += runs.length;
    freedom += runs.length - 1;
  }
  return freedom === 0 ? 0 : SPARED * (sum / count) * Math.sqrt(Math.PI / 2) * Math.sqrt(count / freedom);
}

function usualNoise(pairs: readonly Pair[]): number {
  const repeated = pairs.filter(({ before, after }) => before.runs.length + after.runs.length > 2);
  const freedom = repeated.reduce((sum, { before, after }) => sum + before.runs.length + after.runs.length - 2, 0);
  return freedom < ENOUGH_RUNS ? USUAL_NOISE : median(repeated.map(({ before, after }) => deviation(before, after)));
}

function notesOn(before: BenchmarkResults, after: BenchmarkResults, pairs: readonly Pair[]): string[] {
  const notes: string[] = [];
  const engines = [before, after].map(({ runtime }) => runtimeLabel(runtime));
  if (engines[0] !== engines[1]) notes.push(`${engines[0]} before, ${engines[1]} after`);
  if (before.machine.cpu !== after.machine.cpu)
    notes.push(`another processor: ${before.machine.cpu} before, ${after.machine.cpu} after`);
  if (before.quick !== after.quick) notes.push("one side is a quick run");
  const runs = Math.min(...pairs.flatMap((pair) => [pair.before.runs.length, pair.after.runs.length]));
  if (runs < RUNS_WANTED)
    notes.push(
      `some rows ran fewer than ${RUNS_WANTED} times on a side: their noise is a guess; measure with --runs 5`,
    );
  if (pairs.length === 0) notes.push("no figure is on both sides: nothing was compared");
  return notes;
}

function percent(fraction: number, sign = fraction >= 0 ? "+" : "-"): string {
  return `${sign}${Math.abs(fraction * 100).toFixed(1)} %`;
}

function digits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
