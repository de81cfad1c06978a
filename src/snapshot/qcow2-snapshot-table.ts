import { StreamError } from "../errors.js";
import { QCOW2_LIMITS } from "../limits.js";
import type { Decode } from "../stream/drive.js";
import { encodeName } from "../stream/names.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * The snapshot table of a qcow2 image ("qcow2 storage" of the snapshot chapter; QEMU docs/interop/qcow2.txt). Entries
 * stand one after the other, each at the next multiple of 8 of the file offset:
 *
 *     be64 L1 offset | be32 L1 entries | be16 id length | be16 name length | be32 seconds | be32 nanoseconds |
 *     be64 VM clock | be32 VM state size | be32 extra size |
 *     extra: be64 VM state size | be64 disk size | be64 icount | bytes of later versions
 *     id | name
 *
 * Only the table: clusters, L1 tables and their limits are for what opens the image and lists, loads, saves and deletes
 * snapshots in it.
 */
export interface Qcow2Snapshot {
  /** A decimal number in images that QEMU wrote. */
  readonly id: string;
  readonly name: string;
  /** Of the snapshot's own L1 table: byte offset in the file, and entries. Not checked here. */
  readonly l1TableOffset: number;
  readonly l1Size: number;
  /** When it was taken, since 1970. */
  readonly dateSeconds: number;
  readonly dateNanoseconds: number;
  /** Nanoseconds the guest had run. */
  readonly vmClock: bigint;
  /** Bytes of VM state; 0 for a snapshot of the disk alone. */
  readonly vmStateSize: number;
  /** Bytes of the disk then. */
  readonly diskSize: number;
  /** Instructions executed; null unless they were counted. */
  readonly icount: bigint | null;
  /** Extra data of versions to come, to be kept. */
  readonly unknownExtra: Uint8Array;
}

const FIXED_BYTES = 40;
/** VM state size, disk size, icount. */
const KNOWN_EXTRA_BYTES = 24;
const NO_ICOUNT = 0xffff_ffff_ffff_ffffn;
const ALIGNMENT = 8;

/**
 * Read the table; the reader's offset must be that of the table in the file.
 * @param count of snapshots, from the header of the image
 * @param diskSize bytes of the disk now: what an entry of an old image, which does not say, is taken to have
 * @throws StreamError TRUNCATED, LIMIT_EXCEEDED
 */
export function* readSnapshotTable(reader: Reader, count: number, diskSize: number): Decode<Qcow2Snapshot[]> {
  const start = reader.offset;
  if (count > QCOW2_LIMITS.snapshots) {
    throw exceeded(`${count} snapshots, at most ${QCOW2_LIMITS.snapshots} are read`, start);
  }
  const snapshots: Qcow2Snapshot[] = [];
  while (snapshots.length < count) {
    const gap = padding(reader.offset);
    if (!reader.has(gap + FIXED_BYTES)) yield gap + FIXED_BYTES;
    reader.advance(gap);
    snapshots.push(yield* readSnapshot(reader, diskSize, start));
  }
  return snapshots;
}

