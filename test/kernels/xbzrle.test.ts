import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IMPLEMENTATIONS, noise, runGuarded } from "./kit.js";

/** Bytes as the vectors spell them: hex, or a fill with patches. */
type Bytes = string | { len: number; fill: string; patches: [number, string][] };
/** An output: hex, or what is known of a long one. */
type Output = string | { len: number; head: string; tail: string; sha256: string };

interface Vectors {
  encode: { name: string; old: Bytes; new: Bytes; dlen: number; return: number; out?: Output }[];
  decode: { name: string; src: string; dst_before: Bytes; dlen: number; return: number; dst_after?: Bytes }[];
}

const vectors = JSON.parse(readFileSync("test/vectors/xbzrle.json", "utf8")) as Vectors;

function toBytes(spec: Bytes): Uint8Array {
  if (typeof spec === "string") return Uint8Array.from(Buffer.from(spec, "hex"));
  const bytes = new Uint8Array(spec.len).fill(parseInt(spec.fill, 16));
  for (const [at, hex] of spec.patches) bytes.set(Buffer.from(hex, "hex"), at);
  return bytes;
}

/** An output in the form of the vector that it is to be compared with. */
function summary(bytes: Uint8Array, like: Output): Output {
  const hex = Buffer.from(bytes).toString("hex");
  if (typeof like === "string") return hex;
  return {
    len: bytes.length,
    head: hex.slice(0, like.head.length),
    tail: hex.slice(hex.length - like.tail.length),
    sha256: createHash("sha256").update(bytes).digest("hex"),
  };
}

/** The encoder of the specification, byte by byte and on arrays. */
function referenceEncode(before: Uint8Array, after: Uint8Array, capacity: number): number[] | 0 | -1 {
  const out: number[] = [];
  const put = (length: number): void => {
    if (length < 128) out.push(length);
    else out.push((length & 127) | 128, length >> 7);
  };
  for (let i = 0; i < after.length;) {
    if (out.length + 2 > capacity) return -1;
    const start = i;
    while (i < after.length && before[i] === after[i]) i++;
    if (i - start === after.length) return 0;
    if (i === after.length) return out;
    if (i - start >= 16384) return -1;
    put(i - start);
    if (out.length + 2 > capacity) return -1;
    const differing = i;
    while (i < after.length && before[i] !== after[i]) i++;
    if (i - differing >= 16384) return -1;
    put(i - differing);
    if (out.length + i - differing > capacity) return -1;
    out.push(...after.subarray(differing, i));
  }
  return out;
}

const OUT = 4 * 65536;

describe.each(IMPLEMENTATIONS)("%s", (_name, make) => {
  const on = make(8);
  const { kernels } = on;

  /** Puts the pages at odd addresses and encodes with guards; returns the result and the bytes. */
  function encode(
    before: Uint8Array,
    after: Uint8Array,
    capacity: number,
    skew = 0,
  ): { result: number; out: Uint8Array } {
    const memory = on.bytes();
    memory.fill(0xa5);
    const newPage = 2 * 65536 + skew;
    memory.set(before, skew);
    memory.set(after, newPage);
    const { result, stray } = runGuarded(on, [[OUT, OUT + capacity]], () =>
      kernels.xbzrleEncode(skew, newPage, after.length, OUT, capacity),
    );
    expect(stray).toEqual([]);
    return { result, out: on.bytes().slice(OUT, OUT + Math.max(result, 0)) };
  }

  /** Puts source and page and decodes with guards. */
  function decode(src: Uint8Array, page: Uint8Array): { result: number; page: Uint8Array } {
    const memory = on.bytes();
    memory.fill(0xa5);
    memory.set(src, 5);
    memory.set(page, OUT);
    const { result, stray } = runGuarded(on, [[OUT, OUT + page.length]], () =>
      kernels.xbzrleDecode(5, src.length, OUT, page.length),
    );
    expect(stray).toEqual([]);
    return { result, page: on.bytes().slice(OUT, OUT + page.length) };
  }

  test.each(vectors.encode)("xbzrleEncode, vector $name", (vector) => {
    const { result, out } = encode(toBytes(vector.old), toBytes(vector.new), vector.dlen);
    expect(result).toBe(vector.return);
    if (vector.out !== undefined) expect(summary(out, vector.out)).toEqual(vector.out);
  });

  test.each(vectors.decode)("xbzrleDecode, vector $name", (vector) => {
    const { result, page } = decode(toBytes(vector.src), toBytes(vector.dst_before));
    expect(result).toBe(vector.return);
    if (vector.dst_after !== undefined) expect(page).toEqual(toBytes(vector.dst_after));
  });

  /** Two pages: noise, and the same with some runs changed, some of them long. */
  const pages = fc
    .record({
      length: fc.oneof(fc.constantFrom(256, 1024, 4096), fc.nat(600)),
      seed: fc.integer(),
      runs: fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(3), fc.nat(200))), { maxLength: 40 }),
    })
    .map(({ length, seed, runs }) => {
      const before = noise(length, seed);
      const after = before.slice();
      for (const [at, run] of runs) {
        const start = length === 0 ? 0 : at % length;
        for (let i = start; i < Math.min(start + run, length); i++) after[i] = before[i] ^ 0x40;
      }
      return { before, after };
    });

  test("xbzrleEncode, random pages and capacities, equals the specification and decodes to the page", () => {
    fc.assert(
      fc.property(pages, fc.nat(63), fc.nat(), ({ before, after }, skew, room) => {
        const whole = referenceEncode(before, after, 1 << 20);
        const needed = Array.isArray(whole) ? whole.length : 0;
        // Most interesting next to the edge: from four bytes too few to three more than needed.
        const capacity = Math.max(0, needed - 4 + (room % 8));
        const expected = referenceEncode(before, after, capacity);
        const { result, out } = encode(before, after, capacity, skew);
        if (!Array.isArray(expected)) {
          expect(result).toBe(expected);
          return;
        }
        expect([result, [...out]]).toEqual([expected.length, expected]);
        expect(decode(out, before).page).toEqual(after);
      }),
      { numRuns: 150 },
    );
  });

  test("xbzrleEncode, runs of 16384 bytes, overflows: the format cannot express them", () => {
    const before = new Uint8Array(65536);
    const differing = before.slice().fill(1, 0, 16384);
    const equal = before.slice();
    equal[16384] = 1;
    expect(encode(before, differing, 65536).result).toBe(-1);
    expect(encode(before, equal, 65536).result).toBe(-1);
    expect(encode(before, before.slice().fill(1, 0, 16383), 65536).result).toBe(1 + 2 + 16383);
    expect(encode(before, before.slice().fill(1, 16383, 16384), 65536).result).toBe(2 + 1 + 1);
    expect(encode(before, before, 65536).result).toBe(0);
  });

  test("xbzrleDecode, random bytes, never writes outside the page", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(8, 256), (src, length) => {
        const { result } = decode(src, noise(length));
        expect(result).toBeGreaterThanOrEqual(-1);
        expect(result).toBeLessThanOrEqual(length);
      }),
      { numRuns: 300 },
    );
  });
});
