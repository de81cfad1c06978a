import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import {
  checkMultifdChannel,
  multifdBlock,
  multifdPageCount,
  readMultifdInitialPacket,
  readMultifdPacket,
  writeMultifdInitialPacket,
  writeMultifdPacket,
  type MultifdBlock,
  type MultifdCompression,
  type MultifdPacket,
} from "../../src/migration/multifd-packet.js";
import { decodeSync, type Decode } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { fromHex, toHex } from "../kit/hex.js";

interface InitialCase {
  readonly name: string;
  readonly bytes: string;
  readonly decoded?: { readonly uuid: string; readonly id: number };
  readonly error?: string;
  readonly local_uuid?: string;
  readonly channels?: number;
}
interface DecodedPacket {
  readonly flags?: string;
  readonly pages_alloc?: number;
  readonly normal_pages?: number;
  readonly zero_pages?: number;
  readonly next_packet_size?: number;
  readonly packet_num?: number;
  readonly block?: string;
  readonly offsets?: readonly string[];
  readonly zero_offsets?: readonly string[];
  readonly payload?: number;
}
interface PacketCase {
  readonly name: string;
  readonly bytes: string;
  readonly decoded?: DecodedPacket;
  readonly error?: string;
}
const vectors = JSON.parse(readFileSync(new URL("../vectors/multifd.json", import.meta.url), "utf8")) as {
  readonly initial: readonly InitialCase[];
  readonly packets: readonly PacketCase[];
};

function goodOf<T extends { readonly decoded?: unknown }>(
  cases: readonly T[],
): (T & { decoded: NonNullable<T["decoded"]> })[] {
  return cases.flatMap((one) =>
    one.decoded === undefined || one.decoded === null ? [] : [{ ...one, decoded: one.decoded }],
  );
}

const PAGE = 4096;
const BLOCKS: ReadonlyMap<string, MultifdBlock> = new Map(
  [
    { name: "m", usedLength: 65 * PAGE },
    { name: "/rom@etc/acpi/tables", usedLength: 2 * PAGE },
    { name: "/rom@etc/acpi/rsdp", usedLength: PAGE },
  ].map((block) => [block.name, block]),
);

function run<T>(decode: (reader: Reader) => Decode<T>, ...chunks: readonly Uint8Array[]): T {
  const reader = new Reader();
  const result = decodeSync(decode(reader), reader, bytesSource(...chunks));
  expect([reader.offset, reader.available]).toEqual([concat(chunks).length, 0]);
  return result;
}

function failure(act: () => unknown): unknown {
  try {
    return act();
  } catch (error) {
    return isMigrationError(error) ? [error.name, error.code, error.offset] : error;
  }
}

function written(write: (writer: Writer) => void): string {
  const writer = new Writer();
  write(writer);
  return toHex(concat(writer.take()));
}

