// `npm run bench`: everything that needs only Node. Options: --only TEXT (rows whose id has it; again for more),
// --quick (fewer and shorter rounds), --json FILE (write the results), --list (names only).

import { parseArgs } from "node:util";
import Benchmark from "benchmark";
import { readdirSync } from "node:fs";
import { bundle } from "./bundle.mjs";
import { Workbench } from "./kit.mjs";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  },
});

const files = await bundle(["index", "kernels/index", "bench/index"]);
const { createKernels } = await import(files["kernels/index"]);
const { measure, sampleOnce, summarise } = await import(files["bench/index"]);
const bench = new Workbench({ createKernels, library: () => import(files.index) });

/** Seconds per call by Benchmark.js, which finds out how many calls a sample needs. */
function sampleMicro(operation) {
  const times = options.quick ? { minTime: 0.01, maxTime: 0.02 } : { minTime: 0.02, maxTime: 0.1 };
  const run = new Benchmark("variant", operation, { ...times, minSamples: options.quick ? 2 : 5 });
  run.run();
  if (run.error) throw run.error;
  return run.stats.sample;
}

async function measureRow(row) {
  const { variants, cleanUp } = await row.prepare();
  const times = await measure(variants, {
    rounds: options.quick ? 3 : (row.rounds ?? 9),
    warmUp: options.quick ? 0.1 : 0.3,
    sample: row.once ? sampleOnce : sampleMicro,
  });
  await cleanUp?.();
  const figures = Object.fromEntries(
    Object.entries(times).map(([name, seconds]) => [name, summarise(seconds.map((s) => row.bytes / s / 1e9))]),
  );
  const ratios = row.ratios
    .filter(({ of, to }) => of in times && to in times)
    .map((ratio) => {
      const rounds = times[ratio.of].map((seconds, round) => times[ratio.to][round] / seconds);
      return { ...ratio, ...summarise(rounds), rounds };
    });
  return { id: row.id, title: row.title, unit: "GB/s", values: figures, ratios };
}

const results = [];
for (const name of readdirSync(new URL("suites/", import.meta.url)).sort()) {
  const { rows } = await import(`./suites/${name}`);
  for (const row of rows(bench)) {
    if (options.only.length > 0 && !options.only.some((text) => row.id.includes(text))) continue;
    if (options.list) {
      console.log(row.id.padEnd(30), row.title);
      continue;
    }
    const result = await measureRow(row);
    results.push(result);
    console.log(row.id.padEnd(30), row.title);
    for (const [variant, { median }] of Object.entries(result.values)) {
      console.log("".padEnd(6), variant.padEnd(10), median.toFixed(2), result.unit);
    }
    for (const { of, to, median, low, high, floor, goal } of result.ratios) {
      const wanted = floor === undefined ? "" : ` (floor ${floor}, goal ${goal})${median < floor ? " BELOW" : ""}`;
      console.log(
        "".padEnd(6),
        `${of} / ${to}:`,
        median.toFixed(2),
        `[${low.toFixed(2)}, ${high.toFixed(2)}]${wanted}`,
      );
    }
  }
}
