import { SectionError } from "../errors.js";
import type { LoadContext, Pending, SaveContext, SaveVMHandlers } from "../registry/handlers.js";
import type { Decode, Encode } from "../stream/drive.js";
import type { RAMBlockList } from "./block.js";
import { RamLoad, type LoadedBlock } from "./load.js";
import { ramConfig, type RamConfig, type RamOptions } from "./options.js";
import { RamRecordReader } from "./page-codec.js";
import { RamSave } from "./save.js";
import { emptyRamStats, type RamStats } from "./stats.js";

/** Name of the section. */
export const RAM_IDSTR = "ram";
/** What QEMU writes since 2011, and the only version it accepts. */
export const RAM_VERSION = 4;

/**
 * RAM as one registered handler among others: `registry.registerLive(RAM_IDSTR, handler, { version: RAM_VERSION })`.
 * Each save and each load is an object of its own; a handler takes part in one of each at a time.
 *
 * Loading writes guest memory as records arrive: a load that fails leaves RAM in pieces, as with QEMU.
 */
export class RamHandler implements SaveVMHandlers {
  readonly blocks: RAMBlockList;
  readonly #config: RamConfig;
  #save: RamSave | null = null;
  #load: { readonly load: RamLoad; reader: RamRecordReader<LoadedBlock> | null } | null = null;
  #inPostcopy = false;
  #saveStats = emptyRamStats();
  #loadStats = emptyRamStats();

  /** @throws RangeError for an impossible page size */
  constructor(blocks: RAMBlockList, options: RamOptions) {
    this.blocks = blocks;
    this.#config = ramConfig(options);
  }

  /** Figures of the save under way, or of the last one. */
  get saveStats(): Readonly<RamStats> {
    return this.#saveStats;
  }

  /** Figures of the load under way, or of the last one. */
  get loadStats(): Readonly<RamStats> {
    return this.#loadStats;
  }

  /** The save under way, for what migration and postcopy do with it. */
  get save(): RamSave | null {
    return this.#save;
  }

  /** The load under way. */
  get load(): RamLoad | null {
    return this.#load?.load ?? null;
  }

  /** Bitwise OR of the page sizes of all blocks that are sent: both ends must agree on it before postcopy. */
  get pageSizeSummary(): number {
    let summary = 0;
    for (const block of this.blocks) {
      if (!block.isIgnored(this.#config.ignoreShared)) summary |= block.pageSize;
    }
    return summary >>> 0;
  }

  *saveSetup(context: SaveContext): Encode<void> {
    this.#saveStats = emptyRamStats();
    this.#inPostcopy = false;
    this.#save = new RamSave(this.blocks, this.#config, this.#saveStats);
    yield* this.#save.setup(context.writer);
  }

  *saveLiveIterate(context: SaveContext): Encode<boolean> {
    this.#inPostcopy = context.inPostcopy;
    return yield* this.#running().iterate(context);
  }

  *saveLiveCompletePrecopy(context: SaveContext): Encode<void> {
    yield* this.#running().complete(context);
  }

  *saveLiveCompletePostcopy(context: SaveContext): Encode<void> {
    this.#inPostcopy = true;
    yield* this.#running().complete(context);
  }

  saveCleanup(): void {
    this.#save?.cleanup();
    this.#save = null;
  }

  statePendingEstimate(): Pending {
    return this.#pending();
  }

  statePendingExact(): Pending {
    if (!this.#inPostcopy) this.#save?.sync();
    return this.#pending();
  }

  hasPostcopy(): boolean {
    return this.#config.postcopy;
  }

  loadSetup(): void {
    this.#loadStats = emptyRamStats();
    this.#load = { load: new RamLoad(this.blocks, this.#config, this.#loadStats), reader: null };
  }

  *loadState({ reader, strict }: LoadContext, version: number): Decode<void> {
    if (version !== RAM_VERSION) {
      const code = version > RAM_VERSION ? "VERSION_TOO_NEW" : "VERSION_TOO_OLD";
      throw new SectionError(code, `Load RAM: it has version ${version}, want ${RAM_VERSION}`);
    }
    if (this.#load === null) this.loadSetup();
    const run = this.#load;
    if (run === null) return;
    const { pageSize, compress, ignoreShared } = this.#config;
    // What CONTINUE refers to is kept from section to section.
    run.reader ??= new RamRecordReader(run.load, { pageSize, strict, compress: compress !== null, ignoreShared });
    run.reader.inPostcopy = run.load.inPostcopy;
    yield* run.reader.section(reader);
  }

  loadCleanup(): void {
    this.#load = null;
  }

  #running(): RamSave {
    if (this.#save === null) throw new TypeError("Save RAM: its setup has not run");
    return this.#save;
  }

  #pending(): Pending {
    const remaining = this.#save?.remaining ?? 0;
    return this.#config.postcopy
      ? { mustPrecopy: 0, canPostcopy: remaining }
      : { mustPrecopy: remaining, canPostcopy: 0 };
  }
}
