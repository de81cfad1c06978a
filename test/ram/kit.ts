import { DEFAULT_LIMITS } from "../../src/limits.js";
import { RAMBlockList, type RAMBlock } from "../../src/ram/block.js";
import type { MemorySource } from "../../src/ram/guest-memory.js";
import { RamHandler } from "../../src/ram/handler.js";
import type { RamOptions } from "../../src/ram/options.js";
import type { LoadContext, SaveContext } from "../../src/registry/handlers.js";
import { decodeSync, encodeSync, type Encode } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { BytesSink } from "../../src/stream/sink.js";
import { bytesSource } from "../../src/stream/source.js";
import { concat, Writer } from "../../src/stream/writer.js";

export const implementations = ["wasm", "js"] as const;

/** The ways an emulator can keep its RAM, each with room for `length` bytes. */
export const layouts: Record<string, (length: number) => MemorySource> = {
  bytes: (length) => new Uint8Array(length),
  "bytes inside a buffer": (length) => new Uint8Array(length + 1000).subarray(345, 345 + length),
  "shared bytes": (length) => new Uint8Array(new SharedArrayBuffer(length)),
  "Wasm memory": (length) => ({ memory: wasmMemory(length + 4096), offset: 4096, length }),
  "Wasm memory with scratch": (length) => ({
    memory: wasmMemory(length + (1 << 20)),
    offset: 1 << 20,
    length,
    scratch: { offset: 4096, length: 512 << 10 },
  }),
  "shared Wasm memory with scratch": (length) => ({
    memory: wasmMemory(length + (1 << 20), true),
    offset: 1 << 20,
    length,
    scratch: { offset: 4096, length: 512 << 10 },
  }),
  segments: (length) => {
    const half = Math.floor(length / 2 / 65536) * 65536;
    return { segments: [new Uint8Array(half), new Uint8Array(length - half)] };
  },
};

export function wasmMemory(length: number, shared = false): WebAssembly.Memory {
  const initial = Math.ceil(length / 65536);
  return new WebAssembly.Memory(shared ? { initial, maximum: initial + 16, shared } : { initial });
}

/** A machine with RAM and nothing else. */
export class RamMachine {
  readonly blocks = new RAMBlockList();
  readonly handler: RamHandler;

  constructor(options: RamOptions, blocks: Record<string, MemorySource> = {}) {
    for (const [name, source] of Object.entries(blocks)) this.blocks.addGlobal(name, source);
    // On a busy machine a PART would end after 50 ms wherever it is.
    this.handler = new RamHandler(this.blocks, { maxPartMs: Infinity, ...options });
  }

  block(name: string): RAMBlock {
    return this.blocks.find(name)!;
  }

  read(name: string): Uint8Array {
    const { memory } = this.block(name);
    return concat(memory.segments.map(({ start, end }) => memory.view(start, end - start).slice()));
  }
}

/** One save, section by section. */
export class RamSaving {
  readonly writer = new Writer();
  readonly sink = new BytesSink();
  readonly context: SaveContext & { inPostcopy: boolean };
  readonly #handler: RamHandler;
  #done = 0;

  constructor({ handler }: RamMachine, limits: Partial<SaveContext> = {}) {
    this.#handler = handler;
    this.context = { writer: this.writer, inPostcopy: false, rateExceeded: () => false, ...limits };
  }

  setup(): Uint8Array {
    this.#run(this.#handler.saveSetup(this.context));
    return this.#section();
  }

  iterate(): { bytes: Uint8Array; done: boolean } {
    const done = this.#run(this.#handler.saveLiveIterate(this.context));
    return { bytes: this.#section(), done };
  }

  complete(): Uint8Array {
    this.#run(this.#handler.saveLiveCompletePrecopy(this.context));
    return this.#section();
  }

  #run<T>(encode: Encode<T>): T {
    return encodeSync(encode, this.writer, this.sink);
  }

  #section(): Uint8Array {
    const bytes = this.sink.toBytes().slice(this.#done);
    this.#done += bytes.length;
    return bytes;
  }
}

/** Setup, one PART, END. */
export function saveAll(machine: RamMachine): Uint8Array {
  const saving = new RamSaving(machine);
  const sections = [saving.setup(), saving.iterate().bytes, saving.complete()];
  machine.handler.saveCleanup();
  return concat(sections);
}

/** Load section bodies that stand one behind the other, until the bytes end. */
export function loadAll(machine: RamMachine, chunks: Uint8Array | readonly Uint8Array[], strict = true): void {
  const parts = chunks instanceof Uint8Array ? [chunks] : chunks;
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  const reader = new Reader();
  const source = bytesSource(...parts);
  machine.handler.loadSetup();
  while (reader.offset < total) decodeSync(machine.handler.loadState(loadContext(reader, strict), 4), reader, source);
}

export function loadContext(reader: Reader, strict = true): LoadContext {
  return { reader, limits: DEFAULT_LIMITS, strict };
}

/** Deterministic bytes: xorshift32. */
export function randomBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

/** Offset of the first byte that differs, or -1: matchers take seconds for megabytes. */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (Buffer.compare(a, b) === 0) return -1;
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? a.length : at;
}