function* readSnapshot(reader: Reader, diskNow: number, start: number): Decode<Qcow2Snapshot> {
  const at = reader.offset;
  const l1TableOffset = reader.u64Number();
  const l1Size = reader.u32();
  const idLength = reader.u16();
  const nameLength = reader.u16();
  const dateSeconds = reader.u32();
  const dateNanoseconds = reader.u32();
  const vmClock = reader.u64();
  const vmStateSize32 = reader.u32();
  const extra = reader.u32();
  if (extra > QCOW2_LIMITS.extraBytes) {
    throw exceeded(`${extra} bytes of extra data, at most ${QCOW2_LIMITS.extraBytes} are read`, at);
  }
  const rest = extra + idLength + nameLength;
  if (reader.offset + rest - start > QCOW2_LIMITS.tableBytes) {
    throw exceeded(`more than ${QCOW2_LIMITS.tableBytes} bytes`, at);
  }
  if (!reader.has(rest)) yield rest;
  const known = reader.offset;
  const vmStateSize = extra < 8 ? vmStateSize32 : reader.u64Number();
  const diskSize = extra < 16 ? diskNow : reader.u64Number();
  const icount = extra < KNOWN_EXTRA_BYTES ? NO_ICOUNT : reader.u64();
  const unread = extra - (reader.offset - known);
  // Less than a whole known field is none of it; QEMU drops it too.
  const unknownExtra = extra > KNOWN_EXTRA_BYTES ? reader.bytes(unread) : new Uint8Array(0);
  if (extra <= KNOWN_EXTRA_BYTES) reader.advance(unread);
  return {
    id: reader.text(idLength),
    name: reader.text(nameLength),
    l1TableOffset,
    l1Size,
    dateSeconds,
    dateNanoseconds,
    vmClock,
    vmStateSize,
    diskSize,
    icount: icount === NO_ICOUNT ? null : icount,
    unknownExtra,
  };
}

/**
 * Write the table; the writer's offset must be that of the table in the file. As with QEMU, every entry gets all extra
 * data that we know, also one that was read without.
 * @throws RangeError for a table that {@link readSnapshotTable} would refuse, or a number or name that does not fit;
 *   what stands before the entry in question is written then
 */
export function writeSnapshotTable(writer: Writer, snapshots: readonly Qcow2Snapshot[]): void {
  const start = writer.offset;
  if (snapshots.length > QCOW2_LIMITS.snapshots) {
    throw new RangeError(`Write snapshots: ${snapshots.length}, at most ${QCOW2_LIMITS.snapshots} fit`);
  }
  for (const snapshot of snapshots) {
    writer.zeros(padding(writer.offset));
    writeSnapshot(writer, snapshot, start);
  }
}

function writeSnapshot(writer: Writer, snapshot: Qcow2Snapshot, start: number): void {
  const { l1TableOffset, l1Size, dateSeconds, dateNanoseconds, vmStateSize, diskSize, unknownExtra } = snapshot;
  const id = encodeName(snapshot.id);
  const name = encodeName(snapshot.name);
  const extra = KNOWN_EXTRA_BYTES + unknownExtra.length;
  const end = writer.offset + FIXED_BYTES + extra + id.length + name.length;
  const fits =
    [l1Size, dateSeconds, dateNanoseconds].every((value) => value >>> 0 === value) &&
    [l1TableOffset, vmStateSize, diskSize].every((value) => Number.isSafeInteger(value) && value >= 0) &&
    Math.max(id.length, name.length) <= 0xffff &&
    extra <= QCOW2_LIMITS.extraBytes &&
    end - start <= QCOW2_LIMITS.tableBytes;
  if (!fits) throw new RangeError(`Write snapshot "${snapshot.name}": it does not fit into a snapshot table`);
  writer.u64Number(l1TableOffset);
  writer.u32(l1Size);
  writer.u16(id.length);
  writer.u16(name.length);
  writer.u32(dateSeconds);
  writer.u32(dateNanoseconds);
  writer.u64(snapshot.vmClock);
  writer.u32(vmStateSize > 0xffff_ffff ? 0 : vmStateSize);
  writer.u32(extra);
  writer.u64Number(vmStateSize);
  writer.u64Number(diskSize);
  writer.u64(snapshot.icount ?? NO_ICOUNT);
  writer.bytes(unknownExtra);
  writer.bytes(id);
  writer.bytes(name);
}

/** Bytes up to the next entry. */
function padding(offset: number): number {
  return (ALIGNMENT - (offset % ALIGNMENT)) % ALIGNMENT;
}

function exceeded(problem: string, offset: number): StreamError {
  return new StreamError("LIMIT_EXCEEDED", `Read a snapshot table: it has ${problem}`, { offset });
}
