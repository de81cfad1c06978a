import { figuresOf, historyOf, type History, type Track } from "./history.js";
import { reaches, type Better, type BenchmarkResults, type Figure, type Machine } from "./result.js";

/** Engines differ if a figure does by this much, and by more than both spread. */
const DIFFERENCE = 0.15;

export interface MarkdownOptions {
  /** Whether figures without a floor are left out. */
  readonly wantedOnly?: boolean;
}

/**
 * The newest results of each engine as Markdown: what they are of, how many figures are as good as they must be, a
 * table of the figures, and a table of what differs between engines.
 */
export function reportMarkdown(
  results: BenchmarkResults | readonly BenchmarkResults[],
  { wantedOnly = false }: MarkdownOptions = {},
): string {
  const history = historyOf("rows" in results ? [results] : results);
  const { newest, runtimes } = history;
  const parts = [newest.map((each, i) => describeResults(each, runtimes[i])).join("\n")];
  const figures = figureTable(history, wantedOnly);
  if (figures !== "") parts.push(figures);
  if (newest.length > 1) parts.push(...engineTable(history));
  return parts.join("\n\n");
}

/** How many figures reach what they must, and what they should. */
export function standing(results: BenchmarkResults): {
  readonly judged: number;
  readonly floor: number;
  readonly goal: number;
} {
  const judged = figuresOf(results).filter(({ floor }) => floor !== undefined);
  const reaching = (limit: "floor" | "goal"): number =>
    judged.filter(({ figure, better }) => reaches(figure.median, figure[limit] ?? figure.floor ?? 0, better)).length;
  return { judged: judged.length, floor: reaching("floor"), goal: reaching("goal") };
}

/** A figure in three digits. */
export function digits(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return size >= 0.1 || size === 0 ? value.toFixed(2) : value.toPrecision(2);
}

/** Median and half the distance between the quartiles, to the same place. */
export function withSpread({ median, low, high }: Figure): string {
  const text = digits(median);
  const places = text.split(".")[1]?.length ?? 0;
  return `${text} ± ${((high - low) / 2).toFixed(places)}`;
}

function describeResults(results: BenchmarkResults, runtime: string): string {
  const { machine, commit, dirty, date } = results;
  const { judged, floor, goal } = standing(results);
  const code = commit === null ? "" : `, commit ${commit.slice(0, 7)}${dirty ? " and changes" : ""}`;
  const counts = judged === 0 ? "" : `: of ${judged} figures ${floor} reach their floor, ${goal} their goal`;
  return `- ${runtime}${counts} (${describeMachine(machine)}${code}, ${date.slice(0, 10)})`;
}

/** "A processor, 2 cores", as far as known. */
export function describeMachine({ cpu, cores }: Machine): string {
  return cores > 0 ? `${cpu}, ${cores} cores` : cpu;
}

function figureTable({ newest, runtimes }: History, wantedOnly: boolean): string {
  const byRuntime = newest.map((results) => new Map(figuresOf(results).map((figure) => [key(figure), figure])));
  const heads = new Map<string, Omit<Track, "points">>();
  for (const figures of byRuntime)
    for (const [name, figure] of figures)
      if (!heads.has(name) && (!wantedOnly || figure.floor !== undefined)) heads.set(name, figure);
  const shown = runtimes.map((_, i) => i).filter((i) => [...heads.keys()].some((name) => byRuntime[i].has(name)));
  const rows = [...heads].map(([name, { row, title, name: what, unit, better, floor, goal }]) => [
    `\`${row}\``,
    title,
    unit === "" ? what : `${what}, ${unit}`,
    ...[floor, goal].map((limit) => (limit === undefined ? "" : (better === "lower" ? "≤ " : "") + String(limit))),
    ...shown.map((i) => cell(byRuntime[i].get(name), better) + (wantedOnly ? "" : rate(newest[i], row, what))),
  ]);
  if (rows.length === 0) return "";
  const columns = ["row", "what", "of / to", "floor", "goal", ...shown.map((i) => runtimes[i])];
  const legend = "Median ± half the distance between the quartiles; **bold** is worse than the floor.";
  return `${legend}\n\n${table(columns, rows, 3)}`;
}

/** What a ratio is of, by itself: " (1.2 GB/s)". */
function rate({ rows }: BenchmarkResults, id: string, what: string): string {
  const row = rows.find((each) => each.id === id);
  const value = row?.ratios.find(({ of, to }) => `${of} / ${to}` === what);
  if (row === undefined || value === undefined || !(value.of in row.values)) return "";
  return ` (${digits(row.values[value.of].median)} ${row.unit})`;
}

function cell(found: { readonly figure: Figure } | undefined, better: Better): string {
  if (found === undefined) return "";
  const { figure } = found;
  const { median, floor } = figure;
  const text = withSpread(figure);
  return floor === undefined || reaches(median, floor, better) ? text : `**${text}**`;
}

/** Rates of one variant in several engines; they ran one after the other, which is why small differences are not told. */
function engineTable({ newest, runtimes }: History): string[] {
  const rates = newest.map(ratesOf);
  const common = [...rates[0].keys()].filter((name) => rates.some((others, i) => i > 0 && others.has(name)));
  const rows = common.flatMap((name) => {
    const figures = rates.map((each) => each.get(name));
    if (!figures.some((figure) => figure !== undefined && differs(figures[0], figure))) return [];
    const [row, variant] = name.split("\n");
    return [
      [
        `\`${row}\``,
        variant,
        ...figures.map((figure) => {
          if (figure === undefined) return "";
          return differs(figures[0], figure) ? `**${digits(figure.median)}**` : digits(figure.median);
        }),
      ],
    ];
  });
  const percent = `${DIFFERENCE * 100} %`;
  const text = `Rates in GB/s where an engine differs from ${runtimes[0]} by more than ${percent} and by more than both spread: ${rows.length} of ${common.length}.`;
  return rows.length === 0 ? [text] : [text, table(["row", "variant", ...runtimes], rows, 2)];
}

function ratesOf({ rows }: BenchmarkResults): Map<string, Figure> {
  const rates = new Map<string, Figure>();
  for (const { id, unit, values } of rows) {
    if (unit !== "GB/s") continue;
    for (const [name, figure] of Object.entries(values)) if (name !== "native") rates.set(`${id}\n${name}`, figure);
  }
  return rates;
}

function differs(a: Figure | undefined, b: Figure): boolean {
  if (a === undefined) return false;
  const apart = a.low > b.high || b.low > a.high;
  return apart && Math.abs(Math.log(b.median / a.median)) > Math.log(1 + DIFFERENCE);
}

function key({ row, name }: Omit<Track, "points">): string {
  return `${row}\n${name}`;
}

/** A Markdown table whose columns line up; those from `numbers` on are aligned to the right. */
function table(columns: readonly string[], rows: readonly (readonly string[])[], numbers: number): string {
  const escaped = rows.map((row) => row.map((text) => text.replaceAll("|", "\\|")));
  const widths = columns.map((name, i) => Math.max(3, name.length, ...escaped.map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text, i) => (i < numbers ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join(" | ")} |`;
  const rule = widths.map((width, i) => (i < numbers ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(columns), line(rule), ...escaped.map(line)].join("\n");
}
