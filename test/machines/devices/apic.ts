import { vmstate } from "../../../src/vmstate/describe.js";
import { array, i32, i64, struct, u32, u64, u8, unused } from "../../../src/vmstate/fields.js";
import { blank } from "../blank.js";

/** Interrupt controllers of a PC: local and I/O APIC, the two 8259s, and the option that speeds up the task priority. */

const sipi = vmstate("apic_sipi", {
  version: 1,
  minimumVersion: 1,
  needed: (apic) => apic.wait_for_sipi !== 0,
  fields: [i32("sipi_vector"), i32("wait_for_sipi")],
});

export const apic = vmstate("apic", {
  version: 3,
  minimumVersion: 3,
  preLoad(apic) {
    // What an absent subsection stands for.
    apic.wait_for_sipi = 0;
  },
  fields: [
    u32("apicbase"),
    u8("id"),
    u8("arb_id"),
    u8("tpr"),
    u32("spurious_vec"),
    u8("log_dest"),
    u8("dest_mode"),
    array("isr", u32, 8),
    array("tmr", u32, 8),
    array("irr", u32, 8),
    array("lvt", u32, 6),
    u32("esr"),
    array("icr", u32, 2),
    u32("divide_conf"),
    i32("count_shift"),
    u32("initial_count"),
    i64("initial_count_load_time"),
    i64("next_time"),
    i64("timer_expiry"),
  ],
  subsections: [sipi],
});

export const createApic = () => blank(apic);

export const ioapic = vmstate("ioapic", {
  version: 3,
  minimumVersion: 1,
  postLoad(ioapic, version) {
    if (version === 1) ioapic.irr = 0;
  },
  fields: [u8("id"), u8("ioregsel"), unused(8, { since: 2 }), u32("irr", { since: 2 }), array("ioredtbl", u64, 24)],
});

export const createIoapic = () => blank(ioapic);

export const i8259 = vmstate("i8259", {
  version: 1,
  minimumVersion: 1,
  fields: [
    u8("last_irr"),
    u8("irr"),
    u8("imr"),
    u8("isr"),
    u8("priority_add"),
    u8("irq_base"),
    u8("read_reg_select"),
    u8("poll"),
    u8("special_mask"),
    u8("init_state"),
    u8("auto_eoi"),
    u8("rotate_on_auto_eoi"),
    u8("special_fully_nested_mode"),
    u8("init4"),
    u8("single_mode"),
    u8("elcr"),
  ],
});

export const createI8259 = () => blank(i8259);

const vapicHandlers = vmstate("kvmvapic-handlers", {
  version: 1,
  minimumVersion: 1,
  fields: [u32("set_tpr"), u32("set_tpr_eax"), array("get_tpr", u32, 8), u32("get_tpr_stack")],
});

const vapicGuestRom = vmstate("kvmvapic-guest-rom", {
  version: 1,
  minimumVersion: 1,
  fields: [
    unused(8),
    u32("vaddr"),
    u32("fixup_start"),
    u32("fixup_end"),
    u32("vapic_vaddr"),
    u32("vapic_size"),
    u32("vcpu_shift"),
    u32("real_tpr_addr"),
    struct("up", vapicHandlers),
    struct("mp", vapicHandlers),
  ],
});

export const kvmvapic = vmstate("kvm-tpr-opt", {
  version: 1,
  minimumVersion: 1,
  fields: [
    struct("rom_state", vapicGuestRom),
    u32("state"),
    u32("real_tpr_addr"),
    u32("rom_state_vaddr"),
    u32("vapic_paddr"),
    u32("rom_state_paddr"),
  ],
});

export const createKvmvapic = () => blank(kvmvapic);
