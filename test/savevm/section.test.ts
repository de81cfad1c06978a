import { describe, expect, it } from "vitest";
import {
  footerAhead,
  readSectionFooter,
  readSectionHeader,
  readSectionId,
  sectionTypeOf,
  writeSectionFooter,
  writeSectionHeader,
  type SectionHeader,
} from "../../src/savevm/section.js";
import { decodeSync, type Decode } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { fromHex, toHex } from "../kit/hex.js";

const header: SectionHeader = { id: 2, idstr: "ram", instanceId: 0xfffffffe, version: 4 };

function written(write: (writer: Writer) => void): string {
  const writer = new Writer();
  write(writer);
  return toHex(concat(writer.take()));
}

/** Decode, byte by byte, and tell how many bytes were read. */
function decoded<T>(hex: string, decode: (reader: Reader) => Decode<T>): { value: T; read: number } {
  const reader = new Reader();
  const value = decodeSync(decode(reader), reader, bytesSource(...Array.from(fromHex(hex), (b) => Uint8Array.of(b))));
  return { value, read: reader.offset };
}

describe("section headers", () => {
  it.each([
    ["start", "01"],
    ["full", "04"],
  ] as const)("%s says all there is to say", (type, byte) => {
    const hex = written((writer) => writeSectionHeader(writer, type, header));
    expect(hex).toBe(`${byte}000000020372616dfffffffe00000004`);
    expect(decoded(hex.slice(2), readSectionHeader)).toEqual({ value: header, read: 16 });
    expect(sectionTypeOf(parseInt(byte, 16))).toBe(type);
  });

  it.each([
    ["part", "02"],
    ["end", "03"],
  ] as const)("%s says its id", (type, byte) => {
    const hex = written((writer) => writeSectionHeader(writer, type, header));
    expect(hex).toBe(`${byte}00000002`);
    expect(decoded(hex.slice(2), readSectionId)).toEqual({ value: 2, read: 4 });
    expect(sectionTypeOf(parseInt(byte, 16))).toBe(type);
  });

  it.each([0, 5, 6, 7, 8, 9, 0x7e, 0xff])("the byte %i begins no section", (byte) => {
    expect(sectionTypeOf(byte)).toBeNull();
  });
});

describe("section footers", () => {
  it("name the section, both ways", () => {
    const hex = written((writer) => writeSectionFooter(writer, 2));
    expect(hex).toBe("7e00000002");
    expect(decoded(hex, (reader) => readSectionFooter(reader, header)).read).toBe(5);
  });

  it.each([
    ["another byte", "04", "FOOTER_MISSING", 0],
    ["another id", "7e00000003", "FOOTER_MISMATCH", 0],
    ["half an id", "7e0000", "TRUNCATED", 3],
    ["nothing", "", "TRUNCATED", 0],
  ])("%s is an error", (_, hex, code, offset) => {
    expect(() => decoded(hex, (reader) => readSectionFooter(reader, header))).toThrow(
      expect.objectContaining({ code, offset }) as Error,
    );
  });

  it("a look ahead takes one byte to arrive and consumes none", () => {
    expect(decoded("7e", footerAhead)).toEqual({ value: true, read: 0 });
    expect(decoded("04", footerAhead)).toEqual({ value: false, read: 0 });
  });
});
