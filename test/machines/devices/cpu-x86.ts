import { vmstate } from "../../../src/vmstate/describe.js";
import { array, i32, struct, temporary, u16, u32, u64, u8 } from "../../../src/vmstate/fields.js";
import type { DeviceOfFields, DeviceOfStates } from "../../../src/vmstate/types.js";
import { blank } from "../blank.js";
import type { CpuModel } from "./cpu-x86-model.js";
import { HF_GUEST_MASK, cpuSubsections } from "./cpu-x86-subsections.js";

/** The x86-64 CPU of QEMU 7.2. Property names are QEMU's member names as its description spells them. */

const V1 = { version: 1, minimumVersion: 1 } as const;

const segment = vmstate("segment", { ...V1, fields: [u32("selector"), u64("base"), u32("limit"), u32("flags")] });
const xmm = vmstate("xmm_reg", { ...V1, fields: [u64("_q_ZMMReg[0]"), u64("_q_ZMMReg[1]")] });
/** Bits 128 to 255. */
const ymmHigh = vmstate("ymmh_reg", { ...V1, fields: [u64("_q_ZMMReg[2]"), u64("_q_ZMMReg[3]")] });
const mtrr = vmstate("mtrr_var", { ...V1, fields: [u64("base"), u64("mask")] });

/** An 80-bit register of the FPU; of an MMX register only the mantissa means something. */
export interface FpuRegister {
  mantissa: bigint;
  /** Sign and exponent. */
  upper: number;
}

const fpuRegisterOnWire = vmstate("fpreg_tmp", {
  version: 0,
  preSave(wire: { parent: FpuRegister; tmp_mant: bigint; tmp_exp: number }) {
    wire.tmp_mant = wire.parent.mantissa;
    wire.tmp_exp = wire.parent.upper;
  },
  postLoad(wire: { parent: FpuRegister; tmp_mant: bigint; tmp_exp: number }) {
    wire.parent.mantissa = wire.tmp_mant;
    wire.parent.upper = wire.tmp_exp;
  },
  fields: [u64("tmp_mant"), u16("tmp_exp")],
});

const fpuRegister = vmstate("fpreg", {
  version: 0,
  fields: [temporary("tmp", fpuRegisterOnWire, (parent: FpuRegister) => ({ parent, tmp_mant: 0n, tmp_exp: 0 }))],
});

const DESC_DPL_SHIFT = 13;
const HF_CPL_MASK = 3;
const V_TPR_MASK = 0x0f;
const CR0_PE = 1n;
const CS = 1;
const SS = 2;
const FPUS_TOP = 0x3800;
const EXCP_DB = 1;
const EXCP_PAGE = 14;

interface Segments {
  readonly "env.cr[0]": bigint;
  readonly "env.segs": { readonly length: number; readonly [index: number]: { flags: number } };
}

/** In real mode no segment has a privilege level; old KVM said otherwise. */
function clearRealModePrivilege(cpu: Segments): void {
  const segments = cpu["env.segs"];
  if ((cpu["env.cr[0]"] & CR0_PE) !== 0n || ((segments[CS].flags >>> DESC_DPL_SHIFT) & 3) === 0) return;
  for (let i = 0; i < segments.length; i++) segments[i].flags &= ~(3 << DESC_DPL_SHIFT);
}

const fields = [
  array("env.regs", u64, 16),
  u64("env.eip"),
  u64("env.eflags"),
  u32("env.hflags"),
  u16("env.fpuc"),
  u16("env.fpus_vmstate"),
  u16("env.fptag_vmstate"),
  u16("env.fpregs_format_vmstate"),
  array("env.fpregs", fpuRegister, 8),
  array("env.segs", segment, 6),
  struct("env.ldt", segment),
  struct("env.tr", segment),
  struct("env.gdt", segment),
  struct("env.idt", segment),
  u32("env.sysenter_cs"),
  u64("env.sysenter_esp"),
  u64("env.sysenter_eip"),
  u64("env.cr[0]"),
  u64("env.cr[2]"),
  u64("env.cr[3]"),
  u64("env.cr[4]"),
  array("env.dr", u64, 8),
  i32("env.a20_mask"),
  u32("env.mxcsr"),
  array("env.xmm_regs", xmm, 16),
  u64("env.efer"),
  u64("env.star"),
  u64("env.lstar"),
  u64("env.cstar"),
  u64("env.fmask"),
  u64("env.kernelgsbase"),
  u32("env.smbase"),
  u64("env.pat"),
  u32("env.hflags2"),
  u64("env.vm_hsave"),
  u64("env.vm_vmcb"),
  u64("env.tsc_offset"),
  u64("env.intercept"),
  u16("env.intercept_cr_read"),
  u16("env.intercept_cr_write"),
  u16("env.intercept_dr_read"),
  u16("env.intercept_dr_write"),
  u32("env.intercept_exceptions"),
  u8("env.v_tpr"),
  array("env.mtrr_fixed", u64, 11),
  u64("env.mtrr_deftype"),
  array("env.mtrr_var", mtrr, 8, { since: 8 }),
  i32("env.interrupt_injected"),
  u32("env.mp_state"),
  u64("env.tsc"),
  i32("env.exception_nr"),
  u8("env.soft_interrupt"),
  u8("env.nmi_injected"),
  u8("env.nmi_pending"),
  u8("env.has_error_code"),
  u32("env.sipi_vector"),
  u64("env.mcg_cap"),
  u64("env.mcg_status"),
  u64("env.mcg_ctl"),
  array("env.mce_banks", u64, 40),
  u64("env.tsc_aux"),
  u64("env.system_time_msr"),
  u64("env.wall_clock_msr"),
  u64("env.xcr0", { since: 12 }),
  u64("env.xstate_bv", { since: 12 }),
  array("env.xmm_regs", ymmHigh, 16, { since: 12 }),
] as const;

