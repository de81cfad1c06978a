import { describe, expect, it } from "vitest";
import type { AnyVMState } from "../../src/vmstate/types.js";
import { toHex } from "../kit/hex.js";
import { described, load, saved } from "../kit/vmstate.js";
import { apic, createApic } from "./devices/apic.js";
import { acpiGed, createAcpiGed, createFwCfg, createRtc, fwCfg, rtc } from "./devices/board.js";
import { clock, cpuCommon, createClock, createCpuCommon } from "./devices/core.js";
import type { CpuFeature } from "./devices/cpu-x86-model.js";
import { createX86Cpu, x86Cpu, type X86Cpu } from "./devices/cpu-x86.js";
import { createFloppy, createIsaIde, isaFloppy, isaIde } from "./devices/disks.js";
import { createPiix3, piix3 } from "./devices/pci.js";
import { createHpet, createPciIde, createPiix4Pm, hpet, pciIde, piix4Pm } from "./devices/piix.js";
import { createSerial, isaSerial } from "./devices/ports.js";
import { createI8042, createKeyboard, i8042, keyboard } from "./devices/ps2.js";

/** Every optional part of every device: absent in a device at rest, present when the state asks for it, and loaded. */

/** How to bring a device into the state that needs each subsection. */
interface Family<D extends object> {
  readonly state: AnyVMState;
  readonly create: () => D;
  readonly reasons: Readonly<Record<string, Reason<D>>>;
  /** What even a device at rest has. */
  readonly always?: readonly string[];
}

/** A change of state; where settings decide as well, with a device of those settings. */
type Reason<D> = ((device: D) => void) | { readonly create: () => D; readonly change: (device: D) => void };

function testFamily<D extends object>(name: string, { state, create, reasons, always = [] }: Family<D>): void {
  describe(`subsections of ${name}`, () => {
    it("are all tried here", () => {
      expect(Object.keys(reasons).concat(always).sort()).toEqual([...new Set(subsectionsOf(state))].sort());
    });

    it("are absent at rest, except what is always there", () => {
      expect(new Set(writtenBy(state, create()))).toEqual(new Set(always));
    });

    it.each(Object.keys(reasons))("%s is saved and loaded when the state needs it", (subsection) => {
      const reason = reasons[subsection];
      const make = typeof reason === "function" ? create : reason.create;
      const device = make();
      if (typeof reason === "function") reason(device);
      else reason.change(device);
      const bytes = saved(state, device);
      expect(writtenBy(state, device)).toContain(subsection);
      const other = make();
      expect(load(state, other, bytes)).toBe(0);
      expect(toHex(saved(state, other))).toBe(toHex(bytes));
    });
  });
}

function subsectionsOf(state: AnyVMState): string[] {
  const nested = state.fields.flatMap(({ wire }) => ("state" in wire ? subsectionsOf(wire.state) : []));
  const own = (state.subsections ?? []).flatMap((subsection) => [subsection.name, ...subsectionsOf(subsection)]);
  return [...nested, ...own];
}

/** Names of the subsections that a save of `device` writes, as the description tells. */
function writtenBy(state: AnyVMState, device: object): string[] {
  const names = Array.from(described(state, device).matchAll(/"vmsd_name": "([^"]+)"/g), ([, name]) => name);
  return names.filter((name) => subsectionsOf(state).includes(name));
}

/** A CPU with one more feature, in a state that shows it. */
const featured = (feature: CpuFeature, change: (cpu: X86Cpu) => unknown): Reason<X86Cpu> => ({
  create: () => createX86Cpu({ features: new Set([feature]) }),
  change,
});

/** A CPU run by KVM, with a guest in its guest. Formats: 0 is Intel's, 1 is AMD's; sizes count a header of 128 bytes. */
const nested = (format: number, size: number): Reason<X86Cpu> => ({
  create: () => createX86Cpu({ tcg: false }),
  change: (cpu) => Object.assign(cpu["env.nested_state"], { format, size, "hdr.vmx.vmxon_pa": 0x1000n }),
});

const HF_GUEST = 1 << 21;
const HF2_NPT = 1 << 6;

