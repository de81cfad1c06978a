import { createJsKernels } from "../../../src/kernels/js.js";
import type { RawKernels } from "../../../src/kernels/types.js";
import { instantiateKernels } from "../../../src/kernels/wasm.js";

const WASM_PAGE = 65536;
const FOUR_GIB = 2 ** 32;
/** Bytes before and behind each output that are looked at after every call; everything else is after every batch. */
const GUARD = 16;
/** From how many bytes on the calls of Buffer beat a loop. */
const LONG = 64;

/** Noise without structure that batches begin with. */
const NOISE = Buffer.alloc(3 << 20);
{
  const words = new Uint32Array(NOISE.buffer, NOISE.byteOffset, NOISE.length / 4);
  let state = 0x9e3779b9;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
}

/** What the rig has to know of a kernel to compare its two implementations. */
export interface Comparable {
  /** Names of the arguments. */
  readonly parameters: readonly string[];
  /** Which of them are addresses; with a question mark, those for which 0 means none. */
  readonly addresses: readonly string[];
  /** Calls the kernel with the arguments; returns its result as the façade would, 0 if it has none. */
  call(kernels: RawKernels, args: readonly number[]): number;
  /** Names, with {@link Rig.output}, what a call with the rig's arguments and this result may have written. */
  outputs(rig: Rig, result: number): void;
}

/** Where the memories of a rig are. */
export interface Place {
  /** Is the memory of the WebAssembly kernels a shared one? */
  readonly shared: boolean;
  /**
   * From the number of bytes that are used to the address of the first: 0, or one in memories of 4 GiB, of which no
   * more exists than what is used.
   */
  readonly base: (size: number) => number;
}

/** One pair for all rigs: an engine has room for a few of these only. */
const huge: WebAssembly.Memory[] = [];

function makeMemories(pages: number, base: number, shared: boolean): WebAssembly.Memory[] {
  if (base === 0) {
    const limits = shared ? { initial: pages, maximum: pages, shared } : { initial: pages };
    return [new WebAssembly.Memory(limits), new WebAssembly.Memory({ initial: pages })];
  }
  if (shared) throw new Error("Cannot make shared memories of 4 GiB: they would not be let go of");
  while (huge.length < 2) huge.push(new WebAssembly.Memory({ initial: FOUR_GIB / WASM_PAGE }));
  return huge;
}

/**
 * Two memories of the same contents, one for the WebAssembly kernels and one for the twin, and a third copy of what
 * they held before the current call. Inputs are put into all three; a call may change the first two where the
 * kernel's outputs are, equally; then the third follows. So nothing has to be restored between inputs.
 *
 * All addresses here count from the base of the rig.
 */
export class Rig {
  /** Bytes of each memory, */
  readonly size: number;
  /** and address of the first: as many bytes lie before it. */
  readonly base: number;
  /** Arguments of the current call. */
  args: number[] = [];
  /** What the call before returned. */
  result = 0;
  /** Number of the batch. */
  batch = 0;
  /** What the memories held before the current call. */
  readonly before: Buffer;
  readonly #wasm: RawKernels;
  readonly #twin: RawKernels;
  readonly #wasmBytes: Buffer;
  readonly #twinBytes: Buffer;
  #state = 0;
  /** What was poked: addresses and the bytes there before; how many. Arrays that never shrink: this is a hot path. */
  readonly #pokedAt: number[] = [];
  readonly #pokedOver: number[] = [];
  #poked = 0;
  /** Outputs of the current call: start, end of what must be equal, end; how many. */
  readonly #starts: number[] = [];
  readonly #definite: number[] = [];
  readonly #ends: number[] = [];
  #outputs = 0;
  /** Whether a bit outside the range that a call was given has changed. */
  #spoilt = false;

  /** Makes memories of which some pages of 64 KiB are used. */
  constructor(pages: number, place: Place) {
    this.size = pages * WASM_PAGE;
    this.base = place.base(this.size);
    const [memory, twinMemory] = makeMemories(pages, this.base, place.shared);
    this.#wasm = instantiateKernels(memory);
    this.#twin = createJsKernels(twinMemory);
    this.#wasmBytes = Buffer.from(memory.buffer, this.base, this.size);
    this.#twinBytes = Buffer.from(twinMemory.buffer, this.base, this.size);
    this.before = Buffer.alloc(this.size);
  }

  /** Begins a batch: noise everywhere, and random numbers from `seed`. */
  reset(seed: number, batch: number): void {
    this.#state = seed | 0;
    this.batch = batch;
    this.result = 0;
    this.#poked = 0;
    const offset = this.below(NOISE.length - this.size);
    this.load(NOISE.subarray(offset, offset + this.size));
  }

  /** Puts an image of the whole memory. */
  load(image: Uint8Array): void {
    this.before.set(image);
    this.#wasmBytes.set(image);
    this.#twinBytes.set(image);
  }

