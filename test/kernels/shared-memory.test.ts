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
const TARGET = 16384;
const RAM = 65536;
/** Marks that are so many and so far between that kernels skip what is empty. */
const MANY = 8192;
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

/** Encodes the dirty pages among the first `end`; returns how many there were. */
function encode(kernels: Kernels, end: number): number {
  const window = { ram: RAM, pageSize: 256, blockPage: 0, bitmap: SOURCE, first: 0, end };
  const { zeroPages, normalPages } = kernels.encodePages({
    ...window,
    name: 0,
    out: 2 * RAM,
    outEnd: 3 * RAM,
    result: 16,
  });
  return zeroPages + normalPages;
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
      name: "bitmapMergeClear of a long bitmap",
      mark: `const at = ${SOURCE} + (((i * 997) % ${MANY}) >> 3), bit = 1 << ((i * 997) & 7); ${setBit}`,
      merge: (kernels: Kernels) => kernels.bitmapMergeClear(TARGET, SOURCE, MANY),
    },
    {
      name: "bitmapMergeClear of a long bitmap at odd bytes",
      mark: `const at = ${SOURCE} + 3 + (((i * 31) % ${MANY}) >> 3), bit = 1 << ((i * 31) & 7); ${setBit}`,
      merge: (kernels: Kernels) => kernels.bitmapMergeClear(TARGET + 1, SOURCE + 3, MANY),
    },
    {
      name: "byteMapMerge",
      mark: `const at = ${SOURCE} + (i & 63); ${setByte}`,
      merge: (kernels: Kernels) => kernels.byteMapMerge(TARGET, SOURCE, 64, true),
    },
    {
      name: "byteMapMerge of many bytes",
      mark: `const at = ${SOURCE} + ((i * 37) % ${MANY}); ${setByte}`,
      merge: (kernels: Kernels) => kernels.byteMapMerge(TARGET, SOURCE, MANY, true),
    },
    {
      name: "byteMapMerge of odd bytes",
      mark: `const at = ${SOURCE} + 1 + (i % 7); ${setByte}`,
      merge: (kernels: Kernels) => kernels.byteMapMerge(TARGET, SOURCE + 1, 7, true),
    },
    {
      name: "encodePages",
      mark: `const at = ${SOURCE} + ((i & 63) >> 3), bit = 1 << (i & 7); ${setBit}`,
      merge: (kernels: Kernels) => encode(kernels, 64),
    },
    {
      name: "encodePages of pages far between",
      mark: `const page = (i * 37) & 127, at = ${SOURCE} + (page >> 3), bit = 1 << (page & 7); ${setBit}`,
      merge: (kernels: Kernels) => encode(kernels, 128),
    },
  ])("$name, marks set during the calls, finds each", async ({ mark, merge }) => {
    const memory = new WebAssembly.Memory({ initial: 3, maximum: 3, shared: true });
    const kernels = createKernels(memory, { implementation });
    const bytes = new Uint8Array(memory.buffer);
    const worker = await startWriter(memory, mark);
    // Pages that are zero, if pages are looked at, are alone and in groups.
    for (let page = 0; page < 128; page += 1 + ((page >> 3) & 3)) bytes[RAM + page * 256] = 1;
    let found = 0;
    race(bytes, () => {
      bytes.fill(0, TARGET, TARGET + MANY / 8 + 1);
      found += merge(kernels);
    });
    await worker.terminate();
    expect(found).toBeGreaterThan(0);
    expect(found).toBe(new Uint32Array(memory.buffer)[COUNT / 4]);
  });
});
