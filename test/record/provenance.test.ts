import { describe, expect, it } from "vitest";
import { strangePages } from "./provenance.js";

const PAGE = 4096;
const NOTHING = { files: [], guest: false };

/** A page full of bytes that nobody explained. */
const program = (length = PAGE) => Uint8Array.from({ length }, (_, at) => (at * 37 + 11) & 0xff);

function blockWith(page: Uint8Array, at = PAGE): ReadonlyMap<string, Uint8Array> {
  const content = new Uint8Array(4 * PAGE);
  content.set(page, at);
  return new Map([["ram", content]]);
}

describe("strangePages", () => {
  it("reports a page that nothing explains by block and offset", () => {
    expect(strangePages(blockWith(program()), NOTHING)).toEqual(["ram+0x1000"]);
  });

  it("accepts zeros and blocks that the stream does not carry", () => {
    expect(strangePages(new Map([["ram", new Uint8Array(100)]]), NOTHING)).toEqual([]);
    expect(strangePages(new Map([["shared", null]]), NOTHING)).toEqual([]);
  });

  it("accepts a page of a file of ours, wherever it lies in it", () => {
    const file = program(3 * PAGE);
    expect(strangePages(blockWith(file.subarray(100, 100 + PAGE)), { files: [file], guest: false })).toEqual([]);
    expect(strangePages(blockWith(file.subarray(0, 50)), { files: [file], guest: false })).toEqual([]);
  });

  it("accepts 16 bytes of identification in a page, not 17", () => {
    const ones = (count: number) => new Uint8Array(count).fill(1);
    expect(strangePages(blockWith(ones(16)), NOTHING)).toEqual([]);
    expect(strangePages(blockWith(ones(17)), NOTHING)).toEqual(["ram+0x1000"]);
  });

  it("accepts a device tree as far as its own length reaches", () => {
    const tree = program(2 * PAGE);
    new DataView(tree.buffer).setUint32(0, 0xd00dfeed);
    new DataView(tree.buffer).setUint32(4, PAGE + 1);
    expect(strangePages(blockWith(tree), NOTHING)).toEqual([]);
    new DataView(tree.buffer).setUint32(4, PAGE);
    expect(strangePages(blockWith(tree), NOTHING)).toEqual(["ram+0x2000"]);
  });

  it("refuses RAM of a guest that does not hold what the guest must have written", () => {
    const ram = new Map([["pc.ram", new Uint8Array(0x800000)]]);
    expect(() => strangePages(ram, { files: [], guest: true })).toThrow("Guest header has no magic");
  });
});
