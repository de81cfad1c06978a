import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { createKernels } from "../../src/kernels/create.js";
import type { Kernels } from "../../src/kernels/types.js";

// Addresses: what tells the writer to stop, how many marks it made, and whether it is done.
const STOP = 4;
const COUNT = 8;
const DONE = 12;
const SOURCE = 64;
const TARGET = 256;
const RAM = 65536;
/** How long the threads race, in ms; not a number of marks, since a busy machine may give us one core only. */
const RACE = 150;

/** Starts a thread that runs `body` for i = 0, 1, ... until told to stop, as a guest's processor would. */
async function startWriter(memory: WebAssembly.Memory, body: string): Promise<Worker> {
  const code = `
    const { workerData: memory } = require("node:worker_threads");
    const bytes = new Uint8Array(memory.buffer);
    const running = () => Atomics.load(bytes, ${STOP}) === 0;
    let i = 0;
    for (; running(); i++) { ${body} }
    new Uint32Array(memory.buffer)[${COUNT / 4}] = i;
    Atomics.store(bytes, ${DONE}, 1);
  `;
  const worker = new Worker(code, { eval: true, workerData: memory });
  await once(worker, "online");
  return worker;
}

/** Repeats an action while the writer runs, tells it to stop after a while, and acts once more when it is done. */
function race(bytes: Uint8Array, act: () => void): void {
  const end = performance.now() + RACE;
  for (let done = false; !done;) {
    if (performance.now() > end) Atomics.store(bytes, STOP, 1);
    done = Atomics.load(bytes, DONE) === 1;
    act();
  }
}

describe.each(["wasm", "js"] as const)("%s kernels on memory that another thread marks pages in", (implementation) => {
  /** A page is marked again only after its mark was taken: each mark is to be found, and found once. */
  const setBit = `
    while (Atomics.load(bytes, at) & bit) if (!running()) break;
    if (Atomics.load(bytes, at) & bit) break;
    Atomics.or(bytes, at, bit);`;
  const setByte = `
    while (Atomics.load(bytes, at)) if (!running()) break;
    if (Atomics.load(bytes, at)) break;
    Atomics.store(bytes, at, 1);`;

  test.each([
    {
      name: "bitmapMergeClear",
      mark: `const at = ${SOURCE} + ((i & 63) >> 3), bit = 1 << (i & 7); ${setBit}`,
      merge: (kernels: Kernels) => kernels.bitmapMergeClear(TARGET, SOURCE, 64),
    },
    {
      name: "bitmapMergeClear of bytes and bits",
      mark: `const at = ${SOURCE} + 1 + ((i % 60) >> 3), bit = 1 << ((i % 60) & 7); ${setBit}`,
      merge: (kernels: Kernels) => kernels.bitmapMergeClear(TARGET, SOURCE + 1, 60),
    },
    {
      name: "byteMapMerge",
      mark: `const at = ${SOURCE} + (i & 63); ${setByte}`,
      merge: (kernels: Kernels) => kernels.byteMapMerge(TARGET, SOURCE, 64, true),
    },
    {
      name: "byteMapMerge of odd bytes",
      mark: `const at = ${SOURCE} + 1 + (i % 7); ${setByte}`,
      merge: (kernels: Kernels) => kernels.byteMapMerge(TARGET, SOURCE + 1, 7, true),
    },
  ])("$name, marks set during the calls, finds each", async ({ mark, merge }) => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const kernels = createKernels(memory, { implementation });
    const bytes = new Uint8Array(memory.buffer);
    const worker = await startWriter(memory, mark);
    let found = 0;
    race(bytes, () => {
      bytes.fill(0, TARGET, TARGET + 8);
      found += merge(kernels);
    });
    await worker.terminate();
    expect(found).toBeGreaterThan(0);
    expect(found).toBe(new Uint32Array(memory.buffer)[COUNT / 4]);
  });

  test("encodePages, pages dirtied during the calls, sends the last version of each", async () => {
    const pages = 64;
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
    const kernels = createKernels(memory, { implementation });
    const bytes = new Uint8Array(memory.buffer);
    // The guest counts in the first byte of a page, then marks the page.
    const worker = await startWriter(
      memory,
      `const page = (i * 40503) % ${pages};
       Atomics.store(bytes, ${RAM} + page * 256, i >> 6);
       Atomics.or(bytes, ${SOURCE} + (page >> 3), 1 << (page & 7));`,
    );
    const out = RAM + pages * 256;
    const outEnd = out + pages * 265;
    const copy = outEnd;
    const window = { pageSize: 256, blockPage: 0, result: 16 };
    race(bytes, () => {
      const job = { ...window, ram: RAM, bitmap: SOURCE, first: 0, end: pages, name: 0, out, outEnd };
      const { bytes: length } = kernels.encodePages(job);
      kernels.decodePages({ ...window, ram: copy, pages, input: out, inputEnd: out + length, received: 0 });
    });
    await worker.terminate();
    expect(bytes.slice(copy, copy + pages * 256)).toEqual(bytes.slice(RAM, RAM + pages * 256));
  });
});
