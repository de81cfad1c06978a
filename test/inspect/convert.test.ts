import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { convertToStream, type ConvertOptions } from "../../src/inspect/convert.js";
import { diffScans, isEqual } from "../../src/inspect/diff.js";
import { encodeSync } from "../../src/stream/drive.js";
import { BytesSink } from "../../src/stream/sink.js";
import { Writer } from "../../src/stream/writer.js";
import { compose, PAGE, pageOf, scanBytes } from "./scan-kit.js";

function convert(bytes: Uint8Array, options: ConvertOptions = {}): Uint8Array {
  const writer = new Writer();
  const sink = new BytesSink();
  encodeSync(convertToStream(writer, scanBytes(bytes), options), writer, sink);
  return sink.toBytes();
}

const recorded = (name: string) =>
  new Uint8Array(gunzipSync(readFileSync(new URL(`../streams/${name}.gz`, import.meta.url))));
const sameMachine = (a: Uint8Array, b: Uint8Array) => isEqual(diffScans(scanBytes(a), scanBytes(b)));
const records = (bytes: Uint8Array) => scanBytes(bytes).ram?.blocks.map(({ counts }) => counts);
const uart = { name: "uart", body: Uint8Array.of(1, 2), fields: [{ name: "r", array_len: 2, type: "uint8", size: 1 }] };

describe("convertToStream", () => {
  test.each([
    "none",
    "microvm",
    "isapc",
    "pc",
    "q35",
    "pc-uuid",
    "pc-i440fx-2.2",
    "pc-i440fx-2.3",
    "pc-ignore-shared",
    "sparc-ss5",
  ])("%s, sent by QEMU in one round: the same bytes", (name) => {
    const stream = recorded(name);
    expect(Buffer.compare(convert(stream), stream)).toBe(0);
  });

  test.each(["pc-live", "pc-xbzrle", "pc-postcopy", "microvm-compress"])("%s: every page once, whole", (name) => {
    const stream = recorded(name);
    const plain = convert(stream);
    const { commands, ram } = scanBytes(plain);
    expect(commands).toEqual([]);
    for (const { counts, content } of ram?.blocks ?? []) {
      expect(counts).toMatchObject({ xbzrle: 0, compressed: 0 });
      expect(counts.zero + counts.normal).toBe(content?.pages);
    }
    expect(sameMachine(plain, stream)).toBe(true);
  });

  test("xbzrle: sparse pages are a zero page and a difference, full ones stay whole", () => {
    const sparse = new Uint8Array(PAGE);
    sparse.set([7, 8, 9], 1000);
    const noise = Uint8Array.from({ length: PAGE }, (_, i) => (i % 255) + 1);
    const stream = compose({
      blocks: [{ name: "ram0", length: 3 * PAGE }],
      records: (r) => {
        r.page("ram0", 0, sparse);
        r.page("ram0", PAGE, noise);
        r.zero("ram0", 2 * PAGE);
      },
    });
    const packed = convert(stream, { xbzrle: true });
    expect(records(packed)).toEqual([{ zero: 2, normal: 1, xbzrle: 1, compressed: 0 }]);
    expect(sameMachine(packed, stream)).toBe(true);
    expect(Buffer.compare(convert(packed), convert(stream))).toBe(0);
  });

  test("dropDescription: nothing follows the EOF byte, devices stay", () => {
    const stream = compose({ devices: [uart] });
    const short = convert(stream, { dropDescription: true });
    expect(short.at(-1)).toBe(0);
    expect(Buffer.compare(short, stream.subarray(0, short.length))).toBe(0);
    expect(scanBytes(short).devices.map(({ section }) => section.idstr)).toEqual(["uart"]);
  });

  test("a page that is not in the stream: an error that names the block, before anything is written", () => {
    const stream = compose({
      blocks: [{ name: "ram0", length: 2 * PAGE }],
      records: (r) => r.page("ram0", 0, pageOf(1)),
    });
    expect(() => convert(stream)).toThrow(expect.objectContaining({ code: "BLOCK_IGNORED" }));
    expect(() => convert(stream)).toThrow('Convert "ram0": 1 of its pages are not in the stream');
  });
});
