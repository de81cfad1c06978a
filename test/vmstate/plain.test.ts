import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { vmstate } from "../../src/vmstate/describe.js";
import { array, bool, buffer, i16, i32, i64, i8, struct, u16, u32, u64, u8, unused } from "../../src/vmstate/fields.js";
import { plainOf } from "../../src/vmstate/plain.js";
import type { AnyVMState } from "../../src/vmstate/types.js";
import { failure } from "../kit/failure.js";
import { load, saved } from "../kit/vmstate.js";

/** Compiled code and the tables must not differ in anything. */

const unit = vmstate("unit", {
  version: 2,
  minimumVersion: 1,
  fields: [u8("a"), u64("b"), u16("later", { since: 2 })],
});

function describeAll(loaded?: () => void): AnyVMState {
  return vmstate("all", {
    version: 1,
    fields: [
      u8("u8"),
      i8("i8"),
      u16("u16"),
      i16("i16"),
      struct("unit", unit),
      u32("u32"),
      i32("i32"),
      u64("u64"),
      i64("i64"),
      unused(3),
      bool("bool"),
      array("words", u32, 3, { start: 1 }),
      array("signed", i64, 2),
      array("bytes", u8, 60),
      buffer("fifo", 50, { start: 2 }),
      buffer("short", 5),
      u8('"];//`${x}\\\u2028'),
    ],
    ...(loaded === undefined ? {} : { loaded }),
  });
}

function device(): Record<string, unknown> {
  return {
    other: "kept",
    u8: 1,
    i8: -1,
    u16: 2,
    i16: -2,
    unit: { a: 7, b: 8n, later: 9 },
    u32: 0xffffffff,
    i32: -1,
    u64: 0xffffffffffffffffn,
    i64: -1n,
    bool: true,
    words: new Uint32Array([1, 2, 3, 4, 5]),
    signed: new BigInt64Array([-5n, 6n]),
    bytes: new Uint8Array(60).fill(3),
    fifo: new Uint8Array(55).fill(4),
    short: new Uint8Array(5).fill(5),
    '"];//`${x}\\\u2028': 6,
  };
}

/** Run `code` where the platform makes no code of text. */
function withoutCompiler<T>(code: () => T): T {
  vi.stubGlobal("Function", function () {
    throw new EvalError("Code generation from strings disallowed for this context");
  });
  try {
    return code();
  } finally {
    vi.unstubAllGlobals();
  }
}

afterEach(() => vi.unstubAllGlobals());

function both<T>(code: (state: AnyVMState) => T, loaded?: () => void): T[] {
  expect(plainOf(describeAll(loaded), 1)).not.toBeNull();
  return [
    code(describeAll(loaded)),
    withoutCompiler(() => {
      expect(plainOf(describeAll(loaded), 1)).toBeNull();
      return code(describeAll(loaded));
    }),
  ];
}

const size = saved(describeAll(), device()).length;

