/**
 * Would a stream of the old machine load in the new one? Walks two schemas field by field.
 *
 * The errors are, one for one, those of QEMU's scripts/vmstate-static-checker.py: what only the new schema has is no
 * finding (a load does not miss what it was never promised), names decide which fields belong together, and a field
 * list is left at its first mismatch, because everything behind it would only repeat the same finding.
 */
import { StateError } from "../errors.js";
import { SCHEMA_LIMITS } from "../limits.js";
import * as verdicts from "./schema-findings.js";
import type { SchemaFinding, Verdict, VersionLevel } from "./schema-findings.js";
import { otherDeviceName, sameName } from "./schema-renames.js";
import type { SchemaDescription, SchemaDevice, SchemaField, StateSchema } from "./schema.js";

/** What a comparison found; compatible if there are no errors. */
export interface SchemaComparison {
  /** In the order of the old schema. */
  readonly findings: readonly SchemaFinding[];
  readonly errors: number;
  readonly warnings: number;
}

/**
 * Compare two schemas; swap the arguments to ask about the way back.
 *
 * Throws StateError SCHEMA_INVALID if the schemas are so large, or repeat themselves so much, that a ceiling of
 * {@link SCHEMA_LIMITS} is passed.
 */
export function compareSchemas(
  old: StateSchema,
  now: StateSchema,
  options: { readonly device?: string | undefined } = {},
): SchemaComparison {
  const report = new Report();
  compareMachines(old.machine, now.machine, report);
  for (const device of old.devices.values()) {
    if (options.device === undefined || options.device === device.name) compareDevice(device, now, report);
  }
  const errors = report.findings.filter(({ severity }) => severity === "error").length;
  return { findings: report.findings, errors, warnings: report.findings.length - errors };
}

/** Collects findings, and stops comparisons that hostile schemas would make endless. */
class Report {
  readonly findings: SchemaFinding[] = [];
  #comparisons = 0;

  add({ device, path }: Place, verdict: Verdict): void {
    if (this.findings.length >= SCHEMA_LIMITS.findings) throw tooMuch("findings", SCHEMA_LIMITS.findings);
    const { severity, code, ...rest } = verdict;
    this.findings.push({ severity, code, device, path, ...rest });
  }

