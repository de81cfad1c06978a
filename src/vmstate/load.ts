import { SectionError, StateError, addContext } from "../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import { QEMU_VM_SUBSECTION } from "../stream/constants.js";
import { decodeSync, hasMore, type Decode } from "../stream/drive.js";
import type { SyncSource } from "../stream/io.js";
import type { Reader } from "../stream/reader.js";
import { atField, runHook, wrapHookError } from "./access.js";
import { DraftRun, type Draft, type Layer } from "./draft.js";
import { called, loadField, withHint, type LoadRun, type Rest } from "./load-field.js";
import { layoutOf, type Layout, type Run, type Step } from "./plan.js";
import type { AnyField, AnyVMState } from "./types.js";

/** State that was decoded and checked, and has not touched the device. */
export class LoadedState {
  readonly #root: Draft;
  readonly #run: LoadRun;

  constructor(root: Draft, run: LoadRun) {
    this.#root = root;
    this.#run = run;
  }

  /** Write it to the device and run the `loaded` hooks: all of it, or (when something throws) nothing. */
  commit(): Decode<void> {
    return this.#run.drafts.apply(this.#root, () => settle(this.#run));
  }
}

/**
 * Decode the state of `device` as `state` describes it (VMState chapter, "Load"). `version` is what the stream says.
 * The device is only read: call {@link LoadedState.commit} once the section's footer was accepted.
 *
 * @throws SectionError VERSION_TOO_NEW, VERSION_TOO_OLD, SUBSECTION_UNKNOWN; StateError with the field's path;
 *   StreamError TRUNCATED
 */
export function* loadVMState(
  reader: Reader,
  state: AnyVMState,
  device: object,
  version: number,
  limits: Limits = DEFAULT_LIMITS,
): Decode<LoadedState> {
  const drafts = new DraftRun();
  const root = drafts.of(device, state);
  const run: LoadRun = { reader, limits, drafts, nested: loadState };
  const rest = loadState(run, state, root, version);
  if (rest !== null) yield* rest;
  return new LoadedState(root, run);
}

/**
 * Most often all bytes are there and no hook waits, and a generator for every struct and array would take longer than
 * their decoding. So what follows decodes at once as far as it can, and returns a generator for the rest, or null.
 */
function loadState(run: LoadRun, state: AnyVMState, draft: Draft, version: number): Rest {
  checkVersion(state, version, run.reader.offset);
  const layout = layoutOf(state);
  const part: StatePart = { run, layout, draft, version };
  const { preLoad, postLoad } = state.hooks;
  if (preLoad === null && postLoad === null) {
    const plain = layout.plain(version);
    if (plain !== null && run.drafts.keep(run.reader, plain, state, draft, version)) return finish(part);
  }
  settle(run);
  draft.open(layout);
  if (preLoad !== null)
    return proceed(
      part,
      runHook(() => preLoad(draft.state), `Run preLoad of "${state.name}"`),
      0,
    );
  const steps = layout.steps(version);
  for (let i = 0; i < steps.length; i++) {
    const rest = loadStep(part, steps[i]);
    if (rest !== null) return proceed(part, rest, i + 1);
  }
  return finish(part);
}

/** Decode what was kept as bytes so far. That it can be decoded is known, so nothing is waited for. */
function settle(run: LoadRun): void {
  run.drafts.takePlain((reader, state, draft, version) => {
    const layout = layoutOf(state);
    const part: StatePart = { run: { ...run, reader }, layout, draft, version };
    draft.open(layout);
    for (const step of layout.steps(version)) {
      const rest = loadStep(part, step);
      if (rest !== null) decodeSync(rest, reader, NOTHING);
    }
  });
}

/** A source that has ended. */
const NOTHING: SyncSource = { read: () => null };

/** One description as it is loaded into one draft. */
interface StatePart {
  readonly run: LoadRun;
  readonly layout: Layout;
  readonly draft: Draft;
  readonly version: number;
}

/** The rest of what was begun, then the steps from `next` on. */
function* proceed(part: StatePart, begun: Decode<void>, next: number): Decode<void> {
  yield* begun;
  const steps = part.layout.steps(part.version);
  for (let i = next; i < steps.length; i++) {
    const rest = loadStep(part, steps[i]);
    if (rest !== null) yield* rest;
  }
  const rest = finish(part);
  if (rest !== null) yield* rest;
}

function loadStep(part: StatePart, step: Step): Rest {
  const { run, layout, draft, version } = part;
  const { reader } = run;
  if (step.field === null) {
    if (!reader.has(step.size)) return waitForRun(part, step);
    decodeRun(reader, step, draft, draft.open(layout));
    return null;
  }
  const { field, slot } = step;
  const start = reader.offset;
  try {
    if (!exists(field, draft, version)) return null;
    const rest = loadField(run, field, slot, draft, layout);
    return rest === null ? null : locate(rest, field, start);
  } catch (error) {
    throw addContext(atField(error, field.name), { offset: start });
  }
}

