import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import {
  countedString,
  decodeAsync,
  decodeSync,
  encodeAsync,
  encodeSync,
  hasMore,
  readInto,
  skip,
  type Decode,
  type Encode,
} from "../../src/stream/drive.js";
import { decodeName, encodeName } from "../../src/stream/names.js";
import { Reader } from "../../src/stream/reader.js";
import { BytesSink, toSink } from "../../src/stream/sink.js";
import { bytesSource, toSource, toSyncSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";

function chunked(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function written(): Uint8Array {
  const w = new Writer();
  w.u8(0xfe);
  w.u16(0x1234);
  w.u32(0xdeadbeef);
  w.u64(-2n);
  w.u64Number(2 ** 53 - 1);
  w.countedString("pc.ram");
  w.zeros(3);
  w.bytes(Uint8Array.of(1, 2, 3));
  w.reference(Uint8Array.of(4, 5));
  w.zeros(20000);
  w.bytes(new Uint8Array(30000).fill(9));
  return concat(w.take());
}

function* readBack(r: Reader): Decode<unknown[]> {
  if (!r.has(23)) yield 23;
  const head = [r.i8(), r.u16(), r.u32(), r.i64(), r.u64Number(), r.offset];
  const name = yield* countedString(r);
  yield* skip(r, 3);
  const bytes = new Uint8Array(5);
  yield* readInto(r, bytes);
  yield* skip(r, 20000);
  const big = new Uint8Array(30000);
  yield* readInto(r, big);
  return [...head, name, [...bytes], big.every((byte) => byte === 9), r.offset, yield* hasMore(r)];
}
const WANTED = [-2, 0x1234, 0xdeadbeef, -2n, 2 ** 53 - 1, 23, "pc.ram", [1, 2, 3, 4, 5], true, 50038, false];

describe("Reader", () => {
  it("view: the bytes themselves, consumed; RangeError if they have not arrived", () => {
    const bytes = Uint8Array.of(1, 2, 3, 4);
    const reader = Reader.of(bytes);
    const view = reader.view(3);
    expect([Array.from(view), view.buffer === bytes.buffer, reader.offset]).toEqual([[1, 2, 3], true, 3]);
    expect(() => reader.view(2)).toThrow(RangeError);
  });

  it("any chunking: the same values and offsets", () => {
    const bytes = written();
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 6 }), (sizes) => {
        const reader = new Reader();
        expect(decodeSync(readBack(reader), reader, bytesSource(...chunked(bytes, sizes)))).toEqual(WANTED);
      }),
      { numRuns: 60 },
    );
    const reader = new Reader();
    expect(decodeSync(readBack(reader), reader, bytesSource(...chunked(bytes, [1])))).toEqual(WANTED);
  });

  it("chunks that are windows of a larger buffer: the noise around is not read", () => {
    const bytes = written();
    const noise = new Uint8Array(bytes.length + 20).fill(0xaa);
    noise.set(bytes, 10);
    const reader = new Reader();
    expect(decodeSync(readBack(reader), reader, bytesSource(noise.subarray(10, 10 + bytes.length)))).toEqual(WANTED);
  });

  it("a getter without its bytes: a RangeError, never a made-up value", () => {
    const reader = Reader.of(Uint8Array.of(1));
    expect(() => reader.u16()).toThrow(RangeError);
    expect(() => reader.bytes(2)).toThrow(RangeError);
    expect(reader.has(2)).toBe(false);
    expect(reader.u8()).toBe(1);
  });

  it("offsets start where the stream does", () => {
    const reader = Reader.of(Uint8Array.of(1, 2, 3), 100);
    reader.u8();
    expect(reader.offset).toBe(101);
    reader.push(Uint8Array.of(4));
    expect([reader.has(3), reader.peekU8(2), reader.offset]).toEqual([true, 4, 101]);
  });

  it("many chunks: joining copies what straddles, not what is behind", () => {
    const reader = new Reader();
    for (let i = 0; i < 5000; i++) reader.push(new Uint8Array(7).fill(i & 0xff));
    let sum = 0;
    while (reader.has(5)) sum += reader.bytes(5)[0] ?? 0;
    expect([sum > 0, reader.offset]).toEqual([true, 35000]);
  });

  it("a 64-bit length above 2^53 - 1: LIMIT_EXCEEDED", () => {
    const reader = Reader.of(new Uint8Array(8).fill(0x7f));
    expect(() => reader.u64Number()).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED", offset: 0 }) as Error);
  });
});

describe("names", () => {
  it("any bytes: back to the same bytes, UTF-8 or not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        expect([...encodeName(decodeName(bytes))]).toEqual([...bytes]);
      }),
    );
    expect(decodeName(encodeName("gerät"))).toBe("gerät");
    expect(decodeName(Uint8Array.of(0x61, 0xff))).toBe("a\udcff");
  });
});

