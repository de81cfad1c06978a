import { afterEach, describe, expect, test, vi } from "vitest";
import { compileKernels } from "../../rollup.config.mjs";
import { createKernels, loadKernels } from "../../src/kernels/create.js";
import type { Kernels } from "../../src/kernels/types.js";
import { noise } from "./kit.js";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.doUnmock("virtual:savevm-kernels");
  vi.resetModules();
});

/** An engine whose policy forbids to compile WebAssembly: memories work, modules do not. */
function forbidCompiling(): void {
  const error = new WebAssembly.CompileError("Wasm code generation disallowed by embedder");
  vi.stubGlobal("WebAssembly", {
    Memory: WebAssembly.Memory,
    CompileError: WebAssembly.CompileError,
    Instance: WebAssembly.Instance,
    Module: function Module() {
      throw error;
    },
    compile: () => Promise.reject(error),
  });
}

describe("memories of an emulator", () => {
  test.each([
    ["without maximum", () => new WebAssembly.Memory({ initial: 2 })],
    ["with a maximum", () => new WebAssembly.Memory({ initial: 2, maximum: 3 })],
    ["that cannot grow", () => new WebAssembly.Memory({ initial: 2, maximum: 2 })],
    ["with the greatest maximum", () => new WebAssembly.Memory({ initial: 2, maximum: 65536 })],
    ["shared, with a maximum", () => new WebAssembly.Memory({ initial: 2, maximum: 3, shared: true })],
    ["shared, with the greatest maximum", () => new WebAssembly.Memory({ initial: 2, maximum: 65536, shared: true })],
  ])("createKernels, memory %s, works in place and writes nothing", async (_name, make) => {
    const memory = make();
    const bytes = new Uint8Array(memory.buffer);
    const image = noise(bytes.length);
    bytes.set(image);
    bytes.fill(0, 8192, 12288);
    for (const kernels of [createKernels(memory, { implementation: "wasm" }), await loadKernels(memory)]) {
      expect(kernels.implementation).toBe("wasm");
      expect(kernels.fallbackCause).toBeUndefined();
      expect(kernels.buffer).toBe(memory.buffer);
      expect(kernels.zeroPageMask(0, 4096, 4)).toBe(4);
    }
    image.fill(0, 8192, 12288);
    expect(Buffer.compare(bytes, image)).toBe(0);
  });

  test.each(["wasm", "js"] as const)("%s kernels, memory grown after binding, see the new pages", (implementation) => {
    for (const shared of [false, true]) {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 4, shared });
      const kernels = createKernels(memory, { implementation });
      expect(kernels.zeroPageMask(0, 65536, 1)).toBe(1);
      expect(() => kernels.zeroPageMask(65536, 65536, 1)).toThrow(RangeError);
      memory.grow(2);
      new Uint8Array(memory.buffer)[3 * 65536 - 1] = 1;
      expect(kernels.zeroPageMask(65536, 65536, 2)).toBe(1);
      expect(kernels.buffer.byteLength).toBe(3 * 65536);
    }
  });

  test("createKernels, plain buffers and things with a buffer, takes the twin", () => {
    const plain = new ArrayBuffer(65536);
    for (const memory of [plain, new SharedArrayBuffer(65536), { buffer: plain }]) {
      const kernels = createKernels(memory);
      expect([kernels.implementation, kernels.fallbackCause]).toEqual(["js", undefined]);
      expect(kernels.zeroPageMask(0, 256, 32)).toBe(0xffffffff);
    }
    // Lengths that are not whole words.
    const odd = createKernels(new ArrayBuffer(4099));
    expect(odd.zeroPageMask(3, 4096, 1)).toBe(1);
  });

  test("createKernels, a resizable buffer that grew, sees the new bytes", () => {
    const buffer = new (ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer)(300, {
      maxByteLength: 600,
    });
    const kernels = createKernels(buffer);
    expect(kernels.zeroPageMask(0, 256, 1)).toBe(1);
    (buffer as unknown as { resize(length: number): void }).resize(600);
    expect(kernels.zeroPageMask(0, 256, 2)).toBe(3);
  });

  test("createKernels, a view or WebAssembly on a plain buffer, is a TypeError", async () => {
    expect(() => createKernels(new Uint8Array(8))).toThrow("Cannot bind kernels to a view");
    expect(() => createKernels(new ArrayBuffer(8), { implementation: "wasm" })).toThrow(TypeError);
    await expect(loadKernels(new ArrayBuffer(8), { implementation: "wasm" })).rejects.toThrow(TypeError);
  });
});

