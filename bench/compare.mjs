// `npm run bench:compare`: which rows moved beyond noise; exit status 1 for a regression, and for figures that are gone.

import { bundle } from "./bundle.mjs";
import { FileError, parseOptions, run, UsageError } from "./cli.mjs";
import { readResults } from "./results.mjs";

const USAGE =
  "npm run bench:compare -- BEFORE[,BEFORE...] AFTER[,AFTER...] [--threshold 0.15] [--allow-gone] (files or folders)";

await run(USAGE, async () => {
  const options = { threshold: { type: "string", default: "0.15" }, "allow-gone": { type: "boolean", default: false } };
  const { values, positionals } = parseOptions(options, { positionals: true });
  if (positionals.length !== 2) throw new UsageError(`Expected what was before and what is after`);
  const threshold = Number(values.threshold);
  if (!(threshold > 0 && threshold < 1)) throw new UsageError(`--threshold is ${values.threshold}, not in 0..1`);
  const files = await bundle(["bench/index"]);
  const library = await import(files["bench/index"]);
  const [before, after] = positionals.map((paths) => {
    const results = readResults(library, paths.split(","));
    if (results.length === 0) throw new FileError(`${paths}: no results in there`);
    return results;
  });
  const comparison = library.compareResults(before, after, { threshold });
  console.log(library.formatComparison(comparison));
  if (comparison.movements.length === 0) throw new FileError("Nothing was compared");
  const gone = comparison.onlyBefore.length > 0 && !values["allow-gone"];
  return comparison.regressions.length > 0 || gone ? 1 : 0;
});
