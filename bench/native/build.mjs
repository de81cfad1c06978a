// Compiles the native references, plain C, into an addon of this process, where there is a compiler.

import { createHash } from "node:crypto";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const BUILD = fileURLToPath(new URL("../../build/", import.meta.url));
const FLAGS = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"];

/**
 * The native references, or null without a compiler. `bind(buffer)` must come first: from then on every function of
 * references.h works on that buffer, with byte offsets in it as addresses, and returns a number.
 */
export function loadNative() {
  const compiler = process.env.CC ?? "gcc";
  if (spawnSync(compiler, ["--version"]).status !== 0) return null;
  const sources = readdirSync(HERE).filter((name) => /\.[ch]$/.test(name));
  const hash = createHash("sha256").update(FLAGS.join());
  for (const name of sources.sort()) hash.update(name).update(readFileSync(HERE + name));
  const file = `${BUILD}native-${hash.digest("hex").slice(0, 16)}-${process.arch}.node`;
  const require = createRequire(import.meta.url);
  if (!existsSync(file)) {
    mkdirSync(BUILD, { recursive: true });
    const include = require("node-api-headers").include_dir;
    const files = sources.filter((name) => name.endsWith(".c")).map((name) => HERE + name);
    const run = spawnSync(compiler, [...FLAGS, `-I${include}`, ...files, "-o", file], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`Cannot compile the native references:\n${run.stderr}`);
  }
  return require(file);
}
