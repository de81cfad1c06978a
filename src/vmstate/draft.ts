import { StateError } from "../errors.js";
import { QEMU_VM_SUBSECTION } from "../stream/constants.js";
import { Reader } from "../stream/reader.js";
import { atField, runHook, wrapHookError, type Properties } from "./access.js";
import { giveBack, takeArena, type Arena, type Span } from "./arena.js";
import { commitLayer, commitProperty, rollBack, type Undo } from "./commit.js";
import { draftState } from "./draft-state.js";
import { ABSENT, DRAFT, Part, draftBehind, partOf } from "./part.js";
import type { Plain } from "./plain.js";
import { layoutOf, type Layout } from "./plan.js";
import type { AnyField, AnyVMState, Hooks } from "./types.js";

/**
 * What a load has decoded for one object and not yet written to it. Predicates and hooks see it through
 * {@link Draft.state}: what was loaded, else what the device holds; what they assign stays in the draft. Nothing
 * reaches the device before {@link DraftRun.apply}.
 */

type LoadedHook = NonNullable<Hooks["loaded"]>;

/** Objects that have no accessors of their own. */
const PLAIN = new WeakSet();

/** The values of one pass over one description. */
export class Layer {
  readonly layout: Layout;
  #values: unknown[] | null = null;

  constructor(layout: Layout) {
    this.layout = layout;
  }

  /** A slot each: {@link ABSENT}, a scalar, or a {@link Part} for everything else. */
  get values(): unknown[] {
    return (this.#values ??= this.layout.absent.slice());
  }
}

/** A plain state (plain.ts) whose bytes are all there and in order. */
interface PlainPart {
  readonly plain: Plain;
  readonly state: AnyVMState;
  readonly draft: Draft;
  readonly version: number;
  /** Of the bytes in the stream. */
  readonly offset: number;
  /** Of the bytes in the arena. */
  readonly at: number;
}

/** The drafts of one section, and what they share. */
export class DraftRun {
  readonly #loaded: { readonly hook: LoadedHook; readonly device: object; readonly version: number; name: string }[] =
    [];
  /** One draft an object, so that whatever reaches it sees the same. */
  readonly #drafts = new Map<object, Draft>();
  #arena: Arena | null = null;
  #closed = false;
  /** What was loaded so far, as long as all of it is plain; null once drafts hold it. */
  #plain: PlainPart[] | null = [];
  /** Somebody's code has seen a draft, so any value may be one, or have been changed. */
  exposed = false;

  /** The draft of `object`, which may itself be what hooks see of one; `state` describes it, among others. */
  of(object: object, state: AnyVMState): Draft {
    let draft = (this.exposed ? (draftBehind(object) as Draft | null) : null) ?? this.#drafts.get(object);
    if (draft === undefined) this.#drafts.set(object, (draft = new Draft(object, this)));
    draft.describe(state);
    return draft;
  }

  /** Room for the elements of an array until the commit, or null. */
  span(kind: number, n: number): Span | null {
    this.#arena ??= takeArena();
    return this.#arena.take(kind, n);
  }

