// Guest RAM to page records and back, through a small arena that stays in the cache of a core.

import { MIB, PAGE, fillMixed, fillRandom, same } from "../kit.mjs";
import { makeGuest } from "../whole/guests.mjs";

const GUEST = 256 * MIB;
const PAGES = GUEST / PAGE;
const RUN = 256; // pages of one call
const CHUNK = 64; // pages of one chunk of records on the way in
const ARENA = MIB / 4; // what a save hands over at once

const MIXES = {
  zero: { title: "zero pages", fill: (ram) => ram.fill(0) },
  random: { title: "random pages", fill: (ram) => fillRandom(ram) },
  mixed: { title: "60% zero pages, the others random", fill: (ram) => fillMixed(ram, 0.6) },
};

/** Where everything is. `spare` is as large as the guest. */
const BITMAP = PAGE;
const RESULT = BITMAP + PAGES / 8;
const OUT = RESULT + PAGE;
const RAM = OUT + ARENA + 33 * PAGE;
const SPARE = RAM + GUEST;

function place(bench, mix, { spare = false } = {}) {
  const place = bench.open(spare ? SPARE + GUEST : SPARE);
  MIXES[mix].fill(place.bytes.subarray(RAM, RAM + GUEST));
  return place;
}

/** `encodePages` of the kernels as the native code has it. */
function encoder(kernels) {
  return (job) => kernels.encodePages(job);
}

function nativeEncoder(native, bytes) {
  const counts = new Uint32Array(bytes.buffer, RESULT, 3);
  return ({ bitmap, first, end, ram, pageSize, blockPage, out, outEnd, result }) => {
    const next = native.encodeRam(bitmap, first, end, ram, pageSize, blockPage, out, outEnd, result);
    return { bytes: counts[0], next, zeroPages: counts[1], normalPages: counts[2] };
  };
}

function nativeDecoder(native, bytes) {
  const counts = new Uint32Array(bytes.buffer, RESULT, 2);
  return ({ input, inputEnd, ram, pageSize, blockPage, pages, received, result }) => {
    const used = native.decodeRam(input, inputEnd, ram, pageSize, blockPage, pages, received, result);
    return { bytes: used, zeroPages: counts[0], normalPages: counts[1] };
  };
}

/** All of the guest, every page dirty; `handOver(from, end)` is told of records in the arena before they are lost. */
function encodeGuest(encode, bytes, handOver) {
  bytes.fill(0xff, BITMAP, BITMAP + PAGES / 8);
  let [at, total] = [OUT, 0];
  for (let start = 0; start < PAGES; start += RUN) {
    const end = start + RUN;
    for (let first = start; ;) {
      const done = encode({
        bitmap: BITMAP,
        first,
        end,
        ram: RAM,
        pageSize: PAGE,
        blockPage: 0,
        name: 0,
        out: at,
        outEnd: OUT + ARENA,
        result: RESULT,
      });
      at += done.bytes;
      total += done.bytes;
      if (done.next === end) break;
      handOver?.(OUT, at);
      at = OUT;
      first = done.next;
    }
  }
  handOver?.(OUT, at);
  return total;
}

/** The sum of all records, to be sure that variants write the same. */
function checksum(encode, bytes) {
  let sum = 0;
  encodeGuest(encode, bytes, (from, end) => {
    for (let at = from; at < end; at++) sum = (Math.imul(sum, 31) + bytes[at]) | 0;
  });
  return sum;
}

function encodeRow(bench, mix) {
  const { bytes, wasm, js, native } = place(bench, mix, { spare: mix === "random" });
  const encoders = { wasm: encoder(wasm), js: encoder(js) };
  if (native) encoders.native = nativeEncoder(native, bytes);
  same("records", ...Object.values(encoders).map((encode) => checksum(encode, bytes)));
  const variants = {};
  for (const [name, encode] of Object.entries(encoders)) variants[name] = () => encodeGuest(encode, bytes);
  if (mix === "random") {
    // What encoding is a share of: the same bytes copied into the same arena. A large copy writes as much memory as
    // it reads, so it is no measure of what goes through a cache; it tells what handing over whole RAM would cost.
    variants.arenaCopy = () => {
      for (let at = RAM; at < RAM + GUEST; at += ARENA) bytes.copyWithin(OUT, at, at + ARENA);
    };
    variants.copy = () => bytes.copyWithin(SPARE, RAM, RAM + GUEST);
  }
  return { variants };
}

