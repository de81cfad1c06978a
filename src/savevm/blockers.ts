import { StateError } from "../errors.js";
import { sectionOf, type SaveStateEntry } from "../registry/entry.js";
import type { StateRegistry } from "../registry/registry.js";

/** Devices that stop every save and load while they are registered. */

function unmigratable(registry: StateRegistry): SaveStateEntry[] {
  return registry.entries.filter((entry) => entry.kind === "device" && entry.state.unmigratable);
}

/** Why the machine can be neither saved nor loaded, or null (qemu_savevm_state_blocked). */
export function blockedBy(registry: StateRegistry): StateError | null {
  const [entry] = unmigratable(registry);
  if (entry === undefined) return null;
  const message = `Save or load the machine: it is blocked by the non-migratable device "${entry.idstr}"`;
  return new StateError("UNMIGRATABLE", message, { section: sectionOf(entry) });
}

/** Every reason, as QEMU words and orders them: the last device first (qemu_savevm_non_migratable_list). */
export function nonMigratableList(registry: StateRegistry): string[] {
  return unmigratable(registry)
    .map(({ idstr }) => `non-migratable device: ${idstr}`)
    .reverse();
}
