import type { CompatIdentity, SaveStateEntry } from "./entry.js";

/** Looking identities up: a machine may have thousands of devices, and every section of a stream asks for one. */

/** Instance ids are be32 on the wire; the last one is QEMU's VMSTATE_INSTANCE_ID_ANY. */
export const MAX_INSTANCE_ID = 0xffff_fffe;

/** The instance ids in use, by name. */
export class InstanceIds {
  readonly #byName = new Map<string, { readonly taken: Set<number>; free: number }>();

  add({ idstr, instanceId }: CompatIdentity): void {
    let ids = this.#byName.get(idstr);
    if (ids === undefined) this.#byName.set(idstr, (ids = { taken: new Set(), free: 0 }));
    ids.taken.add(instanceId);
    ids.free = Math.max(ids.free, instanceId + 1);
  }

  has(idstr: string, instanceId: number): boolean {
    return this.#byName.get(idstr)?.taken.has(instanceId) ?? false;
  }

  /** The number above all that are in use. @throws RangeError when there is none */
  free(idstr: string): number {
    const free = this.#byName.get(idstr)?.free ?? 0;
    if (free > MAX_INSTANCE_ID) throw new RangeError(`Register "${idstr}": no instance id is left`);
    return free;
  }

  clear(): void {
    this.#byName.clear();
  }
}

/** Entries by all names and instance ids that a stream may use for them. */
export class EntryIndex {
  readonly #entries: ReadonlySet<SaveStateEntry>;
  readonly #byName = new Map<string, Map<number, SaveStateEntry>>();

  /** @param entries in saving order: of two that answer to the same name and id, the first is found */
  constructor(entries: readonly SaveStateEntry[]) {
    this.#entries = new Set(entries);
    for (const entry of entries) {
      this.#add(entry, entry);
      if (entry.compat !== null) this.#add(entry.compat, entry);
    }
  }

  find(idstr: string, instanceId: number): SaveStateEntry | null {
    return this.#byName.get(idstr)?.get(instanceId) ?? null;
  }

  has(entry: SaveStateEntry): boolean {
    return this.#entries.has(entry);
  }

  #add({ idstr, instanceId }: CompatIdentity, entry: SaveStateEntry): void {
    let byId = this.#byName.get(idstr);
    if (byId === undefined) this.#byName.set(idstr, (byId = new Map<number, SaveStateEntry>()));
    if (!byId.has(instanceId)) byId.set(instanceId, entry);
    const { aliasId } = entry;
    if (aliasId !== null && !byId.has(aliasId)) byId.set(aliasId, entry);
  }
}
