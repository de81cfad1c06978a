import { ProtocolError, SectionError, StateError, StreamError, addContext } from "../errors.js";
import { descriptionName, type SaveStateEntry } from "../registry/entry.js";
import { callHandler, runHandler } from "../registry/hooks.js";
import { runPhase, runPhaseNow } from "../registry/phases.js";
import type { StateRegistry } from "../registry/registry.js";
import { QEMU_VM_COMMAND, QEMU_VM_CONFIGURATION, QEMU_VM_EOF } from "../stream/constants.js";
import { decodeWithin, readInto, type Decode } from "../stream/drive.js";
import { Reader } from "../stream/reader.js";
import { runHook } from "../vmstate/access.js";
import { loadVMState } from "../vmstate/load.js";
import { Answers, type ReturnPath } from "./answers.js";
import { blockedBy } from "./blockers.js";
import {
  PrecopyCommands,
  isDelegated,
  type CommandContext,
  type CommandHandler,
  type LoadEnd,
  type LoadLoop,
} from "./command-handler.js";
import { readCommandHead, readCommandPayload } from "./commands.js";
import { CONFIGURATION_SECTION, checkConfiguration, loadConfiguration, type Configuration } from "./configuration.js";
import { drainDescription, readMagic } from "./framing.js";
import { resolveOptions, type ResolvedOptions, type StreamOptions } from "./options.js";
import {
  footerAhead,
  readSectionFooter,
  readSectionHeader,
  readSectionId,
  sectionTypeOf,
  type SectionHeader,
  type SectionType,
} from "./section.js";
import type { OnTrace } from "./trace.js";

/** The form of the stream, and what else takes part in a load. */
export interface LoadOptions extends StreamOptions {
  /** Acts on postcopy and COLO commands; as with those capabilities off when absent. */
  readonly commands?: CommandHandler;
  /** Where answers to the source go; nowhere when absent (a recorded stream). */
  readonly returnPath?: ReturnPath;
  /** RAM was loaded by someone else, as on Xen: sections of live state are refused. */
  readonly refuseLiveState?: boolean;
  /** Called before the first section: take the CPUs' state as it is after a reset. */
  readonly beforeLoad?: () => void;
  /** Called once all is loaded: bring the devices' state into the running CPUs. */
  readonly afterLoad?: () => void;
  readonly onTrace?: OnTrace;
}

interface Announced {
  readonly entry: SaveStateEntry;
  readonly header: SectionHeader;
}

/**
 * One load, step by step as in migration/savevm.c. What the stream says of its sections (ids, versions) belongs to the
 * session, so several loads of one registry may follow each other or overlap.
 */
export class LoadSession implements LoadLoop {
  readonly options: ResolvedOptions;
  readonly #registry: StateRegistry;
  readonly #hooks: LoadOptions;
  readonly #commands: CommandHandler;
  readonly #answers: Answers;
  /** By section id of the stream. */
  readonly #sections = new Map<number, Announced>();
  /** The ids that those entries were announced with last. */
  readonly #sectionIds = new Map<SaveStateEntry, number>();
  /** Undecided until the first section body was read. */
  #footers: boolean | "detect";
  #configuration: Configuration | null = null;

