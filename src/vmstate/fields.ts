import { counted, field, fixed, type AnyOptions, type ContainerLens, type FieldOptions } from "./field.js";
import type {
  AnyCodec,
  AnyField,
  AnyVMState,
  Codec,
  Count,
  DeviceOf,
  Field,
  FieldKind,
  MutableArrayLike,
} from "./types.js";

/**
 * Field constructors: the vocabulary of {@link vmstate}. Names follow QEMU's VMSTATE_ macros where there is one.
 * Scalars are in scalars.ts, containers here.
 */

export * from "./scalars.js";
export type { ContainerLens, FieldOptions, Lens } from "./field.js";

/** What arrays are made of: a scalar, or a described struct. */
type Element = AnyCodec | AnyVMState;
type ElementsOf<E> = E extends AnyVMState
  ? { readonly length: number; readonly [index: number]: DeviceOf<E> }
  : E extends Codec<infer V>
    ? MutableArrayLike<V>
    : never;

interface ArrayOptions {
  /** First element of the device's array that takes part; 0 when absent. */
  readonly start?: number;
}

interface GrowOptions {
  /** The count may exceed what the device's array holds now, up to this; the array is grown or replaced. */
  readonly max?: number;
  /** Makes a missing element of an array of structs. */
  readonly create?: () => object;
}

function arrayKind(of: Element, count: Count, options: ArrayOptions & GrowOptions): FieldKind {
  const { start = 0, max = null, create = null } = options;
  if ("fields" in of) {
    return { kind: "structs", state: of, version: null, count, start, max, pointers: "inline", create };
  }
  return { kind: "array", codec: of, count, start, max, nullable: false };
}

/**
 * Exactly `n` elements. QEMU's arrays of two dimensions are the same bytes and the same description as a flat array of
 * `rows * columns` elements, row by row.
 */
export function array<const N extends string, E extends Element, S = unknown>(
  name: N,
  of: E,
  n: number,
  options?: FieldOptions<S> & ArrayOptions,
): Field<{ [K in N]: ElementsOf<E> } & S>;
export function array<E extends Element, D>(
  name: string,
  of: E,
  n: number,
  options: ContainerLens<D, ElementsOf<E>> & ArrayOptions,
): Field<D>;
export function array(name: string, of: Element, n: number, options: AnyOptions & ArrayOptions = {}): AnyField {
  return field(name, arrayKind(of, fixed(name, n), options), options);
}

/**
 * As many elements as the property `count` of the device says (times `multiply`): what was just loaded under that name,
 * by a property or a lens, else what the device holds.
 */
export function varray<const N extends string, E extends Element, const C extends string, S = unknown>(
  name: N,
  of: E,
  count: C,
  options?: FieldOptions<S> & ArrayOptions & GrowOptions & { readonly multiply?: number },
): Field<{ [K in N]: ElementsOf<E> } & { [K in C]: number } & S>;
export function varray<E extends Element, const C extends string, D>(
  name: string,
  of: E,
  count: C,
  options: ContainerLens<D, ElementsOf<E>> & ArrayOptions & GrowOptions & { readonly multiply?: number },
): Field<D & { [K in C]: number }>;
export function varray(
  name: string,
  of: Element,
  count: string,
  options: AnyOptions & ArrayOptions & GrowOptions & { readonly multiply?: number } = {},
): AnyField {
  return field(name, arrayKind(of, counted(count, options.multiply), options), options);
}

/** A nested struct: its fields in place, no name and no version on the wire. */
export function struct<const N extends string, T extends AnyVMState, S = unknown>(
  name: N,
  state: T,
  options?: FieldOptions<S>,
): Field<{ [K in N]: DeviceOf<T> } & S>;
export function struct<T extends AnyVMState, D>(
  name: string,
  state: T,
  options: ContainerLens<D, DeviceOf<T>>,
): Field<D>;
export function struct(name: string, state: AnyVMState, options?: AnyOptions): AnyField {
  return field(name, { kind: "struct", state, version: null }, options);
}