describe("engines", () => {
  test("createKernels, no WebAssembly at all, takes the twin", async () => {
    vi.stubGlobal("WebAssembly", undefined);
    expect(createKernels(new ArrayBuffer(8)).implementation).toBe("js");
    expect((await loadKernels(new ArrayBuffer(8))).implementation).toBe("js");
  });

  test("createKernels, compiling forbidden, takes the twin on the same memory and keeps the cause", async () => {
    forbidCompiling();
    const memory = new WebAssembly.Memory({ initial: 1 });
    for (const kernels of [createKernels(memory), await loadKernels(memory)]) {
      expect(kernels.implementation).toBe("js");
      expect(kernels.fallbackCause).toBeInstanceOf(WebAssembly.CompileError);
      expect(kernels.zeroPageMask(0, 4096, 16)).toBe(0xffff);
    }
  });

  test("createKernels, compiling forbidden but WebAssembly demanded, throws the engine's error", async () => {
    forbidCompiling();
    const memory = new WebAssembly.Memory({ initial: 1 });
    expect(() => createKernels(memory, { implementation: "wasm" })).toThrow(WebAssembly.CompileError);
    await expect(loadKernels(memory, { implementation: "wasm" })).rejects.toThrow(WebAssembly.CompileError);
  });

  test("createKernels, a module that does not fit the memory, takes the twin", async () => {
    const module = await WebAssembly.compile(Buffer.from((await compileKernels()).plain.base64, "base64"));
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const kernels = createKernels(memory, { modules: { shared: module } });
    expect(kernels.implementation).toBe("js");
    expect(kernels.fallbackCause).toBeInstanceOf(WebAssembly.LinkError);
  });

  test("createKernels, a module compiled by the caller, uses it where compiling is forbidden", async () => {
    const module = await WebAssembly.compile(Buffer.from((await compileKernels()).plain.base64, "base64"));
    const { Module } = WebAssembly;
    forbidCompiling();
    // The loader recognises modules by class.
    vi.stubGlobal("WebAssembly", {
      ...WebAssembly,
      Module,
      instantiate: (m: WebAssembly.Module, i: WebAssembly.Imports) => Promise.resolve(new WebAssembly.Instance(m, i)),
    });
    const memory = new WebAssembly.Memory({ initial: 1 });
    const modules = { plain: module };
    expect(createKernels(memory, { modules }).implementation).toBe("wasm");
    expect((await loadKernels(memory, { modules })).implementation).toBe("wasm");
  });

  test("createKernels, both builds compiled by the caller, takes the one for each memory", async () => {
    const compiled = await compileKernels();
    const [plain, shared] = await Promise.all(
      [compiled.plain, compiled.shared].map(({ base64 }) => WebAssembly.compile(Buffer.from(base64, "base64"))),
    );
    for (const isShared of [false, true]) {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: isShared });
      const kernels = createKernels(memory, { implementation: "wasm", modules: { plain, shared } });
      expect(kernels.zeroPageMask(0, 256, 3)).toBe(7);
    }
  });

  test("createKernels, kernels embedded as modules (workerd), compiles nothing", async () => {
    const compiled = await compileKernels();
    const module = async (base64: string): Promise<WebAssembly.Module> =>
      WebAssembly.compile(Buffer.from(base64, "base64"));
    const [plain, shared] = await Promise.all([module(compiled.plain.base64), module(compiled.shared.base64)]);
    vi.doMock("virtual:savevm-kernels", () => ({ plain: { source: plain }, shared: { source: shared } }));
    const fresh = await import("../../src/kernels/create.js");
    for (const shared of [false, true]) {
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared });
      expect(fresh.createKernels(memory, { implementation: "wasm" }).zeroPageMask(0, 256, 3)).toBe(7);
    }
  });
});

