import { describe, expect, it } from "vitest";
import { assemble } from "./assembler.js";

const bytes = (source: string, constants: Record<string, number> = {}) =>
  Array.from(assemble(source, { origin: 0x1000, constants }).code);

describe("assemble", () => {
  it("emits hexadecimal bytes and ignores comments", () => {
    expect(bytes("FA 31C0 ; cli, FF FF\n; nothing\nF4")).toEqual([0xfa, 0x31, 0xc0, 0xf4]);
  });

  it("resolves labels before and after their use by absolute address", () => {
    expect(bytes("a: 90 {b} b: {a}")).toEqual([0x90, 0x05, 0x10, 0, 0, 0x00, 0x10, 0, 0]);
  });

  it("measures relative jumps from the end of the fixup", () => {
    expect(bytes("here: EB {here:rel8}")).toEqual([0xeb, 0xfe]);
    expect(bytes("E8 {next:rel32} 90 next: C3")).toEqual([0xe8, 1, 0, 0, 0, 0x90, 0xc3]);
  });

  it("emits offsets from the origin, byte constants and interrupt gates", () => {
    expect(bytes("90 x: {x:off16}")).toEqual([0x90, 1, 0]);
    expect(bytes("{N:byte}", { N: 0xf4 })).toEqual([0xf4]);
    expect(bytes("g: {g:gate}")).toEqual([0, 0x10, 8, 0, 0, 0x8e, 0, 0]);
  });

  it("reports labels as offsets", () => {
    expect(assemble("90 90 x: 90", { origin: 0x1000 }).labels.get("x")).toBe(2);
  });

  it.each([
    ["an unknown name", "{nowhere}", "Line 1: unknown name nowhere"],
    ["an unknown fixup kind", "a: {a:rel16}", "Line 1: no fixup kind rel16"],
    ["half a byte", "90\n9", "Line 2: cannot read 9"],
    ["a label defined twice", "a: 90 a: 90", "Line 1: label a is defined twice"],
    ["a short jump over too much", `EB {far:rel8} ${"90 ".repeat(128)} far:`, "Line 1: far is too far"],
    ["a short jump back over too much", `far: ${"90 ".repeat(127)} EB {far:rel8}`, "Line 1: far is too far"],
    ["a constant that is no byte", "{N:byte}", "Line 1: N is not a byte: 256"],
  ])("refuses %s", (_, source, message) => {
    expect(() => bytes(source, { N: 256 })).toThrow(new RangeError(message));
  });
});
