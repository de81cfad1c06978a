import { ChannelError, StreamError, isMigrationError } from "../errors.js";
import type { Reader } from "./reader.js";
import type { AsyncSink, AsyncSource, SyncSink, SyncSource } from "./io.js";
import type { Writer } from "./writer.js";

/**
 * Decoding as a generator: it yields the number of contiguous bytes it needs from the reader's position on, or a
 * promise it must wait for, and returns a T. One loader body so serves bytes at hand ({@link decodeSync}) and sockets
 * ({@link decodeAsync}). It never asks for a byte that QEMU would not read at that point: the sender may be waiting.
 *
 * Leaf code looks like `if (!reader.has(4)) yield 4; const id = reader.u32();`.
 */
export type Decode<T> = Generator<number | PromiseLike<unknown>, T, void>;

/**
 * Encoding as a generator: each yield lets the driver hand what the writer holds to the sink, or waits for a promise.
 * The sink has consumed what it was handed, so that memory put by reference may be reused, after the yield behind
 * that one: two pieces of memory that take turns keep a sink busy.
 */
export type Encode<T> = Generator<void | PromiseLike<unknown>, T, void>;

/** Options of the drivers that wait. */
export interface DriveOptions {
  /** Stops the run; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal | undefined;
}

function truncated(reader: Reader, need: number): StreamError {
  const end = reader.offset + reader.available;
  return new StreamError("TRUNCATED", `Read ${need} bytes at offset ${reader.offset}: the stream ends at ${end}`, {
    offset: end,
  });
}

/** Empty chunks in a row that are taken for a slow source; more of them are a source that will never deliver. */
const EMPTY_CHUNKS = 1 << 16;

/** Push chunks until `need` bytes are there; called with every chunk that was read. */
class Feeder {
  readonly #reader: Reader;
  #empty = 0;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * @throws StreamError TRUNCATED for the end of the source (null); ChannelError CHANNEL_FAILED when it hands over
   *   nothing but empty chunks
   */
  take(chunk: Uint8Array | null, need: number): void {
    if (chunk === null) throw truncated(this.#reader, need);
    this.#empty = chunk.length === 0 ? this.#empty + 1 : 0;
    if (this.#empty > EMPTY_CHUNKS) {
      const message = `Read from the channel: ${this.#empty} chunks in a row were empty`;
      throw new ChannelError("CHANNEL_FAILED", message, { offset: this.#reader.offset + this.#reader.available });
    }
    this.#reader.push(chunk);
  }
}

/**
 * Run `decode` on a synchronous source.
 * @throws StreamError TRUNCATED when the source ends first; TypeError if a hook returned a promise; ChannelError
 *   CHANNEL_FAILED when the source hands over nothing but empty chunks
 */
export function decodeSync<T>(decode: Decode<T>, reader: Reader, source: SyncSource): T {
  const feeder = new Feeder(reader);
  let step = decode.next();
  while (!step.done) {
    const need = step.value;
    let failure: { error: unknown } | null = null;
    try {
      if (typeof need !== "number") throw new TypeError("Load synchronously: a hook returned a promise");
      while (!reader.has(need)) feeder.take(source.read(), need);
    } catch (error) {
      failure = { error };
    }
    step = failure === null ? decode.next() : decode.throw(failure.error);
  }
  return step.value;
}

/**
 * Run `decode` on an asynchronous source, awaiting only when bytes lack. What goes wrong meanwhile is thrown into
 * `decode`, so that it can clean up. The source is not cancelled: whoever made it decides what becomes of it.
 * @throws StreamError TRUNCATED when the source ends first; ChannelError CHANNEL_FAILED when it hands over nothing
 *   but empty chunks; the signal's reason
 */
export async function decodeAsync<T>(
  decode: Decode<T>,
  reader: Reader,
  source: AsyncSource | SyncSource,
  { signal }: DriveOptions = {},
): Promise<T> {
  signal?.throwIfAborted();
  const feeder = new Feeder(reader);
  const abort = abortable(signal);
  try {
    let step = decode.next();
    while (!step.done) {
      const need = step.value;
      let failure: { error: unknown } | null = null;
      try {
        if (typeof need !== "number") await abort.race(need);
        else {
          while (!reader.has(need)) {
            const read = nextChunk(source, reader);
            feeder.take(isPromise(read) ? await abort.race(read) : read, need);
          }
        }
        signal?.throwIfAborted();
      } catch (error) {
        failure = { error };
      }
      step = failure === null ? decode.next() : decode.throw(failure.error);
    }
    return step.value;
  } finally {
    abort.release();
  }
}

/** What is unread is little, most often the beginning of a record; copying it saves the source a buffer per chunk. */
function nextChunk(source: AsyncSource | SyncSource, reader: Reader): ReturnType<AsyncSource["read"]> {
  if (!("borrow" in source) || source.borrow === undefined) return source.read();
  reader.own();
  return source.borrow();
}

/**
 * Run `encode`, writing to a synchronous sink at every yield and at the end.
 * @throws what the sink throws, after `encode` has seen it; TypeError if a hook returned a promise
 */
export function encodeSync<T>(encode: Encode<T>, writer: Writer, sink: SyncSink): T {
  let step = encode.next();
  for (;;) {
    let failure: { error: unknown } | null = null;
    try {
      for (const chunk of writer.take()) sink.write(chunk);
      if (!step.done && step.value !== undefined) {
        throw new TypeError("Save synchronously: a hook returned a promise");
      }
    } catch (error) {
      failure = { error };
    }
    if (step.done) {
      if (failure !== null) throw failure.error;
      return step.value;
    }
    step = failure === null ? encode.next() : encode.throw(failure.error);
  }
}

/**
 * Run `encode`, awaiting the sink at every yield and at the end: all of it, or if the sink queues what it was handed
 * at the yield before. The sink is neither closed nor aborted. After a failure it may still read memory that it was
 * handed by reference, until its writes have settled or it has been aborted; {@link encodeWhole} waits for that.
 * @throws what the sink throws, after `encode` has seen it; the signal's reason
 */
export function encodeAsync<T>(
  encode: Encode<T>,
  writer: Writer,
  sink: AsyncSink | SyncSink,
  options: DriveOptions = {},
): Promise<T> {
  return encodeHolding(encode, writer, sink, options, []);
}

/**
 * As {@link encodeAsync}, and the sink is closed at the end. If the run fails the sink is aborted, and by the time this
 * rejects it reads nothing any more that it was handed: its writes have settled, or what its `abort` returned has.
 */
export async function encodeWhole<T>(
  encode: Encode<T>,
  writer: Writer,
  sink: AsyncSink,
  options: DriveOptions = {},
): Promise<T> {
  const held: PromiseLike<void>[] = [];
  let result: T;
  try {
    result = await encodeHolding(encode, writer, sink, options, held);
  } catch (error) {
    const aborted = abandon(sink, error);
    const settled = Promise.allSettled(held);
    await (aborted === undefined ? settled : Promise.race([settled, aborted]));
    throw error;
  }
  await sink.close?.();
  return result;
}

/** Aborts a sink. That this fails, too, tells nobody anything: the failure that led here is the one to report. */
function abandon(sink: AsyncSink, reason: unknown): PromiseLike<void> | undefined {
  try {
    return sink.abort?.(reason)?.then(undefined, () => undefined);
  } catch {
    return undefined;
  }
}

/** @param held when this rejects, the writes that may not have settled */
async function encodeHolding<T>(
  encode: Encode<T>,
  writer: Writer,
  sink: AsyncSink | SyncSink,
  { signal }: DriveOptions,
  held: PromiseLike<void>[],
): Promise<T> {
  signal?.throwIfAborted();
  const abort = abortable(signal);
  const queues = "queues" in sink && sink.queues === true;
  let underWay: PromiseLike<void>[] = [];
  try {
    let step = encode.next();
    for (;;) {
      let failure: { error: unknown } | null = null;
      try {
        const before = underWay;
        underWay = [];
        held.push(...before);
        for (const chunk of writer.take()) {
          const written = sink.write(chunk);
          if (!isPromise(written)) continue;
          if (queues) {
            underWay.push(heard(written));
            continue;
          }
          held.push(written);
          await abort.race(written);
          held.pop();
        }
        for (const written of before) await abort.race(written);
        held.length -= before.length;
        if (step.done) for (const written of underWay) await abort.race(written);
        if (!step.done && step.value !== undefined) await abort.race(step.value);
        signal?.throwIfAborted();
      } catch (error) {
        failure = { error };
      }
      if (step.done) {
        if (failure !== null) throw failure.error;
        return step.value;
      }
      step = failure === null ? encode.next() : encode.throw(failure.error);
    }
  } finally {
    held.push(...underWay);
    abort.release();
  }
}

/** Its failure is for whoever waits for it, and not for the process if nobody gets to that any more. */
function heard(written: PromiseLike<void>): PromiseLike<void> {
  written.then(undefined, () => undefined);
  return written;
}

/**
 * Run `decode` on bytes that are all in `reader`: promises pass to the outer run, a lack of bytes is the end.
 * @throws StreamError TRUNCATED when the bytes end first
 */
export function* decodeWithin<T>(decode: Decode<T>, reader: Reader): Decode<T> {
  let step = decode.next();
  while (!step.done) {
    const need = step.value;
    if (typeof need === "number") {
      step = decode.throw(truncated(reader, need));
      continue;
    }
    let failure: { readonly error: unknown } | null = null;
    try {
      yield need;
    } catch (error) {
      failure = { error };
    }
    step = failure === null ? decode.next() : decode.throw(failure.error);
  }
  return step.value;
}

/** True when `n` more bytes have come, false if the stream ends before: the one place where the end is no error. */
export function* hasMore(reader: Reader, n = 1): Decode<boolean> {
  try {
    if (!reader.has(n)) yield n;
    return true;
  } catch (error) {
    if (isMigrationError(error, "TRUNCATED")) return false;
    throw error;
  }
}

/** Fill `target` from the reader, chunk by chunk. */
export function* readInto(reader: Reader, target: Uint8Array): Decode<void> {
  let done = reader.copyTo(target);
  while (done < target.length) {
    yield 1;
    done += reader.copyTo(done === 0 ? target : target.subarray(done));
  }
}

/** Pass over `n` bytes without keeping any. */
export function* skip(reader: Reader, n: number): Decode<void> {
  let left = n - reader.advance(n);
  while (left > 0) {
    yield 1;
    left -= reader.advance(left);
  }
}

/** Counted string: one length byte, then as many bytes. May be empty; the caller decides what that means. */
export function* countedString(reader: Reader): Decode<string> {
  if (!reader.has(1)) yield 1;
  const length = reader.peekU8();
  if (!reader.has(1 + length)) yield 1 + length;
  reader.advance(1);
  return reader.text(length);
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && "then" in value;
}

/** Races promises against one signal with a single listener for the whole run. */
function abortable(signal: AbortSignal | undefined): {
  race<T>(promise: PromiseLike<T>): PromiseLike<T>;
  release(): void;
} {
  if (signal === undefined) return { race: (promise) => promise, release: () => undefined };
  let reject: (reason: unknown) => void = () => undefined;
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort);
  return {
    race: <T>(promise: PromiseLike<T>) =>
      new Promise<T>((resolve, fail) => {
        reject = fail;
        if (signal.aborted) fail(signal.reason as Error);
        promise.then(resolve, fail);
      }),
    release: () => signal.removeEventListener("abort", onAbort),
  };
}
