/**
 * State schemas: what a machine's devices look like, without any state in them, as `-dump-vmstate FILE` writes it.
 *
 *     { "vmschkmachine": { "Name": machine },
 *       "<device type>": { "Name", "version_id", "minimum_version_id",
 *         "Description": { "name", "version_id", "minimum_version_id",
 *           "Fields": [ { "field", "version_id", "field_exists", "num"?, "size", "Description"? } ],
 *           "Subsections": [ Description... ] } } }
 *
 * Parsing accepts members it does not know (they are remembered by name only) and keys that occur twice (the last one
 * counts, as in every JSON reader); it refuses everything else that a dump cannot contain.
 */
import { StateError } from "../errors.js";
import { SCHEMA_LIMITS } from "../limits.js";

/** The member that names the machine; every other member of the file is a device. */
export const MACHINE_KEY = "vmschkmachine";

interface Versioned {
  readonly versionId: number;
  /** Null when the dump does not say. */
  readonly minimumVersionId: number | null;
}

/** One entry of "Fields". */
export interface SchemaField extends Versioned {
  readonly name: string;
  /** Bytes of one element in the memory of the machine that was dumped; not the length in the stream. */
  readonly size: number;
  /** Elements of a fixed array; null for anything else, and in older dumps, which do not say (QEMU 7.2 does not, 10.0 does). */
  readonly num: number | null;
  /** A predicate decides at run time whether the field is there. */
  readonly fieldExists: boolean;
  readonly description: SchemaDescription | null;
}

/** A description, of a device, a struct or a subsection. */
export interface SchemaDescription extends Versioned {
  readonly name: string;
  readonly fields: readonly SchemaField[] | null;
  readonly subsections: readonly SchemaDescription[] | null;
  /** Every member of the JSON object, known or not, in order. */
  readonly members: readonly string[];
}

/** One device type. */
export interface SchemaDevice extends Versioned {
  readonly name: string;
  readonly description: SchemaDescription | null;
  /** Every member of the JSON object, known or not, in order. */
  readonly members: readonly string[];
}

/** What a whole file says. */
export interface StateSchema {
  /** Machine type; null when the file does not name one. */
  readonly machine: string | null;
  /** By device type, in the order of the file. */
  readonly devices: ReadonlyMap<string, SchemaDevice>;
}

const HINT = "A schema is what QEMU writes with -dump-vmstate";

type Json = Readonly<Record<string, unknown>>;

/**
 * Read a schema from the text of a `-dump-vmstate` file.
 *
 * Throws StateError SCHEMA_INVALID, with the path of the offending member in `field`, for text that is no JSON, is no
 * schema, or passes a ceiling of {@link SCHEMA_LIMITS}.
 */
export function parseSchema(text: string): StateSchema {
  if (text.length > SCHEMA_LIMITS.bytes) {
    throw invalid("", `Schema too long: ${text.length} characters, at most ${SCHEMA_LIMITS.bytes} are read`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    throw new StateError("SCHEMA_INVALID", "Schema is not JSON", { offset: failurePosition(cause), hint: HINT, cause });
  }
  return schemaFromJson(json);
}

/** Where the JSON parser gave up, in characters, when it says so. */
function failurePosition(cause: unknown): number | undefined {
  const match = cause instanceof Error ? /position (\d+)/.exec(cause.message) : null;
  return match === null ? undefined : Number(match[1]);
}

/** Read a schema from the value that JSON.parse made of it; errors as {@link parseSchema}. */
export function schemaFromJson(json: unknown): StateSchema {
  let machine: string | null = null;
  const devices = new Map<string, SchemaDevice>();
  for (const [name, value] of Object.entries(object(json, ""))) {
    if (name === MACHINE_KEY) machine = string(object(value, name), "Name", name);
    else devices.set(name, device(checkedName(name, name), value));
  }
  return { machine, devices };
}

function device(name: string, value: unknown): SchemaDevice {
  const json = object(value, name);
  const description = json["Description"];
  return {
    name,
    ...versions(json, name),
    description: description === undefined ? null : parseDescription(description, `${name}.Description`, 1),
    members: memberNames(json),
  };
}

function parseDescription(value: unknown, at: string, depth: number): SchemaDescription {
  if (depth > SCHEMA_LIMITS.depth) {
    throw invalid(at, `Descriptions nested too deep: at most ${SCHEMA_LIMITS.depth} levels are read`);
  }
  const json = object(value, at);
  return {
    name: string(json, "name", at),
    ...versions(json, at),
    fields: list(json, "Fields", at, (item, path) => field(item, path, depth)),
    subsections: list(json, "Subsections", at, (item, path) => parseDescription(item, path, depth + 1)),
    members: memberNames(json),
  };
}

/** Built in memory, a schema may hold undefined where its JSON would hold nothing. */
function memberNames(json: Json): string[] {
  return Object.keys(json).filter((key) => json[key] !== undefined);
}

function field(value: unknown, at: string, depth: number): SchemaField {
  const json = object(value, at);
  const description = json["Description"];
  return {
    name: string(json, "field", at),
    ...versions(json, at),
    size: length(json, "size", at),
    num: json["num"] === undefined ? null : length(json, "num", at),
    fieldExists: json["field_exists"] === undefined ? false : boolean(json, "field_exists", at),
    description: description === undefined ? null : parseDescription(description, `${at}.Description`, depth + 1),
  };
}

function versions(json: Json, at: string): Versioned {
  return {
    versionId: integer(json, "version_id", at),
    minimumVersionId: json["minimum_version_id"] === undefined ? null : integer(json, "minimum_version_id", at),
  };
}

function list<T>(json: Json, key: string, at: string, parse: (item: unknown, at: string) => T): T[] | null {
  const value = json[key];
  if (value === undefined) return null;
  if (!Array.isArray(value)) throw wrongType(`${at}.${key}`, "an array", value);
  return value.map((item: unknown, index) => parse(item, `${at}.${key}[${index}]`));
}

function object(value: unknown, at: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongType(at, "an object", value);
  return value as Json;
}

function string(json: Json, key: string, at: string): string {
  const value = json[key];
  if (typeof value !== "string") throw wrongType(`${at}.${key}`, "a string", value);
  return checkedName(value, `${at}.${key}`);
}

function checkedName(name: string, at: string): string {
  if (name.length <= SCHEMA_LIMITS.nameLength) return name;
  throw invalid(at.slice(0, 80), `Name too long: ${name.length} characters, at most ${SCHEMA_LIMITS.nameLength}`);
}

function boolean(json: Json, key: string, at: string): boolean {
  const value = json[key];
  if (typeof value !== "boolean") throw wrongType(`${at}.${key}`, "true or false", value);
  return value;
}

function integer(json: Json, key: string, at: string): number {
  const value = json[key];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw wrongType(`${at}.${key}`, "an integer", value);
  return value;
}

function length(json: Json, key: string, at: string): number {
  const value = integer(json, key, at);
  if (value < 0) throw wrongType(`${at}.${key}`, "a length", value);
  return value;
}

function wrongType(at: string, wanted: string, value: unknown): StateError {
  return invalid(at, `Schema has ${kindOf(value)} where ${wanted} belongs`);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number") return `the number ${value}`;
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function invalid(at: string, message: string): StateError {
  return new StateError("SCHEMA_INVALID", message, {
    field: at === "" ? undefined : at,
    hint: HINT,
  });
}