describe("code and tables", () => {
  it("save and load the same, whatever the bytes, in one piece or byte by byte", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (bytes) => {
        // A struct is followed by a subsection if it looks like one, and 0x05 is where it ends.
        bytes[6 + 11] &= 0xf0;
        const results = [1, size].flatMap((chunk) =>
          both((state) => {
            const target = device();
            const left = load(state, target, bytes, { chunk });
            return { target, left, again: saved(state, target) };
          }),
        );
        for (const result of results) expect(result).toEqual(results[0]);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ["u8", 256],
    ["u8", -129],
    ["u8", 1.5],
    ["u8", "1"],
    ["u8", undefined],
    ["i16", 65536],
    ["u32", 2 ** 32],
    ["u32", -(2 ** 31) - 1],
    ["u32", Number.NaN],
    ["i32", 1n],
    ["u64", 1],
    ["u64", 1n << 64n],
    ["i64", -(1n << 63n) - 1n],
    ["bool", 1],
    ["unit", null],
    ["unit", { a: 1 }],
    ["words", new Uint32Array(3)],
    ["words", 5],
    ["fifo", new Uint8Array(51)],
    ["fifo", new Int8Array(55)],
  ])("refuse to save %s = %s with the same words", (name, value) => {
    const [code, tables] = both((state) => String(failure(() => saved(state, { ...device(), [name]: value }))));
    expect(code).toBe(tables);
  });

  it.each([
    ["u8", 255],
    ["u8", -128],
    ["i8", -0],
    ["u16", -1],
    ["i32", 2 ** 32 - 1],
    ["u64", -(1n << 63n)],
    ["i64", (1n << 64n) - 1n],
    ["words", new Int32Array([0, -1, -2, -3])],
    ["words", [0, 1, 2, 3]],
    ["signed", new BigUint64Array([1n << 63n, 2n])],
  ])("take %s = %s, of either sign and as any array", (name, value) => {
    const [code, tables] = both((state) => {
      const source = { ...device(), [name]: value };
      const bytes = saved(state, source);
      const target = { ...device(), [name]: structuredClone(value) };
      load(state, target, bytes);
      return { bytes, target };
    });
    expect(code).toEqual(tables);
  });

  it.each(["unit", "words", "signed", "fifo"])("refuse to load into a device without %s", (name) => {
    const bytes = saved(describeAll(), device());
    const [code, tables] = both((state) => {
      const target = { ...device(), [name]: undefined };
      const error = String(failure(() => load(state, target, bytes)));
      return { error, target };
    });
    expect(code).toEqual(tables);
    expect(code.error).toContain(name);
  });

  it("put everything back when a loaded hook fails", () => {
    const bytes = saved(describeAll(), device()).fill(0x11);
    const results = both(
      (state) => {
        const target = device();
        const { words, unit } = target;
        const error = String(failure(() => load(state, target, bytes)));
        expect(target).toEqual(device());
        expect(target.words).toBe(words);
        expect(target.unit).toBe(unit);
        return error;
      },
      () => {
        throw new Error("no");
      },
    );
    expect(results[0]).toBe(results[1]);
  });

  it("remove again what was missing, also from an object that had it once", () => {
    const bytes = saved(describeAll(), device());
    const results = both((state) => {
      const target = device();
      load(state, target, bytes);
      delete target.u32;
      Object.defineProperty(target, "bool", { value: false, writable: false });
      return [String(failure(() => load(state, target, bytes))), Object.hasOwn(target, "u32"), target.u8];
    });
    expect(results[0]).toEqual(results[1]);
    expect(results[0].slice(1)).toEqual([false, 1]);
  });

  it("run the accessors of a device's class", () => {
    class Device {
      log: string[] = [];
      #x = 1;
      get x(): number {
        return this.#x;
      }
      set x(value: number) {
        this.log.push(`x = ${value}`);
        this.#x = value;
      }
    }
    const state = vmstate("d", { version: 1, fields: [u8("x")] });
    const target = new Device();
    load(state, target, new Uint8Array([9]));
    expect([target.x, target.log, saved(state, target)]).toEqual([9, ["x = 9"], new Uint8Array([9])]);
  });

  it("see a subsection where a struct ends, and data where it only begins like one", () => {
    const inner = vmstate("inner", { version: 1, fields: [u8("a")] });
    const make = (): AnyVMState => vmstate("outer", { version: 1, fields: [struct("s", inner), array("rest", u8, 9)] });
    for (const text of ["inner/x", "other/x", "inne"]) {
      const bytes = Uint8Array.from([1, 5, text.length, ...new TextEncoder().encode(text), 0, 0, 0, 0, 0].slice(0, 10));
      const attempt = (state: AnyVMState): unknown => {
        const target = { s: { a: 0 }, rest: new Uint8Array(9) };
        try {
          load(state, target, bytes);
        } catch (error) {
          return String(error);
        }
        return target;
      };
      expect(attempt(make())).toEqual(withoutCompiler(() => attempt(make())));
    }
  });
});

it("hooks see what was kept as bytes", () => {
  const seen: unknown[] = [];
  const extra = vmstate("d/extra", {
    version: 1,
    fields: [u8("y")],
    postLoad: (d: { x: number; y: number; list: Uint8Array }) => void seen.push(d.x, d.y, [...d.list]),
  });
  const state = vmstate("d", { version: 1, fields: [u8("x"), array("list", u8, 2)], subsections: [extra] });
  const target = { x: 1, y: 2, list: new Uint8Array([3, 4]) };
  const bytes = saved(state, target);
  Object.assign(target, { x: 0, y: 0, list: new Uint8Array(2) });
  load(state, target, bytes);
  expect(seen).toEqual([1, 2, [3, 4]]);
  expect(target).toEqual({ x: 1, y: 2, list: new Uint8Array([3, 4]) });
});

it("a Node that makes no code of strings saves and loads a machine", async () => {
  const { outputFiles } = await build({
    stdin: { contents: MACHINE, resolveDir: fileURLToPath(new URL("../..", import.meta.url)), loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
  });
  const args = ["--disallow-code-generation-from-strings", "--input-type=module"];
  const output = execFileSync(process.execPath, args, { input: outputFiles[0].text, encoding: "utf8" });
  expect(JSON.parse(output)).toEqual({ compiles: false, x: 7, list: [1, 2, 3], bytes: 45 });
});

const MACHINE = `
  import { plainOf } from "./src/vmstate/plain.js";
  import { vmstate } from "./src/vmstate/describe.js";
  import { array, u32, u8 } from "./src/vmstate/fields.js";
  import { StateRegistry } from "./src/registry/registry.js";
  import { loadStateSync, saveStateSync } from "./src/savevm/run.js";
  const state = vmstate("d", { version: 1, fields: [u32("x"), array("list", u8, 3)] });
  const device = { x: 7, list: new Uint8Array([1, 2, 3]) };
  const registry = new StateRegistry();
  registry.register(state, device);
  const bytes: number[] = [];
  const options = { machine: "none", description: false };
  saveStateSync(registry, { write: (chunk) => void bytes.push(...chunk) }, options);
  Object.assign(device, { x: 0, list: new Uint8Array(3) });
  loadStateSync(registry, Uint8Array.from(bytes), options);
  const compiles = plainOf(state, 1) !== null;
  console.log(JSON.stringify({ compiles, x: device.x, list: [...device.list], bytes: bytes.length }));
`;
