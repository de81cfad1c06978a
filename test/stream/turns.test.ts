/** Memory that takes turns: pieces handed to a sink that queues, chunks lent by a source. */
import fc from "fast-check";
import { setImmediate as tick } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { SaveVM } from "../../src/snapshot/save-vm.js";
import { decodeAsync, encodeAsync, readInto, type Decode, type Encode } from "../../src/stream/drive.js";
import type { AsyncSink, AsyncSource } from "../../src/stream/io.js";
import { Reader } from "../../src/stream/reader.js";
import { toSink } from "../../src/stream/sink.js";
import { concat, Writer } from "../../src/stream/writer.js";

/** Keeps chunks by reference and looks at them only when it settles their writes, one at each turn of the loop. */
function lateSink(log: string[] = []): AsyncSink & { readonly chunks: Uint8Array[] } {
  const chunks: Uint8Array[] = [];
  let last = Promise.resolve();
  return {
    queues: true,
    chunks,
    write(chunk) {
      log.push("write");
      last = last.then(tick).then(() => {
        log.push("settle");
        chunks.push(new Uint8Array(chunk));
      });
      return last;
    },
  };
}

describe("encodeAsync, a sink that queues", () => {
  /** Two pieces of memory, each filled, handed over and filled again in turn. */
  function* inTurns(writer: Writer, log: string[]): Encode<void> {
    const pieces = [new Uint8Array(2), new Uint8Array(2)];
    for (let i = 0; i < 4; i++) {
      log.push(`encode ${i}`);
      writer.reference(pieces[i % 2].fill(i));
      yield;
    }
  }

  it("encodes the next piece while one is on its way, and waits for it before the piece behind", async () => {
    const log: string[] = [];
    const writer = new Writer();
    const sink = lateSink(log);
    await encodeAsync(inTurns(writer, log), writer, sink);
    expect([...concat(sink.chunks)]).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect(log.slice(0, 6)).toEqual(["encode 0", "write", "encode 1", "write", "settle", "encode 2"]);
    expect(log.at(-1)).toBe("settle");
  });

  it("a write that fails: thrown into the encoder at the next yield, also the last one", async () => {
    const cause = new Error("reset by peer");
    for (let good = 0; good < 4; good++) {
      const writer = new Writer();
      let left = good;
      const failing: AsyncSink = {
        queues: true,
        write: () => (left-- > 0 ? Promise.resolve() : Promise.reject(cause)),
      };
      await expect(encodeAsync(inTurns(writer, []), writer, failing)).rejects.toBe(cause);
    }
  });

  it("an encoder that fails while a write is on its way to fail: the encoder's error, and nothing unhandled", async () => {
    const writer = new Writer();
    const reset = tick().then(() => Promise.reject(new Error("reset by peer")));
    const encode = (function* (): Encode<void> {
      writer.u8(1);
      yield;
      throw new RangeError("no such page");
    })();
    await expect(encodeAsync(encode, writer, { queues: true, write: () => reset })).rejects.toThrow(RangeError);
    await tick();
  });
});

describe("RAM, a sink that queues", () => {
  const SCRATCH = 64 << 10;
  const PAGES = 300;

  /** Random pages, some zero, so that the region for records is used many times over. */
  function fill(ram: Uint8Array): void {
    for (let i = 0; i < ram.length; i++) ram[i] = (i >>> 12) % 7 === 0 ? 0 : (Math.imul(i, 2654435761) >>> 24) | 1;
  }

  it.each(["in place", "copied"])("the same stream as for one that does not (%s)", async (how) => {
    const length = PAGES * 4096;
    const memory = new WebAssembly.Memory({ initial: Math.ceil((length + SCRATCH) / 65536) });
    const ram = how === "in place" ? new Uint8Array(memory.buffer, 0, length) : new Uint8Array(length);
    fill(ram);
    const machine = new SaveVM({ machine: "toy" });
    const scratch = { offset: length, length: SCRATCH };
    machine.addRam("ram", how === "in place" ? { memory, offset: 0, length, scratch } : ram);
    const sink = lateSink();
    await machine.save(sink);
    expect(Buffer.from(concat(sink.chunks)).equals(machine.saveSync())).toBe(true);
  });
});

