import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IMPLEMENTATIONS, runGuarded } from "./kit.js";

/** Bits as runs of equal ones, so that long equal stretches and dense parts both occur. */
const bits = fc
  .array(fc.tuple(fc.boolean(), fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2500 }))), {
    minLength: 1,
    maxLength: 30,
  })
  .map((runs) => runs.flatMap(([value, length]) => new Array<boolean>(length).fill(value)));

/** Writes bits from bit 0 of a region on; those behind the last keep what the region held. */
function putBits(memory: Uint8Array, address: number, values: readonly boolean[]): void {
  values.forEach((value, i) => {
    const at = address + (i >> 3);
    memory[at] = value ? memory[at] | (1 << (i & 7)) : memory[at] & ~(1 << (i & 7));
  });
}

function getBit(memory: Uint8Array, address: number, bit: number): boolean {
  return ((memory[address + (bit >> 3)] >> (bit & 7)) & 1) === 1;
}

describe.each(IMPLEMENTATIONS)("%s", (_name, make) => {
  const on = make(4);
  const { kernels } = on;
  const OUT = 65536 + 4;

  test("bitmapCount, bitmapNextSet, bitmapNextClear and bitmapRuns, random ranges, agree with plain arrays", () => {
    fc.assert(
      fc.property(bits, fc.nat(20), fc.nat(), fc.nat(), fc.nat(40), (values, address, a, b, capacity) => {
        const memory = on.bytes().fill(0x5a);
        putBits(memory, address, values);
        const from = Math.min(a % (values.length + 1), b % (values.length + 1));
        const end = Math.max(a % (values.length + 1), b % (values.length + 1));
        const orEnd = (found: number): number => (found < 0 || found + from > end ? end : found + from);
        const range = values.slice(from, end);
        const runs: number[] = [];
        for (let i = from; i < end && runs.length / 2 < capacity + 1; i++) {
          if (values[i] && (i === from || !values[i - 1])) runs.push(i);
          if (values[i] && (i + 1 === end || !values[i + 1])) runs.push(i + 1);
        }
        const expectedRuns = runs.slice(0, capacity * 2);

        const { result, stray } = runGuarded(on, [[OUT, OUT + capacity * 8]], () => ({
          count: kernels.bitmapCount(address, from, end),
          set: kernels.bitmapNextSet(address, from, end),
          clear: kernels.bitmapNextClear(address, from, end),
          runs: kernels.bitmapRuns(address, from, end, OUT, capacity),
        }));
        expect(stray).toEqual([]);
        expect(result).toEqual({
          count: range.filter(Boolean).length,
          set: orEnd(range.indexOf(true)),
          clear: orEnd(range.indexOf(false)),
          runs: expectedRuns.length / 2,
        });
        const words = new Uint32Array(kernels.buffer as ArrayBuffer, OUT, expectedRuns.length);
        expect([...words]).toEqual(expectedRuns);
      }),
      { numRuns: 150 },
    );
  });

  test("bitmapRuns, dense and sparse bitmaps as large as the memory, agree with next set and next clear", () => {
    const memory = on.bytes();
    for (const paint of [
      (i: number) => i * 37,
      (i: number) => (i % 517 === 0 ? 1 : 0),
      (i: number) => (i % 900 < 700 ? 255 : 0),
    ]) {
      for (let i = 0; i < 65536; i++) memory[i] = paint(i);
      let from = 0; // of the call for runs
      let next = 0; // of the search that it is compared with
      while (next < 65536 * 8) {
        const runs = kernels.bitmapRuns(0, from, 65536 * 8, 65536, 1000);
        const words = new Uint32Array(kernels.buffer as ArrayBuffer, 65536, runs * 2);
        for (let i = 0; i < runs * 2; i += 2) {
          const start = kernels.bitmapNextSet(0, next, 65536 * 8);
          next = kernels.bitmapNextClear(0, start, 65536 * 8);
          if (words[i] !== start || words[i + 1] !== next) expect([words[i], words[i + 1]]).toEqual([start, next]);
        }
        if (runs < 1000) next = kernels.bitmapNextSet(0, next, 65536 * 8);
        from = next;
      }
      expect(next).toBe(65536 * 8);
    }
  });

  test("bitmapMergeClear, random bitmaps at any alignment, moves the bits and counts new ones", () => {
    const lengths = fc.oneof(fc.nat(100), fc.nat(6000));
    fc.assert(
      fc.property(bits, bits, lengths, fc.nat(9), fc.nat(9), (target, source, length, a, b) => {
        const memory = on.bytes().fill(0xc3);
        const from = 32768 + b;
        putBits(memory, a, target.slice(0, 16384));
        putBits(memory, from, source.slice(0, 16384));
        const before = memory.slice();
        const touched = Math.ceil(length / 8);
        const { result, stray } = runGuarded(
          on,
          [
            [a, a + touched],
            [from, from + touched],
          ],
          () => kernels.bitmapMergeClear(a, from, length),
        );
        expect(stray).toEqual([]);
        let added = 0;
        for (let i = 0; i < touched * 8; i++) {
          const old = getBit(before, a, i);
          const moved = i < length && getBit(before, from, i);
          if (moved && !old) added++;
          const found = [getBit(on.bytes(), a, i), getBit(on.bytes(), from, i)];
          const expected = [old || moved, i < length ? false : getBit(before, from, i)];
          if (found[0] !== expected[0] || found[1] !== expected[1])
            expect({ i, found }).toEqual({ i, found: expected });
        }
        expect(result).toBe(added);
      }),
      { numRuns: 80 },
    );
  });

  test("byteMapMerge, random marks at any alignment, sets the bits, counts new ones and clears on demand", () => {
    const marks = fc.array(fc.tuple(fc.nat(255), fc.oneof(fc.nat(4), fc.nat(300))), { maxLength: 30 });
    fc.assert(
      fc.property(bits, marks, fc.nat(9), fc.nat(9), fc.boolean(), (target, runs, a, b, clear) => {
        const memory = on.bytes().fill(0xc3);
        const from = 32768 + b;
        putBits(memory, a, target.slice(0, 16384));
        // Mostly zero, with single marks between.
        const values = runs.flatMap(([mark, gap]) => [mark, ...new Array<number>(gap).fill(0)]);
        memory.set(values, from);
        const before = memory.slice();
        const { result, stray } = runGuarded(
          on,
          clear
            ? [
                [a, a + Math.ceil(values.length / 8)],
                [from, from + values.length],
              ]
            : [[a, a + Math.ceil(values.length / 8)]],
          () => kernels.byteMapMerge(a, from, values.length, clear),
        );
        expect(stray).toEqual([]);
        const old = values.map((_, i) => getBit(before, a, i));
        expect(values.map((_, i) => getBit(on.bytes(), a, i))).toEqual(values.map((mark, i) => mark !== 0 || old[i]));
        expect(result).toBe(values.filter((mark, i) => mark !== 0 && !old[i]).length);
        expect([...on.bytes().subarray(from, from + values.length)]).toEqual(clear ? values.map(() => 0) : values);
        for (let i = values.length; i < Math.ceil(values.length / 8) * 8; i++) {
          expect(getBit(on.bytes(), a, i)).toBe(getBit(before, a, i));
        }
      }),
      { numRuns: 80 },
    );
  });

  test("bit counts beyond 2^31, in a bitmap addressed by its end, stay unsigned", () => {
    const end = 2 ** 32 - 1;
    expect(kernels.bitmapNextSet(0, 7, 7)).toBe(7);
    expect(() => kernels.bitmapNextSet(0, 0, end)).toThrow(RangeError);
    expect(kernels.bitmapCount(0, 5, 5)).toBe(0);
  });
});
