// `npm run bench:qemu`: whole saves and loads against a real QEMU, in pairs. Options: --size MiB[,MiB] (512,2048),
// --pairs N (5), --only TEXT (rows whose id has it; again for more), --json FILE.
//
// Both sides are processes that stand still and hold the same RAM and devices; both are told to begin by a message on
// a local socket. A save counts from that message until the reader at the other end, the same for both, has the last
// byte. A load counts from the moment the sender is connected until the side reports, unasked, that it is done.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bundle } from "../bundle.mjs";
import { Pair } from "./pair.mjs";

const { values: options } = parseArgs({
  options: {
    size: { type: "string", default: "512,2048" },
    pairs: { type: "string", default: "5" },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string" },
  },
});

const MIB = 2 ** 20;
const SAVE = {
  verb: "save",
  title: "save to a Unix socket",
  limits: { zero: [1.1, 1.3], random: [1.0, 1.2], "60% zero": [1.0, 1.15] },
  ours: (pair) => pair.save(),
  theirs: (pair) => pair.saveQemu(),
};
const LOAD = {
  verb: "load",
  title: "load from a Unix socket",
  limits: { zero: [0.9, 1.0], random: [1.3, 1.6], "60% zero": [1.15, 1.4] },
  ours: (pair, how) => pair.load(how),
  theirs: (pair, how) => pair.loadQemu(how),
};
const MIXES = Object.keys(SAVE.limits);

const files = await bundle(["savevm/run", "node", "bench/index", "../test/machines/microvm", "../test/kit/qemu"]);
const { summarise } = await import(files["bench/index"]);
const { Qemu, qemuVersion } = await import(files["../test/kit/qemu"]);

const results = [];
const wanted = (id) => options.only.length === 0 || options.only.some((text) => id.includes(text));

function report(row) {
  results.push(row);
  console.log(row.id.padEnd(30), row.title);
  for (const [variant, { median, low, high }] of Object.entries(row.values)) {
    const figure = `${median.toFixed(2)} ${row.unit}`;
    console.log("".padEnd(6), variant.padEnd(28), figure, `[${low.toFixed(2)}, ${high.toFixed(2)}]`);
  }
  for (const { of, to, median, low, high, floor, goal } of row.ratios) {
    const limits = floor === undefined ? "" : ` (floor ${floor}, goal ${goal})${median < floor ? " BELOW" : ""}`;
    console.log("".padEnd(6), `${of} / ${to}:`, median.toFixed(2), `[${low.toFixed(2)}, ${high.toFixed(2)}]${limits}`);
  }
}

/** Runs pairs of one operation: one not counted, to warm up and to look at what was loaded, then taking turns. */
async function measurePairs(pair, { ours, theirs }) {
  const first = { savevm: await ours(pair, { verify: true }), qemu: await theirs(pair, { verify: true }) };
  const runs = { savevm: [], qemu: [] };
  for (let round = 0; round < Number(options.pairs); round++) {
    const turns = { savevm: () => ours(pair), qemu: () => theirs(pair) };
    const order = Object.keys(turns);
    for (const name of round % 2 === 0 ? order : order.reverse()) runs[name].push(await turns[name]());
  }
  return { first, runs };
}

function timeRow({ id, title, bytes, measured: { first, runs }, limits: [floor, goal] }) {
  const rate = (seconds) => bytes / seconds / 1e9;
  const figures = (name, key) => runs[name].map((run) => run[key]);
  const rates = (name, key) => summarise(figures(name, key).map(rate));
  const ratio = (key, more) => {
    const rounds = figures("savevm", key).map((seconds, round) => figures("qemu", key)[round] / seconds);
    return { ...more, ...summarise(rounds), rounds };
  };
  return {
    id,
    title,
    unit: "GB/s",
    bytes,
    values: {
      savevm: rates("savevm", "seconds"),
      qemu: rates("qemu", "seconds"),
      "savevm, while bytes flow": rates("savevm", "streaming"),
      "qemu, while bytes flow": rates("qemu", "streaming"),
      "savevm, the first time": summarise([rate(first.savevm.seconds)]),
    },
    ratios: [
      ratio("seconds", { of: "savevm", to: "qemu", floor, goal }),
      ratio("streaming", { of: "savevm, while bytes flow", to: "qemu, while bytes flow" }),
    ],
  };
}

function memoryRow({ id, title, bytes, measured: { first, runs } }) {
  const extra = [first.savevm, ...runs.savevm].map(({ memory }) => memory / MIB);
  return { id, title, unit: "MiB", better: "lower", bytes, values: { savevm: summarise(extra) }, ratios: [] };
}

async function measureSize(mebibytes, directory) {
  const bytes = mebibytes * MIB;
  const rows = [];
  for (const mix of MIXES) {
    for (const operation of [SAVE, LOAD]) {
      const { verb, title, limits } = operation;
      const row = (what, text) => ({
        id: `peer/${what}/${mebibytes}MiB/${mix}`,
        title: `${text}, ${mebibytes} MiB guest, ${mix}`,
        bytes,
      });
      const time = { ...row(verb, title), limits: limits[mix] };
      const memory = row(`${verb}-memory`, `extra memory of a ${title}`);
      if (wanted(time.id) || wanted(memory.id)) rows.push({ mix, operation, time, memory });
    }
  }
  if (rows.length === 0) return;
  const rom = join(directory, "rom");
  // Nothing but HLT: whatever QEMU is made to run stops at once.
  writeFileSync(rom, new Uint8Array(64 << 10).fill(0xf4));
  const pair = new Pair({ files, Qemu, mebibytes, directory, rom });
  try {
    await pair.open();
    let filled;
    for (const { mix, operation, time, memory } of rows) {
      if (filled !== mix) await pair.fill(mix);
      filled = mix;
      const measured = await measurePairs(pair, operation);
      if (wanted(time.id)) report(timeRow({ ...time, measured }));
      if (wanted(memory.id)) report(memoryRow({ ...memory, measured }));
    }
  } finally {
    await pair.close();
  }
}

console.log(`QEMU ${qemuVersion()}, Node ${process.version}`);
// In memory where there is such a place: no disk shall take part.
const directory = mkdtempSync("/dev/shm/savevm-bench-");
try {
  for (const size of options.size.split(",")) await measureSize(Number(size), directory);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify({ rows: results }, null, 2)}\n`);
