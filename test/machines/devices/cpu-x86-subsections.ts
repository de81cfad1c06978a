import { vmstate } from "../../../src/vmstate/describe.js";
import { array, i64, u16, u32, u64, u8 } from "../../../src/vmstate/fields.js";
import type { Configured, CpuFeature } from "./cpu-x86-model.js";
import { nestedState } from "./cpu-x86-nested.js";

/**
 * Optional state of an x86-64 CPU, QEMU 7.2: what is only saved when the guest uses it. Property names are QEMU's member
 * names as its descriptions spell them.
 */

const V1 = { version: 1, minimumVersion: 1 } as const;

const someSet = (list: ArrayLike<bigint>): boolean => Array.from(list).some((value) => value !== 0n);

/** One 64-bit register, saved unless it has its usual value. */
function register<const N extends string>(name: string, member: N, usual = 0n) {
  return vmstate(name, {
    ...V1,
    needed: (cpu: { readonly [K in N]: bigint }) => cpu[member] !== usual,
    fields: [u64(member)],
  });
}

/** The same with 32 bits. */
function register32<const N extends string>(name: string, member: N) {
  return vmstate(name, {
    ...V1,
    needed: (cpu: { readonly [K in N]: number }) => cpu[member] !== 0,
    fields: [u32(member)],
  });
}

const featured =
  (feature: CpuFeature) =>
  ({ model }: Configured): boolean =>
    model.features.has(feature);

export const HF_GUEST_MASK = 1 << 21;
const HF2_NPT_MASK = 1 << 6;

export const exceptionInfo = vmstate("cpu/exception_info", {
  ...V1,
  needed: (cpu: { "env.exception_pending": number; "env.hflags": number }) =>
    cpu["env.exception_pending"] !== 0 && (cpu["env.hflags"] & HF_GUEST_MASK) !== 0,
  fields: [
    u8("env.exception_pending"),
    u8("env.exception_injected"),
    u8("env.exception_has_payload"),
    u64("env.exception_payload"),
  ],
});

const paravirtual = [
  register("cpu/async_pf_msr", "env.async_pf_en_msr"),
  register("cpu/async_pf_int_msr", "env.async_pf_int_msr"),
  register("cpu/async_pv_eoi_msr", "env.pv_eoi_en_msr"),
  register("cpu/steal_time_msr", "env.steal_time_msr"),
  register("cpu/poll_control_msr", "env.poll_control_msr", 1n),
] as const;

const fpopIpDp = vmstate("cpu/fpop_ip_dp", {
  ...V1,
  needed: (cpu) => cpu["env.fpop"] !== 0 || cpu["env.fpip"] !== 0n || cpu["env.fpdp"] !== 0n,
  fields: [u16("env.fpop"), u64("env.fpip"), u64("env.fpdp")],
});

/** IA32_MISC_ENABLE as the CPU comes out of reset: fast strings on. */
const MISC_ENABLE_DEFAULT = 1n;

const modelSpecific = [
  register("cpu/msr_tsc_adjust", "env.tsc_adjust"),
  register("cpu/msr_tscdeadline", "env.tsc_deadline"),
  register("cpu/msr_ia32_misc_enable", "env.msr_ia32_misc_enable", MISC_ENABLE_DEFAULT),
  register("cpu/msr_ia32_feature_control", "env.msr_ia32_feature_control"),
] as const;

const architecturalPmu = vmstate("cpu/msr_architectural_pmu", {
  ...V1,
  needed: (cpu) =>
    someSet([
      cpu["env.msr_fixed_ctr_ctrl"],
      cpu["env.msr_global_ctrl"],
      cpu["env.msr_global_status"],
      cpu["env.msr_global_ovf_ctrl"],
    ]) ||
    someSet(cpu["env.msr_fixed_counters"]) ||
    someSet(cpu["env.msr_gp_counters"]) ||
    someSet(cpu["env.msr_gp_evtsel"]),
  fields: [
    u64("env.msr_fixed_ctr_ctrl"),
    u64("env.msr_global_ctrl"),
    u64("env.msr_global_status"),
    u64("env.msr_global_ovf_ctrl"),
    array("env.msr_fixed_counters", u64, 3),
    array("env.msr_gp_counters", u64, 18),
    array("env.msr_gp_evtsel", u64, 18),
  ],
});

const boundRegister = vmstate("bnd_regs", { ...V1, fields: [u64("lb"), u64("ub")] });

const mpx = vmstate("cpu/mpx", {
  ...V1,
  needed: (cpu) =>
    Array.from(cpu["env.bnd_regs"]).some(({ lb, ub }) => lb !== 0n || ub !== 0n) ||
    someSet([cpu["env.bndcs_regs.cfgu"], cpu["env.bndcs_regs.sts"], cpu["env.msr_bndcfgs"]]),
  fields: [
    array("env.bnd_regs", boundRegister, 4),
    u64("env.bndcs_regs.cfgu"),
    u64("env.bndcs_regs.sts"),
    u64("env.msr_bndcfgs"),
  ],
});