describe.each(["wasm", "js"] as const)("arguments of the %s kernels", (implementation) => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const kernels = createKernels(memory, { implementation });
  const window = { ram: 0, pageSize: 4096, blockPage: 0, result: 0 };
  const encode = { ...window, bitmap: 0, first: 0, end: 1, name: 0, out: 8192, outEnd: 8300 };
  const decode = { ...window, pages: 1, input: 8192, inputEnd: 8300, received: 0 };

  const wrong: readonly (readonly [string, (k: Kernels) => unknown])[] = [
    ["page size not a power of two", (k) => k.zeroPageMask(0, 4097, 1)],
    ["page size with a fraction", (k) => k.zeroPageMask(0, 256.5, 1)],
    ["page size too small", (k) => k.zeroPageMask(0, 128, 1)],
    ["page size too large", (k) => k.changedPageMask(0, 0, 131072, 0)],
    ["33 pages", (k) => k.zeroPageMask(0, 256, 33)],
    ["negative count", (k) => k.zeroPageMask(0, 256, -1)],
    ["negative address", (k) => k.zeroPageMask(-4096, 4096, 1)],
    ["address not a number", (k) => k.zeroPageMask(NaN, 4096, 1)],
    ["pages behind the end", (k) => k.zeroPageMask(61441, 4096, 1)],
    ["second region behind the end", (k) => k.changedPageMask(0, 61441, 4096, 1)],
    ["hashes behind the end", (k) => k.hashPages64(0, 256, 2, 65536 - 15)],
    ["wide hashes behind the end", (k) => k.hashPages128(0, 256, 2, 65536 - 31)],
    ["XBZRLE output behind the end", (k) => k.xbzrleEncode(0, 4096, 4096, 65000, 4096)],
    ["XBZRLE input behind the end", (k) => k.xbzrleDecode(65535, 2, 0, 4096)],
    ["XBZRLE length out of all proportion", (k) => k.xbzrleEncode(0, 0, 2 ** 31, 0, 0)],
    ["bits behind the end", (k) => k.bitmapCount(65535, 0, 9)],
    ["bits backwards", (k) => k.bitmapNextSet(0, 9, 8)],
    ["runs behind the end", (k) => k.bitmapRuns(0, 0, 8, 65535, 1)],
    ["source bits behind the end", (k) => k.bitmapMergeClear(0, 65535, 9)],
    ["marks behind the end", (k) => k.byteMapMerge(0, 65535, 2, true)],
    ["words behind the end", (k) => k.swap64(65528, 65528, 2)],
    ["guest memory behind the end", (k) => k.encodePages({ ...encode, end: 17 })],
    ["output before its start", (k) => k.encodePages({ ...encode, outEnd: 8191 })],
    ["output behind the end", (k) => k.encodePages({ ...encode, outEnd: 65537 })],
    ["result behind the end", (k) => k.encodePages({ ...encode, result: 65517 })],
    ["name behind the end", (k) => k.encodePages({ ...encode, name: 65536 })],
    ["window behind the end", (k) => k.decodePages({ ...decode, pages: 17 })],
    ["input behind the end", (k) => k.decodePages({ ...decode, inputEnd: 65537 })],
    ["received bitmap behind the end", (k) => k.decodePages({ ...decode, received: 65536 })],
  ];

  test.each(wrong)("%s, is a RangeError and nothing is written", (_name, call) => {
    const bytes = new Uint8Array(memory.buffer);
    const image = noise(bytes.length);
    bytes.set(image);
    expect(() => call(kernels)).toThrow(RangeError);
    expect(Buffer.compare(bytes, image)).toBe(0);
  });

  test("regions that end with the memory, and empty ones, are fine", () => {
    new Uint8Array(memory.buffer).fill(0);
    expect(kernels.zeroPageMask(61440, 4096, 1)).toBe(1);
    expect(kernels.zeroPageMask(65536, 4096, 0)).toBe(0);
    expect(kernels.bitmapCount(65535, 0, 8)).toBe(0);
    expect(kernels.xbzrleDecode(65536, 0, 61440, 4096)).toBe(0);
    expect(kernels.bitmapMergeClear(65536, 65536, 0)).toBe(0);
  });
});
