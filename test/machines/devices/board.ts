import { StateError } from "../../../src/errors.js";
import { vmstate } from "../../../src/vmstate/describe.js";
import {
  array,
  bool,
  buffer,
  i32,
  i32Equal,
  i64,
  scalarField,
  struct,
  timer,
  u16,
  u32,
  u64,
  u8,
  unused,
  varray,
} from "../../../src/vmstate/fields.js";
import type { DeviceOf } from "../../../src/vmstate/types.js";
import { blank } from "../blank.js";

/** Small chips of a PC board: interval timer, clock, DMA, firmware configuration, speaker, port 0x92, mouse backdoor. */

const V1 = { version: 1, minimumVersion: 1 } as const;

const pitChannel = vmstate("pit channel", {
  version: 2,
  minimumVersion: 2,
  fields: [
    i32("count"),
    u16("latched_count"),
    u8("count_latched"),
    u8("status_latched"),
    u8("status"),
    u8("read_state"),
    u8("write_state"),
    u8("write_latch"),
    u8("rw_mode"),
    u8("mode"),
    u8("bcd"),
    u8("gate"),
    i64("count_load_time"),
    i64("next_transition_time"),
  ],
});

/** What only the first channel has is described apart from the three. */
interface FirstChannel {
  readonly channels: readonly { irq_disabled: number; next_transition_time: bigint }[];
}

export const i8254 = vmstate("i8254", {
  version: 3,
  minimumVersion: 2,
  fields: [
    u32("channels[0].irq_disabled", {
      since: 3,
      get: (pit: FirstChannel) => pit.channels[0].irq_disabled,
      set: (pit: FirstChannel, value: number) => void (pit.channels[0].irq_disabled = value),
    }),
    array("channels", pitChannel, 3, { since: 2 }),
    i64("channels[0].next_transition_time", {
      get: (pit: FirstChannel) => pit.channels[0].next_transition_time,
      set: (pit: FirstChannel, value: bigint) => void (pit.channels[0].next_transition_time = value),
    }),
  ],
});

export const createI8254 = () =>
  blank(i8254, { channels: Array.from({ length: 3 }, () => ({ ...blank(pitChannel), irq_disabled: 0 })) });

const reinject = vmstate("mc146818rtc/irq_reinject_on_ack_count", {
  ...V1,
  needed: (rtc) => rtc.irq_reinject_on_ack_count !== 0,
  fields: [u16("irq_reinject_on_ack_count")],
});

export const rtc = vmstate("mc146818rtc", {
  version: 3,
  minimumVersion: 1,
  fields: [
    buffer("cmos_data", 128),
    u8("cmos_index"),
    unused(7 * 4),
    timer("periodic_timer"),
    i64("next_periodic_time"),
    unused(3 * 8),
    u32("irq_coalesced", { since: 2 }),
    u32("period", { since: 2 }),
    u64("base_rtc", { since: 3 }),
    u64("last_update", { since: 3 }),
    i64("offset", { since: 3 }),
    timer("update_timer", { since: 3 }),
    u64("next_alarm_time", { since: 3 }),
  ],
  subsections: [reinject],
});

export const createRtc = () => blank(rtc, { periodic_timer: null, update_timer: null });

const dmaRegisters = vmstate("dma_regs", {
  ...V1,
  fields: [array("now", i32, 2), array("base", u16, 2), u8("mode"), u8("page"), u8("pageh"), u8("dack"), u8("eop")],
});

export const i8257 = vmstate("dma", {
  ...V1,
  fields: [u8("command"), u8("mask"), u8("flip_flop"), i32("dshift"), array("regs", dmaRegisters, 4, { since: 1 })],
});

/** `width` is log2 of the bytes it moves at once. */
export const createI8257 = (width: 0 | 1) => blank(i8257, { dshift: width });

/** Version 1 had the offset in 16 bits. Nobody writes that any more, and neither do we. */
const u32AsU16 = scalarField<number>({
  type: "int32_as_uint16",
  size: 2,
  put() {
    throw new StateError("FIELD_INVALID", "Save int32_as_uint16: only old streams have it");
  },
  get: (reader) => reader.u16(),
});

