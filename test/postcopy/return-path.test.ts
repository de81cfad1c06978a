import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import {
  RETURN_PATH_MESSAGES,
  readReceivedBitmap,
  readReturnPathMessage,
  requestedBlock,
  writeReceivedBitmap,
  writeReturnPathMessage,
  type RequestableBlock,
  type ReturnPathMessage,
} from "../../src/postcopy/return-path.js";
import { decodeSync, type Decode } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { fromHex, toHex } from "../kit/hex.js";

interface Decoded {
  readonly msg: ReturnPathMessage["name"];
  readonly value?: number;
  readonly start?: string;
  readonly len?: number;
  readonly block?: string | null;
  readonly bitmap_bytes?: number;
  readonly received_pages?: readonly number[];
  readonly source_dirty_after_reload?: readonly number[];
}
interface Case {
  readonly name: string;
  readonly bytes: string;
  readonly type: number;
  readonly decoded?: Decoded;
  readonly error?: string;
}
const { messages } = JSON.parse(readFileSync(new URL("../vectors/return_path.json", import.meta.url), "utf8")) as {
  readonly messages: readonly Case[];
};
const good = messages.flatMap(({ decoded, ...rest }) => (decoded === undefined ? [] : [{ ...rest, decoded }]));
const malformed = messages.flatMap(({ error, ...rest }) => (error === undefined ? [] : [{ ...rest, error }]));

const HOST_PAGE = 4096;
const M: RequestableBlock = { name: "m", usedLength: 65 * HOST_PAGE };
const PC_RAM: RequestableBlock = { name: "pc.ram", usedLength: 64 << 20 };
const BLOCKS: ReadonlyMap<string, RequestableBlock> = new Map([M, PC_RAM].map((block) => [block.name, block]));

/** A message with all that belongs to it, and what a source makes of it on its own. */
interface Received {
  readonly message: ReturnPathMessage;
  readonly bitmap: Uint8Array | null;
}

function* receive(reader: Reader, bitmapBytes: number): Decode<Received> {
  const message = yield* readReturnPathMessage(reader);
  if (message.name !== "RECV_BITMAP") return { message, bitmap: null };
  const bitmap = new Uint8Array(bitmapBytes);
  yield* readReceivedBitmap(reader, bitmap);
  return { message, bitmap };
}

/** As a source does it: a message, its bitmap, and the check of a request that is the first on its channel. */
function* receiveAndCheck(reader: Reader): Decode<void> {
  const { offset } = reader;
  const { message } = yield* receive(reader, 16);
  if (message.name === "REQ_PAGES" || message.name === "REQ_PAGES_ID") {
    requestedBlock(message, { hostPageSize: HOST_PAGE, previous: null, find: (name) => BLOCKS.get(name), offset });
  }
}

function run<T>(decode: (reader: Reader) => Decode<T>, chunks: readonly Uint8Array[]): T {
  const reader = new Reader();
  const result = decodeSync(decode(reader), reader, bytesSource(...chunks));
  expect([reader.offset, reader.available]).toEqual([concat(chunks).length, 0]);
  return result;
}

function failure(decode: (reader: Reader) => Decode<unknown>, bytes: Uint8Array): unknown {
  try {
    const reader = new Reader();
    return decodeSync(decode(reader), reader, bytesSource(bytes));
  } catch (error) {
    return isMigrationError(error) ? [error.name, error.code, error.offset] : error;
  }
}