  constructor(registry: StateRegistry, options: LoadOptions) {
    this.#registry = registry;
    this.#hooks = options;
    this.options = resolveOptions(options);
    this.#footers = this.options.footers;
    this.#commands = options.commands ?? new PrecopyCommands();
    this.#answers = new Answers({
      returnPath: options.returnPath ?? null,
      switchoverAck: this.options.capabilities.has("switchover-ack"),
      onTrace: options.onTrace,
    });
  }

  /** What the stream said of its machine, once it did. */
  get configuration(): Configuration | null {
    return this.#configuration;
  }

  /** Devices that have yet to approve the switchover. */
  get switchoverAcksPending(): number {
    return this.#answers.pending;
  }

  /**
   * Load a whole stream (qemu_loadvm_state). After "quit" the stream belongs to the command handler, which calls
   * {@link cleanup} when it is done with it.
   *
   * @throws MigrationError; no device is half loaded, those whose sections were complete hold the new state
   */
  *loadState(reader: Reader): Decode<LoadEnd> {
    const blocked = blockedBy(this.#registry);
    if (blocked !== null) throw blocked;
    let end: LoadEnd | "failed" = "failed";
    try {
      yield* this.header(reader);
      yield* this.setup();
      callHandler(() => this.#hooks.beforeLoad?.(), "Get the CPUs ready for the load");
      const main = yield* this.loadMain(reader);
      this.#trace?.({ event: "qemu_loadvm_state_post_main", quit: main === "quit" });
      if (main === "eof" && this.options.description) {
        yield* drainDescription(reader, (message) => this.#warn(message));
      }
      end = main;
    } finally {
      if (end === "failed") this.#cleanupAfterFailure();
    }
    if (end === "eof") {
      this.cleanup();
      this.#afterLoad();
    }
    return end;
  }

  /** Devices alone, without header: what COLO sends at a checkpoint (qemu_load_device_state). */
  *loadDeviceState(reader: Reader): Decode<LoadEnd> {
    const end = yield* this.loadMain(reader);
    this.#afterLoad();
    return end;
  }

  /**
   * Magic, version, and the configuration where there is one.
   * @throws StreamError BAD_MAGIC, BAD_VERSION; ProtocolError CONFIGURATION, CAPABILITY
   */
  *header(reader: Reader): Decode<void> {
    yield* readMagic(reader);
    yield* this.#readConfiguration(reader);
  }

  *#readConfiguration(reader: Reader): Decode<void> {
    const { configuration } = this.options;
    if (configuration === false) return;
    const offset = reader.offset;
    if (!reader.has(1)) yield 1;
    if (reader.peekU8() !== QEMU_VM_CONFIGURATION) {
      if (configuration === "detect") return;
      const found = `0x${reader.peekU8().toString(16)}`;
      throw new ProtocolError("CONFIGURATION", `Read the configuration: the byte is ${found}, it must be 0x07`, {
        offset,
        section: CONFIGURATION_SECTION,
        hint: "Streams of machine types up to 2.3 have none: turn `configuration` off for them",
      });
    }
    reader.advance(1);
    try {
      this.#configuration = yield* loadConfiguration(reader, this.options.limits);
    } catch (error) {
      throw addContext(error, { offset: reader.offset, section: CONFIGURATION_SECTION });
    }
    try {
      checkConfiguration(this.#configuration, this.options, (message) => this.#warn(message));
    } catch (error) {
      throw addContext(error, { offset, section: CONFIGURATION_SECTION });
    }
  }

  /** Get handlers ready, and count the devices that want to approve the switchover. */
  *setup(): Decode<void> {
    const { entries } = this.#registry;
    this.#trace?.({ event: "loadvm_state_setup" });
    yield* runPhase<PromiseLike<unknown>>("loadSetup", entries, {}, (entry) =>
      entry.kind === "handlers"
        ? runHook(() => entry.handlers.loadSetup?.(), `Prepare to load "${entry.idstr}"`)
        : undefined,
    );
    if (!this.options.capabilities.has("switchover-ack")) return;
    runPhaseNow("switchoverAckNeeded", entries, {}, (entry) => {
      if (entry.kind !== "handlers") return;
      const { handlers, idstr } = entry;
      if (callHandler(() => handlers.switchoverAckNeeded?.(), `Ask "${idstr}" about the switchover`))
        this.#answers.expect();
    });
    this.#trace?.({ event: "loadvm_state_switchover_ack_needed", pending: this.#answers.pending });
  }

  /**
   * One of the devices that asked to approves the switchover; the last one makes the source hear of it.
   * @throws ProtocolError RETURN_PATH when none is waited for, or there is no way back
   */
  approveSwitchover(): void | PromiseLike<void> {
    return this.#answers.approve();
  }

  /**
   * The loop over sections and commands, up to EOF or until a command handler quits (qemu_loadvm_state_main). May be
   * called again with another reader: what the stream announced so far stays known.
   */
  loadMain(reader: Reader): Decode<LoadEnd> {
    return this.#loop(reader, false);
  }

  *#loop(reader: Reader, packaged: boolean): Decode<LoadEnd> {
    for (;;) {
      if (!reader.has(1)) yield 1;
      const offset = reader.offset;
      const byte = reader.u8();
      this.#trace?.({ event: "qemu_loadvm_state_section", type: byte, offset });
      const type = sectionTypeOf(byte);
      if (type === "start" || type === "full") yield* this.#startOrFull(reader, type);
      else if (type !== null) yield* this.#partOrEnd(reader, type);
      else if (byte === QEMU_VM_COMMAND) {
        if ((yield* this.#command(reader, packaged, offset)) === "quit") return "quit";
      } else if (byte === QEMU_VM_EOF) return "eof";
      else {
        const message = `Read a section: its type is ${byte}, which is unknown`;
        throw new StreamError("UNKNOWN_SECTION_TYPE", message, { offset });
      }
    }
  }

  /** The load is over, well or not. @throws StateError CLEANUP_FAILED after all cleanup hooks ran */
  cleanup(): void {
    this.#trace?.({ event: "loadvm_state_cleanup" });
    runPhaseNow("loadCleanup", this.#registry.entries, {}, (entry) => {
      if (entry.kind !== "handlers") return;
      callHandler(() => entry.handlers.loadCleanup?.(), `Clean up after loading "${entry.idstr}"`);
    });
  }

  #cleanupAfterFailure(): void {
    try {
      this.cleanup();
    } catch (error) {
      this.#warn(error instanceof Error ? error.message : String(error));
    }
  }

  *#startOrFull(reader: Reader, type: SectionType): Decode<void> {
    const offset = reader.offset - 1;
    const header = yield* readSectionHeader(reader);
    const { id, idstr, instanceId, version } = header;
    this.#trace?.({
      event: "qemu_loadvm_state_section_startfull",
      type,
      sectionId: id,
      idstr,
      instanceId,
      version,
    });
    const entry = this.#registry.find(idstr, instanceId);
    if (entry === null) {
      throw new SectionError("SECTION_UNKNOWN", `Load section "${idstr}": instance ${instanceId} is not registered`, {
        offset,
        section: header,
        hint: "Make sure that this machine is set up as the saved one was, including hotplugged devices",
      });
    }
    if (version > entry.version) {
      const message = `Load section "${idstr}": version ${version} of the stream is newer than ${entry.version} here`;
      throw new SectionError("VERSION_TOO_NEW", message, { offset, section: header });
    }
    this.#announce(entry, header);
    if (this.#hooks.refuseLiveState === true && entry.kind === "handlers" && entry.handlers.saveSetup !== undefined) {
      const message = `Load section "${idstr}": live state is not loaded from a stream here`;
      throw new SectionError("SECTION_UNKNOWN", message, { offset, section: header });
    }
    yield* this.#body(reader, entry, header);
  }

  /** An entry has one section id at a time, the last one announced. */
  #announce(entry: SaveStateEntry, header: SectionHeader): void {
    const known = this.#sectionIds.get(entry);
    if (known !== undefined && this.#sections.get(known)?.entry === entry) this.#sections.delete(known);
    this.#sections.set(header.id, { entry, header });
    this.#sectionIds.set(entry, header.id);
  }

  *#partOrEnd(reader: Reader, type: SectionType): Decode<void> {
    const offset = reader.offset - 1;
    const sectionId = yield* readSectionId(reader);
    this.#trace?.({ event: "qemu_loadvm_state_section_partend", type, sectionId });
    const announced = this.#sections.get(sectionId);
    if (announced === undefined || !this.#registry.has(announced.entry)) {
      throw new SectionError("SECTION_ID_UNKNOWN", `Load a section: no START or FULL section had id ${sectionId}`, {
        offset,
        section: { id: sectionId, idstr: null, instanceId: null, version: null },
      });
    }
    yield* this.#body(reader, announced.entry, announced.header);
  }

  /** Decode, check the footer, and only then touch the device. */
  *#body(reader: Reader, entry: SaveStateEntry, header: SectionHeader): Decode<void> {
    this.#trace?.({ event: "vmstate_load", idstr: entry.idstr, vmsd: descriptionName(entry) });
    try {
      const commit = yield* this.#decode(reader, entry, header.version);
      yield* this.#footer(reader, header);
      yield* commit();
    } catch (error) {
      throw addContext(error, { offset: reader.offset, section: header });
    }
  }

  *#decode(reader: Reader, entry: SaveStateEntry, version: number): Decode<() => Decode<void>> {
    const { limits, strict } = this.options;
    if (entry.kind === "device") {
      const loaded = yield* loadVMState(reader, entry.state, entry.device, version, limits);
      return () => loaded.commit();
    }
    const { handlers, idstr } = entry;
    if (handlers.loadState === undefined) {
      throw new StateError("HOOK_FAILED", `Load "${idstr}": its handlers cannot load`);
    }
    const body = handlers.loadState.bind(handlers);
    const commit = yield* runHandler(() => body({ reader, limits, strict }, version), `Load "${idstr}"`);
    return () => runHook(() => commit?.(), `Commit "${idstr}"`);
  }

  *#footer(reader: Reader, header: SectionHeader): Decode<void> {
    if (this.#footers === "detect") {
      // A 0 where a footer may be is EOF, or data that the device's description forgot. Footers came together with the
      // configuration: where there is one, do not let the stream end unnoticed.
      const ahead = yield* footerAhead(reader);
      this.#footers = ahead || (this.#configuration !== null && reader.peekU8() === QEMU_VM_EOF);
    }
    if (this.#footers) yield* readSectionFooter(reader, header);
  }

  *#command(reader: Reader, packaged: boolean, offset: number): Decode<"continue" | "quit"> {
    const head = yield* readCommandHead(reader, this.options);
    this.#trace?.({ event: "loadvm_process_command", command: head.name, length: head.length, offset });
    const warn = (message: string): void => this.#warn(message);
    const context: CommandContext = { load: this, reader, packaged, offset, warn };
    if (isDelegated(head.name)) this.#commands.admit(head.name, context);
    const command = yield* readCommandPayload(reader, head);
    switch (command.name) {
      case "OPEN_RETURN_PATH":
        yield* this.#answers.open();
        return "continue";
      case "PING":
        yield* this.#answers.pong(command.value, offset);
        return "continue";
      case "PACKAGED":
        if (packaged) {
          throw new ProtocolError("COMMAND_PAYLOAD", "Unpack PACKAGED: it is inside another one", { offset });
        }
        return (yield* this.#package(reader, command.length, offset)) === "quit" ? "quit" : "continue";
      case "SWITCHOVER_START":
        return "continue";
      default:
        return yield* this.#commands.handle(command, context);
    }
  }

  /** The whole package is held before its first byte counts: what follows it may already belong to someone else. */
  *#package(reader: Reader, length: number, offset: number): Decode<LoadEnd> {
    this.#trace?.({ event: "loadvm_handle_cmd_packaged", length });
    const { packagedBytes } = this.options.limits;
    if (length > packagedBytes) {
      const message = `Unpack PACKAGED: its ${length} bytes exceed the ceiling of ${packagedBytes}`;
      throw new StreamError("LIMIT_EXCEEDED", message, { offset, hint: "Raise limits.packagedBytes" });
    }
    const start = reader.offset;
    const bytes = new Uint8Array(length);
    yield* readInto(reader, bytes);
    const inner = Reader.of(bytes, start);
    const end = yield* decodeWithin(this.#loop(inner, true), inner);
    this.#trace?.({ event: "loadvm_handle_cmd_packaged_main", quit: end === "quit" });
    return end;
  }

  #afterLoad(): void {
    callHandler(() => this.#hooks.afterLoad?.(), "Bring the loaded state into the CPUs");
  }

  #warn(message: string): void {
    this.#trace?.({ event: "warning", message });
  }

  get #trace(): OnTrace | undefined {
    return this.#hooks.onTrace;
  }
}
