import { StreamError } from "../errors.js";
import { QEMU_VM_SUBSECTION, VMS_NULLPTR_MARKER } from "../stream/constants.js";
import { encodeName } from "../stream/names.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";
import { NOT_ARMED } from "../vmstate/codecs.js";
import { subsectionHeaderSize, wireSize, type DescribedField, type DescribedState } from "./description.js";
import type { DeviceFields, DeviceValue } from "./device-value.js";

/**
 * Device sections decoded and encoded through the description in their stream, for devices that we have never heard
 * of. Every field becomes a value; what has an unknown type stays bytes.
 */

interface Scalar {
  readonly size: number;
  readonly get: (reader: Reader) => DeviceValue;
  readonly put: (writer: Writer, value: number & bigint) => void;
}

const U8: Scalar = { size: 1, get: (r) => r.u8(), put: (w, v) => w.u8(v) };
const U16: Scalar = { size: 2, get: (r) => r.u16(), put: (w, v) => w.u16(v) };
const U32: Scalar = { size: 4, get: (r) => r.u32(), put: (w, v) => w.u32(v) };
const U64: Scalar = { size: 8, get: (r) => r.u64(), put: (w, v) => w.u64(v) };
const I32: Scalar = { ...U32, get: (r) => r.i32() };

/** Type names of QEMU's scalar codecs. */
const SCALARS = new Map<string, Scalar>([
  ["uint8", U8],
  ["uint16", U16],
  ["uint32", U32],
  ["uint64", U64],
  ["int8", { ...U8, get: (r) => r.i8() }],
  ["int16", { ...U16, get: (r) => r.i16() }],
  ["int32", I32],
  ["int64", { ...U64, get: (r) => r.i64() }],
  ["uint8 equal", U8],
  ["uint16 equal", U16],
  ["uint32 equal", U32],
  ["int32 equal", I32],
  ["int32 le", I32],
  // This is how QEMU names the comparison of unsigned 64-bit numbers.
  ["int64 equal", U64],
  ["CPU_Double_U", U64],
]);

/**
 * Decode the fields and subsections of `state`. The caller has all bytes in the reader and checks where it ends.
 * @throws StreamError DESCRIPTION_MISMATCH when the bytes cannot be what the description says
 */
export function decodeFields(reader: Reader, state: DescribedState): DeviceFields {
  const fields = new Map<string, DeviceValue>();
  for (const { key, entries, isArray } of fieldGroups(state)) {
    const elements = entries.flatMap((field) => decodeElements(reader, field));
    fields.set(key, isArray ? elements : elements[0]);
  }
  for (const [key, subsection] of subsectionKeys(state, fields)) {
    const header = subsectionHeaderSize(subsection);
    const at = reader.offset;
    if (!reader.has(header) || !isHeader(reader, subsection)) {
      throw new StreamError(
        "DESCRIPTION_MISMATCH",
        `Decode the device: subsection "${key}" is not where it should be`,
        {
          offset: at,
          field: key,
        },
      );
    }
    reader.advance(header);
    fields.set(key, decodeFields(reader, subsection));
  }
  return fields;
}

/** The inverse of {@link decodeFields}: the bytes depend on the values and the description only. */
export function encodeFields(writer: Writer, state: DescribedState, fields: DeviceFields): void {
  for (const { key, entries, isArray } of fieldGroups(state)) {
    const value = fields.get(key) as DeviceValue;
    const elements = isArray ? (value as readonly DeviceValue[]) : [value];
    let next = 0;
    for (const field of entries) {
      for (let i = 0; i < (field.arrayLength ?? 1); i++) encodeElement(writer, field, elements[next++]);
    }
  }
  const keys = new Map(fieldGroups(state).map(({ key }) => [key, null]));
  for (const [key, subsection] of subsectionKeys(state, keys)) {
    writer.u8(QEMU_VM_SUBSECTION);
    writer.countedString(subsection.name ?? "");
    writer.u32(subsection.version);
    encodeFields(writer, subsection, fields.get(key) as DeviceFields);
  }
}

