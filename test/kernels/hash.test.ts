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
      "c3181273af161a14087bb13c0cfd9b15",
      "504adf7abeed6fddb9e66a0d142bf605",
      "a1a861d9d6d3855a493ac042f9e6cd20",
    ]);
  });
});
