import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { readSnapshotTable, writeSnapshotTable, type Qcow2Snapshot } from "../../src/snapshot/qcow2-snapshot-table.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { fromHex, toHex } from "../kit/hex.js";

const vector = JSON.parse(readFileSync(new URL("../vectors/qcow2_snapshot_table.json", import.meta.url), "utf8")) as {
  readonly header: { readonly nb_snapshots: number; readonly snapshots_offset: string; readonly virtual_size: number };
  readonly table_bytes: string;
  readonly entries: readonly {
    readonly offset: number;
    readonly l1_table_offset: string;
    readonly l1_size: number;
    readonly id: string;
    readonly name: string;
    readonly date_sec: number;
    readonly date_nsec: number;
    readonly vm_clock_nsec: string;
    readonly vm_state_size: number;
    readonly disk_size: number;
  }[];
};
const table = fromHex(vector.table_bytes);
const start = Number(vector.header.snapshots_offset);
const expected = vector.entries.map((entry): Qcow2Snapshot => ({
  id: entry.id,
  name: entry.name,
  l1TableOffset: Number(entry.l1_table_offset),
  l1Size: entry.l1_size,
  dateSeconds: entry.date_sec,
  dateNanoseconds: entry.date_nsec,
  vmClock: BigInt(entry.vm_clock_nsec),
  vmStateSize: entry.vm_state_size,
  diskSize: entry.disk_size,
  icount: null,
  unknownExtra: new Uint8Array(0),
}));
const DISK_NOW = 123;

function read(count: number, ...chunks: readonly Uint8Array[]): Qcow2Snapshot[] {
  const reader = new Reader(start);
  const snapshots = decodeSync(readSnapshotTable(reader, count, DISK_NOW), reader, bytesSource(...chunks));
  expect([reader.offset - start, reader.available]).toEqual([concat(chunks).length, 0]);
  return snapshots;
}

function written(snapshots: readonly Qcow2Snapshot[]): string {
  const writer = new Writer(start);
  writeSnapshotTable(writer, snapshots);
  return toHex(concat(writer.take()));
}

function failure(count: number, bytes: Uint8Array): unknown {
  try {
    return read(count, bytes);
  } catch (error) {
    return isMigrationError(error) ? [error.name, error.code, error.offset! - start] : error;
  }
}

/** The first entry of the vector with extra data of another length: "extra" stands at 36, and 24 bytes of it at 40. */
function withExtra(extra: Uint8Array): Uint8Array {
  const bytes = concat([table.subarray(0, 40), extra, table.subarray(64, 67)]);
  new DataView(bytes.buffer).setUint32(36, extra.length);
  return bytes;
}

