/** What a comparison of two schemas can find, and what each finding means for a stream of the old machine. */
import type { SchemaField } from "./schema.js";

/** Kinds of findings; each is explained in the finding itself. */
export type FindingCode =
  | "MACHINE_MISSING"
  | "MACHINE_DIFFERS"
  | "DEVICE_MISSING"
  | "VERSION_LOWERED"
  | "MINIMUM_VERSION_RAISED"
  | "MEMBER_MISSING"
  | "DESCRIPTION_DIFFERS"
  | "DESCRIPTION_MISSING"
  | "SUBSECTION_MISSING"
  | "FIELD_DIFFERS"
  | "FIELD_MISSING"
  | "FIELD_SIZE"
  | "FIELD_COUNT"
  | "PADDING_SIZE";

/** One difference; plain data, ready for JSON. */
export interface SchemaFinding {
  /** An error is what QEMU's own checker counts; a warning is worth knowing and may be harmless. */
  readonly severity: "error" | "warning";
  readonly code: FindingCode;
  /** Device type in the old schema; null when the finding is about the machine. */
  readonly device: string | null;
  /** Where: `device > description > field > description > ...`. */
  readonly path: string;
  /** What the old schema has there: a name, a version, a length; null for nothing. */
  readonly old: string | number | null;
  readonly new: string | number | null;
  readonly message: string;
  /** What goes wrong when the new machine loads a stream of the old one. */
  readonly explanation: string;
}

/**
 * What carries a version. It decides what a wrong one leads to: the versions of devices and subsections are in the
 * stream and are checked there, those of nested structures and of fields are not.
 */
export type VersionLevel = "device" | "subsection" | "struct" | "field";

/** A finding before it knows its place. */
export type Verdict = Omit<SchemaFinding, "device" | "path">;

const MISREAD = "everything behind it in the section is misread, until a footer or a nonsense value stops the load";

/** Names come from files: quoting keeps control characters off the terminal. */
const quote = (name: string): string => JSON.stringify(name);

function error(code: FindingCode, old: Verdict["old"], now: Verdict["new"], message: string, why: string): Verdict {
  return { severity: "error", code, old, new: now, message, explanation: why };
}

export function machineMissing(old: string): Verdict {
  const message = `New schema names no machine, the old one is of ${quote(old)}`;
  return error("MACHINE_MISSING", old, null, message, "Nothing says that the two schemas are of the same machine");
}

export function machineDiffers(old: string, now: string): Verdict {
  return {
    ...error("MACHINE_DIFFERS", old, now, `Machine differs: ${quote(old)} became ${quote(now)}`, ""),
    severity: "warning",
    explanation:
      "A stream carries its machine type and is refused by any other; compare two versions of one machine type instead",
  };
}

export function deviceMissing(device: string): Verdict {
  return error(
    "DEVICE_MISSING",
    device,
    null,
    `Device ${quote(device)} is gone`,
    "A machine that has this device sends a section for it, which the new side does not know: the load stops there. " +
      "Machines without the device are not affected",
  );
}

export function versionLowered(level: VersionLevel, old: number, now: number): Verdict {
  const why = {
    device: `The section says version ${old}, and the new side accepts ${now} at most: the load stops as too new`,
    subsection:
      `The subsection, when it is sent, says version ${old}, and the new side accepts ${now} at most: ` +
      "the load stops as too new",
    struct:
      `The version of a nested structure is not in the stream, so nothing stops the load: the new side reads ` +
      `the layout of version ${now} where that of ${old} was written. If they differ, ${MISREAD}`,
    field:
      `The old side sends the field from version ${old} on, the new side expects it from version ${now} on: ` +
      `in a stream of a version between the two it is missing, and ${MISREAD}`,
  }[level];
  return error("VERSION_LOWERED", old, now, `Version went down: ${old} became ${now}`, why);
}

export function minimumVersionRaised(level: VersionLevel, old: number, minimum: number): Verdict {
  const why =
    level === "struct" || level === "field"
      ? `The version of a nested part is not in the stream, so nothing stops the load: the new side no longer knows ` +
        `the layout of version ${old}. If it is another, ${MISREAD}`
      : `The stream says version ${old}, and the new side accepts ${minimum} at least: the load stops as too old`;
  const message = `Version ${old} is no longer accepted: the minimum version is now ${minimum}`;
  return error("MINIMUM_VERSION_RAISED", old, minimum, message, why);
}

