import { MAX_COUNTED_STRING } from "../stream/constants.js";
import { encodeName } from "../stream/names.js";
import { GuestMemory, type MemorySource } from "./guest-memory.js";

/** What QEMU knows of a RAMBlock besides its memory. */
export interface RAMBlockOptions {
  /** Bytes in use; the whole memory unless told. Only a resizable block may have less. */
  readonly usedLength?: number | undefined;
  /** Size in bytes of the pages that back it on this host: what postcopy places at once. */
  readonly pageSize?: number | undefined;
  /** A load may change the length in use, up to the whole memory (firmware tables). */
  readonly resizable?: boolean | undefined;
  /**
   * Its storage is shared with the destination under a name (QEMU: a file with share=on), so that x-ignore-shared
   * leaves it out of the stream.
   */
  readonly shared?: boolean | undefined;
  /** The guest cannot write it: it is sent once and never looked at for changes. */
  readonly readOnly?: boolean | undefined;
  /** Guest-physical address; 0 while it is mapped nowhere. */
  readonly gpa?: number | bigint | undefined;
  /** Told after a load has changed the length in use. */
  readonly onResize?: ((block: RAMBlock) => void) | undefined;
}

/** Page size of most hosts, in bytes. */
export const DEFAULT_HOST_PAGE_SIZE = 4096;

/** A piece of guest memory that migrates under a name of its own. Made by {@link RAMBlockList.add}. */
export class RAMBlock {
  readonly memory: GuestMemory;
  /** Bytes it may grow to: all of its memory. */
  readonly maxLength: number;
  readonly pageSize: number;
  readonly resizable: boolean;
  readonly shared: boolean;
  readonly readOnly: boolean;
  /** Guest-physical address; 0 while it is mapped nowhere. */
  gpa: bigint;
  #name: string | null = null;
  #usedLength: number;
  readonly #onResize: ((block: RAMBlock) => void) | undefined;

  constructor(source: MemorySource, options: RAMBlockOptions = {}) {
    this.memory = new GuestMemory(source);
    this.maxLength = this.memory.length;
    this.pageSize = options.pageSize ?? DEFAULT_HOST_PAGE_SIZE;
    this.resizable = options.resizable ?? false;
    this.shared = options.shared ?? false;
    this.readOnly = options.readOnly ?? false;
    this.gpa = BigInt(options.gpa ?? 0);
    this.#onResize = options.onResize;
    this.#usedLength = options.usedLength ?? this.maxLength;
    if (!isPowerOfTwo(this.pageSize)) {
      throw new RangeError(`Add a RAMBlock: its page size ${this.pageSize} is not a power of two`);
    }
    if (this.#usedLength > this.maxLength || (!this.resizable && this.#usedLength !== this.maxLength)) {
      throw new RangeError(`Add a RAMBlock: it uses ${this.#usedLength} of ${this.maxLength} bytes`);
    }
  }

  /** Its name on the wire; "" while it is not registered. */
  get name(): string {
    return this.#name ?? "";
  }

  /** Whether it migrates at all: from registration to unregistration. */
  get migratable(): boolean {
    return this.#name !== null;
  }

  /** Bytes in use. */
  get usedLength(): number {
    return this.#usedLength;
  }

  /** Whether a migration leaves its content out. */
  isIgnored(ignoreShared: boolean): boolean {
    return !this.migratable || (ignoreShared && this.shared);
  }

  /** Change the length in use; the emulator does so at reset, a load does so for the sender's length. */
  resize(length: number): void {
    if (!this.resizable || length > this.maxLength) {
      throw new RangeError(`Resize RAMBlock "${this.name}" to ${length} bytes: it allows ${this.#allowed()}`);
    }
    this.#usedLength = length;
    this.#onResize?.(this);
  }

  /** @throws RangeError unless it, and each part of its memory, is made of whole target pages */
  checkPages(pageSize: number): void {
    const lengths = [this.#usedLength, this.maxLength, ...this.memory.segments.map(({ start }) => start)];
    const odd = lengths.find((length) => length % pageSize !== 0);
    if (odd === undefined) return;
    throw new RangeError(`Use RAMBlock "${this.name}": ${odd} bytes are no whole pages of ${pageSize}`);
  }

  #allowed(): string {
    return this.resizable ? `at most ${this.maxLength}` : `only ${this.maxLength}`;
  }

