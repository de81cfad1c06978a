import { mergeResults } from "./merge.js";
import { runtimeLabel, type Better, type BenchmarkResults, type Figure } from "./result.js";

/** What results are of: a commit, or, for code that was in none, a time. */
export interface Version {
  readonly label: string;
  readonly date: string;
}

/** A figure at one version, by one engine. */
export interface Point {
  /** Index in {@link History.versions}. */
  readonly version: number;
  /** Index in {@link History.runtimes}. */
  readonly runtime: number;
  readonly figure: Figure;
}

/** One figure over all versions and engines. */
export interface Track {
  readonly row: string;
  readonly title: string;
  /** "wasm / native", or the name of a value. */
  readonly name: string;
  /** Of a value; a ratio has none. */
  readonly unit: string;
  readonly better: Better;
  /** As the newest results have them. */
  readonly floor?: number;
  readonly goal?: number;
  readonly points: readonly Point[];
}

/** Results over time, by figure. */
export interface History {
  /** Oldest first. */
  readonly versions: readonly Version[];
  /** "Node 20", "Node 24", "Chromium 141". */
  readonly runtimes: readonly string[];
  readonly tracks: readonly Track[];
  /** The newest results of each engine, in the order of `runtimes`. */
  readonly newest: readonly BenchmarkResults[];
}

/** Sorts results, in whatever order they come, by figure, version and engine. Those of one version and engine are merged. */
export function historyOf(all: readonly BenchmarkResults[]): History {
  const byDate = [...all].sort((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));
  const labels = [...new Set(byDate.map(versionLabel))];
  const runtimes = [...new Set(byDate.map(({ runtime }) => runtimeLabel(runtime)))].sort(compareRuntimes);
  const merged = runtimes.map((runtime) =>
    labels.map((label) => {
      const same = byDate.filter(
        (results) => versionLabel(results) === label && runtimeLabel(results.runtime) === runtime,
      );
      return same.length > 0 ? mergeResults(same) : undefined;
    }),
  );
  const newest = merged.map((versions) => versions.filter((results) => results !== undefined).at(-1));
  return {
    versions: labels.map((label) => ({
      label,
      date: byDate.find((results) => versionLabel(results) === label)?.date ?? "",
    })),
    runtimes,
    tracks: tracksOf(merged),
    newest: newest.filter((results) => results !== undefined),
  };
}

/** The figures of results, those that count: every ratio, and values that have no ratio or have limits of their own. */
export function figuresOf({ rows }: BenchmarkResults): (Omit<Track, "points"> & { readonly figure: Figure })[] {
  return rows.flatMap(({ id, title, unit, better, values, ratios }) => {
    const row = { row: id, title };
    return [
      ...ratios.map((ratio) => ({
        ...row,
        name: `${ratio.of} / ${ratio.to}`,
        unit: "",
        better: "higher" as const,
        ...limitsOf(ratio),
        figure: ratio,
      })),
      ...Object.entries(values)
        .filter(([, figure]) => ratios.length === 0 || figure.floor !== undefined)
        .map(([name, figure]) => ({ ...row, name, unit, better, ...limitsOf(figure), figure })),
    ];
  });
}

function limitsOf({ floor, goal }: Figure): { floor?: number; goal?: number } {
  return { ...(floor !== undefined && { floor }), ...(goal !== undefined && { goal }) };
}

function tracksOf(merged: readonly (readonly (BenchmarkResults | undefined)[])[]): Track[] {
  const tracks = new Map<string, Track & { readonly points: Point[] }>();
  // Newest versions first: theirs are title, limits and order.
  const versions = merged[0]?.length ?? 0;
  for (let version = versions - 1; version >= 0; version--) {
    for (const [runtime, results] of merged.entries()) {
      const at = results[version];
      if (at === undefined) continue;
      for (const { figure, ...head } of figuresOf(at)) {
        const key = `${head.row}\n${head.name}`;
        const track = tracks.get(key) ?? { ...head, points: [] };
        track.points.push({ version, runtime, figure });
        tracks.set(key, track);
      }
    }
  }
  return [...tracks.values()].map((track) => ({ ...track, points: track.points.reverse() }));
}

function versionLabel({ commit, dirty, date }: BenchmarkResults): string {
  if (commit === null) return date.slice(0, 16).replace("T", " ");
  return commit.slice(0, 7) + (dirty ? "+" : "");
}

/** Node before the others, then by name, then by number. */
function compareRuntimes(a: string, b: string): number {
  const rank = (label: string): number => (label.startsWith("Node ") ? 0 : 1);
  return rank(a) - rank(b) || a.localeCompare(b, "en", { numeric: true });
}
