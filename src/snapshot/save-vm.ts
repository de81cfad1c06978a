import { RAMBlockList, type RAMBlock, type RAMBlockOptions } from "../ram/block.js";
import type { MemorySource } from "../ram/guest-memory.js";
import { RAM_IDSTR, RAM_VERSION, RamHandler } from "../ram/handler.js";
import type { RamOptions } from "../ram/options.js";
import type { SaveStateEntry } from "../registry/entry.js";
import type { SaveVMHandlers } from "../registry/handlers.js";
import { StateRegistry, type RegisterLiveOptions, type RegisterOptions } from "../registry/registry.js";
import type { LoadOptions } from "../savevm/load.js";
import { resolveOptions, type StreamOptions } from "../savevm/options.js";
import { loadStateAsync, loadStateSync, saveStateAsync, saveStateSync } from "../savevm/run.js";
import type { SaveOptions } from "../savevm/save.js";
import type { DriveOptions } from "../stream/drive.js";
import { BytesSink, type Writable } from "../stream/sink.js";
import type { Readable } from "../stream/source.js";
import { dumpSchema } from "../vmstate/dump.js";
import type { AnyVMState, DeviceOf } from "../vmstate/types.js";

/**
 * A machine's side of the contract: what its streams look like, and how its RAM is handled. Capabilities that concern
 * RAM (`xbzrle`, `compress`, `x-ignore-shared`, `postcopy-ram`) are switched on by name, like all others.
 */
export interface SaveVMOptions extends StreamOptions {
  /** Refuse devices that can be neither saved nor loaded. */
  readonly onlyMigratable?: boolean;
  readonly ram?: Omit<RamOptions, "pageSize" | "xbzrle" | "ignoreShared" | "postcopy">;
}

type SaveCall = Pick<SaveOptions, "onTrace" | "onPrecopy" | "beforeComplete">;
type LoadCall = Pick<LoadOptions, "onTrace" | "beforeLoad" | "afterLoad" | "strict" | "limits">;

/**
 * One machine that can be saved to and loaded from QEMU's stream: its devices, its RAM, and the form of its streams.
 *
 * Nothing here is global: a program may have any number of them. The machine must stand still while it is saved or
 * loaded.
 */
export class SaveVM {
  /** Everything registered, in saving order. */
  readonly registry: StateRegistry;
  /** The RAM that migrates. */
  readonly blocks = new RAMBlockList();
  readonly #options: SaveVMOptions;
  readonly #ram: RamHandler;
  #ramRegistered = false;

  /** @throws RangeError for an impossible page size or UUID */
  constructor(options: SaveVMOptions) {
    this.#options = options;
    const { pageSize, capabilities } = resolveOptions(options);
    const { onlyMigratable } = options;
    this.registry = new StateRegistry(onlyMigratable === undefined ? {} : { onlyMigratable });
    this.#ram = new RamHandler(this.blocks, {
      // The machine stands still, so nothing is gained by cutting RAM into sections by the clock; and the same state
      // gives the same bytes every time.
      maxPartMs: Infinity,
      ...(capabilities.has("compress") ? { compress: 1 } : {}),
      ...options.ram,
      pageSize,
      xbzrle: capabilities.has("xbzrle"),
      ignoreShared: capabilities.has("x-ignore-shared"),
      postcopy: capabilities.has("postcopy-ram"),
    });
  }

  /**
   * Register a device. The compiler checks that it has what the description names.
   * @throws RangeError for an id that is taken or impossible; StateError UNMIGRATABLE if only migratable ones are taken
   */
  register<S extends AnyVMState>(state: S, device: DeviceOf<S> & object, options?: RegisterOptions): SaveStateEntry {
    return this.registry.register(state, device, options);
  }

  /** Forget a device, as when it is unplugged. True if it was registered. */
  unregister(state: AnyVMState, device: object): boolean {
    return this.registry.unregister(state, device);
  }

  /** Register state that is not described by fields: saved while the machine runs, or as one opaque body. */
  registerLive(idstr: string, handlers: SaveVMHandlers, options: RegisterLiveOptions): SaveStateEntry {
    return this.registry.registerLive(idstr, handlers, this.#withSectionId(options));
  }

  /**
   * Add guest RAM under its name on the wire: bytes, or a part of a `WebAssembly.Memory`, which is used in place.
   * The first call also registers the section "ram", so its place among the sections is the caller's to choose.
   */
  addRam(name: string, memory: MemorySource, options?: RAMBlockOptions): RAMBlock {
    this.registerRam();
    return this.blocks.addGlobal(name, memory, options);
  }

  /** Register the section "ram" now, with no RAM yet or under a given section id. Later calls do nothing. */
  registerRam(options: { readonly sectionId?: number } = {}): void {
    if (this.#ramRegistered) return;
    this.registerLive(RAM_IDSTR, this.#ram, { version: RAM_VERSION, instanceId: 0, ...options });
    this.#ramRegistered = true;
  }

  /**
   * Live state does not get section id 0 unless asked for: QEMU finds the owner of PART and END by an id that is 0 for
   * every entry it has seen no section of, so they would go to whatever it registered first.
   */
  #withSectionId(options: RegisterLiveOptions): RegisterLiveOptions {
    return this.registry.nextSectionId === 0 ? { sectionId: 1, ...options } : options;
  }

  /**
   * Write the machine's state to a stream, which is closed at the end (or aborted when the save fails).
   * @throws MigrationError; the reason of `signal` unchanged
   */
  async save(output: Writable, options: SaveCall & DriveOptions = {}): Promise<void> {
    await saveStateAsync(this.registry, output, { ...this.#options, ...options });
  }

  /**
   * Load the machine's state from bytes, an iterable or a stream. A device is changed only once its whole section has
   * been read and accepted; RAM is written as it comes.
   * @throws MigrationError; the reason of `signal` unchanged
   */
  async load(input: Readable, options: LoadCall & DriveOptions = {}): Promise<void> {
    await loadStateAsync(this.registry, input, { ...this.#options, ...options });
  }

  /** As {@link save}, to one array and without waiting. @throws TypeError if a hook returned a promise */
  saveSync(options: SaveCall = {}): Uint8Array<ArrayBuffer> {
    const sink = new BytesSink();
    saveStateSync(this.registry, sink, { ...this.#options, ...options });
    return sink.toBytes();
  }

  /** As {@link load}, without waiting. @throws TypeError if a hook returned a promise */
  loadSync(input: Uint8Array | ArrayBuffer | Iterable<Uint8Array>, options: LoadCall = {}): void {
    loadStateSync(this.registry, input, { ...this.#options, ...options });
  }

  /**
   * What the machine's devices look like, in the form of QEMU's `-dump-vmstate`: keep it with a release, and
   * `savevm check OLD NEW` tells whether the next one still loads its states.
   */
  schema(): string {
    const types = new Map<string, AnyVMState>();
    for (const entry of this.registry.entries) if (entry.kind === "device") types.set(entry.state.name, entry.state);
    return dumpSchema(
      this.#options.machine,
      Array.from(types, ([type, state]) => ({ type, state })),
    );
  }
}
