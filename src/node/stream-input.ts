import type { Readable } from "node:stream";
import type { AsyncSource } from "../stream/io.js";
import { channelFailed } from "./failure.js";

/** A source of bytes with a size, if that is known, and something to release. */
export interface Input extends AsyncSource {
  /** Bytes that will come; null when nobody knows. */
  readonly length: number | null;
  close(): Promise<void>;
}

/** A Node stream as a source; its errors become ours. */
export function streamInput(
  stream: Readable,
  name: string,
  onClose: () => Promise<void> | void = () => undefined,
): Input {
  const iterator: AsyncIterator<Uint8Array, undefined> = stream[Symbol.asyncIterator]();
  return {
    length: null,
    async read() {
      try {
        const { done, value } = await iterator.next();
        return done === true ? null : value;
      } catch (cause) {
        throw channelFailed(`Read ${name}`, cause);
      }
    },
    async close() {
      stream.destroy();
      await onClose();
    },
  };
}
