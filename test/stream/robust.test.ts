import { describe, expect, it } from "vitest";
import { ChannelError } from "../../src/errors.js";
import {
  decodeAsync,
  decodeSync,
  decodeWithin,
  encodeAsync,
  encodeSync,
  type Decode,
  type Encode,
} from "../../src/stream/drive.js";
import { decodeName, encodeName } from "../../src/stream/names.js";
import { Reader } from "../../src/stream/reader.js";
import { BytesSink, toSink } from "../../src/stream/sink.js";
import { toSource, toSyncSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";

/** What goes wrong around the drivers: sources and sinks that fail, stall or are given up. */

const EMPTY = new Uint8Array(0);

function* want(reader: Reader, n: number, log: string[] = []): Decode<number> {
  try {
    if (!reader.has(n)) yield n;
    reader.advance(n);
    return n;
  } catch (error) {
    log.push("seen");
    throw error;
  } finally {
    log.push("cleaned");
  }
}

describe("Reader, many chunks", () => {
  it("a part of a chunk left behind after many were joined: read in order", () => {
    const reader = new Reader();
    reader.push(Uint8Array.of(0));
    for (let i = 1; i <= 200; i++) reader.push(Uint8Array.of(i, i, i));
    const seen: number[] = [];
    while (reader.has(4)) seen.push(...reader.bytes(4));
    expect(seen).toEqual([0, ...Array.from({ length: 200 }, (_, i) => [i + 1, i + 1, i + 1]).flat()].slice(0, 600));
  });

  it("a need of 1 MiB in chunks of one byte: copied once, not once a chunk", () => {
    const n = 1 << 20;
    const reader = new Reader();
    const chunk = Uint8Array.of(7);
    let left = n;
    const started = performance.now();
    decodeSync(want(reader, n), reader, { read: () => (left-- > 0 ? chunk : null) });
    expect(reader.offset).toBe(n);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it("a byte that is not there: the reader stays where it was", () => {
    const reader = Reader.of(EMPTY);
    expect(() => reader.u8()).toThrow(RangeError);
    expect(() => reader.i8()).toThrow(RangeError);
    expect([reader.offset, reader.available]).toEqual([0, 0]);
  });
});

describe("sources", () => {
  it("empty chunks between others: passed over, they do not end the stream", async () => {
    const chunks = [EMPTY, Uint8Array.of(1), EMPTY, EMPTY, Uint8Array.of(2)];
    const sync = new Reader();
    expect(decodeSync(want(sync, 2), sync, toSyncSource(chunks))).toBe(2);
    const async = new Reader();
    expect(await decodeAsync(want(async, 2), async, toSource(chunks))).toBe(2);
  });

  it("empty chunks without end: CHANNEL_FAILED, no endless loop", async () => {
    const source = { read: () => EMPTY };
    const failed = expect.objectContaining({ code: "CHANNEL_FAILED" }) as Error;
    const sync = new Reader();
    expect(() => decodeSync(want(sync, 1), sync, source)).toThrow(failed);
    const async = new Reader();
    await expect(decodeAsync(want(async, 1), async, source)).rejects.toEqual(failed);
  });

  it("a synchronous source that throws: the decoder sees it and cleans up", () => {
    const log: string[] = [];
    const reader = new Reader();
    const cause = new Error("disk");
    const source = {
      read: () => {
        throw cause;
      },
    };
    expect(() => decodeSync(want(reader, 1, log), reader, source)).toThrow(cause);
    expect(log).toEqual(["seen", "cleaned"]);
  });

  it("a synchronous iterable that throws: CHANNEL_FAILED with its cause", () => {
    const cause = new Error("disk");
    const source = toSyncSource(
      (function* (): Generator<Uint8Array> {
        yield EMPTY;
        throw cause;
      })(),
    );
    const reader = new Reader();
    expect(() => decodeSync(want(reader, 1), reader, source)).toThrow(
      expect.objectContaining({ code: "CHANNEL_FAILED", cause }) as Error,
    );
  });

  it("a signal that was aborted before: nothing runs", async () => {
    const reader = Reader.of(Uint8Array.of(1));
    const log: string[] = [];
    const reason = { why: "user" };
    const options = { signal: AbortSignal.abort(reason) };
    await expect(decodeAsync(want(reader, 1, log), reader, toSource([]), options)).rejects.toBe(reason);
    const writer = new Writer();
    const sink = new BytesSink();
    const encode = (function* (): Encode<void> {
      log.push("wrote");
      yield;
    })();
    await expect(encodeAsync(encode, writer, sink, options)).rejects.toBe(reason);
    expect(log).toEqual([]);
  });

  it("a web stream: its lock is released at the end, and when it is cancelled", async () => {
    const whole = new Blob([Uint8Array.of(1)]).stream();
    const source = toSource(whole);
    while ((await source.read()) !== null);
    expect(whole.locked).toBe(false);
    expect(await source.read()).toBeNull();

    const reasons: unknown[] = [];
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(Uint8Array.of(1)),
      cancel: (reason) => void reasons.push(reason),
    });
    const given = toSource(endless);
    await given.read();
    await given.cancel?.("enough");
    expect([endless.locked, reasons]).toEqual([false, ["enough"]]);
  });

  it("a web stream that is released: the rest is left to its owner", async () => {
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(Uint8Array.of(1)),
    });
    const source = toSource(stream);
    await source.read();
    await source.release?.();
    expect(stream.locked).toBe(false);
    expect((await stream.getReader().read()).value).toEqual(Uint8Array.of(1));
  });

  it("an async generator given up while it waits: cancel does not wait for it", async () => {
    let ended = false;
    const source = toSource(
      (async function* (): AsyncGenerator<Uint8Array> {
        try {
          await new Promise<void>(() => undefined);
          yield EMPTY;
        } finally {
          ended = true;
        }
      })(),
    );
    void source.read();
    await source.cancel?.("enough");
    expect(ended).toBe(false);

    const idle = toSource(
      (async function* (): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield await Promise.resolve(Uint8Array.of(1));
        } finally {
          ended = true;
        }
      })(),
    );
    await idle.read();
    await idle.cancel?.("enough");
    expect(ended).toBe(true);
  });
});

