import { StateError } from "../errors.js";
import { arrayOf, assign, bytesOf, objectOf, runHook, valueOf, wrapHookError, type Properties } from "./access.js";
import type { AnyField, AnyVMState, Hooks, MutableArrayLike } from "./types.js";

/**
 * What a load has decoded for one object and not yet written to it. Predicates and hooks see it through {@link state}:
 * what was loaded, else what the device holds; what they assign stays in the draft. Nothing reaches the device before
 * {@link DraftRun.apply}.
 */

type LoadedHook = NonNullable<Hooks["loaded"]>;

/** Facts of one section's load that all its drafts share. */
export class DraftRun {
  readonly #loaded: { readonly hook: LoadedHook; readonly device: object; readonly version: number; name: string }[] =
    [];

  /** Remember a hook for after the commit, in the order in which the descriptions were completed. */
  addLoaded(state: AnyVMState, device: object, version: number): void {
    const hook = state.hooks.loaded;
    if (hook !== null) this.#loaded.push({ hook, device, version, name: state.name });
  }

  /**
   * Write the draft to the device, then run the `loaded` hooks. If anything throws, every value is put back.
   * Yields the promises of hooks.
   */
  *apply(root: Draft): Generator<PromiseLike<unknown>, void, void> {
    const undo: (() => void)[] = [];
    try {
      commitAll(root, undo);
      for (const { hook, device, version, name } of this.#loaded) {
        yield* runHook(() => hook(device as never, version), `Run the loaded hook of "${name}"`);
      }
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }
}

function commitAll(root: Draft, undo: (() => void)[]): void {
  try {
    root.commit(undo);
  } catch (error) {
    throw wrapHookError(error, "Commit the loaded state");
  }
}

type Entry = { readonly field: AnyField; value: unknown } | { readonly property: string; readonly value: unknown };

export class Draft {
  readonly device: object;
  readonly #descriptions: AnyVMState[] = [];
  /** In stream order, so that of two fields with one name the later one wins. */
  readonly #entries: Entry[] = [];
  readonly #values = new Map<string, unknown>();
  #state: object | null = null;

  constructor(device: object) {
    this.device = device;
  }

