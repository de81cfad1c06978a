import { addContext, type StateError } from "../errors.js";
import { descriptionName, type HandlerEntry, type SaveStateEntry } from "../registry/entry.js";
import type { Pending, SaveContext } from "../registry/handlers.js";
import { callHandler, runHandler } from "../registry/hooks.js";
import { PHASES, runPhase, runPhaseNow, type PhaseName, type Situation } from "../registry/phases.js";
import type { StateRegistry } from "../registry/registry.js";
import { QEMU_VM_CONFIGURATION, QEMU_VM_EOF } from "../stream/constants.js";
import type { Encode } from "../stream/drive.js";
import type { Writer } from "../stream/writer.js";
import { runHook } from "../vmstate/access.js";
import { JsonWriter } from "../vmstate/vmdesc.js";
import { blockedBy, nonMigratableList } from "./blockers.js";
import { payloadLength, writeCommand, type Command } from "./commands.js";
import { CONFIGURATION_SECTION, saveConfiguration } from "./configuration.js";
import { saveEntry } from "./entry-body.js";
import { writeDescription, writeMagic } from "./framing.js";
import { resolveOptions, type ResolvedOptions, type StreamOptions } from "./options.js";
import { writeSectionFooter, writeSectionHeader, type SectionType } from "./section.js";
import type { OnTrace } from "./trace.js";

/** Sections are handed to the sink in batches of about this many bytes (the buffer of QEMUFile). */
const FLUSH_BYTES = 32 << 10;

/** What a round may write. */
type Budget = Pick<SaveContext, "rateExceeded" | "bytesLeft">;
const UNLIMITED: Budget = { rateExceeded: () => false };

/** Points of a save at which others may want to act (PrecopyNotifyReason). */
export type PrecopyEvent = "setup" | "complete" | "cleanup";

/** The form of the stream, and what else takes part in a save. */
export interface SaveOptions extends StreamOptions {
  /** True when the current round has used up its bandwidth. Asked between sections, and by handlers within. */
  readonly rateLimit?: () => boolean;
  /** Bytes that the current round may still write, where that is known: saves asking page by page. */
  readonly bytesLeft?: () => number;
  /** Brings the state of running CPUs into their devices, before anything final is written. */
  readonly beforeComplete?: () => void;
  /** Told of the save's progress. What it throws is reported as a warning and stops nothing. */
  readonly onPrecopy?: (event: PrecopyEvent) => void;
  readonly onTrace?: OnTrace;
}

/** How a precopy save ends. */
export interface CompleteOptions {
  /** Only the END sections; devices follow later, perhaps in another stream. */
  readonly iterableOnly?: boolean;
  /** Called between the last device and EOF: let go of disks, so that the other side may take them. */
  readonly inactivate?: () => void | PromiseLike<void>;
}

/**
 * One save, step by step as in migration/savevm.c. Every step takes the writer it writes to, since the switchover to
 * postcopy sends devices through another one; a step may be driven by `encodeSync` or `encodeAsync`.
 */
export class SaveSession {
  readonly options: ResolvedOptions;
  readonly #registry: StateRegistry;
  readonly #hooks: SaveOptions;
  readonly #budget: Budget;
  #inPostcopy = false;
  /** The description under way: from the header (or setup) to the completion. */
  #json: JsonWriter | null = null;

  constructor(registry: StateRegistry, options: SaveOptions) {
    this.#registry = registry;
    this.#hooks = options;
    this.options = resolveOptions(options);
    const { rateLimit, bytesLeft } = options;
    this.#budget = { ...UNLIMITED, ...(rateLimit && { rateExceeded: rateLimit }), ...(bytesLeft && { bytesLeft }) };
  }

  /** The destination runs (or is about to): from now on sections follow postcopy's rules. */
  enterPostcopy(): void {
    this.#inPostcopy = true;
    // A postcopy stream carries no description.
    this.#json = null;
  }

  get inPostcopy(): boolean {
    return this.#inPostcopy;
  }

