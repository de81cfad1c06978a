/**
 * What a benchmark run leaves behind, as JSON. bench/README.md describes it for readers in other languages; a change of
 * meaning gets a new number in {@link SCHEMA}.
 */
import type { Summary } from "./statistics.js";

/** Names the form of {@link BenchmarkResults}. */
export const SCHEMA = "savevm-bench/1";

/** The computer of a run. Rates may only be compared on one computer, ratios with care on two. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB?: number;
}

/** The JavaScript engine of a run: `{ name: "node", version: "20.20.2" }`. */
export interface Runtime {
  readonly name: string;
  readonly version: string;
}

/** One figure of a row: median and quartiles of its rounds. */
export interface Figure extends Summary {
  /** The median of each run. A run is a process of its own, so that these say how far processes differ. */
  readonly runs: readonly number[];
  /** Every round of every run; the history leaves them out. */
  readonly rounds?: readonly number[];
  /** What the figure must reach, and what is aimed at: at least that much, or at most where lower is better. */
  readonly floor?: number;
  readonly goal?: number;
}

/** One variant measured against another in the same rounds; above 1 is better for `of`, whatever the unit. */
export interface Ratio extends Figure {
  readonly of: string;
  readonly to: string;
}

export type Better = "higher" | "lower";

/** One thing measured, by one or more variants. */
export interface RowResult {
  /** `group/path[/mix]`: "xbzrle/encode/1%". */
  readonly id: string;
  readonly title: string;
  /** Of the values: "GB/s", "MiB", "ms". */
  readonly unit: string;
  /** Which values are better. */
  readonly better: Better;
  readonly values: Readonly<Record<string, Figure>>;
  readonly ratios: readonly Ratio[];
}

/** The results of one or more runs of the same code by the same engine on the same machine. */
export interface BenchmarkResults {
  readonly schema: typeof SCHEMA;
  /** What was measured: "savevm", or the name of an emulator. */
  readonly name: string;
  /** ISO 8601, when the first run began. */
  readonly date: string;
  /** The commit that was measured, in full, if known. */
  readonly commit: string | null;
  /** Whether what was measured differs from the commit. */
  readonly dirty: boolean;
  /** Whether rounds were fewer and shorter than they should be. */
  readonly quick: boolean;
  readonly runtime: Runtime;
  readonly machine: Machine;
  readonly rows: readonly RowResult[];
}

/** "Node 20", "Chromium 141": how a runtime is called where minor versions do not matter. */
export function runtimeLabel({ name, version }: Runtime): string {
  return `${name.charAt(0).toUpperCase()}${name.slice(1)} ${version.split(".", 1)[0]}`;
}

/** Whether a figure is at least as good as a wanted one. */
export function reaches(value: number, wanted: number, better: Better = "higher"): boolean {
  return better === "higher" ? value >= wanted : value <= wanted;
}

/**
 * Reads results from JSON and checks their form.
 * @throws {TypeError} that names the first member which is not what the schema says.
 */
export function parseResults(text: string): BenchmarkResults {
  const results: unknown = JSON.parse(text);
  const found = member(results, "schema");
  if (found !== SCHEMA) throw new TypeError(`Read results: schema is ${String(found)}, expected ${SCHEMA}`);
  for (const name of ["name", "date"]) expectType(results, name, "string", "results");
  for (const name of ["dirty", "quick"]) expectType(results, name, "boolean", "results");
  const commit = member(results, "commit");
  if (commit !== null) expectType(results, "commit", "string", "results");
  const runtime = member(results, "runtime");
  for (const name of ["name", "version"]) expectType(runtime, name, "string", "runtime");
  const machine = member(results, "machine");
  for (const name of ["platform", "arch", "cpu"]) expectType(machine, name, "string", "machine");
  expectType(machine, "cores", "number", "machine");
  for (const row of expectArray(results, "rows", "results")) checkRow(row);
  return results as BenchmarkResults;
}

/** Writes results as JSON that git and people can read: one line a row. */
export function formatResults({ rows, ...head }: BenchmarkResults): string {
  const lines = rows.map((row) => `    ${JSON.stringify(row, significant)}`);
  const top = JSON.stringify(head, null, 2).replace(/\n\}$/, "");
  return `${top},\n  "rows": [${lines.length > 0 ? `\n${lines.join(",\n")}\n  ` : ""}]\n}\n`;
}

/** The results without the single rounds, as a history keeps them. */
export function compactResults(results: BenchmarkResults): BenchmarkResults {
  const strip = <T extends Figure>({ rounds: _, ...figure }: T): Omit<T, "rounds"> => figure;
  const rows = results.rows.map((row) => ({
    ...row,
    values: Object.fromEntries(Object.entries(row.values).map(([name, figure]) => [name, strip(figure)])),
    ratios: row.ratios.map((ratio) => strip(ratio)),
  }));
  return { ...results, rows };
}

/** Five digits are more than any measurement has. */
function significant(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
}

function checkRow(row: unknown): void {
  expectType(row, "id", "string", "row");
  const id = String(member(row, "id"));
  for (const name of ["title", "unit"]) expectType(row, name, "string", id);
  const better = member(row, "better");
  if (better !== "higher" && better !== "lower") {
    throw new TypeError(`Read results: better of ${id} is ${String(better)}, expected higher or lower`);
  }
  expectType(row, "values", "object", id);
  for (const [name, figure] of Object.entries(member(row, "values") ?? {})) checkFigure(figure, `${id} ${name}`);
  for (const ratio of expectArray(row, "ratios", id)) {
    for (const name of ["of", "to"]) expectType(ratio, name, "string", `a ratio of ${id}`);
    checkFigure(ratio, `${id} ${String(member(ratio, "of"))} / ${String(member(ratio, "to"))}`);
  }
}

function checkFigure(figure: unknown, where: string): void {
  for (const name of ["median", "low", "high"]) expectType(figure, name, "number", where);
  for (const name of ["floor", "goal"]) {
    if (member(figure, name) !== undefined) expectType(figure, name, "number", where);
  }
  for (const name of ["runs", "rounds"]) {
    if (name === "rounds" && member(figure, name) === undefined) continue;
    const values = expectArray(figure, name, where);
    if (values.length === 0 || values.some((value) => typeof value !== "number")) {
      throw new TypeError(`Read results: ${name} of ${where} must be numbers, at least one`);
    }
  }
}

function member(of: unknown, name: string): unknown {
  return typeof of === "object" && of !== null ? (of as Readonly<Record<string, unknown>>)[name] : undefined;
}

function expectType(of: unknown, name: string, type: string, where: string): void {
  const value = member(of, name);
  if (typeof value === type && value !== null) return;
  throw new TypeError(`Read results: ${name} of ${where} is ${describe(value)}, expected ${type}`);
}

function expectArray(of: unknown, name: string, where: string): readonly unknown[] {
  const value = member(of, name);
  if (!Array.isArray(value)) {
    throw new TypeError(`Read results: ${name} of ${where} is ${describe(value)}, expected an array`);
  }
  return value as readonly unknown[];
}

function describe(value: unknown): string {
  return value === null ? "null" : typeof value;
}
