import { StateError, isMigrationError } from "../errors.js";
import type { AnyField, Count, MutableArrayLike } from "./types.js";

/** Reading a device through its fields: shared by save, load and the draft. */

export type Properties = Record<string, unknown>;

/** What the field describes: through its lens, or the property of its name. */
export function valueOf(field: AnyField, device: object): unknown {
  return field.get === null ? (device as Properties)[field.name] : field.get(device as never);
}

/** Put a whole value where the field says. */
export function assign(field: AnyField, device: object, value: unknown): void {
  if (field.set !== null) field.set(device as never, value as never);
  else if (field.get === null) (device as Properties)[field.name] = value;
  else throw new StateError("FIELD_INVALID", `Replace ${field.name}: its container is found by a getter only`);
}

/** Elements or bytes that a count stands for; `of.read` looks up a property. QEMU reads these counts as int32. */
export function countOf(count: Count, of: { read(name: string): unknown }): number {
  if (count.fixed !== null) return count.fixed;
  const value = of.read(count.from);
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0x7fffffff) {
    throw new StateError("LENGTH_OUT_OF_RANGE", `Read the length in ${count.from}: it is ${String(value)}`);
  }
  return value * count.multiply;
}

/** The device's array, long enough for `end` elements. */
export function arrayOf<V>(field: AnyField, device: object, end: number): MutableArrayLike<V> {
  const value = valueOf(field, device);
  if (typeof value !== "object" || value === null || !("length" in value)) {
    throw new StateError("FIELD_INVALID", `Use ${field.name}: it must be an array, it is ${String(value)}`);
  }
  const list = value as MutableArrayLike<V>;
  if (list.length < end) {
    throw new StateError(
      "LENGTH_OUT_OF_RANGE",
      `Use ${field.name}: ${end} elements are wanted, the device has room for ${list.length}`,
    );
  }
  return list;
}

/** The device's bytes, at least `end` of them. */
export function bytesOf(field: AnyField, device: object, end: number): Uint8Array {
  const value = valueOf(field, device);
  if (!(value instanceof Uint8Array)) {
    throw new StateError("FIELD_INVALID", `Use ${field.name}: it must be a Uint8Array, it is ${String(value)}`);
  }
  if (value.length < end) {
    throw new StateError(
      "LENGTH_OUT_OF_RANGE",
      `Use ${field.name}: ${end} bytes are wanted, the device has room for ${value.length}`,
    );
  }
  return value;
}

/** The device's nested object. */
export function objectOf(name: string, value: unknown): object {
  if (typeof value !== "object" || value === null) {
    throw new StateError("FIELD_INVALID", `Use ${name}: it must be an object, it is ${String(value)}`);
  }
  return value;
}

/** Whatever a device's own code threw becomes a StateError that keeps it as its cause. */
export function wrapHookError(error: unknown, action: string): unknown {
  if (isMigrationError(error)) return error;
  return new StateError("HOOK_FAILED", `${action}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}

/** Add the field's name to an error of ours on its way up; the reason of an abort passes unchanged. */
export function atField(error: unknown, step: string): unknown {
  return isMigrationError(error) ? error.prependField(step) : error;
}

/** Call a device's own code, yield the promise it may return, and wrap what it throws. */
export function* runHook(
  hook: () => void | PromiseLike<void>,
  action: string,
): Generator<PromiseLike<unknown>, void, void> {
  const wrap = (error: unknown): never => {
    throw wrapHookError(error, action);
  };
  let result: void | PromiseLike<void>;
  try {
    result = hook();
  } catch (error) {
    return wrap(error);
  }
  // Wrapped inside the promise: what the driver throws in at the yield may be the reason of an abort.
  if (result !== undefined) yield result.then(undefined, wrap);
}
