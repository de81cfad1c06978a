import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import type { AnyVMState } from "../../src/vmstate/types.js";
import { toHex } from "../kit/hex.js";
import { load, saved } from "../kit/vmstate.js";
import { apic, createApic } from "./devices/apic.js";
import { createVmmouse, vmmouse } from "./devices/board.js";
import { cpuCommon, createCpuCommon, createGlobalState, globalState, runStateOf } from "./devices/core.js";
import { createX86Cpu, x86Cpu, type X86Cpu } from "./devices/cpu-x86.js";
import { createFloppy, createIsaIde, isaFloppy, isaIde } from "./devices/disks.js";
import { createI440fx, i440fx } from "./devices/pci.js";
import { createHpet, createPciIde, hpet, pciIde } from "./devices/piix.js";
import { createSerial, isaSerial } from "./devices/ports.js";
import { createI8042, createKeyboard, i8042, keyboard } from "./devices/ps2.js";
import { caught } from "./kit.js";

/** What devices do on their way to and from the stream: rebuild, tidy up, refuse. */

/** `source` saved and loaded into `target`. */
function moved<D extends object>(state: AnyVMState, source: object, target: D): D {
  expect(load(state, target, saved(state, source))).toBe(0);
  return target;
}

describe("after a load", () => {
  it("a CPU is not asked to leave its loop", () => {
    const source = createCpuCommon();
    source.interrupt_request = 0x80000003;
    source.exception_index = -1;
    const target = createCpuCommon();
    target.exception_index = 6;
    expect(moved(cpuCommon, source, target)).toMatchObject({ interrupt_request: 0x80000002, exception_index: -1 });
  });

  it("a local APIC does not wait for a start-up message unless the stream says so", () => {
    const target = createApic();
    target.wait_for_sipi = 1;
    expect(moved(apic, createApic(), target).wait_for_sipi).toBe(0);
  });

  it("an x86 CPU has its privilege level from the stack segment", () => {
    const source = createX86Cpu();
    source["env.cr[0]"] = 1n;
    source["env.segs"][2].flags = 3 << 13;
    source["env.hflags"] = 0x10;
    expect(moved(x86Cpu, source, createX86Cpu())["env.hflags"]).toBe(0x13);
  });

  it("an x86 CPU in real mode has no privilege level", () => {
    const source = createX86Cpu();
    source["env.segs"][1].flags = (3 << 13) | 1;
    source["env.segs"][5].flags = (1 << 13) | 2;
    const { "env.segs": segments } = moved(x86Cpu, source, createX86Cpu());
    expect([segments[1].flags, segments[5].flags]).toEqual([1, 2]);
  });

  it("an x86 CPU has the FPU's stack top and tags apart from its status", () => {
    const source = createX86Cpu();
    const tags = [true, false, true, false, true, true, true, false];
    Object.assign(source, { "env.fpus": 0x4041, "env.fpstt": 3, "env.fptags": tags });
    expect(moved(x86Cpu, source, createX86Cpu())).toMatchObject({
      "env.fpus": 0x4041,
      "env.fpstt": 3,
      "env.fptags": tags,
      "env.fpus_vmstate": 0x5841,
    });
  });

  it("an exception of an x86 CPU that was neither pending nor injected is injected", () => {
    const source = createX86Cpu();
    source["env.exception_nr"] = 13;
    expect(moved(x86Cpu, source, createX86Cpu())["env.exception_injected"]).toBe(1);
  });

  it("a serial port without a mark of its interrupt has the one its registers show", () => {
    const source = createSerial();
    Object.assign(source.state, { iir: 2, fcr: 0x81 });
    const { state } = moved(isaSerial, source, createSerial());
    expect(state).toMatchObject({ thr_ipending: 1, poll_msl: -1, fcr: 0x81 });
  });

  it("a keyboard's queue is in range", () => {
    const source = createKeyboard();
    Object.assign(source.parent_obj.queue, { rptr: 300, wptr: -7, count: 99 });
    const { queue } = moved(keyboard, source, createKeyboard()).parent_obj;
    expect(queue).toMatchObject({ rptr: 44, wptr: 60, count: 16, cwptr: -1 });
  });

  it("a keyboard controller from an old machine type has the interrupts that its status shows", () => {
    const source = createI8042(false);
    Object.assign(source.kbd, { status: 0x21, pending: 0x30 });
    const { kbd } = moved(i8042, source, createI8042());
    expect(kbd).toMatchObject({ pending_tmp: 3, pending: 0x30, obsrc: 2, extended_state_loaded: false });
  });

  it("a floppy controller without a phase has the one its status shows", () => {
    const source = createFloppy();
    Object.assign(source.state, { msr: 0xc0, phase: 3, dor: 0x0c, cur_drv: 1 });
    const target = createFloppy();
    expect(moved(isaFloppy, source, target).state).toMatchObject({
      phase: 3,
      dor: 0x0c,
      cur_drv: 1,
      dor_vmstate: 0x0d,
    });
  });

  it("an IDE bus has the errors that old streams kept in the bus master's status", () => {
    const source = createPciIde();
    source.buses[0].state.error_status = 0x28;
    Object.assign(source.buses[0].state, { retry_unit: 1, retry_nsector: 7, retry_sector_num: 1n << 33n });
    source.bmdma[0].status = 1;
    const target = createPciIde();
    moved(pciIde, source, target);
    expect(target.bmdma[0]).toMatchObject({ status: 1, migration_compat_status: 0x29 });
    expect(target.buses[0].state).toMatchObject({ error_status: 0x28, retry_unit: 1, retry_nsector: 7 });
  });
});

