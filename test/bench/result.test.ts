import { describe, expect, it } from "vitest";
import {
  compactResults,
  formatResults,
  mergeResults,
  parseResults,
  reaches,
  runtimeLabel,
  type BenchmarkResults,
} from "../../src/bench/index.js";
import { figureOf, ratioRow, resultsOf, valueRow } from "./kit.js";

const results = resultsOf([ratioRow("zero/hot", [1, 1.5, 2], { floor: 0.9, goal: 1 }), valueRow("memory", [3])]);

/** The results with one member set to something else, as JSON. */
function broken(path: string, value: unknown): string {
  const copy = JSON.parse(JSON.stringify(results)) as Record<string, unknown>;
  const names = path.split(".");
  const last = names.pop()!;
  const holder = names.reduce((of, name) => of[name] as Record<string, unknown>, copy);
  holder[last] = value;
  return JSON.stringify(copy);
}

describe("parseResults", () => {
  it("reads what formatResults wrote, which has a line for each row", () => {
    const text = formatResults(results);
    expect(parseResults(text)).toEqual(results);
    expect(text.split("\n").filter((line) => line.startsWith('    {"id":'))).toHaveLength(2);
    expect(parseResults(formatResults(resultsOf([])))).toEqual(resultsOf([]));
  });

  it("numbers are written with five digits", () => {
    const [row] = parseResults(formatResults(resultsOf([ratioRow("a", [1 / 3])]))).rows;
    expect(row.ratios[0].median).toBe(0.33333);
  });

  it.each([
    ["schema", "savevm-bench/2", "schema is savevm-bench/2, expected savevm-bench/1"],
    ["name", 1, "name of results is number, expected string"],
    ["dirty", "no", "dirty of results is string, expected boolean"],
    ["commit", 7, "commit of results is number, expected string"],
    ["runtime", null, "name of runtime is undefined, expected string"],
    ["machine.cores", "2", "cores of machine is string, expected number"],
    ["rows", {}, "rows of results is object, expected an array"],
    ["rows.0.id", undefined, "id of row is undefined, expected string"],
    ["rows.0.better", "more", "better of zero/hot is more, expected higher or lower"],
    ["rows.0.values", null, "values of zero/hot is null, expected object"],
    ["rows.0.values.wasm.low", "1", "low of zero/hot wasm is string, expected number"],
    ["rows.0.ratios.0.to", 1, "to of a ratio of zero/hot is number, expected string"],
    ["rows.0.ratios.0.runs", [], "runs of zero/hot wasm / native must be numbers, at least one"],
    ["rows.0.ratios.0.rounds", ["1"], "rounds of zero/hot wasm / native must be numbers, at least one"],
    ["rows.0.ratios.0.floor", "1", "floor of zero/hot wasm / native is string, expected number"],
  ])("%s that is %j is refused by name", (path, value, message) => {
    expect(() => parseResults(broken(path, value))).toThrow(new TypeError(`Read results: ${message}`));
  });
});

describe("mergeResults", () => {
  const withRounds = (rounds: number[]): BenchmarkResults =>
    resultsOf([{ ...valueRow("a", [1]), values: { peak: { ...figureOf(rounds), runs: [rounds[1]], rounds } } }]);

  it("puts the runs of a row side by side, and summarises all rounds", () => {
    const merged = mergeResults([withRounds([1, 2, 3]), withRounds([3, 4, 5])]);
    expect(merged.rows[0].values["peak"]).toEqual({
      ...figureOf([1, 2, 3, 3, 4, 5]),
      runs: [2, 4],
      rounds: [1, 2, 3, 3, 4, 5],
    });
  });

  it("without rounds the spread is the widest, the median that of the runs", () => {
    const merged = mergeResults([resultsOf([ratioRow("a", [1])]), resultsOf([ratioRow("a", [2, 4], { floor: 1 })])]);
    expect(merged.rows[0].ratios[0]).toEqual({
      of: "wasm",
      to: "native",
      median: 2,
      low: 1,
      high: 3.5,
      floor: 1,
      runs: [1, 2, 4],
    });
  });

  it("keeps rows that only some have, in order, and says dirty and quick if any is", () => {
    const merged = mergeResults([
      resultsOf([ratioRow("a", [1]), ratioRow("b", [1])], { quick: true }),
      resultsOf([ratioRow("c", [1])], { dirty: true }),
    ]);
    expect(merged.rows.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect(merged).toMatchObject({ dirty: true, quick: true });
  });
});

describe("compactResults", () => {
  it("drops the rounds and nothing else", () => {
    const figure = { ...figureOf([1, 2]), rounds: [1, 2] };
    const full = resultsOf([
      { ...valueRow("a", [1]), values: { peak: figure }, ratios: [{ of: "x", to: "y", ...figure }] },
    ]);
    const bare = resultsOf([
      {
        ...valueRow("a", [1]),
        values: { peak: figureOf([1, 2]) },
        ratios: [{ of: "x", to: "y", ...figureOf([1, 2]) }],
      },
    ]);
    expect(compactResults(full)).toEqual(bare);
  });
});

describe("runtimeLabel and reaches", () => {
  it("name the engine by its major version, and ask for at least or at most", () => {
    expect(runtimeLabel({ name: "chromium", version: "141.0.7390.54" })).toBe("Chromium 141");
    expect([reaches(1, 1), reaches(0.9, 1), reaches(1, 1, "lower"), reaches(1.1, 1, "lower")]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});
