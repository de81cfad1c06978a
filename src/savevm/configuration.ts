import { ProtocolError, type SectionRef } from "../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import type { Decode } from "../stream/drive.js";
import { decodeName, encodeName } from "../stream/names.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";
import { vmstate } from "../vmstate/describe.js";
import { array, scalarField, u32, u8, varray, vbuffer } from "../vmstate/fields.js";
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

/** The local machine that a received configuration must fit. */
export interface ConfigurationCheck {
  readonly local: ResolvedOptions;
  /** Told what is odd but no reason to refuse the stream. */
  readonly onWarning?: (message: string) => void;
}

export const CONFIGURATION_SECTION: SectionRef = Object.freeze({
  id: null,
  idstr: "configuration",
  instanceId: null,
  version: null,
});

/** A capability name for saving; its length varies, so loading takes {@link receivedCapability}. */
const capability = scalarField<string>({
  type: "capability",
  size: 1,
  put: (writer, name) => writer.countedString(name),
  get: () => {
    throw new TypeError("Load a capability: its size is not known beforehand");
  },
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

interface ReceivedName {
  len: number;
  name: Uint8Array;
}

/**
 * Read the body of a configuration section, its type byte being consumed. With `check` it must fit the local machine;
 * without, as for a tool that knows no machine, anything well-formed will do.
 *
 * @throws ProtocolError CONFIGURATION (machine type, page bits, UUID) or CAPABILITY; SectionError for an unknown or too
 *   new subsection; StateError LENGTH_OUT_OF_RANGE
 */
export function* loadConfiguration(
  reader: Reader,
  check: ConfigurationCheck | null,
  limits: Limits = check?.local.limits ?? DEFAULT_LIMITS,
): Decode<Configuration> {
  const seen = { pageBits: false, uuid: false };
  const device = {
    len: 0,
    name: new Uint8Array(0),
    // What a source from before variable page sizes used, if it says nothing.
    target_page_bits: check?.local.minimumPageBits ?? 0,
    caps_count: 0,
    capabilities: [] as ReceivedName[],
    "uuid.data": new Uint8Array(16),
  };
  const receivedCapability = vmstate("capability", {
    version: 1,
    fields: [u8("len"), vbuffer("name", "len", { max: 255 })],
    postLoad({ name }) {
      if (check !== null) checkCapabilityName(decodeName(name), check.local);
    },
  });
  const incoming = vmstate("configuration", {
    version: 1,
    fields: [u32("len"), vbuffer("name", "len", { max: limits.machineNameBytes })],
    subsections: [
      vmstate("configuration/target-page-bits", {
        version: 1,
        minimumVersion: 1,
        fields: [u32("target_page_bits")],
        postLoad: () => void (seen.pageBits = true),
      }),
      vmstate("configuration/capabilities", {
        version: 1,
        minimumVersion: 1,
        fields: [
          u32("caps_count", { since: 1 }),
          varray("capabilities", receivedCapability, "caps_count", {
            since: 1,
            max: limits.capabilities,
            create: () => ({ len: 0, name: new Uint8Array(0) }),
          }),
        ],
      }),
      vmstate("configuration/uuid", {
        version: 1,
        minimumVersion: 1,
        fields: [array("uuid.data", u8, 16, { since: 1 })],
        postLoad(state) {
          seen.uuid = true;
          if (check !== null) checkUuid(Uint8Array.from(state["uuid.data"]), check);
        },
      }),
    ],
    postLoad(state) {
      if (check === null) return;
      checkMachine(state.name, check.local);
      checkPageBits(state.target_page_bits, check.local);
      checkCapabilities(namesOf(state.capabilities), check.local);
    },
  });
  const loaded = yield* loadVMState(reader, incoming, device, 0, limits);
  yield* loaded.commit();
  return Object.freeze({
    machine: decodeName(device.name),
    targetPageBits: seen.pageBits ? device.target_page_bits : null,
    capabilities: Object.freeze(namesOf(device.capabilities)),
    uuid: seen.uuid ? formatUuid(device["uuid.data"]) : null,
  });
}

function namesOf(received: { readonly length: number; readonly [index: number]: ReceivedName }): string[] {
  return Array.from({ length: received.length }, (_, i) => decodeName(received[i].name));
}

/** As C compares: over the length received, and not beyond a NUL. So a prefix of the local name passes. */
function checkMachine(received: Uint8Array, { machine }: ResolvedOptions): void {
  const local = encodeName(machine);
  for (const [i, byte] of received.entries()) {
    if (byte !== (local[i] ?? 0)) {
      throw refused("name", `the machine type is "${decodeName(received)}", here it is "${machine}"`);
    }
    if (byte === 0) return;
  }
}

function checkPageBits(received: number, { pageBits }: ResolvedOptions): void {
  if (received !== pageBits) {
    throw refused("target_page_bits", `the target page has ${received} bits, here it has ${pageBits}`);
  }
}

function checkUuid(received: Uint8Array, { local: { uuid }, onWarning }: ConfigurationCheck): void {
  if (uuid === null) {
    onWarning?.(`UUID ${formatUuid(received)} is received, here none is set`);
  } else if (received.some((byte, i) => byte !== uuid[i])) {
    throw refused("uuid.data", `the UUID is ${formatUuid(received)}, here it is ${formatUuid(uuid)}`);
  }
}

function checkCapabilityName(name: string, { strict }: ResolvedOptions): void {
  if (!isKnownCapability(name, strict)) {
    throw new ProtocolError("CAPABILITY", `Accept the configuration: the capability "${name}" is unknown`);
  }
}

function checkCapabilities(received: readonly string[], { capabilities, strict }: ResolvedOptions): void {
  const differing = validatedCapabilities(strict).filter((name) => capabilities.has(name) !== received.includes(name));
  if (differing.length === 0) return;
  const list = differing.map((name) => `${name} is ${received.includes(name) ? "on" : "off"}`);
  throw new ProtocolError("CAPABILITY", `Accept the configuration: ${list.join(", ")} in the stream but not here`, {
    field: "capabilities",
  });
}

function refused(field: string, problem: string): ProtocolError {
  return new ProtocolError("CONFIGURATION", `Accept the configuration: ${problem}`, { field });
}
