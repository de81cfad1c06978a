import { StateError } from "../errors.js";
import type { Limits } from "../limits.js";
import { VMS_NULLPTR_MARKER, VMS_POINTER_MARKER } from "../stream/constants.js";
import { readInto, skip, type Decode } from "../stream/drive.js";
import { OTHER, U8 } from "../stream/integers.js";
import type { Reader } from "../stream/reader.js";
import { atField, countOf, wrapHookError } from "./access.js";
import { Span } from "./arena.js";
import { putBitmapWord } from "./bitmap.js";
import { integerKind } from "./codecs.js";
import type { Draft, DraftRun } from "./draft.js";
import { lengthOf } from "./part.js";
import { STEP, type Layout } from "./plan.js";
import type { AnyField, AnyVMState, Codec, FieldKind } from "./types.js";

/** Loading the fields that no run takes: containers, structs, and whatever a predicate decides on. */

/** What the load of one section shares. */
export interface LoadRun {
  readonly reader: Reader;
  readonly limits: Limits;
  readonly drafts: DraftRun;
  /** Load a description into a draft; see load.ts. */
  readonly nested: (run: LoadRun, state: AnyVMState, draft: Draft, version: number) => Rest;
}

/** What is left to be decoded when not all bytes are there; null when nothing is. */
export type Rest = Decode<void> | null;

type Wire<K extends FieldKind["kind"]> = Extract<FieldKind, { kind: K }>;

/** Decode one field that exists into slot `slot` of the draft, or as much of it as has arrived. */
export function loadField(run: LoadRun, field: AnyField, slot: number, draft: Draft, layout: Layout): Rest {
  const { reader } = run;
  const { wire } = field;
  switch (wire.kind) {
    case "array": {
      const n = countOf(wire.count, draft);
      const { codec, start, max } = wire;
      const kind = integerKind(codec, "get");
      if (wire.nullable || kind === OTHER || n * codec.size > STEP || !reader.has(n * codec.size)) break;
      checkRoom(field, containerOf(field, draft), start + n, max === null ? null : start + max);
      const span = max === null ? run.drafts.span(kind, n) : null;
      if (span !== null) reader.list(kind, span.list, span.at, span.at + n);
      const list = span ?? codec.list?.(n) ?? new Array<unknown>(n);
      if (!(list instanceof Span)) reader.list(kind, list, 0, n);
      draft.put(layout, slot, field, list);
      return null;
    }
    case "struct": {
      const nested = nestedDraft(run, field, wire.state, containerOf(field, draft));
      if (nested !== draft) draft.put(layout, slot, field, nested);
      return run.nested(run, wire.state, nested, wire.version ?? wire.state.version);
    }
    case "buffer": {
      const size = countOf(wire.size, draft);
      if (size > STEP || !reader.has(size)) break;
      checkRoom(field, containerOf(field, draft), wire.start + size, wire.max === null ? null : wire.max + wire.start);
      const span = wire.max === null ? run.drafts.span(U8, size) : null;
      if (span !== null) reader.list(U8, span.list, span.at, span.at + size);
      draft.put(layout, slot, field, span ?? reader.bytes(size));
      return null;
    }
    case "validate":
      return null;
    default:
  }
  return loadSlowly(run, field, slot, draft, layout);
}

function* loadSlowly(run: LoadRun, field: AnyField, slot: number, draft: Draft, layout: Layout): Decode<void> {
  const { reader } = run;
  const { wire } = field;
  // Asked for after the field was decoded: a nested struct may be the same object and have opened a layer of its own.
  const put = (value: unknown): void => draft.put(layout, slot, field, value);
  switch (wire.kind) {
    case "scalar": {
      const { codec } = wire;
      if (codec.load !== undefined) {
        put(yield* codec.load(reader, () => draft.current(field)));
        return;
      }
      if (!reader.has(codec.size)) yield codec.size;
      try {
        put(codec.get(reader, () => draft.current(field)));
      } catch (error) {
        throw withHint(wrapHookError(error, `Load ${field.name}`), field);
      }
      return;
    }
    case "array":
      put(yield* loadArray(run, field, wire, draft, countOf(wire.count, draft)));
      return;
    case "structs":
      put(yield* loadStructs(run, field, wire, draft, countOf(wire.count, draft)));
      return;
    case "buffer": {
      const size = countOf(wire.size, draft);
      checkRoom(field, containerOf(field, draft), wire.start + size, wire.max === null ? null : wire.max + wire.start);
      const bytes = new Uint8Array(size);
      yield* readInto(reader, bytes);
      put(bytes);
      return;
    }
    case "bitmap": {
      const bits = countOf(wire.bits, draft);
      const size = Math.ceil(bits / 8);
      checkRoom(field, containerOf(field, draft), size, wire.max === null ? null : Math.ceil(wire.max / 8));
      const bytes = new Uint8Array(size);
      for (let word = 0; word * 64 < bits; word++) {
        if (!reader.has(8)) yield 8;
        putBitmapWord(bytes, bits, word, reader.u64());
      }
      put(bytes);
      return;
    }
    case "unused":
      yield* skip(reader, wire.size);
      return;
    case "list":
      put(yield* loadList(run, field, wire));
      return;
    case "tree":
      put(yield* loadTree(run, field, wire));
      return;
    case "temporary": {
      const object = called(() => wire.create(draft.state), `Make the temporary object ${field.name}`);
      const temporary = run.drafts.of(object, wire.state);
      const rest = run.nested(run, wire.state, temporary, wire.state.version);
      if (rest !== null) yield* rest;
      // It takes part in the commit, so that its `loaded` hook finds it filled.
      put(temporary);
      return;
    }
    default:
      return;
  }
}

