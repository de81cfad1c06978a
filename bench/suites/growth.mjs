// How time and memory grow: with what is moved, and not with what is clean.

import { MIB, PAGE, same } from "../kit.mjs";
import { fitLinear } from "../whole/fit.mjs";
import { ringSink } from "../whole/guests.mjs";
import { canMeasure, peakMemory } from "../whole/memory.mjs";
import { MARKS, noiseSegment, repeatedMemory, RoundGuest } from "../whole/rounds.mjs";

const TIB = 2 ** 40;
const SIZES = { "64 MiB": 64 * MIB, "512 MiB": 512 * MIB, "4 GiB": 4096 * MIB };
const SHARES = { "0.01%": 1e-4, "0.1%": 1e-3, "1%": 0.01, "10%": 0.1, "100%": 1 };
const SECTIONS = [1, 100, 10_000];

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function milliseconds(operation) {
  const start = performance.now();
  await operation();
  return performance.now() - start;
}

/** A round over 1 TiB in which nothing was written, and the mere reading of a bitmap of that size. */
async function cleanRound(bench, kind, { rounds }) {
  const library = await bench.library();
  const bytes = TIB / PAGE / 8;
  const { memory, wasm } = bench.open(bytes);
  new Uint8Array(memory.buffer, 0, bytes).fill(1).fill(0);
  const source = repeatedMemory(TIB, new Uint8Array(1024 * MIB));
  const guest = new RoundGuest(library, { source, length: TIB, marks: MARKS[kind](bytes), sink: ringSink() });
  // Memory that was never written is all one page, which a cache holds.
  guest.marks.fill(1);
  guest.marks.fill(0);
  // To be sure that all marks are looked at.
  guest.marks[bytes - 1] = 0x80;
  same("pages sent", guest.round(), 1);
  const values = { round: [], read: [] };
  for (let i = -5; i < rounds; i++) {
    const round = await milliseconds(() => same("pages sent", guest.round(), 0));
    const read = await milliseconds(() => same("first mark", wasm.bitmapNextSet(0, 0, bytes * 8), bytes * 8));
    if (i < 0) continue;
    values.round.push(round);
    values.read.push(read);
  }
  return values;
}

/** Rounds over guests of all sizes, with all shares of their pages written, scattered at random. */
async function dirtyRounds(bench, { rounds }) {
  const library = await bench.library();
  const values = {};
  const points = [];
  for (const [size, length] of Object.entries(SIZES)) {
    const marks = MARKS["Wasm memory"](length / PAGE / 8);
    const source = repeatedMemory(length, noiseSegment());
    const guest = new RoundGuest(library, { source, length, marks, sink: ringSink() });
    for (const [share, part] of Object.entries(SHARES)) {
      const times = (values[`${size}, ${share}`] = []);
      let pages = 0;
      for (let i = -2; i < rounds; i++) {
        pages = guest.dirty(part, i + 3);
        const time = await milliseconds(() => same("pages sent", guest.round(), pages));
        if (i >= 0) times.push(time);
      }
      points.push({ terms: [1, pages, length / PAGE - pages], cost: middle(times) });
    }
  }
  return { values, fit: fitLinear(points) };
}

/** A save and a load at each of the sizes, and how their times follow the sizes. */
async function saveAndLoad(sizes, unit, { rounds }, make) {
  const values = {};
  const points = { save: [], load: [] };
  for (const [label, size] of Object.entries(sizes)) {
    const { save, load } = await make(size);
    const times = { save: [], load: [] };
    for (let i = -2; i < rounds; i++) {
      for (const [verb, operation] of Object.entries({ save, load })) {
        const time = await milliseconds(operation);
        if (i >= 0) times[verb].push(time);
      }
    }
    for (const [verb, all] of Object.entries(times)) {
      values[`${verb} ${label}`] = all;
      points[verb].push({ terms: unit(size), cost: middle(all) });
    }
  }
  return { values, fits: { save: fitLinear(points.save), load: fitLinear(points.load) } };
}

async function wholeRam(bench, options) {
  const { SaveVM } = await bench.library();
  const machine = (memory, length) => {
    const vm = new SaveVM({ machine: "microvm" });
    vm.addRam("ram", repeatedMemory(length, memory));
    return vm;
  };
  const target = new Uint8Array(noiseSegment().length).fill(1);
  return saveAndLoad(
    SIZES,
    (length) => [length],
    options,
    async (length) => {
      const from = machine(noiseSegment(), length);
      const to = machine(target, length);
      const chunks = [];
      await from.save({ write: (chunk) => void chunks.push(chunk.slice()) });
      const ring = ringSink();
      return { save: () => from.save(ring), load: () => to.load(chunks) };
    },
  );
}