/** What each malformed case must be refused for, and where. */
const REFUSALS: Readonly<Record<string, readonly [offset: number, problem: RegExp]>> = {
  "ERR type 0": [0, /message 0 is unknown/],
  "ERR type 8": [0, /message 8 is unknown/],
  "ERR SHUT length 3": [0, /SHUT: it has 3 bytes/],
  "ERR PONG length 5": [0, /PONG: it has 5 bytes/],
  "ERR REQ_PAGES length 13": [0, /REQ_PAGES: it has 13 bytes/],
  "ERR SWITCHOVER_ACK length 1": [0, /SWITCHOVER_ACK: it has 1 bytes/],
  "ERR REQ_PAGES_ID length 12": [0, /REQ_PAGES_ID: it has 12 bytes/],
  "ERR REQ_PAGES_ID name length mismatch": [0, /name of 5 bytes/],
  "ERR REQ_PAGES before any _ID": [0, /no request before/],
  "ERR REQ_PAGES misaligned start": [0, /4096 bytes at 2048 are no host pages/],
  "ERR REQ_PAGES misaligned len": [0, /4097 bytes at 0 are no host pages/],
  "ERR REQ_PAGES_ID unknown block": [0, /no block has the name/],
  "ERR REQ_PAGES past the end": [0, /exceed block "pc.ram"/],
  "ERR RESUME_ACK value 2": [0, /value is 2/],
  "ERR RECV_BITMAP empty": [0, /block name is missing/],
  "ERR RECV_BITMAP size mismatch": [6, /it has 8 bytes, not 16/],
  "ERR RECV_BITMAP bad end mark": [30, /0x123456789abcdee stands/],
  "ERR length above 512": [0, /513 bytes exceed 512/],
};

function encoded({ message, bitmap }: Received): string {
  const writer = new Writer();
  writeReturnPathMessage(writer, message);
  if (bitmap !== null) writeReceivedBitmap(writer, bitmap);
  return toHex(concat(writer.take()));
}

function messageOf({ msg: name, value = 0, start, len: length = 0, block }: Decoded): ReturnPathMessage {
  switch (name) {
    case "SHUT":
    case "PONG":
      return { name, value };
    case "REQ_PAGES_ID":
      return { name, block: block!, start: Number(start), length };
    case "REQ_PAGES":
      return { name, start: Number(start), length };
    case "RECV_BITMAP":
      return { name, block: block! };
    default:
      return { name };
  }
}

function bitmapOf({ bitmap_bytes: bytes, received_pages: pages = [] }: Decoded): Uint8Array | null {
  if (bytes === undefined) return null;
  const bitmap = new Uint8Array(bytes);
  for (const page of pages) bitmap[page >> 3] |= 1 << (page & 7);
  return bitmap;
}

function bytewise(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

describe("return path vectors", () => {
  it("all cases are either good or malformed, and there is a good one of each message", () => {
    expect([messages.length, good.length + malformed.length]).toEqual([32, 32]);
    expect(new Set(good.map(({ decoded }) => decoded.msg))).toEqual(new Set(Object.keys(RETURN_PATH_MESSAGES)));
  });

  it.each(good)("$name: decoded whole and byte by byte, encoded to the same bytes", ({ bytes, type, decoded }) => {
    const received = { message: messageOf(decoded), bitmap: bitmapOf(decoded) };
    const decode = (reader: Reader): Decode<Received> => receive(reader, decoded.bitmap_bytes ?? 0);
    expect(run(decode, [fromHex(bytes)])).toEqual(received);
    expect(run(decode, bytewise(fromHex(bytes)))).toEqual(received);
    expect(encoded(received)).toBe(bytes);
    expect(RETURN_PATH_MESSAGES[decoded.msg].type).toBe(type);
  });

  it.each(good)("$name: in chunks of any size", ({ bytes, decoded }) => {
    const all = fromHex(bytes);
    const whole = run((reader) => receive(reader, decoded.bitmap_bytes ?? 0), [all]);
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(all.length), { maxLength: 12 }), (cuts) => {
        const ends = [0, ...cuts.sort((a, b) => a - b), all.length];
        const chunks = ends.slice(1).map((end, i) => all.subarray(ends[i], end));
        expect(run((reader) => receive(reader, decoded.bitmap_bytes ?? 0), chunks)).toEqual(whole);
      }),
      { numRuns: 50 },
    );
  });

  it.each(good)("$name: cut short anywhere it is truncated, at the end of what there is", ({ bytes, decoded }) => {
    const all = fromHex(bytes);
    for (let length = 0; length < all.length; length++) {
      const verdict = failure((reader) => receive(reader, decoded.bitmap_bytes ?? 0), all.subarray(0, length));
      expect(verdict).toEqual(["StreamError", "TRUNCATED", length]);
    }
  });

  it.each(malformed)("$name is refused: $error", ({ name, bytes }) => {
    const [offset, problem] = REFUSALS[name];
    expect(failure(receiveAndCheck, fromHex(bytes))).toEqual(["ProtocolError", "RETURN_PATH", offset]);
    expect(() => run(receiveAndCheck, [fromHex(bytes)])).toThrow(problem);
  });

  it.each(good.filter(({ decoded }) => decoded.source_dirty_after_reload !== undefined))(
    "$name: what was not received is dirty",
    ({ decoded }) => {
      const bitmap = bitmapOf(decoded)!;
      const pages = Array.from({ length: 65 }, (_, page) => page);
      const dirty = pages.filter((page) => ((bitmap[page >> 3] >> (page & 7)) & 1) === 0);
      expect(dirty).toEqual(decoded.source_dirty_after_reload);
    },
  );
});

