import { concat } from "../stream/writer.js";
import { compareBlocks, type BlockDifference } from "./diff-pages.js";
import { compareValues, type DeviceFields, type DeviceValue, type FieldDifference } from "./device-value.js";
import { rawFields } from "./inspect.js";
import type { ScannedDevice, ScanResult } from "./scan-result.js";

/** A device whose state differs, or that one stream lacks. */
export interface DeviceDifference {
  readonly name: string | null;
  readonly instance: number | null;
  /** The one stream that has it; null for both. */
  readonly onlyIn: "a" | "b" | null;
  /** Null when both say the same. */
  readonly version: { readonly a: number | null; readonly b: number | null } | null;
  /** In wire order; not all of them if `more`. */
  readonly fields: readonly FieldDifference[];
  readonly more: boolean;
}

/**
 * How the machines in two streams differ. How the streams came about does not count: iterations, forms of page
 * records, section ids, commands, and the wording of the description.
 */
export interface StreamDifference {
  readonly configuration: readonly FieldDifference[];
  readonly devices: readonly DeviceDifference[];
  readonly blocks: readonly BlockDifference[];
  /** Target page sizes in bytes, null without RAM. */
  readonly pageSize: { readonly a: number | null; readonly b: number | null };
  /** Names of sections too large to be held, which were not compared. */
  readonly skipped: readonly string[];
}

/** Fields of one device that are listed. */
const MAX_FIELDS = 1 << 12;

/** Compare what two scans found. Page content is compared if both scans kept it. */
export function diffScans(a: ScanResult, b: ScanResult): StreamDifference {
  const skipped: string[] = [];
  return {
    configuration: compareValues(configurationFields(a), configurationFields(b), MAX_FIELDS),
    devices: compareDevices(a.devices, b.devices, skipped),
    blocks: compareBlocks(a.ram?.blocks ?? [], b.ram?.blocks ?? []),
    pageSize: { a: a.ram?.pageSize ?? null, b: b.ram?.pageSize ?? null },
    skipped,
  };
}

/** True if no difference was found. */
export function isEqual({ configuration, devices, blocks }: StreamDifference): boolean {
  return configuration.length === 0 && devices.length === 0 && blocks.length === 0;
}

function configurationFields({ configuration }: ScanResult): DeviceFields {
  if (configuration === null) return new Map();
  const { machine, targetPageBits, capabilities, uuid } = configuration.value;
  return new Map<string, DeviceValue>([
    ["machine", machine],
    ["targetPageBits", targetPageBits],
    ["capabilities", capabilities],
    ["uuid", uuid],
  ]);
}

function compareDevices(a: readonly ScannedDevice[], b: readonly ScannedDevice[], skipped: string[]) {
  const [mine, others] = [gather(a, skipped), gather(b, skipped)];
  const found: DeviceDifference[] = [];
  for (const [key, device] of mine) {
    const difference = compareDevice(device, others.get(key) ?? null);
    if (difference !== null) found.push(difference);
  }
  for (const [key, device] of others) {
    if (!mine.has(key)) found.push(absence(device, "b"));
  }
  return found;
}

/** What one device, or one iterative handler, put into the stream. */
interface DeviceState {
  readonly name: string | null;
  readonly instance: number | null;
  readonly version: number | null;
  readonly fields: DeviceFields | null;
  readonly bodies: readonly Uint8Array[];
}

/**
 * Devices by identity. The sections of an iterative handler are one state: where a round ends is chance. Of several
 * devices that bear one name and instance, the first corresponds to the first.
 */
function gather(devices: readonly ScannedDevice[], skipped: string[]): Map<string, DeviceState> {
  const states = new Map<string, DeviceState>();
  const counts = new Map<string, number>();
  for (const { section, body, fields } of devices) {
    const { idstr: name, instance, version, type } = section;
    const identity = JSON.stringify([name, instance, type === "full"]);
    if (body === null) {
      skipped.push(name ?? `section ${section.id}`);
      continue;
    }
    const known = states.get(identity);
    if (type !== "full" && known !== undefined) {
      states.set(identity, { ...known, bodies: [...known.bodies, body] });
      continue;
    }
    const nth = counts.get(identity) ?? 0;
    counts.set(identity, nth + 1);
    states.set(nth === 0 ? identity : `${identity} ${nth}`, { name, instance, version, fields, bodies: [body] });
  }
  return states;
}

function compareDevice(a: DeviceState, b: DeviceState | null): DeviceDifference | null {
  if (b === null) return absence(a, "a");
  // Bytes are all that can be compared if one side has no names for them.
  const isDecoded = a.fields !== null && b.fields !== null;
  const [x, y] = isDecoded ? [a.fields, b.fields] : [raw(a), raw(b)];
  const fields = compareValues(x, y, MAX_FIELDS + 1);
  const version = a.version === b.version ? null : { a: a.version, b: b.version };
  if (fields.length === 0 && version === null) return null;
  const { name, instance } = a;
  const more = fields.length > MAX_FIELDS;
  return { name, instance, onlyIn: null, version, fields: fields.slice(0, MAX_FIELDS), more };
}

function raw({ bodies }: DeviceState): DeviceFields {
  return rawFields(concat(bodies));
}

function absence({ name, instance }: DeviceState, onlyIn: "a" | "b"): DeviceDifference {
  return { name, instance, onlyIn, version: null, fields: [], more: false };
}
