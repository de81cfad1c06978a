import { formatValue, type DeviceFields } from "./device-value.js";
import type { StoredBlock } from "./page-store.js";
import type { ScannedBlock } from "./ram-content.js";
import type { CommandRecord, ScannedDevice, ScanResult, SectionRecord } from "./scan-result.js";

/** SHA-256 as the platform has it. */
export interface ContentHash {
  update(bytes: Uint8Array): void;
  /** Lower-case hex. */
  digest(): string;
}

export interface BlockSummary {
  readonly name: string;
  /** Bytes. */
  readonly length: number;
  /** Records in the stream, not pages of the block. */
  readonly pages: {
    readonly zero: number;
    readonly normal: number;
    readonly xbzrle: number;
    readonly compressed: number;
  };
  /** Of the final content, what never came being zero; null when it was not asked for or makes no sense. */
  readonly sha256: string | null;
}

/** What `savevm inspect` shows; {@link formatInspection} gives its JSON. */
export interface Inspection {
  readonly format: "stream";
  readonly bytes: number;
  readonly version: number;
  readonly scan: ScanResult;
  readonly blocks: readonly BlockSummary[];
}

/** Bytes of a block that never came, beyond which hashing the zeros in their place would only take time. */
const MAX_ABSENT = 16 * 2 ** 30;

/** Summarise a scan; with `hash`, the content that went to the scan's store is hashed. */
export function summarise(scan: ScanResult, hash: (() => ContentHash) | null): Inspection {
  const blocks = (scan.ram?.blocks ?? []).map(({ name, usedLength, counts, content }: ScannedBlock) => ({
    name,
    length: usedLength,
    pages: counts,
    sha256: hash === null || content === null || isMostlyAbsent(content) ? null : hashContent(content, hash()),
  }));
  return { format: "stream", bytes: scan.bytes, version: scan.version, scan, blocks };
}

function isMostlyAbsent({ pages, received, pageSize }: StoredBlock): boolean {
  return (pages - received) * pageSize > MAX_ABSENT;
}

const ZEROS = new Uint8Array(64 << 10);

function hashContent(content: StoredBlock, hash: ContentHash): string {
  for (const { bytes, length } of content.parts()) hash.update(bytes ?? ZEROS.subarray(0, length));
  return hash.digest();
}

/** The JSON of an inspection, piece by piece: devices may be large. */
export function* formatInspection(inspection: Inspection): Generator<string> {
  const { scan, blocks } = inspection;
  const configuration = scan.configuration?.value ?? null;
  yield `{\n  "format": "stream",\n  "bytes": ${inspection.bytes},\n  "version": ${inspection.version},\n`;
  yield `  "configuration": ${JSON.stringify(
    configuration === null
      ? null
      : {
          machine: configuration.machine,
          targetPageBits: configuration.targetPageBits,
          capabilities: configuration.capabilities,
          uuid: configuration.uuid,
        },
  )},\n`;
  yield* list("sections", scan.sections, formatSection);
  yield* list("commands", scan.commands, formatCommand);
  const ram = scan.ram === null ? null : { pageSize: scan.ram.pageSize, blocks };
  yield `  "ram": ${JSON.stringify(ram)},\n`;
  yield* list("devices", scan.devices, formatDevice);
  const { description } = scan;
  const place = description === null ? null : { offset: description.offset, length: description.length };
  yield `  "description": ${JSON.stringify(place)}\n}\n`;
}

function* list<T>(name: string, items: readonly T[], format: (item: T) => string): Generator<string> {
  yield `  "${name}": [`;
  for (const [i, item] of items.entries()) yield `${i === 0 ? "" : ","}\n    ${format(item)}`;
  yield items.length === 0 ? "],\n" : "\n  ],\n";
}

function formatSection({ packaged, ...section }: SectionRecord): string {
  const { type, id, idstr, instance, version, offset, length, footer } = section;
  const shown = { type, id, idstr, instance, version, offset, length, footer };
  return JSON.stringify(packaged ? { ...shown, packaged } : shown);
}

function formatCommand({ command, offset, length, packaged }: CommandRecord): string {
  const shown = { name: command.name, offset, length };
  return JSON.stringify(packaged ? { ...shown, packaged } : shown);
}

function formatDevice({ section, body, fields }: ScannedDevice): string {
  const { idstr, instance, version } = section;
  const head = `"name": ${JSON.stringify(idstr)}, "instance": ${JSON.stringify(instance)}, "version": ${JSON.stringify(version)}`;
  return `{ ${head}, "fields": ${formatValue(fields ?? rawFields(body))} }`;
}

/** Bytes nobody can name. */
export function rawFields(body: Uint8Array | null): DeviceFields {
  return new Map([["raw", body]]);
}