describe("decodeWithin", () => {
  function* inner(log: string[]): Decode<string> {
    try {
      yield Promise.reject(new Error("hook"));
      return "no";
    } catch {
      log.push("rolled back");
      return "handled";
    }
  }

  it("a promise that rejects: thrown into the inner decoder, as without", async () => {
    const log: string[] = [];
    const reader = new Reader();
    expect(await decodeAsync(decodeWithin(inner(log), new Reader()), reader, toSource([]))).toBe("handled");
    expect(log).toEqual(["rolled back"]);
  });
});

describe("sinks", () => {
  it("a synchronous sink that throws: the encoder sees it", () => {
    const log: string[] = [];
    const writer = new Writer();
    const encode = (function* (): Encode<void> {
      try {
        writer.u8(1);
        yield;
      } catch (error) {
        log.push(String(error));
        throw error;
      }
    })();
    const sink = {
      write: () => {
        throw new Error("full");
      },
    };
    expect(() => encodeSync(encode, writer, sink)).toThrow("full");
    expect(log).toEqual(["Error: full"]);
  });

  it("a promise in a synchronous save: a TypeError that the encoder may handle, and goes on", () => {
    const writer = new Writer();
    const sink = new BytesSink();
    const encode = (function* (): Encode<string> {
      try {
        yield Promise.resolve();
      } catch {
        writer.u8(1);
        yield;
        writer.u8(2);
      }
      return "went on";
    })();
    expect(encodeSync(encode, writer, sink)).toBe("went on");
    expect([...sink.toBytes()]).toEqual([1, 2]);
  });

  it("a WritableStream: its lock is released when it is closed or aborted", async () => {
    const closed = new WritableStream<Uint8Array>();
    await toSink(closed).close?.();
    expect(closed.locked).toBe(false);
    const aborted = new WritableStream<Uint8Array>();
    await toSink(aborted).abort?.(new ChannelError("CHANNEL_CLOSED", "Give up"));
    expect(aborted.locked).toBe(false);
  });
});

describe("bytes of Node", () => {
  it("a Buffer, whose slice is no copy: what was written or kept does not change", () => {
    const sink = new BytesSink();
    const small = Buffer.from([1, 2, 3]);
    sink.write(small);
    const big = Buffer.alloc(20000, 1);
    const writer = new Writer();
    writer.bytes(big);
    small.fill(9);
    big.fill(9);
    expect([...sink.toBytes()]).toEqual([1, 2, 3]);
    expect(concat(writer.take()).every((byte) => byte === 1)).toBe(true);
  });
});

describe("names, mixed", () => {
  it("UTF-8 and an escaped byte in one name: each as it is", () => {
    expect([...encodeName("é\udcff")]).toEqual([0xc3, 0xa9, 0xff]);
    expect(encodeName(decodeName(Uint8Array.of(0xc3, 0xa9, 0xff)))).toEqual(Uint8Array.of(0xc3, 0xa9, 0xff));
  });
});
