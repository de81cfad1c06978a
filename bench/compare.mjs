// `npm run bench:compare`: which rows moved beyond noise; exit status 1 for a regression.

import { bundle } from "./bundle.mjs";
import { parseOptions, run, UsageError } from "./cli.mjs";
import { readResults } from "./results.mjs";

const USAGE = "npm run bench:compare -- BEFORE[,BEFORE...] AFTER[,AFTER...] [--threshold 0.15] (files or folders)";

await run(USAGE, async () => {
  const { values, positionals } = parseOptions({ threshold: { type: "string" } }, { positionals: true });
  if (positionals.length !== 2) throw new UsageError(`Expected what was before and what is after`);
  const threshold = values.threshold === undefined ? {} : { threshold: Number(values.threshold) };
  const files = await bundle(["bench/index"]);
  const library = await import(files["bench/index"]);
  const [before, after] = positionals.map((paths) => readResults(library, paths.split(",")));
  const comparison = library.compareResults(before, after, threshold);
  console.log(library.formatComparison(comparison));
  return comparison.regressions.length > 0 ? 1 : 0;
});
