// Guests for benchmarks of whole saves and loads: RAM with a known mix of pages, kept the ways that emulators keep it.

import { fillMixed, fillRandom, MIB } from "../kit.mjs";

const WASM_PAGE = 65536;
/** Bytes of a linear memory that an emulator leaves to us. */
const SCRATCH = 512 << 10;
/** Where guest RAM begins in the linear memory. */
const START = MIB;

export const MACHINE = { machine: "microvm", pageSize: 4096 };

/** How an emulator may keep `length` bytes of guest RAM: what is registered, and the bytes for filling and checking. */
export const LAYOUTS = {
  /** In the memory of a WebAssembly emulator, with a region for our use. */
  linear(length) {
    const memory = new WebAssembly.Memory({ initial: (START + length) / WASM_PAGE });
    const scratch = { offset: WASM_PAGE, length: SCRATCH };
    return { source: { memory, offset: START, length, scratch }, bytes: new Uint8Array(memory.buffer, START, length) };
  },
  /** In a buffer of JavaScript. */
  plain(length) {
    const bytes = new Uint8Array(length);
    return { source: bytes, bytes };
  },
};

/** What is in RAM: pages all zero, all noise, or zero in 60 of 100. */
export const MIXES = {
  zero: (bytes) => void bytes.fill(0),
  random: (bytes) => fillRandom(bytes),
  "60% zero": (bytes) => fillMixed(bytes, 0.6),
};

/** A machine of one RAM block. */
export function makeGuest({ SaveVM }, layout, length) {
  const { source, bytes } = LAYOUTS[layout](length);
  const vm = new SaveVM(MACHINE);
  vm.addRam("ram", source);
  return { vm, bytes };
}

/** A sink that takes every byte into a small ring, as a socket's buffer does: what it costs to hand the bytes on. */
export function ringSink(length = 256 << 10) {
  const ring = new Uint8Array(length);
  let at = 0;
  return {
    write(chunk) {
      for (let from = 0; from < chunk.length;) {
        const step = Math.min(chunk.length - from, length - at);
        ring.set(step === chunk.length ? chunk : chunk.subarray(from, from + step), at);
        from += step;
        at = (at + step) % length;
      }
    },
  };
}

/** A sink that stores the stream in memory set aside before. */
export function storeSink(room) {
  let at = 0;
  return {
    write(chunk) {
      room.set(chunk, at);
      at += chunk.length;
    },
    /** What was written; the next save begins anew. */
    take() {
      const stream = room.subarray(0, at);
      at = 0;
      return stream;
    },
  };
}
