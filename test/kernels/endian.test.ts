import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { IMPLEMENTATIONS, noise, runGuarded } from "./kit.js";

describe.each(IMPLEMENTATIONS)("%s", (_name, make) => {
  const on = make(2);
  const { kernels } = on;

  test.each([
    ["swap16", 2],
    ["swap32", 4],
    ["swap64", 8],
  ] as const)("%s, arrays in place and copied, reverses every word", (name, width) => {
    fc.assert(
      fc.property(fc.nat(50), fc.nat(20), fc.nat(20), fc.boolean(), (count, a, b, inPlace) => {
        const source = a;
        const target = inPlace ? a : 65536 + b;
        on.bytes().set(noise(on.bytes().length, count + 1));
        const words = on.bytes().slice(source, source + count * width);
        const { stray } = runGuarded(on, [[target, target + count * width]], () =>
          kernels[name](target, source, count),
        );
        expect(stray).toEqual([]);
        for (let at = 0; at < words.length; at += width) words.subarray(at, at + width).reverse();
        expect(on.bytes().slice(target, target + count * width)).toEqual(words);
      }),
    );
  });

  test("swap32, regions that overlap, is a RangeError", () => {
    expect(() => kernels.swap32(0, 4, 2)).toThrow("Cannot swap 8 bytes from 4 to 0: the regions overlap");
    expect(() => kernels.swap32(0, 8, 2)).not.toThrow();
  });
});