/** Run a device's own code. */
export function called<T>(code: () => T, action: string): T {
  try {
    return code();
  } catch (error) {
    throw wrapHookError(error, action);
  }
}

/** Give a failed comparison the hint of its field. */
export function withHint(error: unknown, { hint }: AnyField): unknown {
  if (hint === null || !(error instanceof StateError)) return error;
  return new StateError(error.code, error.message, { hint, cause: error.cause });
}

function containerOf(field: AnyField, draft: Draft): unknown {
  return called(() => draft.container(field), `Find ${field.name}`);
}

/** The stream cannot bring more than the device has room for, or the description allows. */
function checkRoom(field: AnyField, held: unknown, wanted: number, max: number | null): void {
  const room = max ?? lengthOf(held);
  if (wanted > room) {
    const message = `Load ${field.name}: the stream has ${wanted} elements, there is room for ${room}`;
    throw new StateError("LENGTH_OUT_OF_RANGE", message);
  }
}

function* loadArray(
  run: LoadRun,
  field: AnyField,
  wire: Wire<"array">,
  draft: Draft,
  n: number,
): Decode<ArrayLike<unknown>> {
  const { reader } = run;
  const { codec, start, max } = wire;
  const held = containerOf(field, draft);
  checkRoom(field, held, start + n, max === null ? null : start + max);
  if (wire.nullable) return yield* loadScalarPointers(reader, field, codec, held as ArrayLike<unknown>, n);
  const load = codec.load?.bind(codec);
  if (load !== undefined) {
    return yield* loadVariable((i) => load(reader, () => (held as ArrayLike<unknown>)[start + i]), n);
  }
  const list = codec.list?.(n) ?? new Array<unknown>(n);
  const step = Math.max(1, Math.floor(STEP / codec.size));
  let done = 0;
  const current = (): unknown => (held as ArrayLike<unknown>)[start + done];
  while (done < n) {
    const end = Math.min(n, done + step);
    if (!reader.has((end - done) * codec.size)) yield (end - done) * codec.size;
    try {
      for (; done < end; done++) list[done] = codec.get(reader, current);
    } catch (error) {
      throw atField(withHint(wrapHookError(error, `Load ${field.name}`), field), `[${done}]`);
    }
  }
  return list;
}

function* loadVariable(load: (i: number) => Decode<unknown>, n: number): Decode<unknown[]> {
  const list: unknown[] = [];
  for (let i = 0; i < n; i++) {
    try {
      list.push(yield* load(i));
    } catch (error) {
      throw atField(error, `[${i}]`);
    }
  }
  return list;
}

function* loadScalarPointers(
  reader: Reader,
  field: AnyField,
  codec: Codec<unknown>,
  held: ArrayLike<unknown>,
  n: number,
): Decode<unknown[]> {
  const list: unknown[] = [];
  for (let i = 0; i < n; i++) {
    try {
      if (held[i] === undefined) {
        yield* loadMarker(reader, field, false);
        list.push(undefined);
        continue;
      }
      if (!reader.has(codec.size)) yield codec.size;
      list.push(codec.get(reader, () => held[i]));
    } catch (error) {
      throw atField(error, `[${i}]`);
    }
  }
  return list;
}

function nestedDraft(run: LoadRun, field: AnyField, state: AnyVMState, value: unknown): Draft {
  if (typeof value !== "object" || value === null) {
    throw new StateError(
      "FIELD_INVALID",
      `Load ${field.name}: the device holds ${String(value)} where a struct belongs`,
    );
  }
  return run.drafts.of(value, state);
}