const MEMBER_EXPLANATIONS: ReadonlyMap<string, string> = new Map([
  ["Description", "The new side does not say what the device sends, so its section cannot be shown to load"],
  ["Fields", `The new side reads no fields here while the old one sends some, and ${MISREAD}`],
  ["Subsections", "The new side knows no subsections here: each that the old one sends stops the load"],
]);

export function memberMissing(member: string): Verdict {
  const why =
    MEMBER_EXPLANATIONS.get(member) ?? "The new schema does not say, so this cannot be shown to be compatible";
  return error("MEMBER_MISSING", member, null, `Entry ${quote(member)} is gone`, why);
}

export function descriptionDiffers(old: string, now: string): Verdict {
  return error(
    "DESCRIPTION_DIFFERS",
    old,
    now,
    `Description ${quote(old)} became ${quote(now)}; what is in it was not compared`,
    "The name of a device's description is part of the name of its section, and that of a structure tells which " +
      "subsections are its own: what was sent under the old name is not found under the new one",
  );
}

export function descriptionMissing(old: string): Verdict {
  return error(
    "DESCRIPTION_MISSING",
    old,
    null,
    `Field was a structure (${quote(old)}) and is a plain value now`,
    `The old side sends the fields of the structure, the new side reads one value, and ${MISREAD}`,
  );
}

export function subsectionMissing(name: string): Verdict {
  return error(
    "SUBSECTION_MISSING",
    name,
    null,
    `Subsection ${quote(name)} is gone`,
    "Whenever the old side sends it, the new side meets a subsection that it does not know, and the load stops. " +
      "A stream in which it was not needed loads",
  );
}

/** How two field lists came to differ, guessed from where else the two names occur. */
export type FieldChange = "inserted" | "removed" | "moved" | "replaced";

export function fieldDiffers(old: SchemaField, now: SchemaField, change: FieldChange): Verdict {
  const why = {
    inserted:
      `${quote(now.name)} was put in front of it: the new side reads ${bytes(now.size)} that the old one never sends, ` +
      `and ${MISREAD}. A new field needs a higher version of its own, or a subsection`,
    removed:
      `The old side still sends it and nobody reads it: its bytes are taken for ${quote(now.name)}, and ${MISREAD}. ` +
      "A field that nobody needs stays as unused bytes",
    moved: `Fields have no names in the stream, their order is all there is: ${quote(old.name)} and ${quote(now.name)} swap values`,
    replaced:
      `Fields have no names in the stream: the bytes of ${quote(old.name)} are read into ${quote(now.name)}. ` +
      (old.size === now.size
        ? "Sizes are equal: if it was only renamed, this is harmless"
        : `Sizes differ (${bytes(old.size)}, now ${bytes(now.size)}), so that ${MISREAD}`),
  }[change];
  const message = `Expected field ${quote(old.name)}, got ${quote(now.name)}; the rest of the fields was not compared`;
  return error("FIELD_DIFFERS", old.name, now.name, message, why);
}

export function fieldMissing(old: string): Verdict {
  return error(
    "FIELD_MISSING",
    old,
    null,
    `Expected field ${quote(old)}, but the new description ends here`,
    `The old side sends the field and nobody reads it: its bytes are taken for what comes next, and ${MISREAD}`,
  );
}

export function fieldSize(old: number, now: number): Verdict {
  return error(
    "FIELD_SIZE",
    old,
    now,
    `Size of an element differs: ${bytes(old)} became ${bytes(now)}`,
    `If the width in the stream changed with that in memory, the new side reads ${bytes(now)} where ${old} were sent, ` +
      `and ${MISREAD}. Sizes of pointers and opaque objects may differ harmlessly`,
  );
}

export function fieldCount(old: number, now: number): Verdict {
  return {
    ...error("FIELD_COUNT", old, now, `Length of an array differs: ${old} became ${now}`, ""),
    severity: "warning",
    explanation:
      `The old side sends ${old} elements, the new side reads ${now}, and ${MISREAD}. ` +
      "QEMU's own checker does not look at array lengths",
  };
}

export function paddingSize(padding: SchemaField, near: SchemaField): Verdict {
  return error(
    "PADDING_SIZE",
    padding.name,
    near.name,
    `Unused bytes and the fields in their place end at different points, near ${quote(near.name)}`,
    `Fields may take the place of unused bytes only if they fill them exactly; these do not, and ${MISREAD}`,
  );
}

function bytes(count: number): string {
  return count === 1 ? "1 byte" : `${count} bytes`;
}
