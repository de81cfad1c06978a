// What the suites share: one memory, both implementations of the kernels and the native references bound to it.

import { loadNative } from "./native/build.mjs";

export const PAGE = 4096;
export const MIB = 2 ** 20;
const WASM_PAGE = 65536;

/** Numbers from 0 to 1 that are the same in every run. */
export function randomNumbers(seed = 1) {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** Fills with noise in which no word is zero. */
export function fillRandom(bytes, seed = 1) {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  let state = seed | 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
}

/** Fills pages at random so that `share` of them are zero and the others noise. */
export function fillMixed(bytes, share, pageSize = PAGE, seed = 1) {
  fillRandom(bytes, seed);
  const random = randomNumbers(seed);
  for (let at = 0; at < bytes.length; at += pageSize) if (random() < share) bytes.fill(0, at, at + pageSize);
}

/** A digest of what typed arrays hold, to compare results that are too long to keep; the same in every engine. */
export function digest(...arrays) {
  let [a, b] = [0x811c9dc5, 0x9e3779b9];
  for (const { buffer, byteOffset, byteLength } of arrays) {
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    for (let i = 0; i < byteLength; i++) {
      a = Math.imul(a ^ bytes[i], 0x01000193);
      b = Math.imul(b ^ bytes[i], 0x85ebca6b) + a;
      b ^= b >>> 15;
    }
    a = Math.imul(a ^ byteLength, 0x01000193);
  }
  return [a, b].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** One memory for all rows of a run, and everything bound to it. */
export class Workbench {
  #memory;
  #native = loadNative();
  #createKernels;
  #createTwins;
  /** What the package exports, as a promise. */
  library;

  /**
   * `createTwins` makes the twins; from a second copy of the sources, so that what the engine learns of calls through the
   * façade is as in a program that uses one implementation: with both, an empty call costs 22 ns, not 9.
   */
  constructor({ createKernels, createTwins = createKernels, library }) {
    this.#createKernels = createKernels;
    this.#createTwins = createTwins;
    this.library = library;
  }

  /** Whether there are native references. */
  get native() {
    return this.#native !== null;
  }

  /** A memory of at least `byteLength` bytes, shared or not, with what the row before left in it. */
  open(byteLength, { shared = false } = {}) {
    const missing = Math.ceil(byteLength / WASM_PAGE);
    if (shared || this.#memory === undefined || this.#memory.buffer.byteLength < missing * WASM_PAGE) {
      const memory = new WebAssembly.Memory(
        shared ? { initial: missing, maximum: missing, shared } : { initial: missing },
      );
      if (shared) return this.#bind(memory);
      this.#memory = memory;
    }
    return this.#bind(this.#memory);
  }

  #bind(memory) {
    const bytes = new Uint8Array(memory.buffer);
    this.#native?.bind(bytes);
    return {
      memory,
      bytes,
      wasm: this.#createKernels(memory, { implementation: "wasm" }),
      js: this.#createTwins(memory, { implementation: "js" }),
      /** The functions of native/references.h, or null where there is no compiler. */
      native: this.#native,
    };
  }
}

/** Throws unless the values are the same; what a row calls before it is timed. */
export function same(what, ...values) {
  if (values.some((value) => value !== values[0])) throw new Error(`${what}: results differ: ${values.join(", ")}`);
}