describe("decode drivers", () => {
  it("the stream ends: TRUNCATED at the end of the bytes, sync and async alike", async () => {
    const bytes = written().subarray(0, 40);
    const expected = expect.objectContaining({ code: "TRUNCATED", offset: 40 }) as Error;
    const sync = new Reader();
    expect(() => decodeSync(readBack(sync), sync, bytesSource(...chunked(bytes, [3])))).toThrow(expected);
    const async = new Reader();
    await expect(decodeAsync(readBack(async), async, toSource(chunked(bytes, [3])))).rejects.toEqual(expected);
  });

  it("async iterables, web streams and byte arrays: the same values", async () => {
    const bytes = written();
    const inputs = [
      bytes,
      bytes.slice().buffer,
      chunked(bytes, [100]),
      (async function* () {
        for (const chunk of chunked(bytes, [777])) yield await Promise.resolve(chunk);
      })(),
      new Blob([bytes.slice()]).stream(),
    ];
    for (const input of inputs) {
      const reader = new Reader();
      expect(await decodeAsync(readBack(reader), reader, toSource(input))).toEqual(WANTED);
    }
    const reader = new Reader();
    expect(decodeSync(readBack(reader), reader, toSyncSource(chunked(bytes, [100])))).toEqual(WANTED);
  });

  it("no byte is asked for before it is needed", async () => {
    let reads = 0;
    const source = { read: () => (reads++, Uint8Array.of(reads)) };
    const reader = new Reader();
    await decodeAsync(
      (function* (): Decode<void> {
        if (!reader.has(3)) yield 3;
        reader.advance(3);
      })(),
      reader,
      source,
    );
    expect(reads).toBe(3);
  });

  it("an abort while waiting: its reason unchanged, and the decoder cleans up", async () => {
    const controller = new AbortController();
    const reader = new Reader();
    let cleaned = false;
    const decode = (function* (): Decode<void> {
      try {
        yield 1;
      } finally {
        cleaned = true;
      }
    })();
    const run = decodeAsync(
      decode,
      reader,
      { read: () => new Promise<null>(() => undefined) },
      { signal: controller.signal },
    );
    const reason = { why: "user" };
    controller.abort(reason);
    await expect(run).rejects.toBe(reason);
    expect(cleaned).toBe(true);
  });

  it("a source that fails: CHANNEL_FAILED with its cause", async () => {
    const cause = new Error("reset by peer");
    const reader = new Reader();
    const failing = (async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Uint8Array.of(1));
      throw cause;
    })();
    const error: unknown = await decodeAsync(readBack(reader), reader, toSource(failing)).catch((e: unknown) => e);
    expect(isMigrationError(error, "CHANNEL_FAILED") && error.cause).toBe(cause);
  });

  it("chunks that are not bytes, input that is no stream: a TypeError", async () => {
    const reader = new Reader();
    const wrong = [1, 2] as unknown as Uint8Array[];
    await expect(decodeAsync(readBack(reader), reader, toSource(wrong))).rejects.toBeInstanceOf(TypeError);
    expect(() => toSource({} as never)).toThrow(TypeError);
  });
});

describe("encode drivers", () => {
  function* encoded(w: Writer, arena: Uint8Array): Encode<string> {
    w.u8(1);
    for (let i = 2; i < 5; i++) {
      arena.fill(i);
      w.reference(arena);
      yield;
    }
    w.u8(9);
    return "done";
  }
  const bytes = [1, 2, 2, 3, 3, 4, 4, 9];

  it("memory put by reference may be reused after each yield, whatever the sink", async () => {
    const sink = new BytesSink();
    const writer = new Writer();
    expect(encodeSync(encoded(writer, new Uint8Array(2)), writer, sink)).toBe("done");
    expect([...sink.toBytes(), writer.offset]).toEqual([...bytes, 8]);

    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(
      undefined,
      { highWaterMark: 8 },
      { highWaterMark: 8 },
    );
    const out = new Writer();
    const stream = toSink(writable);
    const run = encodeAsync(encoded(out, new Uint8Array(2)), out, stream).then(() => stream.close?.());
    const got = new Uint8Array(await new Response(readable).arrayBuffer());
    await run;
    expect([...got]).toEqual(bytes);
  });

  it("the sink fails: CHANNEL_FAILED, thrown into the encoder", async () => {
    const writable = new WritableStream<Uint8Array>({
      write() {
        throw new Error("disk full");
      },
    });
    const writer = new Writer();
    let seen: unknown = null;
    const watch = (function* (): Encode<string> {
      try {
        return yield* encoded(writer, new Uint8Array(2));
      } catch (error) {
        seen = error;
        throw error;
      }
    })();
    const error: unknown = await encodeAsync(watch, writer, toSink(writable)).catch((e: unknown) => e);
    expect(isMigrationError(error, "CHANNEL_FAILED")).toBe(true);
    expect(seen).toBe(error);
  });

  it("a counted string above 255 bytes: a RangeError", () => {
    expect(() => new Writer().countedString("x".repeat(256))).toThrow(RangeError);
  });
});
