/** Machines with dozens of devices of which we know nothing but the length go through us as well. */
import { describe, expect, it } from "vitest";
import { argsFor, bootAndSend, bytesOf, loaded, memoryProblems, noise, saved } from "../kit/between.js";
import { opaqueMachine } from "../kit/opaque.js";
import { Qemu, Scratch } from "../kit/qemu.js";
import { PAGE_SIZE } from "../guest/model.js";
import { findDescription } from "../record/description.js";

const FREE_RAM = 2 << 20;

const MACHINES = [
  { machine: "pc", extra: [] },
  { machine: "q35", extra: ["-device", "qemu-xhci", "-device", "pcie-root-port,id=rp0,chassis=1", "-cpu", "max"] },
  { machine: "pc,usb=on", extra: ["-device", "VGA,romfile=,vgamem_mb=1", "-device", "virtio-balloon-pci"] },
] as const;

describe("a machine of unknown devices, loaded and saved by us", () => {
  it.each(MACHINES)("$machine $extra: QEMU loads it, RAM is equal, and the guest runs on", async (kind) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, kind.machine, { cpus: 2, extra: kind.extra });
    const sent = await bootAndSend(scratch, args);
    const machine = loaded(opaqueMachine(sent), sent);
    bytesOf(machine, "pc.ram").set(noise(40 * PAGE_SIZE, 4), FREE_RAM);

    await using destination = await Qemu.start({ args, paused: true, incoming: saved(machine) });
    await destination.waitForMigration();

    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    expect((await destination.expectGuestRuns(2)).startedCpus).toBe(1);
  });

  it.each([
    { machine: "pc-i440fx-2.2", form: { description: false, footers: false, configuration: false } },
    { machine: "pc-i440fx-2.3", form: { description: true, footers: false, configuration: false } },
  ])("$machine, from before footers and configuration: QEMU loads it", async ({ machine: name, form }) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, name);
    // The same machine, made to describe itself.
    const described = argsFor(scratch, `${name},suppress-vmdesc=off`);
    const borrowed = findDescription(await bootAndSend(scratch, described));
    const sent = await bootAndSend(scratch, args);
    expect(findDescription(sent) !== null).toBe(form.description);
    const machine = loaded(opaqueMachine(sent, { borrowed }), sent);
    const marker = noise(40 * PAGE_SIZE, 5);
    bytesOf(machine, "pc.ram").set(marker, FREE_RAM);

    await using destination = await Qemu.start({ args, paused: true, incoming: saved(machine, form) });
    await destination.waitForMigration();

    expect(Buffer.compare(await destination.readMemory(FREE_RAM, marker.length), marker)).toBe(0);
    await destination.cont();
    await destination.expectGuestRuns(2);
  });
});
