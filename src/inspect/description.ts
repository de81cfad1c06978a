import { encodeName } from "../stream/names.js";
import { JsonWriter } from "../vmstate/vmdesc.js";
import { JsonCursor } from "./json-cursor.js";

/**
 * The JSON description behind a stream as data ("vmdescription" of the stream chapter): what every device section
 * consists of, field by field. It describes one saved state, not a device type: lengths are those of this stream.
 */
export interface Description {
  /** Since QEMU 10.0: the configuration section. */
  readonly configuration: DescribedState | null;
  readonly pageSize: number | null;
  readonly devices: readonly DescribedDevice[];
}

export interface DescribedDevice {
  readonly name: string;
  readonly instance: number;
  /** Old-style devices: the whole section body, in bytes; null for described ones. */
  readonly size: number | null;
  readonly state: DescribedState;
}

export interface DescribedState {
  /** Null for an old-style device, and for a null pointer to a struct. */
  readonly name: string | null;
  readonly version: number;
  readonly fields: readonly DescribedField[] | null;
  readonly subsections: readonly DescribedState[] | null;
}

export interface DescribedField {
  readonly name: string;
  /** Elements that this one entry stands for; null for one. */
  readonly arrayLength: number | null;
  /** Place in its array. Not to be relied on: 10.0 leaves it out of the last element, 11.1 out of all. */
  readonly index: number | null;
  readonly type: string;
  readonly struct: DescribedState | null;
  /** Children whose keys stand directly in the entry: one for tmp and vstruct, one per element for containers. */
  readonly inline: readonly DescribedState[];
  /** Bytes of one element. */
  readonly size: number;
}

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Parse the text of a description. Unknown keys are skipped, keys may repeat.
 * @throws StreamError DESCRIPTION_INVALID
 */
export function parseDescription(text: string): Description {
  const json = new JsonCursor(text);
  const result: Draft<Description> = { configuration: null, pageSize: null, devices: [] };
  const devices: DescribedDevice[] = [];
  let listed = false;
  json.object((key) => {
    if (key === "configuration") result.configuration = readState(json);
    else if (key === "page_size") result.pageSize = json.integer();
    else if (key === "devices") {
      listed = true;
      json.array(() => devices.push(readDevice(json)));
    } else json.skip();
  });
  if (!json.done) throw json.error("text follows the object");
  if (!listed) throw json.error('it has no "devices"');
  result.devices = devices;
  return result;
}

function readDevice(json: JsonCursor): DescribedDevice {
  const device = { name: "", instance: 0, size: null as number | null };
  const state = emptyState();
  json.object((key) => {
    if (key === "name") device.name = json.string();
    else if (key === "instance_id") device.instance = json.integer();
    else if (key === "size") device.size = length(json);
    else if (!readStateKey(json, state, key)) json.skip();
  });
  return { ...device, state };
}

function readState(json: JsonCursor): DescribedState {
  const state = emptyState();
  json.object((key) => {
    if (!readStateKey(json, state, key)) json.skip();
  });
  return state;
}

function emptyState(): Draft<DescribedState> {
  return { name: null, version: 0, fields: null, subsections: null };
}

function readStateKey(json: JsonCursor, state: Draft<DescribedState>, key: string): boolean {
  if (key === "vmsd_name") state.name = json.string();
  else if (key === "version") state.version = json.integer();
  else if (key === "fields") {
    const fields: DescribedField[] = [];
    json.array(() => fields.push(readField(json)));
    state.fields = fields;
  } else if (key === "subsections") {
    const subsections: DescribedState[] = [];
    json.array(() => subsections.push(readState(json)));
    state.subsections = subsections;
  } else return false;
  return true;
}

function readField(json: JsonCursor): DescribedField {
  const field: Draft<DescribedField> = {
    name: "",
    arrayLength: null,
    index: null,
    type: "",
    struct: null,
    inline: NONE,
    size: 0,
  };
  const inline: Draft<DescribedState>[] = [];
  json.object((key) => {
    if (key === "name") field.name = json.string();
    else if (key === "array_len") field.arrayLength = length(json);
    else if (key === "index") field.index = json.integer();
    else if (key === "type") field.type = json.string();
    else if (key === "struct") field.struct = readState(json);
    else if (key === "size") field.size = length(json);
    else {
      // Each element of a container begins its keys with "vmsd_name".
      if (key === "vmsd_name" || inline.length === 0) inline.push(emptyState());
      if (!readStateKey(json, inline[inline.length - 1], key)) json.skip();
    }
  });
  field.inline = inline.some(({ name }) => name !== null) ? inline : NONE;
  return field;
}
const NONE: readonly DescribedState[] = Object.freeze([]);

