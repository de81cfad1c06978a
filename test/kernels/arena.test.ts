import { afterEach, describe, expect, test, vi } from "vitest";
import { Arena } from "../../src/kernels/arena.js";

afterEach(() => vi.unstubAllGlobals());

describe.each(["wasm", "js"] as const)("Arena with %s kernels", (implementation) => {
  test("reserve, windows of any length, are aligned, zeroed and apart", () => {
    const arena = Arena.create({ implementation });
    const windows = [1, 64, 100, 0, 4096, 300_000].map((length, i) => arena.reserve(`window ${i}`, length));
    windows.forEach((window, i) => arena.bytes(window).fill(i + 1));
    windows.forEach((window, i) => {
      expect(window.address % 64).toBe(0);
      expect(window.address).toBeGreaterThan(0);
      expect(arena.bytes(window).every((byte) => byte === i + 1)).toBe(true);
    });
    expect(arena.bytes(arena.reserve("fresh", 100_000)).every((byte) => byte === 0)).toBe(true);
  });

  test("kernels, windows made before and after the memory grew, find the bytes", () => {
    const arena = Arena.create({ implementation });
    expect(arena.kernels.implementation).toBe(implementation);
    const early = arena.reserve("early", 4096);
    arena.bytes(early).fill(7);
    const late = arena.reserve("late", 1 << 20);
    arena.bytes(late).fill(7, 4096);
    expect(arena.kernels.zeroPageMask(late.address, 4096, 32)).toBe(1);
    expect(arena.kernels.changedPageMask(early.address, late.address, 4096, 1)).toBe(1);
    expect(arena.kernels.changedPageMask(early.address, late.address + 4096, 4096, 1)).toBe(0);
    expect(arena.bytes(early)).toEqual(new Uint8Array(4096).fill(7));
  });

  test("release, neighbours in any order, are merged and used again", () => {
    const arena = Arena.create({ implementation });
    const size = 65536;
    const windows = Array.from({ length: 6 }, (_, i) => arena.reserve(`window ${i}`, size));
    const last = arena.reserve("last", 64);
    for (const i of [4, 0, 2, 1, 5, 3]) arena.release(windows[i]);
    const length = arena.kernels.buffer.byteLength;
    const whole = arena.reserve("whole", 6 * size);
    expect(whole.address).toBe(windows[0].address);
    expect(arena.kernels.buffer.byteLength).toBe(length);
    arena.release(whole);
    expect(arena.reserve("part", 128).address).toBe(windows[0].address);
    expect(arena.reserve("next part", 128).address).toBe(windows[0].address + 128);
    expect(arena.reserve("too large", 6 * size).address).toBeGreaterThan(last.address);
  });

  test("release and bytes, a window of another arena or released before, is a TypeError", () => {
    const arena = Arena.create({ implementation });
    const window = arena.reserve("mine", 10);
    expect(() => Arena.create({ implementation }).bytes(window)).toThrow("Cannot view window mine: not reserved here");
    arena.release(window);
    expect(() => arena.release(window)).toThrow("Cannot release window mine: not reserved here");
    expect(() => arena.bytes(window)).toThrow(TypeError);
  });

  test("reserve, more than any memory holds, is a RangeError that names the window", () => {
    const arena = Arena.create({ implementation });
    expect(() => arena.reserve("huge", 2 ** 52)).toThrow("Cannot reserve window huge");
    for (const length of [-1, 1.5, NaN]) expect(() => arena.reserve("odd", length)).toThrow(RangeError);
    expect(arena.bytes(arena.reserve("small", 10))).toHaveLength(10);
  });
});

test("Arena.create and Arena.load, an engine without WebAssembly, work with the twin", async () => {
  vi.stubGlobal("WebAssembly", undefined);
  for (const arena of [Arena.create(), await Arena.load()]) {
    const window = arena.reserve("ram", 8192);
    expect(arena.kernels.implementation).toBe("js");
    expect(arena.kernels.zeroPageMask(window.address, 4096, 2)).toBe(3);
  }
});

test("Arena.load, any engine of today, uses WebAssembly", async () => {
  expect((await Arena.load()).kernels.implementation).toBe("wasm");
});