const hypercall = vmstate("cpu/msr_hyperv_hypercall", {
  ...V1,
  needed: (cpu) => cpu["env.msr_hv_hypercall"] !== 0n || cpu["env.msr_hv_guest_os_id"] !== 0n,
  fields: [u64("env.msr_hv_guest_os_id"), u64("env.msr_hv_hypercall")],
});

const hypervCrash = vmstate("cpu/msr_hyperv_crash", {
  ...V1,
  needed: (cpu) => someSet(cpu["env.msr_hv_crash_params"]),
  fields: [array("env.msr_hv_crash_params", u64, 5)],
});

const hypervRuntime = vmstate("cpu/msr_hyperv_runtime", {
  ...V1,
  needed: ({ model, ...cpu }: Configured & { "env.msr_hv_runtime": bigint }) =>
    model.features.has("hv-runtime") && cpu["env.msr_hv_runtime"] !== 0n,
  fields: [u64("env.msr_hv_runtime")],
});

const hypervSynic = vmstate("cpu/msr_hyperv_synic", {
  ...V1,
  needed: (cpu) =>
    someSet([cpu["env.msr_hv_synic_control"], cpu["env.msr_hv_synic_evt_page"], cpu["env.msr_hv_synic_msg_page"]]) ||
    someSet(cpu["env.msr_hv_synic_sint"]),
  fields: [
    u64("env.msr_hv_synic_control"),
    u64("env.msr_hv_synic_evt_page"),
    u64("env.msr_hv_synic_msg_page"),
    array("env.msr_hv_synic_sint", u64, 16),
  ],
});

const hypervTimers = vmstate("cpu/msr_hyperv_stimer", {
  ...V1,
  needed: (cpu) => someSet(cpu["env.msr_hv_stimer_config"]) || someSet(cpu["env.msr_hv_stimer_count"]),
  fields: [array("env.msr_hv_stimer_config", u64, 4), array("env.msr_hv_stimer_count", u64, 4)],
});

const HV_REENLIGHTENMENT_ENABLE_BIT = 1n << 16n;

const reenlightenment = vmstate("cpu/msr_hyperv_reenlightenment", {
  ...V1,
  needed: (cpu) =>
    someSet([
      cpu["env.msr_hv_reenlightenment_control"],
      cpu["env.msr_hv_tsc_emulation_control"],
      cpu["env.msr_hv_tsc_emulation_status"],
    ]),
  postLoad: (cpu: Configured & { "env.msr_hv_reenlightenment_control": bigint }) => {
    // Without a fixed frequency the guest would never hear that the TSC runs differently here.
    const enabled = (cpu["env.msr_hv_reenlightenment_control"] & HV_REENLIGHTENMENT_ENABLE_BIT) !== 0n;
    if (enabled && cpu.model.userTscKhz === 0n) throw new Error("re-enlightenment needs a fixed TSC frequency");
  },
  fields: [
    u64("env.msr_hv_reenlightenment_control"),
    u64("env.msr_hv_tsc_emulation_control"),
    u64("env.msr_hv_tsc_emulation_status"),
  ],
});

const hyperv = [
  hypercall,
  register("cpu/msr_hyperv_vapic", "env.msr_hv_vapic"),
  register("cpu/msr_hyperv_time", "env.msr_hv_tsc"),
  hypervCrash,
  hypervRuntime,
  hypervSynic,
  hypervTimers,
  reenlightenment,
] as const;

/** 64 bits of a vector register: quadword `n` of 8. */
const quad = <const N extends number>(n: N) => u64(`_q_ZMMReg[${n}]` as const);

/** Bits 256 to 511 of registers 0 to 15. */
const zmmHigh = vmstate("zmmh_reg", { ...V1, fields: [quad(4), quad(5), quad(6), quad(7)] });
/** All of registers 16 to 31. */
const zmm = vmstate("hi16_zmm_reg", {
  ...V1,
  fields: [quad(0), quad(1), quad(2), quad(3), quad(4), quad(5), quad(6), quad(7)],
});

const avx512 = vmstate("cpu/avx512", {
  ...V1,
  needed: (cpu) =>
    someSet(cpu["env.opmask_regs"]) ||
    Array.from(cpu["env.xmm_regs"]).some((register, i) =>
      Object.entries(register).some(([name, value]) => value !== 0n && (i >= 16 || name >= "_q_ZMMReg[4]")),
    ),
  fields: [
    array("env.opmask_regs", u64, 8),
    array("env.xmm_regs", zmmHigh, 16),
    array("env.xmm_regs", zmm, 16, { start: 16 }),
  ],
});

const tscKhz = vmstate("cpu/tsc_khz", {
  ...V1,
  needed: ({ model, ...cpu }: Configured & { "env.tsc_khz": bigint }) => cpu["env.tsc_khz"] !== 0n && model.saveTscKhz,
  fields: [i64("env.tsc_khz")],
});