  /** For {@link RAMBlockList}. */
  rename(name: string | null): void {
    this.#name = name;
  }
}

/**
 * The RAMBlocks of one machine, in QEMU's order: largest maximum length first, then oldest first.
 *
 * A block is added once and migrates from its registration on, as in QEMU, where devices register the memory they
 * own (`vmstate_register_ram`) and unregister it when they are unplugged.
 */
export class RAMBlockList implements Iterable<RAMBlock> {
  readonly #blocks: RAMBlock[] = [];
  readonly #byName = new Map<string, RAMBlock>();
  /** In the order of adding: what decides where a block starts in the address space of the XBZRLE cache. */
  readonly #added: RAMBlock[] = [];
  #version = 0;

  /** Changes with every block added, removed, registered or unregistered. */
  get version(): number {
    return this.#version;
  }

  [Symbol.iterator](): Iterator<RAMBlock> {
    return this.#blocks[Symbol.iterator]();
  }

  /** The blocks that migrate, in list order. */
  migratable(): RAMBlock[] {
    return this.#blocks.filter((block) => block.migratable);
  }

  /** The migratable block of that name. */
  find(name: string): RAMBlock | undefined {
    return this.#byName.get(name);
  }

  /** Add memory, not yet registered for migration. */
  add(source: MemorySource, options?: RAMBlockOptions): RAMBlock {
    const block = new RAMBlock(source, options);
    const before = this.#blocks.findIndex(({ maxLength }) => maxLength < block.maxLength);
    this.#blocks.splice(before < 0 ? this.#blocks.length : before, 0, block);
    this.#added.push(block);
    this.#version++;
    return block;
  }

  /** {@link add} and {@link registerGlobal} in one. */
  addGlobal(name: string, source: MemorySource, options?: RAMBlockOptions): RAMBlock {
    this.#checkName(name);
    const block = this.add(source, options);
    this.registerGlobal(block, name);
    return block;
  }

  /** Remove a block and its registration. */
  remove(block: RAMBlock): void {
    if (block.migratable) this.unregister(block);
    for (const list of [this.#blocks, this.#added]) {
      const at = list.indexOf(block);
      if (at >= 0) list.splice(at, 1);
    }
    this.#version++;
  }

  /**
   * Register the memory of a device: its wire name is `<device path>/<name>`, or `name` if the device has no path.
   * @throws TypeError if the block is not in the list, is registered, or the name is taken
   */
  register(block: RAMBlock, name: string, devicePath?: string | null): void {
    const full = devicePath === undefined || devicePath === null ? name : `${devicePath}/${name}`;
    if (!this.#blocks.includes(block)) throw new TypeError(`Register RAMBlock "${full}": add it first`);
    if (block.migratable) throw new TypeError(`Register RAMBlock "${full}": it is "${block.name}" already`);
    this.#checkName(full);
    block.rename(full);
    this.#byName.set(full, block);
    this.#version++;
  }

  /** Register memory that belongs to the machine rather than to a device. */
  registerGlobal(block: RAMBlock, name: string): void {
    this.register(block, name);
  }

  /** Take a block out of migration; it loses its name. */
  unregister(block: RAMBlock): void {
    if (this.#byName.get(block.name) !== block) throw new TypeError("Unregister a RAMBlock: it is not registered");
    this.#byName.delete(block.name);
    block.rename(null);
    this.#version++;
  }

  /**
   * Where each block starts in one address space of all, in bytes: the key of the XBZRLE cache. As in QEMU, blocks
   * start at multiples of 64 target pages.
   */
  starts(targetPageSize: number): Map<RAMBlock, number> {
    const starts = new Map<RAMBlock, number>();
    const unit = 64 * targetPageSize;
    let next = 0;
    for (const block of this.#added) {
      starts.set(block, next);
      next += Math.ceil(block.maxLength / unit) * unit;
    }
    return starts;
  }

  #checkName(name: string): void {
    const { length } = encodeName(name);
    if (length === 0 || length > MAX_COUNTED_STRING) {
      throw new RangeError(`Register RAMBlock "${name}": its name takes ${length} bytes, want 1 to 255`);
    }
    if (this.#byName.has(name)) throw new TypeError(`Register RAMBlock "${name}": the name is taken`);
  }
}

/** True for 1, 2, 4 and so on. */
export function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && Math.log2(value) % 1 === 0;
}
