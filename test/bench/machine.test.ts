import { describe, expect, it } from "vitest";
import { benchmarkMachine, compareResults, parseResults, formatResults } from "../../src/bench/index.js";

/** A machine of a few bytes. */
function machine(): { ram: Uint8Array; save: () => Uint8Array; load: (state: Uint8Array) => void } {
  const ram = new Uint8Array(4096).fill(3);
  return { ram, save: () => ram.slice(), load: (state) => ram.set(state) };
}

const brief = { runs: 2, rounds: 2, warmUp: 0 };

describe("benchmarkMachine", () => {
  it("measures save and load against a copy in the same rounds, and the size of the state", async () => {
    const { save, load } = machine();
    const results = await benchmarkMachine({ name: "toy", save, load, ...brief, limits: { load: { floor: 0.1 } } });
    expect(results).toMatchObject({ name: "toy", commit: null, runtime: { name: "node" } });
    expect(results.rows.map(({ id, ratios }) => [id, ratios.map(({ of, to, floor }) => [of, to, floor])])).toEqual([
      ["machine/save", [["save", "copy", undefined]]],
      ["machine/load", [["load", "copy", 0.1]]],
      ["machine/size", []],
    ]);
    expect(results.rows[0].ratios[0].runs).toHaveLength(2);
    expect(results.rows[2].values["state"].median).toBe(4096 / 2 ** 20);
    expect(parseResults(formatResults(results)).rows).toHaveLength(3);
  });

  it("takes promises, and a state that the machine saves over itself each time", async () => {
    const { ram, load } = machine();
    const results = await benchmarkMachine({
      name: "toy",
      save: () => Promise.resolve(ram),
      load: async (state) => load(state),
      ramBytes: 8192,
      ...brief,
    });
    expect(compareResults(results, results).regressions).toEqual([]);
  });

  it("refuses a machine that saves something else after a load, unless told that it may", async () => {
    const { ram, save } = machine();
    const forgets = { name: "toy", save, load: () => ram.fill(0, 100), ...brief };
    await expect(benchmarkMachine(forgets)).rejects.toThrow(
      "Measure toy: what was loaded is saved differently: byte 100 differs",
    );
    await expect(benchmarkMachine({ ...forgets, reproducible: false })).resolves.toMatchObject({ name: "toy" });
    const buffer = Buffer.alloc(4096);
    const inPlace = { name: "toy", save: () => (buffer.set(ram), buffer), load: () => ram.fill(ram[0] + 1), ...brief };
    await expect(benchmarkMachine(inPlace)).rejects.toThrow("byte 0 differs");
    let length = 8;
    const grows = { name: "toy", save: () => new Uint8Array(length++), load: () => 0, ...brief };
    await expect(benchmarkMachine(grows)).rejects.toThrow("9 bytes instead of 8");
  });
});
