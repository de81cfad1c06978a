// The sources as they are now, bundled for a benchmark: never a build older than they are.

import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rollup } from "rollup";
import esbuild from "rollup-plugin-esbuild";
import { kernels } from "../rollup.config.mjs";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** File name of a bundled module. */
const entry = (name) => name.replace(/^(\.\.\/)+/, "").replaceAll("/", "-");

/**
 * Bundles modules of src/ (paths without "src/" and ".ts") to build/bench/, and returns the paths of the results. A
 * second bundle of one process needs a folder of its own: both have chunks of the same names.
 */
export async function bundle(names, folder = "main") {
  const input = Object.fromEntries(names.map((name) => [entry(name), `${ROOT}src/${name}.ts`]));
  const bundled = await rollup({
    input,
    plugins: [kernels(), esbuild({ target: "es2022" })],
    external: [/^node:/, "@assemblyscript/loader", "commander", "fflate"],
  });
  const dir = `${ROOT}build/bench/${process.pid}/${folder}`;
  process.once("exit", () => rmSync(`${ROOT}build/bench/${process.pid}`, { recursive: true, force: true }));
  await bundled.write({ dir, format: "es", chunkFileNames: "chunk-[name].mjs", entryFileNames: "[name].mjs" });
  return Object.fromEntries(names.map((name) => [name, `${dir}/${entry(name)}.mjs`]));
}
