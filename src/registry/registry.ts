import { StateError } from "../errors.js";
import { MAX_COUNTED_STRING } from "../stream/constants.js";
import { encodeName } from "../stream/names.js";
import { checkVMState } from "../vmstate/describe.js";
import type { AnyVMState, DeviceOf } from "../vmstate/types.js";
import type { CompatIdentity, SaveStateEntry } from "./entry.js";
import type { SaveVMHandlers } from "./handlers.js";
import { EntryIndex, InstanceIds, MAX_INSTANCE_ID } from "./identities.js";

const MAX_SECTION_ID = 0xffff_ffff;
const MAX_VERSION = 0x7fff_ffff;

/** What a registry takes. */
export interface RegistryOptions {
  /** Refuse devices that can be neither saved nor loaded (`--only-migratable`). */
  readonly onlyMigratable?: boolean;
}

interface IdOptions {
  /** Which of several devices with one name; the next free number when absent. */
  readonly instanceId?: number;
  /**
   * Section id to save under, to match a machine with other registrations in between. Ids only grow: not below what
   * was given out so far. The next one when absent.
   */
  readonly sectionId?: number;
}

/** How a device is registered: what `vmstate_register` and `vmstate_register_with_alias_id` of QEMU take. */
export interface RegisterOptions extends IdOptions {
  /** Where the device sits on its bus, such as `0000:00:02.0`: becomes part of the section name. */
  readonly path?: string;
  /**
   * Take a name and instance id that are taken. QEMU's `isapc` has two such devices (`isa-ide`, instance 0): both are
   * saved, and a load gives either section to the first. Without it that is an error.
   */
  readonly duplicate?: boolean;
  /** Another instance id under which older streams name the device. */
  readonly aliasId?: number;
  /** Oldest version that still needs the alias; with `aliasId` it must not lie below the description's minimum. */
  readonly requiredForVersion?: number;
}

/** How live or old-style state is registered. */
export interface RegisterLiveOptions extends IdOptions {
  /** Version written, and the highest accepted. */
  readonly version: number;
}

/**
 * All state of one machine, in the order in which it is saved: descending priority, then registration order
 * ("Registration, identity and lookup"; SaveState of migration/savevm.c, as a value instead of a global).
 */
export class StateRegistry {
  readonly #onlyMigratable: boolean;
  readonly #entries: SaveStateEntry[] = [];
  /** What `entries` returned last; null when it is out of date. */
  #snapshot: readonly SaveStateEntry[] | null = null;
  #index: EntryIndex | null = null;
  readonly #ids = new InstanceIds();
  readonly #compatIds = new InstanceIds();
  #nextSectionId = 0;

  constructor({ onlyMigratable = false }: RegistryOptions = {}) {
    this.#onlyMigratable = onlyMigratable;
  }