describe("before a save", () => {
  it("an IDE transfer counts as under way while it waits to be tried again", () => {
    const source = createIsaIde();
    Object.assign(source.bus.drives[1], { packet_transfer_size: 12 });
    source.bus.state.error_status = 0x10;
    expect(moved(isaIde, source, createIsaIde()).bus.drives[1].packet_transfer_size).toBe(12);
    source.bus.state.error_status = 0x08;
    expect(moved(isaIde, source, createIsaIde()).bus.drives[1].packet_transfer_size).toBe(0);
  });

  it("a pending exception of an x86 CPU is injected, and its payload in place", () => {
    const page: Partial<X86Cpu> = { "env.exception_nr": 14, "env.exception_pending": 1 };
    const cpu = createX86Cpu();
    Object.assign(cpu, page, { "env.exception_has_payload": 1, "env.exception_payload": 0xdead000n });
    expect(moved(x86Cpu, cpu, createX86Cpu())).toMatchObject({ "env.cr[2]": 0xdead000n, "env.exception_injected": 1 });
    expect(cpu["env.exception_pending"]).toBe(0);
  });

  it("the length of the run state's name is counted with its end", () => {
    const state = createGlobalState();
    state.runstate.fill(0).set(new TextEncoder().encode("paused"));
    expect(toHex(saved(globalState, state)).slice(0, 20)).toBe("00000007706175736564");
    expect(runStateOf(moved(globalState, state, createGlobalState()))).toBe("paused");
  });
});

/** What must not be loaded, as a change of a device that is then saved; and what the error says. */
interface Refusal<D extends object = never> {
  readonly what: string;
  readonly state: AnyVMState;
  readonly create: () => D;
  readonly spoil: (device: D) => unknown;
  readonly code: "FIELD_INVALID" | "HOOK_FAILED" | "FIELD_REQUIRED";
  readonly field: string | null;
}
const refusal = <D extends object>(refusal: Refusal<D>): Refusal => refusal as unknown as Refusal;