describe("qcow2 snapshot table", () => {
  it("the table of a real image is read and written to the same bytes", () => {
    expect(read(vector.header.nb_snapshots, table)).toEqual(expected);
    expect(written(expected)).toBe(vector.table_bytes);
  });

  it("the table of a real image is read in all chunkings", () => {
    expect(read(2, ...Array.from(table, (byte) => Uint8Array.of(byte)))).toEqual(expected);
    for (let cut = 0; cut <= table.length; cut++) {
      expect(read(2, table.subarray(0, cut), table.subarray(cut))).toEqual(expected);
    }
  });

  it("cut short anywhere it is truncated", () => {
    for (let length = 0; length < table.length; length++) {
      expect(failure(2, table.subarray(0, length))).toEqual(["StreamError", "TRUNCATED", length]);
    }
  });

  it("no snapshots: nothing is read or written", () => {
    expect(read(0)).toEqual([]);
    expect(written([])).toBe("");
  });

  it.each([
    [0, 957498, DISK_NOW, null],
    [7, 957498, DISK_NOW, null],
    [8, 0x1010_1010_1010, DISK_NOW, null],
    [16, 0x1010_1010_1010, 0x2020_2020_2020, null],
    [20, 0x1010_1010_1010, 0x2020_2020_2020, null],
    [24, 0x1010_1010_1010, 0x2020_2020_2020, 0x3030_3030_3030n],
  ])("%i bytes of extra data: what lacks has its default, and is written", (length, vmStateSize, diskSize, icount) => {
    const extra = fromHex("0000101010101010" + "0000202020202020" + "0000303030303030");
    const [snapshot] = read(1, withExtra(extra.subarray(0, length)));
    expect(snapshot).toEqual({ ...expected[0], vmStateSize, diskSize, icount });
    const again = fromHex(written([snapshot]));
    expect(again[39]).toBe(24);
    expect(read(1, again)).toEqual([snapshot]);
  });

  it("extra data of later versions is kept, up to 1024 bytes in all", () => {
    const extra = concat([table.subarray(40, 64), new Uint8Array(1000).fill(9)]);
    const [snapshot] = read(1, withExtra(extra));
    expect(snapshot.unknownExtra).toEqual(new Uint8Array(1000).fill(9));
    expect(written([snapshot])).toBe(toHex(withExtra(extra)));
    expect(() => written([{ ...snapshot, unknownExtra: new Uint8Array(1001) }])).toThrow(RangeError);
  });

  it("more than 1024 bytes of extra data are refused unread", () => {
    const head = table.slice(0, 40);
    new DataView(head.buffer).setUint32(36, 1025);
    expect(failure(1, head)).toEqual(["StreamError", "LIMIT_EXCEEDED", 0]);
    new DataView(head.buffer).setUint32(36, 0xffffffff);
    expect(failure(1, head)).toEqual(["StreamError", "LIMIT_EXCEEDED", 0]);
  });

  it("more than 65536 snapshots are refused unread", () => {
    expect(failure(65537, new Uint8Array(0))).toEqual(["StreamError", "LIMIT_EXCEEDED", 0]);
    expect(() => written(new Array<Qcow2Snapshot>(65537).fill(expected[0]))).toThrow(RangeError);
  });

  it("a table of more than 64 MiB is refused", () => {
    const entry = concat([table.slice(0, 64), new Uint8Array(2 * 0xffff)]);
    new DataView(entry.buffer).setUint32(12, 0xffffffff);
    const padded = concat([entry, new Uint8Array(-entry.length & 7)]);
    const count = Math.ceil((64 << 20) / padded.length);
    const reader = new Reader(start);
    const source = bytesSource(...new Array<Uint8Array>(count).fill(padded));
    expect(() => decodeSync(readSnapshotTable(reader, count, 0), reader, source)).toThrow(
      expect.objectContaining({ code: "LIMIT_EXCEEDED", offset: start + (count - 1) * padded.length }) as Error,
    );
  });

  it("a VM state of 4 GiB or more stands in the extra data only", () => {
    const large = { ...expected[0], vmStateSize: 2 ** 32, icount: 5n };
    const bytes = fromHex(written([large]));
    expect(new DataView(bytes.buffer).getUint32(32)).toBe(0);
    expect(read(1, bytes)).toEqual([large]);
  });

  it("entries begin at multiples of 8 of the file offset, wherever the table begins", () => {
    const writer = new Writer(start + 3);
    writeSnapshotTable(writer, expected);
    expect(toHex(concat(writer.take()))).toBe("00".repeat(5) + vector.table_bytes);
  });

  it.each([
    { name: "x".repeat(65536) },
    { id: "x".repeat(65536) },
    { l1TableOffset: -1 },
    { l1Size: 2 ** 32 },
    { dateSeconds: -1 },
    { dateNanoseconds: 0.5 },
    { vmStateSize: 2 ** 53 },
    { diskSize: -1 },
  ] satisfies Partial<Qcow2Snapshot>[])("an entry that does not fit: RangeError (case %#)", (change) => {
    expect(() => written([{ ...expected[0], ...change }])).toThrow(RangeError);
  });
});
