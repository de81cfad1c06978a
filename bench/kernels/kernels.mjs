// Both implementations of the kernels on the same pages, by Benchmark.js: `node bench/kernels/kernels.mjs [FILTER]`.
// Prints GB/s of guest memory (or bitmap) per implementation and the ratio; the copy shows what the machine can do.

import Benchmark from "benchmark";
import { rollup } from "rollup";
import esbuild from "rollup-plugin-esbuild";
import { kernels as kernelsPlugin } from "../../rollup.config.mjs";

const PAGE = 4096;
const PAGES = 1024;
const SET = PAGE * PAGES;

const root = new URL("../../", import.meta.url);
const bundle = await rollup({
  input: new URL("src/kernels/index.ts", root).pathname,
  plugins: [kernelsPlugin(), esbuild({ target: "es2022" })],
  external: ["@assemblyscript/loader"],
});
const file = new URL("build/bench-kernels.mjs", root);
await bundle.write({ file: file.pathname, format: "es" });
const { Arena } = await import(file.href);

/** Pages of noise, with `change` telling how many bytes of a thousand differ between `image` and `older`. */
function prepare(implementation, change) {
  const arena = Arena.create({ implementation });
  const names = { zero: SET, image: SET, older: SET, out: SET + PAGES * 9, bitmap: SET / 8, other: SET / 8 };
  const at = { result: arena.reserve("result", 64).address };
  for (const [name, length] of Object.entries(names)) at[name] = arena.reserve(name, length).address;
  const bytes = new Uint8Array(arena.kernels.buffer);
  let state = 1;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < SET; i++) bytes[at.image + i] = 1 + random() * 255;
  bytes.copyWithin(at.older, at.image, at.image + SET);
  for (let i = 0; i < SET; i++) if (random() * 1000 < change) bytes[at.older + i] ^= 0x55;
  return { kernels: arena.kernels, bytes, at };
}

function eachMask(call) {
  for (let page = 0; page < PAGES; page += 32) call(page * PAGE);
}

function fillBitmap({ bytes, at }, every) {
  bytes.fill(0, at.bitmap, at.bitmap + SET / 8);
  for (let bit = 0; bit < SET; bit += every) bytes[at.bitmap + (bit >> 3)] |= 1 << (bit & 7);
}

function encode({ kernels, bytes, at }, ram) {
  bytes.fill(255, at.bitmap, at.bitmap + PAGES / 8);
  const window = { ram, pageSize: PAGE, blockPage: 0, bitmap: at.bitmap, end: PAGES, name: 0, result: at.result };
  // Through a small output that stays in the cache, as a sender does.
  let first = 0;
  while (first < PAGES) first = kernels.encodePages({ ...window, first, out: at.out, outEnd: at.out + 262144 }).next;
}

function prepareDecode(on, ram) {
  const { kernels, bytes, at } = on;
  bytes.fill(255, at.bitmap, at.bitmap + PAGES / 8);
  const job = { ram, pageSize: PAGE, blockPage: 0, result: at.result };
  on.input = kernels.encodePages({
    ...job,
    bitmap: at.bitmap,
    first: 0,
    end: PAGES,
    name: 0,
    out: at.out,
    outEnd: at.out + SET + PAGES * 9,
  }).bytes;
  on.job = { ...job, ram: at.older, pages: PAGES, input: at.out, inputEnd: at.out + on.input, received: 0 };
}

function encodeXbzrle({ kernels, at }) {
  for (let page = 0; page < SET; page += PAGE) {
    kernels.xbzrleEncode(at.older + page, at.image + page, PAGE, at.out, PAGE);
  }
}

/** Encodes each page to its place; pages that overflow have length 0. */
function prepareXbzrle(on) {
  const { kernels, at } = on;
  on.lengths = Array.from({ length: PAGES }, (_, i) =>
    Math.max(0, kernels.xbzrleEncode(at.older + i * PAGE, at.image + i * PAGE, PAGE, at.out + i * PAGE, PAGE)),
  );
}

