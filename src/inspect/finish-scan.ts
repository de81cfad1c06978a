import { addContext, isMigrationError, RamError, StreamError, type MigrationError } from "../errors.js";
import { RAM_IDSTR } from "../ram/handler.js";
import { Reader } from "../stream/reader.js";
import { deviceSize, indexDevices, lookUp, wireSize, type DescribedDevice, type Description } from "./description.js";
import { decodeFields } from "./device-codec.js";
import type { RamScan } from "./ram-scan.js";
import { refOf } from "./scan-result.js";
import type {
  CommandRecord,
  ConfigurationRecord,
  DescriptionRecord,
  ScannedDevice,
  ScanResult,
  SectionRecord,
} from "./scan-result.js";

/** What the pass over the stream collected. */
export interface CollectedScan {
  readonly bytes: number;
  readonly version: number;
  readonly configuration: ConfigurationRecord | null;
  readonly sections: readonly SectionRecord[];
  readonly commands: readonly CommandRecord[];
  readonly devices: readonly ScannedDevice[];
  readonly ram: RamScan;
  readonly description: DescriptionRecord | null;
  readonly borrowed: Description | null;
  readonly warnings: string[];
  readonly problems: MigrationError[];
}

/** Once all is read: decode devices by the description, and hold against each other what was said twice. */
export function finishScan(scan: CollectedScan): ScanResult {
  const { warnings, problems } = scan;
  const description = scan.description?.value ?? scan.borrowed;
  const devices = description === null ? scan.devices : describeDevices(scan.devices, description, warnings, problems);
  if (scan.description !== null) {
    checkDescribed(devices, scan.description, problems);
    checkConfiguration(scan.configuration, scan.description, problems);
  }
  const ram = finishRam(scan, description?.pageSize ?? null, warnings, problems);
  const tail = devices.find(({ isTail }) => isTail);
  if (tail !== undefined) {
    const { idstr, offset, length } = tail.section;
    warnings.push(
      `Nothing delimits the ${length} bytes from "${idstr ?? "?"}" at offset ${offset} on: no footers, no description`,
    );
  }
  return {
    bytes: scan.bytes,
    version: scan.version,
    configuration: scan.configuration,
    sections: scan.sections,
    commands: scan.commands,
    ram,
    devices,
    description: scan.description,
    warnings,
    problems,
  };
}

function describeDevices(
  devices: readonly ScannedDevice[],
  description: Description,
  warnings: string[],
  problems: MigrationError[],
): ScannedDevice[] {
  const index = indexDevices(description);
  const used = new Map<readonly DescribedDevice[], number>();
  return devices.map((device) => {
    const { idstr, instance, type } = device.section;
    if (type !== "full" || idstr === null || instance === null || device.isTail) return device;
    // Of several that bear one name, the description lists the first one first.
    const bearers = lookUp(index, idstr, instance);
    const nth = used.get(bearers) ?? 0;
    used.set(bearers, nth + 1);
    const listed = bearers[Math.min(nth, bearers.length - 1)];
    if (listed === undefined || device.body === null) return device;
    const described = unfold(listed, device.body.length, device.section.footer);
    if (described !== listed) {
      warnings.push(`The description of "${idstr}" shows one element of an array whose elements differ in size`);
    }
    try {
      return { ...device, described, fields: decodeDevice(device, described) };
    } catch (error) {
      if (!isMigrationError(error)) throw error;
      problems.push(addContext(error, { offset: device.bodyOffset, section: refOf(device.section) }) as MigrationError);
      return { ...device, described };
    }
  });
}

/**
 * QEMU describes only the first element of some arrays, even where a later one has another size (an array of pointers
 * of which some are null). When the footer proves the section longer, and one such array must be why, the array is
 * taken for bytes.
 */
function unfold(device: DescribedDevice, length: number, footer: boolean): DescribedDevice {
  const excess = length - deviceSize(device);
  const { fields } = device.state;
  if (excess <= 0 || !footer || fields === null || device.size !== null) return device;
  const folded = fields.filter(({ struct, arrayLength }) => struct !== null && arrayLength !== null);
  if (folded.length !== 1) return device;
  const [field] = folded;
  const bytes = { ...field, struct: null, arrayLength: null, size: field.size * (field.arrayLength ?? 1) + excess };
  return { ...device, state: { ...device.state, fields: fields.map((one) => (one === field ? bytes : one)) } };
}

