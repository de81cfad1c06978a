// Which pages are zero.

import { MIB, PAGE, same } from "../kit.mjs";

const CALL = 32; // pages, the most of one call

function scan(kernels, address, pages) {
  let zeros = 0;
  for (let page = 0; page < pages; page += CALL) {
    let mask = kernels.zeroPageMask(address + page * PAGE, PAGE, CALL);
    if (mask === 0xffffffff) zeros += CALL;
    else for (; mask !== 0; mask &= mask - 1) zeros++;
  }
  return zeros;
}

function zeroScan(bench, length, fill) {
  const { bytes, wasm, js, native } = bench.open(length + PAGE);
  const ram = bytes.subarray(PAGE, PAGE + length);
  ram.fill(0);
  fill?.(ram);
  const pages = length / PAGE;
  const chunk = Math.min(length, MIB);
  const variants = { wasm: () => scan(wasm, PAGE, pages), js: () => scan(js, PAGE, pages) };
  if (native) {
    variants.native = () => {
      let zeros = 0;
      for (let at = PAGE; at < PAGE + length; at += chunk) zeros += native.zeroPages(at, PAGE, chunk / PAGE);
      return zeros;
    };
  }
  same("zero pages", ...Object.values(variants).map((variant) => variant()));
  return { variants };
}

export function rows(bench) {
  return [
    {
      id: "zero/cold",
      title: "zero scan, zero pages, 256 MiB cold",
      bytes: 256 * MIB,
      prepare: () => zeroScan(bench, 256 * MIB),
      ratios: [
        { of: "wasm", to: "native", floor: 0.95, goal: 1.05 },
        { of: "wasm", to: "js" },
      ],
    },
    {
      id: "zero/hot",
      title: "zero scan, zero pages, 256 KiB hot",
      bytes: MIB / 4,
      prepare: () => zeroScan(bench, MIB / 4),
      ratios: [
        { of: "wasm", to: "native", floor: 0.65, goal: 0.75 },
        { of: "wasm", to: "js" },
      ],
    },
  ];
}
