import type { Count, Field, FieldKind, Predicate } from "./types.js";

/** What all field constructors share: options, and the making of the field itself. */

/** Options every field takes. `S` is what the predicate asks of the state, on top of the field itself. */
export interface FieldOptions<S> {
  /** First version of the description that has the field; absent from older streams, where the value stays. */
  readonly since?: number;
  /** Decides alone, whatever the version: on save it sees the device, on load the draft. */
  readonly exists?: (state: S, version: number) => boolean;
  /** Added to the message when a comparison fails. */
  readonly hint?: string;
  /** Size in memory for the static dump, where it differs from the wire size. */
  readonly memorySize?: number;
}

/**
 * The value lives somewhere else than in `device[name]`. `set` runs when the load is committed: until then hooks see
 * there what the device held before.
 */
export interface Lens<D, V> extends FieldOptions<D> {
  readonly get: (device: D) => V;
  readonly set: (device: D, value: V) => void;
}

/** As {@link Lens} for containers, which are filled in place. */
export interface ContainerLens<D, V> extends FieldOptions<D> {
  readonly get: (device: D) => V;
}

/** Options as the implementations see them. */
export interface AnyOptions {
  readonly since?: number;
  readonly exists?: Predicate;
  readonly hint?: string;
  readonly memorySize?: number;
  readonly get?: (device: never) => unknown;
  readonly set?: (device: never, value: never) => void;
}

/** Make a field. @throws RangeError for an empty name or an impossible version */
export function field<D>(name: string, wire: FieldKind, options: AnyOptions = {}): Field<D> {
  const { since = 0, exists = null, get = null, set = null, hint = null, memorySize = null } = options;
  if (name.length === 0) throw new RangeError("Describe a field: its name is empty");
  if (!Number.isInteger(since) || since < 0) throw new RangeError(`Describe field ${name}: since is ${since}`);
  return Object.freeze({ name, since, exists, get, set, hint, memorySize, wire });
}

/** A length known beforehand. @throws RangeError */
export function fixed(name: string, n: number): Count {
  if (!Number.isInteger(n) || n < 0 || n > 0x7fffffff) throw new RangeError(`Describe field ${name}: a length of ${n}`);
  return { fixed: n, from: null, multiply: 1 };
}

/** A length in a property of the device. @throws RangeError */
export function counted(from: string, multiply = 1): Count {
  if (!Number.isInteger(multiply) || multiply < 1)
    throw new RangeError(`Describe a length by ${from}: times ${multiply}`);
  return { fixed: null, from, multiply };
}
