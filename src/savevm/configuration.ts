import { ProtocolError, type SectionRef } from "../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import { countedString, type Decode } from "../stream/drive.js";
import { decodeName, encodeName } from "../stream/names.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";
import { vmstate } from "../vmstate/describe.js";
import { array, u32, u8, variableField, varray, vbuffer } from "../vmstate/fields.js";
import { loadVMState } from "../vmstate/load.js";
import { saveVMState } from "../vmstate/save.js";
import type { JsonWriter } from "../vmstate/vmdesc.js";
import { isKnownCapability, validatedCapabilities } from "./capabilities.js";
import { formatUuid, type ResolvedOptions } from "./options.js";

/**
 * The configuration section, an ordinary description without a version on the wire:
 *
 *     07  be32 len  machine type name[len]
 *         [05 "configuration/target-page-bits"  be32 1  be32 bits]
 *         [05 "configuration/capabilities"      be32 1  be32 count  count x counted name]
 *         [05 "configuration/uuid"              be32 1  16 bytes]
 *
 * Saved as version 1, loaded as version 0.
 */

/** What a configuration section says. */
export interface Configuration {
  readonly machine: string;
  /** Null when the stream does not say: the smallest page of that kind of CPU. */
  readonly targetPageBits: number | null;
  readonly capabilities: readonly string[];
  readonly uuid: string | null;
}

/** How errors name the configuration section, which has no id. */
export const CONFIGURATION_SECTION: SectionRef = Object.freeze({
  id: null,
  idstr: "configuration",
  instanceId: null,
  version: null,
});

/** A capability by its name. */
const capability = variableField<string>({
  type: "capability",
  put: (writer, name) => writer.countedString(name),
  load: (reader) => countedString(reader),
});

const outgoing = vmstate("configuration", {
  version: 1,
  fields: [u32("len"), vbuffer("name", "len")],
  subsections: [
    vmstate("configuration/target-page-bits", {
      version: 1,
      minimumVersion: 1,
      needed: ({ pageBitsNeeded }: { readonly pageBitsNeeded: boolean }) => pageBitsNeeded,
      fields: [u32("target_page_bits")],
    }),
    vmstate("configuration/capabilities", {
      version: 1,
      minimumVersion: 1,
      needed: ({ caps_count }) => caps_count > 0,
      fields: [u32("caps_count", { since: 1 }), varray("capabilities", capability, "caps_count", { since: 1 })],
    }),
    vmstate("configuration/uuid", {
      version: 1,
      minimumVersion: 1,
      needed: ({ uuidNeeded }: { readonly uuidNeeded: boolean }) => uuidNeeded,
      fields: [array("uuid.data", u8, 16, { since: 1 })],
    }),
  ],
});

/** Write the body of the configuration section (the type byte is the caller's), and describe it to `json`. */
export function saveConfiguration(writer: Writer, local: ResolvedOptions, json: JsonWriter | null): void {
  const name = encodeName(local.machine);
  const capabilities = validatedCapabilities(local.strict).filter((known) => local.capabilities.has(known));
  const device = {
    len: name.length,
    name,
    pageBitsNeeded: local.pageBits > local.minimumPageBits,
    target_page_bits: local.pageBits,
    caps_count: capabilities.length,
    capabilities,
    uuidNeeded: local.uuid !== null && local.capabilities.has("validate-uuid"),
    "uuid.data": local.uuid ?? new Uint8Array(16),
  };
  saveVMState(writer, outgoing, device, outgoing.version, json, local.descriptionStyle);
}

/** For loading: room is made for what the stream brings, up to the ceilings. */
function describeIncoming({ machineNameBytes, capabilities }: Limits) {
  return vmstate("configuration", {
    version: 1,
    fields: [u32("len"), vbuffer("name", "len", { max: machineNameBytes })],
    subsections: [
      vmstate("configuration/target-page-bits", {
        version: 1,
        minimumVersion: 1,
        fields: [u32("target_page_bits")],
        postLoad: (state: { hasPageBits: boolean }) => void (state.hasPageBits = true),
      }),
      vmstate("configuration/capabilities", {
        version: 1,
        minimumVersion: 1,
        fields: [
          u32("caps_count", { since: 1 }),
          varray("capabilities", capability, "caps_count", { since: 1, max: capabilities }),
        ],
      }),
      vmstate("configuration/uuid", {
        version: 1,
        minimumVersion: 1,
        fields: [array("uuid.data", u8, 16, { since: 1 })],
        postLoad: (state: { hasUuid: boolean }) => void (state.hasUuid = true),
      }),
    ],
  });
}
const incoming = new WeakMap<Limits, ReturnType<typeof describeIncoming>>();

