import { SectionError, StateError, addContext, isMigrationError } from "../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import { VMS_NULLPTR_MARKER, VMS_POINTER_MARKER, QEMU_VM_SUBSECTION } from "../stream/constants.js";
import { readInto, skip, type Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import { atField, countOf, runHook, valueOf, wrapHookError } from "./access.js";
import { putBitmapWord } from "./bitmap.js";
import { Draft, DraftRun } from "./draft.js";
import type { AnyField, AnyVMState, Codec, FieldKind } from "./types.js";

/** Bytes asked for at once while an array is decoded, so that no array must be contiguous as a whole. */
const STEP = 16 << 10;

interface LoadRun {
  readonly reader: Reader;
  readonly limits: Limits;
  readonly drafts: DraftRun;
}

/** State that was decoded and checked, and has not touched the device. */
export class LoadedState {
  readonly #root: Draft;
  readonly #run: DraftRun;

  constructor(root: Draft, run: DraftRun) {
    this.#root = root;
    this.#run = run;
  }

  /** Write it to the device and run the `loaded` hooks: all of it, or (when something throws) nothing. */
  commit(): Decode<void> {
    return this.#run.apply(this.#root);
  }
}

/**
 * Decode the state of `device` as `state` describes it (VMState chapter, "Load"). `version` is what the stream says.
 * The device is only read: call {@link LoadedState.commit} once the section's footer was accepted.
 *
 * @throws SectionError VERSION_TOO_NEW, VERSION_TOO_OLD, SUBSECTION_UNKNOWN; StateError with the field's path
 */
export function* loadVMState(
  reader: Reader,
  state: AnyVMState,
  device: object,
  version: number,
  limits: Limits = DEFAULT_LIMITS,
): Decode<LoadedState> {
  const drafts = new DraftRun();
  const root = new Draft(device);
  yield* loadState({ reader, limits, drafts }, state, root, version);
  return new LoadedState(root, drafts);
}

function* loadState(run: LoadRun, state: AnyVMState, draft: Draft, version: number): Decode<void> {
  const { reader } = run;
  if (version > state.version) {
    const message = `Load "${state.name}": version ${version} of the stream is newer than ${state.version} here`;
    throw new SectionError("VERSION_TOO_NEW", message, { offset: reader.offset });
  }
  if (version < state.minimumVersion) {
    const message = `Load "${state.name}": version ${version} of the stream is older than ${state.minimumVersion}, the oldest that can be loaded`;
    throw new SectionError("VERSION_TOO_OLD", message, { offset: reader.offset });
  }
  draft.describe(state);
  const { preLoad, postLoad } = state.hooks;
  if (preLoad !== null) yield* runHook(() => preLoad(draft.state), `Run preLoad of "${state.name}"`);
  for (const step of planOf(state, version)) {
    if ("size" in step) {
      try {
        if (!reader.has(step.size)) yield step.size;
      } catch (error) {
        throw atTruncation(error, step.fields, reader.available);
      }
      for (const { field, codec } of step.fields) decodeScalar(run, field, codec, draft);
    } else {
      const start = reader.offset;
      try {
        if (exists(step.field, draft, version)) yield* loadField(run, step.field, draft);
      } catch (error) {
        throw addContext(atField(error, step.field.name), { offset: start });
      }
    }
  }
  yield* loadSubsections(run, state, draft);
  if (postLoad !== null) yield* runHook(() => postLoad(draft.state, version), `Run postLoad of "${state.name}"`);
  run.drafts.addLoaded(state, draft.device, version);
}

interface ScalarStep {
  readonly field: AnyField;
  readonly codec: Codec<unknown>;
}
/** Adjacent scalars that are there in any case are read as one run; everything else goes alone. */
type Step = { readonly size: number; readonly fields: readonly ScalarStep[] } | { readonly field: AnyField };

const plans = new WeakMap<AnyVMState, Map<number, readonly Step[]>>();

function planOf(state: AnyVMState, version: number): readonly Step[] {
  let versions = plans.get(state);
  if (versions === undefined) plans.set(state, (versions = new Map<number, readonly Step[]>()));
  let plan = versions.get(version);
  if (plan === undefined) versions.set(version, (plan = compile(state, version)));
  return plan;
}

function compile(state: AnyVMState, version: number): readonly Step[] {
  const steps: Step[] = [];
  let run: { size: number; fields: ScalarStep[] } | null = null;
  for (const field of state.fields) {
    if (field.exists === null && field.since > version) continue;
    if (field.exists === null && field.wire.kind === "scalar") {
      const { codec } = field.wire;
      if (run === null || run.size + codec.size > STEP) steps.push((run = { size: 0, fields: [] }));
      run.size += codec.size;
      run.fields.push({ field, codec });
    } else {
      run = null;
      steps.push({ field });
    }
  }
  return steps;
}

/** Name the field of a run in which the stream ended. */
function atTruncation(error: unknown, fields: readonly ScalarStep[], available: number): unknown {
  let left = available;
  for (const { field, codec } of fields) {
    left -= codec.size;
    if (left < 0) return atField(error, field.name);
  }
  return error;
}

function exists(field: AnyField, draft: Draft, version: number): boolean {
  if (field.exists === null) return true;
  const result = called(() => field.exists?.(draft.state, version) ?? true, `Ask whether ${field.name} exists`);
  if (field.wire.kind !== "validate") return result;
  if (!result) throw new StateError("FIELD_REQUIRED", `Load state: it is not valid, ${field.name}`);
  return false;
}

function decodeScalar(run: LoadRun, field: AnyField, codec: Codec<unknown>, draft: Draft): void {
  const { reader } = run;
  const start = reader.offset;
  try {
    draft.put(
      field,
      codec.get(reader, () => draft.current(field)),
    );
  } catch (error) {
    const wrapped = withHint(wrapHookError(error, `Load ${field.name}`), field);
    throw addContext(atField(wrapped, field.name), { offset: start });
  }
}

/** Run a device's own code. */
function called<T>(code: () => T, action: string): T {
  try {
    return code();
  } catch (error) {
    throw wrapHookError(error, action);
  }
}

function withHint(error: unknown, { hint }: AnyField): unknown {
  if (hint === null || !(error instanceof StateError)) return error;
  return new StateError(error.code, error.message, { hint, cause: error.cause });
}

function* loadField(run: LoadRun, field: AnyField, draft: Draft): Decode<void> {
  const { reader } = run;
  const { wire } = field;
  const count = (of: Parameters<typeof countOf>[0]): number => countOf(of, (name) => draft.read(name));
  switch (wire.kind) {
    case "scalar": {
      if (!reader.has(wire.codec.size)) yield wire.codec.size;
      try {
        draft.put(
          field,
          wire.codec.get(reader, () => draft.current(field)),
        );
      } catch (error) {
        throw withHint(wrapHookError(error, `Load ${field.name}`), field);
      }
      return;
    }
    case "array":
      draft.put(field, yield* loadArray(run, field, wire, draft, count(wire.count)));
      return;
    case "struct": {
      const nested = nestedDraft(field, valueOf(field, draft.device));
      draft.put(field, nested);
      yield* loadState(run, wire.state, nested, wire.version ?? wire.state.version);
      return;
    }
    case "structs":
      yield* loadStructs(run, field, wire, draft, count(wire.count));
      return;
    case "buffer": {
      const size = count(wire.size);
      checkRoom(field, draft, wire.start + size, wire.max === null ? null : wire.max + wire.start);
      const bytes = new Uint8Array(size);
      yield* readInto(reader, bytes);
      draft.put(field, bytes);
      return;
    }
    case "bitmap": {
      const bits = count(wire.bits);
      checkRoom(field, draft, Math.ceil(bits / 8), wire.max === null ? null : Math.ceil(wire.max / 8));
      const bytes = new Uint8Array(Math.ceil(bits / 8));
      for (let word = 0; word * 64 < bits; word++) {
        if (!reader.has(8)) yield 8;
        putBitmapWord(bytes, bits, word, reader.u64());
      }
      draft.put(field, bytes);
      return;
    }
    case "unused":
      yield* skip(reader, wire.size);
      return;
    case "list":
      yield* loadList(run, field, wire, draft);
      return;
    case "tree":
      yield* loadTree(run, field, wire, draft);
      return;
    case "temporary": {
      const object = called(() => wire.create(draft.state), `Make the temporary object ${field.name}`);
      const temporary = new Draft(object);
      yield* loadState(run, wire.state, temporary, wire.state.version);
      return;
    }
    case "validate":
      return;
  }
}

/** The stream cannot bring more than the device has room for, or the description allows. */
function checkRoom(field: AnyField, draft: Draft, wanted: number, max: number | null): void {
  const value = valueOf(field, draft.device);
  const held = typeof value === "object" && value !== null && "length" in value ? Number(value.length) : 0;
  const room = max ?? held;
  if (wanted > room) {
    const message = `Load ${field.name}: the stream has ${wanted} elements, there is room for ${room}`;
    throw new StateError("LENGTH_OUT_OF_RANGE", message);
  }
}

function* loadArray(
  run: LoadRun,
  field: AnyField,
  wire: Extract<FieldKind, { kind: "array" }>,
  draft: Draft,
  n: number,
): Decode<ArrayLike<unknown>> {
  const { reader } = run;
  const { codec, start, max } = wire;
  checkRoom(field, draft, start + n, max === null ? null : start + max);
  const list = codec.list?.(n) ?? new Array<unknown>(n);
  const held = (i: number): unknown => (draft.current(field) as ArrayLike<unknown>)[start + i];
  const step = Math.max(1, Math.floor(STEP / codec.size));
  for (let done = 0; done < n;) {
    const end = Math.min(n, done + step);
    if (!reader.has((end - done) * codec.size)) yield (end - done) * codec.size;
    for (; done < end; done++) {
      const index = done;
      try {
        list[index] = codec.get(reader, () => held(index));
      } catch (error) {
        throw atField(withHint(wrapHookError(error, `Load ${field.name}`), field), `[${index}]`);
      }
    }
  }
  return list;
}

function nestedDraft(field: AnyField, value: unknown): Draft {
  if (typeof value !== "object" || value === null) {
    throw new StateError(
      "FIELD_INVALID",
      `Load ${field.name}: the device holds ${String(value)} where a struct belongs`,
    );
  }
  return new Draft(value);
}

function make(field: AnyField, create: (() => object) | null): object | null {
  return create === null ? null : called(create, `Make an element of ${field.name}`);
}

function* loadStructs(
  run: LoadRun,
  field: AnyField,
  wire: Extract<FieldKind, { kind: "structs" }>,
  draft: Draft,
  n: number,
): Decode<void> {
  const { reader } = run;
  const { start, state, pointers, max, create } = wire;
  checkRoom(field, draft, start + n, max === null ? null : start + max);
  const held = valueOf(field, draft.device) as ArrayLike<object | null>;
  const drafts: (Draft | null)[] = [];
  draft.put(field, drafts);
  for (let i = 0; i < n; i++) {
    try {
      const element = held[start + i] ?? null;
      let present = true;
      if (pointers === "auto" || (pointers === "marker" && element === null)) {
        if (!reader.has(1)) yield 1;
        const marker = reader.u8();
        present = pointers === "auto" && marker === VMS_POINTER_MARKER;
        if (!present && marker !== VMS_NULLPTR_MARKER) {
          const message = `Load ${field.name}: the marker of a null element is 0x${marker.toString(16)}, it must be 0x30`;
          throw new StateError("FIELD_INVALID", message);
        }
      }
      if (!present) {
        drafts.push(null);
        continue;
      }
      const nested = nestedDraft(field, element ?? make(field, create));
      drafts.push(nested);
      yield* loadState(run, state, nested, wire.version ?? state.version);
    } catch (error) {
      throw atField(error, `[${i}]`);
    }
  }
}

function* loadList(
  run: LoadRun,
  field: AnyField,
  wire: Extract<FieldKind, { kind: "list" }>,
  draft: Draft,
): Decode<void> {
  const { reader, limits } = run;
  const most = wire.max ?? limits.containerElements;
  const drafts: Draft[] = [];
  for (;;) {
    if (!reader.has(1)) yield 1;
    if (reader.u8() === 0) break;
    if (drafts.length === most) throw tooMany(field, most);
    const element = new Draft(make(field, wire.create) ?? {});
    try {
      yield* loadState(run, wire.state, element, wire.state.version);
    } catch (error) {
      throw atField(error, `[${drafts.length}]`);
    }
    drafts.push(element);
  }
  draft.put(field, drafts);
}

function* loadTree(
  run: LoadRun,
  field: AnyField,
  wire: Extract<FieldKind, { kind: "tree" }>,
  draft: Draft,
): Decode<void> {
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
        key = new Draft({});
        yield* loadState(run, wire.key, key, wire.key.version);
      }
      const value = new Draft(make(field, wire.create) ?? {});
      yield* loadState(run, wire.value, value, wire.value.version);
      entries.push([key, value]);
    } catch (error) {
      throw atField(error, `[${entries.length}]`);
    }
  }
  if (entries.length !== announced) {
    const message = `Load ${field.name}: the tree has ${entries.length} nodes, it announces ${announced}`;
    throw new StateError("LENGTH_OUT_OF_RANGE", message);
  }
  draft.put(field, entries);
}