  /** Keep the bytes of a plain state in place of its values. False, having done nothing, where that is not enough. */
  keep(reader: Reader, plain: Plain, state: AnyVMState, draft: Draft, version: number): boolean {
    if (this.#plain === null || !reader.has(plain.size) || mayHaveSubsection(reader, plain)) return false;
    if (!isFit(plain, draft.device)) return false;
    const arena = (this.#arena ??= takeArena());
    const at = arena.reserve(plain.room);
    if (at < 0) return false;
    this.#plain.push({ plain, state, draft, version, offset: reader.offset, at });
    reader.copy(plain.size, arena.bytes, at);
    return true;
  }

  /** Values are wanted: hand over the bytes of all plain states, which are to be decoded after all, in this order. */
  takePlain(decode: (reader: Reader, state: AnyVMState, draft: Draft, version: number) => void): void {
    const parts = this.#plain ?? [];
    this.#plain = null;
    for (const { plain, state, draft, version, offset, at } of parts) {
      const bytes = this.#arena?.bytes.slice(at, at + plain.size) ?? new Uint8Array(0);
      decode(Reader.of(bytes, offset), state, draft, version);
    }
  }

  /** False, having done nothing, if there is nothing plain, or a device is not any more what it was. */
  #commitPlain(undo: Undo[]): boolean {
    const parts = this.#plain ?? [];
    if (this.#arena === null || parts.length === 0) return false;
    const { view, bytes } = this.#arena;
    try {
      for (const { plain, draft, at } of parts) {
        const kept = plain.keep(draft.device);
        if (kept === null || kept.includes(undefined)) throw new TypeError("Commit a plain state: it is not plain");
        plain.swap(kept, view, bytes, at);
        undo.push(() => plain.undo(kept, view, bytes, at));
        plain.store(kept, view, at);
      }
      return true;
    } catch {
      // The long way tells what is wrong, if it is.
      rollBack(undo);
      undo.length = 0;
      return false;
    }
  }

  /** True once nothing that is assigned to a draft would reach the device any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Remember a hook for after the commit, in the order in which the descriptions were completed. */
  addLoaded(state: AnyVMState, device: object, version: number): void {
    const hook = state.hooks.loaded;
    if (hook !== null) this.#loaded.push({ hook, device, version, name: state.name });
  }

  /**
   * Write the draft to the device, then run the `loaded` hooks. If anything throws, every value is put back.
   * Yields the promises of hooks.
   *
   * @param settle calls {@link takePlain}
   */
  *apply(root: Draft, settle: () => void): Generator<PromiseLike<unknown>, void, void> {
    const undo: Undo[] = [];
    try {
      if (!this.#commitPlain(undo)) {
        settle();
        this.#closed = true;
        root.commit(undo);
      }
      this.#closed = true;
      for (const { hook, device, version, name } of this.#loaded) {
        yield* runHook(() => hook(device as never, version), `Run the loaded hook of "${name}"`);
      }
    } catch (error) {
      rollBack(undo);
      throw error;
    } finally {
      if (this.#arena !== null) giveBack(this.#arena);
      this.#arena = null;
    }
  }
}

/** The draft of one object. */
export class Draft {
  readonly device: object;
  readonly run: DraftRun;
  /** In stream order: what comes later counts. */
  readonly #layers: Layer[] = [];
  /** What hooks assigned to properties that no field describes. */
  #extras: Map<string, unknown> | null = null;
  #state: object | null = null;
  #committed = false;

  constructor(device: object, run: DraftRun) {
    this.device = device;
    this.run = run;
  }

  /** The draft as hooks see it: like the device, but nothing assigned here reaches it yet. */
  get state(): never {
    this.run.exposed = true;
    this.#state ??= draftState(this);
    return this.#state as never;
  }

  /** For {@link draftBehind}. */
  get [DRAFT](): this {
    return this;
  }

  /** `state` describes the object, though nothing may be loaded by it. */
  describe(state: AnyVMState): void {
    const layout = layoutOf(state);
    for (const layer of this.#layers) if (layer.layout === layout) return;
    this.open(layout);
  }

  /** The layer that takes what is decoded next by `layout`. */
  open(layout: Layout): Layer {
    const top = this.#layers[this.#layers.length - 1];
    if (top?.layout === layout) return top;
    const layer = new Layer(layout);
    this.#layers.push(layer);
    return layer;
  }

  /** A field was decoded into a slot of `layout`. */
  put(layout: Layout, slot: number, field: AnyField, value: unknown): void {
    const { values } = this.open(layout);
    if (field.wire.kind === "scalar" && (field.get !== null || layout.properties[slot] !== null)) {
      values[slot] = value;
      return;
    }
    const before = this.run.exposed && field.get === null ? this.#newest(field.name, false) : ABSENT;
    const part = new Part(field, value);
    if (before instanceof Part) part.cover(before, this.run);
    values[slot] = part;
  }

  /** A count as loaded so far, also through a lens of that name, else as the device holds it. */
  read(name: string): unknown {
    const found = this.#newest(name, true);
    if (found !== ABSENT) return found;
    return this.#extras?.has(name) === true ? this.#extras.get(name) : this.#held(name);
  }

  /** A scalar field's value as loaded so far, else as the device holds it. */
  current(field: AnyField): unknown {
    return field.get === null ? this.read(field.name) : this.#through(field);
  }

  /** The array, buffer or struct that a field is about, before it is decoded: the device's, or a hook's. */
  container(field: AnyField): unknown {
    if (field.get !== null) return this.#through(field);
    if (!this.run.exposed) return this.#held(field.name);
    const found = this.#newest(field.name, false);
    if (found instanceof Part && found.view !== ABSENT) return found.view;
    return this.#extras?.has(field.name) === true ? this.#extras.get(field.name) : this.#held(field.name);
  }

  /** What a hook gets for a property. Containers come as copies that take part in the commit. */
  look(name: string): unknown {
    const found = this.#newest(name, false);
    // After the commit the device has what a part brought, and the part what was there before.
    const gone = this.run.closed && found instanceof Part && found.view === ABSENT;
    if (found !== ABSENT && !gone) return found instanceof Part ? found.expose(this, this.run) : found;
    if (this.#extras?.has(name) === true) return this.#extras.get(name);
    const value = this.#held(name);
    if (typeof value !== "object" || value === null || this.run.closed) return value;
    const home = this.#home(name);
    const part = home === null ? null : partOf(home.field, value, this.run);
    if (home === null || part === null) return value;
    home.layer.values[home.slot] = part;
    return part.expose(this, this.run);
  }

  /** A hook assigns a property. */
  assign(name: string, value: unknown): void {
    if (this.run.closed) throw new TypeError(`Assign ${name} of a draft: it was committed, change the device`);
    const home = this.#home(name);
    if (home === null) {
      this.#extras ??= new Map<string, unknown>();
      this.#extras.set(name, draftBehind(value)?.device ?? value);
      return;
    }
    const { layer, slot, field } = home;
    if (field.wire.kind === "struct") {
      if (draftBehind(value) !== null && value === this.look(name)) return;
      throw new StateError("FIELD_INVALID", `Assign ${name}: change the members of a struct, not the struct`);
    }
    if (field.wire.kind === "scalar") this.put(layer.layout, slot, field, value);
    else layer.values[slot] = new Part(field, ABSENT, value);
  }

  /** True if the device or the draft has the property. */
  has(name: string): boolean {
    return name in this.device || this.#newest(name, false) !== ABSENT || this.#extras?.has(name) === true;
  }

  /** Names of properties that only the draft has. */
  get added(): readonly string[] {
    return this.#extras === null ? [] : [...this.#extras.keys()];
  }

  /** Write everything to the device, noting how to take it back. */
  commit(undo: Undo[]): void {
    if (this.#committed) return;
    this.#committed = true;
    const { device } = this;
    for (const [name, value] of this.#extras ?? []) {
      try {
        commitProperty(device, name, value, undo);
      } catch (error) {
        throw atField(wrapHookError(error, "Commit the loaded state"), name);
      }
    }
    for (const layer of this.#layers) commitLayer(layer.layout, layer.values, device, undo);
  }

  /** The newest value loaded under a name, or {@link ABSENT}. */
  #newest(name: string, lenses: boolean): unknown {
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const { layout, values } = this.#layers[i];
      const slot = layout.byName.get(name) ?? (lenses ? layout.lenses.get(name) : undefined);
      if (slot !== undefined && values[slot] !== ABSENT) return values[slot];
    }
    return ABSENT;
  }

  /** The slot of a property: where it was loaded last, else in a description that has it, else in a subsection. */
  #home(name: string): { readonly layer: Layer; readonly slot: number; readonly field: AnyField } | null {
    let home: { layer: Layer; slot: number; field: AnyField } | null = null;
    for (const layer of this.#layers) {
      const slot = layer.layout.byName.get(name);
      if (slot === undefined) continue;
      if (home === null || layer.values[slot] !== ABSENT) {
        const value = layer.values[slot];
        const field = value instanceof Part ? value.field : layer.layout.fields[slot];
        home = { layer, slot, field };
      }
    }
    if (home !== null) return home;
    for (const { layout } of this.#layers) {
      const found = inSubsections(layout.state, name);
      if (found !== null) {
        const layer = this.open(found.layout);
        return { layer, slot: found.slot, field: found.layout.fields[found.slot] };
      }
    }
    return null;
  }

  /** What the device holds. A getter runs on the draft; one that needs private members runs on the device. */
  #held(name: string): unknown {
    // Making the state takes longer than a whole struct, and only accessors need it.
    if (!this.run.exposed && this.#isPlain && Object.hasOwn(this.device, name))
      return (this.device as Properties)[name];
    try {
      return Reflect.get(this.device, name, this.state);
    } catch (error) {
      if (error instanceof TypeError) return (this.device as Properties)[name];
      throw error;
    }
  }

  get #isPlain(): boolean {
    if (PLAIN.has(this.device)) return true;
    for (const key of Reflect.ownKeys(this.device)) {
      if (Reflect.getOwnPropertyDescriptor(this.device, key)?.get !== undefined) return false;
    }
    PLAIN.add(this.device);
    return true;
  }

  /** As {@link #held}, for what a lens finds. */
  #through(field: AnyField): unknown {
    try {
      return field.get?.(this.state);
    } catch (error) {
      if (error instanceof TypeError) return field.get?.(this.device as never);
      throw error;
    }
  }
}

function isFit(plain: Plain, device: object): boolean {
  try {
    return plain.isFit(device);
  } catch {
    return false;
  }
}

/**
 * True if a subsection may begin where a nested struct ends, which is for {@link loadSubsections} to decide. A byte
 * alone does not make one: what follows must have the beginning of its name.
 */
function mayHaveSubsection(reader: Reader, { ends }: Plain): boolean {
  for (const { at, wireName } of ends) {
    if (!reader.has(at + 1)) return true;
    if (reader.peekU8(at) !== QEMU_VM_SUBSECTION) continue;
    if (!reader.has(at + 2)) return true;
    const length = reader.peekU8(at + 1);
    if (length <= wireName.length) continue;
    if (!reader.has(at + 2 + length) || wireName.every((byte, i) => reader.peekU8(at + 2 + i) === byte)) return true;
  }
  return false;
}

function inSubsections(state: AnyVMState, name: string): { layout: Layout; slot: number } | null {
  for (const subsection of state.subsections ?? []) {
    const layout = layoutOf(subsection);
    const slot = layout.byName.get(name);
    if (slot !== undefined) return { layout, slot };
    const deeper = inSubsections(subsection, name);
    if (deeper !== null) return deeper;
  }
  return null;
}