const smiCount = vmstate("cpu/msr_smi_count", {
  ...V1,
  needed: ({ model, ...cpu }: Configured & { "env.msr_smi_count": bigint }) =>
    model.migrateSmiCount && cpu["env.msr_smi_count"] !== 0n,
  fields: [u64("env.msr_smi_count")],
});

const amdTscScale = vmstate("cpu/amd_tsc_scale_msr", {
  ...V1,
  needed: featured("svm-tsc-scale"),
  fields: [u64("env.amd_tsc_scale_msr")],
});

const mcgExtCtl = vmstate("cpu/mcg_ext_ctl", {
  ...V1,
  needed: ({ model, ...cpu }: Configured & { "env.mcg_ext_ctl": bigint }) =>
    model.enableLmce && cpu["env.mcg_ext_ctl"] !== 0n,
  fields: [u64("env.mcg_ext_ctl")],
});

const intelPt = vmstate("cpu/intel_pt", {
  ...V1,
  needed: (cpu) =>
    someSet([
      cpu["env.msr_rtit_ctrl"],
      cpu["env.msr_rtit_status"],
      cpu["env.msr_rtit_output_base"],
      cpu["env.msr_rtit_output_mask"],
      cpu["env.msr_rtit_cr3_match"],
    ]) || someSet(cpu["env.msr_rtit_addrs"]),
  fields: [
    u64("env.msr_rtit_ctrl"),
    u64("env.msr_rtit_status"),
    u64("env.msr_rtit_output_base"),
    u64("env.msr_rtit_output_mask"),
    u64("env.msr_rtit_cr3_match"),
    array("env.msr_rtit_addrs", u64, 8),
  ],
});

/** QEMU misspells the name, and so it stays. */
const svmNestedPaging = vmstate("cpu/svn_npt", {
  ...V1,
  needed: (cpu: { "env.hflags2": number }) => (cpu["env.hflags2"] & HF2_NPT_MASK) !== 0,
  fields: [u64("env.nested_cr3"), u32("env.nested_pg_mode")],
});

const svmGuest = vmstate("cpu/svm_guest", {
  ...V1,
  needed: ({ model, ...cpu }: Configured & { "env.int_ctl": number }) => model.tcg && cpu["env.int_ctl"] !== 0,
  fields: [u32("env.int_ctl")],
});

const tsxCtrl = vmstate("cpu/msr_tsx_ctrl", { ...V1, needed: featured("tsx-ctrl"), fields: [u32("env.tsx_ctrl")] });

const sgx = vmstate("cpu/intel_sgx", {
  ...V1,
  needed: featured("sgx-lc"),
  fields: [array("env.msr_ia32_sgxlepubkeyhash", u64, 4)],
});

const pdptrs = vmstate("cpu/pdptrs", {
  ...V1,
  needed: (cpu: { "env.pdptrs_valid": boolean }) => cpu["env.pdptrs_valid"],
  postLoad: (cpu) => {
    cpu["env.pdptrs_valid"] = true;
  },
  fields: [array("env.pdptrs", u64, 4)],
});

const xfd = vmstate("cpu/msr_xfd", {
  ...V1,
  needed: featured("xfd"),
  fields: [u64("env.msr_xfd"), u64("env.msr_xfd_err")],
});

const amxTile = vmstate("cpu/intel_amx_xtile", {
  ...V1,
  needed: featured("amx-tile"),
  fields: [array("env.xtilecfg", u8, 64), array("env.xtiledata", u8, 8192)],
});

const lbrRecord = vmstate("lbr_records_var", { ...V1, fields: [u64("from"), u64("to"), u64("info")] });

const archLbr = vmstate("cpu/arch_lbr", {
  ...V1,
  needed: featured("arch-lbr"),
  fields: [u64("env.msr_lbr_ctl"), u64("env.msr_lbr_depth"), array("env.lbr_records", lbrRecord, 32, { since: 1 })],
});

const tripleFault = vmstate("cpu/triple_fault", {
  ...V1,
  needed: (cpu) => cpu["env.triple_fault_pending"] !== 0,
  fields: [u8("env.triple_fault_pending")],
});

/** In the order in which they are saved. */
export const cpuSubsections = [
  exceptionInfo,
  ...paravirtual,
  fpopIpDp,
  ...modelSpecific,
  architecturalPmu,
  mpx,
  ...hyperv,
  avx512,
  register("cpu/xss", "env.xss"),
  register32("cpu/umwait", "env.umwait"),
  tscKhz,
  smiCount,
  register32("cpu/pkru", "env.pkru"),
  register32("cpu/pkrs", "env.pkrs"),
  register("cpu/spec_ctrl", "env.spec_ctrl"),
  amdTscScale,
  mcgExtCtl,
  intelPt,
  register("cpu/virt_ssbd", "env.virt_ssbd"),
  svmNestedPaging,
  svmGuest,
  nestedState,
  tsxCtrl,
  sgx,
  pdptrs,
  xfd,
  amxTile,
  archLbr,
  tripleFault,
] as const;
