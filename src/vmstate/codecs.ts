import { StateError } from "../errors.js";
import * as integers from "../stream/integers.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";
import type { AnyCodec, Codec, MutableArrayLike } from "./types.js";

/**
 * The scalar codecs of the wire ("Codecs" of the VMState chapter), big-endian all of them. Type names are QEMU's: they
 * appear in the JSON description.
 */

function invalid(type: string, value: unknown): StateError {
  return new StateError("FIELD_INVALID", `Save ${type}: the value is ${String(value)}`);
}

interface Width<V> {
  readonly size: number;
  readonly fits: (value: V) => boolean;
  readonly put: (writer: Writer, value: V) => void;
  readonly list: (n: number) => MutableArrayLike<V>;
}

// Emulators keep unsigned registers in Int32Array and the other way round: either sign is fine, lost bits are not.
const BITS_8: Width<number> = {
  size: 1,
  fits: (v) => Number.isInteger(v) && v >= -0x80 && v <= 0xff,
  put: (w, v) => w.u8(v),
  list: (n) => new Uint8Array(n),
};
const BITS_16: Width<number> = {
  size: 2,
  fits: (v) => Number.isInteger(v) && v >= -0x8000 && v <= 0xffff,
  put: (w, v) => w.u16(v),
  list: (n) => new Uint16Array(n),
};
const BITS_32: Width<number> = {
  size: 4,
  fits: (v) => typeof v === "number" && (v >>> 0 === v || (v | 0) === v),
  put: (w, v) => w.u32(v),
  list: (n) => new Uint32Array(n),
};
const BITS_64: Width<bigint> = {
  size: 8,
  fits: (v) => typeof v === "bigint" && (BigInt.asUintN(64, v) === v || BigInt.asIntN(64, v) === v),
  put: (w, v) => w.u64(v),
  list: (n) => new BigUint64Array(n),
};

function scalar<V>(
  type: string,
  width: Width<V>,
  get: (reader: Reader) => V,
  list: (n: number) => MutableArrayLike<V> = width.list,
): Codec<V> {
  const put = (writer: Writer, value: V): void => {
    if (!width.fits(value)) throw invalid(type, value);
    width.put(writer, value);
  };
  const kind = KINDS.get(get);
  if (kind !== undefined) KINDS.set(put, kind);
  return { type, size: width.size, put, get, list };
}

const getU8 = (r: Reader): number => r.u8();
const getU16 = (r: Reader): number => r.u16();
const getU32 = (r: Reader): number => r.u32();
const getU64 = (r: Reader): bigint => r.u64();
const getI8 = (r: Reader): number => r.i8();
const getI16 = (r: Reader): number => r.i16();
const getI32 = (r: Reader): number => r.i32();
const getI64 = (r: Reader): bigint => r.i64();
const getBool = (r: Reader): boolean => r.u8() !== 0;

const putBool = (writer: Writer, value: boolean): void => {
  if (typeof value !== "boolean") throw invalid("bool", value);
  writer.u8(value ? 1 : 0);
};

/** Kinds of the `get` and `put` of the plain codecs. */
const KINDS = new Map<unknown, number>([
  [getU8, integers.U8],
  [getU16, integers.U16],
  [getU32, integers.U32],
  [getU64, integers.U64],
  [getI8, integers.I8],
  [getI16, integers.I16],
  [getI32, integers.I32],
  [getI64, integers.I64],
  [getBool, integers.BOOL],
  [putBool, integers.BOOL],
]);

/**
 * The kind by which a reader or writer can take the codec's values a run at a time (stream/integers.ts). Told by its
 * `get` or `put`, so that a codec made by spreading another one and replacing one of them is not mistaken for it.
 */
export function integerKind(codec: AnyCodec, direction: "get" | "put"): number {
  return KINDS.get(Reflect.get(codec, direction)) ?? integers.OTHER;
}