function tooMany(field: AnyField, most: number): StateError {
  return new StateError("LENGTH_OUT_OF_RANGE", `Load ${field.name}: it has more than ${most} elements`);
}

/**
 * The subsection probe. Bytes are only peeked at until they are sure to be ours: a byte 0x05 may as well be the
 * enclosing struct's data, so what is too short, or begins with another name, is left in the stream.
 */
function* loadSubsections(run: LoadRun, state: AnyVMState, draft: Draft): Decode<void> {
  const { reader } = run;
  for (;;) {
    if (!(yield* available(reader, 1)) || reader.peekU8() !== QEMU_VM_SUBSECTION) return;
    if (!(yield* available(reader, 2))) return;
    const length = reader.peekU8(1);
    if (length < state.name.length + 1) return;
    if (!(yield* available(reader, 2 + length))) return;
    const name = reader.peekText(2, length);
    if (!name.startsWith(state.name)) return;
    const start = reader.offset;
    const subsection = state.subsections?.find((candidate) => candidate.name === name);
    if (subsection === undefined) {
      const message = `Load "${state.name}": the subsection "${name}" is unknown`;
      throw new SectionError("SUBSECTION_UNKNOWN", message, { offset: start });
    }
    reader.advance(2 + length);
    try {
      if (!reader.has(4)) yield 4;
      yield* loadState(run, subsection, draft, reader.u32());
    } catch (error) {
      throw addContext(error, { offset: start });
    }
  }
}

/** As many bytes have come, or the stream ends before: the probe looks ahead and may find nothing. */
function* available(reader: Reader, n: number): Decode<boolean> {
  try {
    if (!reader.has(n)) yield n;
    return true;
  } catch (error) {
    if (isMigrationError(error, "TRUNCATED")) return false;
    throw error;
  }
}
