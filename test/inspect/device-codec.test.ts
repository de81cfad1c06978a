import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { formatDescription, parseDescription, wireSize, type DescribedState } from "../../src/inspect/description.js";
import { decodeFields, encodeFields } from "../../src/inspect/device-codec.js";
import { formatValue } from "../../src/inspect/device-value.js";
import { Reader } from "../../src/stream/reader.js";
import { concat, Writer } from "../../src/stream/writer.js";

/** The state of one device whose description entry has these members, as JSON text: keys may repeat. */
function described(fields: string, rest = ""): DescribedState {
  const device = `{"name": "dev", "instance_id": 0, "vmsd_name": "dev", "version": 1, "fields": [${fields}]${rest}}`;
  return parseDescription(`{"page_size": 4096, "devices": [${device}]}`).devices[0].state;
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));
}

/** Decode, check that encoding gives the bytes back, and show the values. */
function decoded(state: DescribedState, hex: string): string {
  const body = bytes(hex);
  expect(wireSize(state)).toBe(body.length);
  const reader = Reader.of(body);
  const fields = decodeFields(reader, state);
  expect(reader.available).toBe(0);
  const writer = new Writer();
  encodeFields(writer, state, fields);
  expect(Buffer.from(concat(writer.take())).toString("hex")).toBe(Buffer.from(body).toString("hex"));
  return formatValue(fields);
}

const field = (name: string, type: string, size: number, rest = ""): string =>
  `{"name": "${name}", ${rest}"type": "${type}", "size": ${size}}`;

