import { describe, expect, it } from "vitest";
import { StateError, varray, u8, variableField, vmstate } from "../../src/index.js";
import { countedString } from "../../src/stream/drive.js";
import { fromHex, toHex } from "../kit/hex.js";
import { described, load, saved } from "../kit/vmstate.js";

const word = variableField<string>({
  type: "capability",
  put: (writer, value) => writer.countedString(value),
  *load(reader, current) {
    const text = yield* countedString(reader);
    if (text === current()) throw new StateError("FIELD_INVALID", "Load a word: it is the old one");
    return text;
  },
});
const state = vmstate("d", {
  version: 1,
  fields: [u8("a"), word("one"), u8("n"), varray("more", word, "n", { max: 3 }), u8("z")],
});
const device = () => ({ a: 1, one: "x", n: 2, more: ["yes", ""], z: 9 });
const empty = () => ({ a: 0, one: "", n: 0, more: [] as string[], z: 0 });
const BYTES = "01 0178 02 03796573 00 09";

describe("variableField", () => {
  it("saved and loaded, alone and in an array, whole and byte by byte", () => {
    expect(toHex(saved(state, device()))).toBe(BYTES.replaceAll(" ", ""));
    for (const chunk of [100, 1]) {
      const into = empty();
      expect(load(state, into, fromHex(BYTES), { chunk })).toBe(0);
      expect(into).toEqual(device());
    }
  });

  it("described by its type, each element with its own size", () => {
    expect(described(state, device())).toContain('{"name": "one", "type": "capability", "size": 2}');
    expect(described(state, device())).toContain('{"name": "more", "array_len": 2, "type": "capability", "size": 4}');
  });

  it("its errors carry the path, and the device is untouched", () => {
    const into = { ...empty(), more: ["", "a"] };
    const bytes = fromHex("01 0178 02 0162 0161 09");
    expect(() => load(state, into, bytes)).toThrow(
      expect.objectContaining({ code: "FIELD_INVALID", field: "more[1]" }) as Error,
    );
    expect(into).toEqual({ ...empty(), more: ["", "a"] });
  });

  it("the stream ends within: TRUNCATED with the path", () => {
    expect(() => load(state, empty(), fromHex("01 0578"))).toThrow(
      expect.objectContaining({ code: "TRUNCATED", field: "one" }) as Error,
    );
  });
});
