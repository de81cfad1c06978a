// Results on their way to files: what machine, engine and commit they are of.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** What results are of: a change anywhere else leaves them as true as they were. */
const MEASURED = [
  "assembly",
  "src",
  "bench",
  ":!bench/history",
  "asconfig.json",
  "rollup.config.mjs",
  "package-lock.json",
];

function git(...args) {
  const { status, stdout } = spawnSync("git", ["-c", "safe.directory=*", ...args], { cwd: ROOT, encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/** The commit of the checkout, and whether what is measured differs from it. */
export function describeCheckout() {
  const commit = git("rev-parse", "HEAD") ?? null;
  return { commit, dirty: commit !== null && git("status", "--porcelain", "--", ...MEASURED) !== "" };
}

/** Everything of results but their rows. `library` is src/bench; `over` replaces what is different. */
export function describeRun(library, { quick, date = new Date(), ...over }) {
  return {
    schema: library.SCHEMA,
    name: "savevm",
    date: date.toISOString(),
    ...describeCheckout(),
    quick,
    ...library.describeEnvironment(),
    ...over,
  };
}

/** Writes results, and the folder they go to. */
export function writeResults(library, file, results) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, library.formatResults(results));
}

/** Reads results from files, and from the .json files of folders. */
export function readResults(library, paths) {
  const files = paths.flatMap((path) =>
    statSync(path).isDirectory()
      ? readdirSync(path)
          .filter((name) => name.endsWith(".json"))
          .sort()
          .map((name) => join(path, name))
      : [path],
  );
  return files.map((file) => {
    try {
      return library.parseResults(readFileSync(file, "utf8"));
    } catch (error) {
      throw new Error(`${file}: ${error.message}`, { cause: error });
    }
  });
}