/** Records of the first pages, placed in one window of the guest after the other. */
function decodeGuest(decode, inputEnd) {
  let placed = 0;
  for (let first = 0; first < PAGES; first += CHUNK) {
    const done = decode({
      input: OUT,
      inputEnd,
      ram: RAM + first * PAGE,
      pageSize: PAGE,
      blockPage: 0,
      pages: CHUNK,
      received: BITMAP + first / 8,
      result: RESULT,
    });
    placed += done.zeroPages + done.normalPages;
  }
  return placed;
}

function decodeRow(bench, mix) {
  const { bytes, wasm, js, native } = place(bench, mix);
  bytes.fill(0xff, BITMAP, BITMAP + CHUNK / 8);
  const chunk = wasm.encodePages({
    bitmap: BITMAP,
    first: 0,
    end: CHUNK,
    ram: RAM,
    pageSize: PAGE,
    blockPage: 0,
    name: 0,
    out: OUT,
    outEnd: RAM,
    result: RESULT,
  });
  const inputEnd = OUT + chunk.bytes;
  const words = new Uint32Array(bytes.buffer, RAM, GUEST / 4);
  const expected = words.slice(0, (CHUNK * PAGE) / 4);
  const decoders = { wasm: (job) => wasm.decodePages(job), js: (job) => js.decodePages(job) };
  if (native) decoders.native = nativeDecoder(native, bytes);
  for (const [name, decode] of Object.entries(decoders)) {
    bytes.fill(0x5a, RAM, RAM + GUEST);
    same(`pages placed by ${name}`, decodeGuest(decode, inputEnd), PAGES);
    const wrong = words.findIndex((word, i) => word !== expected[i % expected.length]);
    if (wrong >= 0) throw new Error(`${name} placed other bytes at ${4 * wrong}`);
  }
  const variants = {};
  for (const [name, decode] of Object.entries(decoders)) variants[name] = () => decodeGuest(decode, inputEnd);
  return { variants };
}

/** A save of RAM that JavaScript keeps in a buffer, and of RAM in a linear memory with room for the kernels. */
async function foreignRow(bench, mix) {
  const library = await bench.library();
  const variants = {};
  const lengths = [];
  for (const [name, layout] of Object.entries({ foreign: "plain", inPlace: "linear" })) {
    const { vm, bytes } = makeGuest(library, layout, GUEST);
    MIXES[mix].fill(bytes);
    variants[name] = async () => {
      let length = 0;
      await vm.save({ write: (chunk) => void (length += chunk.length) });
      return length;
    };
    lengths.push(await variants[name]());
  }
  same("bytes of records", ...lengths);
  return { variants };
}

const ENCODE = {
  zero: { floor: 0.95, goal: 1.05 },
  random: { floor: 0.95, goal: 1.05 },
  mixed: { floor: 1, goal: 1.15 },
};

export function rows(bench) {
  return Object.entries(MIXES).flatMap(([mix, { title }]) => [
    {
      id: `ram/encode/${mix}`,
      title: `RAM encode, 256 MiB cold, ${title}`,
      bytes: GUEST,
      prepare: () => encodeRow(bench, mix),
      ratios: [
        { of: "wasm", to: "native", ...ENCODE[mix] },
        { of: "wasm", to: "arenaCopy", floor: 0.85, goal: 1 },
        { of: "wasm", to: "copy" },
        { of: "wasm", to: "js" },
      ],
    },
    {
      id: `ram/decode/${mix}`,
      title: `RAM decode and placement, hot records to 256 MiB cold, ${title}`,
      bytes: GUEST,
      prepare: () => decodeRow(bench, mix),
      ratios: [
        { of: "wasm", to: "native", floor: 0.95, goal: 1.08 },
        { of: "wasm", to: "js" },
      ],
    },
    {
      id: `ram/foreign/${mix}`,
      title: `RAM encode from a plain ArrayBuffer, 256 MiB cold, ${title} (whole saves)`,
      bytes: GUEST,
      once: true,
      prepare: () => foreignRow(bench, mix),
      ratios: [{ of: "foreign", to: "inPlace", floor: 0.8, goal: 0.9 }],
    },
  ]);
}
