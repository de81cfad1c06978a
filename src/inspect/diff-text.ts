import type { BlockDifference } from "./diff-pages.js";
import type { DeviceDifference, StreamDifference } from "./diff.js";
import { isEqual } from "./diff.js";
import { formatValue, toHex, type DeviceValue, type FieldDifference } from "./device-value.js";

/**
 * The JSON of a difference, piece by piece:
 *
 *     { "equal": false,
 *       "configuration": [ FIELD... ],
 *       "devices": [ { "name", "instance", "onlyIn": "a" | "b" | null, "version": { "a", "b" } | null,
 *                      "fields": [ { "path", "onlyIn", "a", "b" } ], "more": false } ],
 *       "ram": { "pageSize": { "a", "b" },
 *                "blocks": [ { "name", "onlyIn", "length": { "a", "b" }, "pages": N,
 *                              "ranges": [ { "offset", "length" } ], "more": false } ] },
 *       "skipped": [ NAME... ] }
 *
 * `onlyIn` tells absence from a value that is null. `more`: the list was cut, the count was not.
 */
export function* formatDifference(difference: StreamDifference): Generator<string> {
  const { configuration, devices, blocks, pageSize, skipped } = difference;
  yield `{\n  "equal": ${isEqual(difference)},\n  "configuration": [${configuration.map(formatField).join(", ")}],\n`;
  yield* list("devices", devices, formatDevice, "  ");
  yield `,\n  "ram": {\n    "pageSize": ${JSON.stringify(pageSize)},\n`;
  yield* list("blocks", blocks, (block) => JSON.stringify(block), "    ");
  yield `\n  },\n  "skipped": ${JSON.stringify(skipped)}\n}\n`;
}

function* list<T>(name: string, items: readonly T[], format: (item: T) => string, indent: string): Generator<string> {
  yield `${indent}"${name}": [`;
  for (const [i, item] of items.entries()) yield `${i === 0 ? "" : ","}\n${indent}  ${format(item)}`;
  yield items.length === 0 ? "]" : `\n${indent}]`;
}

function formatDevice({ fields, more, ...head }: DeviceDifference): string {
  const text = JSON.stringify(head).slice(0, -1);
  return `${text},"fields":[${fields.map(formatField).join(", ")}],"more":${more}}`;
}

function formatField({ path, a, b }: FieldDifference): string {
  const onlyIn = a === undefined ? "b" : b === undefined ? "a" : null;
  const [x, y] = [formatValue(a ?? null), formatValue(b ?? null)];
  return `{ "path": ${JSON.stringify(path)}, "onlyIn": ${JSON.stringify(onlyIn)}, "a": ${x}, "b": ${y} }`;
}

/** Lines of one device or one block that people are shown. */
const MAX_LINES = 20;
/** Characters of one value. */
const MAX_TEXT = 64;
const HEX_BYTES = 16;

/** For people, line by line. */
export function* differenceText(difference: StreamDifference): Generator<string> {
  if (isEqual(difference)) yield "Equal";
  yield* section("configuration", difference.configuration.map(fieldText));
  for (const device of difference.devices) yield* deviceText(device);
  for (const block of difference.blocks) yield* blockText(block);
}

function* section(head: string, lines: readonly string[]): Generator<string> {
  if (lines.length === 0) return;
  yield head;
  for (const line of lines.slice(0, MAX_LINES)) yield `  ${line}`;
  if (lines.length > MAX_LINES) yield `  and ${lines.length - MAX_LINES} more (--json has them)`;
}

function* deviceText({ name, instance, onlyIn, version, fields }: DeviceDifference): Generator<string> {
  const head = `device "${name ?? "?"}" instance ${instance ?? "?"}`;
  if (onlyIn !== null) yield `${head}: only in ${onlyIn.toUpperCase()}`;
  const lines = fields.map(fieldText);
  if (version !== null) lines.unshift(`version: ${version.a ?? "?"} -> ${version.b ?? "?"}`);
  yield* section(head, lines);
}

function* blockText({ name, onlyIn, length, pages, ranges, more }: BlockDifference): Generator<string> {
  const head = `block "${name}"`;
  if (onlyIn !== null) {
    yield `${head}: only in ${onlyIn.toUpperCase()}, ${length[onlyIn] ?? 0} bytes`;
    return;
  }
  if (length.a !== length.b) yield `${head}: ${length.a ?? 0} bytes -> ${length.b ?? 0} bytes`;
  const cut = more ? ", not all of them listed" : "";
  yield* section(
    `${head}: ${pages} ${pages === 1 ? "page differs" : "pages differ"}${cut}`,
    ranges.map(({ offset, length: bytes }) => `0x${offset.toString(16)}-0x${(offset + bytes - 1).toString(16)}`),
  );
}

function fieldText({ path, a, b }: FieldDifference): string {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return bytesText(path, a, b);
  return `${path}: ${valueText(a)} -> ${valueText(b)}`;
}

/** From the first byte that differs. */
function bytesText(path: string, a: Uint8Array, b: Uint8Array): string {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at++;
  const part = (bytes: Uint8Array): string => {
    const rest = bytes.subarray(at);
    return `${toHex(rest.subarray(0, HEX_BYTES))}${rest.length > HEX_BYTES ? "..." : ""}`;
  };
  const sizes = a.length === b.length ? "" : ` (${a.length} and ${b.length} bytes)`;
  return `${path} from byte ${at} on: ${part(a)} -> ${part(b)}${sizes}`;
}

function valueText(value: DeviceValue | undefined): string {
  if (value === undefined) return "(absent)";
  const text = formatValue(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}...` : text;
}