export const uint8 = scalar("uint8", BITS_8, getU8);
export const uint16 = scalar("uint16", BITS_16, getU16);
export const uint32 = scalar("uint32", BITS_32, getU32);
export const uint64 = scalar("uint64", BITS_64, getU64);
export const int8 = scalar("int8", BITS_8, getI8, (n) => new Int8Array(n));
export const int16 = scalar("int16", BITS_16, getI16, (n) => new Int16Array(n));
export const int32 = scalar("int32", BITS_32, getI32, (n) => new Int32Array(n));
export const int64 = scalar("int64", BITS_64, getI64, (n) => new BigInt64Array(n));

/** 64 raw bits of a double, upper half first: the same bytes as a be64, under another type name. */
export const cpuDouble = scalar("CPU_Double_U", BITS_64, getU64);

/** One byte; any non-zero byte is true. */
export const bool: Codec<boolean> = {
  type: "bool",
  size: 1,
  put: putBool,
  get: getBool,
};

/** What a timer that is not armed is on the wire. */
export const NOT_ARMED = 0xffff_ffff_ffff_ffffn;

/** Expiry time in ns; null is a timer that is not armed (all ones on the wire). */
export const timer: Codec<bigint | null> = {
  type: "timer",
  size: 8,
  put(writer, value) {
    if (value !== null && !BITS_64.fits(value)) throw invalid("timer", value);
    writer.u64(value ?? NOT_ARMED);
  },
  get(reader) {
    const value = reader.u64();
    return value === NOT_ARMED ? null : value;
  },
};

/** A 64-bit counter as a JavaScript number; values beyond 2^53 - 1 are refused both ways. */
function counter(type: string, low: number): Codec<number> {
  return {
    type,
    size: 8,
    put(writer, value) {
      if (!Number.isSafeInteger(value) || value < low) throw invalid(type, value);
      writer.u64(BigInt(value));
    },
    get(reader) {
      const value = low < 0 ? reader.i64() : reader.u64();
      const number = Number(value);
      if (!Number.isSafeInteger(number)) {
        throw new StateError("FIELD_INVALID", `Load ${type}: ${value} does not fit a JavaScript number`);
      }
      return number;
    },
  };
}
export const uint64Number = counter("uint64", 0);
export const int64Number = counter("int64", Number.MIN_SAFE_INTEGER);

function hex(value: number | bigint): string {
  return `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`;
}

/** The stream must repeat the value that the device holds already. */
function equal<V extends number | bigint>(type: string, base: Codec<V>): Codec<V> {
  const same = (a: V, b: V): boolean => {
    const bits = base.size * 8;
    return BigInt.asUintN(bits, BigInt(a)) === BigInt.asUintN(bits, BigInt(b));
  };
  return {
    ...base,
    type,
    get(reader, current) {
      const value = base.get(reader, current);
      const held: unknown = current();
      if (!Number.isInteger(held) && typeof held !== "bigint") {
        throw new StateError("FIELD_INVALID", `Load ${type}: this machine has ${String(held)}`);
      }
      if (!same(value, held as V)) {
        throw new StateError(
          "FIELD_INVALID",
          `Load ${type}: the stream has ${hex(value)}, this machine has ${hex(held as V)}`,
        );
      }
      return value;
    },
  };
}
export const uint8Equal = equal("uint8 equal", uint8);
export const uint16Equal = equal("uint16 equal", uint16);
export const uint32Equal = equal("uint32 equal", uint32);
export const int32Equal = equal("int32 equal", int32);
/** QEMU names the 64-bit unsigned comparison this way. */
export const uint64Equal = equal("int64 equal", uint64);

/** A number from 0 to what the device holds already. */
export const int32Le: Codec<number> = {
  ...int32,
  type: "int32 le",
  get(reader, current) {
    const value = reader.i32();
    const held = current();
    if (value < 0 || !(value <= held)) {
      throw new StateError("FIELD_INVALID", `Load int32 le: the stream has ${value}, it must be from 0 to ${held}`);
    }
    return value;
  },
};
