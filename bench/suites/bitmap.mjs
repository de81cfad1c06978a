// Dirty bitmaps of 32 MiB: 1 TiB of guest in pages of 4 KiB. Sets that are moved between two of them are twice that.

import { MIB, randomNumbers, same } from "../kit.mjs";

const LENGTH = 32 * MIB;
const BITS = LENGTH * 8;
const FIRST = 65536;
const SECOND = FIRST + LENGTH;
const CAPACITY = 8192; // runs of one call: 64 KiB, which stay in the cache while the caller uses them

/** Sets each bit with a probability. */
function scatter(bitmap, density) {
  bitmap.fill(0);
  if (density === 0) return;
  const random = randomNumbers(7);
  if (density === 0.5) {
    for (let at = 0; at < bitmap.length; at++) bitmap[at] = random() * 256;
    return;
  }
  const gap = () => Math.floor(Math.log(1 - random()) / Math.log(1 - density));
  for (let bit = gap(); bit < bitmap.length * 8; bit += 1 + gap()) bitmap[bit >>> 3] |= 1 << (bit & 7);
}

/** Sets runs and leaves gaps, both of lengths up to twice the mean. */
function paint(bitmap, run, gap) {
  bitmap.fill(0);
  const random = randomNumbers(7);
  const length = (mean) => 1 + Math.floor(random() * 2 * mean);
  for (let bit = length(gap); bit < bitmap.length * 8; bit += length(gap)) {
    const end = Math.min(bit + length(run), bitmap.length * 8);
    for (; bit < end && (bit & 7) !== 0; bit++) bitmap[bit >>> 3] |= 1 << (bit & 7);
    if (end - bit >= 8) bitmap.fill(255, bit >>> 3, end >>> 3);
    for (bit = Math.max(bit, end & ~7); bit < end; bit++) bitmap[bit >>> 3] |= 1 << (bit & 7);
  }
}

/** All runs, by calls with room for CAPACITY; returns how many. `seen(runs)` is told how many a call has found. */
function extents(bitmapRuns, words, out, seen) {
  let total = 0;
  let from = 0;
  while (true) {
    const runs = bitmapRuns(FIRST, from, BITS, out, CAPACITY);
    seen?.(runs);
    total += runs;
    if (runs < CAPACITY) return total;
    from = words[runs * 2 - 1];
  }
}

/** How many runs are found in all, and a digest of all of them, as one text. */
function summary(bitmapRuns, words, out) {
  let sum = 0;
  const total = extents(bitmapRuns, words, out, (runs) => {
    for (let i = 0; i < 2 * runs; i++) sum = (Math.imul(sum, 31) + words[i]) | 0;
  });
  return `${total} ${sum}`;
}

function extentsRow(bench, fill) {
  const { bytes, wasm, js, native } = bench.open(SECOND + 65536);
  fill(bytes.subarray(FIRST, FIRST + LENGTH));
  const words = new Uint32Array(bytes.buffer, SECOND, CAPACITY * 2);
  const finders = {
    wasm: (...range) => wasm.bitmapRuns(...range),
    js: (...range) => js.bitmapRuns(...range),
  };
  if (native) finders.native = native.bitmapRuns;
  same("extents", ...Object.values(finders).map((find) => summary(find, words, SECOND)));
  const variants = {};
  for (const [name, find] of Object.entries(finders)) variants[name] = () => extents(find, words, SECOND);
  return { variants };
}

function cleanRow(bench) {
  const { bytes, wasm, js, native } = bench.open(FIRST + LENGTH);
  bytes.fill(0, FIRST, FIRST + LENGTH);
  const variants = {
    wasm: () => wasm.bitmapNextSet(FIRST, 0, BITS),
    js: () => js.bitmapNextSet(FIRST, 0, BITS),
  };
  if (native) variants.native = () => native.bitmapNextSet(FIRST, 0, BITS);
  same("next set bit", ...Object.values(variants).map((variant) => variant()));
  return { variants };
}

function countRow(bench) {
  const { bytes, wasm, js, native } = bench.open(FIRST + LENGTH);
  scatter(bytes.subarray(FIRST, FIRST + LENGTH), 0.5);
  const variants = { wasm: () => wasm.bitmapCount(FIRST, 0, BITS), js: () => js.bitmapCount(FIRST, 0, BITS) };
  if (native) variants.native = () => native.bitmapCount(FIRST, BITS);
  if (native?.hasPopcnt()) variants.nativePopcnt = () => native.bitmapCountPopcnt(FIRST, BITS);
  same("population count", ...Object.values(variants).map((variant) => variant()));
  return { variants };
}