interface FieldGroup {
  readonly key: string;
  readonly entries: readonly DescribedField[];
  readonly isArray: boolean;
}

/** Entries that follow each other under one name are the elements of one array. */
function fieldGroups(state: DescribedState): readonly FieldGroup[] {
  const known = groups.get(state);
  if (known !== undefined) return known;
  const result: { key: string; entries: DescribedField[]; isArray: boolean }[] = [];
  const used = new Set<string>();
  for (const field of state.fields ?? []) {
    const last = result.at(-1);
    if (last?.entries[0].name === field.name) {
      last.entries.push(field);
      last.isArray = true;
    } else {
      const isArray = field.arrayLength !== null || field.index !== null;
      result.push({ key: uniqueKey(field.name, used), entries: [field], isArray });
    }
  }
  groups.set(state, result);
  return result;
}
const groups = new WeakMap<DescribedState, readonly FieldGroup[]>();

function* subsectionKeys(
  state: DescribedState,
  fields: { keys(): Iterable<string> },
): Generator<[string, DescribedState]> {
  const used = new Set(fields.keys());
  for (const subsection of state.subsections ?? []) yield [uniqueKey(subsection.name ?? "", used), subsection];
}

/** `name`, or `name#2` and so on for the further ones. */
function uniqueKey(name: string, used: Set<string>): string {
  let key = name;
  for (let n = 2; used.has(key); n++) key = `${name}#${n}`;
  used.add(key);
  return key;
}

function isHeader(reader: Reader, { name, version }: DescribedState): boolean {
  const length = encodeName(name ?? "").length;
  return (
    reader.peekU8() === QEMU_VM_SUBSECTION &&
    reader.peekU8(1) === length &&
    reader.peekText(2, length) === name &&
    reader.peekU32(2 + length) === version >>> 0
  );
}

function decodeElements(reader: Reader, field: DescribedField): DeviceValue[] {
  const elements: DeviceValue[] = [];
  const count = field.arrayLength ?? 1;
  for (let i = 0; i < count; i++) {
    const at = reader.offset;
    if (!reader.has(field.size)) throw mismatch(field, at, `${field.size} bytes are more than the section has`);
    // Elements of no bytes could be as many as a hostile description likes.
    if (field.size === 0 && count > 1) return [];
    elements.push(decodeElement(reader, field));
    if (reader.offset !== at + field.size) {
      throw mismatch(field, at, `it takes ${reader.offset - at} bytes instead of ${field.size}`);
    }
  }
  return elements;
}

function mismatch(field: DescribedField, offset: number, problem: string): StreamError {
  return new StreamError("DESCRIPTION_MISMATCH", `Decode the device: ${problem}`, { offset, field: field.name });
}

/** How the bytes of one element are to be read; both directions ask, so that they agree. */
function formOf(
  field: DescribedField,
): "scalar" | "bool" | "timer" | "null" | "state" | "states" | "list" | "tree" | "text" | "bytes" {
  const { type, size, struct, inline } = field;
  if (type === "nullptr" && size === 1) return "null";
  if (type === "bool" && size === 1) return "bool";
  if (type === "timer" && size === 8) return "timer";
  if (SCALARS.get(type)?.size === size) return "scalar";
  if (struct !== null) return struct.fields === null && size === 1 ? "null" : "state";
  if (type === "capability" && size > 0) return "text";
  const content = inline.reduce((sum, child) => sum + wireSize(child), 0);
  if ((type === "qtailq" || type === "qlist") && content + inline.length + 1 === size) return "list";
  if (type === "gtree") {
    // Keys are numbers, or have a description of their own, which then comes before that of the value.
    const direct = 4 + inline.length * 9 + content + 1 === size;
    const keyed = inline.length % 2 === 0 && 4 + inline.length / 2 + content + 1 === size;
    return direct || keyed ? "tree" : "bytes";
  }
  if (inline.length === 1 && content === size) return "state";
  if (inline.length > 1 && content === size) return "states";
  return "bytes";
}

function hasDirectKeys({ inline, size }: DescribedField): boolean {
  return 4 + inline.length * 9 + inline.reduce((sum, child) => sum + wireSize(child), 0) + 1 === size;
}