function bytewise(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

/** Every place of one cut, and some of several. */
function chunkings(bytes: Uint8Array, check: (chunks: readonly Uint8Array[]) => void): void {
  for (let cut = 0; cut <= bytes.length; cut++) check([bytes.subarray(0, cut), bytes.subarray(cut)]);
  const cuts = fc.uniqueArray(fc.nat(bytes.length), { maxLength: 20 });
  fc.assert(
    fc.property(cuts, (places) => {
      const ends = [0, ...places.sort((a, b) => a - b), bytes.length];
      check(ends.slice(1).map((end, i) => bytes.subarray(ends[i], end)));
    }),
    { numRuns: 50 },
  );
}

describe("multifd initial packets", () => {
  const good = goodOf(vectors.initial);
  const refusals: Readonly<Record<string, readonly [error: string, code: string, offset: number]>> = {
    "ERR magic": ["StreamError", "BAD_MAGIC", 0],
    "ERR version 2": ["StreamError", "BAD_VERSION", 4],
    "ERR uuid": ["ProtocolError", "MULTIFD", 8],
    "ERR id beyond channel count": ["ProtocolError", "MULTIFD", 24],
    "ERR short": ["StreamError", "TRUNCATED", 50],
  };

  it("there are seven cases", () => {
    expect([vectors.initial.length, good.length + Object.keys(refusals).length]).toEqual([7, 7]);
  });

  it.each(good)("$name: decoded in all chunkings, encoded to the same bytes", ({ bytes, decoded }) => {
    const packet = { uuid: fromHex(decoded.uuid), channel: decoded.id };
    expect(run(readMultifdInitialPacket, ...bytewise(fromHex(bytes)))).toEqual(packet);
    chunkings(fromHex(bytes), (chunks) => expect(run(readMultifdInitialPacket, ...chunks)).toEqual(packet));
    expect(written((writer) => writeMultifdInitialPacket(writer, packet))).toBe(bytes);
    expect(() => checkMultifdChannel(packet, { uuid: packet.uuid, channels: 2 })).not.toThrow();
  });

  it.each(good)("$name: cut short anywhere it is truncated", ({ bytes }) => {
    for (let length = 0; length < 64; length++) {
      const cut = fromHex(bytes).subarray(0, length);
      expect(failure(() => run(readMultifdInitialPacket, cut))).toEqual(["StreamError", "TRUNCATED", length]);
    }
  });

  it.each(vectors.initial.filter(({ error }) => error !== undefined))(
    "$name is refused: $error",
    ({ name, bytes, local_uuid: uuid = "00".repeat(16), channels = 2 }) => {
      const accept = (): void => {
        checkMultifdChannel(run(readMultifdInitialPacket, fromHex(bytes)), { uuid: fromHex(uuid), channels });
      };
      expect(failure(accept)).toEqual(refusals[name]);
    },
  );

  it("the number that equals the count is refused", () => {
    const uuid = new Uint8Array(16);
    expect(() => checkMultifdChannel({ uuid, channel: 1 }, { uuid, channels: 2 })).not.toThrow();
    expect(failure(() => checkMultifdChannel({ uuid, channel: 2 }, { uuid, channels: 2 }))).toEqual(
      refusals["ERR id beyond channel count"],
    );
  });

  it.each([
    { uuid: new Uint8Array(15), channel: 0 },
    { uuid: new Uint8Array(16), channel: 256 },
    { uuid: new Uint8Array(16), channel: -1 },
    { uuid: new Uint8Array(16), channel: 0.5 },
  ])("%j cannot be written", (packet) => {
    expect(() => writeMultifdInitialPacket(new Writer(), packet)).toThrow(RangeError);
  });
});

describe("multifd packets", () => {
  const good = goodOf(vectors.packets);
  const refusals: Readonly<Record<string, readonly [error: string, code: string, offset: number]>> = {
    "ERR magic": ["StreamError", "BAD_MAGIC", 0],
    "ERR version": ["StreamError", "BAD_VERSION", 4],
    "ERR pages_alloc 129": ["ProtocolError", "MULTIFD", 0],
    "ERR normal_pages above pages_alloc": ["ProtocolError", "MULTIFD", 0],
    "ERR unknown block": ["RamError", "BLOCK_UNKNOWN", 0],
    "ERR offset past the block (block m is 260 KiB)": ["RamError", "PAGE_OFFSET", 0],
    "ERR compression mismatch (receiver uses none)": ["ProtocolError", "MULTIFD", 0],
  };
  const find = (name: string): MultifdBlock | undefined => BLOCKS.get(name);
  const read =
    (compression: MultifdCompression | null = null, pageSize = PAGE) =>
    (reader: Reader): Decode<MultifdPacket> =>
      readMultifdPacket(reader, { pageSize, compression });
  const encoded = (packet: MultifdPacket, pageSize = PAGE): string =>
    written((writer) => writeMultifdPacket(writer, packet, { pageSize }));

  it("there are 16 cases", () => {
    expect([vectors.packets.length, good.length + Object.keys(refusals).length]).toEqual([16, 16]);
  });

  it.each(good)("$name: every field is the one of the case", ({ bytes, decoded }) => {
    const packet = run(read(), fromHex(bytes));
    const seen: Record<keyof DecodedPacket, unknown> = {
      flags: [packet.compression.replace("none", "").toUpperCase(), packet.sync ? "SYNC" : ""].join(""),
      pages_alloc: packet.allocated,
      normal_pages: packet.normal.length,
      zero_pages: packet.zero.length,
      next_packet_size: packet.payload,
      packet_num: Number(packet.number),
      block: packet.block ?? "",
      offsets: packet.normal.map((offset) => `0x${offset.toString(16)}`),
      zero_offsets: packet.zero.map((offset) => `0x${offset.toString(16)}`),
      payload: packet.payload,
    };
    expect(seen).toMatchObject(decoded);
    expect(multifdBlock(packet, { pageSize: PAGE, find, offset: 0 })?.name ?? null).toBe(packet.block);
  });

  it.each(good)("$name: written again, all is equal but stale fields", ({ bytes }) => {
    const packet = run(read(), fromHex(bytes));
    const again = encoded(packet);
    expect(run(read(), fromHex(again))).toEqual(packet);
    const old = fromHex(bytes);
    const differs = Array.from(fromHex(again), (byte, at) => (byte === old[at] ? -1 : at)).filter((at) => at >= 0);
    const stale = (at: number): boolean => (at >= 20 && at < 24) || at >= 64;
    expect(differs.every((at) => packet.block === null && stale(at))).toBe(true);
  });

  it.each(good.filter(({ name }) => !/stale|empty/.test(name)))("$name: encoded to the same bytes", ({ bytes }) => {
    expect(encoded(run(read(), fromHex(bytes)))).toBe(bytes);
  });

  it.each(good)("$name: decoded in all chunkings", ({ bytes }) => {
    const whole = JSON.stringify(run(read(), fromHex(bytes)), (_, value: unknown) => String(value));
    const check = (chunks: readonly Uint8Array[]): void => {
      expect(JSON.stringify(run(read(), ...chunks), (_, value: unknown) => String(value))).toBe(whole);
    };
    check(bytewise(fromHex(bytes)));
    chunkings(fromHex(bytes), check);
  });

  it.each(good)("$name: cut short anywhere it is truncated", ({ bytes }) => {
    const all = fromHex(bytes);
    for (let length = 0; length < all.length; length++) {
      const verdict = failure(() => run(read(), all.subarray(0, length)));
      expect(verdict).toEqual(["StreamError", "TRUNCATED", length]);
    }
  });

  it.each(vectors.packets.filter(({ error }) => error !== undefined))("$name is refused: $error", ({ name, bytes }) => {
    const accept = (): void => {
      const packet = run(read("none"), fromHex(bytes));
      multifdBlock(packet, { pageSize: PAGE, find, offset: 0 });
    };
    expect(failure(accept)).toEqual(refusals[name]);
  });

  /** A packet with be32 words put at places: otherwise the second case of the vectors, two pages of 4 KiB. */
  function patched(words: Readonly<Record<number, number>>, base = vectors.packets[1].bytes): Uint8Array {
    const bytes = fromHex(base);
    const view = new DataView(bytes.buffer);
    for (const [at, word] of Object.entries(words)) view.setUint32(Number(at), word);
    return bytes;
  }
  const FLAGS = 8;
  const ALLOCATED = 12;
  const NORMAL = 16;
  const SIZE = 20;
  const ZERO = 32;
  const OFFSETS = 320;

  it.each([
    ["a payload shorter than its pages", { [SIZE]: 8191 }],
    ["a payload longer than its pages", { [SIZE]: 8193 }],
    ["an absurd payload", { [SIZE]: 0xffffffff }],
    ["no compressed payload for its pages", { [FLAGS]: 2, [SIZE]: 0 }],
    ["a compressed payload above twice the pages", { [FLAGS]: 2, [SIZE]: (1 << 20) + 1 }],
    ["more zero pages than there is room for", { [ZERO]: 127 }],
    ["counts whose sum wraps", { [ZERO]: 0xffffffff }],
    ["absurd room", { [ALLOCATED]: 0xffffffff, [NORMAL]: 0xfffffff0 }],
    ["a compression of QEMU 9.1 that needs hardware", { [FLAGS]: 8 }],
    ["two compressions", { [FLAGS]: 6 }],
    ["an unknown flag", { [FLAGS]: 0x80 }],
    ["the highest flag", { [FLAGS]: 0x80000000 }],
  ])("a packet with %s is refused", (_, words) => {
    expect(failure(() => run(read(), patched(words)))).toEqual(["ProtocolError", "MULTIFD", 0]);
  });

  it.each([
    [{ [FLAGS]: 2, [SIZE]: 1 << 20 }, 1 << 20],
    [{ [FLAGS]: 4, [SIZE]: 1 }, 1],
    [{ [ZERO]: 126 }, 8192],
  ])("a packet with %j is at the limit", (words, payload) => {
    expect(run(read(), patched(words)).payload).toBe(payload);
  });

  it("a packet of a device is refused with its first 12 bytes", () => {
    const head = patched({ [FLAGS]: 0x40 }).subarray(0, 12);
    expect(failure(() => run(read(), head))).toEqual(["StreamError", "UNSUPPORTED", 0]);
  });

  it("an offset above 2^53 is refused where it stands, but not behind the offsets in use", () => {
    const absurd = { [OFFSETS + 8]: 0x200000 };
    expect(failure(() => run(read(), patched(absurd)))).toEqual(["StreamError", "LIMIT_EXCEEDED", OFFSETS + 8]);
    expect(run(read(), patched({ ...absurd, [NORMAL]: 1, [SIZE]: PAGE })).normal).toEqual([0]);
  });

  it("a packet without pages: what it says of compression and size counts for nothing", () => {
    const packet = run(read("none"), patched({ [FLAGS]: 5, [NORMAL]: 0, [SIZE]: 0xffffffff }));
    expect(packet).toMatchObject({ sync: true, compression: "zstd", payload: 0, block: null, normal: [], zero: [] });
  });

  it("an error names the offset of its packet", () => {
    const reader = Reader.of(concat([patched({}), patched({ [ZERO]: 127 })]), 64);
    decodeSync(read()(reader), reader, bytesSource());
    expect(failure(() => decodeSync(read()(reader), reader, bytesSource()))).toEqual([
      "ProtocolError",
      "MULTIFD",
      64 + 1344,
    ]);
  });

  it("a name of 256 bytes without an end loses its last one", () => {
    const bytes = patched({});
    bytes.fill(0x61, 64, 320);
    expect(run(read(), bytes).block).toBe("a".repeat(255));
  });

  it("a sync packet of QEMU 10.0 has room for no page, and is zeros otherwise", () => {
    const packet: MultifdPacket = {
      sync: true,
      compression: "none",
      number: 1n,
      allocated: 0,
      block: null,
      normal: [],
      zero: [],
      payload: 0,
    };
    const hex = "11223344000000010000000100000000" + "00".repeat(15) + "01" + "00".repeat(1344 - 32);
    expect(encoded(packet)).toBe(hex);
    expect(run(read(), fromHex(hex))).toEqual(packet);
  });

  it.each([
    [256, 2048],
    [1024, 512],
    [4096, 128],
    [65536, 8],
  ])("pages of %i bytes: %i to a packet", (pageSize, room) => {
    expect(multifdPageCount(pageSize)).toBe(room);
    const normal = Array.from({ length: room }, (_, i) => (room - i) * pageSize);
    const packet: MultifdPacket = {
      sync: false,
      compression: "none",
      number: 2n ** 64n - 1n,
      allocated: room,
      block: "ram",
      normal,
      zero: [],
      payload: 512 << 10,
    };
    const hex = encoded(packet, pageSize);
    expect(hex).toHaveLength(2 * (320 + 8 * room));
    expect(run(read("none", pageSize), fromHex(hex))).toEqual(packet);
    expect(() => encoded({ ...packet, zero: [0] }, pageSize)).toThrow(RangeError);
    expect(() => encoded({ ...packet, allocated: room + 1 }, pageSize)).toThrow(RangeError);
  });

  it("any packet that can be written is read as it was", () => {
    const offset = fc.nat(2 ** 31 - 1).map((page) => page * PAGE);
    const packets = fc
      .record({
        sync: fc.boolean(),
        compression: fc.constantFrom<MultifdCompression>("none", "zlib", "zstd"),
        number: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        normal: fc.array(offset, { maxLength: 64 }),
        zero: fc.array(offset, { maxLength: 64 }),
        name: fc.constantFrom("m", "pc.ram", "é", "x".repeat(255)),
        spare: fc.nat(64),
        compressed: fc.integer({ min: 1, max: 1 << 20 }),
      })
      .map(({ name, spare, compressed, ...rest }): MultifdPacket => {
        const pages = rest.normal.length + rest.zero.length;
        const size = rest.compression === "none" ? rest.normal.length * PAGE : compressed;
        const allocated = Math.min(128, pages + spare);
        const payload = rest.normal.length === 0 ? 0 : size;
        return { ...rest, allocated, block: pages === 0 ? null : name, payload };
      });
    fc.assert(
      fc.property(packets, (packet) => {
        expect(run(read(packet.compression), fromHex(encoded(packet)))).toEqual(packet);
      }),
    );
  });

  it.each([
    ["a payload without pages", { normal: [], payload: 1 }],
    ["a payload that is not its pages", { payload: 4096 }],
    ["a fractional payload", { compression: "zlib", payload: 1.5 }],
    ["pages without a block", { block: null }],
    ["a block without pages", { normal: [], payload: 0 }],
    ["a block without a name", { block: "" }],
    ["a name of 256 bytes", { block: "x".repeat(256) }],
    ["a name with a zero byte", { block: "a\0b" }],
    ["fewer places than pages", { allocated: 1 }],
    ["negative room", { allocated: -1 }],
    ["a negative offset", { normal: [0, -PAGE] }],
    ["an offset above 2^53", { normal: [0, 2 ** 53] }],
  ] satisfies [string, Partial<MultifdPacket>][])("%s: RangeError, and nothing is written", (_, change) => {
    const packet = { ...run(read(), patched({})), ...change };
    const writer = new Writer();
    expect(() => writeMultifdPacket(writer, packet, { pageSize: PAGE })).toThrow(RangeError);
    expect(writer.buffered).toBe(0);
  });

  it.each([
    ["the page behind the last", [65 * PAGE], []],
    ["a zero page behind the last", [0], [65 * PAGE]],
    ["a page across the end", [64 * PAGE + 1024], []],
    ["a place within a page", [], [1024]],
    ["a place far outside", [2 ** 53 - PAGE], []],
  ])("multifdBlock refuses %s", (_, normal, zero) => {
    const packet = { ...run(read(), patched({})), block: "m", normal, zero };
    expect(failure(() => multifdBlock(packet, { pageSize: PAGE, find, offset: 5 }))).toEqual([
      "RamError",
      "PAGE_OFFSET",
      5,
    ]);
  });

  it("multifdBlock takes the last page, and refuses a block shorter than a page", () => {
    const packet = { ...run(read(), patched({})), block: "m", normal: [64 * PAGE], zero: [0] };
    expect(multifdBlock(packet, { pageSize: PAGE, find, offset: 0 })).toBe(BLOCKS.get("m"));
    const short = { name: "m", usedLength: 1024 };
    expect(failure(() => multifdBlock(packet, { pageSize: PAGE, find: () => short, offset: 0 }))).toEqual([
      "RamError",
      "PAGE_OFFSET",
      0,
    ]);
  });
});