describe("a save that fails while writes are on their way", () => {
  const LENGTH = 256 * 4096;
  const SCRATCH = 64 << 10;

  /** A machine whose pages are written from its own memory, and the save of it, given up while `stop` writes are pending. */
  async function givenUp(sink: AsyncSink, pending: ReadonlySet<unknown>, stop = 1): Promise<unknown> {
    const memory = new WebAssembly.Memory({ initial: (LENGTH + SCRATCH) / 65536 });
    new Uint8Array(memory.buffer, 0, LENGTH).fill(7);
    const machine = new SaveVM({ machine: "toy" });
    machine.addRam("ram", { memory, offset: 0, length: LENGTH, scratch: { offset: LENGTH, length: SCRATCH } });
    const controller = new AbortController();
    const saved = machine.save(sink, { signal: controller.signal });
    const error = saved.catch((reason: unknown) => reason);
    while (pending.size < stop) await tick();
    controller.abort("enough");
    return error;
  }

  it.each([true, false])("rejects when they have settled (queues: %s)", async (queues) => {
    const pending = new Set<Uint8Array>();
    const sink: AsyncSink = {
      queues,
      async write(chunk) {
        pending.add(chunk);
        await new Promise((resolve) => setTimeout(resolve, 5));
        pending.delete(chunk);
      },
    };
    expect(await givenUp(sink, pending)).toBe("enough");
    expect(pending.size).toBe(0);
  });

  it("waits no longer than the sink's abort, and reports what went wrong first", async () => {
    const pending = new Set<Uint8Array>();
    const write = (chunk: Uint8Array): Promise<void> => {
      pending.add(chunk);
      return new Promise(() => undefined);
    };
    const abort = async (): Promise<void> => {
      await tick();
      pending.clear();
      throw new Error("cannot be given up");
    };
    expect(await givenUp({ queues: true, write, abort }, pending)).toBe("enough");
    expect(pending.size).toBe(0);
  });

  it("does not wait for a WritableStream that is stuck: it has copies", async () => {
    const pending = new Set<Uint8Array>();
    const stuck = new WritableStream<Uint8Array>({
      write: (chunk) => {
        pending.add(chunk);
        return new Promise(() => undefined);
      },
    });
    expect(await givenUp(toSink(stuck), pending)).toBe("enough");
  });
});

describe("decodeAsync, a source that lends", () => {
  /** Lends one buffer again and again; what it held before is gone. */
  function lender(bytes: Uint8Array, sizes: readonly number[]): AsyncSource {
    const buffer = new Uint8Array(64);
    let at = 0;
    let turn = 0;
    return {
      read: () => {
        throw new Error("nobody needs copies");
      },
      async borrow() {
        buffer.fill(0xee);
        const size = sizes[turn++ % sizes.length];
        const chunk = bytes.subarray(at, at + size);
        at += size;
        buffer.set(chunk);
        return chunk.length === 0 ? null : buffer.subarray(0, chunk.length);
      },
    };
  }

  function* parts(reader: Reader, needs: readonly number[]): Decode<Uint8Array> {
    const got: Uint8Array[] = [];
    for (const need of needs) {
      if (!reader.has(need)) yield need;
      got.push(reader.bytes(need));
    }
    const rest = new Uint8Array(10);
    yield* readInto(reader, rest);
    return concat([...got, rest]);
  }

  it("reads what was sent, whatever comes at a time and is needed at a time", async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(lengths, lengths, async (sizes, needs) => {
        const total = needs.reduce((sum, need) => sum + need, 10);
        const bytes = Uint8Array.from({ length: total }, (_, i) => i % 251);
        const reader = new Reader(7);
        expect(await decodeAsync(parts(reader, needs), reader, lender(bytes, sizes))).toEqual(bytes);
        expect(reader.offset).toBe(7 + total);
      }),
    );
  });
});
