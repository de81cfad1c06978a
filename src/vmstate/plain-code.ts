import { BOOL, I16, I32, I64, I8, U16, U32, U64, U8 } from "../stream/integers.js";
import type { PlainField, Shape } from "./plain-shape.js";

/**
 * Straight-line code for plain descriptions (plain.ts). A property whose name is known only at run time costs 10 to 40
 * ns, one that stands in the code one or two. Only names of properties, as JSON strings, and numbers become part of the
 * text: nothing of a stream, and no name can be more than a name.
 */

/** The code for one description. `at` is where the state's bytes begin. */
export interface PlainFunctions {
  /** Bytes wanted from `at` on: those of the state, and room behind them. */
  readonly room: number;
  /** Write the state; false, with nothing but garbage from `at` on, if the object is not what the code expects. */
  save(object: object, view: DataView, bytes: Uint8Array, at: number): boolean;
  /** Whether the object is what the code expects. */
  isFit(object: object): boolean;
  /** All that {@link store} and {@link swap} replace and need; null if the object is not what the code expects. */
  keep(object: object): unknown[] | null;
  /** Assign all scalars. */
  store(kept: readonly unknown[], view: DataView, at: number): void;
  /** Exchange the contents of all arrays with the bytes; twice is as if never. */
  swap(kept: readonly unknown[], view: DataView, bytes: Uint8Array, at: number): void;
  /** Take both back, as far as that is possible. */
  undo(kept: readonly unknown[], view: DataView, bytes: Uint8Array, at: number): void;
}

/** Bytes from which on copies of memory are faster than a loop. */
const LONG = 48;

interface Kind {
  readonly get: string;
  readonly size: number;
  /** Typed arrays whose elements have the bits, of either sign. */
  readonly lists: readonly string[];
  /** Whether `v` loses no bits (codecs.ts). */
  readonly fits: string;
}

const BITS_8 = { size: 1, lists: ["Uint8Array", "Int8Array"], fits: integer("-0x80", "0xff") };
const BITS_16 = { size: 2, lists: ["Uint16Array", "Int16Array"], fits: integer("-0x8000", "0xffff") };
const BITS_32 = {
  size: 4,
  lists: ["Uint32Array", "Int32Array"],
  fits: `typeof v === "number" && (v >>> 0 === v || (v | 0) === v)`,
};
const BITS_64 = { size: 8, lists: ["BigUint64Array", "BigInt64Array"] };

const KINDS: Readonly<Record<number, Kind>> = {
  [U8]: { ...BITS_8, get: "Uint8" },
  [I8]: { ...BITS_8, get: "Int8" },
  [U16]: { ...BITS_16, get: "Uint16" },
  [I16]: { ...BITS_16, get: "Int16" },
  [U32]: { ...BITS_32, get: "Uint32" },
  [I32]: { ...BITS_32, get: "Int32" },
  // One comparison of bigints takes as long as all else: that of the sign which is to be expected comes first.
  [U64]: { ...BITS_64, get: "BigUint64", fits: bigint("asUintN", "asIntN") },
  [I64]: { ...BITS_64, get: "BigInt64", fits: bigint("asIntN", "asUintN") },
  [BOOL]: { get: "Uint8", size: 1, lists: [], fits: `typeof v === "boolean"` },
};

function integer(low: string, high: string): string {
  return `typeof v === "number" && v >= ${low} && v <= ${high} && (v | 0) === v`;
}

function bigint(first: string, second: string): string {
  return `typeof v === "bigint" && (BigInt.${first}(64, v) === v || BigInt.${second}(64, v) === v)`;
}

type Scalar = PlainField & { what: "scalar" };
type List = PlainField & { what: "array" };

/** A shape and those of its structs, laid out one behind the other. */
class Outline {
  /** Objects, the state's own first: the owner and the name of the others. */
  readonly objects: { readonly shape: Shape; readonly owner: number; readonly name: string }[] = [];
  /** In the order of the wire, with the index of the object. */
  readonly fields: { readonly field: PlainField; readonly owner: number; readonly at: number }[] = [];