describe("decodeFields", () => {
  it.each([
    ["uint8", 1, "ff", "255"],
    ["int8", 1, "ff", "-1"],
    ["uint16", 2, "fffe", "65534"],
    ["int16", 2, "fffe", "-2"],
    ["uint32", 4, "fffffffe", "4294967294"],
    ["int32", 4, "fffffffe", "-2"],
    ["uint64", 8, "00000000 00000007", "7"],
    ["uint64", 8, "ffffffff ffffffff", '"18446744073709551615"'],
    ["int64", 8, "ffffffff fffffffe", "-2"],
    ["int64", 8, "80000000 00000000", '"-9223372036854775808"'],
    ["uint64", 8, "001fffff ffffffff", "9007199254740991"],
    ["uint64", 8, "00200000 00000000", '"9007199254740992"'],
    ["uint8 equal", 1, "03", "3"],
    ["int64 equal", 8, "80000000 00000000", '"9223372036854775808"'],
    ["int32 le", 4, "00000003", "3"],
    ["CPU_Double_U", 8, "3ff00000 00000000", '"4607182418800017408"'],
    ["bool", 1, "01", "true"],
    ["bool", 1, "00", "false"],
    ["bool", 1, "02", "2"],
    ["timer", 8, "00000000 00000005", "5"],
    ["timer", 8, "ffffffff ffffffff", "null"],
    ["nullptr", 1, "30", "null"],
    ["capability", 4, "03 616263", '"abc"'],
    ["buffer", 3, "00AbfF", '"00abff"'],
    ["unused_buffer", 2, "0000", '"0000"'],
    ["bitmap", 8, "00000000 00000003", '"0000000000000003"'],
    ["pci irq state", 4, "00000001", '"00000001"'],
    ["uint32", 1, "30", '"30"'],
  ])("%s of %i bytes, %s: %s", (type, size, hex, value) => {
    expect(decoded(described(field("f", type, size)), hex)).toBe(`{ "f": ${value} }`);
  });

  it("array_len: an array, also of one element", () => {
    const state = described(
      `${field("a", "uint16", 2, '"array_len": 3, ')}, ${field("b", "uint8", 1, '"array_len": 1, ')}`,
    );
    expect(decoded(state, "0001 0002 0003 04")).toBe('{ "a": [1, 2, 3], "b": [4] }');
  });

  it.each([
    ["7.2: an index in each", ['"index": 0, ', '"index": 1, ']],
    ["10.0: none in the last", ['"index": 0, ', ""]],
    ["11.1: none at all", ["", ""]],
  ])("elements of an array that is not folded, %s: one array", (_, [first, second]) => {
    const state = described(
      `${field("a", "uint8", 1, first)}, ${field("a", "uint8", 1, second)}, ${field("b", "uint8", 1)}`,
    );
    expect(decoded(state, "010203")).toBe('{ "a": [1, 2], "b": 3 }');
  });

  it("runs of null and other elements: one array", () => {
    const state = described(
      `${field("a", "nullptr", 1, '"array_len": 2, ')}, ${field("a", "uint8", 1, '"array_len": 2, ')}`,
    );
    expect(decoded(state, "3030 0102")).toBe('{ "a": [null, null, 1, 2] }');
  });

  it("two fields of one name: an unambiguous key each", () => {
    const state = described(`${field("a", "uint8", 1)}, ${field("b", "uint8", 1)}, ${field("a", "uint8", 1)}`);
    expect(decoded(state, "010203")).toBe('{ "a": 1, "b": 2, "a#2": 3 }');
  });

  it("names like numbers and like members of objects: kept, in wire order", () => {
    const state = described(`${field("2", "uint8", 1)}, ${field("1", "uint8", 1)}, ${field("__proto__", "uint8", 1)}`);
    expect(decoded(state, "010203")).toBe('{ "2": 1, "1": 2, "__proto__": 3 }');
  });

  const child = (name: string, ...fields: string[]): string =>
    `"vmsd_name": "${name}", "version": 1, "fields": [${fields.join(", ")}]`;

  it("structs with subsections: nested, the subsection by its full name", () => {
    const sub = `"subsections": [{${child("s/sub", field("y", "uint8", 1))}}]`;
    const struct = `"struct": {${child("s", field("x", "uint8", 1))}, ${sub}}`;
    const state = described(`{"name": "s", "type": "struct", ${struct}, "size": 13}, ${field("z", "uint8", 1)}`);
    expect(decoded(state, "01 05 05 732f737562 00000001 02 03")).toBe(
      '{ "s": { "x": 1, "s/sub": { "y": 2 } }, "z": 3 }',
    );
  });

  it("a null pointer to a struct, as 8.2 describes it: null", () => {
    expect(decoded(described('{"name": "p", "type": "struct", "struct": {}, "size": 1}'), "30")).toBe('{ "p": null }');
  });

  it.each(["tmp", "vstruct"])("%s: the child stands in the entry itself", (type) => {
    const state = described(`{"name": "t", "type": "${type}", ${child("c", field("x", "uint8", 1))}, "size": 1}`);
    expect(decoded(state, "07")).toBe('{ "t": { "x": 7 } }');
  });

  it.each(["qtailq", "qlist"])("%s: one set of keys per element, an array of as many", (type) => {
    const children = [1, 2].map(() => child("e", field("x", "uint8", 1))).join(", ");
    const state = described(`{"name": "l", "type": "${type}", ${children}, "size": 5}, ${field("z", "uint8", 1)}`);
    expect(decoded(state, "01 05 01 06 00 09")).toBe('{ "l": [{ "x": 5 }, { "x": 6 }], "z": 9 }');
    expect(decoded(described(`{"name": "l", "type": "${type}", "size": 1}`), "00")).toBe('{ "l": [] }');
  });

  it("gtree with numbers for keys: pairs", () => {
    const state = described(`{"name": "t", "type": "gtree", ${child("v", field("x", "uint8", 1))}, "size": 15}`);
    expect(decoded(state, "00000001 01 0000000000000007 05 00")).toBe('{ "t": [{ "key": 7, "value": { "x": 5 } }] }');
  });

  it("gtree with described keys: pairs", () => {
    const children = `${child("k", field("low", "uint16", 2))}, ${child("v", field("x", "uint8", 1))}`;
    const state = described(`{"name": "t", "type": "gtree", ${children}, "size": 9}`);
    expect(decoded(state, "00000001 01 0009 05 00")).toBe('{ "t": [{ "key": { "low": 9 }, "value": { "x": 5 } }] }');
  });

  it("a container whose keys do not account for its bytes: hex", () => {
    const state = described(`{"name": "l", "type": "qtailq", ${child("e", field("x", "uint8", 1))}, "size": 5}`);
    expect(decoded(state, "01 05 01 06 00")).toBe('{ "l": "0105010600" }');
  });

  it.each([
    ["a subsection that is not there", `, "subsections": [{${child("dev/s")}}]`, "01 05 05 6465762f74 00000001"],
    ["a field beyond the end", `, "x": 1`, ""],
  ])("%s: DESCRIPTION_MISMATCH", (_, rest, hex) => {
    const state = described(field("f", "uint8", 1), rest);
    let found: unknown = null;
    try {
      decodeFields(Reader.of(bytes(hex)), state);
    } catch (error) {
      found = error;
    }
    expect(isMigrationError(found, "DESCRIPTION_MISMATCH")).toBe(true);
  });

  it("an element of a list without its marker: DESCRIPTION_MISMATCH with the field", () => {
    const state = described(`{"name": "l", "type": "qtailq", ${child("e", field("x", "uint8", 1))}, "size": 3}`);
    expect(() => decodeFields(Reader.of(bytes("02 05 00")), state)).toThrow(
      expect.objectContaining({ code: "DESCRIPTION_MISMATCH", field: "l" }),
    );
  });
});

