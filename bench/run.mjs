// `npm run bench`: everything that needs only Node. bench/README.md says what the options do.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";
import { parseOptions, run, wholeNumber } from "./cli.mjs";
import { Workbench } from "./kit.mjs";
import { describeRun, readResults, writeResults } from "./results.mjs";
import { microSampler } from "./sampler.mjs";
import { rowOptions, runRows, selectRows } from "./session.mjs";

const USAGE = "npm run bench -- [--only TEXT]... [--quick] [--runs N] [--rounds N] [--json FILE] [--list]";
/** Results that are kept are there to be compared, which takes runs that say how far runs differ. */
const RUNS_KEPT = 5;
/** Rounds of a row in each of several runs. */
const ROUNDS_OF_RUNS = 3;

async function suiteRows(bench) {
  const rows = [];
  for (const name of readdirSync(new URL("suites/", import.meta.url)).sort()) {
    const suite = await import(`./suites/${name}`);
    rows.push(...(await suite.rows(bench)));
  }
  return rows;
}

/** The same run several times, each in a process of its own: processes differ more than rounds do. */
function repeat(library, runs, options) {
  const folder = mkdtempSync(join(tmpdir(), "savevm-bench-"));
  try {
    let status = 0;
    for (let i = 1; i <= runs; i++) {
      console.log(`Run ${i} of ${runs}`);
      const args = [...options.only.flatMap((text) => ["--only", text]), "--runs", "1"];
      args.push("--rounds", options.rounds ?? String(ROUNDS_OF_RUNS));
      if (options.quick) args.push("--quick");
      const file = join(folder, `${String(i).padStart(4, "0")}.json`);
      const script = fileURLToPath(import.meta.url);
      const child = spawnSync(process.execPath, [...process.execArgv, script, ...args, "--json", file], {
        stdio: "inherit",
      });
      status ||= child.status ?? 1;
      if (child.status !== 0 && child.status !== 1) return status;
    }
    const results = library.mergeResults(readResults(library, [folder]));
    console.log(`\n${runs} runs together\n`);
    for (const row of results.rows) console.log(library.formatRow(row));
    if (options.json !== undefined) writeResults(library, options.json, results);
    return status;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await run(USAGE, async () => {
  const { values: options } = parseOptions({
    only: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    runs: { type: "string" },
    rounds: { type: "string" },
    json: { type: "string" },
    list: { type: "boolean", default: false },
  });
  const runs = wholeNumber("runs", options.runs ?? (options.json === undefined ? "1" : String(RUNS_KEPT)));
  const rounds = options.rounds === undefined ? undefined : wholeNumber("rounds", options.rounds);
  const files = await bundle(["index", "kernels/index", "bench/index"]);
  const library = await import(files["bench/index"]);
  if (runs > 1 && !options.list) return repeat(library, runs, options);

  const { createKernels } = await import(files["kernels/index"]);
  const bench = new Workbench({ createKernels, library: () => import(files.index) });
  const rows = selectRows(await suiteRows(bench), options.only);
  if (options.list) {
    for (const { id, title } of rows) console.log(id.padEnd(30), title);
    return 0;
  }
  const head = describeRun(library, { quick: options.quick });
  const sampling = rowOptions({ quick: options.quick, rounds }, library, microSampler(options));
  const { results, failures } = await runRows(rows, library, sampling, console.log);
  if (options.json !== undefined) writeResults(library, options.json, { ...head, rows: results });
  for (const failure of failures) console.error(`Failed: ${failure}`);
  return failures.length > 0 ? 1 : 0;
});
