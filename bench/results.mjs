// Results on their way to files: what machine, engine and commit they are of.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FileError } from "./usage.mjs";

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

/**
 * Reads results from files, and from the .json files of folders.
 * @throws {FileError} that names the one that is missing or holds no results
 */
export function readResults(library, paths) {
  return paths.flatMap(filesOf).map((file) => {
    const text = readable(file, () => readFileSync(file, "utf8"));
    try {
      return library.parseResults(text);
    } catch (error) {
      throw new FileError(`${file}: ${error.message}`, { cause: error });
    }
  });
}

function filesOf(path) {
  const names = readable(path, () => (statSync(path).isDirectory() ? readdirSync(path) : undefined));
  if (names === undefined) return [path];
  const files = names.filter((name) => name.endsWith(".json")).sort();
  return files.map((name) => join(path, name));
}

/** What `read` returns; its failure as a sentence. */
function readable(path, read) {
  try {
    return read();
  } catch (error) {
    const problem = error.code === "ENOENT" ? "there is no such file or folder" : `cannot be read (${error.code})`;
    throw new FileError(`${path}: ${problem}`, { cause: error });
  }
}