  /** Every registration in saving order. The array is never changed, only replaced. */
  get entries(): readonly SaveStateEntry[] {
    return (this.#snapshot ??= Object.freeze([...this.#entries]));
  }

  /**
   * Register a device under its description. The compiler checks that the device has what the description names.
   *
   * @throws RangeError for an impossible description, name, id, or one that is taken; StateError UNMIGRATABLE when the
   *   registry takes only migratable devices
   */
  register<S extends AnyVMState>(
    state: S,
    device: DeviceOf<S> & object,
    options: RegisterOptions = {},
  ): SaveStateEntry {
    const { path, instanceId, aliasId = null, requiredForVersion } = options;
    checkVMState(state);
    if (!this.accepts(state)) {
      throw new StateError(
        "UNMIGRATABLE",
        `Register "${state.name}": it is not migratable, and only migratable is taken`,
      );
    }
    if (aliasId !== null) {
      checkInteger(state.name, "aliasId", aliasId, 0, MAX_INSTANCE_ID);
      if (requiredForVersion === undefined || requiredForVersion < state.minimumVersion) {
        throw new RangeError(
          `Register "${state.name}": an alias for version ${requiredForVersion ?? "none"} serves no stream, the oldest accepted is ${state.minimumVersion}`,
        );
      }
    }
    if (instanceId !== undefined) checkInteger(state.name, "instanceId", instanceId, 0, MAX_INSTANCE_ID);
    const identity =
      path === undefined
        ? { idstr: state.name, instanceId: instanceId ?? this.#ids.free(state.name), compat: null }
        : this.#pathIdentity(state, path, instanceId);
    return this.#insert(
      {
        kind: "device",
        ...identity,
        aliasId,
        sectionId: this.#sectionId(identity.idstr, options),
        version: state.version,
        priority: state.priority,
        state,
        device,
      },
      options.duplicate,
    );
  }

  /**
   * Register live or old-style state (register_savevm_live).
   * @throws RangeError for an impossible name, id, version, or one that is taken
   */
  registerLive(idstr: string, handlers: SaveVMHandlers, options: RegisterLiveOptions): SaveStateEntry {
    const { instanceId, version } = options;
    checkInteger(idstr, "version", version, 0, MAX_VERSION);
    if (instanceId !== undefined) checkInteger(idstr, "instanceId", instanceId, 0, MAX_INSTANCE_ID);
    return this.#insert({
      kind: "handlers",
      idstr,
      instanceId: instanceId ?? this.#ids.free(idstr),
      aliasId: null,
      compat: null,
      sectionId: this.#sectionId(idstr, options),
      version,
      priority: 0,
      handlers,
    });
  }

  /** Forget every registration of `device` under `state`. True if there was one. */
  unregister(state: AnyVMState, device: object): boolean {
    return this.#remove((entry) => entry.kind === "device" && entry.state === state && entry.device === device);
  }

  /** Forget every registration of `handlers` under `idstr`. True if there was one. */
  unregisterLive(idstr: string, handlers: SaveVMHandlers): boolean {
    return this.#remove((entry) => entry.kind === "handlers" && entry.idstr === idstr && entry.handlers === handlers);
  }

  /** False for what {@link register} would refuse as not migratable (vmstate_check_only_migratable). */
  accepts(state: AnyVMState): boolean {
    return !(this.#onlyMigratable && state.unmigratable);
  }

  /** The section id that the next registration gets unless it brings one. */
  get nextSectionId(): number {
    return this.#nextSectionId;
  }

  /**
   * Whom a section of a stream is for: the first entry in order whose name and instance id (or alias) are these, be it
   * under its compat identity.
   */
  find(idstr: string, instanceId: number): SaveStateEntry | null {
    return this.#indexed.find(idstr, instanceId);
  }

  /** True for what is registered now. */
  has(entry: SaveStateEntry): boolean {
    return this.#indexed.has(entry);
  }

  get #indexed(): EntryIndex {
    return (this.#index ??= new EntryIndex(this.#entries));
  }

  #pathIdentity(
    state: AnyVMState,
    path: string,
    instanceId: number | undefined,
  ): { idstr: string; instanceId: number; compat: CompatIdentity } {
    const idstr = `${path}/${state.name}`;
    if (this.#ids.free(idstr) !== 0)
      throw new RangeError(`Register "${idstr}": a device of that path and name is registered already`);
    const compat = { idstr: state.name, instanceId: instanceId ?? this.#compatIds.free(state.name) };
    return { idstr, instanceId: 0, compat };
  }

  #sectionId(idstr: string, { sectionId }: IdOptions): number {
    if (sectionId === undefined) return this.#nextSectionId;
    checkInteger(idstr, "sectionId", sectionId, this.#nextSectionId, MAX_SECTION_ID);
    return sectionId;
  }

  #insert(entry: SaveStateEntry, duplicate = false): SaveStateEntry {
    const { idstr, instanceId, priority } = entry;
    const length = encodeName(idstr).length;
    if (length === 0 || length > MAX_COUNTED_STRING) {
      throw new RangeError(`Register "${idstr}": a section name takes 1 to ${MAX_COUNTED_STRING} bytes`);
    }
    // QEMU keeps both and loads the first for either section: the second device would silently get nothing.
    if (!duplicate && this.#ids.has(idstr, instanceId)) {
      throw new RangeError(`Register "${idstr}": instance ${instanceId} is registered already`);
    }
    this.#nextSectionId = entry.sectionId + 1;
    let at = this.#entries.length;
    while (at > 0 && (this.#entries[at - 1]?.priority ?? 0) < priority) at--;
    this.#entries.splice(at, 0, Object.freeze(entry));
    this.#ids.add(entry);
    if (entry.compat !== null) this.#compatIds.add(entry.compat);
    this.#changed();
    return entry;
  }

  #remove(matches: (entry: SaveStateEntry) => boolean): boolean {
    const left = this.#entries.filter((entry) => !matches(entry));
    if (left.length === this.#entries.length) return false;
    this.#entries.length = 0;
    this.#ids.clear();
    this.#compatIds.clear();
    for (const entry of left) {
      this.#entries.push(entry);
      this.#ids.add(entry);
      if (entry.compat !== null) this.#compatIds.add(entry.compat);
    }
    this.#changed();
    return true;
  }

  #changed(): void {
    this.#snapshot = null;
    this.#index = null;
  }
}

function checkInteger(idstr: string, what: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`Register "${idstr}": ${what} is ${value}, it must be an integer from ${min} to ${max}`);
  }
}
