import { describe, expect, it } from "vitest";
import { checkVMState, vmstate } from "../../src/vmstate/describe.js";
import {
  array,
  buffer,
  pointers,
  struct,
  tailq,
  temporary,
  u16,
  u32,
  u8,
  unused,
  varray,
  vstruct,
} from "../../src/vmstate/fields.js";
import { JsonWriter } from "../../src/vmstate/vmdesc.js";
import { described } from "../kit/vmstate.js";

const point = vmstate("point", { version: 1, fields: [u8("x"), u16("y")] });
const tagged = vmstate("tagged", {
  version: 1,
  fields: [u8("x")],
  subsections: [vmstate("tagged/s", { version: 3, fields: [u8("z")] })],
});
const body = (json: string): string => json.slice(json.indexOf('"fields": ') + 10, -1);

describe("saveVMState, description", () => {
  it("scalars and buffers: name, type, size", () => {
    const state = vmstate("d", { version: 7, fields: [u8("a"), buffer("b", 3), unused(2)] });
    expect(described(state, { a: 1, b: new Uint8Array(3) })).toBe(
      '{"vmsd_name": "d", "version": 7, "fields": [{"name": "a", "type": "uint8", "size": 1}, ' +
        '{"name": "b", "type": "buffer", "size": 3}, {"name": "unused", "type": "unused_buffer", "size": 2}]}',
    );
  });

  it("an array: folded to array_len, described by its first element", () => {
    const state = vmstate("d", { version: 1, fields: [array("r", u32, 8), array("one", u8, 1)] });
    expect(body(described(state, { r: new Uint32Array(8), one: [1] }))).toBe(
      '[{"name": "r", "array_len": 8, "type": "uint32", "size": 4}, {"name": "one", "type": "uint8", "size": 1}]',
    );
  });

  it("an array of structs that are alike: folded; of structs with subsections: one by one", () => {
    const folded = vmstate("d", { version: 1, fields: [array("p", point, 2)] });
    expect(
      body(
        described(folded, {
          p: [
            { x: 1, y: 2 },
            { x: 3, y: 4 },
          ],
        }),
      ),
    ).toBe(
      '[{"name": "p", "array_len": 2, "type": "struct", "struct": {"vmsd_name": "point", "version": 1, "fields": ' +
        '[{"name": "x", "type": "uint8", "size": 1}, {"name": "y", "type": "uint16", "size": 2}]}, "size": 3}]',
    );
    const single = vmstate("d", { version: 1, fields: [array("t", tagged, 2)] });
    const text = body(
      described(single, {
        t: [
          { x: 1, z: 2 },
          { x: 3, z: 4 },
        ],
      }),
    );
    const one = (i: string) =>
      `{"name": "t", ${i}"type": "struct", "struct": {"vmsd_name": "tagged", "version": 1, "fields": ` +
      '[{"name": "x", "type": "uint8", "size": 1}], "subsections": [{"vmsd_name": "tagged/s", "version": 3, "fields": ' +
      '[{"name": "z", "type": "uint8", "size": 1}]}]}, "size": 16}';
    expect(text).toBe(`[${one('"index": 0, ')}, ${one('"index": 1, ')}]`);
  });

  it("unfolded arrays in the styles of later releases: no index in the last, no index at all", () => {
    const state = vmstate("d", { version: 1, fields: [array("r", u8, 3, { exists: () => true })] });
    const indices = (style: "8.2" | "10.0" | "11.1") =>
      [...described(state, { r: [1, 2, 3] }, style).matchAll(/"name": "r"(?:, "index": (\d))?/g)].map(
        (m) => m[1] ?? "-",
      );
    expect(indices("8.2")).toEqual(["0", "1", "2"]);
    expect(indices("10.0")).toEqual(["0", "1", "-"]);
    expect(indices("11.1")).toEqual(["-", "-", "-"]);
  });

  it("a repeated name is numbered, also when the others are absent", () => {
    const state = vmstate("d", { version: 1, fields: [u16("c", { exists: () => false }), u32("c"), u8("e")] });
    expect(body(described(state, { c: 1, e: 2 }))).toBe(
      '[{"name": "c[1]", "type": "uint32", "size": 4}, {"name": "e", "type": "uint8", "size": 1}]',
    );
  });

  it("vstruct, tmp and lists: the child's members stand inline, once an element", () => {
    const fields =
      '"vmsd_name": "point", "version": 1, "fields": [{"name": "x", "type": "uint8", "size": 1}, {"name": "y", "type": "uint16", "size": 2}]';
    const state = vmstate("d", {
      version: 1,
      fields: [vstruct("v", point, 1), temporary("t", point, () => ({ x: 0, y: 0 })), tailq("q", point)],
    });
    const p = { x: 1, y: 2 };
    expect(body(described(state, { v: p, q: [p, p] }))).toBe(
      `[{"name": "v", "type": "vstruct", ${fields}, "size": 3}, {"name": "t", "type": "tmp", ${fields}, "size": 3}, ` +
        `{"name": "q", "type": "qtailq", ${fields}, ${fields}, "size": 9}]`,
    );
  });

  it("no element: not described; a null pointer: one byte under the field's own type", () => {
    const state = vmstate("d", { version: 1, fields: [u8("n"), varray("v", u8, "n"), pointers("p", tagged, 1)] });
    expect(body(described(state, { n: 0, v: [], p: [null] }))).toBe(
      '[{"name": "n", "type": "uint8", "size": 1}, {"name": "p", "type": "struct", "struct": {}, "size": 1}]',
    );
  });

  it("an older version being saved: its number, and only its fields", () => {
    const state = vmstate("v", { version: 2, fields: [u8("a"), u8("b", { since: 2 })] });
    const outer = vmstate("d", { version: 1, fields: [vstruct("s", state, 1), struct("t", state)] });
    const text = described(outer, { s: { a: 1, b: 2 }, t: { a: 3, b: 4 } });
    expect(text).toContain(
      '"type": "vstruct", "vmsd_name": "v", "version": 1, "fields": [{"name": "a", "type": "uint8", "size": 1}], "size": 1}',
    );
    expect(text).toContain('"struct": {"vmsd_name": "v", "version": 2');
  });
});

