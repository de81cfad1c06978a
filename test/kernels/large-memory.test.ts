import { describe, expect, test } from "vitest";
import { createKernels } from "../../src/kernels/create.js";
import { noise } from "./kit.js";

// The largest memory that 32-bit addresses reach. Only the pages that are touched take room.
const END = 2 ** 32;
const memory = new WebAssembly.Memory({ initial: 65536, maximum: 65536 });
const bytes = new Uint8Array(memory.buffer);

describe.each(["wasm", "js"] as const)("%s kernels at the very end of 4 GiB", (implementation) => {
  const kernels = createKernels(memory, { implementation });

  test("pages, the last ones, are tested, compared and hashed", () => {
    bytes.fill(0, END - 8 * 4096);
    expect(kernels.zeroPageMask(END - 5 * 4096, 4096, 5)).toBe(31);
    bytes[END - 300] = 1;
    expect(kernels.zeroPageMask(END - 5 * 4096, 4096, 5)).toBe(15);
    expect(kernels.zeroPageMask(END - 4 * 4096, 4096, 4)).toBe(7);
    expect(kernels.changedPageMask(0, END - 3 * 4096, 4096, 3)).toBe(4);
    expect(kernels.changedPageMask(END - 3 * 4096, 0, 4096, 3)).toBe(4);
    expect(kernels.changedPageMask(END - 2 * 4096, 0, 4096, 2)).toBe(2);
    kernels.hashPages64(END - 4096, 4096, 1, END - 8192);
    kernels.hashPages64(0, 4096, 1, 8192);
    expect(bytes.slice(END - 8192, END - 8184)).not.toEqual(bytes.slice(8192, 8200));
    bytes.fill(0, 8192, 8200);
  });

  test("bitmaps and words, the last ones, are found, moved and swapped", () => {
    bytes.fill(0, END - 4096);
    bytes[END - 1] = 0x80;
    expect(kernels.bitmapNextSet(END - 4096, 3, 32768)).toBe(32767);
    expect(kernels.bitmapCount(END - 4096, 0, 32768)).toBe(1);
    expect(kernels.bitmapRuns(END - 4096, 0, 32768, END - 4096, 1)).toBe(1);
    expect(kernels.bitmapMergeClear(END - 4096, END - 2048, 16384)).toBe(1);
    bytes[END - 1] = 9;
    expect(kernels.byteMapMerge(END - 8192, END - 256, 256, true)).toBe(1);
    bytes.set(noise(24), END - 24);
    kernels.swap64(END - 24, END - 24, 3);
    expect(bytes.slice(END - 8)).toEqual(noise(24).slice(16).reverse());
  });

  test("XBZRLE and records, buffers that end with the memory, are written to the last byte", () => {
    const page = noise(4096);
    bytes.set(page, END - 4096);
    bytes.set(page, END - 16384);
    bytes[END - 1] = 0;
    expect(kernels.xbzrleEncode(END - 16384, END - 4096, 4096, END - 4100, 4)).toBe(4);
    expect([...bytes.slice(END - 4100, END - 4096)]).toEqual([0xff, 0x1f, 1, 0]);
    expect(kernels.xbzrleDecode(END - 4100, 4, END - 4096, 4096)).toBe(4096);

    bytes[END - 32768] = 1;
    const window = { ram: END - 16384, pageSize: 4096, blockPage: 7, result: END - 20480 };
    const encoded = kernels.encodePages({
      ...window,
      bitmap: END - 32768,
      first: 0,
      end: 1,
      name: 0,
      out: END - 4104,
      outEnd: END,
    });
    expect(encoded).toEqual({ bytes: 4104, next: 1, zeroPages: 0, normalPages: 1, nameSent: false });
    expect(bytes.slice(END - 4096)).toEqual(page);
    bytes.fill(0, END - 16384, END - 12288);
    const decoded = kernels.decodePages({ ...window, pages: 1, input: END - 4104, inputEnd: END, received: 0 });
    expect(decoded).toEqual({ bytes: 4104, zeroPages: 0, normalPages: 1 });
    expect(bytes.slice(END - 16384, END - 12288)).toEqual(page);
  });
});
