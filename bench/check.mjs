// `npm run bench:check`, for CI: every kernel once, quickly. Fails if a result is wrong, or if a ratio is worse than half
// its floor time and again; never on a time, because the machine may be any. Without a compiler there are no native
// references, and their ratios are not judged.

import { bundle } from "./bundle.mjs";
import { parseOptions, run } from "./cli.mjs";
import { Workbench } from "./kit.mjs";
import { allRows } from "./suites.mjs";

/** Rows of a second or two; whole guests of gigabytes are for who measures. */
const CHECKED = /^(bitmap|builds|compare|hash|ram|twins|workers|xbzrle|zero)\//;
/** A ratio must reach this share of its floor. */
const SHARE = 0.5;
/** How much of its floor a row reaches that has never reached it all: it is judged by that instead. */
const REACHED = new Map([
  ["bitmap/sync/0.5", 0.45],
  ["xbzrle/decode/3x64", 0.42],
  ["xbzrle/decode/2x512", 0.55],
]);
/** What is tried one after the other: a hiccup of the machine is gone by the next. */
const ATTEMPTS = [
  { rounds: 3, warmUp: 0.03, seconds: 0.004 },
  { rounds: 5, warmUp: 0.3, seconds: 0.02 },
  { rounds: 9, warmUp: 1, seconds: 0.05 },
];

/** Complaints about a row; none if it is well. */
async function check(library, row) {
  let complaints = [];
  for (const { rounds, warmUp, seconds } of ATTEMPTS) {
    const sample = library.sampleFor(seconds);
    const sampling = { quick: true, rounds, warmUp, sample, sampleOnce: library.sampleOnce, flooredOnly: true };
    complaints = library.missedFloors(await library.measureRow(row, sampling), SHARE * (REACHED.get(row.id) ?? 1));
    if (complaints.length === 0) return [];
  }
  return complaints;
}

await run("npm run bench:check", async () => {
  parseOptions({});
  const files = await bundle(["index", "kernels/index", "bench/index"]);
  const library = await import(files["bench/index"]);
  const { createKernels } = await import(files["kernels/index"]);
  const twins = await bundle(["kernels/index"], "twins");
  const { createKernels: createTwins } = await import(twins["kernels/index"]);
  const bench = new Workbench({ createKernels, createTwins, library: () => import(files.index) });
  const complaints = [];
  let rows = 0;
  for (const row of await allRows(bench)) {
    if (!CHECKED.test(row.id)) continue;
    rows++;
    try {
      complaints.push(...(await check(library, row)));
    } catch (error) {
      complaints.push(`${row.id}: ${error.stack}`);
    }
  }
  for (const complaint of complaints) console.error(complaint);
  console.log(`${rows} rows checked, ${complaints.length} complaints${bench.native ? "" : "; no native references"}`);
  return complaints.length > 0 ? 1 : 0;
});
