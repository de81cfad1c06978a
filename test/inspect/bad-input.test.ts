/** Nothing but typed errors comes out of a scan, whatever went in, and soon. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { isMigrationError, MigrationError } from "../../src/errors.js";
import type { ScanResult } from "../../src/inspect/scan-result.js";
import { StreamScanner } from "../../src/inspect/scanner.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { compose, pageOf, scanBytes } from "./scan-kit.js";

function recorded(name: string): Uint8Array {
  return gunzipSync(readFileSync(new URL(`../streams/${name}.gz`, import.meta.url)));
}

/** What a scan makes of the bytes: a result, or the typed error that ended it. Anything else is thrown. */
function outcome(bytes: Uint8Array): ScanResult | MigrationError {
  try {
    return scanBytes(bytes, { pageSize: null });
  } catch (error) {
    if (isMigrationError(error)) return error;
    throw error;
  }
}

function isComplaint(found: ScanResult | MigrationError): boolean {
  return found instanceof MigrationError || found.problems.length > 0;
}

/** Small numbers in a fixed pseudo-random order. */
function* noise(seed: number): Generator<number> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state >>> 8;
  }
}

const none = recorded("none");

describe("scan: truncated streams", () => {
  it("machine none, cut anywhere before its EOF byte: a typed error with an offset", () => {
    const eof = scanBytes(none).description?.offset ?? 0;
    for (let length = 0; length < eof; length++) {
      const found = outcome(none.subarray(0, length));
      expect(found, `cut at ${length}`).toBeInstanceOf(MigrationError);
      expect((found as MigrationError).offset, `cut at ${length}`).not.toBeNull();
    }
  });

  it("machine none, cut in its description: a problem, and everything else is found", () => {
    const { offset, length } = scanBytes(none).description ?? { offset: 0, length: 0 };
    expect(isComplaint(outcome(none.subarray(0, offset)))).toBe(false);
    for (let cut = offset + 1; cut < offset + 5 + length; cut++) {
      const found = outcome(none.subarray(0, cut)) as ScanResult;
      expect(
        found.problems.map(({ code }) => code),
        `cut at ${cut}`,
      ).toEqual(["TRUNCATED"]);
      expect(found.sections, `cut at ${cut}`).toHaveLength(4);
    }
  });

  it.each(["microvm", "s390x-virtio", "pc-postcopy", "m68k-q800"])("%s, cut in many places: a typed error", (name) => {
    const whole = recorded(name);
    const end = scanBytes(whole, { pageSize: null }).description?.offset ?? whole.length;
    const places = noise(7);
    for (let i = 0; i < 60; i++) {
      const length = (places.next().value as number) % (end - 1);
      expect(outcome(whole.subarray(0, length)), `cut at ${length}`).toBeInstanceOf(MigrationError);
    }
  });
});

describe("scan: changed streams", () => {
  it("machine none, every byte changed in two ways: a typed error or a result, never anything else", () => {
    for (let at = 0; at < none.length; at++) {
      for (const flip of [0xff, 0x01]) {
        const changed = none.slice();
        changed[at] ^= flip;
        outcome(changed);
      }
    }
  });

  it.each(["isapc", "pc-i440fx-2.3", "pc-postcopy", "ppc64-pseries", "aarch64-virt"])(
    "%s, random bytes changed: a typed error or a result, never anything else",
    (name) => {
      const whole = recorded(name);
      const numbers = noise(11);
      const next = (below: number): number => (numbers.next().value as number) % below;
      for (let i = 0; i < 40; i++) {
        const changed = whole.slice();
        for (let n = 1 + next(3); n > 0; n--) changed[next(whole.length)] = next(256);
        outcome(changed);
      }
    },
  );

  it("a footer of a device that names another section: FOOTER_MISMATCH at the footer", () => {
    const bytes = compose({
      blocks: [{ name: "ram0", length: 4096 }],
      records: (r) => r.page("ram0", 0, pageOf(1)),
      devices: [{ name: "uart", body: Uint8Array.of(1), fields: [{ name: "lcr", type: "uint8", size: 1 }] }],
    });
    const footer = scanBytes(bytes).devices[0].bodyOffset + 1;
    bytes[footer + 4] ^= 1;
    expect(outcome(bytes)).toMatchObject({ code: "FOOTER_MISMATCH", offset: footer, section: { idstr: "uart" } });
  });

  it("a description of very many objects: DESCRIPTION_INVALID, and nothing is built of them", () => {
    const head = compose({ devices: [{ name: "uart", body: Uint8Array.of(1) }] });
    const text = new TextEncoder().encode(`{"page_size":4096,"devices":[${"{},".repeat(200_000)}{}]}`);
    const bytes = new Uint8Array([...head, 6, 0, 0, 0, 0, ...text]);
    new DataView(bytes.buffer).setUint32(head.length + 1, text.length);
    const { problems, description } = outcome(bytes) as ScanResult;
    expect(description).toBeNull();
    expect(problems.map(({ code }) => code)).toEqual(["DESCRIPTION_INVALID"]);
  });

  it("very many empty RAM sections before any page: the stream is not looked at anew for each", () => {
    const part = [2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 16, 0x7e, 0, 0, 0, 2];
    const whole = compose({ blocks: [{ name: "ram0", length: 4096 }] });
    const at = whole.length - 1 - 2 * part.length;
    const bytes = new Uint8Array(whole.length + 60_000 * part.length);
    bytes.set(whole.subarray(0, at));
    for (let i = 0; i < 60_000; i++) bytes.set(part, at + i * part.length);
    bytes.set(whole.subarray(at), at + 60_000 * part.length);
    let reads = 0;
    const reader = new Reader();
    const source = {
      read() {
        const chunk = bytes.subarray(reads * 65536, (reads + 1) * 65536);
        reads++;
        return chunk.length === 0 ? null : chunk;
      },
    };
    expect(decodeSync(new StreamScanner({}).scan(reader), reader, source).sections).toHaveLength(60_003);
    expect(reads).toBeLessThan(bytes.length / 65536 + 10);
  });

  it("a description that names another size: DESCRIPTION_MISMATCH, and the bytes stay raw", () => {
    const bytes = compose({
      blocks: [{ name: "ram0", length: 4096 }],
      records: (r) => r.page("ram0", 0, pageOf(1)),
      devices: [{ name: "uart", body: Uint8Array.of(1, 2), fields: [{ name: "lcr", type: "uint8", size: 1 }] }],
    });
    const { problems, devices } = outcome(bytes) as ScanResult;
    expect(problems.map(({ code, section }) => [code, section?.idstr])).toEqual([["DESCRIPTION_MISMATCH", "uart"]]);
    expect(devices[0]).toMatchObject({ fields: null, body: Uint8Array.of(1, 2) });
  });
});
