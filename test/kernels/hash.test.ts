import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IMPLEMENTATIONS, noise, runGuarded } from "./kit.js";

const benches = IMPLEMENTATIONS.map(([name, make]) => [name, make(6)] as const);
const [, oracle] = benches.find(([name]) => name === "js")!;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

describe.each(benches)("%s", (_name, on) => {
  const { kernels } = on;

  test("hashPages64 and hashPages128, random pages at any alignment, equal the reference", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(256, 512, 2048, 4096, 65536),
        fc.nat(40),
        fc.nat(3),
        fc.integer(),
        fc.constantFrom(8, 16),
        (pageSize, src, count, seed, width) => {
          const out = 4 * 65536 + 13;
          for (const each of [on, oracle]) each.bytes().set(noise(each.bytes().length, seed));
          const hash = width === 8 ? "hashPages64" : "hashPages128";
          oracle.kernels[hash](src, pageSize, count, out);
          const { stray } = runGuarded(on, [[out, out + count * width]], () =>
            kernels[hash](src, pageSize, count, out),
          );
          expect(stray).toEqual([]);
          expect(hex(on.bytes().subarray(out, out + 64))).toBe(hex(oracle.bytes().subarray(out, out + 64)));
        },
      ),
      { numRuns: 40 },
    );
  });

  test("hashPages64, any page, is the first half of hashPages128", () => {
    on.bytes().set(noise(8192));
    kernels.hashPages64(0, 4096, 1, 16384);
    kernels.hashPages128(0, 4096, 1, 16640);
    expect(hex(on.bytes().subarray(16384, 16392))).toBe(hex(on.bytes().subarray(16640, 16648)));
  });

  test("hashPages128, known pages, does not change between releases", () => {
    on.bytes().fill(0);
    for (let i = 0; i < 4096; i++) on.bytes()[4096 + i] = i * 7;
    kernels.hashPages128(0, 4096, 2, 16384);
    kernels.hashPages128(4096, 256, 1, 16416);
    expect(hex(on.bytes().subarray(16384, 16432)).match(/.{32}/g)).toEqual([
      "fcdfe821eba773f0803b4b1f06d4395b",
      "9d4e82a2cb5e0f7fe07bd3135d9fb0ab",
      "9a5101e1e8bf48a08d48d9f6c3a3338b",
    ]);
  });
});

/** Counts hashes that were seen before, 64-bit and each half of the 128-bit ones. */
class Collisions {
  readonly #seen = new Set<bigint>();
  readonly #seenHigh = new Set<bigint>();
  count = 0;
  pages = 0;

