import { vmstate } from "../../../src/vmstate/describe.js";
import { array, struct, u16, u32, u64, u8 } from "../../../src/vmstate/fields.js";
import type { Configured } from "./cpu-x86-model.js";

/** What KVM keeps of a guest that runs guests of its own. */

const V1 = { version: 1, minimumVersion: 1 } as const;

/** Header of the kernel's blob of nested state; sizes count it. */
const NESTED_HEADER = 128;
const VMCS_SIZE = 4096;
const FORMAT_VMX = 0;
const FORMAT_SVM = 1;
const NO_VMXON = 0xffff_ffff_ffff_ffffn;

const vmcs12 = vmstate("cpu/kvm_nested_state/vmx/vmcs12", {
  ...V1,
  needed: ({ size }: { size: number }) => size > NESTED_HEADER,
  fields: [array("data.vmx[0].vmcs12", u8, VMCS_SIZE)],
});
const shadowVmcs12 = vmstate("cpu/kvm_nested_state/vmx/shadow_vmcs12", {
  ...V1,
  needed: ({ size }: { size: number }) => size > NESTED_HEADER + VMCS_SIZE,
  fields: [array("data.vmx[0].shadow_vmcs12", u8, VMCS_SIZE)],
});
const nestedVmx = vmstate("cpu/kvm_nested_state/vmx", {
  ...V1,
  needed: ({ format, ...nested }: { format: number; "hdr.vmx.vmxon_pa": bigint }) =>
    format === FORMAT_VMX && nested["hdr.vmx.vmxon_pa"] !== NO_VMXON,
  fields: [u64("hdr.vmx.vmxon_pa"), u64("hdr.vmx.vmcs12_pa"), u16("hdr.vmx.smm.flags")],
  subsections: [vmcs12, shadowVmcs12],
});
const nestedSvm = vmstate("cpu/kvm_nested_state/svm", {
  ...V1,
  needed: ({ format, size }: { format: number; size: number }) => format === FORMAT_SVM && size > NESTED_HEADER,
  fields: [u64("hdr.svm.vmcb_pa"), array("data.svm[0].vmcb12", u8, VMCS_SIZE)],
});
const kvmNestedState = vmstate("cpu/kvm_nested_state", {
  ...V1,
  fields: [u16("flags"), u16("format"), u32("size")],
  subsections: [nestedVmx, nestedSvm],
});

/** Only a machine run by KVM has such state, or can take it. */
export const nestedState = vmstate("cpu/nested_state", {
  ...V1,
  needed: ({ model, ...cpu }) => {
    const nested = cpu["env.nested_state"];
    if (model.tcg) return false;
    return nested.format === FORMAT_VMX
      ? nested["hdr.vmx.vmxon_pa"] !== NO_VMXON
      : nested.format === FORMAT_SVM && nested.size > NESTED_HEADER;
  },
  postLoad: ({
    model,
    ...cpu
  }: Configured & { "env.nested_state": { format: number; size: number; "hdr.vmx.vmxon_pa": bigint } }) => {
    const { format, size } = cpu["env.nested_state"];
    if (model.tcg) throw new Error("nested state needs KVM");
    if (size < NESTED_HEADER || size > NESTED_HEADER + 2 * VMCS_SIZE) throw new Error(`nested state of ${size} bytes`);
    if (format !== FORMAT_VMX && format !== FORMAT_SVM) throw new Error(`nested state of format ${format}`);
  },
  fields: [struct("env.nested_state", kvmNestedState)],
});
