import { beforeAll, describe, expect, it } from "vitest";
import { loadStateSync } from "../../src/savevm/run.js";
import { BANNER, HEADER_ADDRESS, STACK_TOP, WINDOW_ADDRESS, readHeader } from "../guest/model.js";
import { toHex } from "../kit/hex.js";
import { runStateOf } from "./devices/core.js";
import { createIsapc } from "./isapc.js";
import { recorded } from "./kit.js";
import { createMicrovm } from "./microvm.js";

/** What the test guest did to its machine (test/guest/rom.ts says what that is) must be found in the loaded devices. */

const MIB8 = 8 << 20;
const PI = { mantissa: 0xc90fdaa22168c235n, upper: 0x4000 };
const LOG2_E = { mantissa: 0xb8aa3b295c17f0bcn, upper: 0x3fff };
const MINUS_ONE = { mantissa: 0x8000000000000000n, upper: 0xbfff };
const R = { ESP: 4, EBP: 5 };
const S = { ES: 0, CS: 1, SS: 2, DS: 3 };

describe("microvm with four CPUs, loaded", () => {
  const machine = createMicrovm({ ramBytes: MIB8, acpi: false, serials: 1, cpus: 4 });
  beforeAll(() => void loadStateSync(machine.registry, recorded("microvm-smp4").bytes, { machine: "microvm" }));

  it("has the first CPU in the guest's 32-bit code", () => {
    const { cpu } = machine.processors[0];
    expect(cpu["env.cr[0]"] & 1n).toBe(1n);
    expect(cpu["env.eip"]).toBeGreaterThan(0xffff0000n);
    expect(cpu["env.segs"][S.CS]).toMatchObject({ selector: 8, base: 0n, limit: 0xffffffff });
    expect([S.DS, S.ES, S.SS].map((i) => cpu["env.segs"][i].selector)).toEqual([0x10, 0x10, 0x10]);
    expect(cpu["env.gdt"].limit).toBe(0x17);
    expect(cpu["env.idt"].limit).toBe(0x17f);
    expect(cpu["env.regs"][R.EBP]).toBe(BigInt(HEADER_ADDRESS));
    expect(cpu["env.regs"][R.ESP]).toBeLessThanOrEqual(BigInt(STACK_TOP));
    expect([cpu["env.cr[2]"], cpu["env.dr"][0]]).toEqual([BigInt(WINDOW_ADDRESS), BigInt(WINDOW_ADDRESS)]);
    expect(cpu["env.sysenter_esp"]).toBe(BigInt(STACK_TOP));
  });

  it("has three numbers on the FPU stack and SSE registers from the guest's tables", () => {
    const { cpu } = machine.processors[0];
    expect(cpu["env.fpstt"]).toBe(5);
    expect(cpu["env.fpuc"]).toBe(0x37f);
    expect(cpu["env.fptags"]).toEqual([true, true, true, true, true, false, false, false]);
    expect(Array.from({ length: 3 }, (_, i) => cpu["env.fpregs"][7 - i])).toEqual([PI, LOG2_E, MINUS_ONE]);
    // The list of port writes begins F9 03 00, FB 03 80, F8 03 01.
    expect(cpu["env.xmm_regs"][0]["_q_ZMMReg[0]"] & 0xffffffffffffffn).toBe(0xf88003fb0003f9n);
    expect(cpu["env.xmm_regs"][7]["_q_ZMMReg[0]"]).not.toBe(0n);
  });

  it("has three other CPUs asleep in real mode, each with its APIC", () => {
    for (const [i, { common, cpu, apic }] of machine.processors.entries()) {
      expect(apic).toMatchObject({ id: i, wait_for_sipi: 0 });
      expect(apic?.apicbase).toBe(i === 0 ? 0xfee00900 : 0xfee00800);
      if (i === 0) continue;
      expect(common.halted).toBe(1);
      expect(cpu["env.cr[0]"] & 1n).toBe(0n);
      expect(cpu["env.segs"][S.CS]).toMatchObject({ selector: 0xf000, base: 0xf0000n });
    }
    const header = readHeader(
      machine.blocks.find("microvm.ram")?.memory.view(HEADER_ADDRESS, 4096) ?? new Uint8Array(),
    );
    expect(header).toMatchObject({ startedCpus: 3, state: "running", errors: 0 });
  });

  it("has interrupt controllers, timer and serial port as the guest programmed them", () => {
    expect(machine.processors[0].apic).toMatchObject({ spurious_vec: 0x1ff });
    expect(machine.processors[0].apic?.lvt[3]).toBe(0x700);
    expect(machine.pics.map(({ irq_base, imr }) => [irq_base, imr])).toEqual([
      [0x20, 0xfe],
      [0x28, 0xff],
    ]);
    const { channels } = machine.pit;
    expect([channels[0].count, channels[0].mode]).toEqual([65536, 2]);
    expect([channels[2].count, channels[2].mode]).toEqual([0x533, 3]);
    const { state } = machine.serialPorts[0];
    expect(state).toMatchObject({ divider: 1, lcr: 3, mcr: 3, scr: 0x5a, ier: 0, tsr_retry: 0 });
    expect(state.thr).toBe(0);
    expect(runStateOf(machine.runState)).toBe("running");
  });
});

describe("isapc, loaded", () => {
  const machine = createIsapc({ ramBytes: MIB8, serials: 1 });
  beforeAll(() => void loadStateSync(machine.registry, recorded("isapc").bytes, { machine: "isapc" }));

  it("has DMA, clock and keyboard as firmware and guest left them", () => {
    expect(Array.from(machine.dma[0].regs[2].base)).toEqual([0x1234, 0x01ff]);
    expect(machine.dma[0].regs[2].mode).toBe(0x46);
    expect(machine.dma.map(({ dshift }) => dshift)).toEqual([0, 1]);
    const { cmos_index, cmos_data } = machine.realTimeClock;
    expect([cmos_index, cmos_data[0x0f]]).toEqual([0x0f, 0xa5]);
    // KiB above 1 MiB, low byte first.
    expect(toHex(cmos_data.subarray(0x17, 0x19))).toBe("001c");
    expect(machine.keyboardController.kbd).toMatchObject({ outport: 0xcf, outport_present: false, pending: 0 });
    expect(machine.keyboard).toMatchObject({ scancode_set: 2, parent_obj: { write_cmd: -1, queue: { count: 0 } } });
    expect(machine.floppy.state).toMatchObject({ msr: 0x80, phase: 1, cur_drv: 0, dor: 0x0c });
  });

  it("has the guest's banner in its ROM and the guest's counters in memory", () => {
    const bios = machine.blocks.find("pc.bios")?.memory.view(0, 64 << 10) ?? new Uint8Array();
    expect(new TextDecoder("latin1").decode(bios)).toContain(BANNER);
    const header = readHeader(machine.blocks.find("pc.ram")?.memory.view(HEADER_ADDRESS, 4096) ?? new Uint8Array());
    expect(header).toMatchObject({ startedCpus: 0, state: "running", errors: 0 });
    expect(header.ticks).toBeGreaterThan(0);
  });
});