function length(json: JsonCursor): number {
  const value = json.integer();
  if (value < 0) throw json.error("a length was expected");
  return value;
}

/** Devices by name and instance. Several may bear the same: two of one kind on a bus that numbers none. */
export type DeviceIndex = ReadonlyMap<string, readonly DescribedDevice[]>;

export function indexDevices({ devices }: Description): DeviceIndex {
  const index = new Map<string, DescribedDevice[]>();
  for (const device of devices) {
    const key = keyOf(device.name, device.instance);
    const known = index.get(key);
    if (known === undefined) index.set(key, [device]);
    else known.push(device);
  }
  return index;
}

export function lookUp(index: DeviceIndex, name: string, instance: number): readonly DescribedDevice[] {
  return index.get(keyOf(name, instance)) ?? [];
}

/** QEMU prints instance ids as signed or unsigned numbers, as its release likes. */
function keyOf(name: string, instance: number): string {
  return `${instance >>> 0} ${name}`;
}

/** Bytes that a state takes on the wire, its subsections with their headers included. */
export function wireSize(state: DescribedState): number {
  let size = 0;
  for (const field of state.fields ?? []) size += field.size * (field.arrayLength ?? 1);
  for (const subsection of state.subsections ?? []) {
    size += subsectionHeaderSize(subsection) + wireSize(subsection);
  }
  return size;
}

/** Bytes in front of a subsection's fields: marker, counted name, version. */
export function subsectionHeaderSize({ name }: DescribedState): number {
  return 1 + 1 + encodeName(name ?? "").length + 4;
}

/** Bytes of a device's section body. */
export function deviceSize(device: DescribedDevice): number {
  return device.size ?? wireSize(device.state);
}

/** The text again, in QEMU's style: equal to what was parsed if nothing in it was strange to us. */
export function formatDescription({ configuration, pageSize, devices }: Description): string {
  const json = new JsonWriter();
  json.startObject();
  if (configuration !== null) {
    json.startObject("configuration");
    writeState(json, configuration);
    json.endObject();
  }
  if (pageSize !== null) json.integer("page_size", pageSize);
  json.startArray("devices");
  for (const device of devices) {
    json.startObject();
    json.string("name", device.name);
    json.integer("instance_id", device.instance);
    if (device.size !== null) json.integer("size", device.size);
    writeState(json, device.state, device.size !== null);
    json.endObject();
  }
  json.endArray();
  json.endObject();
  return json.toString();
}

function writeState(json: JsonWriter, state: DescribedState, isOldStyle = false): void {
  if (state.name !== null) {
    json.string("vmsd_name", state.name);
    json.integer("version", state.version);
  }
  if (state.fields !== null) {
    json.startArray("fields");
    for (const field of state.fields) writeField(json, field, isOldStyle);
    json.endArray();
  }
  if (state.subsections !== null) {
    json.startArray("subsections");
    for (const subsection of state.subsections) {
      json.startObject();
      writeState(json, subsection);
      json.endObject();
    }
    json.endArray();
  }
}

function writeField(json: JsonWriter, field: DescribedField, isOldStyle: boolean): void {
  json.startObject();
  json.string("name", field.name);
  if (field.arrayLength !== null) json.integer("array_len", field.arrayLength);
  if (field.index !== null) json.integer("index", field.index);
  // The one field of an old-style device has its size in front of its type.
  if (isOldStyle) json.integer("size", field.size);
  json.string("type", field.type);
  if (field.struct !== null) {
    json.startObject("struct");
    writeState(json, field.struct);
    json.endObject();
  }
  for (const child of field.inline) writeState(json, child);
  if (!isOldStyle) json.integer("size", field.size);
  json.endObject();
}
