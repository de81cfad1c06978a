import { StreamError } from "../errors.js";
import { BOOL, I16, I32, I64, I8, U16, U32, U64, U8 } from "./integers.js";
import { decodeName } from "./names.js";

const EMPTY = new Uint8Array(0);
const utf8 = new TextDecoder();
/** Bytes from which on a copy of memory is faster than a loop. */
const LONG = 48;

/**
 * Big-endian reader over the bytes that have arrived so far.
 *
 * Getters are synchronous and assume that their bytes are there: ask {@link has} first and, when it says no, yield
 * the number of bytes lacking to the driver (see drive.ts). A getter without its bytes is a mistake in this package
 * and throws a RangeError; no getter ever makes up a value. Offsets are absolute: byte 0 is the first of the stream.
 *
 * Chunks are kept by reference in a list and only what straddles two of them is copied.
 */
export class Reader {
  #chunk: Uint8Array = EMPTY;
  #view: DataView = new DataView(EMPTY.buffer);
  #pos = 0;
  /** Chunks behind the current one, oldest first, from #first on. */
  #queue: Uint8Array[] = [];
  #first = 0;
  #queued = 0;
  /** Absolute offset of byte 0 of the current chunk. */
  #base: number;

  /** @param offset absolute offset of the first byte that will be pushed */
  constructor(offset = 0) {
    this.#base = offset;
  }

  /** A reader over bytes that are all there. */
  static of(bytes: Uint8Array, offset = 0): Reader {
    const reader = new Reader(offset);
    reader.push(bytes);
    return reader;
  }

  /** Absolute offset of the next byte. */
  get offset(): number {
    return this.#base + this.#pos;
  }

  /** Bytes that have arrived and were not read. */
  get available(): number {
    return this.#chunk.length - this.#pos + this.#queued;
  }

