/** QEMU to file to QEMU: proves the fixture and the guest before anything of ours stands in between. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { buildGuestRom, type GuestOptions } from "../guest/rom.js";
import { WINDOW_ADDRESS } from "../guest/model.js";
import { guestArgs, Qemu, Scratch } from "../kit/qemu.js";

const CASES: readonly (readonly [machine: string, guest: GuestOptions])[] = [
  ["microvm", { idle: true }],
  ["isapc", { idle: true }],
  ["pc", { idle: false, steps: 8 }],
  ["q35", { idle: false, steps: 8, delay: 100_000 }],
];

describe("Qemu", () => {
  it.each(CASES)("replays a %s guest from a file and the guest runs on undamaged", async (machine, guest) => {
    using scratch = new Scratch();
    const args = guestArgs({ machine, rom: scratch.file("rom", buildGuestRom({ steps: 8, ...guest })) });
    const stream = scratch.file("vm.mig");
    await using source = await Qemu.start({ args });
    await source.waitForGuest(128, 2);
    await source.migrate(`exec:cat > ${stream}`);
    const sent = await source.guestHeader();

    await using destination = await Qemu.start({ args, paused: true, incoming: `exec:cat ${stream}` });
    await destination.waitForMigration();

    expect(await destination.guestHeader()).toEqual(sent);
    await destination.cont();
    const after = await destination.expectGuestRuns();
    expect(after.steps).toBeGreaterThan(sent.steps);
  });

  it("guestProblems notices a page that went back to an older state", async () => {
    using scratch = new Scratch();
    const args = guestArgs({ machine: "microvm", rom: scratch.file("rom", buildGuestRom({ steps: 8 })) });
    const stream = scratch.file("vm.mig");
    await using source = await Qemu.start({ args });
    await source.waitForGuest(300, 2);
    await source.migrate(`exec:cat > ${stream}`);
    const bytes = readFileSync(stream);
    const page = await source.readMemory(WINDOW_ADDRESS, 4096);
    const at = bytes.indexOf(page);
    bytes.writeUInt32LE(bytes.readUInt32LE(at) ^ 1, at);
    writeFileSync(stream, bytes);

    await using destination = await Qemu.start({ args, paused: true, incoming: `exec:cat ${stream}` });
    await destination.waitForMigration();

    expect(await destination.guestProblems()).toEqual([expect.stringContaining("page 0 word 0")]);
    await destination.cont();
    await expect(destination.expectGuestRuns(2)).rejects.toThrow("the guest found 1 wrong words, first at 0x100000");
  });
});
