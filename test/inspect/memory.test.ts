/** Lengths in a stream are claims: no memory follows from them. */
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { PageStore } from "../../src/inspect/page-store.js";
import type { ScanObserver } from "../../src/inspect/scan-observer.js";
import { StreamScanner } from "../../src/inspect/scanner.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";

const MIB = 1 << 20;

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

const HEADER = "5145564d 00000003";
const NONE = `${HEADER} 07 00000004 6e6f6e65`;
const ram = (total: string, rest: string): string =>
  `${NONE} 01 00000002 03 72616d 00000000 00000004 ${total} 03 72616d ${rest}`;
/** One block of 2^52 bytes. */
const HUGE = ram("0010000000000004", "0010000000000000 0000000000000010 7e 00000002");

/** Memory in use at its highest while the stream passes, above what there was before. */
function peakOf(head: Uint8Array, filler: () => Uint8Array | null): { peak: number; code: string | null } {
  const used = (): number => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  globalThis.gc?.();
  const before = used();
  let peak = 0;
  let first = true;
  const reader = new Reader();
  const store = new PageStore({ budget: 8 * MIB, spill: null });
  let code: string | null = null;
  try {
    decodeSync(new StreamScanner({ store }).scan(reader), reader, {
      read() {
        peak = Math.max(peak, used() - before);
        if (!first) return filler();
        first = false;
        return head;
      },
    });
  } catch (error) {
    if (!isMigrationError(error)) throw error;
    code = error.code;
  }
  return { peak: Math.max(peak, used() - before), code };
}

/** `total` bytes of one value, in chunks. */
function filler(total: number, value = 0x41): () => Uint8Array | null {
  // One chunk for all, so that what is measured is not our own garbage.
  const chunk = new Uint8Array(MIB).fill(value);
  let left = total;
  return () => {
    if (left <= 0) return null;
    left -= MIB;
    return chunk;
  };
}

describe("scan: absurd lengths", () => {
  it.each([
    ["a machine name of 4 GiB", `${HEADER} 07 ffffffff`],
    [
      "4 billion capabilities",
      `${NONE} 05 1a ${Buffer.from("configuration/capabilities").toString("hex")} 00000001 ffffffff`,
    ],
    ["a package of 4 GiB", `${NONE} 08 0007 0004 ffffffff`],
    ["RAM of 2^52 bytes", HUGE],
    ["a RAM total of 2^64", ram("fffffffffffff004", "0000000000001000")],
    ["a description of 4 GiB", `${NONE} 00 06 ffffffff`],
    [
      "a dirty bitmap of 2^63 bytes",
      `${NONE} 01 00000005 0c ${Buffer.from("dirty-bitmap").toString("hex")} 00000000 00000001 40 0000000000000000 00000008 7fffffffffffffff`,
    ],
    [
      "storage keys of 2^50 bytes",
      `${NONE} 04 00000005 0a ${Buffer.from("s390-skeys").toString("hex")} 00000000 00000001 0000000000000002 0004000000000000`,
    ],
  ])("%s, and 200 MiB behind it: within 64 MiB", (_, head) => {
    const { peak } = peakOf(hex(head), filler(200 * MIB));
    expect(peak).toBeLessThan(64 * MIB);
  });

  it("pages all over a block of 2^40 bytes: within 64 MiB", () => {
    const head = hex(ram("0000010000000004", "0000010000000000 0000000000000010 7e 00000002 02 00000002"));
    let page = 0;
    const records = (): Uint8Array | null => {
      if (page >= 400_000) return null;
      const bytes = new Uint8Array(9 * 2000);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < 2000; i++, page++) {
        view.setBigUint64(i * 9, (BigInt(page * 2654435761) % 2n ** 28n) * 4096n + 0x22n);
      }
      return bytes;
    };
    const named = new Uint8Array([...head, ...hex("0000000000000002 03 72616d 00")]);
    const { peak } = peakOf(named, records);
    expect(peak).toBeLessThan(64 * MIB);
  });

  it("a device section without an end: LIMIT_EXCEEDED at the ceiling", () => {
    const reader = new Reader();
    const head = hex(`${NONE} 04 00000005 03 646576 00000000 00000001`);
    let first = true;
    const next = filler(64 * MIB);
    const scanner = new StreamScanner({ limits: { deviceBytes: 4 * MIB, descriptionBytes: MIB } });
    const run = (): unknown =>
      decodeSync(scanner.scan(reader), reader, {
        read() {
          if (!first) return next();
          first = false;
          return head;
        },
      });
    expect(run).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
    expect(reader.available).toBeLessThan(8 * MIB);
  });

  it("more sections than are listed: LIMIT_EXCEEDED", () => {
    const part = "02 00000002 0000000000000010 7e 00000002";
    const head = hex(ram("0000000000001004", `0000000000001000 0000000000000010 7e 00000002 ${part.repeat(50)}`));
    const reader = Reader.of(head);
    const scan = (): unknown =>
      decodeSync(new StreamScanner({ limits: { elements: 40 } }).scan(reader), reader, { read: () => null });
    expect(scan).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });
});

describe("scan: what is passed over", () => {
  it("a description too long to be held: a watcher hears of it as it goes, and need not keep the bytes", () => {
    const told: number[] = [];
    const ignore = (): void => undefined;
    const observer: ScanObserver = {
      ramObserver: () => ({
        onBlockList: ignore,
        onPage: ignore,
        onZero: ignore,
        onXbzrle: ignore,
        onCompressed: ignore,
        onFlush: ignore,
        onEos: ignore,
      }),
      onHeader: ignore,
      onConfiguration: ignore,
      onSectionBegin: ignore,
      onSectionEnd: ignore,
      onCommand: ignore,
      onEof: ignore,
      onDescription: ignore,
      onOpaque: (offset) => void told.push(offset),
      onEnd: ignore,
    };
    const reader = new Reader();
    const head = hex(`${NONE} 00 06 ffffffff`);
    const more = filler(40 * MIB);
    let first = true;
    const read = (): Uint8Array | null => {
      if (!first) return more();
      first = false;
      return head;
    };
    decodeSync(new StreamScanner({ observer }).scan(reader), reader, { read });
    const steps = told.map((offset, i) => offset - (told[i - 1] ?? head.length));
    expect(told.at(-1)).toBe(head.length + 40 * MIB);
    expect(Math.max(...steps)).toBeLessThanOrEqual(2 * MIB);
  });
});
