import { equalBytes } from "./byte-comparer.js";

/**
 * What a device section says, without its framing. 64-bit numbers are bigint, null is a null pointer or a timer that
 * is not armed, text is a counted string, and bytes are what has no better form.
 */
export type DeviceValue =
  number | bigint | boolean | null | string | Uint8Array | readonly DeviceValue[] | DeviceFields;
/** Fields by unambiguous key, in wire order; a subsection is a key with its full name. */
export type DeviceFields = ReadonlyMap<string, DeviceValue>;

/** One leaf that differs; `undefined` is absence. */
export interface FieldDifference {
  readonly path: string;
  readonly a: DeviceValue | undefined;
  readonly b: DeviceValue | undefined;
}

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** An integer as JSON has it: a number, or a decimal string above 2^53 - 1. */
export function jsonInteger(value: number | bigint): number | string {
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

/** As JSON text: keys in order (an object would put number-like keys first), large integers as strings, bytes as hex. */
export function formatValue(value: DeviceValue): string {
  if (value instanceof Uint8Array) return `"${toHex(value)}"`;
  if (typeof value === "bigint") return JSON.stringify(jsonInteger(value));
  if (value instanceof Map) {
    const members = Array.from(
      value as DeviceFields,
      ([key, member]) => `${JSON.stringify(key)}: ${formatValue(member)}`,
    );
    return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
  }
  if (Array.isArray(value)) return `[${(value as readonly DeviceValue[]).map(formatValue).join(", ")}]`;
  return JSON.stringify(value);
}

/** Leaves in which two values differ, in the order of `a`, at most `limit`. */
export function compareValues(
  a: DeviceValue | undefined,
  b: DeviceValue | undefined,
  limit: number,
): FieldDifference[] {
  const found: FieldDifference[] = [];
  compare(a, b, "", found, limit);
  return found;
}

function compare(
  a: DeviceValue | undefined,
  b: DeviceValue | undefined,
  path: string,
  found: FieldDifference[],
  limit: number,
): void {
  if (found.length >= limit) return;
  if (a instanceof Map && b instanceof Map) {
    const [x, y] = [a as DeviceFields, b as DeviceFields];
    for (const key of new Set([...x.keys(), ...y.keys()])) {
      compare(x.get(key), y.get(key), path === "" ? key : `${path}.${key}`, found, limit);
    }
  } else if (isList(a) && isList(b)) {
    for (let i = 0; i < Math.max(a.length, b.length); i++) compare(a[i], b[i], `${path}[${i}]`, found, limit);
  } else if (!isSame(a, b)) found.push({ path, a, b });
}

function isList(value: DeviceValue | undefined): value is readonly DeviceValue[] {
  return Array.isArray(value);
}

function isSame(a: DeviceValue | undefined, b: DeviceValue | undefined): boolean {
  // Numbers of 32 and of 64 bits, if two releases disagree on the width.
  if (typeof a === "bigint" && typeof b === "number") return a === BigInt(b);
  if (typeof a === "number" && typeof b === "bigint") return BigInt(a) === b;
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return a === b;
  return equalBytes(a, b);
}
