import { OTHER } from "../stream/integers.js";
import { encodeName } from "../stream/names.js";
import { integerKind } from "./codecs.js";
import { ABSENT } from "./part.js";
import { plainOf, type Plain } from "./plain.js";
import { PropertyOrder } from "./property-order.js";
import type { AnyField, AnyVMState, Codec } from "./types.js";

/**
 * Descriptions, worked out once for all loads and saves: which fields are handled together as a run, and where a
 * draft keeps their values.
 */

/** Bytes asked for at once, so that nothing must be contiguous as a whole. */
export const STEP = 16 << 10;

/** Adjacent fields of fixed size that are there in any case; the i-th goes to `slots[i]`. */
export interface Run {
  readonly field: null;
  readonly size: number;
  readonly fields: readonly AnyField[];
  /** Null for what is only passed over. */
  readonly codecs: readonly (Codec<unknown> | null)[];
  /** Bytes each takes. */
  readonly sizes: readonly number[];
  /** See stream/integers.ts. */
  readonly kinds: Uint8Array;
  /** As `kinds`, for writing. */
  readonly putKinds: Uint8Array;
  readonly slots: Int32Array;
  /** Indices of fields that are reached through a lens. */
  readonly lenses: readonly number[];
}

/** A run, or a field that goes alone. */
export type Step = Run | { readonly field: AnyField; readonly slot: number };

/**
 * Where a draft keeps the values of one description: a slot a field, but one for all fields that are the same property
 * of the device, so that of two with one name the later one loaded wins.
 */
export interface Layout {
  readonly state: AnyVMState;
  /** The name as it is on the wire. */
  readonly wireName: Uint8Array;
  readonly size: number;
  /** For each slot the property it becomes, where that is a mere assignment; else null. */
  readonly properties: readonly (string | null)[];
  /** For each slot the first field that uses it. */
  readonly fields: readonly AnyField[];
  /** The slots while nothing is in them. */
  readonly absent: readonly unknown[];
  /** Reads all of `properties` at once. */
  readonly order: PropertyOrder;
  /**
   * Nobody's code that may change the device runs between its fields while it is saved, so they may all be read before
   * the first is written.
   */
  readonly quiet: boolean;
  /** Slots of properties. */
  readonly byName: ReadonlyMap<string, number>;
  /** Slots of fields that are reached through a lens, by the field's name. */
  readonly lenses: ReadonlyMap<string, number>;
  /** The steps of a load or save at `version`. */
  steps(version: number): readonly Step[];
  /** The code for all of the fields at `version`, where they are plain. */
  plain(version: number): Plain | null;
}

const layouts = new WeakMap<AnyVMState, Layout>();

/** The layout of a description. */
export function layoutOf(state: AnyVMState): Layout {
  let layout = layouts.get(state);
  if (layout === undefined) layouts.set(state, (layout = makeLayout(state)));
  return layout;
}

function makeLayout(state: AnyVMState): Layout {
  const byName = new Map<string, number>();
  const lenses = new Map<string, number>();
  const fields: AnyField[] = [];
  const properties: (string | null)[] = [];
  const slots = state.fields.map((field) => {
    const named = field.get === null && isProperty(field);
    const known = named ? byName.get(field.name) : undefined;
    // A property that is a scalar in one field and an array in another is no mere assignment.
    if (known !== undefined) {
      if (field.wire.kind !== "scalar") properties[known] = null;
      return known;
    }
    const slot = fields.push(field) - 1;
    properties.push(named && field.wire.kind === "scalar" ? field.name : null);
    if (named) byName.set(field.name, slot);
    else if (field.get !== null) lenses.set(field.name, slot);
    return slot;
  });
  const plans = new Map<number, readonly Step[]>();
  const plains = new Map<number, Plain | null>();
  return {
    state,
    wireName: encodeName(state.name),
    size: fields.length,
    properties,
    fields,
    absent: fields.map(() => ABSENT),
    order: new PropertyOrder(properties),
    quiet: state.fields.every(isQuiet),
    byName,
    lenses,
    steps(version) {
      let plan = plans.get(version);
      if (plan === undefined) plans.set(version, (plan = compile(state, version, slots, properties)));
      return plan;
    },
    plain(version) {
      let plain = plains.get(version);
      if (plain === undefined) plains.set(version, (plain = plainOf(state, version)));
      return plain;
    },
  };
}

/** False for what has no value of its own in the device. */
function isProperty({ wire }: AnyField): boolean {
  return wire.kind !== "unused" && wire.kind !== "validate" && wire.kind !== "temporary";
}

/** What predicates and getters would change is their own fault: they are there to tell. */
function isQuiet({ wire }: AnyField): boolean {
  if (wire.kind === "temporary") return false;
  if (wire.kind === "tree") return isQuietState(wire.value) && (wire.key === null || isQuietState(wire.key));
  return "state" in wire ? isQuietState(wire.state) : true;
}

function isQuietState({ hooks, fields, subsections }: AnyVMState): boolean {
  if (hooks.preSave !== null || hooks.postSave !== null) return false;
  return fields.every(isQuiet) && (subsections ?? []).every(isQuietState);
}

function compile(
  state: AnyVMState,
  version: number,
  slots: readonly number[],
  properties: readonly (string | null)[],
): readonly Step[] {
  const steps: Step[] = [];
  let run: AnyField[] = [];
  let runSlots: number[] = [];
  let size = 0;
  const close = (): void => {
    if (run.length > 0) steps.push(makeRun(run, runSlots));
    run = [];
    runSlots = [];
    size = 0;
  };
  state.fields.forEach((field, i) => {
    if (field.exists === null && field.since > version) return;
    const slot = slots[i] ?? 0;
    const scalar = isFixedScalar(field) && (field.get !== null || properties[slot] !== null);
    const short = field.wire.kind === "unused" && field.wire.size <= STEP;
    if (field.exists !== null || !(scalar || short)) {
      close();
      steps.push({ field, slot });
      return;
    }
    if (size + sizeOf(field) > STEP) close();
    size += sizeOf(field);
    run.push(field);
    runSlots.push(slot);
  });
  close();
  return steps;
}

function isFixedScalar({ wire }: AnyField): boolean {
  return wire.kind === "scalar" && wire.codec.load === undefined;
}

function makeRun(fields: readonly AnyField[], slots: readonly number[]): Run {
  const codecs = fields.map(({ wire }) => (wire.kind === "scalar" ? wire.codec : null));
  const sizes = fields.map(sizeOf);
  return {
    field: null,
    size: sizes.reduce((sum, size) => sum + size, 0),
    fields,
    codecs,
    sizes,
    kinds: Uint8Array.from(codecs, (codec) => (codec === null ? OTHER : integerKind(codec, "get"))),
    putKinds: Uint8Array.from(codecs, (codec) => (codec === null ? OTHER : integerKind(codec, "put"))),
    slots: Int32Array.from(slots),
    lenses: fields.flatMap(({ get }, i) => (get === null ? [] : [i])),
  };
}

function sizeOf({ wire }: AnyField): number {
  if (wire.kind === "scalar") return wire.codec.size;
  return wire.kind === "unused" ? wire.size : 0;
}
