import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));

interface Manifest {
  readonly type: string;
  readonly engines: Record<string, string>;
  readonly bin: Record<string, string>;
  readonly files: readonly string[];
  readonly exports: Record<string, string | Record<string, string>>;
  readonly scripts: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

const manifest = JSON.parse(read("package.json")) as Manifest;
const tracked = execFileSync("git", ["-c", "safe.directory=*", "ls-files", "-z"], { cwd: root, encoding: "utf8" })
  .split("\0")
  .filter((path) => path !== "" && existsSync(root + path));

function read(path: string): string {
  return readFileSync(root + path, "utf8");
}

/** As git tells text from binary: by a NUL near the start. */
function isBinary(path: string): boolean {
  return readFileSync(root + path)
    .subarray(0, 8000)
    .includes(0);
}

/** What a plain Node, without this test runner, sees of an entry of the built package. */
function exportedNames(specifier: string): string[] {
  const script = `import(${JSON.stringify(specifier)}).then((m) => console.log(JSON.stringify(Object.keys(m).sort())))`;
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", script], { cwd: root });
  return JSON.parse(printed.toString()) as string[];
}

describe("package.json", () => {
  it("is an ES module package for the Node that CI tests, and publishes the build and its papers only", () => {
    expect(manifest.type).toBe("module");
    expect(manifest.engines).toEqual({ node: ">=20.19" });
    expect(manifest.bin).toEqual({ savevm: "./dist/cli.js" });
    expect(manifest.files).toEqual(["dist", "README.md", "CHANGELOG.md", "LICENSE"]);
  });

  it("exports these entries and no others", () => {
    expect(Object.keys(manifest.exports)).toEqual([
      ".",
      "./node",
      "./bench",
      "./kernels.wasm",
      "./kernels.shared.wasm",
      "./package.json",
    ]);
    expect(manifest.exports["."]).toHaveProperty("workerd");
  });

  it("has exactly these run-time dependencies", () => {
    expect(Object.keys(manifest.dependencies)).toEqual(["@assemblyscript/loader", "commander", "fflate"]);
  });

  it("names every dependency by one exact version", () => {
    const ranges = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(ranges.filter(([, range]) => !/^(npm:[^@]+@)?\d+\.\d+\.\d+$/.test(range))).toEqual([]);
  });

  it("names its scripts verb or verb:noun", () => {
    expect(Object.keys(manifest.scripts).filter((name) => !/^[a-z]+(:[a-z]+){0,2}$/.test(name))).toEqual([]);
  });
});

describe("the build", () => {
  const entries = [...Object.values(manifest.exports), manifest.bin];
  const targets = entries.flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)));

  it.each(targets)("%s is there (npm run build makes it)", (path) => {
    expect(existsSync(root + path)).toBe(true);
  });

  it.each([
    ["savevm", "../src/index.js"],
    ["savevm/node", "../src/node.js"],
    ["savevm/bench", "../src/bench/index.js"],
  ])("%s offers in plain Node the names that its source offers", async (specifier, source) => {
    const names = Object.keys((await import(source)) as object).sort();
    expect(names).not.toEqual([]);
    expect(exportedNames(specifier)).toEqual(names);
  });

  it("the command starts with a line that runs it by Node", () => {
    expect(read("dist/cli.js").split("\n", 1)[0]).toBe("#!/usr/bin/env node");
  });
});

describe("the lock file", () => {
  const lock = JSON.parse(read("package-lock.json")) as { packages: Record<string, Record<string, unknown>> };

  it("agrees with package.json", () => {
    const { dependencies, devDependencies } = lock.packages[""];
    expect({ dependencies, devDependencies }).toEqual({
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
    });
  });

  it("pins content, not places: integrity everywhere, no download address", () => {
    const packages = Object.entries(lock.packages).filter(([path]) => path !== "");
    expect(packages.filter(([, entry]) => "resolved" in entry)).toEqual([]);
    expect(packages.filter(([, entry]) => !("integrity" in entry) && entry["inBundle"] !== true)).toEqual([]);
  });
});

describe("the optional packages of other platforms", () => {
  it("are all in the lock file, because npm ci refuses one that lacks any", () => {
    const { packages } = JSON.parse(read("package-lock.json")) as {
      packages: Record<string, { readonly optionalDependencies?: Record<string, string> }>;
    };
    const wanted = Object.values(packages).flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
    const locked = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, "")));
    expect(wanted.filter((name) => !locked.has(name))).toEqual([]);
  });
});

describe("the installed tools", () => {
  it("tsc is the compiler of the project, not the old one that is there for comparison", () => {
    expect(realpathSync(`${root}node_modules/.bin/tsc`)).toContain("/node_modules/typescript/");
  });
});

describe("the tracked files", () => {
  it("none is built: no .wasm, nothing of dist/ or build/", () => {
    expect(tracked.length).toBeGreaterThan(0);
    expect(tracked.filter((path) => /\.wasm$|^(dist|build|coverage)\//.test(path))).toEqual([]);
  });

  it("binary ones are compressed recordings and data of the tests only, 4 MiB in all", () => {
    const binary = tracked.filter(isBinary);
    expect(binary.filter((path) => !/^test\/(streams|data)\/.*\.gz$/.test(path))).toEqual([]);
    const bytes = binary.reduce((sum, path) => sum + statSync(root + path).size, 0);
    expect(bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
  });

  it("none names a place of one machine", () => {
    const place = /(?<![\w.}:*-])\/(?:home|root|Users|work)\/\w/;
    const named = tracked.filter((path) => !isBinary(path) && place.test(read(path)));
    expect(named).toEqual([]);
  });

  it("none names a package registry", () => {
    const host = new RegExp(["registry", "(npmjs|yarnpkg|npmmirror)"].join("\\."));
    expect(tracked.filter((path) => !isBinary(path) && host.test(read(path)))).toEqual([]);
  });
});