  /** Add bytes at the end. They are kept by reference and must not change until they are read. */
  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.#pos === this.#chunk.length && this.#queued === 0) this.#enter(chunk);
    else {
      this.#queue.push(chunk);
      this.#queued += chunk.length;
    }
  }

  /** Copy what is unread of the chunk pushed last: its memory is about to be used for something else. */
  own(): void {
    const last = this.#queue.length - 1;
    if (this.#queued > 0) this.#queue[last] = new Uint8Array(this.#queue[last]);
    else if (this.#pos < this.#chunk.length) this.#enter(new Uint8Array(this.#chunk.subarray(this.#pos)));
  }

  /** True if `n` bytes have arrived; they are contiguous then, so getters may read them. */
  has(n: number): boolean {
    if (this.#chunk.length - this.#pos >= n) return true;
    if (this.available < n) return false;
    this.#join(n);
    return true;
  }

  u8(): number {
    const value = this.#view.getUint8(this.#pos);
    this.#pos += 1;
    return value;
  }

  u16(): number {
    const value = this.#view.getUint16(this.#pos);
    this.#pos += 2;
    return value;
  }

  u32(): number {
    const value = this.#view.getUint32(this.#pos);
    this.#pos += 4;
    return value;
  }

  u64(): bigint {
    const value = this.#view.getBigUint64(this.#pos);
    this.#pos += 8;
    return value;
  }

  i8(): number {
    const value = this.#view.getInt8(this.#pos);
    this.#pos += 1;
    return value;
  }

  i16(): number {
    const value = this.#view.getInt16(this.#pos);
    this.#pos += 2;
    return value;
  }

  i32(): number {
    const value = this.#view.getInt32(this.#pos);
    this.#pos += 4;
    return value;
  }

  i64(): bigint {
    const value = this.#view.getBigInt64(this.#pos);
    this.#pos += 8;
    return value;
  }

  /**
   * Read values of `kinds` (see integers.ts) from index `from` on into `values`, number i to `slots[i]`, up to a kind
   * that is no integer. Returns the index where it stopped. The bytes must be there, as for every getter.
   */
  integers(kinds: Uint8Array, from: number, values: unknown[], slots: Int32Array): number {
    const view = this.#view;
    const n = kinds.length;
    let pos = this.#pos;
    let i = from;
    scan: for (; i < n; i++) {
      const slot = slots[i];
      switch (kinds[i]) {
        case U8:
          values[slot] = view.getUint8(pos);
          pos += 1;
          break;
        case U16:
          values[slot] = view.getUint16(pos);
          pos += 2;
          break;
        case U32:
          values[slot] = view.getUint32(pos);
          pos += 4;
          break;
        case BOOL:
          values[slot] = view.getUint8(pos) !== 0;
          pos += 1;
          break;
        case I8:
          values[slot] = view.getInt8(pos);
          pos += 1;
          break;
        case I16:
          values[slot] = view.getInt16(pos);
          pos += 2;
          break;
        case I32:
          values[slot] = view.getInt32(pos);
          pos += 4;
          break;
        case U64:
          values[slot] = view.getBigUint64(pos);
          pos += 8;
          break;
        case I64:
          values[slot] = view.getBigInt64(pos);
          pos += 8;
          break;
        default:
          break scan;
      }
    }
    this.#pos = pos;
    return i;
  }

  /**
   * Read elements `from` to `to` of `list`, all of one integer kind, or return false for a kind that is none. The bytes
   * must be there.
   */
  list(kind: number, list: { [index: number]: unknown }, from: number, to: number): boolean {
    const get = GETTERS[kind];
    if (get === undefined) return false;
    if (kind === U8 && to - from >= LONG) {
      (list as Uint8Array).set(this.view(to - from), from);
      return true;
    }
    this.#pos = get(this.#view, this.#pos, list as never, from, to);
    return true;
  }

  /**
   * be64 as a number, for lengths and offsets.
   * @throws StreamError LIMIT_EXCEEDED above 2^53 - 1
   */
  u64Number(): number {
    const high = this.u32();
    const low = this.u32();
    if (high > 0x1fffff) {
      throw new StreamError("LIMIT_EXCEEDED", "Read a 64-bit length: it exceeds 2^53 - 1", { offset: this.offset - 8 });
    }
    return high * 0x1_0000_0000 + low;
  }

  /** `n` bytes as a copy. */
  bytes(n: number): Uint8Array<ArrayBuffer> {
    this.#check(n);
    const copy = new Uint8Array(n);
    copy.set(this.#chunk.subarray(this.#pos, this.#pos + n));
    this.#pos += n;
    return copy;
  }

  /** `n` bytes by reference, valid until the next read. */
  view(n: number): Uint8Array {
    this.#check(n);
    const view = this.#chunk.subarray(this.#pos, this.#pos + n);
    this.#pos += n;
    return view;
  }

  /** `n` bytes as text, see {@link decodeName}. */
  text(n: number): string {
    this.#check(n);
    const text = decodeName(this.#chunk.subarray(this.#pos, this.#pos + n));
    this.#pos += n;
    return text;
  }

  /** Byte `at` places ahead, unread. */
  peekU8(at = 0): number {
    return this.#view.getUint8(this.#pos + at);
  }

  /** be32 `at` places ahead, unread. */
  peekU32(at = 0): number {
    return this.#view.getUint32(this.#pos + at);
  }

  /** `n` bytes `at` places ahead as text, unread. */
  peekText(at: number, n: number): string {
    return decodeName(this.#chunk.subarray(this.#pos + at, this.#pos + at + n));
  }

  /** The contiguous unread bytes at hand, possibly none; valid until the next read. {@link advance} consumes them. */
  window(): Uint8Array {
    if (this.#pos === this.#chunk.length && this.#queued > 0) this.#next();
    return this.#chunk.subarray(this.#pos);
  }

  /** Consume up to `n` bytes that have arrived. Returns how many. */
  advance(n: number): number {
    let left = Math.min(n, this.available);
    const total = left;
    while (left > 0) {
      if (this.#pos === this.#chunk.length) this.#next();
      const step = Math.min(left, this.#chunk.length - this.#pos);
      this.#pos += step;
      left -= step;
    }
    return total;
  }

  /** Copy what has arrived into `target`, at most its length. Returns the number of bytes copied. */
  copyTo(target: Uint8Array): number {
    let done = 0;
    while (done < target.length) {
      const window = this.window();
      if (window.length === 0) break;
      const step = Math.min(window.length, target.length - done);
      target.set(step === window.length ? window : window.subarray(0, step), done);
      this.#pos += step;
      done += step;
    }
    return done;
  }

  /** Copy the next `n` bytes to `target` from `at` on. */
  copy(n: number, target: Uint8Array, at: number): void {
    this.#check(n);
    target.set(this.#chunk.subarray(this.#pos, this.#pos + n), at);
    this.#pos += n;
  }

  #check(n: number): void {
    if (this.#chunk.length - this.#pos < n) throw new RangeError(`Read ${n} bytes: they have not arrived`);
  }

  #enter(chunk: Uint8Array): void {
    this.#base += this.#pos;
    this.#pos = 0;
    this.#chunk = chunk;
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }

  #next(): void {
    const chunk = this.#shift();
    this.#enter(chunk);
  }

  #shift(): Uint8Array {
    const chunk = this.#queue[this.#first] ?? EMPTY;
    this.#queue[this.#first] = EMPTY;
    this.#first++;
    this.#queued -= chunk.length;
    if (this.#first > 64 && this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
    return chunk;
  }

  /** Make `n` bytes contiguous: the rest of this chunk, and of the last one touched only what is needed. */
  #join(n: number): void {
    if (this.#pos === this.#chunk.length) this.#next();
    const rest = this.#chunk.length - this.#pos;
    if (rest >= n) return;
    const joined = new Uint8Array(n);
    joined.set(this.#chunk.subarray(this.#pos));
    let filled = rest;
    while (filled < n) {
      const chunk = this.#queue[this.#first] ?? EMPTY;
      const step = Math.min(chunk.length, n - filled);
      joined.set(step === chunk.length ? chunk : chunk.subarray(0, step), filled);
      filled += step;
      if (step === chunk.length) this.#shift();
      else {
        this.#queue[this.#first] = chunk.subarray(step);
        this.#queued -= step;
      }
    }
    this.#enter(joined);
  }
}

/** Reads elements of a list and returns where they end; by the kinds of integers.ts, a loop each. */
type Getter = (view: DataView, pos: number, list: never, from: number, to: number) => number;

const GETTERS: Readonly<Record<number, Getter>> = {
  [U8]: (view, pos, list: Uint8Array, from, to) => {
    for (let i = from; i < to; i++) list[i] = view.getUint8(pos++);
    return pos;
  },
  [I8]: (view, pos, list: Int8Array, from, to) => {
    for (let i = from; i < to; i++) list[i] = view.getInt8(pos++);
    return pos;
  },
  [U16]: (view, pos, list: Uint16Array, from, to) => {
    for (let i = from; i < to; i++, pos += 2) list[i] = view.getUint16(pos);
    return pos;
  },
  [I16]: (view, pos, list: Int16Array, from, to) => {
    for (let i = from; i < to; i++, pos += 2) list[i] = view.getInt16(pos);
    return pos;
  },
  [U32]: (view, pos, list: Uint32Array, from, to) => {
    for (let i = from; i < to; i++, pos += 4) list[i] = view.getUint32(pos);
    return pos;
  },
  [I32]: (view, pos, list: Int32Array, from, to) => {
    for (let i = from; i < to; i++, pos += 4) list[i] = view.getInt32(pos);
    return pos;
  },
  [U64]: (view, pos, list: BigUint64Array, from, to) => {
    for (let i = from; i < to; i++, pos += 8) list[i] = view.getBigUint64(pos);
    return pos;
  },
  [I64]: (view, pos, list: BigInt64Array, from, to) => {
    for (let i = from; i < to; i++, pos += 8) list[i] = view.getBigInt64(pos);
    return pos;
  },
  [BOOL]: (view, pos, list: boolean[], from, to) => {
    for (let i = from; i < to; i++) list[i] = view.getUint8(pos++) !== 0;
    return pos;
  },
};

/** Lenient UTF-8, for text that is only shown or parsed as JSON. */
export function decodeText(bytes: Uint8Array): string {
  return utf8.decode(new Uint8Array(bytes));
}