async function sections(bench, options) {
  const { SaveVM, vmstate, u32 } = await bench.library();
  const names = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const timer = vmstate("timer", { version: 1, fields: names.map((name) => u32(name)) });
  const sizes = Object.fromEntries(SECTIONS.map((count) => [String(count), count]));
  return saveAndLoad(
    sizes,
    (count) => [1, count],
    options,
    (count) => {
      const vm = new SaveVM({ machine: "microvm" });
      for (let i = 0; i < count; i++) {
        const device = Object.fromEntries(names.map((name, k) => [name, i * 8 + k]));
        vm.register(timer, device, { instanceId: i });
      }
      const ring = ringSink();
      const stream = vm.saveSync();
      return { save: () => vm.save(ring), load: () => vm.load(stream) };
    },
  );
}

/** The same measurement for all rows that show a side of it. */
function once(measure) {
  let measured = null;
  return (options) => (measured ??= measure(options));
}

const FIT = { floor: 0.95, goal: 0.99 };
const MEMORY = { floor: 4, goal: 1 };

export function rows(bench) {
  const round = once((options) => dirtyRounds(bench, options));
  const ram = once((options) => wholeRam(bench, options));
  const devices = once((options) => sections(bench, options));
  const rSquared = ({ fits }) => ({ save: fits.save.rSquared, load: fits.load.rSquared });
  const times = { unit: "ms", better: "lower", rounds: 5 };
  const fit = { unit: "R^2", better: "higher", rounds: 5 };
  const found = [
    ...Object.keys(MARKS).map((kind) => ({
      id: `growth/clean/${kind.replaceAll(" ", "-")}`,
      title: `a round over 1 TiB of guest, all clean; marks in ${kind}`,
      ...times,
      rounds: 15,
      limits: { round: { floor: 5 } },
      ratios: [{ of: "round", to: "read" }],
      measure: (options) => cleanRound(bench, kind, options),
    })),
    {
      id: "growth/rounds/time",
      title: "a round, by size of the guest and share of its pages written since the last",
      ...times,
      measure: async (options) => (await round(options)).values,
    },
    {
      id: "growth/rounds/cost",
      title: "a round costs so much by itself, for each page that was written, and for each that was not",
      unit: "ns",
      better: "lower",
      rounds: 5,
      async measure(options) {
        const [itself, written, clean] = (await round(options)).fit.coefficients.map((cost) => cost * 1e6);
        return { itself, written, clean };
      },
    },
    {
      id: "growth/rounds/fit",
      title: "how well these three costs explain the times of all rounds",
      ...fit,
      limits: { fit: FIT },
      measure: async (options) => ({ fit: (await round(options)).fit.rSquared }),
    },
    {
      id: "growth/ram/time",
      title: "a whole save and a whole load, by size of a guest of noise",
      ...times,
      measure: async (options) => (await ram(options)).values,
    },
    {
      id: "growth/ram/fit",
      title: "how well one cost per byte explains them",
      ...fit,
      limits: { save: FIT, load: FIT },
      measure: async (options) => rSquared(await ram(options)),
    },
    {
      id: "growth/sections/time",
      title: "a save and a load, by number of device sections",
      ...times,
      measure: async (options) => (await devices(options)).values,
    },
    {
      id: "growth/sections/fit",
      title: "how well one cost per section, and one by itself, explain them",
      ...fit,
      limits: { save: FIT, load: FIT },
      measure: async (options) => rSquared(await devices(options)),
    },
  ];
  if (!canMeasure) return found;
  for (const operation of ["save", "load"]) {
    for (const layout of ["linear", "plain"]) {
      found.push({
        id: `growth/memory/${operation}/${layout}`,
        title: `memory that a ${operation} takes beyond the guest in a warm process, and in a cold one, by size of the guest (RAM ${layout})`,
        unit: "MiB",
        better: "lower",
        rounds: 3,
        limits: Object.fromEntries(Object.keys(SIZES).map((size) => [size, MEMORY])),
        async measure({ rounds }) {
          const values = {};
          for (const [label, length] of Object.entries(SIZES)) {
            const size = length / MIB;
            values[label] = await peakMemory({ operation, layout, size, rounds, state: "warm" });
            values[`${label} cold`] = await peakMemory({ operation, layout, size, rounds, state: "cold" });
          }
          return values;
        },
      });
    }
  }
  return found;
}
