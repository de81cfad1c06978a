import { describe, expect, it } from "vitest";
import { isNeeded } from "../../src/vmstate/save.js";
import { toHex } from "../kit/hex.js";
import { described, load, saved } from "../kit/vmstate.js";
import { createIsapc } from "./isapc.js";
import { bodyOf, recorded } from "./kit.js";
import { createMicrovm } from "./microvm.js";
import { createPc } from "./pc.js";

/** Section by section: QEMU's bytes must make sense by our descriptions alone. */

const machines = [
  ["microvm", () => createMicrovm({ acpi: false, serials: 1 })],
  ["microvm-smp4", () => createMicrovm({ acpi: false, serials: 1, cpus: 4 })],
  ["microvm-cpu-max", () => createMicrovm({ acpi: false, serials: 1, cpus: 2 })],
  ["isapc", () => createIsapc({ serials: 1 })],
  ["pc", () => createPc({ serials: 1 })],
  ["pc-i440fx-2.3", () => createPc({ machine: "pc-i440fx-2.3", old: true, serials: 1 })],
] as const;

describe.each(machines)("devices of %s", (name, create) => {
  const stream = recorded(name);

  it("are saved in QEMU's order, under its names and ids", () => {
    const { registry } = create();
    const ours = registry.entries
      .filter((entry) => entry.kind === "device" && isNeeded(entry.state, entry.device))
      .map(({ sectionId, idstr, instanceId, version }) => [sectionId, idstr, instanceId, version]);
    expect(ours).toEqual(stream.devices.map(({ id, idstr, instance, version }) => [id, idstr, instance, version]));
  });

  it.each(
    stream.devices.map((section) => [`${section.idstr} ${section.instance}, section ${section.id}`, section] as const),
  )("%s: loads every byte and saves the same bytes and description", (_, section) => {
    const entry = create().registry.find(section.idstr, section.instance);
    if (entry?.kind !== "device") throw new Error("it is not registered");
    const { state, device } = entry;
    const body = bodyOf(stream, section);
    expect(load(state, device, body, { version: section.version })).toBe(0);
    expect(toHex(saved(state, device))).toBe(toHex(body));
    // Between `{"name": ..., "instance_id": ..., ` and the closing brace of the device.
    expect(stream.description).toContain(described(state, device).slice(1));
  });
});
