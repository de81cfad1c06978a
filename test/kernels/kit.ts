import { createKernels } from "../../src/kernels/create.js";
import type { Kernels } from "../../src/kernels/types.js";

/** Kernels with a memory of their own. */
export interface Bench {
  readonly kernels: Kernels;
  /** The memory as it is now. */
  bytes(): Uint8Array;
}

const PAGE = 65536;

function bench(memory: WebAssembly.Memory | { buffer: ArrayBufferLike }, implementation: "wasm" | "js"): Bench {
  return {
    kernels: createKernels(memory, { implementation }),
    bytes: () => new Uint8Array(memory.buffer as ArrayBuffer),
  };
}

/** Every implementation on every kind of memory, by name: makes a zeroed memory of some pages of 64 KiB. */
export const IMPLEMENTATIONS: readonly (readonly [string, (pages: number) => Bench])[] = [
  ["wasm", (pages) => bench(new WebAssembly.Memory({ initial: pages }), "wasm")],
  ["wasm on shared memory", (pages) => bench(sharedMemory(pages), "wasm")],
  ["js", (pages) => bench({ buffer: new ArrayBuffer(pages * PAGE) }, "js")],
  ["js on shared memory", (pages) => bench(sharedMemory(pages), "js")],
];

function sharedMemory(pages: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages + 1, shared: true });
}

/** Reproducible noise without zero bytes, so that a stray zero shows. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[i] = (state >>> 24) | 1;
  }
  return bytes;
}

/** A region by start and end. */
export type Region = readonly [start: number, end: number];

/** The addresses, at most ten, outside the regions where two images of a memory differ. */
export function strayWrites(before: Uint8Array, after: Uint8Array, allowed: readonly Region[]): number[] {
  const expected = before.slice();
  for (const [start, end] of allowed) expected.set(after.subarray(start, end), start);
  if (Buffer.compare(expected, after) === 0) return [];
  const found: number[] = [];
  for (let i = 0; i < expected.length && found.length < 10; i++) if (expected[i] !== after[i]) found.push(i);
  return found;
}

/** Runs an action on noise-filled memory and returns what it wrote outside the regions it may write to. */
export function runGuarded<T>(on: Bench, allowed: readonly Region[], action: () => T): { result: T; stray: number[] } {
  const before = on.bytes().slice();
  const result = action();
  return { result, stray: strayWrites(before, on.bytes(), allowed) };
}