function* waitForRun({ run: { reader }, draft, layout }: StatePart, run: Run): Decode<void> {
  try {
    yield run.size;
  } catch (error) {
    throw atTruncation(error, run, reader.available);
  }
  decodeRun(reader, run, draft, draft.open(layout));
}

function* locate(rest: Decode<void>, field: AnyField, offset: number): Decode<void> {
  try {
    yield* rest;
  } catch (error) {
    throw addContext(atField(error, field.name), { offset });
  }
}

function finish(part: StatePart): Rest {
  const { run, layout, draft, version } = part;
  const { state } = layout;
  if (state.hooks.postLoad !== null || !run.reader.has(1) || run.reader.peekU8() === QEMU_VM_SUBSECTION) {
    return finishSlowly(part);
  }
  run.drafts.addLoaded(state, draft.device, version);
  return null;
}

function* finishSlowly({ run, layout, draft, version }: StatePart): Decode<void> {
  const { state } = layout;
  const { postLoad } = state.hooks;
  yield* loadSubsections(run, layout, draft);
  if (postLoad !== null) yield* runHook(() => postLoad(draft.state, version), `Run postLoad of "${state.name}"`);
  run.drafts.addLoaded(state, draft.device, version);
}

function checkVersion(state: AnyVMState, version: number, offset: number): void {
  if (version > state.version) {
    const message = `Load "${state.name}": version ${version} of the stream is newer than ${state.version} here`;
    throw new SectionError("VERSION_TOO_NEW", message, { offset });
  }
  if (version < state.minimumVersion) {
    const message = `Load "${state.name}": version ${version} of the stream is older than ${state.minimumVersion}, the oldest that can be loaded`;
    throw new SectionError("VERSION_TOO_OLD", message, { offset });
  }
}

/** Name the field of a run in which the stream ended. */
function atTruncation(error: unknown, { fields, sizes }: Run, available: number): unknown {
  let left = available;
  const at = sizes.findIndex((size) => (left -= size) < 0);
  return atField(error, fields[at]?.name ?? "");
}

/** All bytes of the run are there. */
function decodeRun(reader: Reader, run: Run, draft: Draft, { values }: Layer): void {
  const { kinds, slots, fields, codecs, sizes } = run;
  const start = reader.offset;
  let i = 0;
  try {
    for (;;) {
      i = reader.integers(kinds, i, values, slots);
      const field = fields[i];
      if (field === undefined) return;
      const codec = codecs[i] ?? null;
      if (codec === null) reader.advance(sizes[i] ?? 0);
      else values[slots[i]] = codec.get(reader, () => draft.current(field));
      i += 1;
    }
  } catch (error) {
    const field = fields[i];
    const offset = start + sizes.slice(0, i).reduce((sum, size) => sum + size, 0);
    throw addContext(atField(withHint(wrapHookError(error, `Load ${field.name}`), field), field.name), { offset });
  }
}

function exists(field: AnyField, draft: Draft, version: number): boolean {
  const { exists: predicate } = field;
  if (predicate === null) return true;
  const result = called(() => predicate(draft.state, version), `Ask whether ${field.name} exists`);
  if (field.wire.kind !== "validate") return result;
  if (!result) throw new StateError("FIELD_REQUIRED", `Load state: it is not valid, ${field.name}`);
  return false;
}

/**
 * The subsection probe. Bytes are only peeked at until they are sure to be ours: a byte 0x05 may as well be the
 * enclosing struct's data, so what is too short, or begins with another name, is left in the stream.
 */
function* loadSubsections(run: LoadRun, { state, wireName }: Layout, draft: Draft): Decode<void> {
  const { reader } = run;
  for (;;) {
    if (!(yield* hasMore(reader, 1)) || reader.peekU8() !== QEMU_VM_SUBSECTION) return;
    if (!(yield* hasMore(reader, 2))) return;
    const length = reader.peekU8(1);
    if (length < wireName.length + 1) return;
    if (!(yield* hasMore(reader, 2 + length))) return;
    if (!wireName.every((byte, i) => reader.peekU8(2 + i) === byte)) return;
    const name = reader.peekText(2, length);
    const start = reader.offset;
    const subsection = state.subsections?.find((candidate) => candidate.name === name);
    if (subsection === undefined) {
      const message = `Load "${state.name}": the subsection "${name}" is unknown`;
      throw new SectionError("SUBSECTION_UNKNOWN", message, { offset: start });
    }
    reader.advance(2 + length);
    try {
      if (!reader.has(4)) yield 4;
      const rest = loadState(run, subsection, draft, reader.u32());
      if (rest !== null) yield* rest;
    } catch (error) {
      throw addContext(error, { offset: start });
    }
  }
}