  constructor(shape: Shape) {
    this.#add(shape, 0, "", 0);
  }

  #add(shape: Shape, owner: number, name: string, base: number): void {
    const index = this.objects.push({ shape, owner, name }) - 1;
    for (const field of shape.fields) {
      const at = base + field.at;
      if (field.what === "struct") this.#add(field.shape, index, field.name, at);
      else this.fields.push({ field, owner: index, at });
    }
  }

  scalars(): { readonly field: Scalar; readonly owner: number; readonly at: number }[] {
    return this.fields.flatMap(({ field, ...rest }) => (field.what === "scalar" ? [{ field, ...rest }] : []));
  }

  lists(): { readonly field: List; readonly owner: number; readonly at: number }[] {
    return this.fields.flatMap(({ field, ...rest }) => (field.what === "array" ? [{ field, ...rest }] : []));
  }
}

function property(owner: number, name: string): string {
  return `o${owner}[${JSON.stringify(name)}]`;
}

/** Local variables `o1`, `o2`, ... for the structs of `o0`. */
function structs({ objects }: Outline): string[] {
  return objects.slice(1).map(({ owner, name }, i) => `const o${i + 1} = ${property(owner, name)};`);
}

/** The condition that `list` is a typed array with the field's room. */
function isList(list: string, { kind, start, length, signs }: List): string {
  const types = KINDS[kind].lists.slice(0, signs).map((type) => `${list} instanceof ${type}`);
  return `(${types.join(" || ")}) && ${list}.length >= ${start + length}`;
}

function saveText(outline: Outline): string {
  const lines = outline.fields.map(({ field, owner, at }) => {
    const value = property(owner, field.name);
    switch (field.what) {
      case "scalar": {
        const { get, fits } = KINDS[field.kind];
        const bits = field.kind === BOOL ? "v ? 1 : 0" : "v";
        return `{ const v = ${value}; if (!(${fits})) return false; view.set${get}(at + ${at}, ${bits}); }`;
      }
      case "array": {
        const { get, size } = KINDS[field.kind];
        const { start, length } = field;
        const copy =
          size === 1 && length >= LONG
            ? `bytes.set(${part("list", field)}, at + ${at});`
            : `for (let i = 0; i < ${length}; i++) view.set${get}(at + ${at} + i * ${size}, list[${start} + i]);`;
        return `{ const list = ${value}; if (!(${isList("list", field)})) return false; ${copy} }`;
      }
      default:
        return `bytes.fill(0, at + ${at}, at + ${at + field.size});`;
    }
  });
  const nested = outline.objects
    .slice(1)
    .map((_, i) => `if (typeof o${i + 1} !== "object" || o${i + 1} === null) return false;`);
  const heads = structs(outline).map((head, i) => `${head} ${nested[i]}`);
  return `save(o0, view, bytes, at) { ${[...heads, ...lines].join("\n")} return true; }`;
}

/** The elements of `list` that take part. */
function part(list: string, { start, length }: List): string {
  const range = `${list}.subarray(${start}, ${start + length})`;
  return start === 0 ? `(${list}.length === ${length} ? ${list} : ${range})` : range;
}

function isFitText(outline: Outline): string {
  const { lines } = checks(outline, "false");
  return `isFit(o0) { ${lines.join("\n")} return true; }`;
}

function checks(outline: Outline, otherwise: string): { lines: string[]; lists: number } {
  const objects = outline.objects.map(
    (_, i) =>
      `${structs(outline)[i - 1] ?? ""} if (!known[${i}].has(o${i}) && !verify(${i}, o${i})) return ${otherwise};`,
  );
  const lists = outline.lists().map(({ field, owner }, i) => {
    return `const list${i} = ${property(owner, field.name)}; if (!(${isList(`list${i}`, field)})) return ${otherwise};`;
  });
  return { lines: [...objects, ...lists], lists: lists.length };
}

