import { describe, expect, it } from "vitest";
import { DeepVerifier, type DeepResult } from "../../src/inspect/deep-verifier.js";
import { PageStore } from "../../src/inspect/page-store.js";
import { StreamScanner } from "../../src/inspect/scanner.js";
import type { ScanResult } from "../../src/inspect/scan-result.js";
import { deflatePage } from "../../src/ram/compression.js";
import type { RamRecordWriter } from "../../src/ram/record-writer.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { concat, Writer } from "../../src/stream/writer.js";
import { compose, PAGE, pageOf } from "./scan-kit.js";

/** Scan and verify, in chunks of one length. */
function verify(bytes: Uint8Array, chunk = bytes.length): { scan: ScanResult; deep: DeepResult } {
  const verifier = new DeepVerifier();
  const reader = new Reader();
  let at = 0;
  const source = verifier.tee({
    read() {
      if (at >= bytes.length) return null;
      at += chunk;
      return bytes.subarray(at - chunk, at);
    },
  }) as { read(): Uint8Array | null };
  const scanner = new StreamScanner({ store: new PageStore(), observer: verifier });
  const scan = decodeSync(scanner.scan(reader), reader, source);
  return { scan, deep: verifier.finish(scan.devices) };
}

const blocks = [{ name: "ram0", length: 4 * PAGE }];
const choices = ({ deep }: { deep: DeepResult }) => deep.choices.map(({ what, count }) => [what, count]);

describe("DeepVerifier", () => {
  it.each([1, 7, 4096, 5000])("chunks of %i bytes: all bytes identical", (chunk) => {
    const bytes = compose({
      blocks,
      records: (r) => {
        r.page("ram0", 0, pageOf(1));
        r.zero("ram0", PAGE);
        r.page("ram0", 2 * PAGE, pageOf(2));
        r.xbzrle("ram0", 0, Uint8Array.of(1, 1, 9));
        r.zero("ram0", 3 * PAGE);
        r.multifdFlush();
      },
      devices: [{ name: "uart", body: Uint8Array.of(1), fields: [{ name: "lcr", type: "uint8", size: 1 }] }],
    });
    const { deep } = verify(bytes, chunk);
    // The description of these streams has no blanks, which QEMU's has.
    expect(deep.problems).toEqual([]);
    expect(deep.choices.map(({ what }) => what)).toEqual(["description: keys or blanks that QEMU does not write"]);
    expect(deep.identical + deep.chosen).toBe(bytes.length);
  });

  it.each<[string, (r: RamRecordWriter) => void, [string, number][]]>([
    ["a zero page sent whole", (r) => r.page("ram0", 0, pageOf(0)), [["zero page sent whole", 1]]],
    ["a fill byte", (r) => r.zero("ram0", 0, 0x55), [["page of equal bytes sent as a fill byte", 1]]],
    [
      "a block named twice",
      (r) => {
        r.zero("ram0", 0);
        r.reset();
        r.zero("ram0", PAGE);
      },
      [["block named again instead of CONTINUE", 1]],
    ],
    [
      "an XBZRLE encoding in two runs where one would do",
      (r) => {
        r.zero("ram0", 0);
        r.xbzrle("ram0", 0, Uint8Array.of(1, 1, 9, 0x81, 0x00, 1, 0));
      },
      [["XBZRLE: another encoding of the same change", 1]],
    ],
    ["a page packed by our own zlib", (r) => r.compressed("ram0", 0, deflatePage(pageOf(3), 6)), []],
  ])("%s: the choice is named, and nothing is wrong", (_, records, expected) => {
    const result = verify(compose({ blocks, records }));
    expect(result.deep.problems).toEqual([]);
    expect(choices(result)).toEqual(expected);
    expect(result.deep.identical + result.deep.chosen).toBe(result.scan.bytes);
  });

  it("an EOS word with address bits: a choice", () => {
    const bytes = compose({ blocks, records: (r) => r.zero("ram0", 0) });
    const { sections } = verify(bytes).scan;
    const part = sections[1];
    // The EOS word is the last 8 bytes in front of the footer; 0x1000 is an address bit.
    bytes[part.offset + part.length - 5 - 2] = 0x10;
    expect(choices(verify(bytes))).toEqual([["EOS word with address bits or CONTINUE", 1]]);
  });

  it("the capabilities behind the UUID: a choice", () => {
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    const writer = new Writer();
    writer.bytes(Uint8Array.from(Buffer.from("5145564d00000003070000000474 6f7931".replaceAll(" ", ""), "hex")));
    for (const [name, content] of [
      ["configuration/uuid", new Uint8Array(16).fill(7)],
      ["configuration/capabilities", concat([Uint8Array.of(0, 0, 0, 1, 15), text("x-ignore-shared")])],
    ] as const) {
      writer.u8(5);
      writer.countedString(name);
      writer.u32(1);
      writer.bytes(content);
    }
    writer.u8(0);
    const result = verify(concat(writer.take()));
    expect(choices(result)).toEqual([["configuration: subsections in another order or form", 1]]);
  });

  it("sections that nobody can name: copied, and counted as such", () => {
    const { deep } = verify(compose({ devices: [{ name: "blob", body: pageOf(1) }] }));
    expect(deep).toMatchObject({ copied: PAGE, problems: [] });
  });
});