describe("parseDescription", () => {
  const sample =
    '{"configuration": {"vmsd_name": "configuration", "version": 1, "fields": [{"name": "len", "type": "uint32", "size": 4}]}, ' +
    '"page_size": 1024, "devices": [{"name": "slirp", "instance_id": 0, "size": 131, "fields": ' +
    '[{"name": "data", "size": 131, "type": "buffer"}]}, {"name": "q\\"\\u00E9", "instance_id": 4294967295, "vmsd_name": "q", ' +
    '"version": 2, "fields": [{"name": "l", "type": "qtailq", "vmsd_name": "e", "version": 1, "fields": [], "vmsd_name": ' +
    '"e", "version": 1, "fields": [], "size": 3}, {"name": "a", "index": 0, "type": "struct", "struct": {"vmsd_name": "s", ' +
    '"version": 0, "fields": []}, "size": 0}], "subsections": [{"vmsd_name": "q/s", "version": 1, "fields": []}]}]}';

  it("formatDescription gives the very text back, repeated keys included", () => {
    expect(formatDescription(parseDescription(sample))).toBe(sample);
  });

  it("keys that nobody knows are passed over", () => {
    const text =
      '{"new": [1.5e3, true, null, {"a": "b"}], "devices": [{"name": "d", "instance_id": 0, "new": -1, "fields": []}]}';
    expect(parseDescription(text).devices).toHaveLength(1);
  });

  it.each([
    ["nothing", ""],
    ["no devices", '{"page_size": 4096}'],
    ["text behind it", '{"devices": []} x'],
    ["a cut text", sample.slice(0, -3)],
    ["a string where a number must be", '{"page_size": "4096", "devices": []}'],
    ["a negative size", `{"devices": [{"name": "d", "instance_id": 0, "size": -1, "fields": []}]}`],
    ["a number beyond 2^53", '{"page_size": 9007199254740993, "devices": []}'],
    ["deep nesting", `{"x": ${"[".repeat(100)}${"]".repeat(100)}, "devices": []}`],
    ["a control character in a string", '{"devices": [{"name": "a\nb", "instance_id": 0, "fields": []}]}'],
  ])("%s: DESCRIPTION_INVALID", (_, text) => {
    expect(() => parseDescription(text)).toThrow(expect.objectContaining({ code: "DESCRIPTION_INVALID" }));
  });
});
