import type { AnyField, AnyVMState } from "./types.js";

/**
 * The static dump of descriptions, in the form and layout of QEMU's `-dump-vmstate FILE`: what two builds of an
 * emulator are compared by (see schema-check.ts). It holds no state.
 */

/** A kind of device and how its state is described. */
export interface SchemaEntry {
  /** Device type, such as "isa-serial"; each at most once. */
  readonly type: string;
  readonly state: AnyVMState;
}

/**
 * JSON text, two spaces a level.
 *
 * `size` of a field is its `memorySize`, else the bytes one element takes on the wire (0 where only the state tells).
 */
export function dumpSchema(machine: string, entries: Iterable<SchemaEntry>): string {
  const devices = Object.assign(Object.create(null) as Record<string, unknown>, { vmschkmachine: { Name: machine } });
  for (const { type, state } of entries) {
    if (type in devices) throw new RangeError(`Dump device type "${type}": it is there twice`);
    const { version, minimumVersion } = state;
    devices[type] = {
      Name: type,
      version_id: version,
      minimum_version_id: minimumVersion,
      Description: description(state),
    };
  }
  return `${JSON.stringify(devices, null, 2)}\n`;
}

function description(state: AnyVMState): Record<string, unknown> {
  const { name, version, minimumVersion, fields, subsections } = state;
  return {
    name,
    version_id: version,
    minimum_version_id: minimumVersion,
    // Validity tests carry no data, so they are no part of a schema.
    Fields: fields.filter(({ wire }) => wire.kind !== "validate").map(field),
    ...(subsections === null ? {} : { Subsections: subsections.map(description) }),
  };
}

function field(entry: AnyField): Record<string, unknown> {
  const { name, since, exists, memorySize, wire } = entry;
  const num = "count" in wire && wire.count.fixed !== null ? { num: wire.count.fixed } : {};
  const nested = "state" in wire ? wire.state : wire.kind === "tree" ? wire.value : null;
  return {
    field: name,
    version_id: since,
    field_exists: exists !== null,
    ...num,
    size: memorySize ?? elementSize(entry),
    ...(nested === null ? {} : { Description: description(nested) }),
  };
}

/** Bytes of one element on the wire, all fields present and no subsection; 0 where the length is the state's. */
function elementSize({ wire }: AnyField): number {
  switch (wire.kind) {
    case "scalar":
    case "array":
      return wire.codec.size;
    case "struct":
    case "structs":
    case "temporary":
      return wire.state.fields.reduce((sum, member) => sum + elementSize(member) * elementCount(member), 0);
    case "buffer":
      return wire.size.fixed ?? 0;
    case "bitmap":
      return Math.ceil((wire.bits.fixed ?? 0) / 64) * 8;
    case "unused":
      return wire.size;
    case "list":
    case "tree":
    case "validate":
      return 0;
  }
}

function elementCount({ wire }: AnyField): number {
  if (!("count" in wire)) return 1;
  return wire.count.fixed ?? 0;
}