function keepText(outline: Outline): string {
  const { lines, lists } = checks(outline, "null");
  const kept = [
    ...outline.scalars().map(({ field, owner }) => property(owner, field.name)),
    ...outline.objects.map((_, i) => `o${i}`),
    ...Array.from({ length: lists }, (_, i) => `list${i}`),
  ];
  return `keep(o0) { ${lines.join("\n")} return [${kept.join(", ")}]; }`;
}

/** Local variables for the objects that `keep` returned. */
function keptObjects(outline: Outline): string {
  const base = outline.scalars().length;
  return outline.objects.map((_, i) => `const o${i} = kept[${base + i}];`).join("\n");
}

function storeText(outline: Outline): string {
  const lines = outline.scalars().map(({ field, owner, at }) => {
    const value = `view.get${KINDS[field.kind].get}(at + ${at})`;
    return `${property(owner, field.name)} = ${value}${field.kind === BOOL ? " !== 0" : ""};`;
  });
  return `store(kept, view, at) { ${keptObjects(outline)} ${lines.join("\n")} }`;
}

/** @param room where long arrays of bytes may wait: behind the state's own */
function swapText(outline: Outline, room: number): string {
  const base = outline.scalars().length + outline.objects.length;
  const lines = outline.lists().map(({ field, at }, i) => {
    const { start, length, kind } = field;
    const { get, size } = KINDS[kind];
    const list = `const list = kept[${base + i}];`;
    if (size === 1 && length >= LONG) {
      return `{ ${list} bytes.set(${part("list", field)}, at + ${room});
        list.set(bytes.subarray(at + ${at}, at + ${at + length}), ${start});
        bytes.copyWithin(at + ${at}, at + ${room}, at + ${room + length}); }`;
    }
    return `{ ${list} for (let i = 0; i < ${length}; i++) {
      const offset = at + ${at} + i * ${size};
      const v = view.get${get}(offset);
      view.set${get}(offset, list[${start} + i]);
      list[${start} + i] = v; } }`;
  });
  return `swap(kept, view, bytes, at) { ${lines.join("\n")} }`;
}

/** Nothing that is often used, so it is not compiled; and where one property fails, the others are tried. */
function undoOf(outline: Outline, swap: PlainFunctions["swap"]): PlainFunctions["undo"] {
  const scalars = outline.scalars();
  return (kept, view, bytes, at) => {
    swap(kept, view, bytes, at);
    scalars.forEach(({ field, owner }, i) => {
      Reflect.set(kept[scalars.length + owner] as object, field.name, kept[i]);
    });
  };
}

/** Whether assigning the fields of `shape` runs nobody's code and cannot fail: they are data of the object itself. */
function isData(shape: Shape, object: unknown): object is object {
  if (typeof object !== "object" || object === null) return false;
  return shape.fields.every(({ what, name }) => {
    if (what === "unused") return true;
    const found = Object.getOwnPropertyDescriptor(object, name);
    return found !== undefined && "value" in found && found.writable === true;
  });
}

/** Compile; null where the platform does not allow it, as strict policies of pages and some servers do not. */
export function compilePlain(shape: Shape): PlainFunctions | null {
  const outline = new Outline(shape);
  // Objects that were found to be fit once: asking for each of their properties takes longer than a load.
  const known = outline.objects.map(() => new WeakSet());
  const verify = (index: number, object: unknown): boolean => {
    if (!isData(outline.objects[index].shape, object)) return false;
    known[index].add(object);
    return true;
  };
  const longest = Math.max(0, ...outline.lists().map(({ field }) => (KINDS[field.kind].size === 1 ? field.length : 0)));
  const functions = [
    saveText(outline),
    isFitText(outline),
    keepText(outline),
    storeText(outline),
    swapText(outline, shape.size),
  ];
  try {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the text is made of constants and quoted names
    const make = new Function("known", "verify", `"use strict"; return { ${functions.join(",\n")} };`) as (
      ...args: unknown[]
    ) => Omit<PlainFunctions, "room" | "undo">;
    const code = make(known, verify);
    return { ...code, room: shape.size + longest, undo: undoOf(outline, code.swap) };
  } catch (error) {
    if (error instanceof EvalError) return null;
    throw error;
  }
}
