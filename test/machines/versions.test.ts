import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { loadStateSync } from "../../src/savevm/run.js";
import { fromHex, toHex } from "../kit/hex.js";
import { load, saved } from "../kit/vmstate.js";
import { createIoapic, ioapic } from "./devices/apic.js";
import { createFwCfg, createI8254, createRtc, fwCfg, i8254, rtc } from "./devices/board.js";
import { createX86Cpu, x86Cpu } from "./devices/cpu-x86.js";
import { createIsaIde, isaIde } from "./devices/disks.js";
import { createKeyboard, keyboard } from "./devices/ps2.js";
import { createIsapc } from "./isapc.js";
import { caught, recorded } from "./kit.js";
import { createMicrovm } from "./microvm.js";

/** Older and newer streams of the same devices. */

/** A copy of `bytes` with another version in the header of the section at `offset`. */
function withVersion(bytes: Uint8Array, { offset, idstr }: { offset: number; idstr: string }, version: number) {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint32(offset + 1 + 4 + 1 + idstr.length + 4, version);
  return copy;
}

const machines = [
  ["microvm", () => createMicrovm({ ramBytes: 8 << 20, acpi: false, serials: 1 })],
  ["isapc", () => createIsapc({ ramBytes: 8 << 20, serials: 1 })],
] as const;

describe.each(machines)("a section of %s", (name, create) => {
  const { bytes, devices } = recorded(name);
  const sections = devices.map(
    (section) => [`${section.idstr} ${section.instance}, section ${section.id}`, section] as const,
  );

  it.each(sections)("%s: the next version is too new, and the device keeps its state", (_, section) => {
    const machine = create();
    const entry = machine.registry.find(section.idstr, section.instance);
    if (entry?.kind !== "device") throw new Error("it is not registered");
    const before = saved(entry.state, entry.device);
    const changed = withVersion(bytes, section, section.version + 1);
    const error = caught(() => void loadStateSync(machine.registry, changed, { machine: machine.machine }));
    expect(isMigrationError(error, "VERSION_TOO_NEW") && error.section?.idstr).toBe(section.idstr);
    if (section.idstr !== "isa-ide") expect(toHex(saved(entry.state, entry.device))).toBe(toHex(before));
  });

  it("whose version is below the minimum is too old", () => {
    const old = devices.flatMap((section) => {
      const entry = create().registry.find(section.idstr, section.instance);
      const minimum = entry?.kind === "device" ? entry.state.minimumVersion : 0;
      return minimum === 0 ? [] : [{ section, version: minimum - 1 }];
    });
    expect(old.length).toBeGreaterThan(8);
    for (const { section, version } of old) {
      const machine = create();
      const changed = withVersion(bytes, section, version);
      const error = caught(() => void loadStateSync(machine.registry, changed, { machine: machine.machine }));
      expect(isMigrationError(error, "VERSION_TOO_OLD") && error.section).toMatchObject({
        idstr: section.idstr,
        version,
      });
    }
  });
});

describe("an older stream", () => {
  it("of a CPU (version 11) has no AVX state, which stays as it was", () => {
    const source = createX86Cpu();
    source["env.eip"] = 0x1234n;
    source["env.xcr0"] = 7n;
    const bytes = saved(x86Cpu, source, 11);
    expect(bytes.length).toBe(saved(x86Cpu, source).length - 2 * 8 - 16 * 16);
    const target = createX86Cpu();
    target["env.xcr0"] = 3n;
    expect(load(x86Cpu, target, bytes, { version: 11 })).toBe(0);
    expect([target["env.eip"], target["env.xcr0"]]).toEqual([0x1234n, 3n]);
  });

  it("of the clock (versions 1 and 2) has fewer fields", () => {
    const source = createRtc();
    Object.assign(source, { cmos_index: 9, period: 32, base_rtc: 5n });
    for (const [version, missing] of [
      [1, 8 + 8 + 8 + 8 + 8 + 4 + 4],
      [2, 8 + 8 + 8 + 8 + 8],
    ]) {
      const bytes = saved(rtc, source, version);
      expect(bytes.length).toBe(saved(rtc, source).length - missing);
      const target = createRtc();
      expect(load(rtc, target, bytes, { version })).toBe(0);
      expect(target).toMatchObject({ cmos_index: 9, period: version === 1 ? 0 : 32, base_rtc: 0n });
    }
  });

  it("of the I/O APIC (version 1) means no request", () => {
    const target = createIoapic();
    target.irr = 0xff;
    expect(load(ioapic, target, saved(ioapic, createIoapic(), 1), { version: 1 })).toBe(0);
    expect(target.irr).toBe(0);
  });

  it("of the interval timer (version 2) says nothing of a disabled interrupt", () => {
    const source = createI8254();
    source.channels[0].irq_disabled = 1;
    const target = createI8254();
    expect(load(i8254, target, saved(i8254, source, 2), { version: 2 })).toBe(0);
    expect(target.channels[0].irq_disabled).toBe(0);
  });

  it("of the keyboard (version 2) means scancode set 2", () => {
    const source = createKeyboard();
    const target = createKeyboard();
    target.scancode_set = 1;
    expect(load(keyboard, target, saved(keyboard, source, 2), { version: 2 })).toBe(0);
    expect(target.scancode_set).toBe(2);
  });

  it("of the firmware configuration (version 1) has the offset in 16 bits, which nobody writes any more", () => {
    const target = createFwCfg();
    expect(load(fwCfg, target, fromHex("0019 0102"), { version: 1 })).toBe(0);
    expect(target).toMatchObject({ cur_entry: 0x19, cur_offset: 0x102 });
    const error = caught(() => void saved(fwCfg, target, 1));
    expect(isMigrationError(error, "FIELD_INVALID") && error.field).toBe("cur_offset");
  });

  it("of IDE errors (subsection version 1) has the status only", () => {
    const source = createIsaIde();
    Object.assign(source.bus.state, { error_status: 2, retry_sector_num: 9n });
    const bytes = toHex(saved(isaIde, source));
    const name = toHex(new TextEncoder().encode("ide_bus/error"));
    // Version 2, the status, and behind it the sector, the count and the unit.
    const old = bytes.replace(new RegExp(`${name}00000002(.{8}).{26}`), `${name}00000001$1`);
    const target = createIsaIde();
    expect(load(isaIde, target, fromHex(old))).toBe(0);
    expect(target.bus.state).toMatchObject({ error_status: 2, retry_sector_num: 0n });
  });
});
