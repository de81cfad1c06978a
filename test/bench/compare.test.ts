import { describe, expect, it } from "vitest";
import { compareResults, formatComparison, type BenchmarkResults } from "../../src/bench/index.js";
import { figureOf, randomNumbers, ratioRow, resultsOf, valueRow } from "./kit.js";

const steady = [1, 1.01, 0.99, 1, 1.02];
const times = (factor: number): number[] => steady.map((value) => value * factor);

function verdicts(before: BenchmarkResults, after: BenchmarkResults, threshold = 0.15): string[] {
  return compareResults(before, after, { threshold }).movements.map(({ verdict }) => verdict);
}

describe("compareResults", () => {
  it("a ratio that fell by more than the threshold is a regression, one by less is worse, a better one is better", () => {
    const before = resultsOf(["a", "b", "c", "d"].map((id) => ratioRow(id, steady)));
    const after = resultsOf([0.77, 0.88, 1.2, 1.005].map((factor, i) => ratioRow("abcd"[i], times(factor))));
    expect(verdicts(before, after)).toEqual(["regression", "worse", "better", "same"]);
    expect(verdicts(before, after, 0.3)).toEqual(["worse", "worse", "better", "same"]);
    expect(verdicts(before, after, 0.1)).toEqual(["regression", "regression", "better", "same"]);
  });

  it("a change within what runs differ by is the same, however large", () => {
    const noisy = [1, 0.6, 1.3, 0.8, 1.1];
    const before = resultsOf([ratioRow("a", noisy)]);
    const after = resultsOf([
      ratioRow(
        "a",
        [...noisy].reverse().map((value) => value * 0.77),
      ),
    ]);
    expect(verdicts(before, after)).toEqual(["same"]);
  });

  it("one run gone wrong on either side is no regression, and hides none", () => {
    const spoiled = [0.4, ...steady.slice(1)];
    const rows = (...rowsRuns: number[][]): BenchmarkResults =>
      resultsOf(rowsRuns.map((runs, i) => ratioRow(`${i}`, runs)));
    expect(verdicts(rows(steady, steady), rows(spoiled, steady))).toEqual(["same", "same"]);
    const slow = times(0.77);
    expect(verdicts(rows(spoiled), rows(slow))).toEqual(["regression"]);
    expect(verdicts(rows(steady), rows([2, ...slow.slice(1)]))).toEqual(["regression"]);
  });

  it("sides may be several results, and their runs count together", () => {
    const single = (factor: number): BenchmarkResults[] =>
      steady.map((value) => resultsOf([ratioRow("a", [value * factor])]));
    expect(compareResults(single(1), single(0.77)).regressions).toHaveLength(1);
    expect(compareResults(single(1), single(1)).regressions).toEqual([]);
  });

  it("times without a reference are not compared, other values are, in their own direction", () => {
    const before = resultsOf([valueRow("ms", steady, { unit: "ms" }), valueRow("MiB", steady)]);
    const after = resultsOf([valueRow("ms", times(2), { unit: "ms" }), valueRow("MiB", times(2))]);
    const { movements } = compareResults(before, after);
    expect(movements.map(({ row, verdict, change }) => ({ row, verdict, change }))).toEqual([
      { row: "MiB", verdict: "regression", change: expect.closeTo(-0.5) as number },
    ]);
  });

  it("a value that is still as good as its goal is no regression", () => {
    const before = resultsOf([valueRow("MiB", times(0.1), { goal: 1 })]);
    expect(verdicts(before, resultsOf([valueRow("MiB", times(0.5), { goal: 1 })]))).toEqual(["worse"]);
    expect(verdicts(before, resultsOf([valueRow("MiB", times(2), { goal: 1 })]))).toEqual(["regression"]);
  });

  it("a figure that falls below its floor is a regression, however little it lost; one that was below is not", () => {
    const floored = (factor: number): BenchmarkResults => resultsOf([ratioRow("a", times(factor), { floor: 0.95 })]);
    expect(verdicts(floored(1), floored(0.9))).toEqual(["regression"]);
    expect(verdicts(floored(1.1), floored(1))).toEqual(["worse"]);
    expect(verdicts(floored(0.9), floored(0.81))).toEqual(["worse"]);
    expect(verdicts(floored(0.951), floored(0.949))).toEqual(["same"]);
    const value = (factor: number): BenchmarkResults => resultsOf([valueRow("MiB", times(factor), { floor: 1.05 })]);
    expect([verdicts(value(1), value(1.1)), verdicts(value(0.9), value(1))]).toEqual([["regression"], ["worse"]]);
  });

  it("a value of zero before or after is compared, too", () => {
    const zero = resultsOf([valueRow("MiB", [0, 0, 0])]);
    const some = resultsOf([valueRow("MiB", [1, 1, 1])]);
    expect([verdicts(zero, zero), verdicts(zero, some), verdicts(some, zero)]).toEqual([
      ["same"],
      ["regression"],
      ["better"],
    ]);
  });

  it("the twin is a reference only where there is no other", () => {
    const row = (ratios: readonly string[], factor: number): BenchmarkResults =>
      resultsOf([
        {
          ...ratioRow("a", steady),
          ratios: ratios.map((to) => ({ of: "wasm", to, ...figureOf(times(to === "js" ? factor : 1)) })),
        },
      ]);
    expect(verdicts(row(["native", "js"], 1), row(["native", "js"], 0.5))).toEqual(["same"]);
    expect(verdicts(row(["js"], 1), row(["js"], 0.5))).toEqual(["regression"]);
  });

  it("says which rows only one side has, and what makes the comparison doubtful", () => {
    const before = resultsOf([ratioRow("old", [1])]);
    const after = resultsOf([ratioRow("new", [1])], { quick: true, runtime: { name: "node", version: "24.0.0" } });
    const comparison = compareResults(before, after);
    expect(comparison).toMatchObject({ onlyBefore: ["old"], onlyAfter: ["new"] });
    expect(comparison.notes).toEqual([
      "Node 20 before, Node 24 after",
      "one side is a quick run",
      "no figure is on both sides: nothing was compared",
    ]);
    const single = resultsOf([ratioRow("a", [1])]);
    expect(compareResults(single, single).notes).toEqual([expect.stringContaining("fewer than 3 times")]);
  });

  it("says which figures are gone from rows that are still there, and which are new", () => {
    const row = ratioRow("a", steady);
    const more = { ...row, ratios: [...row.ratios, { of: "wasm", to: "copy", ...figureOf(steady) }] };
    expect(compareResults(resultsOf([more]), resultsOf([row]))).toMatchObject({ onlyBefore: ["a: wasm / copy"] });
    expect(compareResults(resultsOf([row]), resultsOf([more]))).toMatchObject({ onlyAfter: ["a: wasm / copy"] });
    const [peak, unit] = [valueRow("v", steady), valueRow("v", steady, { unit: "KiB" })];
    expect(compareResults(resultsOf([peak]), resultsOf([unit]))).toMatchObject({
      movements: [],
      onlyBefore: ["v: peak"],
      onlyAfter: ["v: peak"],
    });
  });

  it("refuses a threshold that is none", () => {
    const results = resultsOf([]);
    expect(() => compareResults(results, results, { threshold: 15 })).toThrow(RangeError);
    expect(() => compareResults([], results)).toThrow(RangeError);
  });
});

