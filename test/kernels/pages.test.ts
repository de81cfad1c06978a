import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IMPLEMENTATIONS, noise, runGuarded } from "./kit.js";

const pageSizes = fc.constantFrom(256, 512, 1024, 4096);

describe.each(IMPLEMENTATIONS)("%s", (_name, make) => {
  const on = make(6);
  const { kernels } = on;

  test("zeroPageMask, pages zero but for at most one byte each, tells which are zero", () => {
    const page = fc.option(fc.record({ at: fc.nat(), value: fc.integer({ min: 1, max: 255 }) }), { freq: 2 });
    fc.assert(
      fc.property(pageSizes, fc.nat(70), fc.array(page, { maxLength: 32 }), (pageSize, src, pages) => {
        const memory = on.bytes().fill(0xa5);
        memory.fill(0, src, src + pages.length * pageSize);
        let expected = 0;
        pages.forEach((spot, i) => {
          if (spot) memory[src + i * pageSize + (spot.at % pageSize)] = spot.value;
          else expected |= 1 << i;
        });
        const { result, stray } = runGuarded(on, [], () => kernels.zeroPageMask(src, pageSize, pages.length));
        expect(result).toBe(expected >>> 0);
        expect(stray).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("zeroPageMask, one byte set anywhere in a page of four, finds it at every position", () => {
    const memory = on.bytes().fill(0);
    for (let at = 0; at < 4 * 512; at++) {
      memory[at] = 1;
      const found = kernels.zeroPageMask(0, 512, 4);
      memory[at] = 0;
      if (found !== (15 & ~(1 << (at >> 9)))) expect({ at, found }).toBeUndefined();
    }
    expect(kernels.zeroPageMask(0, 512, 4)).toBe(15);
  });

  test("zeroPageMask, 32 zero pages, is unsigned", () => {
    on.bytes().fill(0);
    expect(kernels.zeroPageMask(3, 256, 32)).toBe(0xffffffff);
    expect(kernels.zeroPageMask(3, 65536, 5)).toBe(31);
    expect(kernels.zeroPageMask(3, 256, 0)).toBe(0);
  });

  test("changedPageMask, regions that differ in at most one byte per page, tells which differ", () => {
    const page = fc.option(fc.nat());
    fc.assert(
      fc.property(pageSizes, fc.nat(40), fc.nat(40), fc.array(page, { maxLength: 32 }), (pageSize, a, skew, spots) => {
        const memory = on.bytes();
        memory.set(noise(memory.length, spots.length + a));
        const b = 196608 + skew;
        memory.copyWithin(b, a, a + spots.length * pageSize);
        let expected = 0;
        spots.forEach((spot, i) => {
          if (spot === null) return;
          memory[b + i * pageSize + (spot % pageSize)] ^= 0x10;
          expected |= 1 << i;
        });
        const { result, stray } = runGuarded(on, [], () => kernels.changedPageMask(a, b, pageSize, spots.length));
        expect(result).toBe(expected >>> 0);
        expect(stray).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test("changedPageMask, one byte differs anywhere in a page of three, finds it at every position", () => {
    const memory = on.bytes();
    memory.set(noise(3 * 256), 0);
    memory.copyWithin(4096, 0, 3 * 256);
    for (let at = 0; at < 3 * 256; at++) {
      memory[at] ^= 0x80;
      const found = kernels.changedPageMask(0, 4096, 256, 3);
      memory[at] ^= 0x80;
      if (found !== 1 << (at >> 8)) expect({ at, found }).toBeUndefined();
    }
    expect(kernels.changedPageMask(0, 4096, 256, 3)).toBe(0);
  });

  test("masks, pages that end with the memory, look at the last byte", () => {
    const memory = on.bytes().fill(0);
    const src = memory.length - 4 * 4096;
    expect(kernels.zeroPageMask(src, 4096, 4)).toBe(15);
    memory[memory.length - 1] = 1;
    expect(kernels.zeroPageMask(src, 4096, 4)).toBe(7);
    expect(kernels.changedPageMask(0, src, 4096, 4)).toBe(8);
  });
});
