/** Streams of machines that no QEMU ever ran: all of it was made by us. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SaveVM, type SaveVMOptions } from "../../src/index.js";
import { BANNER, PAGE_SIZE } from "../guest/model.js";
import { buildGuestRom } from "../guest/rom.js";
import { argsFor, bytesOf, memoryProblems, noise, ourMicrovm, saved } from "../kit/between.js";
import { Qemu, Scratch } from "../kit/qemu.js";
import { clock, createClock, createGlobalState, globalState } from "../machines/devices/core.js";

const RAM_BYTES = 2 << 20;
const NONE_ARGS = ["-machine", "none", "-m", "2", "-nodefaults"];
const UUID = "00112233-4455-6677-8899-aabbccddeeff";

/** Random pages, zero pages, and pages that are nearly zero. */
function mixedMemory(seed: number): Uint8Array {
  const memory = noise(RAM_BYTES, seed);
  for (let page = 0; page < RAM_BYTES / PAGE_SIZE; page++) {
    if (page % 3 === 0) memory.fill(0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
    if (page % 9 === 0) memory[page * PAGE_SIZE + (page % PAGE_SIZE)] = 1;
  }
  return memory;
}

/** QEMU's machine "none" with RAM, by the façade. */
function machineNone(options: Partial<SaveVMOptions>, memory: Uint8Array) {
  const vm = new SaveVM({ machine: "none", ...options });
  const runState = createGlobalState();
  // As an emulator in Wasm keeps it: somewhere in a memory that it may grow.
  const wasm = new WebAssembly.Memory({ initial: RAM_BYTES / 65536 + 2 });
  new Uint8Array(wasm.buffer).set(memory, 65536);
  vm.addRam("ram", { memory: wasm, offset: 65536, length: RAM_BYTES, scratch: { offset: 0, length: 65536 } });
  vm.register(clock, createClock());
  vm.register(globalState, runState);
  return { vm, runState };
}

describe("a machine none made by us", () => {
  it.each<{ options: Partial<SaveVMOptions>; args: readonly string[]; capabilities: readonly string[] }>([
    { options: {}, args: [], capabilities: [] },
    { options: { description: false }, args: [], capabilities: [] },
    {
      options: { footers: false, configuration: false },
      args: ["-global", "migration.send-section-footer=off", "-global", "migration.send-configuration=off"],
      capabilities: [],
    },
    { options: { uuid: UUID }, args: ["-uuid", UUID], capabilities: ["validate-uuid"] },
    { options: { ram: { compress: 6 } }, args: [], capabilities: ["compress"] },
    { options: { descriptionStyle: "11.1" }, args: [], capabilities: [] },
  ])("$options: QEMU has its RAM and its run state", async ({ options, args, capabilities }) => {
    const memory = mixedMemory(1);
    const { vm, runState } = machineNone({ ...options, capabilities }, memory);
    runState.runstate.fill(0);
    new TextEncoder().encodeInto("paused", runState.runstate);

    const all = [...NONE_ARGS, ...args];
    await using destination = await Qemu.start({ args: all, capabilities, incoming: vm.saveSync() });
    await destination.waitForMigration();

    expect(await destination.runState()).toBe("paused");
    expect(Buffer.compare(await destination.readMemory(0, RAM_BYTES), memory)).toBe(0);
  });

  it("comes back from QEMU with the same RAM", async () => {
    using scratch = new Scratch();
    const memory = mixedMemory(2);
    const { vm } = machineNone({}, memory);
    await using destination = await Qemu.start({ args: NONE_ARGS, paused: true, incoming: vm.saveSync() });
    await destination.waitForMigration();

    const { vm: second } = machineNone({}, new Uint8Array(RAM_BYTES));
    second.loadSync(await destination.migrateToFile(scratch.file("again")));

    const [block] = second.blocks;
    expect(Buffer.compare(block.memory.view(0, RAM_BYTES), memory)).toBe(0);
  });
});

describe("a microvm made by us, as it is switched on", () => {
  it("QEMU boots the guest from our ROM, and it prints its banner", async () => {
    using scratch = new Scratch();
    const log = scratch.file("line");
    const machine = ourMicrovm();
    switchOn(machine);
    bytesOf(machine, "pc.bios").set(buildGuestRom({ idle: true, pages: 16, steps: 8 }));
    // QEMU's own ROM is another guest, so that only ours can pass.
    const args = argsFor(scratch, "microvm", { guest: { pages: 64 } });
    const connected = args.map((arg) => (arg === "null" ? `file:${log}` : arg));

    await using destination = await Qemu.start({ args: connected, paused: true, incoming: saved(machine) });
    await destination.waitForMigration();

    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    await destination.waitForGuest(16, 1);
    const { pages } = await destination.expectGuestRuns(2);
    expect(pages).toBe(16);
    expect(readFileSync(log, "latin1")).toBe(BANNER);
  });
});

const DATA_SEGMENT = 0x9300;
const CODE_SEGMENT = 0x9b00;
const RESET_VECTOR = { selector: 0xf000, base: 0xffff0000n, ip: 0xfff0n };
const HF_ADDSEG = 1 << 6;
const HF2_GIF = 1;
const LVT_MASKED = 0x10000;

/** Bring devices that are all zeros to where a reset leaves them, as far as a guest depends on it. */
function switchOn({ processors, ioapics, pit }: ReturnType<typeof ourMicrovm>): void {
  const [{ cpu, apic }] = processors;
  const segments = cpu["env.segs"];
  for (let i = 0; i < segments.length; i++) Object.assign(segments[i], { limit: 0xffff, flags: DATA_SEGMENT });
  const { selector, base, ip } = RESET_VECTOR;
  Object.assign(segments[1], { selector, base, flags: CODE_SEGMENT });
  Object.assign(cpu["env.ldt"], { limit: 0xffff, flags: 0x8200 });
  Object.assign(cpu["env.tr"], { limit: 0xffff, flags: 0x8b00 });
  cpu["env.gdt"].limit = cpu["env.idt"].limit = 0xffff;
  cpu["env.eip"] = ip;
  cpu["env.eflags"] = 2n;
  cpu["env.hflags"] = HF_ADDSEG;
  cpu["env.hflags2"] = HF2_GIF;
  cpu["env.cr[0]"] = 0x60000010n;
  cpu["env.a20_mask"] = -1;
  cpu["env.fpuc"] = 0x37f;
  cpu["env.mxcsr"] = 0x1f80;
  cpu["env.dr"][6] = 0xffff0ff0n;
  cpu["env.dr"][7] = 0x400n;
  cpu["env.interrupt_injected"] = -1;
  cpu["env.xcr0"] = 1n;
  if (apic !== null) {
    Object.assign(apic, { apicbase: 0xfee00900, spurious_vec: 0xff, dest_mode: 0xf, timer_expiry: -1n });
    for (let i = 0; i < 6; i++) apic.lvt[i] = LVT_MASKED;
  }
  for (const { ioredtbl } of ioapics) for (let i = 0; i < 24; i++) ioredtbl[i] = BigInt(LVT_MASKED);
  for (const [i, channel] of pit.channels.entries())
    Object.assign(channel, { count: 65536, mode: 3, gate: i < 2 ? 1 : 0 });
}
