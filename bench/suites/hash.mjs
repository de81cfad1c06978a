// Page hashes, against XXH3 of 64 bits built with SSE2. The hashes differ, the work is the same: 8 bytes for each page.

import { MIB, PAGE, digest, fillRandom, same } from "../kit.mjs";

/** XXH3 of a zero page, which says that the reference is what it is called. */
const XXH3_ZERO_PAGE = "93d76fe148c689ba";

function hashRow(bench, length, call) {
  const pages = length / PAGE;
  const out = PAGE + length;
  const { bytes, wasm, js, native } = bench.open(out + pages * 16);
  const each = (hash) => () => {
    for (let page = 0; page < pages; page += call) hash(PAGE + page * PAGE, PAGE, call, out + page * 8);
  };
  const variants = {
    wasm: each((...job) => wasm.hashPages64(...job)),
    js: each((...job) => js.hashPages64(...job)),
  };
  if (native) {
    bytes.fill(0, PAGE, 2 * PAGE);
    native.hashPages(PAGE, PAGE, 1, out);
    same(
      "XXH3",
      XXH3_ZERO_PAGE,
      Array.from(bytes.slice(out, out + 8).reverse(), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    );
    variants.native = each((...job) => native.hashPages(...job));
  }
  fillRandom(bytes.subarray(PAGE, out));
  const hashes = (variant) => {
    variant();
    return digest(bytes.subarray(out, out + pages * 8));
  };
  same("page hashes", hashes(variants.wasm), hashes(variants.js));
  return { variants };
}

export function rows(bench) {
  return [
    {
      id: "hash/hot",
      title: "page hash of 64 bits, 256 KiB hot",
      bytes: MIB / 4,
      prepare: () => hashRow(bench, MIB / 4, 64),
      ratios: [
        { of: "wasm", to: "native", floor: 1, goal: 1.3 },
        { of: "wasm", to: "js" },
      ],
    },
    {
      id: "hash/cold",
      title: "page hash of 64 bits, 64 MiB cold, 256 pages a call",
      bytes: 64 * MIB,
      prepare: () => hashRow(bench, 64 * MIB, 256),
      ratios: [
        { of: "wasm", to: "native" },
        { of: "wasm", to: "js" },
      ],
    },
  ];
}
