// Page hashes, against XXH3 of 64 bits built with SSE2. The hashes differ, the work is the same: 8 bytes for each page.
// The hash of 128 bits, the one that the hash tracker keeps, writes twice as many and has no floor.

import { MIB, PAGE, digest, fillRandom, same } from "../kit.mjs";

/** XXH3 of a zero page, which says that the reference is what it is called. */
const XXH3_ZERO_PAGE = "93d76fe148c689ba";

const BITS = [64, 128];

function hashRow(bench, bits, length, call) {
  const pages = length / PAGE;
  const out = PAGE + length;
  const { bytes, wasm, js, native } = bench.open(out + pages * 16);
  const width = bits / 8;
  const each = (hash, width) => () => {
    for (let page = 0; page < pages; page += call) hash(PAGE + page * PAGE, PAGE, call, out + page * width);
  };
  const hashPages = `hashPages${bits}`;
  const variants = {
    wasm: each((...job) => wasm[hashPages](...job), width),
    js: each((...job) => js[hashPages](...job), width),
  };
  if (native) {
    bytes.fill(0, PAGE, 2 * PAGE);
    native.hashPages(PAGE, PAGE, 1, out);
    same(
      "XXH3",
      XXH3_ZERO_PAGE,
      Array.from(bytes.slice(out, out + 8).reverse(), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    );
    variants.native = each((...job) => native.hashPages(...job), 8);
  }
  fillRandom(bytes.subarray(PAGE, out));
  const hashes = (variant) => {
    variant();
    return digest(bytes.subarray(out, out + pages * width));
  };
  same("page hashes", hashes(variants.wasm), hashes(variants.js));
  return { variants };
}

const SIZES = {
  hot: { title: "256 KiB hot", length: MIB / 4, call: 64, limits: { floor: 1, goal: 1.3 } },
  cold: { title: "64 MiB cold, 256 pages a call", length: 64 * MIB, call: 256, limits: {} },
};

export function rows(bench) {
  return BITS.flatMap((bits) =>
    Object.entries(SIZES).map(([size, { title, length, call, limits }]) => ({
      id: bits === 64 ? `hash/${size}` : `hash/${size}/${bits}`,
      title: `page hash of ${bits} bits, ${title}${bits === 64 ? "" : " (native: of 64 bits)"}`,
      bytes: length,
      prepare: () => hashRow(bench, bits, length, call),
      ratios: [
        { of: "wasm", to: "native", ...(bits === 64 ? limits : {}) },
        { of: "wasm", to: "js" },
      ],
    })),
  );
}