testFamily("cpu", {
  state: x86Cpu,
  create: createX86Cpu,
  reasons: {
    "cpu/exception_info"(cpu) {
      Object.assign(cpu, { "env.hflags": HF_GUEST, "env.exception_pending": 1, "env.exception_payload": 5n });
    },
    "cpu/async_pf_msr": (cpu) => void (cpu["env.async_pf_en_msr"] = 1n),
    "cpu/async_pf_int_msr": (cpu) => void (cpu["env.async_pf_int_msr"] = 1n),
    "cpu/async_pv_eoi_msr": (cpu) => void (cpu["env.pv_eoi_en_msr"] = 1n),
    "cpu/steal_time_msr": (cpu) => void (cpu["env.steal_time_msr"] = 1n),
    "cpu/poll_control_msr": (cpu) => void (cpu["env.poll_control_msr"] = 0n),
    "cpu/fpop_ip_dp": (cpu) => void (cpu["env.fpdp"] = 1n << 40n),
    "cpu/msr_tsc_adjust": (cpu) => void (cpu["env.tsc_adjust"] = 1n),
    "cpu/msr_tscdeadline": (cpu) => void (cpu["env.tsc_deadline"] = 1n),
    "cpu/msr_ia32_misc_enable": (cpu) => void (cpu["env.msr_ia32_misc_enable"] = 0n),
    "cpu/msr_ia32_feature_control": (cpu) => void (cpu["env.msr_ia32_feature_control"] = 5n),
    "cpu/msr_architectural_pmu": (cpu) => void (cpu["env.msr_gp_evtsel"][17] = 1n),
    "cpu/mpx": (cpu) => void (cpu["env.bnd_regs"][3].ub = 1n),
    "cpu/msr_hyperv_hypercall": (cpu) => void (cpu["env.msr_hv_guest_os_id"] = 1n),
    "cpu/msr_hyperv_vapic": (cpu) => void (cpu["env.msr_hv_vapic"] = 1n),
    "cpu/msr_hyperv_time": (cpu) => void (cpu["env.msr_hv_tsc"] = 1n),
    "cpu/msr_hyperv_crash": (cpu) => void (cpu["env.msr_hv_crash_params"][4] = 1n),
    "cpu/msr_hyperv_runtime": featured("hv-runtime", (cpu) => (cpu["env.msr_hv_runtime"] = 1n)),
    "cpu/msr_hyperv_synic": (cpu) => void (cpu["env.msr_hv_synic_sint"][15] = 1n),
    "cpu/msr_hyperv_stimer": (cpu) => void (cpu["env.msr_hv_stimer_count"][3] = 1n),
    "cpu/msr_hyperv_reenlightenment": (cpu) => void (cpu["env.msr_hv_tsc_emulation_control"] = 1n),
    "cpu/avx512": (cpu) => void (cpu["env.xmm_regs"][31]["_q_ZMMReg[0]"] = 1n),
    "cpu/xss": (cpu) => void (cpu["env.xss"] = 1n),
    "cpu/umwait": (cpu) => void (cpu["env.umwait"] = 1),
    "cpu/tsc_khz": (cpu) => void (cpu["env.tsc_khz"] = 2_000_000n),
    "cpu/msr_smi_count": (cpu) => void (cpu["env.msr_smi_count"] = 1n),
    "cpu/pkru": (cpu) => void (cpu["env.pkru"] = 1),
    "cpu/pkrs": (cpu) => void (cpu["env.pkrs"] = 1),
    "cpu/spec_ctrl": (cpu) => void (cpu["env.spec_ctrl"] = 1n),
    "cpu/amd_tsc_scale_msr": featured("svm-tsc-scale", (cpu) => (cpu["env.amd_tsc_scale_msr"] = 1n << 32n)),
    "cpu/mcg_ext_ctl": {
      create: () => createX86Cpu({ enableLmce: true }),
      change: (cpu) => void (cpu["env.mcg_ext_ctl"] = 1n),
    },
    "cpu/intel_pt": (cpu) => void (cpu["env.msr_rtit_addrs"][7] = 1n),
    "cpu/virt_ssbd": (cpu) => void (cpu["env.virt_ssbd"] = 1n),
    "cpu/svn_npt": (cpu) => void (cpu["env.hflags2"] = HF2_NPT),
    "cpu/svm_guest": (cpu) => void (cpu["env.int_ctl"] = 0x1f),
    "cpu/msr_tsx_ctrl": featured("tsx-ctrl", (cpu) => (cpu["env.tsx_ctrl"] = 2)),
    "cpu/intel_sgx": featured("sgx-lc", (cpu) => (cpu["env.msr_ia32_sgxlepubkeyhash"][3] = 1n)),
    "cpu/pdptrs"(cpu) {
      cpu["env.pdptrs_valid"] = true;
      cpu["env.pdptrs"][3] = 0x1001n;
    },
    "cpu/msr_xfd": featured("xfd", (cpu) => (cpu["env.msr_xfd_err"] = 1n)),
    "cpu/intel_amx_xtile": featured("amx-tile", (cpu) => (cpu["env.xtiledata"][8191] = 1)),
    "cpu/arch_lbr": featured("arch-lbr", (cpu) => (cpu["env.lbr_records"][31].info = 1n)),
    "cpu/triple_fault": (cpu) => void (cpu["env.triple_fault_pending"] = 1),
    "cpu/nested_state": nested(0, 128),
    "cpu/kvm_nested_state/vmx": nested(0, 128),
    "cpu/kvm_nested_state/vmx/vmcs12": nested(0, 128 + 4096),
    "cpu/kvm_nested_state/vmx/shadow_vmcs12": nested(0, 128 + 8192),
    "cpu/kvm_nested_state/svm": nested(1, 128 + 4096),
  },
});

