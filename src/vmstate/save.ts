import { StateError } from "../errors.js";
import { VMS_NULLPTR_MARKER, VMS_POINTER_MARKER, QEMU_VM_SUBSECTION } from "../stream/constants.js";
import type { Writer } from "../stream/writer.js";
import { arrayOf, atField, bytesOf, countOf, objectOf, valueOf, wrapHookError, type Properties } from "./access.js";
import { bitmapWords } from "./bitmap.js";
import { integerKind } from "./codecs.js";
import type { Plain } from "./plain.js";
import { layoutOf, type Layout, type Run } from "./plan.js";
import type { AnyField, AnyVMState } from "./types.js";
import type { JsonWriter } from "./vmdesc.js";
import { describedNames, endField, isCompressible, startField, type DescriptionStyle } from "./vmdesc.js";

interface SaveRun {
  readonly writer: Writer;
  readonly style: DescriptionStyle;
}

/**
 * Write the state of `device` as `state` describes it, at `version` (VMState chapter, "Save"): fields in order, then
 * the needed subsections. No name and no version is written for the description itself.
 *
 * @param json gets `vmsd_name`, `version`, `fields` and `subsections`; null when nobody wants the description
 * @throws StateError with the field's path; HOOK_FAILED when the device's own code threw
 */
export function saveVMState(
  writer: Writer,
  state: AnyVMState,
  device: object,
  version: number = state.version,
  json: JsonWriter | null = null,
  style: DescriptionStyle = "8.2",
): void {
  saveState({ writer, style }, state, device, version, json);
}

/** False when the description says that it need not be saved at all. */
export function isNeeded(state: AnyVMState, device: object): boolean {
  const { needed } = state.hooks;
  try {
    return needed === null || needed(device as never);
  } catch (error) {
    throw wrapHookError(error, `Ask whether "${state.name}" is needed`);
  }
}

function saveState(run: SaveRun, state: AnyVMState, device: object, version: number, json: JsonWriter | null): void {
  const { preSave, postSave } = state.hooks;
  try {
    preSave?.(device as never);
  } catch (error) {
    throw wrapHookError(error, `Run preSave of "${state.name}"`);
  }
  let failure: { readonly error: unknown } | null = null;
  try {
    if (json === null) saveSteps(run, state, device, version);
    else saveDescribed(run, state, device, version, json);
    saveSubsections(run, state, device, json);
  } catch (error) {
    failure = { error };
  }
  // As in QEMU, postSave follows a failure too, and its own failure counts only if it is the first.
  try {
    postSave?.(device as never);
  } catch (error) {
    failure ??= { error: wrapHookError(error, `Run postSave of "${state.name}"`) };
  }
  if (failure !== null) throw failure.error;
}

/** All fields, and their description. */
function saveDescribed(run: SaveRun, state: AnyVMState, device: object, version: number, json: JsonWriter): void {
  json.string("vmsd_name", state.name);
  json.integer("version", version);
  json.startArray("fields");
  const names = describedNames(state);
  state.fields.forEach((field, i) => saveOne(run, field, device, version, json, names[i] ?? field.name));
  json.endArray();
}

/** All fields: by the code for them, else adjacent scalars a run at a time. */
function saveSteps(run: SaveRun, state: AnyVMState, device: object, version: number): void {
  const layout = layoutOf(state);
  const plain = layout.plain(version);
  if (plain !== null && savePlain(run.writer, plain, device)) return;
  const steps = layout.steps(version);
  const values = new Array<unknown>(layout.size);
  const read = layout.quiet && steps.length > 0 && readProperties(layout, device, values);
  for (const step of steps) {
    if (step.field === null) saveRun(run.writer, step, device, values, read);
    else saveOne(run, step.field, device, version, null, step.field.name);
  }
}