describe("readReturnPathMessage", () => {
  const NAME_OF_255 = "00050100ff";

  it("messages in a row: each ends where the next begins", () => {
    const bytes = fromHex(good.map((vector) => vector.bytes).join(""));
    const reader = Reader.of(bytes, 1000);
    const names = good.map(({ decoded }) => {
      return decodeSync(receive(reader, decoded.bitmap_bytes ?? 0), reader, bytesSource()).message.name;
    });
    expect(names).toEqual(good.map(({ decoded }) => decoded.msg));
    expect(reader.offset).toBe(1000 + bytes.length);
  });

  it("an error names the offset of its message", () => {
    expect(failure((reader) => receive(reader, 0), fromHex("ffff0000"))).toEqual(["ProtocolError", "RETURN_PATH", 0]);
    const reader = Reader.of(fromHex("0007000000080000"));
    decodeSync(readReturnPathMessage(reader), reader, bytesSource());
    expect(() => decodeSync(readReturnPathMessage(reader), reader, bytesSource())).toThrow(
      expect.objectContaining({ code: "RETURN_PATH", offset: 4 }) as Error,
    );
  });

  it.each(Object.entries(RETURN_PATH_MESSAGES).filter(([, { length }]) => length !== null))(
    "%s of another length is refused before its payload is there",
    (_, { type, length }) => {
      for (const wrong of [length! + 1, Math.abs(length! - 1), 0xffff]) {
        const head = fromHex(type.toString(16).padStart(4, "0") + wrong.toString(16).padStart(4, "0"));
        expect(failure(readReturnPathMessage, head)).toEqual(["ProtocolError", "RETURN_PATH", 0]);
      }
    },
  );

  it.each([3, 5])("message %i of 513 bytes is refused before its payload is there, one of 512 is not", (type) => {
    expect(failure(readReturnPathMessage, Uint8Array.of(0, type, 2, 1))).toEqual(["ProtocolError", "RETURN_PATH", 0]);
    expect(failure(readReturnPathMessage, Uint8Array.of(0, type, 2, 0))).toEqual(["StreamError", "TRUNCATED", 4]);
  });

  it.each([
    ["an empty name", "0005000100"],
    ["a name longer than the payload", "00050003036162"],
    ["a name shorter than the payload", "00050004026162aa"],
  ])("RECV_BITMAP with %s is refused", (_, hex) => {
    expect(failure(readReturnPathMessage, fromHex(hex))).toEqual(["ProtocolError", "RETURN_PATH", 0]);
  });

  it("the longest name is read", () => {
    const name = "x".repeat(255);
    const hex = NAME_OF_255 + "78".repeat(255);
    expect(run(readReturnPathMessage, [fromHex(hex)])).toEqual({ name: "RECV_BITMAP", block: name });
  });

  it("a request beyond 2^53 bytes is refused", () => {
    const bytes = fromHex("0004000c002000000000000000001000");
    expect(failure(readReturnPathMessage, bytes)).toEqual(["StreamError", "LIMIT_EXCEEDED", 4]);
  });
});