  /** The draft as hooks see it: like the device, but nothing assigned here reaches it yet. */
  get state(): never {
    this.#state ??= new Proxy(this.device, {
      get: (_, key) => (typeof key === "string" ? expose(this.#lookUp(key)) : Reflect.get(this.device, key)),
      set: (_, key, value) => {
        if (typeof key !== "string") return false;
        this.#assign(key, value);
        return true;
      },
      has: (_, key) => (typeof key === "string" && this.#values.has(key)) || key in this.device,
    });
    return this.#state as never;
  }

  /** `state` also describes this object: it or one of its subsections. */
  describe(state: AnyVMState): void {
    if (!this.#descriptions.includes(state)) this.#descriptions.push(state);
  }

  /** A field was decoded. */
  put(field: AnyField, value: unknown): void {
    this.#entries.push({ field, value });
    if (field.get === null) this.#values.set(field.name, value);
  }

  /** A property as loaded so far, else as the device holds it. */
  read(name: string): unknown {
    return this.#values.has(name) ? this.#values.get(name) : (this.device as Properties)[name];
  }

  /** A field's value as loaded so far, else as the device holds it. */
  current(field: AnyField): unknown {
    return field.get === null ? this.read(field.name) : field.get(this.state);
  }

  /** Write everything to the device, noting how to take it back. */
  commit(undo: (() => void)[]): void {
    const { device } = this;
    for (const entry of this.#entries) {
      if ("field" in entry) commitField(entry.field, device, entry.value, undo);
      else {
        const { property, value } = entry;
        const had = (device as Properties)[property];
        undo.push(() => void ((device as Properties)[property] = had));
        (device as Properties)[property] = value;
      }
    }
  }

  #fieldOf(name: string): AnyField | null {
    for (const { fields } of this.#descriptions) {
      for (const field of fields) if (field.name === name && field.get === null) return field;
    }
    return null;
  }

  #lookUp(name: string): unknown {
    if (this.#values.has(name)) return this.#values.get(name);
    const value = (this.device as Properties)[name];
    const field = this.#fieldOf(name);
    if (field === null || typeof value !== "object" || value === null) return value;
    // A hook may change what it gets: give it a copy that takes part in the commit.
    const copy = draftOf(field, value);
    if (copy !== value) this.put(field, copy);
    return copy;
  }

  #assign(name: string, value: unknown): void {
    const field = this.#fieldOf(name);
    if (field !== null) this.put(field, value);
    else {
      this.#entries.push({ property: name, value });
      this.#values.set(name, value);
    }
  }
}

/** What a hook sees of a value in a draft: nested drafts appear as their state. */
function expose(value: unknown): unknown {
  if (value instanceof Draft) return value.state;
  if (Array.isArray(value) && value.some((element) => element instanceof Draft)) return value.map(expose);
  return value;
}

function draftOf(field: AnyField, value: object): unknown {
  switch (field.wire.kind) {
    case "array":
    case "buffer":
    case "bitmap":
      return ArrayBuffer.isView(value) ? (value as Uint8Array).slice() : Array.from(value as ArrayLike<unknown>);
    case "struct": {
      const nested = new Draft(value);
      nested.describe(field.wire.state);
      return nested;
    }
    default:
      return value;
  }
}

function commitField(field: AnyField, device: object, value: unknown, undo: (() => void)[]): void {
  const { wire } = field;
  switch (wire.kind) {
    case "scalar": {
      const had = valueOf(field, device);
      undo.push(() => assign(field, device, had));
      assign(field, device, value);
      return;
    }
    case "array": {
      const list = value as ArrayLike<unknown>;
      if (wire.max !== null && replaceArray(field, device, list, undo)) return;
      const target = arrayOf<unknown>(field, device, wire.start + list.length);
      const had = Array.from({ length: list.length }, (_, i) => target[wire.start + i]);
      undo.push(() => copyInto(target, wire.start, had));
      copyInto(target, wire.start, list);
      return;
    }
    case "buffer":
    case "bitmap": {
      const bytes = value as Uint8Array;
      if (wire.max !== null) {
        const had = valueOf(field, device);
        undo.push(() => assign(field, device, had));
        assign(field, device, bytes);
        return;
      }
      const start = wire.kind === "buffer" ? wire.start : 0;
      const target = bytesOf(field, device, start + bytes.length).subarray(start, start + bytes.length);
      const had = target.slice();
      undo.push(() => target.set(had));
      target.set(bytes);
      return;
    }
    case "struct":
      if (value instanceof Draft) value.commit(undo);
      else
        throw new StateError("FIELD_INVALID", `Assign ${field.name}: change the members of a struct, not the struct`);
      return;
    case "structs":
      commitStructs(field, device, value as readonly (Draft | null)[], wire.start, undo);
      return;
    case "list": {
      const target = objectOf(field.name, valueOf(field, device)) as unknown[];
      const had = target.slice();
      undo.push(() => void target.splice(0, target.length, ...had));
      target.length = 0;
      for (const element of value as readonly Draft[]) {
        element.commit(undo);
        target.push(element.device);
      }
      return;
    }
    case "tree": {
      const target = objectOf(field.name, valueOf(field, device)) as Map<unknown, unknown>;
      const had = [...target];
      undo.push(() => {
        target.clear();
        for (const [key, element] of had) target.set(key, element);
      });
      target.clear();
      for (const [key, element] of value as readonly (readonly [unknown, Draft])[]) {
        if (key instanceof Draft) key.commit(undo);
        element.commit(undo);
        target.set(key instanceof Draft ? key.device : key, element.device);
      }
      return;
    }
    default:
      return;
  }
}

/** Elements that are new to the device's array are put into it. */
function commitStructs(
  field: AnyField,
  device: object,
  drafts: readonly (Draft | null)[],
  start: number,
  undo: (() => void)[],
): void {
  const target = objectOf(field.name, valueOf(field, device)) as unknown[];
  const { length } = target;
  const had = Array.from({ length: drafts.length }, (_, i) => target[start + i]);
  undo.push(() => {
    copyInto(target, start, had);
    if (target.length > length) target.length = length;
  });
  drafts.forEach((draft, i) => {
    draft?.commit(undo);
    const element = draft === null ? null : draft.device;
    if (target[start + i] !== element) target[start + i] = element;
  });
}

function replaceArray(field: AnyField, device: object, list: ArrayLike<unknown>, undo: (() => void)[]): boolean {
  const target = valueOf(field, device);
  if (!Array.isArray(target)) {
    undo.push(() => assign(field, device, target));
    assign(field, device, list);
    return true;
  }
  const had = target.slice() as unknown[];
  undo.push(() => void target.splice(0, target.length, ...had));
  target.length = list.length;
  copyInto(target, 0, list);
  return true;
}

function copyInto(target: MutableArrayLike<unknown>, start: number, list: ArrayLike<unknown>): void {
  for (let i = 0; i < list.length; i++) target[start + i] = list[i];
}