/**
 * Read the body of a configuration section, its type byte being consumed: anything well-formed will do. Whether it fits
 * the local machine is {@link checkConfiguration}'s to say.
 *
 * @throws SectionError for an unknown or too new subsection; StateError LENGTH_OUT_OF_RANGE; StreamError TRUNCATED
 */
export function* loadConfiguration(reader: Reader, limits: Limits = DEFAULT_LIMITS): Decode<Configuration> {
  let state = incoming.get(limits);
  if (state === undefined) incoming.set(limits, (state = describeIncoming(limits)));
  const device = {
    len: 0,
    name: new Uint8Array(0),
    hasPageBits: false,
    target_page_bits: 0,
    caps_count: 0,
    capabilities: [] as string[],
    hasUuid: false,
    "uuid.data": new Uint8Array(16),
  };
  const loaded = yield* loadVMState(reader, state, device, 0, limits);
  yield* loaded.commit();
  return Object.freeze({
    machine: decodeName(device.name),
    targetPageBits: device.hasPageBits ? device.target_page_bits : null,
    capabilities: Object.freeze(device.capabilities),
    uuid: device.hasUuid ? formatUuid(device["uuid.data"]) : null,
  });
}

/**
 * Does a received configuration fit the local machine? All that QEMU compares, in its order.
 *
 * @param onWarning told what is odd but no reason to refuse the stream
 * @throws ProtocolError CAPABILITY for an unknown or differing one; CONFIGURATION for UUID, machine type or page size
 */
export function checkConfiguration(
  received: Configuration,
  local: ResolvedOptions,
  onWarning: (message: string) => void = () => undefined,
): void {
  for (const name of received.capabilities) {
    if (!isKnownCapability(name, local.strict)) {
      throw refused("CAPABILITY", "capabilities", `the capability "${name}" is unknown`);
    }
  }
  if (received.uuid !== null) checkUuid(received.uuid, local, onWarning);
  checkMachine(received.machine, local);
  // What a source from before variable page sizes used, if it says nothing.
  const pageBits = received.targetPageBits ?? local.minimumPageBits;
  if (pageBits !== local.pageBits) {
    const problem = `the target page has ${pageBits} bits, here it has ${local.pageBits}`;
    throw refused("CONFIGURATION", "target_page_bits", problem);
  }
  checkCapabilities(received.capabilities, local);
}

/** As C compares: over the length received, and not beyond a NUL. So a prefix of the local name passes. */
function checkMachine(received: string, { machine }: ResolvedOptions): void {
  const local = encodeName(machine);
  for (const [i, byte] of encodeName(received).entries()) {
    if (byte !== (local[i] ?? 0)) {
      throw refused("CONFIGURATION", "name", `the machine type is "${received}", here it is "${machine}"`);
    }
    if (byte === 0) return;
  }
}

function checkUuid(received: string, { uuid }: ResolvedOptions, onWarning: (message: string) => void): void {
  if (uuid === null) onWarning(`UUID ${received} is received, here none is set`);
  else if (received !== formatUuid(uuid)) {
    throw refused("CONFIGURATION", "uuid.data", `the UUID is ${received}, here it is ${formatUuid(uuid)}`);
  }
}

/** All that differ are named at once. */
function checkCapabilities(received: readonly string[], { capabilities, strict }: ResolvedOptions): void {
  const differing = validatedCapabilities(strict).filter((name) => capabilities.has(name) !== received.includes(name));
  if (differing.length === 0) return;
  const list = differing.map((name) => `${name} is ${received.includes(name) ? "on" : "off"}`);
  throw refused("CAPABILITY", "capabilities", `${list.join(", ")} in the stream but not here`);
}

function refused(code: "CONFIGURATION" | "CAPABILITY", field: string, problem: string): ProtocolError {
  return new ProtocolError(code, `Accept the configuration: ${problem}`, { field });
}
