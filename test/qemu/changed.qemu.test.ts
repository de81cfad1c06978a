/** What we change between loading and saving is what QEMU then has: our fields mean what we say they mean. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { HEADER_ADDRESS, PAGE_SIZE, readHeader } from "../guest/model.js";
import {
  argsFor,
  bootAndSend,
  bootAndSendAsleep,
  loaded,
  mainMemory,
  memoryProblems,
  MEGABYTES,
  noise,
  ourIsapc,
  ourMicrovm,
  ramOf,
  runGuest,
  saved,
  setRunning,
} from "../kit/between.js";
import { Qemu, Scratch } from "../kit/qemu.js";

/** Above everything that the guest touches. */
const FREE_RAM = 2 << 20;
const RAM_BYTES = MEGABYTES << 20;

describe("a microvm changed by us", () => {
  it("RAM: QEMU has our page, and the guest runs on", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSend(scratch, args));
    const marker = noise(PAGE_SIZE, 77);
    mainMemory(machine).set(marker, FREE_RAM + 5 * PAGE_SIZE);

    await using destination = await Qemu.start({ args, incoming: saved(machine) });
    await destination.waitForMigration();

    expect(await destination.readMemory(FREE_RAM + 5 * PAGE_SIZE, PAGE_SIZE)).toEqual(marker);
    await destination.expectGuestRuns();
  });

  it("RAM: the guest takes up the work that we did in its place", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSendAsleep(scratch, args));
    const ram = mainMemory(machine);
    const before = readHeader(ram.subarray(HEADER_ADDRESS, HEADER_ADDRESS + PAGE_SIZE));
    runGuest(ram, 1000);
    setRunning(machine);

    await using destination = await Qemu.start({ args, incoming: saved(machine) });
    await destination.waitForMigration();

    const after = await destination.expectGuestRuns(2);
    expect(after.steps).toBeGreaterThan(before.steps + 1000);
    expect(after.errors).toBe(0);
  });

  it("RAM: a word that we damage is found by the guest", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSendAsleep(scratch, args));
    mainMemory(machine)[0x103004] ^= 1;
    setRunning(machine);

    await using destination = await Qemu.start({ args, incoming: saved(machine) });
    await destination.waitForMigration();

    await expect(destination.expectGuestRuns(2)).rejects.toThrow("the guest found 1 wrong words, first at 0x103004");
  });

  it.each([
    { kind: "no zero page", fill: () => noise(RAM_BYTES - FREE_RAM, 3), zeroPages: 0 },
    { kind: "only zero pages", fill: () => new Uint8Array(RAM_BYTES - FREE_RAM), zeroPages: 512 },
  ])("RAM: $kind in its upper half", async ({ fill, zeroPages }) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSend(scratch, args));
    const lower = ramOf(machine).loadStats.zeroPages - 512;
    mainMemory(machine).set(fill(), FREE_RAM);
    const stream = saved(machine);
    expect(ramOf(machine).saveStats.zeroPages).toBe(lower + zeroPages);

    await using destination = await Qemu.start({ args, paused: true, incoming: stream });
    await destination.waitForMigration();

    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    await destination.expectGuestRuns();
  });

  it("devices: QEMU's ports and registers show our values", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSend(scratch, args));
    machine.realTimeClock.cmos_data[0x50] = 0x77;
    machine.serialPorts[0].state.scr = 0xc3;
    machine.pics[0].imr = 0xee;
    const { cpu } = machine.processors[0];
    cpu["env.cr[2]"] = 0xdeadb000n;
    cpu["env.dr"][1] = 0x123456n;
    cpu["env.xmm_regs"][3]["_q_ZMMReg[1]"] = 0x0123456789abcdefn;
    Object.assign(cpu["env.fpregs"][7], { mantissa: 0xc000000000000000n, upper: 0x4001 });

    await using destination = await Qemu.start({ args, paused: true, incoming: saved(machine) });
    await destination.waitForMigration();

    const { monitor } = destination;
    await monitor.human("o /b 0x70 0x50");
    expect(await monitor.human("i /b 0x71")).toContain("= 0x77");
    expect(await monitor.human("i /b 0x3ff")).toContain("= 0xc3");
    expect(await monitor.human("info pic")).toMatch(/pic0: .*imr=ee/);
    const registers = await monitor.human("info registers");
    expect(registers).toContain("CR2=deadb000");
    expect(registers).toContain("DR1=0000000000123456");
    expect(registers).toContain("XMM03=0123456789abcdef 0000000000000000");
    expect(registers).toContain("FPR7=c000000000000000 4001");
  });

  it("devices: the guest reads from its serial line what we put into the receive FIFO", async () => {
    using scratch = new Scratch();
    const log = scratch.file("line");
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSend(scratch, args));
    const { state: uart } = machine.serialPorts[0];
    const text = new TextEncoder().encode("from us");
    uart.recv_fifo.data.set(text);
    uart.recv_fifo.num = text.length;
    uart.lsr |= 1;

    const connected = args.map((arg) => (arg === "null" ? `file:${log}` : arg));
    await using destination = await Qemu.start({ args: connected, incoming: saved(machine) });
    await destination.waitForMigration();
    await destination.poll("seven echoed bytes", 10_000, async () => {
      const { echoed } = await destination.guestHeader();
      return echoed === text.length || undefined;
    });

    await destination.expectGuestRuns();
    expect(readFileSync(log, "utf8")).toBe("from us");
  });

  it("the run state: a machine that was running arrives paused when we say so", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSend(scratch, args));
    machine.runState.runstate.fill(0);
    new TextEncoder().encodeInto("paused", machine.runState.runstate);

    await using destination = await Qemu.start({ args, incoming: saved(machine) });
    await destination.waitForMigration();

    expect(await destination.runState()).toBe("paused");
  });
});

describe("an isapc changed by us", () => {
  it("devices: QEMU's ports show our values", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "isapc");
    const machine = loaded(ourIsapc(), await bootAndSend(scratch, args));
    machine.realTimeClock.cmos_data[0x60] = 0x99;
    // What is left to transfer reads as the count at the start less what has been transferred.
    machine.dma[0].regs[2].base[1] = 0x4322;
    machine.dma[0].regs[2].now[1] = 1;
    machine.dma[0].flip_flop = 0;
    machine.keyboardController.kbd.outport = 0xcd;

    await using destination = await Qemu.start({ args, paused: true, incoming: saved(machine) });
    await destination.waitForMigration();

    const { monitor } = destination;
    await monitor.human("o /b 0x70 0x60");
    expect(await monitor.human("i /b 0x71")).toContain("= 0x99");
    const low = await monitor.human("i /b 5");
    const high = await monitor.human("i /b 5");
    expect([low, high]).toEqual([expect.stringContaining("= 0x21"), expect.stringContaining("= 0x43")]);
    await monitor.human("o /b 0x64 0xd0");
    expect(await monitor.human("i /b 0x60")).toContain("= 0xcd");
  });
});
