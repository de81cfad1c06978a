// Builds dist/: the kernels (AssemblyScript to WebAssembly), the JavaScript and the types. The tests use the
// plugin from here, so that they never run on kernels older than assembly/.

import asc from "assemblyscript/asc";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL(".", import.meta.url));
const CACHE = `${ROOT}build/`;
const VIRTUAL = "virtual:savevm-kernels";
/** Targets in asconfig.json, and the names of their files in dist/. */
const TARGETS = { plain: "kernels.wasm", shared: "kernels.shared.wasm" };

/** SHA-256 in hex of several texts or binaries. */
function sha256(...parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** Changes whenever anything changes that the binaries are made from, this file included. */
async function sourceKey() {
  const names = (await readdir(`${ROOT}assembly`)).filter((name) => name.endsWith(".ts")).sort();
  const paths = ["rollup.config.mjs", "asconfig.json", ...names.map((name) => `assembly/${name}`)];
  const contents = await Promise.all(paths.map((path) => readFile(ROOT + path)));
  return sha256(asc.version, ...paths, ...contents);
}

/** Ids of the sections of a WebAssembly binary. */
function sectionIds(wasm) {
  const ids = [];
  for (let at = 8; at < wasm.length;) {
    ids.push(wasm[at++]);
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      length |= (wasm[at] & 127) << shift;
      more = wasm[at++] > 127;
    }
    at += length;
  }
  return ids;
}

/**
 * Refuses kernels that would do anything to the memory they are instantiated on. A data segment would overwrite
 * the emulator's memory, a start function could; and the memory has to be the only import.
 */
export function checkKernels(wasm) {
  const ids = sectionIds(wasm);
  if (ids.includes(11))
    throw new Error("Kernels must not have a data segment: it would overwrite the emulator's memory");
  if (ids.includes(8)) throw new Error("Kernels must not have a start function");
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(wasm)).map(
    (entry) => `${entry.module}.${entry.name}`,
  );
  if (imports.join() !== "env.memory") throw new Error(`Kernels must import their memory and nothing else: ${imports}`);
}

async function compileTarget(target) {
  const output = new Map();
  const { error, stderr } = await asc.main(["--config", "asconfig.json", "--target", target, "--baseDir", ROOT], {
    writeFile: (name, contents) => void output.set(name.replace(/^.*\.(?=wasm$|d\.ts$|js$)/, ""), contents),
  });
  if (error) throw new Error(`Cannot compile the kernels:\n${stderr}`, { cause: error });
  const wasm = Buffer.from(output.get("wasm"));
  checkKernels(wasm);
  return {
    base64: wasm.toString("base64"),
    sha256: sha256(wasm),
    byteLength: wasm.length,
    bindings: String(output.get("d.ts")),
  };
}

/**
 * Compiles assembly/ for memories that are not shared ("plain") and for shared ones: the binary in base64, its
 * hash and length, and the type declarations of its exports as asc writes them.
 */
export async function compileKernels() {
  const file = `${CACHE}kernels-${(await sourceKey()).slice(0, 32)}.json`;
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  const kernels = {};
  for (const target of Object.keys(TARGETS)) kernels[target] = await compileTarget(target);
  await mkdir(CACHE, { recursive: true });
  // Other builds may be at it at the same time: the file appears complete, or not at all.
  await writeFile(`${file}.${process.pid}`, JSON.stringify(kernels));
  await rename(`${file}.${process.pid}`, file);
  return kernels;
}

/**
 * Rollup and Vite plugin: offers the compiled kernels as the module "virtual:savevm-kernels".
 *
 * - `embed: true` carries the binaries as base64;
 * - `embed: false` imports them as modules from files beside the bundle, for platforms that compile ahead;
 * - `emit: true` also writes those files.
 */
export function kernels({ embed = true, emit = false } = {}) {
  const fileName = (target) => `./${TARGETS[target]}`;
  return {
    name: "savevm-kernels",
    resolveId(id) {
      if (id === VIRTUAL) return `\0${VIRTUAL}`;
      if (!embed && Object.values(TARGETS).includes(id.replace("./", ""))) return { id, external: true };
      return null;
    },
    async load(id) {
      if (id !== `\0${VIRTUAL}`) return null;
      const compiled = await compileKernels();
      return Object.keys(TARGETS)
        .map((target) => {
          const { base64, ...facts } = compiled[target];
          const source = embed ? JSON.stringify(base64) : `${target}Module`;
          return [
            embed ? "" : `import ${source} from "${fileName(target)}";`,
            `export const ${target} = { source: ${source}, sha256: "${facts.sha256}", byteLength: ${facts.byteLength} };`,
          ].join("\n");
        })
        .join("\n");
    },
    async generateBundle() {
      if (!emit) return;
      for (const [target, { base64 }] of Object.entries(await compileKernels())) {
        this.emitFile({ type: "asset", fileName: TARGETS[target], source: Buffer.from(base64, "base64") });
      }
    },
  };
}

/** Everything that is installed beside us, or belongs to the platform. */
async function externals() {
  const { dependencies } = JSON.parse(await readFile(`${ROOT}package.json`, "utf8"));
  return [/^node:/, ...Object.keys(dependencies).map((name) => new RegExp(`^${name}(/|$)`))];
}

/**
 * Rollup plugin for the types: spells `Uint8Array<ArrayBuffer>` so that compilers before TypeScript 5.7, where
 * Uint8Array is not generic, read it as `Uint8Array`, and later ones as what it was.
 */
function olderTypes() {
  return {
    name: "savevm-older-types",
    renderChunk: (code) =>
      code
        .replace(/\bUint8Array<ArrayBuffer>/g, 'ReturnType<Uint8ArrayConstructor["of"]>')
        .replace(/\b(\w+Array|DataView)<ArrayBuffer(Like)?>/g, "$1"),
  };
}

export default async function configure() {
  // Loaded here, since the tests want only the plugin.
  const [{ default: esbuild }, { default: dts }] = await Promise.all([
    import("rollup-plugin-esbuild"),
    import("rollup-plugin-dts"),
  ]);
  await rm(`${ROOT}dist`, { recursive: true, force: true });
  const external = await externals();
  const script = () => esbuild({ target: "es2022", minify: false });
  const output = { dir: "dist", format: "es", chunkFileNames: "chunks/[name].js", hoistTransitiveImports: false };
  return [
    {
      input: { index: "src/index.ts", node: "src/node.ts", bench: "src/bench/index.ts", cli: "src/cli/main.ts" },
      output,
      plugins: [kernels({ emit: true }), script()],
      external,
    },
    {
      input: { "index.workerd": "src/index.ts" },
      output,
      plugins: [kernels({ embed: false }), script()],
      external,
    },
    {
      input: { index: "src/index.ts", node: "src/node.ts", bench: "src/bench/index.ts" },
      output: { ...output, chunkFileNames: "chunks/[name].d.ts" },
      plugins: [dts(), olderTypes()],
      external,
    },
  ];
}
