import { MAX_COUNTED_STRING } from "./constants.js";
import { BOOL, I16, I32, I64, I8, U16, U32, U64, U8 } from "./integers.js";
import { encodeName } from "./names.js";

const SEGMENT = 16 << 10;

/** Counted strings as bytes: the names of a machine's sections, most of them. */
const KNOWN = new Map<string, Uint8Array>();
const MOST_KNOWN = 1024;

/**
 * Big-endian writer: small values go into segments of its own, large ones may be put by reference.
 *
 * {@link take} hands over what was written since the last call, in order. Offsets are absolute.
 */
export class Writer {
  #segment = new Uint8Array(SEGMENT);
  #view = new DataView(this.#segment.buffer);
  #start = 0;
  #pos = 0;
  #done: Uint8Array[] = [];
  #flushed: number;
  #buffered = 0;

  /** @param offset absolute offset of the first byte */
  constructor(offset = 0) {
    this.#flushed = offset;
  }

  /** Absolute offset of the next byte. */
  get offset(): number {
    return this.#flushed + this.buffered;
  }

  /** Bytes written and not yet taken. */
  get buffered(): number {
    return this.#buffered + this.#pos - this.#start;
  }

  u8(value: number): void {
    this.#room(1);
    this.#view.setUint8(this.#pos++, value);
  }

  u16(value: number): void {
    this.#room(2);
    this.#view.setUint16(this.#pos, value);
    this.#pos += 2;
  }