function decodeDevice(
  { body, bodyOffset, section }: ScannedDevice,
  described: DescribedDevice,
): ScannedDevice["fields"] {
  const length = body?.length ?? 0;
  const size = deviceSize(described);
  const name = `Decode "${section.idstr ?? ""}"`;
  if (size !== length) {
    throw new StreamError("DESCRIPTION_MISMATCH", `${name}: it has ${length} bytes, its description says ${size}`);
  }
  const { state } = described;
  if (described.size === null && state.version >>> 0 !== section.version) {
    const message = `${name}: its version is ${section.version ?? 0}, its description says ${state.version}`;
    throw new StreamError("DESCRIPTION_MISMATCH", message);
  }
  const reader = Reader.of(body ?? new Uint8Array(0), bodyOffset);
  const fields = decodeFields(reader, state);
  if (reader.available === 0) return fields;
  const message = `${name}: its fields take ${length - reader.available} bytes of ${length}`;
  throw new StreamError("DESCRIPTION_MISMATCH", message);
}

/** Every described device must be there. */
function checkDescribed(
  devices: readonly ScannedDevice[],
  { value, offset }: DescriptionRecord,
  problems: MigrationError[],
): void {
  const met = new Map<string, number>();
  for (const { described } of devices) {
    if (described !== null) met.set(keyOf(described), (met.get(keyOf(described)) ?? 0) + 1);
  }
  for (const device of value.devices) {
    const left = met.get(keyOf(device)) ?? 0;
    met.set(keyOf(device), left - 1);
    if (left > 0) continue;
    const message = `Read the description: "${device.name}" instance ${device.instance} is not in the stream`;
    problems.push(new StreamError("DESCRIPTION_MISMATCH", message, { offset }));
  }
}

function checkConfiguration(
  configuration: ConfigurationRecord | null,
  { value, offset }: DescriptionRecord,
  problems: MigrationError[],
): void {
  if (value.configuration === null || configuration === null) return;
  const size = wireSize(value.configuration);
  if (size === configuration.length - 1) return;
  const message = `Read the description: the configuration section has ${configuration.length - 1} bytes, not ${size}`;
  problems.push(new StreamError("DESCRIPTION_MISMATCH", message, { offset }));
}

function finishRam(
  { ram, sections }: CollectedScan,
  described: number | null,
  warnings: string[],
  problems: MigrationError[],
): ScanResult["ram"] {
  const { content } = ram;
  if (content === null) return null;
  const { blocks, flushes } = content;
  const pages = blocks.reduce(
    (sum, { counts }) => sum + counts.zero + counts.normal + counts.xbzrle + counts.compressed,
    0,
  );
  let pageSize = content.pageSize;
  if (pages === 0) pageSize = described ?? ram.pageSize ?? Math.min(pageSize, 4096);
  else if (described !== null && described !== pageSize) {
    const found = ram.isGuess ? "the page records look like" : "the stream says";
    const message = `Read "ram": ${found} pages of ${pageSize} bytes, and the description says ${described}`;
    const hint = ram.isGuess ? `Give the page size: ${described}` : undefined;
    problems.push(new RamError("PAGE_SIZE", message, { hint }));
  }
  if (!sections.some(({ idstr, type }) => idstr === RAM_IDSTR && type === "end")) {
    warnings.push('"ram" has no END section: a background snapshot, or a stream that was not completed');
  }
  if (flushes > 0) warnings.push("Pages went over multifd channels as well: what is here is not all of RAM");
  for (const { name, content: stored } of blocks) {
    if (stored === null || stored.received === stored.pages) continue;
    warnings.push(`${stored.pages - stored.received} of the ${stored.pages} pages of "${name}" are not in the stream`);
  }
  return { pageSize, blocks, flushes };
}

function keyOf({ name, instance }: DescribedDevice): string {
  return `${instance} ${name}`;
}
