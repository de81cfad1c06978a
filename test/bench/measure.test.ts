import { cpus } from "node:os";
import { describe, expect, it } from "vitest";
import {
  describeEnvironment,
  formatRow,
  measure,
  measureRow,
  missedFloors,
  quantile,
  sampleFor,
  sampleOnce,
  summarise,
  type MeasuredRow,
  type Row,
} from "../../src/bench/index.js";
import { ratioRow, valueRow } from "./kit.js";

const options = { warmUp: 0, quick: false, sample: () => [1], sampleOnce: () => [2] };

describe("quantile and summarise", () => {
  it("interpolate between the sorted values", () => {
    expect([0, 0.25, 0.5, 1].map((fraction) => quantile([4, 1, 3, 2], fraction))).toEqual([1, 1.75, 2.5, 4]);
    expect(summarise([5])).toEqual({ median: 5, low: 5, high: 5 });
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe("measure", () => {
  it("gives every variant its turn in each round, beginning with another one each time", async () => {
    const turns: string[] = [];
    const variants = { a: () => turns.push("a"), b: () => turns.push("b") };
    const sample = (operation: () => unknown): number[] => {
      operation();
      return [3, 1, 2];
    };
    expect(await measure(variants, { rounds: 3, warmUp: 0, sample })).toEqual({ a: [2, 2, 2], b: [2, 2, 2] });
    expect(turns.slice(2).join("")).toBe("abbaab");
  });

  it("awaits an operation that is a promise", async () => {
    let done = 0;
    const later = (): Promise<void> =>
      Promise.resolve().then(() => {
        done++;
      });
    expect(await sampleOnce(later)).toHaveLength(1);
    expect(done).toBe(1);
    const [seconds] = await sampleFor(0.001)(later);
    expect(seconds).toBeGreaterThan(0);
    expect(done).toBeGreaterThan(1);
  });
});

describe("measureRow", () => {
  it("a timed row has rates of all variants, and ratios round by round", async () => {
    let cleaned = 0;
    const row: Row = {
      id: "a",
      title: "A",
      bytes: 2e9,
      rounds: 2,
      prepare: () => ({ variants: { wasm: () => 0, native: () => 0 }, cleanUp: () => cleaned++ }),
      ratios: [
        { of: "wasm", to: "native", floor: 0.5 },
        { of: "wasm", to: "missing" },
      ],
    };
    const rate = { median: 2, low: 2, high: 2, runs: [2], rounds: [2, 2] };
    expect(await measureRow(row, options)).toEqual({
      id: "a",
      title: "A",
      unit: "GB/s",
      better: "higher",
      values: { wasm: rate, native: rate },
      ratios: [{ of: "wasm", to: "native", floor: 0.5, median: 1, low: 1, high: 1, runs: [1], rounds: [1, 1] }],
    });
    expect(cleaned).toBe(1);
    const once = await measureRow({ ...row, once: true }, { ...options, rounds: 3 });
    expect(once.values["wasm"].rounds).toEqual([1, 1, 1]);
  });

  it("with flooredOnly times no more than the ratios with a floor need", async () => {
    const timed: string[] = [];
    const variants = Object.fromEntries(["wasm", "js", "native"].map((name) => [name, () => timed.push(name)]));
    const row: Row = {
      id: "a",
      title: "A",
      bytes: 1,
      prepare: () => ({ variants }),
      ratios: [
        { of: "wasm", to: "native", floor: 0.5 },
        { of: "wasm", to: "js" },
      ],
    };
    const { ratios } = await measureRow(row, { ...options, flooredOnly: true });
    expect(timed).toEqual(["wasm", "native"]);
    expect(ratios.map(({ to }) => to)).toEqual(["native"]);
    const noFloor = { ...row, ratios: [{ of: "wasm", to: "missing", floor: 1 }] };
    expect(await measureRow(noFloor, { ...options, flooredOnly: true })).toMatchObject({ values: {}, ratios: [] });
  });

  it("a row that measures itself has its own unit; where lower is better its ratios are turned round", async () => {
    const row: MeasuredRow = {
      id: "m",
      title: "M",
      unit: "ms",
      better: "lower",
      limits: { ours: { floor: 4, goal: 1 } },
      measure: ({ rounds }) => ({ ours: new Array<number>(rounds).fill(2), theirs: new Array<number>(rounds).fill(6) }),
      ratios: [{ of: "ours", to: "theirs" }],
    };
    const { values, ratios, unit } = await measureRow(row, options);
    expect({ unit, ours: values["ours"], ratio: ratios[0].median }).toMatchObject({
      unit: "ms",
      ours: { median: 2, floor: 4, goal: 1 },
      ratio: 3,
    });
    const single = await measureRow({ ...row, measure: () => ({ ours: 1 }) }, options);
    expect(single).toMatchObject({ values: { ours: { median: 1, runs: [1] } }, ratios: [] });
  });

  it("refuses a value that is none, and rounds that do not match", async () => {
    const row: MeasuredRow = { id: "m", title: "M", unit: "x", better: "lower", measure: () => ({ a: NaN }) };
    await expect(measureRow(row, options)).rejects.toThrow("Measure m: a has no value");
    const uneven: MeasuredRow = { ...row, measure: () => ({ a: [1], b: [1, 2] }), ratios: [{ of: "a", to: "b" }] };
    await expect(measureRow(uneven, options)).rejects.toThrow("Measure m: 1 rounds of a, 2 of b");
  });

  it("a row that fails is cleaned up all the same", async () => {
    let cleaned = 0;
    const failing = (): never => {
      throw new Error("broken");
    };
    const prepare = (): { variants: { a: () => never }; cleanUp: () => number } => ({
      variants: { a: failing },
      cleanUp: () => cleaned++,
    });
    await expect(measureRow({ id: "f", title: "F", bytes: 1, prepare }, options)).rejects.toThrow("broken");
    expect(cleaned).toBe(1);
  });
});

describe("formatRow and missedFloors", () => {
  it("show values, ratios with spread and what they must reach", () => {
    expect(formatRow(ratioRow("a", [0.5, 0.6, 0.7], { floor: 0.9, goal: 1 })).split("\n")).toEqual([
      `${"a".padEnd(30)} title of a`,
      "       wasm       6.00 GB/s",
      "       native     10.0 GB/s",
      "       wasm / native: 0.60 [0.550, 0.650] (floor 0.9, goal 1) BELOW",
    ]);
  });

  it("name what is worse than its floor, or than a share of it", () => {
    const low = ratioRow("a", [0.6], { floor: 1 });
    expect(missedFloors(low)).toEqual(["a: wasm / native is 0.600, worse than floor 1"]);
    expect(missedFloors(low, 0.5)).toEqual([]);
    expect(missedFloors(ratioRow("a", [0.4], { floor: 1 }), 0.5)).toHaveLength(1);
    const memory = { ...valueRow("m", [7]), values: { peak: { ...valueRow("m", [7]).values["peak"], floor: 4 } } };
    expect([missedFloors(memory).length, missedFloors(memory, 0.5).length]).toEqual([1, 0]);
  });
});

describe("describeEnvironment", () => {
  it("knows engines by what they tell", () => {
    const of = (userAgent: string): string =>
      Object.values(describeEnvironment({ navigator: { userAgent } }).runtime).join(" ");
    expect(of("Mozilla/5.0 AppleWebKit/537.36 HeadlessChrome/141.0.0.0 Safari/537.36")).toBe("chromium 141.0.0.0");
    expect(of("Mozilla/5.0 (X11; rv:140.0) Gecko/20100101 Firefox/140.0")).toBe("firefox 140.0");
    expect(of("Mozilla/5.0 AppleWebKit/605.1.15 Version/26.1 Safari/605.1.15")).toBe("safari 26.1");
    expect(of("")).toBe("unknown 0");
    const { runtime, machine } = describeEnvironment();
    expect(runtime).toEqual({ name: "node", version: process.versions.node });
    expect(machine).toMatchObject({ platform: process.platform, arch: process.arch, cores: cpus().length });
    expect(describeEnvironment({}).machine).toEqual({
      platform: "unknown",
      arch: "unknown",
      cpu: "unknown processor",
      cores: 0,
    });
  });
});
