import { StateError } from "../../../src/errors.js";
import { vmstate } from "../../../src/vmstate/describe.js";
import {
  array,
  i32,
  i32Equal,
  i32Le,
  scalarField,
  struct,
  u32,
  u8,
  unused,
  varray,
} from "../../../src/vmstate/fields.js";
import type { Codec, DeviceOf } from "../../../src/vmstate/types.js";
import { blank } from "../blank.js";

/** PCI: the bus, what all its devices have, and the two chips that hold up a PC of 1996. */

const V1 = { version: 1, minimumVersion: 1 } as const;

/** What a guest can never change: identity, class, kind of header, whether there are capabilities and where. */
const CONSTANT: readonly (readonly [at: number, mask: number])[] = [
  ...[0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x0a, 0x0b, 0x0e, 0x34].map((at) => [at, 0xff] as const),
  [0x06, 0x10],
];

/** Configuration space; the device of the stream must be the one that is here. */
function pciConfig(size: number): Codec<Uint8Array> {
  return {
    type: "pci config",
    size,
    put(writer, value) {
      if (value.length !== size) throw new StateError("FIELD_INVALID", `Save pci config: it has ${value.length} bytes`);
      writer.bytes(value);
    },
    get(reader, current) {
      const bytes = reader.bytes(size);
      const held = current();
      for (const [at, mask] of CONSTANT) {
        if (((bytes[at] ^ held[at]) & mask) !== 0) {
          throw new StateError("FIELD_INVALID", `Load pci config: byte ${at} is ${bytes[at]}, here it is ${held[at]}`);
        }
      }
      return bytes;
    },
  };
}

const config = scalarField(pciConfig(256));
const expressConfig = scalarField(pciConfig(4096));

/** Levels of the four interrupt pins. */
const irqState = scalarField<readonly number[]>({
  type: "pci irq state",
  size: 16,
  put: (writer, pins) => pins.forEach((pin) => writer.u32(pin)),
  get: (reader) =>
    Array.from({ length: 4 }, () => {
      const pin = reader.u32();
      if (pin > 1) throw new StateError("FIELD_INVALID", `Load pci irq state: a pin is ${pin}`);
      return pin;
    }),
});

interface Express {
  readonly express: boolean;
}

export const pciDevice = vmstate("PCIDevice", {
  version: 2,
  minimumVersion: 1,
  fields: [
    i32Le("version_id"),
    config("config", { exists: (device: Express) => !device.express }),
    expressConfig("config", { exists: (device: Express) => device.express, memorySize: 4096 }),
    irqState("irq_state", { since: 2 }),
  ],
});

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision?: number;
  /** Class, subclass and programming interface. */
  readonly class: number;
  readonly multifunction?: boolean;
}

export function createPciDevice(identity: PciIdentity): DeviceOf<typeof pciDevice> {
  const space = new Uint8Array(256);
  const view = new DataView(space.buffer);
  view.setUint16(0x00, identity.vendor, true);
  view.setUint16(0x02, identity.device, true);
  view.setUint32(0x08, ((identity.class << 8) | (identity.revision ?? 0)) >>> 0, true);
  space[0x0e] = identity.multifunction === true ? 0x80 : 0;
  return { version_id: 2, config: space, irq_state: [0, 0, 0, 0], express: false };
}

export const pciBus = vmstate("PCIBUS", { ...V1, fields: [i32Equal("nirq"), varray("irq_count", i32, "nirq")] });

export const createPciBus = (interrupts: number) =>
  blank(pciBus, { nirq: interrupts, irq_count: new Int32Array(interrupts) });

/** Old machine types do not save it. */
export const pciHost = vmstate("PCIHost", {
  ...V1,
  needed: (host: { readonly mig_enabled: boolean }) => host.mig_enabled,
  fields: [u32("config_reg")],
});

export const createPciHost = (mig_enabled: boolean) => blank(pciHost, { mig_enabled });

export const i440fx = vmstate("I440FX", {
  version: 3,
  minimumVersion: 3,
  fields: [struct("parent_obj", pciDevice), unused(1)],
});

const INTEL = 0x8086;

export const createI440fx = () =>
  blank(i440fx, { parent_obj: createPciDevice({ vendor: INTEL, device: 0x1237, revision: 2, class: 0x060000 }) });

const resetControl = vmstate("PIIX3/rcr", { ...V1, needed: (piix) => piix.rcr !== 0, fields: [u8("rcr")] });

export const piix3 = vmstate("PIIX3", {
  version: 3,
  minimumVersion: 2,
  fields: [struct("dev", pciDevice), array("pci_irq_levels_vmstate", i32, 4, { since: 3 })],
  subsections: [resetControl],
});

export const createPiix3 = () =>
  blank(piix3, {
    dev: createPciDevice({ vendor: INTEL, device: 0x7000, class: 0x060100, multifunction: true }),
  });