  /** Why the machine cannot be saved, or null. */
  blocked(): StateError | null {
    return blockedBy(this.#registry);
  }

  /** Every reason why the machine cannot be saved. */
  nonMigratableList(): string[] {
    return nonMigratableList(this.#registry);
  }

  /** True while the guest has not let go of some device: the source waits before it sends. */
  guestUnplugPending(): boolean {
    return runPhaseNow("unplugPending", this.#registry.entries, {}, (entry) => {
      if (entry.kind !== "device") return false;
      const { unplugPending } = entry.state.hooks;
      return callHandler(() => unplugPending?.(entry.device as never) ?? false, "Ask whether an unplug is pending");
    });
  }

  /** Let handlers refuse or get ready, before anything is written. */
  *prepare(): Encode<void> {
    this.#trace?.({ event: "savevm_state_prepare" });
    yield* this.#visitHooks("prepare", ({ idstr, handlers }) =>
      runHook(() => handlers.savePrepare?.(), `Prepare to save "${idstr}"`),
    );
  }

  /** Magic, version and the configuration section. */
  *header(writer: Writer): Encode<void> {
    this.#trace?.({ event: "savevm_state_header" });
    writeMagic(writer);
    this.#startDescription();
    if (this.options.configuration === false) return;
    writer.u8(QEMU_VM_CONFIGURATION);
    // Described since 10.0 only.
    const json = this.options.descriptionStyle === "8.2" ? null : this.#json;
    json?.startObject("configuration");
    try {
      saveConfiguration(writer, this.options, json);
    } catch (error) {
      throw addContext(error, { offset: writer.offset, section: CONFIGURATION_SECTION });
    }
    json?.endObject();
    yield* this.#flush(writer);
  }

  /** START of every live handler; devices that go early, whole. */
  *setup(writer: Writer): Encode<void> {
    if (this.#json === null) this.#startDescription();
    this.#json?.integer("page_size", this.options.pageSize);
    this.#json?.startArray("devices");
    this.#trace?.({ event: "savevm_state_setup" });
    yield* this.#writePhase("setup", writer, ({ handlers }, context) => handlers.saveSetup?.(context) ?? nothing());
    this.#notify("setup");
    yield;
  }

  /** Get ready to resume a paused postcopy. */
  *resumePrepare(): Encode<void> {
    this.#trace?.({ event: "savevm_state_resume_prepare" });
    yield* this.#visitHooks("resumePrepare", ({ idstr, handlers }) =>
      runHook(() => handlers.resumePrepare?.(), `Prepare to resume "${idstr}"`),
    );
  }

  /**
   * One round of PART sections. A handler that has more to send ends the round, so that later ones, which may change
   * faster, are not sent over and over; so does the rate limit.
   * @returns true when every handler reported that nothing is left for now
   */
  *iterate(writer: Writer): Encode<boolean> {
    return yield* this.#iterate(writer, this.#budget);
  }

