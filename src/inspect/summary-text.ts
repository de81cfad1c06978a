import { formatValue, type DeviceValue } from "./device-value.js";
import type { Inspection } from "./inspect.js";
import type { ScannedDevice, SectionRecord } from "./scan-result.js";

/** A readable summary, line by line: what there is, not every byte of it. */
export function* summaryText({ scan, blocks }: Inspection): Generator<string> {
  yield `QEMU migration stream, version ${scan.version}, ${bytes(scan.bytes)}`;
  const configuration = scan.configuration?.value ?? null;
  if (configuration === null) yield "Machine: not named (no configuration section)";
  else {
    yield `Machine: ${configuration.machine}`;
    if (configuration.targetPageBits !== null) yield `Target page bits: ${configuration.targetPageBits}`;
    if (configuration.capabilities.length > 0) yield `Capabilities: ${configuration.capabilities.join(", ")}`;
    if (configuration.uuid !== null) yield `UUID: ${configuration.uuid}`;
  }
  if (scan.commands.length > 0) yield `Commands: ${tally(scan.commands.map(({ command }) => command.name))}`;
  yield `Sections: ${scan.sections.length} (${tally(scan.sections.map(({ type }) => type))}), ${footers(scan.sections)}`;
  const { description } = scan;
  yield description === null
    ? "Description: none"
    : `Description: ${bytes(description.length)} at offset ${description.offset}, ${description.value.devices.length} devices`;
  if (scan.ram !== null) {
    yield "";
    yield `RAM, pages of ${bytes(scan.ram.pageSize)}`;
    yield* table([
      ["block", "length", "zero", "normal", "xbzrle", "compressed", "sha256"],
      ...blocks.map(({ name, length, pages, sha256 }) => [
        name,
        bytes(length),
        ...[pages.zero, pages.normal, pages.xbzrle, pages.compressed].map(String),
        sha256 === null ? "-" : `${sha256.slice(0, 16)}…`,
      ]),
    ]);
  }
  if (scan.devices.length > 0) {
    yield "";
    yield "Devices";
    yield* table([["device", "instance", "version", "bytes", "fields"], ...scan.devices.map(deviceRow)]);
  }
}

function deviceRow(device: ScannedDevice): string[] {
  const { section, body, fields } = device;
  const { idstr, instance, version, type } = section;
  const name = type === "full" ? (idstr ?? "?") : `${idstr ?? "?"} (${type})`;
  const shown = fields === null ? "not described" : preview(fields);
  return [name, String(instance ?? "-"), String(version ?? "-"), String(body?.length ?? "-"), shown];
}

const PREVIEW = 60;

/** The first few plain fields. */
function preview(fields: ReadonlyMap<string, DeviceValue>): string {
  let text = "";
  for (const [name, value] of fields) {
    const isPlain = typeof value !== "object" || value === null;
    const item = isPlain ? `${name}=${formatValue(value)}` : name;
    if (text.length + item.length > PREVIEW) return `${text} …`;
    text += `${text === "" ? "" : " "}${item}`;
  }
  return text;
}

function footers(sections: readonly SectionRecord[]): string {
  if (sections.length === 0) return "none";
  return sections.some(({ footer }) => footer) ? "with footers" : "without footers";
}

function tally(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return Array.from(counts, ([name, count]) => (count === 1 ? name : `${count} ${name}`)).join(", ");
}

function bytes(n: number): string {
  if (n < 1024) return `${n} bytes`;
  const unit = n < 2 ** 20 ? "KiB" : n < 2 ** 30 ? "MiB" : "GiB";
  const value = n / { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[unit];
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit}`;
}

/** Columns of equal width; numbers to the right. */
function* table(rows: readonly (readonly string[])[]): Generator<string> {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      /^[\d.]+( |$)/.test(cell) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
    );
    yield `  ${cells.join("  ")}`.trimEnd();
  }
}
