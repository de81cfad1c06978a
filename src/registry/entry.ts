import type { SectionRef } from "../errors.js";
import type { AnyVMState } from "../vmstate/types.js";
import type { SaveVMHandlers } from "./handlers.js";

/** The name under which releases from before bus paths knew a device (CompatEntry of migration/savevm.c). */
export interface CompatIdentity {
  readonly idstr: string;
  readonly instanceId: number;
}

interface EntryBase {
  /** Section name on the wire: the description's name, with the bus path in front where there is one. */
  readonly idstr: string;
  readonly instanceId: number;
  /** A second instance id under which older streams may name the device. */
  readonly aliasId: number | null;
  readonly compat: CompatIdentity | null;
  /** What a save of this registry calls the section. A load keys on the ids of the stream instead. */
  readonly sectionId: number;
  /** Version written, and the highest accepted. */
  readonly version: number;
  /** Higher goes first. */
  readonly priority: number;
}

/** A device with a VMState description. */
export interface DeviceEntry extends EntryBase {
  readonly kind: "device";
  readonly state: AnyVMState;
  readonly device: object;
}

/** Live (iterable) or old-style state behind hooks. */
export interface HandlerEntry extends EntryBase {
  readonly kind: "handlers";
  readonly handlers: SaveVMHandlers;
}

/** One registration (SaveStateEntry of migration/savevm.c). */
export type SaveStateEntry = DeviceEntry | HandlerEntry;

/** What messages call the description: old-style handlers have none. */
export function descriptionName(entry: SaveStateEntry): string {
  return entry.kind === "device" ? entry.state.name : "(old)";
}

/** The entry as errors of a save name it. */
export function sectionOf({ sectionId, idstr, instanceId, version }: SaveStateEntry): SectionRef {
  return { id: sectionId, idstr, instanceId, version };
}
