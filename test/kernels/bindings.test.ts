import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { checkKernels, compileKernels, kernels as kernelsPlugin } from "../../rollup.config.mjs";

const compiled = await compileKernels();

/** Messages of the compiler for a file of this text beside this test, with the project's options. */
function typeErrors(text: string, virtual: Readonly<Record<string, string>>): string[] {
  const files = new Map(
    [["check.ts", text], ...Object.entries(virtual)].map(([name, body]) => [resolve(import.meta.dirname, name), body]),
  );
  const config = ts.readConfigFile("tsconfig.json", (path) => readFileSync(path, "utf8")) as { config: object };
  const { options } = ts.parseJsonConfigFileContent({ ...config.config, include: [], files: [] }, ts.sys, ".");
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => files.has(name) || disk.fileExists(name),
    readFile: (name) => files.get(name) ?? disk.readFile(name),
    getSourceFile: (name, languageVersion, ...rest) => {
      const body = files.get(name);
      if (body === undefined) return disk.getSourceFile(name, languageVersion, ...rest);
      return ts.createSourceFile(name, body, languageVersion);
    },
  };
  const program = ts.createProgram([[...files.keys()][0]], { ...options, types: [] }, host);
  return ts.getPreEmitDiagnostics(program).map((found) => ts.flattenDiagnosticMessageText(found.messageText, " "));
}

/** Holds if the exports that asc declares, but for the memory, are exactly the raw kernels of the adapter. */
const SAME_EXPORTS = `
  import type { instantiate } from "./asc.js";
  import type { RawKernels } from "../../src/kernels/types.js";
  type Exports = Omit<Awaited<ReturnType<typeof instantiate>>, "memory">;
  type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
  type Flat<T> = { [K in keyof T]: T[K] };
  type Signatures<T> = { [K in keyof T]: T[K] extends (...args: infer A) => infer R ? [[...A], R] : never };
  export const same: Equal<Flat<Signatures<Exports>>, Flat<Signatures<RawKernels>>> = true;
`;

describe.each(["plain", "shared"] as const)("%s build", (target) => {
  const { base64, bindings, byteLength, sha256 } = compiled[target];
  const wasm = Buffer.from(base64, "base64");

  test("exports, as asc declares them, have the types of RawKernels", () => {
    expect(typeErrors(SAME_EXPORTS, { "asc.d.ts": bindings })).toEqual([]);
  });

  test("exports, one signature changed, no longer have the types of RawKernels", () => {
    const changed = bindings.replace(/xbzrleDecode\(src: number, /, "xbzrleDecode(src: bigint, ");
    expect(changed).not.toBe(bindings);
    expect(typeErrors(SAME_EXPORTS, { "asc.d.ts": changed })).toEqual([
      "Type 'true' is not assignable to type 'false'.",
    ]);
  });

  test("binary, has no data segment and no start function, and imports only the memory", () => {
    expect(() => checkKernels(wasm)).not.toThrow();
    expect(wasm).toHaveLength(byteLength);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(WebAssembly.Module.exports(new WebAssembly.Module(wasm)).filter(({ kind }) => kind !== "function")).toEqual([
      { name: "memory", kind: "memory" },
    ]);
  });
});

describe("checkKernels", () => {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  const memoryImport = [2, 15, 1, 3, ...Buffer.from("env"), 6, ...Buffer.from("memory"), 2, 0, 0];

  test("a module with a data segment, is refused", () => {
    const data = [11, 7, 1, 0, 0x41, 0, 0x0b, 1, 42];
    expect(() => checkKernels(Uint8Array.from([...header, ...memoryImport, ...data]))).toThrow(
      "must not have a data segment",
    );
  });

  test("a module with a start function, is refused", () => {
    const start = [1, 4, 1, 0x60, 0, 0, ...memoryImport, 3, 2, 1, 0, 8, 1, 0, 10, 4, 1, 2, 0, 0x0b];
    expect(() => checkKernels(Uint8Array.from([...header, ...start]))).toThrow("must not have a start function");
  });

  test("a module that brings its own memory, is refused", () => {
    expect(() => checkKernels(Uint8Array.from([...header, 5, 3, 1, 0, 1]))).toThrow("must import their memory");
  });
});

describe("kernelsPlugin", () => {
  type Hook = (this: unknown, id: string) => unknown;

  test("modules instead of bytes (workerd), imports the files that the build writes", async () => {
    const plugin = kernelsPlugin({ embed: false });
    const resolveId = plugin.resolveId as Hook;
    const code = await (plugin.load as Hook).call({}, resolveId.call({}, "virtual:savevm-kernels") as string);
    expect(code).toContain('import plainModule from "./kernels.wasm";');
    expect(code).toContain('import sharedModule from "./kernels.shared.wasm";');
    expect(code).not.toContain(compiled.plain.base64);
    expect(resolveId.call({}, "./kernels.wasm")).toEqual({ id: "./kernels.wasm", external: true });
  });

  test("anything else, is left to others", () => {
    const plugin = kernelsPlugin();
    expect((plugin.resolveId as Hook).call({}, "./kernels.wasm")).toBeNull();
    expect((plugin.resolveId as Hook).call({}, "./zero.js")).toBeNull();
  });
});

test("assembly/, every file, stays within pure kernels: no managed objects, strings or heap", () => {
  for (const name of readdirSync("assembly")) {
    const text = readFileSync(`assembly/${name}`, "utf8").replace(/\/\*[^]*?\*\/|\/\/.*|from ".*"/g, "");
    expect({ name, found: text.match(/\bnew\b|["'`]|\bclass\b|\bStaticArray\b|\bheap\b|memory\.data/g) }).toEqual({
      name,
      found: null,
    });
  }
});