testFamily("cpu_common", {
  state: cpuCommon,
  create: createCpuCommon,
  reasons: {
    "cpu_common/exception_index": (cpu) => void (cpu.exception_index = 14),
    "cpu_common/crash_occurred": (cpu) => void (cpu.crash_occurred = true),
  },
});

const counting = (change: (timers: ReturnType<typeof createClock>) => void) => ({
  create: () => createClock("adaptive"),
  change,
});

testFamily("timer", {
  state: clock,
  create: createClock,
  reasons: {
    "timer/icount": counting((timers) => void (timers.qemu_icount = 5n)),
    "timer/icount/warp_timer": counting((timers) => void (timers.icount_warp_timer = 7n)),
    "timer/icount/timers": counting((timers) => void (timers.icount_vm_timer = 9n)),
    "timer/icount/shift": counting((timers) => void (timers.icount_time_shift = -3)),
  },
});

testFamily("apic", {
  state: apic,
  create: createApic,
  reasons: { apic_sipi: (apic) => Object.assign(apic, { sipi_vector: 0x9f, wait_for_sipi: 1 }) },
});

testFamily("fw_cfg", {
  state: fwCfg,
  create: createFwCfg,
  always: ["fw_cfg/dma"],
  reasons: { "fw_cfg/acpi_mr": (device) => Object.assign(device, { table_mr_size: 0x20000n, rsdp_mr_size: 20n }) },
});

testFamily("mc146818rtc", {
  state: rtc,
  create: createRtc,
  reasons: { "mc146818rtc/irq_reinject_on_ack_count": (rtc) => void (rtc.irq_reinject_on_ack_count = 3) },
});

testFamily("acpi-ged", {
  state: acpiGed,
  create: () => createAcpiGed(2),
  always: ["acpi-ged/memhp"],
  reasons: { "acpi-ged/ghes": (ged) => void (ged.ghes_state.ghes_addr_le = 0x1000n) },
});

const BUSY = { lsr: 0, tsr_retry: 2, thr: 0x41, tsr: 0x42 };

testFamily("serial", {
  state: isaSerial,
  create: createSerial,
  reasons: {
    "serial/thr_ipending": ({ state }) => Object.assign(state, { ier: 2, iir: 1, thr_ipending: 1 }),
    "serial/tsr": ({ state }) => Object.assign(state, BUSY),
    "serial/recv_fifo": ({ state }) => Object.assign(state.recv_fifo, { head: 15, num: 2 }),
    "serial/xmit_fifo": ({ state }) => Object.assign(state.xmit_fifo, { head: 3, num: 16 }),
    "serial/fifo_timeout_timer": ({ state }) => void (state.fifo_timeout_timer = 1_000_000n),
    "serial/timeout_ipending": ({ state }) => void (state.timeout_ipending = 1),
    "serial/poll": ({ state }) => Object.assign(state, { poll_msl: 1, modem_status_poll: 5n }),
  },
});