/** Where two bitmaps first differ, in words of 32 bits; -1 if nowhere. */
function difference(a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** Marks go from one bitmap to the other, which is empty then, and with the next call back. */
function syncRow(bench, density, shared) {
  const { bytes, wasm, js, native } = bench.open(SECOND + LENGTH, { shared });
  bytes.fill(0, FIRST, SECOND + LENGTH);
  scatter(bytes.subarray(FIRST, FIRST + LENGTH), density);
  const words = (at) => new Uint32Array(bytes.buffer, at, LENGTH / 4);
  const marks = words(FIRST).slice();
  const none = new Uint32Array(marks.length);
  let target = SECOND;
  let source = FIRST;
  const move = (mergeClear) => {
    const added = mergeClear(target, source, BITS);
    [target, source] = [source, target];
    return added;
  };
  const variants = {
    wasm: () => move((...sets) => wasm.bitmapMergeClear(...sets)),
    js: () => move((...sets) => js.bitmapMergeClear(...sets)),
  };
  if (native) variants.native = () => move(native.bitmapMergeClear);
  if (native?.hasPopcnt()) variants.nativePopcnt = () => move(native.bitmapMergeClearPopcnt);
  const count = js.bitmapCount(FIRST, 0, BITS);
  for (const [name, variant] of Object.entries(variants)) {
    same(`new marks by ${name}`, variant(), count);
    // What was the target is the source of the next call.
    same(`first mark that ${name} moved wrongly`, difference(words(source), marks), -1);
    same(`first mark that ${name} left behind`, difference(words(target), none), -1);
  }
  return { variants };
}

const FILLS = [
  ["0", "no page dirty", (bitmap) => scatter(bitmap, 0), 1.1, 1.5],
  ["1e-6", "1e-6 of the pages dirty", (bitmap) => scatter(bitmap, 1e-6), 1.1, 1.5],
  ["1e-4", "1e-4 of the pages dirty", (bitmap) => scatter(bitmap, 1e-4), 1.1, 1.5],
  ["1e-3", "1e-3 of the pages dirty", (bitmap) => scatter(bitmap, 1e-3)],
  ["1e-2", "1e-2 of the pages dirty", (bitmap) => scatter(bitmap, 1e-2), 3, 3.6],
  ["0.5", "half of the pages dirty", (bitmap) => scatter(bitmap, 0.5), 9, 10.5],
  ["runs-64", "runs of about 64 pages, a tenth dirty", (bitmap) => paint(bitmap, 64, 576), 0.9, 1.1],
  ["runs-512", "runs of about 512 pages, half dirty", (bitmap) => paint(bitmap, 512, 512), 0.9, 1.1],
  ["ones", "every page dirty", (bitmap) => bitmap.fill(255), 0.9, 1.1],
];

const SYNCS = [
  ["0", 0, 2, 2.4],
  ["1e-4", 1e-4],
  ["1e-2", 1e-2, 4.5, 5.4],
  ["0.5", 0.5, 8.5, 10],
];

function ratios(floor, goal) {
  return [
    { of: "wasm", to: "native", floor, goal },
    { of: "wasm", to: "nativePopcnt" },
    { of: "wasm", to: "js" },
  ];
}

export function rows(bench) {
  return [
    ...FILLS.map(([mix, title, fill, floor, goal]) => ({
      id: `bitmap/extents/${mix}`,
      title: `dirty bitmap to extents, 32 MiB, ${title}`,
      bytes: LENGTH,
      prepare: () => extentsRow(bench, fill),
      ratios: ratios(floor, goal),
      once: true,
      rounds: 15,
    })),
    {
      id: "bitmap/next/clean",
      title: "next dirty page of 1 TiB of clean guest, 32 MiB",
      bytes: LENGTH,
      prepare: () => cleanRow(bench),
      ratios: ratios(),
    },
    {
      id: "bitmap/popcount",
      title: "population count, 32 MiB cold",
      bytes: LENGTH,
      prepare: () => countRow(bench),
      ratios: ratios(3, 4.5),
    },
    ...SYNCS.map(([mix, density, floor, goal]) => ({
      id: `bitmap/sync/${mix}`,
      title: `merge and clear, 32 MiB, density ${mix}`,
      bytes: LENGTH,
      prepare: () => syncRow(bench, density, false),
      ratios: ratios(floor, goal),
      once: true,
      rounds: 15,
    })),
    ...SYNCS.map(([mix, density]) => ({
      id: `bitmap/sync-shared/${mix}`,
      title: `merge and clear, 32 MiB, density ${mix}, on shared memory`,
      bytes: LENGTH,
      prepare: () => syncRow(bench, density, true),
      ratios: ratios(),
      once: true,
      rounds: 15,
    })),
  ];
}