/** A missing element, if the description can make one. */
function make(field: AnyField, create: (() => object) | null): object | null {
  return create === null ? null : called(create, `Make an element of ${field.name}`);
}

function* loadStructs(
  run: LoadRun,
  field: AnyField,
  wire: Wire<"structs">,
  draft: Draft,
  n: number,
): Decode<(Draft | null)[]> {
  const { start, state, pointers, max, create } = wire;
  const value = containerOf(field, draft);
  checkRoom(field, value, start + n, max === null ? null : start + max);
  const held = (value ?? []) as ArrayLike<object | null>;
  const drafts: (Draft | null)[] = [];
  for (let i = 0; i < n; i++) {
    try {
      const element = held[start + i] ?? null;
      const marked = pointers === "auto" || (pointers === "marker" && element === null);
      if (marked && !(yield* loadMarker(run.reader, field, pointers === "auto"))) {
        drafts.push(null);
        continue;
      }
      const nested = nestedDraft(run, field, state, element ?? make(field, create));
      drafts.push(nested);
      const rest = run.nested(run, state, nested, wire.version ?? state.version);
      if (rest !== null) yield* rest;
    } catch (error) {
      throw atField(error, `[${i}]`);
    }
  }
  return drafts;
}

/** The byte in place of, or in front of, an element that may be null. True if the element follows. */
function* loadMarker(reader: Reader, field: AnyField, auto: boolean): Decode<boolean> {
  if (!reader.has(1)) yield 1;
  const marker = reader.u8();
  if (auto && marker === VMS_POINTER_MARKER) return true;
  if (marker === VMS_NULLPTR_MARKER) return false;
  const wanted = auto ? "0x30 or 0x31" : "0x30";
  const message = `Load ${field.name}: the marker of an element is 0x${marker.toString(16)}, it must be ${wanted}`;
  throw new StateError("FIELD_INVALID", message);
}

function* loadList(run: LoadRun, field: AnyField, wire: Wire<"list">): Decode<Draft[]> {
  const { reader, limits } = run;
  const { state } = wire;
  const most = wire.max ?? limits.containerElements;
  const drafts: Draft[] = [];
  for (;;) {
    if (!reader.has(1)) yield 1;
    if (reader.u8() === 0) return drafts;
    if (drafts.length === most) throw tooMany(field, most);
    try {
      const element = run.drafts.of(make(field, wire.create) ?? {}, state);
      const rest = run.nested(run, state, element, state.version);
      if (rest !== null) yield* rest;
      drafts.push(element);
    } catch (error) {
      throw atField(error, `[${drafts.length}]`);
    }
  }
}

function* loadTree(run: LoadRun, field: AnyField, wire: Wire<"tree">): Decode<(readonly [bigint | Draft, Draft])[]> {
  const { reader, limits } = run;
  if (!reader.has(4)) yield 4;
  const announced = reader.u32();
  const most = wire.max ?? limits.containerElements;
  if (announced > most) throw tooMany(field, most);
  const entries: (readonly [bigint | Draft, Draft])[] = [];
  for (;;) {
    if (!reader.has(1)) yield 1;
    if (reader.u8() === 0) break;
    if (entries.length === announced) {
      const message = `Load ${field.name}: the tree has more than the ${announced} nodes it announces`;
      throw new StateError("LENGTH_OUT_OF_RANGE", message);
    }
    try {
      let key: bigint | Draft;
      if (wire.key === null) {
        if (!reader.has(8)) yield 8;
        key = reader.u64();
      } else {
        key = run.drafts.of({}, wire.key);
        const rest = run.nested(run, wire.key, key, wire.key.version);
        if (rest !== null) yield* rest;
      }
      const value = run.drafts.of(make(field, wire.create) ?? {}, wire.value);
      const rest = run.nested(run, wire.value, value, wire.value.version);
      if (rest !== null) yield* rest;
      entries.push([key, value]);
    } catch (error) {
      throw atField(error, `[${entries.length}]`);
    }
  }
  if (entries.length !== announced) {
    const message = `Load ${field.name}: the tree has ${entries.length} nodes, it announces ${announced}`;
    throw new StateError("LENGTH_OUT_OF_RANGE", message);
  }
  return entries;
}

function tooMany(field: AnyField, most: number): StateError {
  return new StateError("LENGTH_OUT_OF_RANGE", `Load ${field.name}: it has more than ${most} elements`);
}
