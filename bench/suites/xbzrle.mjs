// XBZRLE of 1024 pages, 4 MiB before and 4 MiB after, by what changed in each page.

import { PAGE, digest, fillRandom, randomNumbers, same } from "../kit.mjs";

const PAGES = 1024;
const SIZE = PAGES * PAGE;
const SLOTS = 64; // outputs of a page each, used in turn: an arena that is handed on while it is hot
const OLD = PAGE;
const NEW = OLD + SIZE;
const OUT = NEW + SIZE;
const ENCODED = OUT + SLOTS * PAGE;
const LENGTHS = ENCODED + SIZE;
const END = LENGTHS + 4 * PAGES;

/** Changes each byte with a probability. */
function scattered(share) {
  return (ram, random) => {
    for (let i = 0; i < SIZE; i++) if (random() < share) ram[i] ^= 1 + Math.floor(random() * 255);
  };
}

/** Changes `count` runs of `length` bytes in each page. */
function runs(count, length) {
  return (ram, random) => {
    for (let page = 0; page < SIZE; page += PAGE) {
      for (let run = 0; run < count; run++) {
        const start = page + Math.floor(random() * (PAGE - length));
        for (let i = start; i < start + length; i++) ram[i] = ~ram[i] & 0xff;
      }
    }
  };
}

/** Every implementation as functions of one page. */
function codecs({ wasm, js, native }) {
  const ours = (kernels) => ({
    encode: (page, out) => kernels.xbzrleEncode(OLD + page * PAGE, NEW + page * PAGE, PAGE, out, PAGE),
    decode: (src, length, page) => kernels.xbzrleDecode(src, length, OLD + page * PAGE, PAGE),
  });
  const all = { wasm: ours(wasm), js: ours(js) };
  if (native) {
    all.native = {
      encode: (page, out) => native.xbzrleEncode(OLD + page * PAGE, NEW + page * PAGE, PAGE, 1, out, 1) | 0,
    };
  }
  return all;
}

/** Puts noise to both images and the changes to the new one. */
function fill({ bytes }, change) {
  fillRandom(bytes.subarray(OLD, NEW));
  bytes.copyWithin(NEW, OLD, NEW);
  change(bytes.subarray(NEW, OUT), randomNumbers());
}

/** Encodes all pages one behind the other to ENCODED, their lengths to LENGTHS; returns a digest of both. */
function encodeAll({ bytes }, { encode }) {
  const lengths = new Int32Array(bytes.buffer, LENGTHS, PAGES);
  let at = ENCODED;
  for (let page = 0; page < PAGES; page++) {
    lengths[page] = encode(page, OUT);
    if (lengths[page] <= 0) continue;
    bytes.copyWithin(at, OUT, OUT + lengths[page]);
    at += lengths[page];
  }
  return digest(bytes.subarray(ENCODED, at), lengths);
}

function encoding(bench, change) {
  const on = bench.open(END);
  fill(on, change);
  const each = codecs(on);
  same("encodings", ...Object.values(each).map((codec) => encodeAll(on, codec)));
  const pass = (kernels) => () => {
    let sum = 0;
    for (let page = 0; page < PAGES; page++) {
      const [at, slot] = [page * PAGE, OUT + (page % SLOTS) * PAGE];
      sum += kernels.xbzrleEncode(OLD + at, NEW + at, PAGE, slot, PAGE);
    }
    return sum;
  };
  const variants = { wasm: pass(on.wasm), js: pass(on.js) };
  if (on.native) variants.native = () => on.native.xbzrleEncode(OLD, NEW, PAGE, PAGES, OUT, SLOTS);
  return { variants };
}

function decoding(bench, change) {
  const on = bench.open(END);
  fill(on, change);
  encodeAll(on, codecs(on).wasm);
  const lengths = new Uint32Array(on.bytes.buffer, LENGTHS, PAGES);
  const pass = (kernels) => () => {
    let sum = 0;
    for (let page = 0, at = ENCODED; page < PAGES; at += lengths[page++]) {
      sum += kernels.xbzrleDecode(at, lengths[page], OLD + page * PAGE, PAGE);
    }
    return sum;
  };
  const variants = { wasm: pass(on.wasm), js: pass(on.js) };
  if (on.native) variants.native = () => on.native.xbzrleDecode(ENCODED, LENGTHS, OLD, PAGE, PAGES);
  const before = on.bytes.slice(OLD, NEW);
  const after = digest(on.bytes.subarray(NEW, OUT));
  const sums = Object.values(variants).map((variant) => {
    on.bytes.set(before, OLD);
    const sum = variant();
    same("pages after decoding", digest(on.bytes.subarray(OLD, NEW)), after);
    return sum;
  });
  same("positions after decoding", ...sums);
  return { variants };
}

export function rows(bench) {
  const row = (kind, mix, what, change, floor, goal) => ({
    id: `xbzrle/${kind}/${mix}`,
    title: `XBZRLE ${kind}, ${what}`,
    bytes: SIZE,
    prepare: () => (kind === "encode" ? encoding : decoding)(bench, change),
    ratios: [
      { of: "wasm", to: "native", floor, goal },
      { of: "wasm", to: "js" },
    ],
  });
  const bytes = (percent) => [`${percent}%`, `${percent} % of the bytes changed`, scattered(percent / 100)];
  const few = (count, length) => [
    `${count}x${length}`,
    `${count} runs of ${length} bytes changed`,
    runs(count, length),
  ];
  return [
    row("encode", ...bytes(0), 1.25, 1.4),
    row("encode", ...bytes(0.01), 1.25, 1.4),
    row("encode", ...bytes(0.1), 1.25, 1.4),
    row("encode", ...bytes(1), 1.8, 2.1),
    row("encode", ...bytes(10), 5, 6),
    row("encode", ...bytes(30), 6.5, 7.5),
    row("encode", ...few(3, 64)),
    row("encode", ...few(2, 512)),
    row("decode", ...bytes(0.1)),
    row("decode", ...bytes(1), 1.15, 1.3),
    row("decode", ...bytes(10), 1.15, 1.3),
    row("decode", ...bytes(30), 1.15, 1.3),
    row("decode", ...few(3, 64), 0.8, 1),
    row("decode", ...few(2, 512), 0.8, 1),
  ];
}