describe("JsonWriter", () => {
  it("text: quotes, backslashes and anything not ASCII are escaped", () => {
    const json = new JsonWriter();
    json.startObject();
    json.string('k"', "a\\u00e9b\u00e9\n\u001f");
    json.integer("n", -5);
    json.endObject();
    expect(json.toString()).toBe('{"k\\"": "a\\\\u00e9b\\u00E9\\n\\u001F", "n": -5}');
    expect(JSON.parse(json.toString())).toEqual({ 'k"': "a\\u00e9b\u00e9\n\u001f", n: -5 });
  });
});

describe("checkVMState", () => {
  it("a subsection that does not continue the name, at any depth: a RangeError", () => {
    const wrong = vmstate("d", { version: 1, fields: [], subsections: [vmstate("e/s", { version: 1, fields: [] })] });
    expect(() => checkVMState(wrong)).toThrow(RangeError);
    expect(() => checkVMState(vmstate("o", { version: 1, fields: [struct("s", wrong)] }))).toThrow(RangeError);
    expect(() => checkVMState(vmstate("o", { version: 1, fields: [array("s", wrong, 2)] }))).toThrow(RangeError);
    expect(() => checkVMState(tagged)).not.toThrow();
  });

  it("impossible descriptions: a RangeError where they are made", () => {
    expect(() => vmstate("d", { version: 1, minimumVersion: 2, fields: [] })).toThrow(RangeError);
    expect(() => vmstate("d", { version: -1, fields: [] })).toThrow(RangeError);
    expect(() => vmstate("", { version: 1, fields: [] })).toThrow(RangeError);
    expect(() => vmstate("x".repeat(256), { version: 1, fields: [] })).toThrow(RangeError);
    expect(() => checkVMState(vmstate("d", { version: 1, fields: [vstruct("s", point, 2)] }))).toThrow(RangeError);
    expect(() => array("a", u8, -1)).toThrow(RangeError);
    expect(() => u8("")).toThrow(RangeError);
  });
});