  add(low: bigint, high: bigint): void {
    this.pages++;
    if (this.#seen.has(low)) this.count++;
    if (this.#seenHigh.has(high)) this.count++;
    this.#seen.add(low);
    this.#seenHigh.add(high);
  }
}

/** The twin has equal results, so the structured pages need only the faster implementation. */
describe("hash quality on structured pages", () => {
  const [, on] = benches[0];
  const PAGE = 4096;

  /** Hashes the pages that `paint` makes out of a base page; it returns false when there are no more. */
  function collisionsOf(base: Uint8Array, paints: Iterable<(page: Uint8Array) => void>): Collisions {
    const collisions = new Collisions();
    const view = new DataView(on.kernels.buffer);
    for (const paint of paints) {
      const page = on.bytes().subarray(0, PAGE);
      page.set(base);
      paint(page);
      on.kernels.hashPages128(0, PAGE, 1, PAGE);
      collisions.add(view.getBigUint64(PAGE, true), view.getBigUint64(PAGE + 8, true));
    }
    return collisions;
  }

  const ZERO = new Uint8Array(PAGE);
  const word = (page: Uint8Array, at: number, value: number): void =>
    new DataView(page.buffer, page.byteOffset, PAGE).setUint32(at, value, true);

  test("one word changed, every position and many values, never collides", () => {
    function* paints(): Generator<(page: Uint8Array) => void> {
      for (let at = 0; at < PAGE; at += 4) {
        for (const value of [1, 2, 3, 255, 256, 0x8000, 0x10000, 0x1000000, 0x80000000, 0xffffffff]) {
          yield (page) =>
            word(page, at, (new DataView(page.buffer, page.byteOffset).getUint32(at, true) ^ value) >>> 0);
        }
      }
    }
    for (const base of [ZERO, new Uint8Array(PAGE).fill(0xff), noise(PAGE)]) {
      expect(collisionsOf(base, paints()).count).toBe(0);
    }
  });

  test("one bit set, every bit of the page, never collides", () => {
    function* paints(): Generator<(page: Uint8Array) => void> {
      for (let bit = 0; bit < PAGE * 8; bit++) yield (page) => (page[bit >> 3] ^= 1 << (bit & 7));
    }
    expect(collisionsOf(ZERO, paints()).count).toBe(0);
  });

  test("two equal words set, positions in all distances and sums, never collide", () => {
    function* paints(): Generator<(page: Uint8Array) => void> {
      for (let a = 0; a < PAGE; a += 32) {
        for (let b = a + 32; b < PAGE; b += 32) {
          yield (page) => {
            word(page, a, 5);
            word(page, b, 5);
          };
        }
      }
      // The same word of every vector of one place in the stripes: what additive mixing confuses.
      for (let a = 4; a < PAGE; a += 128) {
        for (let b = a + 128; b < PAGE; b += 128) {
          for (const value of [1, 256, 0x10000, 0xffffffff]) {
            yield (page) => {
              word(page, a, value);
              word(page, b, value);
            };
          }
        }
      }
    }
    expect(collisionsOf(ZERO, paints()).count).toBe(0);
  });

  test("two words moved against each other by one, never collide with the page or each other", () => {
    function* paints(): Generator<(page: Uint8Array) => void> {
      yield () => {};
      for (let a = 0; a < PAGE; a += 16) {
        for (let b = (a % 128) + 128 * ((a >> 7) & 1); b < PAGE; b += 128) {
          if (a === b) continue;
          yield (page) => {
            word(page, a, 1001);
            word(page, b, 999);
          };
        }
      }
    }
    const counters = new Uint8Array(PAGE);
    for (let at = 0; at < PAGE; at += 4) word(counters, at, 1000);
    expect(collisionsOf(counters, paints()).count).toBe(0);
  });

  test("counters at a stride of 64 bytes and of 4, growing, never collide", () => {
    function* paints(): Generator<(page: Uint8Array) => void> {
      for (const stride of [4, 64]) {
        for (let value = stride; value < 5000 + stride; value++) {
          yield (page) => {
            for (let at = 0; at < PAGE; at += stride) word(page, at, value * stride);
          };
        }
      }
    }
    expect(collisionsOf(ZERO, paints()).count).toBe(0);
  });

  test("blocks of a page swapped, never collide", () => {
    const base = noise(PAGE);
    function* paints(): Generator<(page: Uint8Array) => void> {
      yield () => {};
      for (const size of [4, 8, 16, 32, 128, 512]) {
        const blocks = Math.min(PAGE / size, 48);
        for (let a = 0; a < blocks; a++) {
          for (let b = a + 1; b < blocks; b++) {
            yield (page) => {
              page.set(base.subarray(a * size, (a + 1) * size), b * size);
              page.set(base.subarray(b * size, (b + 1) * size), a * size);
            };
          }
        }
      }
    }
    expect(collisionsOf(base, paints()).count).toBe(0);
  });

  test("pages filled with one byte, one word or one shifted pattern, never collide", () => {
    function* paints(): Generator<(page: Uint8Array) => void> {
      for (let value = 0; value < 256; value++) yield (page) => page.fill(value);
      for (let length = 1; length < PAGE; length++) {
        yield (page) => page.fill(0xee, 0, length);
        yield (page) => page.fill(0xee, length);
      }
    }
    expect(collisionsOf(new Uint8Array(PAGE).fill(0x33), paints()).count).toBe(0);
  });
});
