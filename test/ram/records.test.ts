import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMigrationError, type ErrorCode } from "../../src/errors.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { RamRecordReader, type RamTarget } from "../../src/ram/page-codec.js";
import { fromHex, toHex } from "../kit/hex.js";
import { loadAll, loadContext, RamMachine } from "./kit.js";

interface Decoded {
  flags: string;
  block?: string;
  offset?: number;
  fill?: number;
  encoded?: string;
  data_len?: number;
  zlib_len?: number;
  last_byte?: number;
  total?: number;
  blocks?: [string, number][];
}
interface RecordCase {
  name: string;
  target_page_bits: number;
  bytes: string;
  decoded?: Decoded[];
  error?: string;
}
const { records } = JSON.parse(readFileSync(new URL("../vectors/ram_records.json", import.meta.url), "utf8")) as {
  records: RecordCase[];
};

const codes: Record<string, ErrorCode> = {
  "ERR zero page with fill 1": "PAGE_FILL",
  "ERR unknown block": "BLOCK_UNKNOWN",
  "ERR CONTINUE without a block": "BLOCK_UNKNOWN",
  "ERR offset at block end": "PAGE_OFFSET",
  "ERR no flags": "PAGE_FLAGS",
  "ERR ZERO and PAGE": "PAGE_FLAGS",
  "ERR obsolete FULL": "PAGE_FLAGS",
  "ERR HOOK without RDMA": "PAGE_FLAGS",
  "ERR COMPRESS_PAGE when capability is off": "PAGE_COMPRESSED",
  "ERR COMPRESS_PAGE length -1": "PAGE_COMPRESSED",
  "ERR XBZRLE encoding flag 2": "XBZRLE_CORRUPT",
  "ERR XBZRLE length 4097": "XBZRLE_CORRUPT",
  "ERR XBZRLE undecodable": "XBZRLE_CORRUPT",
  "ERR unknown block in MEM_SIZE": "BLOCK_UNKNOWN",
  "ERR EOF inside a record": "TRUNCATED",
  "ERR postcopy: two target pages of different host pages": "PAGE_OFFSET",
};

function machineFor({ name, target_page_bits }: RecordCase): RamMachine {
  const compressed = name.includes("(CONTINUE)") || name.includes("length -1");
  const machine = new RamMachine(
    { pageSize: 2 ** target_page_bits, compress: compressed ? 1 : undefined },
    {
      "pc.ram": new Uint8Array(64 << 20),
      "pc.bios": new Uint8Array(256 << 10),
      "musicpal.ram": new Uint8Array(64 << 10),
      a: new Uint8Array(8192),
      b: new Uint8Array(4096),
    },
  );
  machine.blocks.addGlobal("m", new Uint8Array(4 << 20), { pageSize: 2 << 20 });
  return machine;
}

/** What a reader without any registered block makes of a body. */
function describeBody(body: Uint8Array, pageSize: number): Decoded[] {
  const seen: Decoded[] = [];
  const names = (flags: number): string =>
    Object.entries({
      ZERO: 2,
      MEM_SIZE: 4,
      PAGE: 8,
      EOS: 16,
      XBZRLE: 64,
      COMPRESS_PAGE: 256,
      MULTIFD_FLUSH: 512,
      CONTINUE: 32,
    })
      .filter(([, bit]) => (flags & bit) !== 0)
      .map(([name]) => name)
      .join("|");
  const add = (decoded: Omit<Decoded, "flags">): void => void seen.push({ flags: names(reader.flags), ...decoded });
  const list: [string, number][] = [];
  const reader: RamRecordReader<RamTarget> = new RamRecordReader<RamTarget>(
    {
      resolve: (name) => ({ name, usedLength: Infinity }),
      onBlock: ({ name, usedLength }) => void list.push([name, usedLength]),
      onZero: ({ name: block }, offset, fill) => add({ block, offset, fill }),
      onPage: ({ name: block }, offset, bytes) => add({ block, offset, data_len: bytes.length }),
      onXbzrle: ({ name: block }, offset, encoded) => add({ block, offset, encoded: toHex(encoded) }),
      onCompressed: ({ name: block }, offset, data) => add({ block, offset, zlib_len: data.length }),
      onFlush: () => add({}),
      onEos: () => add({}),
    },
    { pageSize },
  );
  const input = Reader.of(body);
  decodeSync(reader.section(input), input, bytesSource());
  return seen;
}

function errorOf(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
}

describe("ram record vectors", () => {
  const valid = records.filter(({ error }) => error === undefined);
  const invalid = records.filter(({ error }) => error !== undefined);

  it("are all here", () => {
    expect([valid.length, invalid.length]).toEqual([14, 16]);
  });

  it.each(valid)("RamRecordReader, $name: reports each record, no block being registered", (vector) => {
    const seen = describeBody(fromHex(vector.bytes), 2 ** vector.target_page_bits);
    const records = vector.decoded!.filter(({ flags }) => flags !== "MEM_SIZE");
    expect(seen).toHaveLength(records.length);
    records.forEach((record, i) => {
      const { last_byte: _, ...known } = record;
      expect(seen[i]).toMatchObject(known);
    });
  });

  it.each(valid)("RamHandler, $name: accepts it", (vector) => {
    const machine = machineFor(vector);
    loadAll(machine, fromHex(vector.bytes));
    for (const { block, offset, data_len } of vector.decoded!) {
      if (data_len === undefined) continue;
      const page = machine.block(block!).memory.view(offset!, data_len);
      expect(page).toEqual(fromHex(vector.bytes).subarray(-8 - data_len, -8));
    }
  });

  it("RamHandler, compressed page: unpacks it", () => {
    const vector = records.find(({ name }) => name.startsWith("compressed page"))!;
    const machine = machineFor(vector);
    loadAll(machine, fromHex(vector.bytes));
    const page = machine.block("pc.ram").memory.view(4096, 4096);
    expect(page[4095]).toBe(1);
    expect(page.some((byte) => byte !== 0)).toBe(true);
  });

  it.each(invalid)("RamHandler, $name: throws a typed error with an offset", (vector) => {
    const machine = machineFor(vector);
    const body = fromHex(vector.bytes);
    const error = errorOf(() => {
      if (!vector.name.includes("postcopy")) loadAll(machine, body);
      else {
        machine.handler.loadSetup();
        machine.handler.load!.startPostcopy();
        const reader = Reader.of(body);
        decodeSync(machine.handler.loadState(loadContext(reader), 4), reader, bytesSource());
      }
    });
    expect(isMigrationError(error, codes[vector.name])).toBe(true);
    expect((error as { offset: number }).offset).toBeTypeOf("number");
  });

  it("RamRecordReader, offset above 2^53 and no block registered: PAGE_OFFSET", () => {
    const error = errorOf(() => describeBody(fromHex("fffffffffffff002" + "0161" + "00"), 4096));
    expect(isMigrationError(error, "PAGE_OFFSET")).toBe(true);
  });
});
