// Two threads on one shared memory against one of them, where there are two processors; and what the build for
// shared memories costs on one thread.

import { availableParallelism } from "node:os";
import { compileKernels } from "../../rollup.config.mjs";
import { bundle } from "../bundle.mjs";
import { fillRandom, MIB, PAGE, same } from "../kit.mjs";
import { ARENA, JOBS } from "../workers/jobs.mjs";
import { Team } from "../workers/team.mjs";

/** Counts come back at the start of the memory, a line of 64 bytes for each worker. */
const resultOf = (worker) => 64 * (worker + 1);
const RAM = PAGE;

/** Where everything lies behind the RAM of `length` bytes. */
function layout(length) {
  const bitmap = RAM + length;
  const arenas = bitmap + length / PAGE / 8 + PAGE;
  return { bitmap, outOf: (worker) => arenas + worker * (ARENA + PAGE), end: arenas + 2 * (ARENA + PAGE) };
}

function fillGuest(bytes, length, job) {
  const ram = bytes.subarray(RAM, RAM + length);
  if (job === "encode") fillRandom(ram);
  else ram.fill(0);
}

async function compileModules() {
  const { plain, shared } = await compileKernels();
  const module = ({ base64 }) => new WebAssembly.Module(Buffer.from(base64, "base64"));
  return { plain: module(plain), shared: module(shared) };
}

async function twoWorkers(bench, job, length, times) {
  const { bitmap, outOf, end } = layout(length);
  const { memory, bytes, native } = bench.open(end, { shared: true });
  fillGuest(bytes, length, job);
  const { "kernels/index": kernels } = await bundle(["kernels/index"]);
  const guest = { memory, kernels, modules: await compileModules(), ram: RAM, bitmap };
  const team = new Team(
    guest,
    [0, 1].map((worker) => ({ out: outOf(worker), result: resultOf(worker) })),
  );
  const pages = length / PAGE;
  const variants = {
    two: () => team.run(job, pages, times, 2),
    one: () => team.run(job, pages, times, 1),
  };
  if (native) {
    const nativeJob = { scan: "nativeScan", encode: "nativeEncode" }[job];
    variants.nativeTwo = () => team.run(nativeJob, pages, times, 2);
    variants.nativeOne = () => team.run(nativeJob, pages, times, 1);
  }
  same(`pages of ${job}`, pages, ...Object.values(variants).map((variant) => variant()));
  return { variants, cleanUp: () => team.stop() };
}

function builds(bench, job, length) {
  const { bitmap, outOf, end } = layout(length);
  const pages = length / PAGE;
  const variant = (shared) => {
    const { bytes, wasm } = bench.open(end, { shared });
    fillGuest(bytes, length, job);
    const guest = { kernels: wasm, bytes, ram: RAM, bitmap, out: outOf(0), result: resultOf(0) };
    return () => JOBS[job](guest, 0, pages);
  };
  const variants = { shared: variant(true), plain: variant(false) };
  same(`pages of ${job}`, pages, variants.shared(), variants.plain());
  return { variants };
}

const TITLES = { scan: "zero scan, zero pages", encode: "RAM encode, random pages" };

/** A guest of 256 MiB, or one that the caches hold, as often as makes the same work. */
function workerRow(bench, job, kind, ratio) {
  const mib = kind === "cold" ? 256 : 1;
  const times = 256 / mib;
  return {
    id: `workers/${job}/${kind}`,
    title: `${TITLES[job]}, ${mib} MiB ${kind}: two workers against one`,
    bytes: 256 * MIB,
    once: true,
    rounds: 25,
    prepare: () => twoWorkers(bench, job, mib * MIB, times),
    ratios: [
      { of: "two", to: "one", ...ratio },
      // What two processors have to give on this machine, on this memory.
      { of: "nativeTwo", to: "nativeOne" },
      { of: "two", to: "nativeTwo" },
    ],
  };
}

function buildRow(bench, job, kind) {
  const mib = kind === "cold" ? 256 : 1;
  return {
    id: `builds/${job}/${kind}`,
    title: `${TITLES[job]}, ${mib} MiB ${kind}: the build for shared memory against the plain one`,
    bytes: mib * MIB,
    prepare: () => builds(bench, job, mib * MIB),
    ratios: [{ of: "shared", to: "plain" }],
  };
}

export function rows(bench) {
  const buildRows = [
    buildRow(bench, "scan", "cold"),
    buildRow(bench, "scan", "hot"),
    buildRow(bench, "encode", "cold"),
    buildRow(bench, "encode", "hot"),
  ];
  if (availableParallelism() < 2) return buildRows;
  return [
    workerRow(bench, "scan", "cold", { floor: 1.7, goal: 1.97 }),
    workerRow(bench, "scan", "hot", {}),
    workerRow(bench, "encode", "cold", { floor: 1.8, goal: 1.94 }),
    workerRow(bench, "encode", "hot", {}),
    ...buildRows,
  ];
}
