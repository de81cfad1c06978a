import { vmstate } from "../../../src/vmstate/describe.js";
import {
  array,
  bool,
  i32,
  i64,
  struct,
  timer,
  u16,
  u32,
  u64,
  u8,
  validate,
  varray,
} from "../../../src/vmstate/fields.js";
import type { DeviceOf } from "../../../src/vmstate/types.js";
import { blank } from "../blank.js";
import { createMemoryHotplug, memoryHotplug, type MemoryHotplug } from "./board.js";
import { createIdeBus, ideBus, ideDrive, type IdeBus } from "./disks.js";
import { createPciDevice, pciDevice } from "./pci.js";

/** What else is on the board of a PC with PCI: event timers, IDE with bus mastering, power management. */

const V1 = { version: 1, minimumVersion: 1 } as const;
const INTEL = 0x8086;

const hpetTimer = vmstate("hpet_timer", {
  ...V1,
  fields: [u8("tn"), u64("config"), u64("cmp"), u64("fsb"), u64("period"), u8("wrap_flag"), timer("qemu_timer")],
});
const rtcIrqLevel = vmstate("hpet/rtc_irq_level", {
  ...V1,
  needed: (hpet) => hpet.rtc_irq_level !== 0,
  fields: [u8("rtc_irq_level")],
});
const hpetOffset = vmstate("hpet/offset", {
  ...V1,
  needed: (hpet: { config: bigint; readonly hpet_offset_saved: boolean }) =>
    hpet.hpet_offset_saved && (hpet.config & 1n) !== 0n,
  fields: [u64("hpet_offset")],
});

const MAX_TIMERS = 32;

export const hpet = vmstate("hpet", {
  version: 2,
  minimumVersion: 1,
  fields: [
    u64("config"),
    u64("isr"),
    u64("hpet_counter"),
    u8("num_timers", { since: 2 }),
    validate(
      "num_timers in range",
      (hpet: { num_timers: number }) => hpet.num_timers >= 3 && hpet.num_timers <= MAX_TIMERS,
    ),
    varray("timer", hpetTimer, "num_timers"),
  ],
  subsections: [rtcIrqLevel, hpetOffset],
});

export const createHpet = () =>
  blank(hpet, {
    num_timers: 3,
    hpet_offset_saved: true,
    timer: Array.from({ length: MAX_TIMERS }, (_, tn) => blank(hpetTimer, { tn, qemu_timer: null })),
  });

/** Bits of the status register that old streams used for the bus's error status. */
const ABUSED_BITS = 0x78;

const bmdmaCurrent = vmstate("ide bmdma_current", {
  ...V1,
  needed: (channel) => channel.cur_prd_len !== 0,
  fields: [u32("cur_addr"), u32("cur_prd_last"), u32("cur_prd_addr"), u32("cur_prd_len")],
});
const bmdmaStatus = vmstate("ide bmdma/status", {
  ...V1,
  needed: (channel) => (channel.status & ABUSED_BITS) !== 0,
  fields: [u8("status")],
});

interface BusMaster {
  readonly bus: DeviceOf<typeof ideBus>;
  status: number;
  migration_compat_status: number;
  migration_retry_sector_num: bigint;
  migration_retry_nsector: number;
  migration_retry_unit: number;
}

const bmdma = vmstate("ide bmdma", {
  version: 3,
  minimumVersion: 0,
  preSave(channel: BusMaster) {
    const { bus } = channel;
    channel.migration_retry_unit = bus.retry_unit;
    channel.migration_retry_sector_num = bus.retry_sector_num;
    channel.migration_retry_nsector = bus.retry_nsector;
    channel.migration_compat_status = (channel.status & ~ABUSED_BITS) | (bus.error_status & ABUSED_BITS);
  },
  fields: [
    u8("cmd"),
    u8("migration_compat_status"),
    u32("addr"),
    i64("migration_retry_sector_num"),
    u32("migration_retry_nsector"),
    u8("migration_retry_unit"),
  ],
  subsections: [bmdmaCurrent, bmdmaStatus],
});

/** Once the buses are loaded as well: take apart what shares the old status byte. */
function settle(channel: BusMaster): void {
  const { bus, migration_compat_status: status } = channel;
  channel.migration_retry_unit &= 1;
  if (channel.status === 0) {
    channel.status = status & ~ABUSED_BITS;
    bus.error_status |= status & ABUSED_BITS;
  }
  if (bus.error_status === 0) return;
  bus.retry_sector_num = channel.migration_retry_sector_num;
  bus.retry_nsector = channel.migration_retry_nsector;
  bus.retry_unit = channel.migration_retry_unit;
}

interface TwoBuses {
  readonly buses: readonly IdeBus[];
}

export const pciIde = vmstate("ide", {
  version: 3,
  minimumVersion: 0,
  loaded(ide: { readonly bmdma: { readonly length: number; readonly [index: number]: BusMaster } }) {
    for (let i = 0; i < ide.bmdma.length; i++) settle(ide.bmdma[i]);
  },
  fields: [
    struct("parent_obj", pciDevice),
    array("bmdma", bmdma, 2),
    array("bus", ideBus, 2, { since: 1, get: (ide: TwoBuses) => ide.buses.map(({ state }) => state) }),
    array("bus[0].ifs", ideDrive, 2, { since: 3, get: (ide: TwoBuses) => ide.buses[0].drives }),
    array("bus[1].ifs", ideDrive, 2, { since: 3, get: (ide: TwoBuses) => ide.buses[1].drives }),
  ],
});

export function createPciIde() {
  const buses = [createIdeBus(), createIdeBus()];
  return blank(pciIde, {
    buses,
    parent_obj: createPciDevice({ vendor: INTEL, device: 0x7010, class: 0x010180 }),
    bmdma: buses.map(({ state }) => blank(bmdma, { bus: state })),
  });
}

