import { I16, I32, I64, I8, U16, U32, U64, U8 } from "../stream/integers.js";

/**
 * Where arrays and buffers wait between their decoding and the commit. A typed array of its own for each would take
 * longer to make, and to collect, than all that is done with it.
 */

const SIZE = 64 << 10;
/** Elements from which on a copy of memory is faster than a loop. */
const LONG = 48;
const MOST_FREE = 2;

type Words = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;
type BigWords = BigUint64Array | BigInt64Array;

/** Integers of one kind (stream/integers.ts) in an arena: `length` elements of `list` from `at` on. */
export class Span {
  readonly kind: number;
  readonly list: Words | BigWords;
  readonly at: number;
  readonly length: number;

  constructor(kind: number, list: Words | BigWords, at: number, length: number) {
    this.kind = kind;
    this.list = list;
    this.at = at;
    this.length = length;
  }

  /** The elements, copied. */
  take(): ArrayLike<unknown> {
    return this.list.slice(this.at, this.at + this.length);
  }
}

/** Room for the arrays of one section; what does not fit is for its user to put elsewhere. */
export class Arena {
  readonly bytes = new Uint8Array(SIZE);
  readonly view = new DataView(this.bytes.buffer);
  readonly #lists: readonly (Words | BigWords)[];
  #used = 0;

  constructor() {
    const { buffer } = this.bytes;
    const lists: (Words | BigWords)[] = [];
    lists[U8] = this.bytes;
    lists[I8] = new Int8Array(buffer);
    lists[U16] = new Uint16Array(buffer);
    lists[I16] = new Int16Array(buffer);
    lists[U32] = new Uint32Array(buffer);
    lists[I32] = new Int32Array(buffer);
    lists[U64] = new BigUint64Array(buffer);
    lists[I64] = new BigInt64Array(buffer);
    this.#lists = lists;
  }

  /** Room for `n` integers and for what they will replace, or null. */
  take(kind: number, n: number): Span | null {
    const list = this.#lists[kind];
    if (list === undefined) return null;
    const size = list.BYTES_PER_ELEMENT;
    const end = this.#used + ((2 * n * size + 7) & ~7);
    if (end > SIZE) return null;
    const span = new Span(kind, list, this.#used / size, n);
    this.#used = end;
    return span;
  }

  /** Room for `size` bytes: where in {@link bytes} they begin, or -1. */
  reserve(size: number): number {
    const at = this.#used;
    const end = at + ((size + 7) & ~7);
    if (end > SIZE) return -1;
    this.#used = end;
    return at;
  }

  /** Forget all spans. */
  clear(): void {
    this.#used = 0;
  }
}

const free: Arena[] = [];

/** An arena of one's own until it is given back. */
export function takeArena(): Arena {
  return free.pop() ?? new Arena();
}

/** The spans of `arena` are not used any more. */
export function giveBack(arena: Arena): void {
  arena.clear();
  if (free.length < MOST_FREE) free.push(arena);
}

/**
 * Put a span's elements into `target` from `start` on, and keep what they replace; {@link restore} takes it back. False,
 * having done nothing, unless `target` is a typed array of the same kind, which must have the room.
 */
export function replace(span: Span, target: unknown, start: number): boolean {
  const { list, at, length } = span;
  if (!isOfKind(span.kind, target)) return false;
  const behind = at + length;
  if (length >= LONG) {
    const whole = start === 0 && length === target.length;
    (list as Uint8Array).set((whole ? target : target.subarray(start, start + length)) as Uint8Array, behind);
    (target as Uint8Array).set((list as Uint8Array).subarray(at, behind), start);
    return true;
  }
  switch (span.kind) {
    case U8:
    case I8:
      replace8(list as Uint8Array, at, target as Uint8Array, start, length);
      break;
    case U16:
    case I16:
      replace16(list as Uint16Array, at, target as Uint16Array, start, length);
      break;
    case U32:
    case I32:
      replace32(list as Uint32Array, at, target as Uint32Array, start, length);
      break;
    default:
      replace64(list as BigUint64Array, at, target as BigUint64Array, start, length);
  }
  return true;
}

/** Undo a {@link replace}. */
export function restore({ list, at, length }: Span, target: unknown, start: number): void {
  (target as Uint8Array).set((list as Uint8Array).subarray(at + length, at + 2 * length), start);
}

function isOfKind(kind: number, target: unknown): target is Words | BigWords {
  switch (kind) {
    case U8:
      return target instanceof Uint8Array;
    case I8:
      return target instanceof Int8Array;
    case U16:
      return target instanceof Uint16Array;
    case I16:
      return target instanceof Int16Array;
    case U32:
      return target instanceof Uint32Array;
    case I32:
      return target instanceof Int32Array;
    case U64:
      return target instanceof BigUint64Array;
    case I64:
      return target instanceof BigInt64Array;
    default:
      return false;
  }
}

// One loop a width: engines make one that serves all of them many times slower.

function replace8(list: Uint8Array, at: number, target: Uint8Array, start: number, n: number): void {
  for (let i = 0; i < n; i++) {
    list[at + n + i] = target[start + i];
    target[start + i] = list[at + i];
  }
}

function replace16(list: Uint16Array, at: number, target: Uint16Array, start: number, n: number): void {
  for (let i = 0; i < n; i++) {
    list[at + n + i] = target[start + i];
    target[start + i] = list[at + i];
  }
}

function replace32(list: Uint32Array, at: number, target: Uint32Array, start: number, n: number): void {
  for (let i = 0; i < n; i++) {
    list[at + n + i] = target[start + i];
    target[start + i] = list[at + i];
  }
}

function replace64(list: BigUint64Array, at: number, target: BigUint64Array, start: number, n: number): void {
  for (let i = 0; i < n; i++) {
    list[at + n + i] = target[start + i];
    target[start + i] = list[at + i];
  }
}
