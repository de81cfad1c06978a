import type { Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import { concat } from "../stream/writer.js";

/** Most bytes asked for at once, so that no body must be contiguous as a whole. */
const STEP = 64 << 10;

/** Reads a section body of known framing and keeps its bytes, up to a limit. */
export class BodyReader {
  readonly #reader: Reader;
  readonly #limit: number;
  readonly #onProgress: () => void;
  #chunks: Uint8Array[] | null = [];
  #length = 0;

  /**
   * @param limit bytes to keep; of a longer body nothing is kept
   * @param onProgress told whenever bytes were consumed
   */
  constructor(reader: Reader, limit: number, onProgress: () => void) {
    this.#reader = reader;
    this.#limit = limit;
    this.#onProgress = onProgress;
  }

  /** Absolute offset in the stream. */
  get offset(): number {
    return this.#reader.offset;
  }

  /** The whole body, or null if it exceeds the limit. */
  get bytes(): Uint8Array<ArrayBuffer> | null {
    return this.#chunks === null ? null : concat(this.#chunks);
  }

  *u8(): Decode<number> {
    return (yield* this.#take(1))[0];
  }

  *u16(): Decode<number> {
    const [high, low] = yield* this.#take(2);
    return high * 0x100 + low;
  }

  *u32(): Decode<number> {
    const [a, b, c, d] = yield* this.#take(4);
    return a * 0x1_00_00_00 + b * 0x1_00_00 + c * 0x1_00 + d;
  }

  /** A length. @throws StreamError LIMIT_EXCEEDED above 2^53 - 1 */
  *u64(): Decode<number> {
    if (!this.#reader.has(8)) yield 8;
    const high = this.#reader.peekU32();
    const low = this.#reader.peekU32(4);
    if (high > 0x1fffff) this.#reader.u64Number();
    yield* this.#take(8);
    return high * 0x1_0000_0000 + low;
  }

  /** Pass over `n` bytes. */
  *skip(n: number): Decode<void> {
    for (let left = n; left > 0;) {
      if (this.#chunks !== null) left -= (yield* this.#take(Math.min(left, STEP))).length;
      else {
        // Nothing is kept any more, so nothing need be copied.
        if (!this.#reader.has(1)) yield 1;
        left -= this.#reader.advance(left);
        this.#onProgress();
      }
    }
  }

  *#take(n: number): Decode<Uint8Array> {
    if (!this.#reader.has(n)) yield n;
    const bytes = this.#reader.bytes(n);
    this.#length += n;
    if (this.#length > this.#limit) this.#chunks = null;
    this.#chunks?.push(bytes);
    this.#onProgress();
    return bytes;
  }
}
