import { StateError } from "../errors.js";
import { arrayOf, assign, atField, objectOf, valueOf, wrapHookError, type Properties } from "./access.js";
import { ABSENT, Part, draftBehind, lengthOf, listOf, resized, slice, type DraftLike } from "./part.js";
import { replace as replaceBySpan, restore, Span } from "./arena.js";
import type { Layout } from "./plan.js";
import type { AnyField, MutableArrayLike } from "./types.js";

/** Writing a draft to its device, and taking it back. */

/** Takes one step of a commit back. */
export type Undo = () => void;

/** Take every step back, last one first; a step that fails does not keep the others from being tried. */
export function rollBack(undo: readonly Undo[]): void {
  for (let i = undo.length - 1; i >= 0; i--) attempt(() => undo[i]?.());
}

function attempt(step: Undo): void {
  try {
    step();
  } catch {
    // The error that led here is the one to report.
  }
}

/**
 * Write the values of one layer, slot by slot. What all properties held before is read first and kept in one array: a
 * closure a value would cost more than all the rest of a load.
 */
export function commitLayer(layout: Layout, values: readonly unknown[], device: object, undo: Undo[]): void {
  const { properties, fields } = layout;
  const had = new Array<unknown>(values.length);
  let i = 0;
  let reached = 0;
  try {
    try {
      layout.order.read(device as Properties, had, MISSING);
    } catch {
      // A getter failed: perhaps one that does not matter, else the error shall name its field.
      for (; i < values.length; i++) {
        const property = properties[i];
        if (property !== null && values[i] !== ABSENT) had[i] = held(device, property);
      }
      i = 0;
    }
    undo.push(() => {
      for (let k = reached; k >= 0; k--) {
        const property = properties[k] ?? null;
        if (property === null || values[k] === ABSENT) continue;
        attempt(() => putBack(device as Properties, property, had[k]));
      }
    });
    for (; i < values.length; i++) {
      const value = values[i];
      if (value === ABSENT) continue;
      const property = properties[i];
      if (property !== null) (device as Properties)[property] = value;
      else if (value instanceof Part) commitPart(value, device, undo);
      else replace(fields[i], device, value, undo);
    }
    reached = i;
  } catch (error) {
    reached = i;
    const value = values[i];
    const field = value instanceof Part ? value.field : fields[i];
    throw atField(wrapHookError(error, "Commit the loaded state"), field.name);
  }
}

/** The device did not have the property. */
const MISSING = Symbol("missing");

function held(device: object, property: string): unknown {
  return property in device ? (device as Properties)[property] : MISSING;
}

function putBack(device: Properties, property: string, had: unknown): void {
  if (had === MISSING) Reflect.deleteProperty(device, property);
  else device[property] = had;
}

/** Assign a property of the device. */
export function commitProperty(device: object, property: string, value: unknown, undo: Undo[]): void {
  const had = held(device, property);
  undo.push(() => putBack(device as Properties, property, had));
  (device as Properties)[property] = value;
}

/** Replace a field's whole value. */
function replace(field: AnyField, device: object, value: unknown, undo: Undo[]): void {
  if (field.get === null) {
    commitProperty(device, field.name, value, undo);
    return;
  }
  const had = valueOf(field, device);
  undo.push(() => assign(field, device, had));
  assign(field, device, value);
}

function commitPart(part: Part, device: object, undo: Undo[]): void {
  const { field, loaded, view } = part;
  const { wire } = field;
  const whole = view !== ABSENT;
  const value = whole ? view : loaded;
  switch (wire.kind) {
    case "array":
    case "buffer":
      if (value instanceof Span && placeSpan(field, device, value, wire.start, undo)) return;
      place(field, device, listOf(value), whole ? 0 : wire.start, whole || wire.max !== null, undo);
      return;
    case "bitmap":
      place(field, device, value as ArrayLike<unknown>, 0, whole || wire.max !== null, undo);
      return;
    case "struct":
    case "temporary":
      if (loaded !== ABSENT) (loaded as DraftLike).commit(undo);
      return;
    case "structs": {
      const elements = Array.from(value as ArrayLike<unknown>, (element) => committed(element, undo));
      place(field, device, elements, whole ? 0 : wire.start, whole || wire.max !== null, undo);
      return;
    }
    case "list":
      place(
        field,
        device,
        Array.from(value as ArrayLike<unknown>, (element) => committed(element, undo)),
        0,
        true,
        undo,
      );
      return;
    case "tree": {
      const target = objectOf(field.name, valueOf(field, device));
      if (!(target instanceof Map)) throw new StateError("FIELD_INVALID", `Use ${field.name}: it must be a Map`);
      commitMap(target as Map<unknown, unknown>, value as Iterable<readonly [unknown, unknown]>, undo);
      return;
    }
    default:
      replace(field, device, value, undo);
  }
}

/** The object itself that goes into a container, committed if it is a draft. */
function committed(element: unknown, undo: Undo[]): unknown {
  const draft = draftBehind(element);
  draft?.commit(undo);
  return draft === null ? element : draft.device;
}

/**
 * Put `list` into the device's array from `start` on. `exact`: the array then ends where the list does, which may need
 * another typed array; else it must have the room, and what is behind stays.
 */
function place(
  field: AnyField,
  device: object,
  list: ArrayLike<unknown>,
  start: number,
  exact: boolean,
  undo: Undo[],
): void {
  const end = start + list.length;
  const held = valueOf(field, device);
  const fits = Array.isArray(held) || (held !== null && held !== undefined && lengthOf(held) === end);
  if (exact && !fits) {
    const whole = resized(held ?? list, end);
    copyInto(whole, start, list);
    replace(field, device, whole, undo);
    return;
  }
  const target = arrayOf<unknown>(field, device, exact ? 0 : end);
  const { length } = target;
  const before = slice(target, start, end);
  const behind = exact && Array.isArray(target) ? slice(target, end, length) : [];
  undo.push(() => {
    if (Array.isArray(target)) target.length = length;
    copyInto(target, start, before);
    copyInto(target, end, behind);
  });
  if (exact && Array.isArray(target)) target.length = end;
  copyInto(target, start, list);
}

/** As {@link place}, if the device's array is of the kind of the span. */
function placeSpan(field: AnyField, device: object, span: Span, start: number, undo: Undo[]): boolean {
  const target = valueOf(field, device);
  if (!ArrayBuffer.isView(target) || (target as Uint8Array).length < start + span.length) return false;
  if (!replaceBySpan(span, target, start)) return false;
  undo.push(() => restore(span, target, start));
  return true;
}

function commitMap(target: Map<unknown, unknown>, entries: Iterable<readonly [unknown, unknown]>, undo: Undo[]): void {
  const had = [...target];
  undo.push(() => {
    target.clear();
    for (const [key, element] of had) target.set(key, element);
  });
  target.clear();
  for (const [key, element] of entries) target.set(committed(key, undo), committed(element, undo));
}

function copyInto(target: MutableArrayLike<unknown>, start: number, list: ArrayLike<unknown>): void {
  if (ArrayBuffer.isView(target) && ArrayBuffer.isView(list)) {
    (target as unknown as Uint8Array).set(list as unknown as Uint8Array, start);
    return;
  }
  for (let i = 0; i < list.length; i++) target[start + i] = list[i];
}
