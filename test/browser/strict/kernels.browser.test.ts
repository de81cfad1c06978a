import { describe, expect, it } from "vitest";
import { createKernels, loadKernels } from "../../../src/kernels/index.js";
import { runKernels } from "../kernel-tour.js";

describe("kernels in a page whose policy forbids WebAssembly", () => {
  it("the policy is in force", () => {
    const smallestModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    expect(() => new WebAssembly.Module(smallestModule)).toThrow(WebAssembly.CompileError);
  });

  it("are the twin, which keeps why, compiled at once or asynchronously", async () => {
    const memory = new WebAssembly.Memory({ initial: 4 });
    for (const kernels of [createKernels(memory), await loadKernels(memory)]) {
      expect(kernels.implementation).toBe("js");
      expect(kernels.fallbackCause).toBeInstanceOf(WebAssembly.CompileError);
    }
  });

  it("are an error where WebAssembly was demanded", () => {
    const memory = new WebAssembly.Memory({ initial: 4 });
    expect(() => createKernels(memory, { implementation: "wasm" })).toThrow(WebAssembly.CompileError);
  });

  it("work in place on the memory", () => {
    const kernels = createKernels(new WebAssembly.Memory({ initial: 4 }));
    const { pagesPlaced, pagesSent } = runKernels(kernels, 1);
    expect(pagesPlaced).toBe(pagesSent);
    expect(pagesSent).toBeGreaterThan(0);
  });
});
