import { describe, expect, it } from "vitest";
import { createKernels, loadKernels, type Kernels } from "../../../src/kernels/index.js";
import { runKernels } from "../kernel-tour.js";

const MEMORIES = [
  { name: "a plain memory", memory: () => new WebAssembly.Memory({ initial: 4 }) },
  { name: "a shared memory", memory: () => new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }) },
];

describe.each(MEMORIES)("kernels on $name", ({ memory }) => {
  it("are WebAssembly in a page that allows it, compiled at once or asynchronously", async () => {
    expect(createKernels(memory()).implementation).toBe("wasm");
    expect((await loadKernels(memory())).implementation).toBe("wasm");
  });

  it("give the results of the twin and leave the same bytes, seed after seed", () => {
    const both = (["wasm", "js"] as const).map((implementation) => createKernels(memory(), { implementation }));
    for (let seed = 1; seed <= 20; seed++) {
      const [wasm, js] = both.map((kernels) => ({ results: runKernels(kernels, seed), bytes: bytesOf(kernels) }));
      expect(wasm.results, `seed ${seed}`).toEqual(js.results);
      expect(firstDifference(wasm.bytes, js.bytes), `seed ${seed}`).toBe(-1);
    }
  });
});

function bytesOf(kernels: Kernels): Uint8Array {
  return new Uint8Array(kernels.buffer).slice();
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  return a.findIndex((byte, i) => byte !== b[i]);
}
