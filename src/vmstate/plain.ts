import { BOOL, OTHER, U8, U16, U32, U64, I8, I16, I32, I64 } from "../stream/integers.js";
import { encodeName } from "../stream/names.js";
import { integerKind } from "./codecs.js";
import { compilePlain, type PlainFunctions } from "./plain-code.js";
import type { PlainField, Shape } from "./plain-shape.js";
import type { AnyField, AnyVMState } from "./types.js";

/**
 * Plain descriptions: nothing but integers, arrays and buffers of fixed length, and structs of these, and nobody's code
 * in between. Once its bytes are there such a state cannot be wrong, so a load keeps the bytes themselves as its draft,
 * and both directions run straight-line code that was compiled for the description. All others, and objects that are
 * not what the code expects, take the long way (load-field.ts, commit.ts, save.ts), with the same results.
 */

/** Most bytes a plain description may take. */
const MOST_BYTES = 16 << 10;

/** Bytes of the integer kinds of stream/integers.ts. */
const SIZES: Readonly<Record<number, number>> = {
  [U8]: 1,
  [I8]: 1,
  [BOOL]: 1,
  [U16]: 2,
  [I16]: 2,
  [U32]: 4,
  [I32]: 4,
  [U64]: 8,
  [I64]: 8,
};

/** A plain description, compiled. */
export interface Plain extends PlainFunctions {
  readonly size: number;
  /** Where nested structs end, before the last byte: a subsection may begin there. */
  readonly ends: readonly { readonly at: number; readonly wireName: Uint8Array }[];
}

/** The code for `state` at `version`; null if it is not plain, or if the platform compiles nothing. */
export function plainOf(state: AnyVMState, version: number): Plain | null {
  const shape = shapeOf(state, version);
  if (shape === null || shape.size === 0 || shape.size > MOST_BYTES) return null;
  const functions = compilePlain(shape);
  return functions === null ? null : { ...functions, size: shape.size, ends: endsOf(shape, 0) };
}

function shapeOf(state: AnyVMState, version: number): Shape | null {
  const fields: PlainField[] = [];
  const names = new Set<string>();
  let size = 0;
  for (const field of state.fields) {
    if (field.exists === null && field.since > version) continue;
    const plain = fieldOf(field, size);
    if (plain === null) return null;
    size += plain.size;
    // Of two fields that are one property the later one counts, which is not what this is for.
    if (plain.what !== "unused" && names.size === names.add(plain.name).size) return null;
    fields.push(plain);
  }
  return { wireName: encodeName(state.name), fields, size };
}

function fieldOf({ name, wire, exists, get }: AnyField, at: number): PlainField | null {
  if (exists !== null || get !== null) return null;
  switch (wire.kind) {
    case "scalar": {
      const { codec } = wire;
      const kind = kindOf(codec);
      if (kind === OTHER || codec.load !== undefined) return null;
      return { what: "scalar", name, at, size: SIZES[kind], kind };
    }
    case "array": {
      const { codec, count, start, max, nullable } = wire;
      const kind = kindOf(codec);
      if (kind === OTHER || kind === BOOL || codec.load !== undefined) return null;
      if (count.fixed === null || max !== null || nullable) return null;
      return { what: "array", name, at, size: count.fixed * SIZES[kind], kind, start, length: count.fixed, signs: 2 };
    }
    case "buffer": {
      const { size, start, max } = wire;
      if (size.fixed === null || max !== null) return null;
      return { what: "array", name, at, size: size.fixed, kind: U8, start, length: size.fixed, signs: 1 };
    }
    case "struct": {
      const { state } = wire;
      const version = wire.version ?? state.version;
      if (version > state.version || version < state.minimumVersion) return null;
      if (hasHooks(state) || (state.subsections ?? []).length > 0) return null;
      const shape = shapeOf(state, version);
      return shape === null ? null : { what: "struct", name, at, size: shape.size, shape };
    }
    case "unused":
      return { what: "unused", name, at, size: wire.size };
    default:
      return null;
  }
}

function kindOf(codec: { readonly size: number; put: unknown; get: unknown }): number {
  const kind = integerKind(codec as never, "get");
  return integerKind(codec as never, "put") === OTHER || codec.size !== SIZES[kind] ? OTHER : kind;
}

function hasHooks({ hooks }: AnyVMState): boolean {
  const { preLoad, postLoad, loaded, preSave, postSave } = hooks;
  return [preLoad, postLoad, loaded, preSave, postSave].some((hook) => hook !== null);
}

function endsOf(shape: Shape, base: number): { at: number; wireName: Uint8Array }[] {
  return shape.fields.flatMap((field) => {
    if (field.what !== "struct") return [];
    const at = base + field.at;
    return [...endsOf(field.shape, at), { at: at + field.size, wireName: field.shape.wireName }];
  });
}
