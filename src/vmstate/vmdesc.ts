import type { AnyField, AnyVMState } from "./types.js";

/**
 * The JSON description behind a stream (QEMU_VM_VMDESCRIPTION), byte for byte as QEMU writes it: one line, ", " between
 * members, ": " after keys, decimal integers, and keys that may repeat.
 */
export class JsonWriter {
  #parts: string[] = [];
  #first = true;

  startObject(name: string | null = null): void {
    this.#begin(name);
    this.#parts.push("{");
    this.#first = true;
  }

  endObject(): void {
    this.#parts.push("}");
    this.#first = false;
  }

  startArray(name: string | null = null): void {
    this.#begin(name);
    this.#parts.push("[");
    this.#first = true;
  }

  endArray(): void {
    this.#parts.push("]");
    this.#first = false;
  }

  string(name: string | null, value: string): void {
    this.#begin(name);
    this.#parts.push(quote(value));
  }

  integer(name: string | null, value: number): void {
    this.#begin(name);
    this.#parts.push(String(value));
  }

  toString(): string {
    return this.#parts.join("");
  }

  #begin(name: string | null): void {
    if (!this.#first) this.#parts.push(", ");
    this.#first = false;
    if (name !== null) this.#parts.push(quote(name), ": ");
  }
}

/** Text that needs no escape: nearly all there is. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** A JSON string in ASCII, with the capital hex digits of QEMU's writer. */
function quote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return JSON.stringify(text).replace(/\\(?:u([0-9a-f]{4})|.)|[\u007f-\uffff]/g, (found, hex: string | undefined) => {
    if (hex === undefined && found.startsWith("\\")) return found;
    return `\\u${(hex ?? found.charCodeAt(0).toString(16).padStart(4, "0")).toUpperCase()}`;
  });
}

/** What differs between releases in the JSON description. */
export type DescriptionStyle =
  /** 2.3 to 9.x: every element of an unfolded array has its index. */
  | "8.2"
  /** 10.0: a leading "configuration"; the last element has no index. */
  | "10.0"
  /** 11.1: a leading "configuration"; no element has an index. */
  | "11.1";

/** True if the elements of an array of `field` are described once for all (vmsd_can_compress). */
export function isCompressible(field: AnyField): boolean {
  const known = compressible.get(field);
  if (known !== undefined) return known;
  const { wire } = field;
  // Only plain structs count: a vstruct is judged by its own field alone, as in QEMU.
  const nested = (wire.kind === "struct" || wire.kind === "structs") && wire.version === null ? wire.state : null;
  const result =
    field.exists === null && (nested === null || (nested.subsections === null && nested.fields.every(isCompressible)));
  compressible.set(field, result);
  return result;
}
const compressible = new WeakMap<AnyField, boolean>();

/** Field names as the description spells them: `name`, or `name[k]` for the k-th of several with the same name. */
export function describedNames(state: AnyVMState): readonly string[] {
  let names = described.get(state);
  if (names === undefined) {
    const total = new Map<string, number>();
    for (const { name } of state.fields) total.set(name, (total.get(name) ?? 0) + 1);
    const seen = new Map<string, number>();
    names = state.fields.map(({ name }) => {
      if (total.get(name) === 1) return name;
      const k = seen.get(name) ?? 0;
      seen.set(name, k + 1);
      return `${name}[${k}]`;
    });
    described.set(state, names);
  }
  return names;
}
const described = new WeakMap<AnyVMState, readonly string[]>();

/** Type name of a field in the description. */
export function typeName({ wire }: AnyField): string {
  switch (wire.kind) {
    case "scalar":
    case "array":
      return wire.codec.type;
    case "struct":
    case "structs":
      return wire.version === null ? "struct" : "vstruct";
    case "buffer":
      return "buffer";
    case "bitmap":
      return "bitmap";
    case "unused":
      return "unused_buffer";
    case "list":
      return wire.type;
    case "tree":
      return "gtree";
    case "temporary":
      return "tmp";
    case "validate":
      return "unknown";
  }
}

/** Open the entry of element `i` of `n`. */
export function startField(
  json: JsonWriter,
  field: AnyField,
  name: string,
  i: number,
  n: number,
  style: DescriptionStyle,
): void {
  json.startObject();
  json.string("name", name);
  if (n > 1) {
    if (isCompressible(field)) json.integer("array_len", n);
    else if (style === "8.2" || (style === "10.0" && i < n - 1)) json.integer("index", i);
  }
  const type = typeName(field);
  json.string("type", type);
  if (type === "struct") json.startObject("struct");
}

/** Close it, `size` bytes having been written. */
export function endField(json: JsonWriter, field: AnyField, size: number): void {
  if (typeName(field) === "struct") json.endObject();
  json.integer("size", size);
  json.endObject();
}