export const i2cBus = vmstate("i2c_bus", { ...V1, fields: [u8("saved_address")] });

/** No transfer under way. */
const NO_ADDRESS = 0xff;

export const createI2cBus = () => blank(i2cBus, { saved_address: NO_ADDRESS });

const i2cSlave = vmstate("I2CSlave", { ...V1, fields: [u8("address")] });

const smbusDevice = vmstate("smbus-device", {
  ...V1,
  fields: [struct("i2c", i2cSlave), i32("mode"), i32("data_len"), array("data_buf", u8, 34)],
});

/** What a memory module says of itself; saved only once the guest has asked, and by machine types since 4.0. */
export const smbusEeprom = vmstate("smbus-eeprom", {
  ...V1,
  needed: (eeprom: { accessed: boolean; smbusdev: { mode: number }; readonly migrate: boolean }) =>
    eeprom.migrate && (eeprom.accessed || eeprom.smbusdev.mode !== 0),
  fields: [struct("smbusdev", smbusDevice), array("data", u8, 256), u8("offset"), bool("accessed")],
});

export const createSmbusEeprom = (migrate = true) => blank(smbusEeprom, { migrate });

const apm = vmstate("APM State", { ...V1, fields: [u8("apmc"), u8("apms")] });

const smbus = vmstate("pmsmb", {
  ...V1,
  fields: [
    u8("smb_stat"),
    u8("smb_ctl"),
    u8("smb_cmd"),
    u8("smb_addr"),
    u8("smb_data0"),
    u8("smb_data1"),
    u32("smb_index"),
    array("smb_data", u8, 32),
    u8("smb_auxctl"),
    u8("smb_blkdata"),
    bool("i2c_enable"),
    bool("op_done"),
    bool("in_i2c_block_read"),
    bool("start_transaction_on_status_read"),
  ],
});

const gpe = vmstate("gpe", { ...V1, fields: [u16("sts"), u16("en")] });
const rootSlots = vmstate("pci_status", { ...V1, fields: [u32("up"), u32("down")] });
const busSlots = vmstate("acpi_pcihp_pci_status", { ...V1, fields: [u32("up"), u32("down")] });

const pmMemory = vmstate("piix4_pm/memhp", {
  ...V1,
  needed: (pm: { acpi_memory_hotplug: MemoryHotplug }) => pm.acpi_memory_hotplug.is_enabled,
  fields: [struct("acpi_memory_hotplug", memoryHotplug, { since: 1 })],
});

const cpuSlot = vmstate("CPU hotplug device state", {
  ...V1,
  fields: [bool("is_inserting"), bool("is_removing"), u32("ost_event"), u32("ost_status")],
});
const cpuHotplug = vmstate("CPU hotplug state", {
  ...V1,
  fields: [u32("selector"), u8("command"), varray("devs", cpuSlot, "dev_count")],
});
const pmCpus = vmstate("piix4_pm/cpuhp", {
  ...V1,
  needed: (pm: { cpu_hotplug_legacy: boolean }) => !pm.cpu_hotplug_legacy,
  preLoad(pm) {
    pm.cpu_hotplug_legacy = false;
  },
  fields: [struct("cpuhp_state", cpuHotplug, { since: 1 })],
});

interface Hotplug {
  /** Slots behind bridges can be changed too. */
  readonly use_acpi_hotplug_bridge: boolean;
}
const bridges = { exists: (pm: Hotplug) => pm.use_acpi_hotplug_bridge };

export const piix4Pm = vmstate("piix4_pm", {
  version: 3,
  minimumVersion: 3,
  fields: [
    struct("parent_obj", pciDevice),
    u16("ar.pm1.evt.sts"),
    u16("ar.pm1.evt.en"),
    u16("ar.pm1.cnt.cnt"),
    struct("apm", apm),
    struct("smb", smbus, { since: 3, exists: (pm: { readonly migrate_smbus: boolean }) => pm.migrate_smbus }),
    timer("ar.tmr.timer"),
    i64("ar.tmr.overflow_time"),
    struct("ar.gpe", gpe, { since: 2 }),
    struct("acpi_pci_hotplug.acpi_pcihp_pci_status[0x0]", rootSlots, {
      since: 2,
      exists: (pm: Hotplug) => !pm.use_acpi_hotplug_bridge,
    }),
    u32("acpi_pci_hotplug.hotplug_select", bridges),
    array("acpi_pci_hotplug.acpi_pcihp_pci_status", busSlots, 256, { since: 1, ...bridges }),
    // QEMU's test looks into the wrong object: what it finds there depends on the machine type.
    u32("acpi_pci_hotplug.acpi_index", { exists: (pm: { readonly saves_acpi_index: boolean }) => pm.saves_acpi_index }),
  ],
  subsections: [pmMemory, pmCpus],
});

/** Machine types up to 2.11 do not save the SMBus, and those without it save no ACPI index either. */
export const createPiix4Pm = (migrate_smbus = true) =>
  blank(piix4Pm, {
    parent_obj: createPciDevice({ vendor: INTEL, device: 0x7113, revision: 3, class: 0x068000 }),
    "ar.tmr.timer": null,
    migrate_smbus,
    saves_acpi_index: migrate_smbus,
    use_acpi_hotplug_bridge: true,
    cpu_hotplug_legacy: true,
    acpi_memory_hotplug: createMemoryHotplug(0),
    cpuhp_state: blank(cpuHotplug, { dev_count: 0 }),
  });

/** Whether the guest has got its ACPI tables, which are final from then on. */
export const acpiBuild = vmstate("acpi_build", { ...V1, fields: [u8("patched")] });

export const createAcpiBuild = () => blank(acpiBuild);
