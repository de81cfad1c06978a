/** Streams of ours, of machines that we declared ourselves, are loaded by a real QEMU, and the guest runs on. */
import { describe, expect, it } from "vitest";
import { argsFor, bootAndSend, loaded, memoryProblems, ourIsapc, ourMicrovm, saved } from "../kit/between.js";
import { Qemu, Scratch } from "../kit/qemu.js";

const MACHINES = [
  { name: "microvm", cpus: 1, create: () => ourMicrovm() },
  { name: "microvm", cpus: 3, create: () => ourMicrovm({ cpus: 3 }) },
  { name: "isapc", cpus: 1, create: () => ourIsapc() },
] as const;

describe.each(MACHINES)("$name with $cpus CPUs, loaded and saved by us", ({ name, cpus, create }) => {
  it.each([true, false])("is loaded by QEMU, has the same memory, and the guest runs on (idle: %o)", async (idle) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, name, { cpus, guest: { idle } });
    const machine = loaded(create(), await bootAndSend(scratch, args));

    await using destination = await Qemu.start({ args, paused: true, incoming: saved(machine) });
    await destination.waitForMigration();

    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    const { startedCpus } = await destination.expectGuestRuns(2);
    expect(startedCpus).toBe(cpus - 1);
  });
});
