/** Streams of toy machines, byte by byte as QEMU frames them, and scans of them. */
import { PageStore } from "../../src/inspect/page-store.js";
import { StreamScanner, type ScanOptions } from "../../src/inspect/scanner.js";
import type { ScanResult } from "../../src/inspect/scan-result.js";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { writeSectionFooter, writeSectionHeader, type SectionType } from "../../src/savevm/section.js";
import {
  QEMU_VM_CONFIGURATION,
  QEMU_VM_EOF,
  QEMU_VM_FILE_MAGIC,
  QEMU_VM_VMDESCRIPTION,
} from "../../src/stream/constants.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { concat, Writer } from "../../src/stream/writer.js";

export const PAGE = 4096;

export interface ToyDevice {
  readonly name: string;
  readonly instance?: number;
  readonly version?: number;
  readonly type?: SectionType | undefined;
  readonly id?: number;
  readonly body: Uint8Array;
  /** Entries of the description; without them the device is not described. */
  readonly fields?: readonly object[];
}

export interface ToyStream {
  readonly machine?: string;
  readonly blocks?: readonly { readonly name: string; readonly length: number }[];
  readonly records?: ((records: RamRecordWriter) => void) | undefined;
  readonly devices?: readonly ToyDevice[];
}

/** The bytes of a stream: RAM in a START, a PART and an END, then the devices, then their description if there is one. */
export function compose({ machine = "toy-1.0", blocks = [], records, devices = [] }: ToyStream): Uint8Array {
  const writer = new Writer();
  writer.u32(QEMU_VM_FILE_MAGIC);
  writer.u32(3);
  writer.u8(QEMU_VM_CONFIGURATION);
  writer.u32(machine.length);
  writer.bytes(new TextEncoder().encode(machine));
  if (blocks.length > 0) writeRam(writer, blocks, records);
  for (const [i, { name, instance = 0, version = 1, type = "full", id = 10 + i, body }] of devices.entries()) {
    writeSectionHeader(writer, type, { id, idstr: name, instanceId: instance, version });
    writer.bytes(body);
    writeSectionFooter(writer, id);
  }
  writer.u8(QEMU_VM_EOF);
  const described = devices.filter(({ fields }) => fields !== undefined);
  if (described.length > 0) {
    const list = described.map(({ name, instance = 0, version = 1, fields }) => ({
      name,
      instance_id: instance,
      vmsd_name: name,
      version,
      fields,
    }));
    const text = new TextEncoder().encode(JSON.stringify({ page_size: PAGE, devices: list }));
    writer.u8(QEMU_VM_VMDESCRIPTION);
    writer.u32(text.length);
    writer.bytes(text);
  }
  return concat(writer.take());
}

function writeRam(writer: Writer, blocks: NonNullable<ToyStream["blocks"]>, records: ToyStream["records"]): void {
  const ram = { id: 2, idstr: "ram", instanceId: 0, version: 4 };
  const ours = new RamRecordWriter(writer);
  writeSectionHeader(writer, "start", ram);
  ours.blockList(blocks.map(({ name, length }) => ({ name, usedLength: length, pageSize: null, gpa: null })));
  ours.eos();
  writeSectionFooter(writer, 2);
  for (const type of ["part", "end"] as const) {
    writeSectionHeader(writer, type, ram);
    if (type === "part") records?.(ours);
    ours.eos();
    writeSectionFooter(writer, 2);
  }
}

/** A page of one byte, repeated. */
export function pageOf(byte: number): Uint8Array {
  return new Uint8Array(PAGE).fill(byte);
}

/** Scan with the content of RAM at hand; a page size need not be guessed. */
export function scanBytes(bytes: Uint8Array, options: ScanOptions = {}): ScanResult {
  const store = new PageStore({ budget: 1 << 30 });
  const reader = new Reader();
  return decodeSync(new StreamScanner({ store, pageSize: PAGE, ...options }).scan(reader), reader, bytesSource(bytes));
}