/** What the CPU keeps apart from what is saved: the FPU's status, its stack top, and which registers are empty. */
interface Working {
  readonly model: CpuModel;
  "env.fpus": number;
  "env.fpstt": number;
  "env.fptags": readonly boolean[];
}

export type X86Cpu = DeviceOfFields<typeof fields> & DeviceOfStates<typeof cpuSubsections> & Working;

export const x86Cpu = vmstate("cpu", {
  version: 12,
  minimumVersion: 11,
  preSave(cpu: X86Cpu) {
    cpu["env.v_tpr"] = cpu["env.int_ctl"] & V_TPR_MASK;
    cpu["env.fpus_vmstate"] = (cpu["env.fpus"] & ~FPUS_TOP) | ((cpu["env.fpstt"] & 7) << 11);
    cpu["env.fptag_vmstate"] = cpu["env.fptags"].reduce((tags, empty, i) => tags | (empty ? 0 : 1 << i), 0);
    cpu["env.fpregs_format_vmstate"] = 0;
    clearRealModePrivilege(cpu);
    // Only a guest in a guest must tell a pending exception from an injected one.
    if (cpu["env.exception_pending"] === 0 || (cpu["env.hflags"] & HF_GUEST_MASK) !== 0) return;
    cpu["env.exception_pending"] = 0;
    cpu["env.exception_injected"] = 1;
    if (cpu["env.exception_has_payload"] === 0) return;
    if (cpu["env.exception_nr"] === EXCP_DB) cpu["env.dr"][6] = cpu["env.exception_payload"];
    else if (cpu["env.exception_nr"] === EXCP_PAGE) cpu["env.cr[2]"] = cpu["env.exception_payload"];
  },
  postLoad(cpu: X86Cpu) {
    const { userTscKhz } = cpu.model;
    const tscKhz = cpu["env.tsc_khz"];
    if (tscKhz !== 0n && userTscKhz !== 0n && tscKhz !== userTscKhz) {
      throw new Error(`the TSC runs at ${tscKhz} kHz in the stream, ${userTscKhz} kHz are asked for`);
    }
    if (cpu["env.fpregs_format_vmstate"] !== 0) throw new Error("FPU registers in the format of the host");
    clearRealModePrivilege(cpu);
    const privilege = (cpu["env.segs"][SS].flags >>> DESC_DPL_SHIFT) & HF_CPL_MASK;
    cpu["env.hflags"] = (cpu["env.hflags"] & ~HF_CPL_MASK) | privilege;
    const settled = cpu["env.exception_pending"] !== 0 || cpu["env.exception_injected"] !== 0;
    if (cpu["env.exception_nr"] !== -1 && !settled) cpu["env.exception_injected"] = 1;
    cpu["env.fpstt"] = (cpu["env.fpus_vmstate"] >> 11) & 7;
    cpu["env.fpus"] = cpu["env.fpus_vmstate"] & ~FPUS_TOP;
    const tags = cpu["env.fptag_vmstate"];
    cpu["env.fptags"] = Array.from({ length: 8 }, (_, i) => ((tags >> i) & 1) === 0);
  },
  fields,
  subsections: cpuSubsections,
});

const PLAIN_TCG: CpuModel = {
  features: new Set(),
  tcg: true,
  migrateSmiCount: true,
  enableLmce: false,
  saveTscKhz: true,
  userTscKhz: 0n,
};

/** A CPU with zeros in it. What differs from QEMU's defaults (a 64-bit CPU run by TCG) is in `model`. */
export function createX86Cpu(model: Partial<CpuModel> = {}): X86Cpu {
  return blank(x86Cpu, {
    model: { ...PLAIN_TCG, ...model },
    "env.fpregs": Array.from({ length: 8 }, () => ({ mantissa: 0n, upper: 0 })),
    "env.fpus": 0,
    "env.fpstt": 0,
    "env.fptags": new Array<boolean>(8).fill(true),
    "env.pdptrs_valid": false,
    "env.exception_nr": -1,
    "env.poll_control_msr": 1n,
    "env.msr_ia32_misc_enable": 1n,
  });
}