const fwCfgDma = vmstate("fw_cfg/dma", {
  version: 0,
  needed: (device: { readonly dma_enabled: boolean }) => device.dma_enabled,
  fields: [u64("dma_addr")],
});

const HOST_PAGE = 4096n;

/** Sizes of the ACPI tables, unless all of them are whole pages, as those of an absent table are. */
const fwCfgAcpi = vmstate("fw_cfg/acpi_mr", {
  ...V1,
  needed: (device: {
    readonly acpi_mr_restore: boolean;
    table_mr_size: bigint;
    linker_mr_size: bigint;
    rsdp_mr_size: bigint;
  }) =>
    device.acpi_mr_restore &&
    [device.table_mr_size, device.linker_mr_size, device.rsdp_mr_size].some((size) => size % HOST_PAGE !== 0n),
  fields: [u64("table_mr_size"), u64("linker_mr_size"), u64("rsdp_mr_size")],
});

export const fwCfg = vmstate("fw_cfg", {
  version: 2,
  minimumVersion: 1,
  fields: [
    u16("cur_entry"),
    u32AsU16("cur_offset", { exists: (_, version) => version === 1, memorySize: 4 }),
    u32("cur_offset", { since: 2 }),
  ],
  subsections: [fwCfgDma, fwCfgAcpi],
});

export const createFwCfg = () => blank(fwCfg, { dma_enabled: true, acpi_mr_restore: true });

export const speaker = vmstate("pcspk", {
  ...V1,
  needed: (device: { readonly migrate: boolean }) => device.migrate,
  fields: [u8("data_on"), u8("dummy_refresh_clock")],
});

export const createSpeaker = (migrate = true) => blank(speaker, { migrate });

export const port92 = vmstate("port92", { ...V1, fields: [u8("outport")] });

export const createPort92 = () => blank(port92);

const VMMOUSE_QUEUE = 1024;

export const vmmouse = vmstate("vmmouse", {
  version: 0,
  fields: [i32Equal("queue_size"), array("queue", u32, VMMOUSE_QUEUE), u16("nb_queue"), u16("status"), u8("absolute")],
});

export const createVmmouse = () => blank(vmmouse, { queue_size: VMMOUSE_QUEUE });

const hotplugSlot = vmstate("memory hotplug device state", {
  ...V1,
  fields: [bool("is_enabled"), bool("is_inserting"), u32("ost_event"), u32("ost_status")],
});

export const memoryHotplug = vmstate("memory hotplug state", {
  ...V1,
  fields: [u32("selector"), varray("devs", hotplugSlot, "dev_count")],
});

/** Slots for memory, if the machine has any. */
export interface MemoryHotplug extends DeviceOf<typeof memoryHotplug> {
  readonly is_enabled: boolean;
}

export const createMemoryHotplug = (slots: number): MemoryHotplug => ({
  ...blank(memoryHotplug, { devs: Array.from({ length: slots }, () => blank(hotplugSlot)), dev_count: slots }),
  is_enabled: true,
});

const gedMemory = vmstate("acpi-ged/memhp", {
  ...V1,
  needed: (ged: { memhp_state: MemoryHotplug }) => ged.memhp_state.is_enabled,
  fields: [struct("memhp_state", memoryHotplug, { since: 1 })],
});

const errorSource = vmstate("acpi-ghes", { ...V1, fields: [u64("ghes_addr_le")] });

const gedErrors = vmstate("acpi-ged/ghes", {
  ...V1,
  needed: (ged) => ged.ghes_state.ghes_addr_le !== 0n,
  fields: [struct("ghes_state", errorSource, { since: 1 })],
});

const gedState = vmstate("acpi-ged-state", { ...V1, fields: [u32("sel")] });

/** The generic event device that stands for ACPI's hardware on a machine without any. */
export const acpiGed = vmstate("acpi-ged", {
  ...V1,
  fields: [struct("ged_state", gedState, { since: 1 })],
  subsections: [gedMemory, gedErrors],
});

export const createAcpiGed = (memorySlots = 0) => blank(acpiGed, { memhp_state: createMemoryHotplug(memorySlots) });