testFamily("ps2kbd", {
  state: keyboard,
  create: createKeyboard,
  reasons: {
    "ps2kbd/ledstate": (keyboard) => void (keyboard.ledstate = 7),
    "ps2kbd/need_high_bit": (keyboard) => void (keyboard.need_high_bit = true),
    "ps2kbd/command_reply_queue": ({ parent_obj: { queue } }) =>
      Object.assign(queue, { rptr: 4, count: 3, wptr: 7, cwptr: 6 }),
  },
});

testFamily("pckbd", {
  state: i8042,
  create: createI8042,
  always: ["pckbd/extended_state"],
  reasons: { pckbd_outport: ({ kbd }) => void (kbd.outport = 0xcd) },
});

testFamily("fdc", {
  state: isaFloppy,
  create: createFloppy,
  always: ["fdrive/media_rate"],
  reasons: {
    "fdrive/media_changed": {
      create() {
        const fdc = createFloppy();
        Object.assign(fdc.state.drives[1], { present: true, media_changed: 1 });
        return fdc;
      },
      change: (fdc) => void (fdc.state.drives[1].media_changed = 0),
    },
    "fdrive/perpendicular": (fdc) => void (fdc.state.drives[0].perpendicular = 1),
    "fdc/reset_sensei": (fdc) => void (fdc.state.reset_sensei = 4),
    "fdc/result_timer": (fdc) => void (fdc.state.result_timer = 20n),
    "fdc/phase": (fdc) => void (fdc.state.phase = 2),
  },
});

testFamily("isa-ide", {
  state: isaIde,
  create: createIsaIde,
  reasons: {
    "ide_bus/error": ({ bus }) => Object.assign(bus.state, { error_status: 1, retry_sector_num: -1n, retry_unit: 1 }),
    "ide_drive/pio_state": ({ bus }) =>
      Object.assign(bus.drives[1], { status: 0x58, cur_io_buffer_len: 512, end_transfer_fn_idx: 1 }),
    "ide_drive/tray_state": ({ bus }) => void (bus.drives[0].tray_locked = true),
    "ide_drive/atapi/gesn_state": ({ bus }) => void (bus.drives[1]["events.eject_request"] = true),
  },
});

testFamily("PIIX3", {
  state: piix3,
  create: createPiix3,
  reasons: { "PIIX3/rcr": (piix) => void (piix.rcr = 2) },
});

testFamily("hpet", {
  state: hpet,
  create: createHpet,
  reasons: {
    "hpet/rtc_irq_level": (hpet) => void (hpet.rtc_irq_level = 1),
    "hpet/offset": (hpet) => Object.assign(hpet, { config: 1n, hpet_offset: 77n }),
  },
});

testFamily("ide", {
  state: pciIde,
  create: createPciIde,
  reasons: {
    "ide bmdma_current": (ide) => Object.assign(ide.bmdma[1], { cur_addr: 0x1000, cur_prd_len: 512 }),
    "ide bmdma/status": (ide) => void (ide.bmdma[0].status = 0x20),
    // The bus, the sector and the unit are in the old place as well.
    "ide_bus/error": ({ buses }) => Object.assign(buses[1].state, { error_status: 8, retry_nsector: 3, retry_unit: 1 }),
    "ide_drive/pio_state": ({ buses }) => void (buses[1].drives[0].status = 0x58),
    "ide_drive/tray_state": ({ buses }) => void (buses[0].drives[1].tray_open = true),
    "ide_drive/atapi/gesn_state": ({ buses }) => void (buses[0].drives[0]["events.new_media"] = true),
  },
});

testFamily("piix4_pm", {
  state: piix4Pm,
  create: createPiix4Pm,
  always: ["piix4_pm/memhp"],
  reasons: { "piix4_pm/cpuhp": (pm) => void (pm.cpu_hotplug_legacy = false) },
});
