import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { layerViolations } from "./kit/layers.js";

const src = new URL("../src/", import.meta.url);

function check(files: Record<string, string>): string[] {
  return layerViolations(new Map(Object.entries(files)));
}

describe("layerViolations", () => {
  it("downward and same-folder imports give nothing", () => {
    const files = {
      "ram/block.ts": `import { limit } from "../limits.js"; import type { P } from "./page.js"; import "../kernels/index.js";`,
      "ram/page.ts": `export type P = number;`,
      "limits.ts": `export const limit = 1;`,
      "kernels/index.ts": `export { load } from "@assemblyscript/loader";`,
    };
    expect(check(files)).toEqual([]);
  });

  it.each([
    ["an import", `import { a } from "../registry/a.js";`],
    ["a type-only import", `import type { a } from "../registry/a.js";`],
    ["a re-export", `export * from "../registry/a.js";`],
    ["a dynamic import", `export const later = () => import("../registry/a.js");`],
    ["an import type", `export type T = import("../registry/a.js").T;`],
    ["a side-effect import", `import "../registry/a.js";`],
  ])("upward by %s is a violation", (_, text) => {
    expect(check({ "vmstate/b.ts": text, "registry/a.ts": "" })).toEqual([
      "vmstate/b.ts: imports registry/a.ts, which is not below it",
    ]);
  });

  it("siblings of one row may not import each other", () => {
    expect(check({ "ram/a.ts": `import "../savevm/b.js";`, "savevm/b.ts": "" })).toEqual([
      "ram/a.ts: imports savevm/b.ts, which is not below it",
    ]);
    expect(check({ "savevm/b.ts": `import "../ram/a.js";`, "ram/a.ts": "" })).toEqual([
      "savevm/b.ts: imports ram/a.ts, which is not below it",
    ]);
  });

  it("a circle inside one folder is reported once, with its path", () => {
    const files = {
      "stream/a.ts": `import "./b.js";`,
      "stream/b.ts": `import "./c.js";`,
      "stream/c.ts": `import "./a.js";`,
    };
    expect(check(files)).toEqual(["circular import: stream/a.ts -> stream/b.ts -> stream/c.ts -> stream/a.ts"]);
  });

  it("node: is for the node entry and the command only", () => {
    const text = `import { readFileSync } from "node:fs";`;
    expect(check({ "node.ts": text, "node/file.ts": text, "cli/main.ts": text })).toEqual([]);
    expect(check({ "stream/file.ts": text })).toEqual(["stream/file.ts: stream may not import node:fs"]);
  });

  it("a bare Node module or an unknown package is a violation everywhere", () => {
    expect(check({ "cli/main.ts": `import "fs"; import "left-pad";` })).toEqual([
      "cli/main.ts: cli may not import fs",
      "cli/main.ts: cli may not import left-pad",
    ]);
  });

  it("a folder that stands apart imports its own files only, and is imported by no other", () => {
    expect(check({ "bench/a.ts": `import "./b.js";`, "bench/b.ts": "" })).toEqual([]);
    expect(check({ "bench/a.ts": `import "../limits.js";`, "limits.ts": "" })).toEqual([
      "bench/a.ts: imports limits.ts, which is not below it",
    ]);
    expect(check({ "cli/a.ts": `import "../bench/b.js";`, "bench/b.ts": "" })).toEqual([
      "cli/a.ts: imports bench/b.ts, which is not below it",
    ]);
  });

  it("a folder that the table does not know is a violation", () => {
    expect(check({ "utils/misc.ts": "" })).toEqual(["utils/misc.ts: utils is not in the layer table"]);
  });

  it("a relative import of no file is a violation", () => {
    expect(check({ "ram/a.ts": `import "./gone.js";` })).toEqual(["ram/a.ts: ./gone.js names no file of src/"]);
  });
});

describe("src", () => {
  const paths = readdirSync(src, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".ts"));

  it("every import points down, and none in a circle", () => {
    const modules = paths.filter((path) => !path.endsWith(".d.ts"));
    const files = new Map(modules.map((path) => [path, readFileSync(new URL(path, src), "utf8")]));
    expect(files.size).toBeGreaterThan(0);
    expect(layerViolations(files)).toEqual([]);
  });

  it("every file and folder name is kebab-case", () => {
    expect(paths.filter((path) => !/^(\/?[a-z0-9]+(-[a-z0-9]+)*)+(\.[a-z0-9]+)*\.ts$/.test(path))).toEqual([]);
  });
});