function decodeElement(reader: Reader, field: DescribedField): DeviceValue {
  const { type, size, struct, inline } = field;
  switch (formOf(field)) {
    case "scalar":
      return (SCALARS.get(type) as Scalar).get(reader);
    case "bool": {
      const byte = reader.u8();
      return byte > 1 ? byte : byte === 1;
    }
    case "timer": {
      const expiry = reader.u64();
      return expiry === NOT_ARMED ? null : expiry;
    }
    case "null":
      return expectByte(reader, VMS_NULLPTR_MARKER, field) ? null : null;
    case "state":
      return decodeFields(reader, struct ?? inline[0]);
    case "states":
      return inline.map((child) => decodeFields(reader, child));
    case "list": {
      const elements = inline.map((child) => {
        expectByte(reader, 1, field);
        return decodeFields(reader, child);
      });
      expectByte(reader, 0, field);
      return elements;
    }
    case "tree":
      return decodeTree(reader, field);
    case "text": {
      const length = reader.u8();
      if (length + 1 !== size)
        throw mismatch(field, reader.offset - 1, `it is a text of ${length} bytes, not ${size - 1}`);
      return reader.text(length);
    }
    case "bytes":
      return reader.bytes(size);
  }
}

function decodeTree(reader: Reader, field: DescribedField): DeviceValue {
  const { inline } = field;
  const direct = hasDirectKeys(field);
  const count = reader.u32();
  const nodes: DeviceFields[] = [];
  for (let i = 0; i < inline.length; i += direct ? 1 : 2) {
    expectByte(reader, 1, field);
    const key = direct ? reader.u64() : decodeFields(reader, inline[i]);
    nodes.push(
      new Map<string, DeviceValue>([
        ["key", key],
        ["value", decodeFields(reader, inline[direct ? i : i + 1])],
      ]),
    );
  }
  expectByte(reader, 0, field);
  if (count !== nodes.length)
    throw mismatch(field, reader.offset, `the tree has ${nodes.length} nodes and says ${count}`);
  return nodes;
}

function expectByte(reader: Reader, byte: number, field: DescribedField): true {
  const found = reader.u8();
  if (found === byte) return true;
  const text = `marker 0x${byte.toString(16)} was expected and 0x${found.toString(16)} found`;
  throw mismatch(field, reader.offset - 1, text);
}

function encodeElement(writer: Writer, field: DescribedField, value: DeviceValue): void {
  const { type, struct, inline } = field;
  switch (formOf(field)) {
    case "scalar":
      return (SCALARS.get(type) as Scalar).put(writer, value as number & bigint);
    case "bool":
      return writer.u8(Number(value));
    case "timer":
      return writer.u64((value as bigint | null) ?? NOT_ARMED);
    case "null":
      return writer.u8(VMS_NULLPTR_MARKER);
    case "state":
      return encodeFields(writer, struct ?? inline[0], value as DeviceFields);
    case "states":
      return inline.forEach((child, i) => encodeFields(writer, child, (value as readonly DeviceFields[])[i]));
    case "list":
      inline.forEach((child, i) => {
        writer.u8(1);
        encodeFields(writer, child, (value as readonly DeviceFields[])[i]);
      });
      return writer.u8(0);
    case "tree":
      return encodeTree(writer, field, value as readonly DeviceFields[]);
    case "text":
      return writer.countedString(value as string);
    case "bytes":
      return writer.bytes(value as Uint8Array);
  }
}

function encodeTree(writer: Writer, field: DescribedField, nodes: readonly DeviceFields[]): void {
  const { inline } = field;
  const direct = hasDirectKeys(field);
  writer.u32(nodes.length);
  nodes.forEach((node, i) => {
    writer.u8(1);
    if (direct) writer.u64(node.get("key") as bigint);
    else encodeFields(writer, inline[2 * i], node.get("key") as DeviceFields);
    encodeFields(writer, inline[direct ? i : 2 * i + 1], node.get("value") as DeviceFields);
  });
  writer.u8(0);
}
