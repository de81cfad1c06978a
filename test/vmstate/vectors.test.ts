import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import * as f from "../../src/vmstate/fields.js";
import { vmstate } from "../../src/vmstate/describe.js";
import type { AnyField, AnyVMState } from "../../src/vmstate/types.js";
import { fromHex, toHex } from "../kit/hex.js";
import { load, saved } from "../kit/vmstate.js";

/** The cases of test/vectors/vmstate.json, each turned into a description, a device and its bytes. */

interface VectorField {
  name: string;
  type: string;
  array?: number;
  varray?: string;
  multiply_elements?: number;
  vbuffer?: string;
  multiply?: number;
  size?: number;
  bits?: number;
  version?: number;
  exists?: boolean;
  struct_version?: number;
  array_of_pointer?: boolean | "auto";
  vmsd?: VectorState;
  value_vmsd?: VectorState;
  key_vmsd?: VectorState;
}
interface VectorState {
  name: string;
  version: number;
  minimum_version?: number;
  fields: VectorField[];
  subsections?: VectorState[];
}
type Value = Record<string, unknown> & { needed?: string[]; unread?: string };
interface Vector {
  name: string;
  vmsd: VectorState;
  value: Value | null;
  bytes: string;
  stream_version?: number;
  direction?: "load";
  local?: Value;
  error?: string;
}

const { cases } = JSON.parse(readFileSync(new URL("../vectors/vmstate.json", import.meta.url), "utf8")) as {
  cases: Vector[];
};

const SCALARS: Record<string, f.ScalarField<never> | undefined> = {
  bool: f.bool,
  int8: f.i8,
  uint8: f.u8,
  int16: f.i16,
  uint16: f.u16,
  int32: f.i32,
  uint32: f.u32,
  int64: f.i64,
  uint64: f.u64,
  timer: f.timer,
  CPU_Double_U: f.cpuDouble,
  "uint8 equal": f.u8Equal,
  "int32 le": f.i32Le,
} as never;

function stateOf(vector: VectorState): AnyVMState {
  return vmstate(vector.name, {
    version: vector.version,
    minimumVersion: vector.minimum_version ?? vector.version,
    needed: (device) => (device as { needed?: string[] }).needed?.includes(vector.name) ?? true,
    fields: vector.fields.map(fieldOf),
    subsections: (vector.subsections ?? []).map(stateOf),
  });
}

function fieldOf(v: VectorField): AnyField {
  const options = {
    ...(v.version === undefined || v.type === "qtailq" || v.type === "qlist" || v.type === "gtree"
      ? {}
      : { since: v.version }),
    ...(v.exists === undefined ? {} : { exists: () => v.exists === true }),
  };
  const scalar = SCALARS[v.type];
  const nested = v.vmsd === undefined ? null : stateOf(v.vmsd);
  const of = scalar ?? nested;
  if (v.array_of_pointer !== undefined && v.vmsd !== undefined) {
    const mode = v.array_of_pointer === "auto" ? "auto" : "marker";
    return f.pointers(v.name, stateOf(v.vmsd), v.array ?? 0, { mode, create: () => ({}) });
  }
  if (v.array !== undefined && of !== null) return f.array(v.name, of, v.array, options as never);
  if (v.varray !== undefined && of !== null) {
    const grow = { max: 64, create: () => ({}), multiply: v.multiply_elements ?? 1 };
    return f.varray(v.name, of, v.varray, { ...options, ...grow } as never);
  }
  if (scalar !== undefined) return scalar(v.name, options);
  switch (v.type) {
    case "buffer":
      if (v.vbuffer !== undefined) return f.vbuffer(v.name, v.vbuffer, { max: 64, multiply: v.multiply ?? 1 });
      return f.buffer(v.name, v.size ?? 0, options);
    case "unused_buffer":
      return f.unused(v.size ?? 0, options);
    case "bitmap":
      return f.bitmap(v.name, v.bits ?? 0);
    case "struct":
      return f.struct(v.name, nested as AnyVMState);
    case "vstruct":
      return f.vstruct(v.name, nested as AnyVMState, v.struct_version ?? 0);
    case "qtailq":
      return f.tailq(v.name, nested as AnyVMState);
    case "qlist":
      return f.list(v.name, nested as AnyVMState);
    case "gtree":
      return v.key_vmsd === undefined
        ? f.tree(v.name, stateOf(v.value_vmsd as VectorState))
        : f.keyedTree(v.name, stateOf(v.key_vmsd), stateOf(v.value_vmsd as VectorState));
    default:
      throw new Error(`Vector type ${v.type} has no field constructor`);
  }
}

/** A vector's value in the form that our fields hold. `blank` keeps the shape and empties the values. */
function deviceOf(vector: VectorState, value: Value, blank: boolean): Record<string, unknown> {
  const device = membersOf(vector, value, blank);
  for (const [key, member] of Object.entries(value)) if (!(key in device)) device[key] = member;
  return device;
}

function membersOf(vector: VectorState, value: Value, blank: boolean): Record<string, unknown> {
  const device: Record<string, unknown> = {};
  for (const field of vector.fields) device[field.name] = valueOf(field, value[field.name], blank);
  for (const sub of vector.subsections ?? []) Object.assign(device, membersOf(sub, value, blank));
  return device;
}

