import type { BenchmarkResults, Figure, RowResult } from "./result.js";
import { median, summarise } from "./statistics.js";

/**
 * Joins results of the same code into one, the runs of a row side by side; rows that only some have are taken as they
 * are. Title, floors and goals are those of the last one, everything about the run those of the first.
 * @throws {RangeError} if there are none.
 */
export function mergeResults(all: readonly BenchmarkResults[]): BenchmarkResults {
  if (all.length === 0) throw new RangeError("Merge results: none given");
  const rows = new Map<string, RowResult[]>();
  for (const results of all) {
    for (const row of results.rows) {
      const same = rows.get(row.id);
      if (same === undefined) rows.set(row.id, [row]);
      else same.push(row);
    }
  }
  return {
    ...all[0],
    dirty: all.some(({ dirty }) => dirty),
    quick: all.some(({ quick }) => quick),
    rows: [...rows.values()].map(mergeRows),
  };
}

function mergeRows(rows: readonly RowResult[]): RowResult {
  const last = rows[rows.length - 1];
  if (rows.length === 1) return last;
  const values = new Map<string, Figure[]>();
  for (const row of rows) {
    for (const [name, figure] of Object.entries(row.values)) values.set(name, [...(values.get(name) ?? []), figure]);
  }
  const ratios = last.ratios.map((wanted) => {
    const same = rows.flatMap((row) => row.ratios.filter(({ of, to }) => of === wanted.of && to === wanted.to));
    return { of: wanted.of, to: wanted.to, ...mergeFigures(same) };
  });
  return {
    ...last,
    values: Object.fromEntries([...values].map(([name, figures]) => [name, mergeFigures(figures)])),
    ratios,
  };
}

function mergeFigures(figures: readonly Figure[]): Figure {
  const { floor, goal } = figures[figures.length - 1];
  const runs = figures.flatMap((figure) => figure.runs);
  const rounds = figures.flatMap((figure) => figure.rounds ?? []);
  const complete = figures.every((figure) => figure.rounds !== undefined);
  const summary = complete
    ? summarise(rounds)
    : {
        median: median(runs),
        low: Math.min(...figures.map(({ low }) => low)),
        high: Math.max(...figures.map(({ high }) => high)),
      };
  return {
    ...summary,
    ...(floor !== undefined && { floor }),
    ...(goal !== undefined && { goal }),
    runs,
    ...(complete && { rounds }),
  };
}
