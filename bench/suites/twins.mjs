// The TypeScript twins, called as users do, against plain JavaScript that was written for speed alone (bench/plain/):
// it checks no argument and knows no shared memory, and some of it wants aligned addresses.

import { digest, fillMixed, fillRandom, MIB, PAGE, randomNumbers, same } from "../kit.mjs";
import * as plainBitmap from "../plain/bitmap.mjs";
import { hashPages } from "../plain/hash.mjs";
import * as plainPages from "../plain/pages.mjs";
import * as plainRecords from "../plain/records.mjs";
import * as plainXbzrle from "../plain/xbzrle.mjs";

const FIRST = 65536;

/** Kernels and views of a memory with room for some regions, each of `length` bytes and a page. */
function open(bench, length, regions) {
  const { bytes, js } = bench.open(FIRST + regions * (length + PAGE));
  const buffer = bytes.buffer;
  const views = { u8: bytes, u32: new Uint32Array(buffer), data: new DataView(buffer) };
  const region = (i) => bytes.subarray(address(i), address(i) + length);
  const address = (i) => FIRST + i * (length + PAGE);
  bytes.fill(0);
  return { js, views, bytes, region, address };
}

function result(variants, digest = (variant) => variant()) {
  same("twin and plain", ...Object.values(variants).map((variant) => digest(variant)));
  return { variants };
}

function zero(bench) {
  const { js, views, address } = open(bench, 4 * MIB, 1);
  const scan = (mask) => {
    let zeros = 0;
    for (let at = address(0); at < address(0) + 4 * MIB; at += 32 * PAGE) zeros += mask(at) === 0xffffffff ? 32 : 0;
    return zeros;
  };
  return result({
    twin: () => scan((at) => js.zeroPageMask(at, PAGE, 32)),
    plain: () => scan((at) => plainPages.zeroPageMask(views, at, PAGE, 32)),
  });
}

function compare(bench) {
  const { js, views, region, address } = open(bench, 4 * MIB, 2);
  fillRandom(region(0));
  region(1).set(region(0));
  const scan = (mask) => {
    let changed = 0;
    for (let at = 0; at < 4 * MIB; at += 32 * PAGE) changed |= mask(address(0) + at, address(1) + at);
    return changed >>> 0;
  };
  return result({
    twin: () => scan((a, b) => js.changedPageMask(a, b, PAGE, 32)),
    plain: () => scan((a, b) => plainPages.changedPageMask(views, a, b, PAGE, 32)),
  });
}

/** 256 pages, each byte changed with a probability. */
function changedPages(bench, share) {
  const on = open(bench, MIB, 4);
  fillRandom(on.region(0));
  on.region(1).set(on.region(0));
  const random = randomNumbers(3);
  const changed = on.region(1);
  for (let i = 0; i < changed.length; i++) if (random() < share) changed[i] ^= 1 + random() * 255;
  return on;
}

function encodeAll(encode, on) {
  let bytes = 0;
  for (let at = 0; at < MIB; at += PAGE) {
    bytes += encode(on.address(0) + at, on.address(1) + at, PAGE, on.address(2) + at, PAGE);
  }
  return bytes;
}

function xbzrleEncode(bench, share) {
  const on = changedPages(bench, share);
  return result({
    twin: () => encodeAll((...job) => on.js.xbzrleEncode(...job), on),
    plain: () => encodeAll((...job) => plainXbzrle.xbzrleEncode(on.views, ...job), on),
  });
}

function xbzrleDecode(bench, share) {
  const on = changedPages(bench, share);
  const lengths = [];
  encodeAll((...job) => lengths[lengths.push(on.js.xbzrleEncode(...job)) - 1], on);
  const all = (decode) => {
    let sum = 0;
    for (let i = 0; i < lengths.length; i++) {
      sum += decode(on.address(2) + i * PAGE, lengths[i], on.address(3) + i * PAGE, PAGE);
    }
    return sum;
  };
  return result({
    twin: () => all((...job) => on.js.xbzrleDecode(...job)),
    plain: () => all((...job) => plainXbzrle.xbzrleDecode(on.views, ...job)),
  });
}

/** A bitmap of 1 MiB, 32 GiB of guest, each bit set with a probability. */
function marks(bench, density) {
  const on = open(bench, MIB, 2);
  const random = randomNumbers(5);
  const bitmap = on.region(0);
  if (density === 0.5) fillRandom(bitmap);
  else for (let i = 0; i < MIB * 8 * density; i++) bitmap[Math.floor(random() * MIB)] |= 1 << (random() * 8);
  return on;
}

function extents(bench, density) {
  const { js, views, address } = marks(bench, density);
  const out = address(1);
  const capacity = 8192;
  const all = (bitmapRuns) => {
    let total = 0;
    let from = 0;
    while (true) {
      const runs = bitmapRuns(address(0), from, MIB * 8, out, capacity);
      total += runs;
      if (runs < capacity) return total;
      from = views.u32[out / 4 + runs * 2 - 1];
    }
  };
  return result({
    twin: () => all((...job) => js.bitmapRuns(...job)),
    plain: () => all((...job) => plainBitmap.bitmapRuns(views, ...job)),
  });
}

