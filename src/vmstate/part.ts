import { valueOf } from "./access.js";
import { Span } from "./arena.js";
import type { AnyField, AnyVMState } from "./types.js";

/** What a draft holds of a field that is more than a scalar: arrays, bytes, structs, lists, trees. */

/** Nothing is there: nothing was loaded, no hook has looked. */
export const ABSENT = Symbol("absent");

/** Under this key the state of a draft, as hooks see it, tells its draft. */
export const DRAFT = Symbol("draft");

/** What is needed of a draft here; see draft.ts. */
export interface DraftLike {
  readonly device: object;
  readonly state: object;
  commit(undo: (() => void)[]): void;
}

/** Where drafts come from; see draft.ts. */
export interface DraftSource {
  of(object: object, state: AnyVMState): DraftLike;
}

/** The draft that `value` is, or is the state of. */
export function draftBehind(value: unknown): DraftLike | null {
  if (typeof value !== "object" || value === null) return null;
  return (value as { [DRAFT]?: DraftLike })[DRAFT] ?? null;
}

/**
 * One field's value in a draft. `loaded` is what the stream brought, in the form load-field.ts makes; `view` is the
 * whole container as a hook has it. What a hook may have changed counts, so a view goes before what was loaded.
 */
export class Part {
  readonly field: AnyField;
  readonly loaded: unknown;
  view: unknown;

  constructor(field: AnyField, loaded: unknown, view: unknown = ABSENT) {
    this.field = field;
    this.loaded = loaded;
    this.view = view;
  }

  /** It was loaded after a hook had its hands on the container `before` stands for: what the hook did stays around it. */
  cover({ view, field }: Part, run: DraftSource): void {
    if (view !== ABSENT && field.wire.kind === this.field.wire.kind) {
      this.view = viewOf(this.field, this.loaded, view, run);
    }
  }

  /** The view, made when the first hook looks. */
  expose({ device }: DraftLike, run: DraftSource): unknown {
    if (this.view === ABSENT) this.view = viewOf(this.field, this.loaded, valueOf(this.field, device), run);
    return this.view;
  }
}

/** The part for a field that was not loaded and that a hook looks at; null if the device's own value will do. */
export function partOf(field: AnyField, held: object, run: DraftSource): Part | null {
  const { wire } = field;
  switch (wire.kind) {
    case "array":
    case "buffer":
    case "bitmap":
      return new Part(field, ABSENT, resized(held, lengthOf(held)));
    case "struct":
      return new Part(field, run.of(held, wire.state));
    case "structs":
      return new Part(field, ABSENT, statesOf(held, wire.state, run));
    case "list":
      return new Part(field, ABSENT, statesOf(held, wire.state, run));
    case "tree": {
      if (!(held instanceof Map)) return null;
      const { key: keyState, value: valueState } = wire;
      const entries = [...(held as Map<unknown, unknown>)].map(
        ([key, value]) =>
          [keyState === null ? key : stateOf(key, keyState, run), stateOf(value, valueState, run)] as const,
      );
      return new Part(field, ABSENT, new Map(entries));
    }
    default:
      return null;
  }
}

function viewOf(field: AnyField, loaded: unknown, held: unknown, run: DraftSource): unknown {
  const { wire } = field;
  switch (wire.kind) {
    case "array":
    case "buffer":
    case "bitmap": {
      const list = listOf(loaded);
      const start = wire.kind === "bitmap" ? 0 : wire.start;
      const end = start + list.length;
      const whole = resized(held ?? list, wire.max === null ? Math.max(lengthOf(held), end) : end);
      for (let i = 0; i < list.length; i++) whole[start + i] = list[i];
      return whole;
    }
    case "struct":
      return (loaded as DraftLike).state;
    case "structs": {
      const drafts = loaded as readonly (DraftLike | null)[];
      const states = statesOf(held, wire.state, run);
      if (wire.max !== null) states.length = wire.start + drafts.length;
      drafts.forEach((draft, i) => (states[wire.start + i] = draft?.state ?? null));
      return states;
    }
    case "list":
      return (loaded as readonly DraftLike[]).map((draft) => draft.state);
    case "tree":
      return new Map(
        (loaded as readonly (readonly [unknown, DraftLike])[]).map(([key, draft]) => [
          draftBehind(key)?.state ?? key,
          draft.state,
        ]),
      );
    default:
      return loaded;
  }
}

function statesOf(held: unknown, state: AnyVMState, run: DraftSource): unknown[] {
  return Array.from((held ?? []) as ArrayLike<unknown>, (element) => stateOf(element, state, run));
}

function stateOf(value: unknown, state: AnyVMState, run: DraftSource): unknown {
  return typeof value === "object" && value !== null ? run.of(value, state).state : value;
}

/** What was loaded of an array, as one. */
export function listOf(loaded: unknown): ArrayLike<unknown> {
  return loaded instanceof Span ? loaded.take() : (loaded as ArrayLike<unknown>);
}

/** The length of an array or typed array; 0 of anything else. */
export function lengthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const { length } = value as { length?: unknown };
  return length === undefined ? 0 : Number(length);
}

/** A copy with room for `length` elements, of the same kind of array; never a view of the original's memory. */
export function resized(value: unknown, length: number): unknown[] {
  if (!ArrayBuffer.isView(value)) return Array.from({ length }, (_, i) => (value as ArrayLike<unknown>)[i]);
  const view = value as Uint8Array;
  // A Node Buffer is a Uint8Array whose own constructor and slice() do not copy.
  const Type = value instanceof Uint8Array ? Uint8Array : (value.constructor as Uint8ArrayConstructor);
  const copy = new Type(length);
  copy.set(view.length > length ? view.subarray(0, length) : view);
  return copy as unknown as unknown[];
}

/** Elements `start` to `end` of an array or typed array, as many as there are, copied. */
export function slice(list: ArrayLike<unknown>, start: number, end: number): ArrayLike<unknown> {
  if (!ArrayBuffer.isView(list)) return Array.prototype.slice.call(list, start, end) as unknown[];
  // The method of typed arrays, not that of a Node Buffer, which does not copy.
  return Uint8Array.prototype.slice.call(list, start, end);
}