const refusals = [
  refusal({
    what: "a run state that does not exist",
    state: globalState,
    create: createGlobalState,
    spoil: (state) => state.runstate.set([0x58]),
    code: "HOOK_FAILED",
    field: null,
  }),
  refusal({
    what: "an empty transmitter that is still sending",
    state: isaSerial,
    create: createSerial,
    spoil: ({ state }) => (state.tsr_retry = 1),
    code: "HOOK_FAILED",
    field: "state",
  }),
  refusal({
    what: "another frequency than the one asked for",
    state: x86Cpu,
    create: () => createX86Cpu({ userTscKhz: 1000n }),
    spoil: (cpu) => (cpu["env.tsc_khz"] = 2000n),
    code: "HOOK_FAILED",
    field: null,
  }),
  refusal({
    what: "re-enlightenment without a fixed frequency",
    state: x86Cpu,
    create: createX86Cpu,
    spoil: (cpu) => (cpu["env.msr_hv_reenlightenment_control"] = 1n << 16n),
    code: "HOOK_FAILED",
    field: null,
  }),
  refusal({
    what: "an IDE transfer past its buffer",
    state: isaIde,
    create: createIsaIde,
    spoil: ({ bus: { drives } }) => Object.assign(drives[1], { status: 0x58, cur_io_buffer_len: 131077 }),
    code: "HOOK_FAILED",
    field: "bus.ifs[1]",
  }),
  refusal({
    what: "an IDE transfer that nothing could follow",
    state: isaIde,
    create: createIsaIde,
    spoil: ({ bus: { drives } }) => Object.assign(drives[0], { status: 0x58, end_transfer_fn_idx: 6 }),
    code: "HOOK_FAILED",
    field: "bus.ifs[0]",
  }),
  refusal({
    what: "another PCI device",
    state: i440fx,
    create: createI440fx,
    spoil: ({ parent_obj: { config } }) => (config[2] ^= 1),
    code: "FIELD_INVALID",
    field: "parent_obj.config",
  }),
  refusal({
    what: "a PCI device that has capabilities",
    state: i440fx,
    create: createI440fx,
    spoil: ({ parent_obj: { config } }) => (config[6] |= 0x10),
    code: "FIELD_INVALID",
    field: "parent_obj.config",
  }),
  refusal({
    what: "a PCI device that is newer",
    state: i440fx,
    create: createI440fx,
    spoil: ({ parent_obj }) => (parent_obj.version_id = 3),
    code: "FIELD_INVALID",
    field: "parent_obj.version_id",
  }),
  refusal({
    what: "an interrupt pin that is neither high nor low",
    state: i440fx,
    create: createI440fx,
    spoil: ({ parent_obj }) => (parent_obj.irq_state = [0, 2, 0, 0]),
    code: "FIELD_INVALID",
    field: "parent_obj.irq_state",
  }),
  refusal({
    what: "a mouse with a queue of another size",
    state: vmmouse,
    create: createVmmouse,
    spoil: (mouse) => (mouse.queue_size = 512),
    code: "FIELD_INVALID",
    field: "queue_size",
  }),
];

describe("a load refuses", () => {
  it.each(refusals)("$what", ({ state, create, spoil, code, field }) => {
    const source = create();
    spoil(source);
    const target = create();
    const before = toHex(saved(state, target));
    const error = caught(() => void load(state, target, saved(state, source)));
    expect(isMigrationError(error, code) && (error.field ?? null)).toBe(field);
    expect(toHex(saved(state, target))).toBe(before);
  });

  it("fewer event timers than there must be", () => {
    const bytes = saved(hpet, createHpet());
    // The number of timers, behind three registers of eight bytes.
    bytes[24] = 2;
    expect(
      isMigrationError(
        caught(() => void load(hpet, createHpet(), bytes)),
        "FIELD_REQUIRED",
      ),
    ).toBe(true);
  });

  it("FPU registers in the format of a host", () => {
    const bytes = saved(x86Cpu, createX86Cpu());
    // Behind 18 registers of eight bytes, the flags, and three words of the FPU.
    bytes[18 * 8 + 4 + 3 * 2 + 1] = 1;
    expect(
      isMigrationError(
        caught(() => void load(x86Cpu, createX86Cpu(), bytes)),
        "HOOK_FAILED",
      ),
    ).toBe(true);
  });
});