  u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#pos, value);
    this.#pos += 4;
  }

  /** be64 of the low 64 bits of `value`, signed or not. */
  u64(value: bigint): void {
    this.#room(8);
    this.#view.setBigUint64(this.#pos, BigInt.asUintN(64, value));
    this.#pos += 8;
  }

  /** be64 of a safe integer. */
  u64Number(value: number): void {
    this.#room(8);
    this.#view.setUint32(this.#pos, Math.floor(value / 0x1_0000_0000));
    this.#view.setUint32(this.#pos + 4, value >>> 0);
    this.#pos += 8;
  }

  /**
   * Write values as `kinds` (see integers.ts) from index `from` on, number i being `values[slots[i]]`, up to a kind that
   * is no integer or a value that would lose bits. Either sign is taken for the same bits. Returns the index where it
   * stopped.
   */
  integers(kinds: Uint8Array, from: number, values: readonly unknown[], slots: Int32Array): number {
    const n = kinds.length;
    this.#room(8 * (n - from));
    const view = this.#view;
    let pos = this.#pos;
    let i = from;
    scan: for (; i < n; i++) {
      const value = values[slots[i]];
      switch (kinds[i]) {
        case U8:
        case I8:
          if (typeof value !== "number" || !Number.isInteger(value) || value < -0x80 || value > 0xff) break scan;
          view.setUint8(pos, value);
          pos += 1;
          break;
        case U16:
        case I16:
          if (typeof value !== "number" || !Number.isInteger(value) || value < -0x8000 || value > 0xffff) break scan;
          view.setUint16(pos, value);
          pos += 2;
          break;
        case U32:
        case I32:
          if (typeof value !== "number" || (value >>> 0 !== value && (value | 0) !== value)) break scan;
          view.setUint32(pos, value);
          pos += 4;
          break;
        case U64:
        case I64:
          if (typeof value !== "bigint") break scan;
          if (BigInt.asUintN(64, value) !== value && BigInt.asIntN(64, value) !== value) break scan;
          view.setBigUint64(pos, BigInt.asUintN(64, value));
          pos += 8;
          break;
        case BOOL:
          if (typeof value !== "boolean") break scan;
          view.setUint8(pos, value ? 1 : 0);
          pos += 1;
          break;
        default:
          break scan;
      }
    }
    this.#pos = pos;
    return i;
  }

  /**
   * Write elements `from` to `to` of `list` as integers of one kind. Returns false, having written nothing, unless it is
   * a typed array with elements of that width, of whatever sign.
   */
  list(kind: number, list: unknown, from: number, to: number): boolean {
    const put = putterOf(kind, list);
    if (put === null) return false;
    const { BYTES_PER_ELEMENT: size } = list as Uint8Array;
    const most = SEGMENT / size;
    for (let at = from; at < to; at += most) {
      const end = Math.min(to, at + most);
      this.#room((end - at) * size);
      put(this.#view, this.#pos, list as never, at, end);
      this.#pos += (end - at) * size;
    }
    return true;
  }

  /**
   * Let `save` put `size` bytes from `at` on for `object`. If it returns false, or throws, nothing was written.
   */
  encode<T>(
    size: number,
    code: { save(object: T, view: DataView, bytes: Uint8Array, at: number): boolean },
    object: T,
  ): boolean {
    this.#room(size);
    if (!code.save(object, this.#view, this.#segment, this.#pos)) return false;
    this.#pos += size;
    return true;
  }

  /** A copy of `bytes`. */
  bytes(bytes: Uint8Array): void {
    if (bytes.length > SEGMENT >> 1) {
      // Not slice(): that of a Node Buffer is no copy.
      this.reference(new Uint8Array(bytes));
      return;
    }
    this.#room(bytes.length);
    this.#segment.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }

  /** `bytes` themselves: they must not change until what {@link take} returned has been consumed. */
  reference(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#seal();
    this.#done.push(bytes);
    this.#buffered += bytes.length;
  }

  /** `n` zero bytes. */
  zeros(n: number): void {
    if (n > SEGMENT >> 1) this.reference(new Uint8Array(n));
    else {
      this.#room(n);
      this.#segment.fill(0, this.#pos, this.#pos + n);
      this.#pos += n;
    }
  }

  /**
   * Counted string: one length byte, then UTF-8.
   * @throws RangeError if it takes more than 255 bytes
   */
  countedString(text: string): void {
    let bytes = KNOWN.get(text);
    if (bytes === undefined) {
      bytes = encodeName(text);
      if (bytes.length > MAX_COUNTED_STRING)
        throw new RangeError(`Write "${text}": a counted string has at most 255 bytes`);
      if (KNOWN.size === MOST_KNOWN) KNOWN.clear();
      KNOWN.set(text, bytes);
    }
    this.u8(bytes.length);
    this.bytes(bytes);
  }

  /** Everything since the last call, in order; chunks stay valid, those put by reference as long as their owner says. */
  take(): Uint8Array[] {
    this.#seal();
    const chunks = this.#done;
    this.#done = [];
    this.#flushed += this.#buffered;
    this.#buffered = 0;
    return chunks;
  }

  #room(n: number): void {
    if (this.#pos + n <= this.#segment.length) return;
    this.#seal();
    this.#segment = new Uint8Array(Math.max(SEGMENT, n));
    this.#view = new DataView(this.#segment.buffer);
    this.#start = this.#pos = 0;
  }

  #seal(): void {
    if (this.#pos === this.#start) return;
    this.#done.push(this.#segment.subarray(this.#start, this.#pos));
    this.#buffered += this.#pos - this.#start;
    this.#start = this.#pos;
  }
}

type Putter = (view: DataView, pos: number, list: never, from: number, to: number) => void;

/** How to write elements of a typed array; null for what is none of the width. */
function putterOf(kind: number, list: unknown): Putter | null {
  switch (kind) {
    case U8:
    case I8:
      return list instanceof Uint8Array || list instanceof Int8Array ? put8 : null;
    case U16:
    case I16:
      return list instanceof Uint16Array || list instanceof Int16Array ? put16 : null;
    case U32:
    case I32:
      return list instanceof Uint32Array || list instanceof Int32Array ? put32 : null;
    case U64:
    case I64:
      return list instanceof BigUint64Array || list instanceof BigInt64Array ? put64 : null;
    default:
      return null;
  }
}

function put8(view: DataView, pos: number, list: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) view.setUint8(pos++, list[i]);
}

function put16(view: DataView, pos: number, list: Uint16Array, from: number, to: number): void {
  for (let i = from; i < to; i++, pos += 2) view.setUint16(pos, list[i]);
}

function put32(view: DataView, pos: number, list: Uint32Array, from: number, to: number): void {
  for (let i = from; i < to; i++, pos += 4) view.setUint32(pos, list[i]);
}

function put64(view: DataView, pos: number, list: BigUint64Array, from: number, to: number): void {
  for (let i = from; i < to; i++, pos += 8) view.setBigUint64(pos, list[i]);
}

/** All chunks as one array. */
export function concat(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}