describe("formatComparison", () => {
  it("prints what moved, with figures, change and noise, and the count", () => {
    const before = resultsOf([ratioRow("zero/hot", steady), ratioRow("zero/cold", steady), ratioRow("gone", steady)]);
    const after = resultsOf([ratioRow("zero/hot", times(0.5)), ratioRow("zero/cold", steady)]);
    expect(formatComparison(compareResults(before, after)).split("\n")).toEqual([
      expect.stringMatching(
        /^regression {2}zero\/hot {2}wasm \/ native: 1\.00 -> 0\.500, -50\.\d % \(noise ±\d\.\d %\)$/,
      ),
      "Gone: gone",
      "2 compared, 1 within noise, 1 regressions, 1 gone",
    ]);
  });
});

/** How the median of a run differs from the figure's true value, as a logarithm. */
type Noise = (random: () => number) => number;

const gauss = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const NOISES: Readonly<Record<string, Noise>> = {
  "5 % from run to run": (random) => 0.05 * gauss(random),
  "4 %, and now and then 25 %": (random) => (random() < 0.05 ? 0.25 : 0.04) * gauss(random),
};

describe.each(Object.entries(NOISES))("compareResults, five runs a side, 100 figures with noise of %s", (_, noise) => {
  const random = randomNumbers(1);
  const measured = (slowed: number): BenchmarkResults =>
    resultsOf(
      Array.from({ length: 100 }, (_row, i) =>
        ratioRow(
          `row ${i}`,
          Array.from({ length: 5 }, () => Math.exp(noise(random)) / (i < slowed ? 1.3 : 1)),
        ),
      ),
    );
  const REPEATS = 50;

  it("unchanged code never fails", () => {
    const failed = Array.from({ length: REPEATS }, () => compareResults(measured(0), measured(0)).regressions.length);
    expect(failed).toEqual(new Array(REPEATS).fill(0));
  });

  it("a kernel with three rows that takes 30 % longer always fails", () => {
    const missed = Array.from({ length: REPEATS }, () => compareResults(measured(0), measured(3)).regressions.length);
    expect(missed.filter((regressions) => regressions === 0)).toEqual([]);
  });
});