  /** A random integer from 0 to 2^32 - 1. */
  random(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  /** A random integer from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.random() % limit;
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.random() % n === 0;
  }

  /** Puts a byte. */
  put(at: number, value: number): void {
    this.before[at] = value;
    this.#wasmBytes[at] = value;
    this.#twinBytes[at] = value;
  }

  /** Puts a byte until {@link Rig.undo}; does nothing outside the memory. */
  poke(at: number, value: number): void {
    if (at < 0 || at >= this.size) return;
    this.#pokedAt[this.#poked] = at;
    this.#pokedOver[this.#poked++] = this.before[at];
    this.put(at, value);
  }

  /** Takes back what was poked. */
  undo(): void {
    while (this.#poked > 0) this.put(this.#pokedAt[--this.#poked], this.#pokedOver[this.#poked]);
  }

  fill(start: number, end: number, value: number): void {
    this.before.fill(value, start, end);
    this.#wasmBytes.fill(value, start, end);
    this.#twinBytes.fill(value, start, end);
  }

  copy(target: number, source: number, length: number): void {
    this.before.copyWithin(target, source, source + length);
    this.#wasmBytes.copyWithin(target, source, source + length);
    this.#twinBytes.copyWithin(target, source, source + length);
  }

  /** Puts noise. */
  noise(start: number, end: number): void {
    const from = this.below(NOISE.length - (end - start));
    NOISE.copy(this.before, start, from, from + end - start);
    NOISE.copy(this.#wasmBytes, start, from, from + end - start);
    NOISE.copy(this.#twinBytes, start, from, from + end - start);
  }

  /** The call may write [start, end), and must write the same up to `definite`. */
  output(start: number, definite: number, end = definite): void {
    this.#starts[this.#outputs] = start;
    this.#definite[this.#outputs] = definite;
    this.#ends[this.#outputs++] = end;
  }

  /** The bits [from, end) of a bitmap may be changed, those around them in the same bytes may not. */
  outputBits(bitmap: number, from: number, end: number): void {
    if (from >= end) return;
    const first = bitmap + (from >>> 3);
    const last = bitmap + ((end - 1) >>> 3);
    const below = (1 << (from & 7)) - 1;
    const above = 255 & ~((2 << ((end - 1) & 7)) - 1);
    if (this.#changed(first) & below || this.#changed(last) & above) this.#spoilt = true;
    this.output(first, last + 1);
  }

  /** Has one kernel handle the current input. */
  call(kernel: Comparable, implementation: "wasm" | "twin"): number {
    const kernels = implementation === "wasm" ? this.#wasm : this.#twin;
    return kernel.call(kernels, this.base === 0 ? this.args : this.#absolute(kernel));
  }

  /** The arguments with the base added to all addresses. */
  #absolute({ parameters, addresses }: Comparable): number[] {
    return this.args.map((value, i) => {
      const isAddress = addresses.includes(parameters[i]) || (value !== 0 && addresses.includes(`${parameters[i]}?`));
      return isAddress ? value + this.base : value;
    });
  }

  /** Has both kernels handle the current input; true when they agree and wrote nothing next to their outputs. */
  compare(kernel: Comparable): boolean {
    this.#outputs = 0;
    this.#spoilt = false;
    const result = this.call(kernel, "wasm");
    if (this.call(kernel, "twin") !== result) return false;
    kernel.outputs(this, result);
    if (this.#spoilt) return false;
    for (let i = 0; i < this.#outputs; i++) if (!this.#isGood(i)) return false;
    for (let i = 0; i < this.#outputs; i++) this.#accept(i);
    this.result = result;
    return true;
  }

  /** The little-endian word that the current call of the WebAssembly kernel left at an address. */
  wordAt(at: number): number {
    return this.#wasmBytes.readUInt32LE(at);
  }

  /** Are all bytes, in both memories, as all calls so far were allowed to leave them? */
  isUntouched(): boolean {
    return this.before.equals(this.#wasmBytes) && this.before.equals(this.#twinBytes);
  }

  /** The first address where a memory differs from what it was before; -1 if there is none. */
  firstChange(implementation: "wasm" | "twin"): number {
    const bytes = implementation === "wasm" ? this.#wasmBytes : this.#twinBytes;
    for (let at = 0; at < this.size; at++) if (bytes[at] !== this.before[at]) return at;
    return -1;
  }

  /** The first address where the memories differ, with the bytes found there; -1 if there is none. */
  firstDifference(): { at: number; wasm: number; twin: number } {
    let at = 0;
    while (at < this.size && this.#wasmBytes[at] === this.#twinBytes[at]) at++;
    return { at: at === this.size ? -1 : at, wasm: this.#wasmBytes[at], twin: this.#twinBytes[at] };
  }

  #changed(at: number): number {
    return (this.before[at] ^ this.#wasmBytes[at]) | (this.before[at] ^ this.#twinBytes[at]);
  }

  #isGood(output: number): boolean {
    const a = this.#wasmBytes;
    const b = this.#twinBytes;
    const start = this.#starts[output];
    const definite = this.#definite[output];
    const end = this.#ends[output];
    if (definite - start >= LONG) {
      if (a.compare(b, start, definite, start, definite) !== 0) return false;
    } else {
      for (let at = start; at < definite; at++) if (a[at] !== b[at]) return false;
    }
    for (let at = Math.max(start - GUARD, 0); at < start; at++) if (this.#changed(at) !== 0) return false;
    const behind = Math.min(end + GUARD, this.size);
    for (let at = end; at < behind; at++) if (this.#changed(at) !== 0) return false;
    return true;
  }

  /** Lets the other images follow an output that was found good. */
  #accept(output: number): void {
    const a = this.#wasmBytes;
    const start = this.#starts[output];
    const definite = this.#definite[output];
    const end = this.#ends[output];
    if (end - start >= LONG) {
      a.copy(this.before, start, start, end);
      if (definite < end) a.copy(this.#twinBytes, definite, definite, end);
    } else {
      for (let at = start; at < end; at++) this.before[at] = a[at];
      for (let at = definite; at < end; at++) this.#twinBytes[at] = a[at];
    }
  }
}
