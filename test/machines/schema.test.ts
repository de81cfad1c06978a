import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { dumpSchema } from "../../src/vmstate/dump.js";
import type { AnyVMState } from "../../src/vmstate/types.js";
import { i8259, ioapic, kvmvapic } from "./devices/apic.js";
import { acpiGed, fwCfg, i8254, i8257, port92, rtc, speaker, vmmouse } from "./devices/board.js";
import { isaFloppy } from "./devices/disks.js";
import { i440fx, pciHost, piix3 } from "./devices/pci.js";
import { hpet, piix4Pm, smbusEeprom } from "./devices/piix.js";
import { isaParallel, isaSerial } from "./devices/ports.js";
import { i8042, keyboard, mouse } from "./devices/ps2.js";

/** Our descriptions against QEMU's own list of them (`-dump-vmstate`), fields and subsections not recorded included. */

type Json = Record<string, unknown>;

const dump = JSON.parse(
  gunzipSync(readFileSync(new URL("../data/schemas/pc-i440fx-7.2.json.gz", import.meta.url))).toString(),
) as Json;

const devices: readonly (readonly [type: string, state: AnyVMState])[] = [
  ["isa-i8259", i8259],
  ["ioapic", ioapic],
  ["kvmvapic", kvmvapic],
  ["fw_cfg_io", fwCfg],
  ["isa-pit", i8254],
  ["mc146818rtc", rtc],
  ["i8257", i8257],
  ["isa-pcspk", speaker],
  ["port92", port92],
  ["vmmouse", vmmouse],
  ["acpi-ged", acpiGed],
  ["isa-fdc", isaFloppy],
  ["isa-serial", isaSerial],
  ["isa-parallel", isaParallel],
  ["ps2-kbd", keyboard],
  ["ps2-mouse", mouse],
  ["i8042", i8042],
  ["i440FX-pcihost", pciHost],
  ["i440FX", i440fx],
  ["PIIX3", piix3],
  ["hpet", hpet],
  ["PIIX4_PM", piix4Pm],
  ["smbus-eeprom", smbusEeprom],
];

/**
 * Without sizes of structs in memory (ours are those on the wire) and lengths of arrays (QEMU 7.2 does not say them; the
 * recorded streams do).
 */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  const { size, num: _num, ...rest } = value as Json;
  const scalar = "field" in rest && !("Description" in rest) && size !== 0;
  const entries = Object.entries(rest).map(([key, inner]) => [key, comparable(inner)] as const);
  return { ...Object.fromEntries(entries), ...(scalar ? { size } : {}) };
}

describe("descriptions", () => {
  it.each(devices)("%s has QEMU's names, versions, order, conditions and sizes", (type, state) => {
    const ours = JSON.parse(dumpSchema("pc", [{ type, state }])) as Json;
    expect(comparable(ours[type])).toEqual(comparable(dump[type]));
  });
});
