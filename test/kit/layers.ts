/**
 * The layer rule of the design, as a function of file texts: an import may point down or sideways inside its own
 * folder, never up, never in a circle; Node and the dependencies are reached only from the layers that may have them.
 */
import ts from "typescript";

/** Source text by path relative to src/, with forward slashes: "ram/block.ts". */
export type SourceFiles = ReadonlyMap<string, string>;

/**
 * The layers from top to bottom. Names in one row are siblings: they do not import each other. A name is a folder
 * of src/ or a file at its root.
 */
export const LAYERS: readonly (readonly string[])[] = [
  ["cli", "cli.ts"],
  ["node.ts"],
  ["node"],
  ["index.ts", "index.workerd.ts"],
  ["inspect"],
  ["snapshot"],
  ["migration"],
  ["postcopy"],
  ["ram", "savevm"],
  ["registry"],
  ["vmstate"],
  ["stream"],
  ["kernels"],
  ["limits.ts"],
  ["errors.ts"],
];

/** Folders that stand apart: offered beside the layers, they import nothing of src/ and nothing of src/ imports them. */
export const APART: readonly string[] = ["bench"];

/** Which layers may import what does not come from src/. Anything not listed may be imported nowhere. */
const EXTERNALS: readonly { readonly specifier: RegExp; readonly layers: readonly string[] }[] = [
  { specifier: /^node:/, layers: ["cli", "cli.ts", "node", "node.ts"] },
  { specifier: /^commander$/, layers: ["cli", "cli.ts"] },
  { specifier: /^@assemblyscript\/loader$/, layers: ["kernels"] },
  { specifier: /^virtual:/, layers: ["kernels"] },
  { specifier: /\.wasm$/, layers: ["kernels", "index.workerd.ts"] },
  { specifier: /^fflate$/, layers: ["cli", "node", "node.ts", "inspect", "snapshot", "migration", "ram", "stream"] },
];

/**
 * Every breach of the layer rule, one line each, in a stable order; empty when there is none. Type-only imports count:
 * a type that points up couples the layers as much as a value does.
 */
export function layerViolations(files: SourceFiles): string[] {
  const violations: string[] = [];
  const graph = new Map<string, string[]>();
  for (const path of [...files.keys()].sort()) {
    const targets: string[] = [];
    graph.set(path, targets);
    if (rankOf(path) === undefined && !APART.includes(layerOf(path))) {
      violations.push(`${path}: ${layerOf(path)} is not in the layer table`);
      continue;
    }
    for (const specifier of importsOf(files.get(path) ?? "")) {
      if (!specifier.startsWith(".")) {
        if (!mayImportExternal(path, specifier))
          violations.push(`${path}: ${layerOf(path)} may not import ${specifier}`);
        continue;
      }
      const target = resolve(path, specifier);
      if (!files.has(target)) {
        if (!mayImportExternal(path, specifier)) violations.push(`${path}: ${specifier} names no file of src/`);
        continue;
      }
      targets.push(target);
      if (!pointsDown(path, target)) violations.push(`${path}: imports ${target}, which is not below it`);
    }
  }
  return [...violations, ...circles(graph)];
}

function importsOf(text: string): string[] {
  return ts.preProcessFile(text, true, true).importedFiles.map((file) => file.fileName);
}

function layerOf(path: string): string {
  return path.split("/", 1)[0];
}

function rankOf(path: string): number | undefined {
  const rank = LAYERS.findIndex((row) => row.includes(layerOf(path)));
  return rank < 0 ? undefined : rank;
}

function pointsDown(from: string, to: string): boolean {
  if (layerOf(from) === layerOf(to)) return true;
  const [upper, lower] = [rankOf(from), rankOf(to)];
  return upper !== undefined && lower !== undefined && lower > upper;
}

function mayImportExternal(path: string, specifier: string): boolean {
  return EXTERNALS.some((rule) => rule.specifier.test(specifier) && rule.layers.includes(layerOf(path)));
}

function resolve(from: string, specifier: string): string {
  const parts = from.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/").replace(/\.js$/, ".ts");
}

/** Each circle once, written from its first file in path order. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>();
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      found.add(describeCircle(trail.slice(start)));
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const target of graph.get(path) ?? []) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return [...found].sort();
}

function describeCircle(circle: readonly string[]): string {
  const first = circle.indexOf([...circle].sort()[0]);
  const turned = [...circle.slice(first), ...circle.slice(0, first)];
  return `circular import: ${[...turned, turned[0]].join(" -> ")}`;
}