function valueOf(field: VectorField, value: unknown, blank: boolean): unknown {
  const { type } = field;
  if (type === "qtailq" || type === "qlist") {
    return blank ? [] : (value as Value[]).map((element) => deviceOf(field.vmsd as VectorState, element, false));
  }
  if (type === "gtree") {
    if (blank) return new Map();
    return new Map(
      (value as [string | Value, Value][]).map(([key, element]) => [
        typeof key === "string" ? BigInt(key) : key,
        deviceOf(field.value_vmsd as VectorState, element, false),
      ]),
    );
  }
  if (Array.isArray(value) && type !== "bitmap") {
    const { array: _, varray: __, ...one } = field;
    const auto = field.array_of_pointer === "auto";
    return (value as unknown[]).map((element) =>
      element === null || (auto && blank) ? null : valueOf(one, element, blank),
    );
  }
  if (field.vmsd !== undefined) return deviceOf(field.vmsd, (value ?? {}) as Value, blank);
  if (type === "bitmap") {
    const bytes = new Uint8Array(Math.ceil((field.bits ?? 0) / 8));
    if (!blank) for (const bit of value as number[]) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
    return bytes;
  }
  if (type === "buffer") {
    if (value === "paused + NULs")
      return Uint8Array.from({ length: 100 }, (_, i) => (blank ? 0 : (new TextEncoder().encode("paused")[i] ?? 0)));
    const bytes = fromHex(typeof value === "string" ? value : "00".repeat(field.size ?? 0));
    return blank ? new Uint8Array(bytes.length) : bytes;
  }
  if (type === "timer") {
    return blank || typeof value !== "string" || value.startsWith("-1") ? null : BigInt(value);
  }
  if (type === "CPU_Double_U") {
    const { upper, lower } = value as { upper: string; lower: string };
    return blank ? 0n : (BigInt(upper) << 32n) | BigInt(lower);
  }
  if (type === "int64" || type === "uint64") return blank ? 0n : BigInt((value ?? 0) as string);
  if (type === "bool") return blank ? false : value;
  return blank ? 0 : (value ?? 0);
}

const CONVERTIBLE = cases.filter((c) => !c.name.startsWith("captured mc146818rtc"));

describe("vmstate vectors", () => {
  const good = CONVERTIBLE.filter((c) => c.error === undefined);
  for (const vector of good) {
    const state = stateOf(vector.vmsd);
    const value = vector.value as Value;
    const version = vector.stream_version ?? vector.vmsd.version;

    for (const chunk of [Infinity, 1]) {
      it(`load ${vector.name}, ${chunk === 1 ? "byte by byte" : "whole"}: the device holds the value`, () => {
        const bytes = fromHex(vector.bytes);
        const device = { ...deviceOf(vector.vmsd, value, true), ...onlyCounts(vector), ...vector.local };
        const left = load(state, device, bytes, { version, chunk: Math.min(chunk, bytes.length) });
        const wanted = deviceOf(vector.vmsd, value, false);
        for (const key of Object.keys(value)) {
          if (key !== "needed" && key !== "unread")
            expect(plain(device[key as never]), key).toEqual(plain(wanted[key]));
        }
        expect(toHex(bytes.subarray(bytes.length - left))).toBe(value.unread ?? "");
      });
    }

    if (vector.direction !== "load") {
      it(`save ${vector.name}: the bytes are the vector's`, () => {
        const device = deviceOf(vector.vmsd, value, false);
        expect(toHex(saved(state, device, version))).toBe(vector.bytes);
      });
    }
  }

  for (const vector of CONVERTIBLE.filter((c) => c.error !== undefined)) {
    it(`load ${vector.name}: a typed error, and the device is untouched`, () => {
      const state = stateOf(vector.vmsd);
      const local = vector.local ?? {};
      const device = deviceOf(vector.vmsd, local, vector.local === undefined);
      const before = structuredClone(device);
      let thrown: unknown = null;
      try {
        load(state, device, fromHex(vector.bytes), { version: vector.stream_version ?? vector.vmsd.version });
      } catch (error) {
        thrown = error;
      }
      expect(isMigrationError(thrown)).toBe(true);
      expect(device).toEqual(before);
    });
  }

  it("load the captured rtc: saved again, the bytes are the same", () => {
    const vector = cases.find((c) => c.name.startsWith("captured mc146818rtc")) as Vector;
    const fields = vector.vmsd.fields.map((field) =>
      field.type === "unused_buffer"
        ? f.unused(field.size ?? 0, { name: "unused" })
        : fieldOf({ ...field, ...(field.type === "buffer" ? {} : { size: undefined as never }) }),
    );
    const state = vmstate("mc146818rtc", { version: 3, fields });
    const device = deviceOf(vector.vmsd, Object.fromEntries(vector.vmsd.fields.map((v) => [v.name, undefined])), true);
    const bytes = fromHex(vector.bytes);
    const left = load(state, device, bytes);
    expect(toHex(saved(state, device))).toBe(vector.bytes.slice(0, (bytes.length - left) * 2));
  });
});

/** Counts that the stream does not carry are the device's own. */
function onlyCounts({ vmsd, value, direction }: Vector): Record<string, unknown> {
  const names = new Set(vmsd.fields.map((field) => field.name));
  const counts: Record<string, unknown> = {};
  for (const field of vmsd.fields) {
    const from = field.varray ?? field.vbuffer;
    if (from !== undefined && !names.has(from) && direction !== "load") counts[from] = value?.[from];
  }
  return counts;
}

function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return [...value].map(([k, v]) => [plain(k), plain(v)]);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value)
        .filter(([k]) => k !== "needed")
        .map(([k, v]) => [k, plain(v)]),
    );
  }
  return value;
}
