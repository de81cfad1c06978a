import { ChannelError } from "../errors.js";
import type { AsyncSource, SyncSource } from "./io.js";

/** What a stream can be read from. */
export type Readable =
  | Uint8Array
  | ArrayBuffer
  | Iterable<Uint8Array>
  | AsyncIterable<Uint8Array>
  | ReadableStream<Uint8Array>
  | AsyncSource;

/** Chunks at hand, one after the other. */
export function bytesSource(...chunks: readonly Uint8Array[]): SyncSource {
  let next = 0;
  return { read: () => chunks[next++] ?? null };
}

/**
 * Adapt bytes, iterables, async iterables, web streams and sources to one shape. Releasing or
 * cancelling one of an iterator calls its `return`, as leaving a loop over it does; the lock of a web stream goes at its
 * end, and when it is released (the rest stays readable) or cancelled.
 * @throws TypeError for anything else
 */
export function toSource(input: Readable): AsyncSource {
  if (input instanceof Uint8Array) return bytesSource(input);
  if (input instanceof ArrayBuffer) return bytesSource(new Uint8Array(input));
  if ("getReader" in input) return streamSource(input);
  if (Symbol.asyncIterator in input) return iteratorSource(input[Symbol.asyncIterator]());
  if (Symbol.iterator in input) return iteratorSource(input[Symbol.iterator]());
  if ("read" in input) return input;
  throw new TypeError("Read a stream: expected bytes, an iterable, an async iterable or a ReadableStream");
}

/** As {@link toSource}, for what can be read without waiting. */
export function toSyncSource(input: Uint8Array | ArrayBuffer | Iterable<Uint8Array>): SyncSource {
  if (input instanceof Uint8Array) return bytesSource(input);
  if (input instanceof ArrayBuffer) return bytesSource(new Uint8Array(input));
  const iterator = input[Symbol.iterator]();
  return {
    read() {
      let result: IteratorResult<Uint8Array>;
      try {
        result = iterator.next();
      } catch (cause) {
        throw failed(cause);
      }
      return result.done === true ? null : checked(result.value);
    },
  };
}

function checked(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError("Read a stream: its chunks must be Uint8Array");
}

function iteratorSource(iterator: Iterator<Uint8Array> | AsyncIterator<Uint8Array>): AsyncSource {
  let waiting = false;
  return {
    async read() {
      waiting = true;
      try {
        const result = await guarded(async () => iterator.next());
        return result.done === true ? null : checked(result.value);
      } finally {
        waiting = false;
      }
    },
    release: leave,
    cancel: leave,
  };

  async function leave(): Promise<void> {
    // A generator that waits inside next() answers return() only after that: it may never come, so nobody waits.
    const returned = Promise.resolve(iterator.return?.());
    if (waiting) returned.catch(() => undefined);
    else await returned;
  }
}

function streamSource(stream: ReadableStream<Uint8Array>): AsyncSource {
  const reader = stream.getReader();
  let ended = false;
  return {
    async read() {
      if (ended) return null;
      const { done, value } = await guarded(() => reader.read());
      if (!done) return checked(value);
      ended = true;
      reader.releaseLock();
      return null;
    },
    release() {
      if (ended) return;
      ended = true;
      reader.releaseLock();
    },
    async cancel(reason) {
      if (ended) return;
      ended = true;
      await reader.cancel(reason).finally(() => reader.releaseLock());
    },
  };
}

/** The channel's own failures become ours; a reason the caller gave to an AbortSignal stays what it is. */
async function guarded<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw failed(cause);
  }
}

function failed(cause: unknown): ChannelError {
  return new ChannelError("CHANNEL_FAILED", "Read from the channel: it failed", { cause });
}
