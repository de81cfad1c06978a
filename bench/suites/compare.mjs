// Which pages differ from a shadow copy of them.

import { MIB, PAGE, fillRandom, same } from "../kit.mjs";

const CALL = 32; // pages, the most of one call

/** Between the regions: cores that find lines of a cache by a hash of their address mistake some that are 2^n apart. */
const GAP = 17 * PAGE;

function compare(kernels, a, b, pages) {
  let changed = 0;
  for (let page = 0; page < pages; page += CALL) {
    const at = page * PAGE;
    for (let mask = kernels.changedPageMask(a + at, b + at, PAGE, CALL); mask !== 0; mask &= mask - 1) changed++;
  }
  return changed;
}

/** Compares `length` bytes with as many `gap` bytes behind them; `chunk` bytes in one call of the native code. */
function pageCompare(bench, length, chunk, gap) {
  const { bytes, wasm, js, native } = bench.open(2 * length + gap + PAGE);
  const [a, b] = [PAGE, PAGE + length + gap];
  fillRandom(bytes.subarray(a, a + length));
  bytes.copyWithin(b, a, a + length);
  const pages = length / PAGE;
  const variants = { wasm: () => compare(wasm, a, b, pages), js: () => compare(js, a, b, pages) };
  if (native) {
    variants.native = () => {
      let changed = 0;
      for (let at = 0; at < length; at += chunk) changed += native.changedPages(a + at, b + at, PAGE, chunk / PAGE);
      return changed;
    };
  }
  const count = () => Object.values(variants).map((variant) => variant());
  same("changed pages of equal ones", 0, ...count());
  for (const [page, at] of [
    [0, 0],
    [pages - 1, PAGE - 1],
  ]) {
    bytes[b + page * PAGE + at] ^= 1;
    same("changed pages", 1, ...count());
    bytes[b + page * PAGE + at] ^= 1;
  }
  return { variants };
}

export function rows(bench) {
  return [
    {
      id: "compare/cold",
      title: "page compare, equal pages, two regions of 128 MiB cold",
      bytes: 128 * MIB,
      prepare: () => pageCompare(bench, 128 * MIB, MIB, GAP),
      ratios: [
        { of: "wasm", to: "native", floor: 0.93, goal: 1.0 },
        { of: "wasm", to: "js" },
      ],
    },
    {
      id: "compare/aliased",
      title: "page compare, equal pages, two regions cold, 128 MiB apart",
      bytes: 128 * MIB,
      prepare: () => pageCompare(bench, 128 * MIB, MIB, 0),
      ratios: [
        { of: "wasm", to: "native" },
        { of: "wasm", to: "js" },
      ],
    },
    {
      id: "compare/hot",
      title: "page compare, equal pages, two regions of 256 KiB hot",
      bytes: MIB / 4,
      prepare: () => pageCompare(bench, MIB / 4, MIB / 4, GAP),
      ratios: [
        { of: "wasm", to: "native", floor: 0.6, goal: 0.72 },
        { of: "wasm", to: "js" },
      ],
    },
  ];
}
