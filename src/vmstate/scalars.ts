import * as codecs from "./codecs.js";
import { field, type AnyOptions, type FieldOptions, type Lens } from "./field.js";
import type { AnyField, Codec, Field, FieldKind, VariableCodec } from "./types.js";

/** Fields of one value: `u32("len")` is a field, `u32` alone is what arrays of them are made of. */

/** A codec that can be called to make a field of it: `u32("len")`, and passed on: `array("regs", u32, 8)`. */
export interface ScalarField<V> extends Codec<V> {
  <const N extends string, S = unknown>(name: N, options?: FieldOptions<S>): Field<{ [K in N]: V } & S>;
  <D>(name: string, options: Lens<D, V>): Field<D>;
}

/**
 * Make a field constructor of a codec, also for types of your own (`pci config`, `fpreg`, ...): those need a type name
 * for the JSON description, a fixed size, and `put` and `get` of exactly so many bytes.
 */
export function scalarField<V>(codec: Codec<V>): ScalarField<V> {
  const wire: FieldKind = { kind: "scalar", codec: codec };
  const make = (name: string, options?: AnyOptions): AnyField => field(name, wire, options);
  return Object.assign(make, codec);
}

/** As {@link scalarField}, for types whose size varies (`virtio`, `capability`, ...). */
export function variableField<V>(codec: VariableCodec<V>): ScalarField<V> {
  return scalarField<V>({
    type: codec.type,
    size: 0,
    put: (writer, value) => codec.put(writer, value),
    load: (reader, current) => codec.load(reader, current),
    get: () => {
      throw new TypeError(`Load ${codec.type} at once: its size varies`);
    },
  });
}

/** One byte as number, 0 to 255 when loaded; as for all integers, either sign is taken when saving. */
export const u8 = scalarField(codecs.uint8);
/** 16 bits as number, 0 to 65535. */
export const u16 = scalarField(codecs.uint16);
/** 32 bits as number, 0 to 2^32 - 1. */
export const u32 = scalarField(codecs.uint32);
/** 64 bits as bigint, 0 to 2^64 - 1. */
export const u64 = scalarField(codecs.uint64);
/** One byte as number, -128 to 127. */
export const i8 = scalarField(codecs.int8);
/** 16 bits as number, -32768 to 32767. */
export const i16 = scalarField(codecs.int16);
/** 32 bits as number, -2^31 to 2^31 - 1. */
export const i32 = scalarField(codecs.int32);
/** 64 bits as bigint, -2^63 to 2^63 - 1. */
export const i64 = scalarField(codecs.int64);
/** 64 bits as number, for counters: refused, both ways, beyond 2^53 - 1. */
export const u64Number = scalarField(codecs.uint64Number);
/** 64 bits as number: refused, both ways, beyond +-(2^53 - 1). */
export const i64Number = scalarField(codecs.int64Number);
/** One byte; any but zero loads as true. Saving takes nothing but true and false. */
export const bool = scalarField(codecs.bool);
/** Expiry in ns as bigint, or null when not armed. Re-arm it in the `loaded` hook. */
export const timer = scalarField(codecs.timer);
/** The 64 bits of a double as bigint (CPU_DoubleU). */
export const cpuDouble = scalarField(codecs.cpuDouble);
/** One byte that must be the device's own already; the field's `hint` tells people what to do when it is not. */
export const u8Equal = scalarField(codecs.uint8Equal);
/** 16 bits that must be the device's own already. */
export const u16Equal = scalarField(codecs.uint16Equal);
/** 32 bits that must be the device's own already. */
export const u32Equal = scalarField(codecs.uint32Equal);
/** 64 bits, as bigint, that must be the device's own already; QEMU calls the type "int64 equal". */
export const u64Equal = scalarField(codecs.uint64Equal);
/** 32 signed bits that must be the device's own already. */
export const i32Equal = scalarField(codecs.int32Equal);
/** 32 signed bits, from 0 to the value that the device holds. */
export const i32Le = scalarField(codecs.int32Le);