function popcount(bench) {
  const { js, views, address } = marks(bench, 0.5);
  return result({
    twin: () => js.bitmapCount(address(0), 0, MIB * 8),
    plain: () => plainBitmap.bitmapCount(views, address(0), MIB * 8),
  });
}

function sync(bench, density) {
  const { js, views, address } = marks(bench, density);
  let source = address(0);
  let target = address(1);
  const move = (mergeClear) => {
    const added = mergeClear(target, source, MIB * 8);
    [source, target] = [target, source];
    return added;
  };
  return result({
    twin: () => move((...job) => js.bitmapMergeClear(...job)),
    plain: () => move((...job) => plainBitmap.bitmapMergeClear(views, ...job)),
  });
}

const RAM = 4 * MIB;

/** Regions: guest RAM, records, a bitmap, guest RAM to load into. */
function guest(bench, fill) {
  const on = open(bench, RAM + MIB, 4);
  fill?.(on.bytes.subarray(on.address(0), on.address(0) + RAM));
  const pages = RAM / PAGE;
  const shape = { ram: on.address(0), pageSize: PAGE, blockPage: 0, result: on.address(2) + 4096 };
  const dirty = () => on.bytes.fill(255, on.address(2), on.address(2) + pages / 8);
  const twin = () => {
    const job = { ...shape, bitmap: on.address(2), first: 0, end: pages, name: 0, out: on.address(1) };
    return on.js.encodePages({ ...job, outEnd: on.address(2) }).bytes;
  };
  return { on, pages, shape, dirty, twin };
}

function ramEncode(bench, fill) {
  const { on, pages, dirty, twin } = guest(bench, fill);
  return result({
    twin: () => dirty() && twin(),
    plain: () =>
      dirty() && plainRecords.encodePages(on.views, on.address(2), pages, on.address(0), PAGE, on.address(1)),
  });
}

function ramDecode(bench, fill) {
  const { on, pages, shape, dirty, twin } = guest(bench, fill);
  dirty();
  const input = on.address(1);
  const inputEnd = input + twin();
  const ram = on.address(3);
  return result({
    twin: () => {
      const placed = on.js.decodePages({ ...shape, ram, input, inputEnd, pages, received: 0 });
      return placed.zeroPages + placed.normalPages;
    },
    plain: () => plainRecords.decodePages(on.views, input, inputEnd, ram, PAGE),
  });
}

function hash(bench) {
  const { js, views, bytes, region, address } = open(bench, MIB, 2);
  fillRandom(region(0));
  const out = address(1);
  return result(
    {
      twin: () => js.hashPages64(address(0), PAGE, MIB / PAGE, out),
      plain: () => hashPages(views, address(0), PAGE, MIB / PAGE, out),
    },
    (variant) => {
      variant();
      return digest(bytes.subarray(out, out + (MIB / PAGE) * 8));
    },
  );
}

const ROWS = [
  ["zero", "zero scan, zero pages, 4 MiB", 4 * MIB, zero],
  ["compare", "page compare, equal pages, 4 MiB", 4 * MIB, compare],
  ...[0.001, 0.01, 0.1, 0.3].map((share) => [
    `xbzrle-encode/${share * 100}%`,
    `XBZRLE encode, ${share * 100}% of the bytes changed`,
    MIB,
    (bench) => xbzrleEncode(bench, share),
  ]),
  ...[0.01, 0.1].map((share) => [
    `xbzrle-decode/${share * 100}%`,
    `XBZRLE decode, ${share * 100}% of the bytes changed`,
    MIB,
    (bench) => xbzrleDecode(bench, share),
  ]),
  ...[0, 1e-4, 1e-2, 0.5].map((density) => [
    `extents/${density}`,
    `dirty bitmap to extents, 1 MiB, density ${density}`,
    MIB,
    (bench) => extents(bench, density),
  ]),
  ["popcount", "population count, 1 MiB", MIB, popcount],
  ...[0, 1e-2, 0.5].map((density) => [
    `sync/${density}`,
    `merge and clear, 1 MiB, density ${density}`,
    MIB,
    (bench) => sync(bench, density),
  ]),
  ["ram-encode/zero", "RAM encode, zero pages", RAM, (bench) => ramEncode(bench)],
  ["ram-encode/random", "RAM encode, random pages", RAM, (bench) => ramEncode(bench, fillRandom)],
  ["ram-encode/mixed", "RAM encode, 60% zero pages", RAM, (bench) => ramEncode(bench, (ram) => fillMixed(ram, 0.6))],
  ["ram-decode/zero", "RAM decode, zero pages", RAM, (bench) => ramDecode(bench)],
  ["ram-decode/random", "RAM decode, random pages", RAM, (bench) => ramDecode(bench, fillRandom)],
  ["hash", "page hash, 1 MiB", MIB, hash],
];

export function rows(bench) {
  return ROWS.map(([id, title, bytes, prepare]) => ({
    id: `twins/${id}`,
    title: `TypeScript twin, ${title}`,
    bytes,
    prepare: () => prepare(bench),
    ratios: [{ of: "twin", to: "plain", floor: 1, goal: 1.2 }],
  }));
}