describe("writeReturnPathMessage", () => {
  it.each([
    [{ name: "SHUT", value: -1 }],
    [{ name: "PONG", value: 2 ** 32 }],
    [{ name: "PONG", value: 0.5 }],
    [{ name: "REQ_PAGES", start: -4096, length: 4096 }],
    [{ name: "REQ_PAGES", start: 2 ** 53, length: 4096 }],
    [{ name: "REQ_PAGES", start: 0, length: 2 ** 32 }],
    [{ name: "REQ_PAGES_ID", block: "", start: 0, length: 4096 }],
    [{ name: "RECV_BITMAP", block: "x".repeat(256) }],
  ] satisfies [ReturnPathMessage][])("%j: RangeError, and nothing is written", (message) => {
    const writer = new Writer();
    expect(() => writeReturnPathMessage(writer, message)).toThrow(RangeError);
    expect(writer.buffered).toBe(0);
  });
});

describe("received bitmaps", () => {
  it("a bitmap of no whole words cannot be written", () => {
    expect(() => writeReceivedBitmap(new Writer(), new Uint8Array(9))).toThrow(RangeError);
  });

  it("what is written is a copy", () => {
    const writer = new Writer();
    const bitmap = new Uint8Array(1 << 20).fill(1);
    writeReceivedBitmap(writer, bitmap);
    bitmap.fill(2);
    expect(concat(writer.take())[8]).toBe(1);
  });

  it("a large bitmap goes straight into the target", () => {
    const bitmap = Uint8Array.from({ length: 1 << 18 }, (_, i) => i * 7);
    const writer = new Writer();
    writeReceivedBitmap(writer, bitmap);
    const target = new Uint8Array(bitmap.length);
    const all = concat(writer.take());
    const chunks = Array.from({ length: 5 }, (_, i) => all.subarray(i * 60000, (i + 1) * 60000));
    run((reader) => readReceivedBitmap(reader, target), chunks);
    expect(toHex(target)).toBe(toHex(bitmap));
  });

  it.each(["0000000000000000", "0000000000000018", "ffffffffffffffff"])(
    "size 0x%s for a block of 16 bytes: refused before a byte of it is there",
    (size) => {
      const target = new Uint8Array(16);
      const verdict = failure((reader) => readReceivedBitmap(reader, target), fromHex(size));
      expect(verdict).toEqual(["ProtocolError", "RETURN_PATH", 0]);
    },
  );

  it("a wrong end mark is reported where it stands", () => {
    const bytes = fromHex("0000000000000008" + "00".repeat(8) + "efcdab8967452301");
    const verdict = failure((reader) => readReceivedBitmap(reader, new Uint8Array(8)), bytes);
    expect(verdict).toEqual(["ProtocolError", "RETURN_PATH", 16]);
  });
});

describe("requestedBlock", () => {
  const context = { hostPageSize: HOST_PAGE, previous: M, find: (name: string) => BLOCKS.get(name), offset: 7 };
  const last = M.usedLength - HOST_PAGE;

  it("a request with a name is for that block, one without for the block before", () => {
    expect(requestedBlock({ name: "REQ_PAGES_ID", block: "pc.ram", start: 0, length: HOST_PAGE }, context)).toBe(
      PC_RAM,
    );
    expect(requestedBlock({ name: "REQ_PAGES", start: last, length: HOST_PAGE }, context)).toBe(M);
    expect(requestedBlock({ name: "REQ_PAGES", start: 0, length: M.usedLength }, context)).toBe(M);
  });

  it.each([
    ["behind the end", { start: last + HOST_PAGE, length: HOST_PAGE }],
    ["across the end", { start: last, length: 2 * HOST_PAGE }],
    ["far behind the end", { start: 2 ** 53 - HOST_PAGE, length: HOST_PAGE }],
    ["longer than the block", { start: 0, length: M.usedLength + HOST_PAGE }],
    ["of nothing", { start: 0, length: 0 }],
    ["that starts within a host page", { start: 1024, length: HOST_PAGE }],
    ["that ends within a host page", { start: 0, length: 1024 }],
  ])("a request %s is refused", (_, range) => {
    expect(() => requestedBlock({ name: "REQ_PAGES", ...range }, context)).toThrow(
      expect.objectContaining({ code: "RETURN_PATH", offset: 7 }) as Error,
    );
  });
});
