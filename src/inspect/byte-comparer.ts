/** The original bytes of a stream, kept from when they are read until something was held against them. */
export class ByteComparer {
  readonly #chunks: Uint8Array[] = [];
  #first = 0;
  /** Bytes of the first chunk that are done with. */
  #done = 0;
  #offset = 0;

  /** Absolute offset up to which the stream was compared or passed over. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of the stream, as they come. They must not change. */
  push(chunk: Uint8Array): void {
    if (chunk.length > 0) this.#chunks.push(chunk);
  }

  /** Hold the next bytes against `pieces`; all of them are passed over, equal or not. */
  compare(pieces: readonly Uint8Array[]): boolean {
    let isEqual = true;
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const original = this.#take(piece.length - at);
        if (original === null) return false;
        isEqual &&= equalBytes(original, piece.subarray(at, at + original.length));
        at += original.length;
      }
    }
    return isEqual;
  }

  /** Go on at `offset` without comparing. */
  skipTo(offset: number): void {
    while (this.#offset < offset && this.#take(offset - this.#offset) !== null);
  }

  /** At most `n` of the next bytes; null when there are none. */
  #take(n: number): Uint8Array | null {
    const chunk = this.#chunks[this.#first];
    if (chunk === undefined) return null;
    const bytes = chunk.subarray(this.#done, this.#done + n);
    this.#done += bytes.length;
    this.#offset += bytes.length;
    if (this.#done === chunk.length) {
      this.#done = 0;
      this.#first++;
      // Dropping chunks one by one would move all that wait, each time.
      if (this.#first >= 64) this.#chunks.splice(0, this.#first);
      if (this.#first >= 64) this.#first = 0;
    }
    return bytes;
  }
}

/** True if two arrays hold the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // Usually they are the very same memory, since pages are decoded in place.
  if (a.buffer === b.buffer && a.byteOffset === b.byteOffset) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** True if every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