/** A nested struct at a version of its own, not its newest. */
export function vstruct<const N extends string, T extends AnyVMState, S = unknown>(
  name: N,
  state: T,
  version: number,
  options?: FieldOptions<S>,
): Field<{ [K in N]: DeviceOf<T> } & S> {
  return field(name, { kind: "struct", state, version }, options as AnyOptions);
}

interface PointerOptions {
  /** See {@link pointers}; "marker" when absent. */
  readonly mode?: "marker" | "auto";
  /** Makes an element that the device does not have. */
  readonly create?: () => object;
}

/**
 * An array of pointers to structs, any of which may be null; `n` is how many, or the property that says it. `mode`
 * "marker" (QEMU up to 10): the loading device's own array says which are null, and the stream must agree. "auto"
 * (newest QEMU): the stream says it, and `create` makes what is missing.
 */
export function pointers<const N extends string, T extends AnyVMState, S = unknown>(
  name: N,
  state: T,
  n: number,
  options?: FieldOptions<S> & PointerOptions,
): Field<{ [K in N]: { readonly length: number; [index: number]: DeviceOf<T> | null } } & S>;
export function pointers<const N extends string, T extends AnyVMState, const C extends string, S = unknown>(
  name: N,
  state: T,
  n: C,
  options?: FieldOptions<S> & PointerOptions,
): Field<{ [K in N]: { readonly length: number; [index: number]: DeviceOf<T> | null } } & { [K in C]: number } & S>;
export function pointers(
  name: string,
  state: AnyVMState,
  n: number | string,
  options: AnyOptions & PointerOptions = {},
): AnyField {
  const { mode = "marker", create = null } = options;
  const count = typeof n === "number" ? fixed(name, n) : counted(n);
  const wire: FieldKind = { kind: "structs", state, version: null, count, start: 0, max: null, pointers: mode, create };
  return field(name, wire, options);
}

/**
 * An array of `n` pointers to scalars, also to timers; undefined stands for a null pointer. The loading device's own
 * array says which are null, and the stream must agree.
 */
export function scalarPointers<const N extends string, V, S = unknown>(
  name: N,
  of: Codec<V>,
  n: number,
  options?: FieldOptions<S>,
): Field<{ [K in N]: (V | undefined)[] } & S> {
  const codec = of as Codec<unknown>;
  const wire: FieldKind = { kind: "array", codec, count: fixed(name, n), start: 0, max: null, nullable: true };
  return field(name, wire, options as AnyOptions);
}

interface BufferOptions {
  /** First byte of the device's buffer that takes part; 0 when absent. */
  readonly start?: number;
}

/** `size` raw bytes. */
export function buffer<const N extends string, S = unknown>(
  name: N,
  size: number,
  options?: FieldOptions<S> & BufferOptions,
): Field<{ [K in N]: Uint8Array } & S>;
export function buffer<D>(name: string, size: number, options: ContainerLens<D, Uint8Array> & BufferOptions): Field<D>;
export function buffer(name: string, size: number, options: AnyOptions & BufferOptions = {}): AnyField {
  return field(name, { kind: "buffer", size: fixed(name, size), start: options.start ?? 0, max: null }, options);
}

/** As many raw bytes as the property `size` of the device says, times `multiply`. */
export function vbuffer<const N extends string, const C extends string, S = unknown>(
  name: N,
  size: C,
  options: FieldOptions<S> & BufferOptions & { readonly multiply?: number; readonly max?: number } = {},
): Field<{ [K in N]: Uint8Array } & { [K in C]: number } & S> {
  const { start = 0, max = null, multiply } = options;
  return field(name, { kind: "buffer", size: counted(size, multiply), start, max }, options as AnyOptions);
}

/** `size` bytes without meaning: zeros when saved, anything when loaded. Give them a name if the description has one. */
export function unused<S = unknown>(
  size: number,
  options: FieldOptions<S> & { readonly name?: string } = {},
): Field<S> {
  const { name = "unused" } = options;
  fixed(name, size);
  return field(name, { kind: "unused", size }, options as AnyOptions);
}

