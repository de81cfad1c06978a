import type { Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * Shapes of descriptions: what `vmstate()` returns and fields.ts builds. A description is data; load.ts, save.ts,
 * vmdesc.ts and dump.ts are four interpreters of it.
 *
 * `D` is always what a device must look like for the field or description to apply, so that
 * `registry.register(description, device)` is checked by the compiler. It is used contravariantly only: the fields of
 * a description add up to an intersection.
 */

declare const DEVICE: unique symbol;

/** One value of fixed size on the wire. */
export interface Codec<V> {
  /** Type name in the JSON description, as QEMU spells it. */
  readonly type: string;
  /** Bytes on the wire. */
  readonly size: number;
  /** Throws StateError FIELD_INVALID for a value that the wire type cannot hold. */
  put(writer: Writer, value: V): void;
  /** `size` bytes are there. `current` gives the value held so far, for codecs that compare. */
  get(reader: Reader, current: () => V): V;
  /** A container for `n` decoded values; a typed array where there is one. */
  list?(n: number): MutableArrayLike<V>;
  /** Instead of `get`, for values whose size only their bytes tell; see {@link VariableCodec}. */
  load?(reader: Reader, current: () => V): Decode<V>;
}

/** One value whose size on the wire varies. */
export interface VariableCodec<V> {
  /** Type name in the JSON description, as QEMU spells it. */
  readonly type: string;
  /** Throws StateError FIELD_INVALID for a value that the wire type cannot hold. */
  put(writer: Writer, value: V): void;
  /**
   * Asks for bytes as it needs them (see {@link Decode}) and throws StateError for those that it cannot take. What it
   * holds is bounded by `current`, the value so far, or by a ceiling of its own: never by a length in the stream.
   */
  load(reader: Reader, current: () => V): Decode<V>;
}

/** Any codec, for signatures that only pass it on. */
export interface AnyCodec {
  readonly type: string;
  readonly size: number;
  put(writer: Writer, value: never): void;
  get(reader: Reader, current: () => never): unknown;
}

/** Arrays and typed arrays alike. */
export interface MutableArrayLike<V> {
  readonly length: number;
  [index: number]: V;
}

/** How many elements: fixed, or in a property of the device that may have been loaded just before. */
export type Count =
  | { readonly fixed: number; readonly from: null; readonly multiply: 1 }
  | { readonly fixed: null; readonly from: string; readonly multiply: number };

/** How an array of structs holds them. */
export type PointerMode =
  /** Elements are the data. */
  | "inline"
  /** Null elements are the byte 0x30; which ones are null, the destination's own array says (QEMU up to 10). */
  | "marker"
  /** Every element starts with 0x30 (null) or 0x31 (present); missing ones are created (newest QEMU). */
  | "auto";

/** What a field does on the wire, one case per kind. */
export type FieldKind =
  | { readonly kind: "scalar"; readonly codec: Codec<unknown> }
  | {
      readonly kind: "array";
      readonly codec: Codec<unknown>;
      readonly count: Count;
      readonly start: number;
      readonly max: number | null;
      /** Elements are pointers: undefined ones are the byte 0x30. */
      readonly nullable: boolean;
    }
  | { readonly kind: "struct"; readonly state: AnyVMState; readonly version: number | null }
  | {
      readonly kind: "structs";
      readonly state: AnyVMState;
      readonly version: number | null;
      readonly count: Count;
      readonly start: number;
      readonly max: number | null;
      readonly pointers: PointerMode;
      readonly create: (() => object) | null;
    }
  | { readonly kind: "buffer"; readonly size: Count; readonly start: number; readonly max: number | null }
  | { readonly kind: "bitmap"; readonly bits: Count; readonly max: number | null }
  | { readonly kind: "unused"; readonly size: number }
  | {
      readonly kind: "list";
      readonly type: "qtailq" | "qlist";
      readonly state: AnyVMState;
      readonly create: (() => object) | null;
      readonly max: number | null;
    }
  | {
      readonly kind: "tree";
      /** Null: keys are be64 numbers themselves. */
      readonly key: AnyVMState | null;
      readonly value: AnyVMState;
      readonly create: (() => object) | null;
      readonly max: number | null;
      readonly compare: ((a: never, b: never) => number) | null;
    }
  | { readonly kind: "temporary"; readonly state: AnyVMState; readonly create: (parent: never) => object }
  | { readonly kind: "validate" };

/** Decides whether a field exists; sees the device on save, the draft on load. */
export type Predicate = (state: never, version: number) => boolean;

/** One entry of a description's field list, whatever its device. */
export interface AnyField {
  readonly name: string;
  /** First version of the description that has the field. */
  readonly since: number;
  /** Replaces the version rule altogether. */
  readonly exists: Predicate | null;
  /** Where the value lives when it is not `device[name]`. */
  readonly get: ((device: never) => unknown) | null;
  readonly set: ((device: never, value: never) => void) | null;
  /** What to do when a comparison fails. */
  readonly hint: string | null;
  /** Size in memory for the static dump; the wire size when null. */
  readonly memorySize: number | null;
  readonly wire: FieldKind;
}

/** One entry of a description's field list, for devices that fit `D`. */
export interface Field<in D> extends AnyField {
  readonly [DEVICE]?: (device: D) => void;
}

/** Section order: higher goes first. QEMU 8.2's numbers; only their order means anything. */
export const MigrationPriority = Object.freeze({
  DEFAULT: 0,
  IOMMU: 1,
  PCI_BUS: 2,
  VIRTIO_MEM: 3,
  GICV3_ITS: 4,
  GICV3: 5,
});
export type MigrationPriority = (typeof MigrationPriority)[keyof typeof MigrationPriority];

type HookResult = void | PromiseLike<void>;

/** Everything about a description but its fields. `S` is the state hooks see. */
export interface VMStateOptions<S> {
  /** Version written, and the highest accepted. 0 to 2^31 - 1. */
  readonly version: number;
  /** Lowest version accepted; 0 when absent, as in QEMU. */
  readonly minimumVersion?: number;
  readonly priority?: MigrationPriority;
  /** A machine with such a device can be neither saved nor loaded. */
  readonly unmigratable?: boolean;
  /** Saved as a FULL section during setup instead of at completion. */
  readonly earlySetup?: boolean;
  /** False: the section or subsection is not written at all. */
  readonly needed?: (device: S) => boolean;
  /** True while the guest has not let go of the device; the source waits. */
  readonly unplugPending?: (device: S) => boolean;
  /** Before anything is written. Throwing aborts; postSave is not called then. */
  readonly preSave?: (device: S) => void;
  /** After everything was written, or a field failed. */
  readonly postSave?: (device: S) => void;
  /**
   * Before the first field is decoded, on the draft: what is assigned there reaches the device with the commit or not
   * at all, and so do changes of what fields and subsections describe. What no field describes is the device's own.
   */
  readonly preLoad?: (state: S) => HookResult;
  /**
   * After fields and subsections were decoded: check and adjust the draft. `version` is the stream's. Throwing fails
   * the load; the device has not been touched.
   */
  readonly postLoad?: (state: S, version: number) => HookResult;
  /**
   * After the section was accepted and the device holds its new state: re-arm timers, raise lines. Throwing puts the
   * old field values back and fails the load.
   */
  readonly loaded?: (device: S, version: number) => HookResult;
}

/** A VMState description, whatever its device: named, versioned, ordered fields and optional subsections. */
export interface AnyVMState {
  readonly name: string;
  readonly version: number;
  readonly minimumVersion: number;
  readonly priority: MigrationPriority;
  readonly unmigratable: boolean;
  readonly earlySetup: boolean;
  readonly hooks: Hooks;
  readonly fields: readonly AnyField[];
  /** Null when the description has no subsection list at all (the static dump tells the difference). */
  readonly subsections: readonly AnyVMState[] | null;
}

/** A VMState description for devices that fit `D`. */
export interface VMState<in D> extends AnyVMState {
  readonly [DEVICE]?: (device: D) => void;
}

/** Hooks as the interpreters call them. */
export interface Hooks {
  readonly needed: ((device: never) => boolean) | null;
  readonly unplugPending: ((device: never) => boolean) | null;
  readonly preSave: ((device: never) => void) | null;
  readonly postSave: ((device: never) => void) | null;
  readonly preLoad: ((state: never) => HookResult) | null;
  readonly postLoad: ((state: never, version: number) => HookResult) | null;
  readonly loaded: ((device: never, version: number) => HookResult) | null;
}

type Simplify<T> = T extends object ? { [K in keyof T]: T[K] } : T;

/** Turned into functions, devices add up: functions of several parameter types take their intersection. */
type Consumer<T> = T extends Field<infer D> | VMState<infer D> ? (device: D) => void : never;
/** The intersection of what all fields ask of a device. */
export type DeviceOfFields<F extends readonly AnyField[]> = [Consumer<F[number]>] extends [(device: infer D) => void]
  ? D
  : unknown;

/** The intersection of what all subsections ask of a device. */
export type DeviceOfStates<S extends readonly AnyVMState[]> = [Consumer<S[number]>] extends [(device: infer D) => void]
  ? D
  : unknown;

/** What a device must look like to be described by `T`. */
export type DeviceOf<T extends AnyVMState> = T extends VMState<infer D> ? Simplify<D> : never;
/** The plain state that `T` describes: the same shape as {@link DeviceOf}, named as users think of it. */
export type StateOf<T extends AnyVMState> = DeviceOf<T>;