/** False if the code does not fit the device, or a value the field: the long way tells which. */
function savePlain(writer: Writer, plain: Plain, device: object): boolean {
  try {
    return writer.encode(plain.size, plain, device);
  } catch {
    return false;
  }
}

/** False if a getter failed: then each field is read when its turn comes, and the error names it. */
function readProperties({ order }: Layout, device: object, values: unknown[]): boolean {
  try {
    order.read(device as Properties, values, undefined);
    return true;
  } catch {
    return false;
  }
}

function saveOne(
  run: SaveRun,
  field: AnyField,
  device: object,
  version: number,
  json: JsonWriter | null,
  name: string,
): void {
  try {
    if (fieldExists(field, device, version)) saveField(run, field, device, json, name);
  } catch (error) {
    throw atField(wrapHookError(error, `Save ${field.name}`), field.name);
  }
}

/** `read`: the values of properties are in their slots already. */
function saveRun(writer: Writer, run: Run, device: object, values: unknown[], read: boolean): void {
  const { fields, codecs, sizes, putKinds, slots, lenses } = run;
  let i = 0;
  try {
    if (read) {
      for (i of lenses) values[slots[i]] = valueOf(fields[i], device);
    } else {
      for (; i < fields.length; i++) if (codecs[i] !== null) values[slots[i]] = valueOf(fields[i], device);
    }
    for (i = 0; i < fields.length; i++) {
      i = writer.integers(putKinds, i, values, slots);
      if (i === fields.length) return;
      const codec = codecs[i] ?? null;
      if (codec === null) writer.zeros(sizes[i] ?? 0);
      else codec.put(writer, values[slots[i]]);
    }
  } catch (error) {
    const { name } = fields[i];
    throw atField(wrapHookError(error, `Save ${name}`), name);
  }
}

function fieldExists(field: AnyField, device: object, version: number): boolean {
  if (field.exists === null) return field.since <= version;
  const exists = field.exists(device as never, version);
  if (field.wire.kind !== "validate") return exists;
  if (!exists) throw new StateError("FIELD_REQUIRED", `Save state: it is not valid, ${field.name}`);
  return false;
}

function saveSubsections(run: SaveRun, state: AnyVMState, device: object, json: JsonWriter | null): void {
  let listed = false;
  for (const subsection of state.subsections ?? []) {
    if (!isNeeded(subsection, device)) continue;
    if (json !== null) {
      if (!listed) json.startArray("subsections");
      json.startObject();
    }
    listed = true;
    const { writer } = run;
    writer.u8(QEMU_VM_SUBSECTION);
    writer.countedString(subsection.name);
    writer.u32(subsection.version);
    saveState(run, subsection, device, subsection.version, json);
    json?.endObject();
  }
  if (listed) json?.endArray();
}

/** Write `n` elements with `put`, describing each, or only the first where they are all alike. */
function saveElements(
  run: SaveRun,
  field: AnyField,
  name: string,
  n: number,
  json: JsonWriter | null,
  put: (i: number, json: JsonWriter | null) => void,
): void {
  const compressible = json !== null && isCompressible(field);
  for (let i = 0; i < n; i++) {
    const entry = json === null || (compressible && i > 0) ? null : json;
    if (entry === null) {
      put(i, null);
      continue;
    }
    const start = run.writer.offset;
    startField(entry, field, name, i, n, run.style);
    put(i, entry);
    endField(entry, field, run.writer.offset - start);
  }
}