function decodeXbzrle({ kernels, at, lengths }) {
  for (let i = 0; i < PAGES; i++) kernels.xbzrleDecode(at.out + i * PAGE, lengths[i], at.older + i * PAGE, PAGE);
}

/** Name, bytes looked at, what runs, what is prepared, changed bytes of a thousand. */
const CASES = [
  ["copy", SET, ({ bytes, at }) => bytes.copyWithin(at.out, at.image, at.image + SET)],
  ["zero mask, zero pages", SET, ({ kernels, at }) => eachMask((o) => kernels.zeroPageMask(at.zero + o, PAGE, 32))],
  [
    "page compare, equal",
    SET,
    ({ kernels, at }) => eachMask((o) => kernels.changedPageMask(at.image + o, at.older + o, PAGE, 32)),
  ],
  ["page hash, 64 bits", SET, ({ kernels, at }) => kernels.hashPages64(at.image, PAGE, PAGES, at.out)],
  ["page hash, 128 bits", SET, ({ kernels, at }) => kernels.hashPages128(at.image, PAGE, PAGES, at.out)],
  ...[0, 1, 10, 100, 300].flatMap((change) => [
    [`xbzrle encode, ${change / 10} %`, SET, encodeXbzrle, undefined, change],
    [`xbzrle decode, ${change / 10} %`, SET, decodeXbzrle, prepareXbzrle, change],
  ]),
  ...[1e9, 1000, 100, 2].flatMap((every) => [
    [
      `bitmap runs, one bit in ${every}`,
      SET / 8,
      ({ kernels, at }) => kernels.bitmapRuns(at.bitmap, 0, SET, at.zero, SET / 8),
      (on) => fillBitmap(on, every),
    ],
    [
      `bitmap count, one bit in ${every}`,
      SET / 8,
      ({ kernels, at }) => kernels.bitmapCount(at.bitmap, 0, SET),
      (on) => fillBitmap(on, every),
    ],
  ]),
  ["bitmap merge, nothing set", SET / 8, ({ kernels, at }) => kernels.bitmapMergeClear(at.other, at.bitmap, SET)],
  [
    "bitmap merge, refilled half full",
    SET / 8,
    ({ kernels, bytes, at }) => {
      bytes.fill(0x55, at.bitmap, at.bitmap + SET / 8);
      kernels.bitmapMergeClear(at.other, at.bitmap, SET);
    },
  ],
  ["byte map, nothing set", SET, ({ kernels, at }) => kernels.byteMapMerge(at.bitmap, at.zero, SET, true)],
  ["byte map, all set, kept", SET, ({ kernels, at }) => kernels.byteMapMerge(at.bitmap, at.image, SET, false)],
  ["swap 64", SET, ({ kernels, at }) => kernels.swap64(at.image, at.image, SET / 8)],
  ["encode pages, all zero", SET, (on) => encode(on, on.at.zero)],
  ["encode pages, none zero", SET, (on) => encode(on, on.at.image)],
  [
    "decode pages, all zero",
    SET,
    ({ kernels, job, at }) => kernels.decodePages({ ...job, ram: at.zero }),
    (on) => prepareDecode(on, on.at.zero),
  ],
  [
    "decode pages, none zero",
    SET,
    ({ kernels, job }) => kernels.decodePages(job),
    (on) => prepareDecode(on, on.at.image),
  ],
];

const filter = process.argv[2] ?? "";
for (const [name, bytes, run, setUp, change] of CASES) {
  if (!name.includes(filter)) continue;
  const rate = {};
  for (const implementation of ["js", "wasm"]) {
    const on = prepare(implementation, change ?? 0);
    setUp?.(on);
    const bench = new Benchmark(name, () => run(on), { maxTime: 0.5 });
    bench.run();
    rate[implementation] = bytes / bench.stats.mean / 1e9;
  }
  const columns = [rate.js.toFixed(2), rate.wasm.toFixed(2), (rate.wasm / rate.js).toFixed(1)];
  console.log(name.padEnd(34), ...columns.map((column) => column.padStart(8)));
}