  countComparison(): void {
    if (++this.#comparisons > SCHEMA_LIMITS.comparisons) throw tooMuch("comparisons", SCHEMA_LIMITS.comparisons);
  }
}

function tooMuch(what: string, ceiling: number): StateError {
  const hint = "Subsections that occur many times under one name make schemas explode; remove the repetition";
  return new StateError("SCHEMA_INVALID", `Schemas take too many ${what} to compare: more than ${ceiling}`, { hint });
}

/** Where a finding belongs. */
interface Place {
  readonly device: string | null;
  readonly path: string;
}

/** A place inside a device; `device` is the name under which renames of its descriptions are known. */
interface DevicePlace extends Place {
  readonly device: string;
}

const inside = (place: DevicePlace, step: string): DevicePlace => ({
  device: place.device,
  path: `${place.path} > ${step}`,
});

function compareMachines(old: string | null, now: string | null, report: Report): void {
  if (old === null || old === now) return;
  const verdict = now === null ? verdicts.machineMissing(old) : verdicts.machineDiffers(old, now);
  report.add({ device: null, path: "machine" }, verdict);
}

function compareDevice(old: SchemaDevice, schema: StateSchema, report: Report): void {
  const place: DevicePlace = { device: old.name, path: old.name };
  const now = schema.devices.get(old.name) ?? schema.devices.get(otherDeviceName(old.name) ?? old.name);
  if (now === undefined) {
    report.add(place, verdicts.deviceMissing(old.name));
    return;
  }
  if (old.versionId > now.versionId) {
    report.add(place, verdicts.versionLowered("device", old.versionId, now.versionId));
  }
  compareDeviceMinimum(old, now, place, report);
  reportMissingMembers(old, now, place, report);
  if (old.description !== null && now.description !== null) {
    compareDescriptions(old.description, now.description, "device", place, report);
  }
}

/**
 * QEMU's checker counts a raised minimum at the description only, where dumps repeat it. Should a file say it in this
 * place alone, it still deserves a word.
 */
function compareDeviceMinimum(old: SchemaDevice, now: SchemaDevice, place: DevicePlace, report: Report): void {
  if (!minimumRaised(old, now)) return;
  const repeated =
    old.description !== null && now.description !== null && minimumRaised(old.description, now.description);
  if (repeated) return;
  const verdict = verdicts.minimumVersionRaised("device", old.versionId, now.minimumVersionId);
  report.add(place, { ...verdict, severity: "warning" });
}

function compareDescriptions(
  old: SchemaDescription,
  now: SchemaDescription,
  level: VersionLevel,
  parent: DevicePlace,
  report: Report,
): void {
  report.countComparison();
  const place = inside(parent, old.name);
  compareVersions(old, now, level, place, report);
  if (!sameName(place.device, old.name, now.name)) {
    report.add(place, verdicts.descriptionDiffers(old.name, now.name));
    return;
  }
  reportMissingMembers(old, now, place, report);
  if (old.fields !== null && now.fields !== null) {
    compareFieldLists(old.fields, now.fields, old.name, place, report);
  }
  if (old.subsections !== null && now.subsections !== null) {
    compareSubsections(old.subsections, now.subsections, place, report);
  }
}

type Versions = Pick<SchemaDescription, "versionId" | "minimumVersionId">;

function minimumRaised(old: Versions, now: Versions): now is Versions & { readonly minimumVersionId: number } {
  return now.minimumVersionId !== null && old.versionId < now.minimumVersionId;
}

function compareVersions(old: Versions, now: Versions, level: VersionLevel, place: Place, report: Report): void {
  if (old.versionId > now.versionId) {
    report.add(place, verdicts.versionLowered(level, old.versionId, now.versionId));
  }
  if (minimumRaised(old, now)) {
    report.add(place, verdicts.minimumVersionRaised(level, old.versionId, now.minimumVersionId));
  }
}

interface WithMembers {
  readonly members: readonly string[];
}

function reportMissingMembers(old: WithMembers, now: WithMembers, place: Place, report: Report): void {
  const present = new Set(now.members);
  for (const member of old.members) {
    if (!present.has(member)) report.add(place, verdicts.memberMissing(member));
  }
}

function compareSubsections(
  old: readonly SchemaDescription[],
  now: readonly SchemaDescription[],
  place: DevicePlace,
  report: Report,
): void {
  for (const subsection of old) {
    let found = false;
    for (const candidate of now) {
      report.countComparison();
      if (candidate.name !== subsection.name) continue;
      found = true;
      compareDescriptions(subsection, candidate, "subsection", place, report);
    }
    if (!found) report.add(inside(place, subsection.name), verdicts.subsectionMissing(subsection.name));
  }
}

function compareFieldLists(
  oldFields: readonly SchemaField[],
  newFields: readonly SchemaField[],
  description: string,
  place: DevicePlace,
  report: Report,
): void {
  const oldCursor = new FieldCursor(oldFields);
  const newCursor = new FieldCursor(newFields);
  let old = oldCursor.next();
  let now = newCursor.next();
  while (old !== null) {
    report.countComparison();
    if (now === null) {
      report.add(inside(place, old.name), verdicts.fieldMissing(old.name));
      return;
    }
    if (sameName(description, old.name, now.name)) {
      compareField(old, now, inside(place, old.name), report);
    } else if (beginsWith(now, old.name)) {
      now = newCursor.enter(now);
      continue;
    } else if (beginsWith(old, now.name)) {
      old = oldCursor.enter(old);
      continue;
    } else if (old.name === UNUSED || now.name === UNUSED) {
      const verdict = skipUnused(old, now, oldCursor, newCursor, report);
      if (verdict !== null) {
        report.add(inside(place, old.name), verdict);
        return;
      }
    } else {
      report.add(inside(place, old.name), verdicts.fieldDiffers(old, now, howChanged(old, now, oldCursor, newCursor)));
      return;
    }
    old = oldCursor.next();
    now = newCursor.next();
  }
}

function compareField(old: SchemaField, now: SchemaField, place: DevicePlace, report: Report): void {
  compareVersions(old, now, "field", place, report);
  if (old.num !== null && now.num !== null && old.num !== now.num) {
    report.add(place, verdicts.fieldCount(old.num, now.num));
  }
  if (old.description === null) {
    if (old.size !== now.size) report.add(place, verdicts.fieldSize(old.size, now.size));
  } else if (now.description === null) {
    report.add(place, verdicts.descriptionMissing(old.description.name));
  } else {
    compareDescriptions(old.description, now.description, "struct", place, report);
  }
}

function howChanged(
  old: SchemaField,
  now: SchemaField,
  oldCursor: FieldCursor,
  newCursor: FieldCursor,
): verdicts.FieldChange {
  const comesLater = newCursor.hasAhead(old.name);
  const cameLater = oldCursor.hasAhead(now.name);
  if (comesLater) return cameLater ? "moved" : "inserted";
  return cameLater ? "removed" : "replaced";
}

/** The field name of bytes that nobody needs any more. */
const UNUSED = "unused";

/** Fields that moved into a structure of their own are the same bytes: true if `field` is such a structure. */
function beginsWith(field: SchemaField, name: string): boolean {
  const first = field.description?.fields?.[0];
  return first !== undefined && field.description !== null && sameName(field.description.name, first.name, name);
}

/**
 * Unused bytes on one side may stand for fields of the other, as long as these fill them exactly: advances the cursor
 * of the other side past them. Null, or what is wrong.
 *
 * Of the first field all elements count, of those after it only one: so does QEMU's checker, and ours gives its verdict.
 */
function skipUnused(
  old: SchemaField,
  now: SchemaField,
  oldCursor: FieldCursor,
  newCursor: FieldCursor,
  report: Report,
): Verdict | null {
  const unusedIsNew = now.name === UNUSED;
  const [padding, filler, cursor] = unusedIsNew ? [now, old, oldCursor] : [old, now, newCursor];
  let left = totalSize(padding) - totalSize(filler);
  while (left !== 0) {
    report.countComparison();
    const next = cursor.next();
    if (next === null) return unusedIsNew ? null : verdicts.fieldMissing(old.name);
    left -= next.size;
    if (left < 0) return verdicts.paddingSize(padding, next);
  }
  return null;
}

function totalSize(field: SchemaField): number {
  return field.size * (field.num ?? 1);
}

/** Walks a field list, and the lists of structures that it is told to enter, as if they were one. */
class FieldCursor {
  readonly #levels: { readonly fields: readonly SchemaField[]; index: number }[];

  constructor(fields: readonly SchemaField[]) {
    this.#levels = [{ fields, index: 0 }];
  }

  next(): SchemaField | null {
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const field = level.fields[level.index++];
      if (field !== undefined) return field;
      this.#levels.pop();
    }
    return null;
  }

  /** Whether a field of this name is still to come. */
  hasAhead(name: string): boolean {
    return this.#levels.some(({ fields, index }) => fields.slice(index).some((field) => field.name === name));
  }

  /** Go on with the fields inside `field`; the first of them, or what follows when there are none. */
  enter(field: SchemaField): SchemaField | null {
    this.#levels.push({ fields: field.description?.fields ?? [], index: 0 });
    return this.next();
  }
}
