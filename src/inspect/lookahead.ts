import { hasMore, type Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";

export interface Lookahead {
  /** The unread bytes, contiguous: `n` or more, fewer at the end of the stream. */
  readonly window: Uint8Array;
  /** The stream ends with the window. */
  readonly ended: boolean;
}

/** Wait for `n` unread bytes, or for the end of the stream. Valid until the reader is used again. */
export function* lookahead(reader: Reader, n: number): Decode<Lookahead> {
  const ended = !(yield* hasMore(reader, n));
  // Joins what is left.
  if (ended) reader.has(reader.available);
  return { window: reader.window(), ended };
}
