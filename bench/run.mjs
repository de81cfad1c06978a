// `npm run bench`: everything that needs only Node. bench/README.md says what the options do.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";
import { parseRunOptions, run, RUN_USAGE } from "./cli.mjs";
import { Workbench } from "./kit.mjs";
import { describeRun, readResults, writeResults } from "./results.mjs";
import { microSampler } from "./sampler.mjs";
import { rowOptions, runRows, selectRows } from "./session.mjs";
import { allRows } from "./suites.mjs";

/** The same run several times, each in a process of its own: processes differ more than rounds do. */
function repeat(library, { runs, rounds, quick, only, json }) {
  const folder = mkdtempSync(join(tmpdir(), "savevm-bench-"));
  try {
    const args = [...only.flatMap((text) => ["--only", text]), "--runs", "1", "--rounds", String(rounds)];
    if (quick) args.push("--quick");
    let status = 0;
    for (let i = 1; i <= runs; i++) {
      console.log(`Run ${i} of ${runs}`);
      const file = join(folder, `${String(i).padStart(4, "0")}.json`);
      const command = [...process.execArgv, fileURLToPath(import.meta.url), ...args, "--json", file];
      const child = spawnSync(process.execPath, command, { stdio: "inherit" });
      status ||= child.status ?? 1;
      // 1 is a row that failed, and there are others; anything else is a run that was none.
      if (child.status !== 0 && child.status !== 1) return status;
    }
    const results = library.mergeResults(readResults(library, [folder]));
    console.log(`\n${runs} runs together\n`);
    for (const row of results.rows) console.log(library.formatRow(row));
    if (json !== undefined) writeResults(library, json, results);
    return status;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await run(`npm run bench -- ${RUN_USAGE}`, async () => {
  const options = parseRunOptions();
  const files = await bundle(["index", "kernels/index", "bench/index"]);
  const library = await import(files["bench/index"]);
  if (options.runs > 1 && !options.list) return repeat(library, options);

  const { createKernels } = await import(files["kernels/index"]);
  const twins = await bundle(["kernels/index"], "twins");
  const { createKernels: createTwins } = await import(twins["kernels/index"]);
  const bench = new Workbench({ createKernels, createTwins, library: () => import(files.index) });
  const rows = selectRows(await allRows(bench), options.only);
  if (options.list) {
    for (const { id, title } of rows) console.log(id.padEnd(30), title);
    return 0;
  }
  const head = describeRun(library, { quick: options.quick });
  const sampling = rowOptions(options, library, microSampler(options));
  const { results, failures } = await runRows(rows, library, sampling, console.log);
  if (options.json !== undefined) writeResults(library, options.json, { ...head, rows: results });
  for (const failure of failures) console.error(`Failed: ${failure}`);
  return failures.length > 0 ? 1 : 0;
});
