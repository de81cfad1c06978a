import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { createKernels } from "../../src/kernels/create.js";

const BITS = 1 << 17;
const FLAG = 4; // the writer says that it is done
const SOURCE = 1 << 16;
const TARGET = SOURCE + BITS;

/** A thread that marks every page once, in an order that jumps about, as a guest's processor would. */
function startWriter(memory: WebAssembly.Memory, mark: string): Worker {
  const code = `
    const { workerData: memory } = require("node:worker_threads");
    const bytes = new Uint8Array(memory.buffer);
    for (let i = 0; i < ${BITS}; i++) {
      const page = (i * 40503) % ${BITS};
      ${mark};
    }
    Atomics.store(bytes, ${FLAG}, 1);
  `;
  return new Worker(code, { eval: true, workerData: memory });
}

describe.each(["wasm", "js"] as const)("%s kernels on memory that another thread marks pages in", (implementation) => {
  const merges = [
    {
      name: "bitmapMergeClear",
      mark: `Atomics.or(bytes, ${SOURCE} + (page >> 3), 1 << (page & 7))`,
      merge: "bitmapMergeClear",
      rest: [],
    },
    { name: "byteMapMerge", mark: `Atomics.store(bytes, ${SOURCE} + page, 1)`, merge: "byteMapMerge", rest: [true] },
  ] as const;

  test.each(merges)("$name, marks set during the calls, finds each of them once", async ({ mark, merge }) => {
    const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
    const kernels = createKernels(memory, { implementation });
    const bytes = new Uint8Array(memory.buffer);
    const worker = startWriter(memory, mark);
    let found = 0;
    let rounds = 0;
    for (let done = false; !done; rounds++) {
      done = Atomics.load(bytes, FLAG) === 1;
      found +=
        merge === "byteMapMerge"
          ? kernels.byteMapMerge(TARGET, SOURCE, BITS, true)
          : kernels.bitmapMergeClear(TARGET, SOURCE, BITS);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await worker.terminate();
    expect(rounds).toBeGreaterThan(1);
    expect(found).toBe(BITS);
    expect(kernels.bitmapCount(TARGET, 0, BITS)).toBe(BITS);
  });

  test("encodePages, pages dirtied during the calls, sends the last version of each", async () => {
    const pages = 64;
    const ram = TARGET;
    const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
    const kernels = createKernels(memory, { implementation });
    const bytes = new Uint8Array(memory.buffer);
    // The guest counts in the first byte of a page, then marks the page.
    const worker = startWriter(
      memory,
      `const at = ${ram} + (page % ${pages}) * 256;
       Atomics.store(bytes, at, i >> 6);
       Atomics.or(bytes, ${SOURCE} + ((page % ${pages}) >> 3), 1 << (page & 7))`,
    );
    const out = ram + pages * 256;
    const copy = out + pages * 265;
    const window = { pageSize: 256, blockPage: 0, result: 8 };
    for (let done = false; !done;) {
      done = Atomics.load(bytes, FLAG) === 1;
      const { bytes: length } = kernels.encodePages({
        ...window,
        ram,
        bitmap: SOURCE,
        first: 0,
        end: pages,
        name: 0,
        out,
        outEnd: out + pages * 265,
      });
      kernels.decodePages({ ...window, ram: copy, pages, input: out, inputEnd: out + length, received: 0 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await worker.terminate();
    expect(bytes.slice(copy, copy + pages * 256)).toEqual(bytes.slice(ram, ram + pages * 256));
  });
});