  /** END of live handlers, then devices, EOF and the description. */
  *completePrecopy(writer: Writer, { iterableOnly = false, inactivate }: CompleteOptions = {}): Encode<void> {
    this.#notify("complete");
    this.#trace?.({ event: "savevm_state_complete_precopy" });
    this.#synchronizeCpus();
    if (!this.#inPostcopy || iterableOnly) {
      yield* this.#writePhase(
        "completePrecopy",
        writer,
        ({ handlers }, context) => handlers.saveLiveCompletePrecopy?.(context) ?? nothing(),
      );
    }
    if (!iterableOnly) yield* this.completeDevices(writer, inactivate);
    yield;
  }

  /**
   * Devices, EOF and the description, without END sections: how {@link completePrecopy} ends, and how a background
   * snapshot does (qemu_savevm_state_complete_precopy_non_iterable).
   */
  *completeDevices(writer: Writer, inactivate?: CompleteOptions["inactivate"]): Encode<void> {
    yield* this.#writePhase("devices", writer, null);
    if (inactivate !== undefined) yield* runHook(inactivate, "Inactivate the machine's disks");
    // After the switchover the stream goes on.
    if (this.#inPostcopy) return;
    writer.u8(QEMU_VM_EOF);
    const json = this.#json;
    if (json === null) return;
    this.#json = null;
    json.endArray();
    json.endObject();
    writeDescription(writer, new TextEncoder().encode(json.toString()));
  }

  /** END of whatever was sent after the switchover, and EOF. */
  *completePostcopy(writer: Writer): Encode<void> {
    yield* this.#writePhase(
      "completePostcopy",
      writer,
      ({ handlers }, context) => handlers.saveLiveCompletePostcopy?.(context) ?? nothing(),
    );
    writer.u8(QEMU_VM_EOF);
    yield;
  }

  /** What is left, as a guess: bytes that must go before the switchover, and bytes that may follow it. */
  pendingEstimate(): Pending {
    return this.#pending("pendingEstimate");
  }

  /** What is left, exactly; handlers may have to look at all of RAM. */
  pendingExact(): Pending {
    return this.#pending("pendingExact");
  }

  /** The END sections and EOF: what COLO sends of RAM at a checkpoint (qemu_savevm_live_state). */
  *liveState(writer: Writer): Encode<void> {
    yield* this.completePrecopy(writer, { iterableOnly: true });
    writer.u8(QEMU_VM_EOF);
    yield;
  }

  /**
   * Devices alone, without RAM, configuration and description: a Xen device-state file, or with `header` false what
   * COLO sends at a checkpoint (qemu_save_device_state).
   */
  *deviceState(writer: Writer, { header = true }: { readonly header?: boolean } = {}): Encode<void> {
    if (header) writeMagic(writer);
    this.#synchronizeCpus();
    yield* this.#writePhase("deviceState", writer, null);
    writer.u8(QEMU_VM_EOF);
    yield;
  }

  /** A command, sent at once: the other side is meant to act on it. */
  *command(writer: Writer, command: Command): Encode<void> {
    this.#trace?.({ event: "savevm_command_send", command: command.name, length: payloadLength(command) });
    writeCommand(writer, command);
    yield;
  }

  /**
   * `bytes` (sections and commands written elsewhere) as one PACKAGED command.
   * @throws RangeError beyond 2^32 - 1 bytes
   */
  *packaged(writer: Writer, bytes: Uint8Array): Encode<void> {
    yield* this.command(writer, { name: "PACKAGED", length: bytes.length });
    writer.reference(bytes);
    yield;
  }

  /** The save is over, well or not. @throws StateError CLEANUP_FAILED after all cleanup hooks ran */
  cleanup(): void {
    this.#notify("cleanup");
    this.#trace?.({ event: "savevm_state_cleanup" });
    this.#json = null;
    runPhaseNow("saveCleanup", this.#registry.entries, {}, (entry) => {
      if (entry.kind !== "handlers") return;
      callHandler(() => entry.handlers.saveCleanup?.(), `Clean up after saving "${entry.idstr}"`);
    });
  }

  /**
   * A whole stream of a stopped machine, cleanup included (qemu_savevm_state). The rate limit does not apply.
   * @throws StateError UNMIGRATABLE, and whatever a step throws
   */
  *saveState(writer: Writer): Encode<void> {
    const blocked = this.blocked();
    if (blocked !== null) throw blocked;
    let done = false;
    try {
      yield* this.prepare();
      yield* this.header(writer);
      yield* this.setup(writer);
      while (!(yield* this.#iterate(writer, UNLIMITED)));
      yield* this.completePrecopy(writer);
      done = true;
    } finally {
      if (done) this.cleanup();
      else this.#cleanupAfterFailure();
    }
  }

  /** The failure that led here is the one to report. */
  #cleanupAfterFailure(): void {
    try {
      this.cleanup();
    } catch (error) {
      this.#warn(error);
    }
  }

  *#iterate(writer: Writer, budget: Budget): Encode<boolean> {
    this.#trace?.({ event: "savevm_state_iterate" });
    const finished = yield* this.#writePhase(
      "iterate",
      writer,
      ({ handlers }, context) => handlers.saveLiveIterate?.(context) ?? nothing(),
      budget,
    );
    yield;
    return finished;
  }

  /** Run a phase that writes: `body` is the hook of a live handler; devices and old-style state write themselves. */
  #writePhase(
    name: PhaseName,
    writer: Writer,
    body: ((entry: HandlerEntry, context: SaveContext) => Encode<boolean | void>) | null,
    budget: Budget = this.#budget,
  ): Encode<boolean> {
    const section = PHASES[name].section ?? "full";
    // Device state alone is not part of the stream that the description is for.
    const json = name === "deviceState" ? null : this.#json;
    const context: SaveContext = { writer, inPostcopy: this.#inPostcopy, ...budget };
    const situation: Situation = {
      inPostcopy: this.#inPostcopy,
      rateExceeded: budget.rateExceeded,
      onSkip: ({ idstr, sectionId }) => this.#trace?.({ event: "savevm_section_skip", idstr, sectionId }),
    };
    return runPhase(name, this.#registry.entries, situation, (entry) => {
      if (entry.kind === "device" || body === null) return this.#full(writer, entry, json);
      return this.#section(writer, section, entry, () =>
        runHandler(() => body(entry, context), `Save "${entry.idstr}"`),
      );
    });
  }

  /** Header, body, footer. */
  *#section(
    writer: Writer,
    type: SectionType,
    entry: SaveStateEntry,
    body: () => Encode<boolean | void> | void,
  ): Encode<boolean> {
    const { idstr, sectionId, instanceId, version } = entry;
    // QEMU traces START sections as part of the setup.
    if (type !== "start") this.#trace?.({ event: "savevm_section_start", idstr, sectionId });
    writeSectionHeader(writer, type, { id: sectionId, idstr, instanceId, version });
    let result: boolean;
    try {
      const written = body();
      result = (written === undefined ? undefined : yield* written) ?? true;
    } catch (error) {
      throw addContext(error, { offset: writer.offset });
    }
    if (type !== "start") this.#trace?.({ event: "savevm_section_end", idstr, sectionId, result });
    if (this.options.footers !== false) writeSectionFooter(writer, sectionId);
    yield* this.#flush(writer);
    return result;
  }

  /** A FULL section: a device, or old-style state. */
  #full(writer: Writer, entry: SaveStateEntry, json: JsonWriter | null): Encode<boolean> {
    return this.#section(writer, "full", entry, () => {
      this.#trace?.({ event: "vmstate_save", idstr: entry.idstr, vmsd: descriptionName(entry) });
      saveEntry(writer, entry, json, this.options.descriptionStyle);
    });
  }

  /** Let the sink have what is there, once it is enough to be worth it. */
  *#flush(writer: Writer): Encode<void> {
    if (writer.buffered >= FLUSH_BYTES) yield;
  }

  *#visitHooks(
    name: PhaseName,
    hook: (entry: HandlerEntry) => Generator<PromiseLike<unknown>, void, void>,
  ): Encode<void> {
    yield* runPhase(name, this.#registry.entries, { inPostcopy: this.#inPostcopy }, (entry) =>
      entry.kind === "handlers" ? hook(entry) : undefined,
    );
  }

  #pending(name: "pendingEstimate" | "pendingExact"): Pending {
    const hook = PHASES[name].hook;
    let mustPrecopy = 0;
    let canPostcopy = 0;
    runPhaseNow(name, this.#registry.entries, { inPostcopy: this.#inPostcopy }, (entry) => {
      if (entry.kind !== "handlers") return;
      const { handlers, idstr } = entry;
      const pending = callHandler(() => handlers[hook]?.(), `Ask "${idstr}" what is left to send`);
      mustPrecopy += pending?.mustPrecopy ?? 0;
      canPostcopy += pending?.canPostcopy ?? 0;
    });
    return { mustPrecopy, canPostcopy };
  }

  #startDescription(): void {
    this.#json = this.options.description ? new JsonWriter() : null;
    this.#json?.startObject();
  }

  #synchronizeCpus(): void {
    callHandler(() => this.#hooks.beforeComplete?.(), "Collect the state of the CPUs");
  }

  #notify(event: PrecopyEvent): void {
    try {
      this.#hooks.onPrecopy?.(event);
    } catch (error) {
      this.#warn(error);
    }
  }

  #warn(error: unknown): void {
    this.#trace?.({ event: "warning", message: error instanceof Error ? error.message : String(error) });
  }

  get #trace(): OnTrace | undefined {
    return this.#hooks.onTrace;
  }
}

function* nothing(): Encode<void> {
  // A hook that went away while its turn came writes an empty body.
}