/** `bits` bits in a Uint8Array, bit k in byte k/8 at k%8; on the wire be64 words, lowest first. */
export function bitmap<const N extends string, S = unknown>(
  name: N,
  bits: number,
  options?: FieldOptions<S>,
): Field<{ [K in N]: Uint8Array } & S>;
/** The property `bits` of the device says how many. */
export function bitmap<const N extends string, const C extends string, S = unknown>(
  name: N,
  bits: C,
  options?: FieldOptions<S> & { readonly max?: number },
): Field<{ [K in N]: Uint8Array } & { [K in C]: number } & S>;
export function bitmap(
  name: string,
  bits: number | string,
  options: AnyOptions & { readonly max?: number } = {},
): AnyField {
  const count = typeof bits === "number" ? fixed(name, bits) : counted(bits);
  return field(name, { kind: "bitmap", bits: count, max: options.max ?? null }, options);
}

interface ListOptions {
  /** Makes an element before it is loaded; a plain object when absent. */
  readonly create?: () => object;
  /** Most elements a stream may bring. */
  readonly max?: number;
}

/** A list of described elements, each announced by a byte 1 and ended by a byte 0 (QTAILQ). */
export function tailq<const N extends string, T extends AnyVMState, S = unknown>(
  name: N,
  state: T,
  options: FieldOptions<S> & ListOptions = {},
): Field<{ [K in N]: DeviceOf<T>[] } & S> {
  const { create = null, max = null } = options;
  return field(name, { kind: "list", type: "qtailq", state, create, max }, options as AnyOptions);
}

/** As {@link tailq}, of QEMU's QLIST. */
export function list<const N extends string, T extends AnyVMState, S = unknown>(
  name: N,
  state: T,
  options: FieldOptions<S> & ListOptions = {},
): Field<{ [K in N]: DeviceOf<T>[] } & S> {
  const { create = null, max = null } = options;
  return field(name, { kind: "list", type: "qlist", state, create, max }, options as AnyOptions);
}

/** A sorted tree with be64 keys: a Map in ascending order of its keys. */
export function tree<const N extends string, T extends AnyVMState, S = unknown>(
  name: N,
  value: T,
  options: FieldOptions<S> & ListOptions = {},
): Field<{ [K in N]: Map<bigint, DeviceOf<T>> } & S> {
  const { create = null, max = null } = options;
  return field(name, { kind: "tree", key: null, value, create, max, compare: null }, options as AnyOptions);
}

/** A sorted tree with described keys: a Map, written in the order of `compare` (as it stands when absent). */
export function keyedTree<const N extends string, KT extends AnyVMState, T extends AnyVMState, S = unknown>(
  name: N,
  key: KT,
  value: T,
  options: FieldOptions<S> & ListOptions & { readonly compare?: (a: DeviceOf<KT>, b: DeviceOf<KT>) => number } = {},
): Field<{ [K in N]: Map<DeviceOf<KT>, DeviceOf<T>> } & S> {
  const { create = null, max = null, compare = null } = options;
  return field(name, { kind: "tree", key, value, create, max, compare }, options as AnyOptions);
}

/**
 * Fields of a temporary object that knows its parent: `create(parent)` makes it, its preSave fills it from the parent,
 * its postLoad (where `parent` is the parent's draft) puts the result back. Saved and loaded at the version of `state`.
 */
export function temporary<P, T extends AnyVMState>(
  name: string,
  state: T,
  create: (parent: P) => DeviceOf<T> & object,
  options: FieldOptions<P> = {},
): Field<P> {
  return field(name, { kind: "temporary", state, create: create }, options);
}

/** No data: a load fails with `name` as the message unless `valid` holds at this point; a save that finds it false throws. */
export function validate<S>(name: string, valid: (state: S, version: number) => boolean): Field<S> {
  return field(name, { kind: "validate" }, { exists: valid });
}
