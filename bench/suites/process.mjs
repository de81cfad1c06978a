// Whole saves and loads inside one process, through the public API, as a share of copying the same RAM.
//
// A save goes to a sink that takes every byte: to a stream kept whole in memory ("store"), or into a small ring, as a
// socket's buffer would ("ring"). A load reads such a stream, in one piece ("whole") or in chunks of 256 KiB as a
// channel delivers them ("chunks"). What all are held against copies the guest's RAM to memory of the same size.
// Memory to memory, as that copy is, are "store", "whole" and the pipe, so theirs are the floors; a ring stays in the
// cache, and chunks cost one turn of the reader each.

import { MIB, same } from "../kit.mjs";
import { makeGuest, MIXES, ringSink, storeSink } from "../whole/guests.mjs";

const SIZES = [512, 2048];
const CHUNK = 256 << 10;
/** Room for what a stream has besides pages: words, names, sections. */
const overhead = (length) => length / 256 + MIB;

function* chunks(stream) {
  for (let at = 0; at < stream.length; at += CHUNK) yield stream.subarray(at, at + CHUNK);
}

function sameBytes(what, a, b) {
  same(what, Buffer.compare(a, b), 0);
}

async function save(bench, layout, mix, length) {
  const { vm, bytes } = makeGuest(await bench.library(), layout, length);
  MIXES[mix](bytes);
  const target = new Uint8Array(length + overhead(length)).fill(1);
  const ring = ringSink();
  const store = storeSink(target);
  return {
    variants: {
      ring: () => vm.save(ring),
      store: async () => {
        await vm.save(store);
        store.take();
      },
      copy: () => target.set(bytes),
    },
  };
}

async function load(bench, layout, mix, length) {
  const library = await bench.library();
  const { vm: from, bytes: original } = makeGuest(library, layout, length);
  MIXES[mix](original);
  const store = storeSink(new Uint8Array(length + overhead(length)));
  await from.save(store);
  const stream = store.take();
  const { vm, bytes } = makeGuest(library, layout, length);
  const variants = {
    whole: () => vm.load(stream),
    chunks: () => vm.load(chunks(stream)),
    copy: () => bytes.set(original),
  };
  for (const variant of [variants.whole, variants.chunks]) {
    bytes.fill(1);
    await variant();
    sameBytes(`RAM loaded (${layout}, ${mix})`, bytes, original);
  }
  return { variants };
}

async function pipe(bench, layout, mix, length) {
  const library = await bench.library();
  const source = makeGuest(library, layout, length);
  const target = makeGuest(library, layout, length);
  MIXES[mix](source.bytes);
  target.bytes.fill(1);
  const variants = {
    pipe: async () => {
      const { readable, writable } = new TransformStream();
      await Promise.all([source.vm.save(writable), target.vm.load(readable)]);
    },
    copy: () => target.bytes.set(source.bytes),
  };
  await variants.pipe();
  sameBytes(`RAM piped (${layout}, ${mix})`, target.bytes, source.bytes);
  return { variants };
}

const OPERATIONS = {
  save: {
    prepare: save,
    title: "saved to memory (store) and to a sink that keeps little (ring)",
    floored: "store",
    other: "ring",
  },
  load: {
    prepare: load,
    title: "loaded from memory in one piece (whole) and in chunks of 256 KiB (chunks)",
    floored: "whole",
    other: "chunks",
  },
  pipe: { prepare: pipe, title: "saved into a load by a TransformStream (pipe)", floored: "pipe" },
};

export function rows(bench) {
  const found = [];
  for (const [operation, { prepare, title, floored, other }] of Object.entries(OPERATIONS)) {
    for (const layout of ["linear", "plain"]) {
      for (const mix of Object.keys(MIXES)) {
        for (const size of SIZES) {
          // Of random pages every byte moves, as in a copy; the other mixes tell where the time goes.
          const wanted = mix === "random" ? { floor: 0.7, goal: 0.9 } : {};
          found.push({
            id: `process/${operation}/${layout}/${size}MiB/${mix}`,
            title: `${size} MiB of RAM, ${layout}, ${mix}, inside one process: ${title}`,
            bytes: size * MIB,
            once: true,
            prepare: () => prepare(bench, layout, mix, size * MIB),
            ratios: [
              { of: floored, to: "copy", ...wanted },
              ...(other === undefined ? [] : [{ of: other, to: "copy" }]),
            ],
          });
        }
      }
    }
  }
  return found;
}
