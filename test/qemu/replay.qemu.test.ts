/** QEMU to QEMU: proves the fixture and the guest before anything of ours stands in between. */
import { describe, expect, it } from "vitest";
import { PAGE_SIZE, WINDOW_ADDRESS } from "../guest/model.js";
import { buildGuestRom, type GuestOptions } from "../guest/rom.js";
import { guestArgs, Qemu, Scratch } from "../kit/qemu.js";

const MACHINES: readonly (readonly [machine: string, guest: GuestOptions])[] = [
  ["microvm", { idle: true }],
  ["isapc", { idle: true }],
  ["pc", { idle: false, steps: 8 }],
  ["q35", { idle: false, steps: 8, delay: 100_000 }],
];

function machineWith(scratch: Scratch, machine: string, guest: GuestOptions = {}, cpus = 1): string[] {
  return guestArgs({ machine, rom: scratch.file("rom", buildGuestRom({ steps: 8, ...guest })), cpus });
}

describe("Qemu", () => {
  it.each(MACHINES)("replays a %s guest from a file and the guest runs on undamaged", async (machine, guest) => {
    using scratch = new Scratch();
    const args = machineWith(scratch, machine, guest);
    await using source = await Qemu.start({ args });
    await source.waitForGuest(128, 2);
    const stream = await source.migrateToFile(scratch.file("vm.mig"));
    const sent = await source.guestHeader();

    await using destination = await Qemu.start({ args, paused: true, incoming: stream });
    await destination.waitForMigration();

    expect(await destination.runState()).toBe("paused");
    expect(await destination.guestHeader()).toEqual(sent);
    await destination.cont();
    const after = await destination.expectGuestRuns();
    expect(after.steps).toBeGreaterThan(sent.steps);
  });

  it("moves a busy guest through a socket while it runs", async () => {
    using scratch = new Scratch();
    const args = machineWith(scratch, "pc", { idle: false, delay: 20_000 });
    const uri = `unix:${scratch.file("socket")}`;
    const slow = { "max-bandwidth": 1_000_000, "downtime-limit": 1 };
    await using source = await Qemu.start({ args, parameters: slow });
    await source.waitForGuest(200, 2);
    await using destination = await Qemu.start({ args, incoming: uri });
    await source.execute("migrate", { uri });
    await source.poll("a second round over RAM", 60_000, async () => {
      const { ram } = await source.migrationInfo();
      return (ram?.["dirty-sync-count"] ?? 0) >= 3 || undefined;
    });
    await source.configure([], { "max-bandwidth": 1_000_000_000, "downtime-limit": 2000 });
    await source.waitForMigration();
    await destination.waitForMigration();

    await destination.expectGuestRuns(2);
  });

  it("starts the other CPUs of the guest, and they stay started after a replay", async () => {
    using scratch = new Scratch();
    const args = machineWith(scratch, "q35", {}, 3);
    await using source = await Qemu.start({ args });
    await source.poll("two more CPUs", 10_000, async () => {
      const header = await source.waitForGuest();
      return header.startedCpus === 2 || undefined;
    });
    const stream = await source.migrateToFile(scratch.file("vm.mig"));

    await using destination = await Qemu.start({ args, incoming: stream });
    await destination.waitForMigration();

    expect((await destination.expectGuestRuns()).startedCpus).toBe(2);
  });

  it("guestProblems notices a page that went back to an older state, and so does the guest", async () => {
    using scratch = new Scratch();
    const args = machineWith(scratch, "microvm");
    await using source = await Qemu.start({ args });
    await source.waitForGuest(300, 2);
    const stream = Buffer.from(await source.migrateToFile(scratch.file("vm.mig")));
    const at = stream.indexOf(await source.readMemory(WINDOW_ADDRESS, PAGE_SIZE));
    stream.writeUInt32LE(stream.readUInt32LE(at) ^ 1, at);

    await using destination = await Qemu.start({ args, paused: true, incoming: stream });
    await destination.waitForMigration();

    expect(await destination.guestProblems()).toEqual([expect.stringContaining("page 0 word 0")]);
    await destination.cont();
    await expect(destination.expectGuestRuns(2)).rejects.toThrow("the guest found 1 wrong words, first at 0x100000");
  });

  it("quotes QEMU when a stream is refused", async () => {
    using scratch = new Scratch();
    const args = machineWith(scratch, "microvm");
    const notAStream = new TextEncoder().encode("QEVM but not quite: nothing follows");

    await using destination = await Qemu.start({ args, incoming: notAStream });

    await expect(destination.waitForMigration()).rejects.toThrow(/QEMU ended with status 1: .*version/s);
  });

  it("quotes QEMU when it does not start, and leaves no process behind", async () => {
    const start = Qemu.start({ args: ["-machine", "no-such-machine"] });
    await expect(start).rejects.toThrow(/QEMU ended with status 1: .*no-such-machine|unsupported machine type/s);
  });
});