function saveField(run: SaveRun, field: AnyField, device: object, json: JsonWriter | null, name: string): void {
  const { writer } = run;
  const { wire } = field;
  const count = (of: Parameters<typeof countOf>[0]): number =>
    of.fixed ?? countOf(of, { read: (name) => (device as Properties)[name] });
  const once = (put: (json: JsonWriter | null) => void): void =>
    saveElements(run, field, name, 1, json, (_, entry) => put(entry));
  switch (wire.kind) {
    case "scalar": {
      const { codec } = wire;
      const value = valueOf(field, device);
      if (json === null) codec.put(writer, value);
      else once(() => codec.put(writer, value));
      return;
    }
    case "array": {
      const { codec, start, nullable } = wire;
      const n = count(wire.count);
      const list = arrayOf<unknown>(field, device, start + n);
      if (json === null && !nullable && writer.list(integerKind(codec, "put"), list, start, start + n)) return;
      saveElements(run, field, name, n, json, (i) => {
        const element = list[start + i];
        try {
          if (nullable && element === undefined) writer.u8(VMS_NULLPTR_MARKER);
          else codec.put(writer, element);
        } catch (error) {
          throw atField(error, `[${i}]`);
        }
      });
      return;
    }
    case "struct":
      once((entry) => {
        const nested = objectOf(field.name, valueOf(field, device));
        saveState(run, wire.state, nested, wire.version ?? wire.state.version, entry);
      });
      return;
    case "structs": {
      const { start, state, pointers } = wire;
      const n = count(wire.count);
      const list = arrayOf<object | null>(field, device, start + n);
      saveElements(run, field, name, n, json, (i, entry) => {
        const element = list[start + i];
        if (pointers !== "inline" && element === null) {
          writer.u8(VMS_NULLPTR_MARKER);
          return;
        }
        if (pointers === "auto") writer.u8(VMS_POINTER_MARKER);
        try {
          saveState(run, state, objectOf(field.name, element), wire.version ?? state.version, entry);
        } catch (error) {
          throw atField(error, `[${i}]`);
        }
      });
      return;
    }
    case "buffer": {
      const size = count(wire.size);
      const { start } = wire;
      const bytes = bytesOf(field, device, start + size);
      once(() => writer.bytes(bytes.subarray(start, start + size)));
      return;
    }
    case "bitmap": {
      const bits = count(wire.bits);
      const bytes = bytesOf(field, device, Math.ceil(bits / 8));
      once(() => bitmapWords(bytes, bits).forEach((word) => writer.u64(word)));
      return;
    }
    case "unused":
      once(() => writer.zeros(wire.size));
      return;
    case "list": {
      const elements = arrayOf<object>(field, device, 0) as readonly object[];
      once((entry) => {
        elements.forEach((element, i) => {
          writer.u8(1);
          try {
            saveState(run, wire.state, objectOf(field.name, element), wire.state.version, entry);
          } catch (error) {
            throw atField(error, `[${i}]`);
          }
        });
        writer.u8(0);
      });
      return;
    }
    case "tree":
      once((entry) => saveTree(run, field, wire, device, entry));
      return;
    case "temporary":
      once((entry) => {
        const object = wire.create(device as never);
        saveState(run, wire.state, object, wire.state.version, entry);
      });
      return;
    case "validate":
      return;
  }
}

function saveTree(
  run: SaveRun,
  field: AnyField,
  wire: Extract<AnyField["wire"], { kind: "tree" }>,
  device: object,
  json: JsonWriter | null,
): void {
  const { writer } = run;
  const map = valueOf(field, device);
  if (!(map instanceof Map)) throw new StateError("FIELD_INVALID", `Use ${field.name}: it must be a Map`);
  const entries = [...(map as Map<unknown, unknown>)];
  const { compare } = wire;
  if (compare !== null) entries.sort(([a], [b]) => compare(a as never, b as never));
  else if (wire.key === null) entries.sort(([a], [b]) => ((a as bigint) < (b as bigint) ? -1 : 1));
  writer.u32(entries.length);
  entries.forEach(([key, value], i) => {
    writer.u8(1);
    try {
      if (wire.key === null) writer.u64(key as bigint);
      else saveState(run, wire.key, objectOf(field.name, key), wire.key.version, json);
      saveState(run, wire.value, objectOf(field.name, value), wire.value.version, json);
    } catch (error) {
      throw atField(error, `[${i}]`);
    }
  });
  writer.u8(0);
}
