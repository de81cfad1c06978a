import { vmstate } from "../../../src/vmstate/describe.js";
import { array, bool, buffer, i32, i64, struct, timer, u32, u8, u8Equal, varray } from "../../../src/vmstate/fields.js";
import type { DeviceOf } from "../../../src/vmstate/types.js";
import { blank } from "../blank.js";

/** Floppy controller and IDE. */

const V1 = { version: 1, minimumVersion: 1 } as const;

const mediaChanged = vmstate("fdrive/media_changed", {
  ...V1,
  needed: (drive: { media_changed: number; readonly present: boolean }) => drive.present && drive.media_changed !== 1,
  fields: [u8("media_changed")],
});
const mediaRate = vmstate("fdrive/media_rate", {
  ...V1,
  needed: (drive: { readonly check_media_rate: boolean }) => drive.check_media_rate,
  fields: [u8("media_rate")],
});
const perpendicular = vmstate("fdrive/perpendicular", {
  ...V1,
  needed: (drive) => drive.perpendicular !== 0,
  fields: [u8("perpendicular")],
});
const floppyDrive = vmstate("fdrive", {
  ...V1,
  fields: [u8("head"), u8("track"), u8("sect")],
  subsections: [mediaChanged, mediaRate, perpendicular],
});

const MSR_DIO = 0x40;
const MSR_RQM = 0x80;
const MSR_NONDMA = 0x20;
const DOR_DRIVE = 0x01;
const Phase = { RECONSTRUCT: 0, COMMAND: 1, EXECUTION: 2, RESULT: 3 } as const;

/** The phase as the registers of QEMU 2.3 gave it away; streams without a phase mean this one. */
function phaseOf(msr: number): number {
  if ((msr & MSR_NONDMA) !== 0 || (msr & MSR_RQM) === 0) return Phase.EXECUTION;
  return (msr & MSR_DIO) !== 0 ? Phase.RESULT : Phase.COMMAND;
}

const resetSense = vmstate("fdc/reset_sensei", {
  ...V1,
  needed: (fdc) => fdc.reset_sensei !== 0,
  fields: [i32("reset_sensei")],
});
const resultTimer = vmstate("fdc/result_timer", {
  ...V1,
  needed: (fdc) => fdc.result_timer !== null,
  fields: [timer("result_timer")],
});
const phase = vmstate("fdc/phase", {
  ...V1,
  needed: (fdc: { phase: number; msr: number }) => fdc.phase !== phaseOf(fdc.msr),
  fields: [u8("phase")],
});

interface Floppy {
  dor: number;
  cur_drv: number;
  dor_vmstate: number;
  phase: number;
  msr: number;
}

const floppyController = vmstate("fdc", {
  version: 2,
  minimumVersion: 2,
  preSave(fdc: Floppy) {
    fdc.dor_vmstate = fdc.dor | fdc.cur_drv;
  },
  preLoad(fdc: Floppy) {
    fdc.phase = Phase.RECONSTRUCT;
  },
  postLoad(fdc: Floppy) {
    fdc.cur_drv = fdc.dor_vmstate & DOR_DRIVE;
    fdc.dor = fdc.dor_vmstate & ~DOR_DRIVE;
    if (fdc.phase === Phase.RECONSTRUCT) fdc.phase = phaseOf(fdc.msr);
  },
  fields: [
    u8("sra"),
    u8("srb"),
    u8("dor_vmstate"),
    u8("tdr"),
    u8("dsr"),
    u8("msr"),
    u8("status0"),
    u8("status1"),
    u8("status2"),
    varray("fifo", u8, "fifo_size"),
    u32("data_pos"),
    u32("data_len"),
    u8("data_state"),
    u8("data_dir"),
    u8("eot"),
    u8("timer0"),
    u8("timer1"),
    u8("precomp_trk"),
    u8("config"),
    u8("lock"),
    u8("pwrd"),
    u8Equal("num_floppies"),
    array("drives", floppyDrive, 2, { since: 1 }),
  ],
  subsections: [resetSense, resultTimer, phase],
});

export const isaFloppy = vmstate("fdc", {
  version: 2,
  minimumVersion: 2,
  fields: [struct("state", floppyController)],
});

const FIFO_SIZE = 512;

export const createFloppy = () =>
  blank(isaFloppy, {
    state: blank(floppyController, {
      dor: 0,
      cur_drv: 0,
      phase: Phase.COMMAND,
      msr: MSR_RQM,
      fifo: new Uint8Array(FIFO_SIZE),
      fifo_size: FIFO_SIZE,
      num_floppies: 2,
      result_timer: null,
      drives: Array.from({ length: 2 }, () => blank(floppyDrive, { present: false, check_media_rate: true })),
    }),
  });

const ideErrors = vmstate("ide_bus/error", {
  version: 2,
  minimumVersion: 1,
  needed: (bus) => bus.error_status !== 0,
  fields: [
    i32("error_status"),
    i64("retry_sector_num", { since: 2 }),
    u32("retry_nsector", { since: 2 }),
    u8("retry_unit", { since: 2 }),
  ],
});

export const ideBus = vmstate("ide_bus", { ...V1, fields: [u8("cmd"), u8("unit")], subsections: [ideErrors] });

const DRQ_STAT = 0x08;
const IDE_RETRY_PIO = 0x10;
/** Largest transfer (256 sectors) and some room for what follows it. */
const IO_BUFFER = 256 * 512 + 4;
/** What may follow a transfer: the next read, the next write, stop, three of ATAPI. */
const TRANSFER_ENDS = 6;

interface PioTransfer {
  status: number;
  readonly bus: { readonly error_status: number };
  end_transfer_fn_idx: number;
  cur_io_buffer_offset: number;
  cur_io_buffer_len: number;
}

const pioTransfer = vmstate("ide_drive/pio_state", {
  ...V1,
  needed: (drive: PioTransfer) => (drive.status & DRQ_STAT) !== 0 || (drive.bus.error_status & IDE_RETRY_PIO) !== 0,
  postLoad(drive: PioTransfer) {
    if (drive.end_transfer_fn_idx >= TRANSFER_ENDS) throw new Error("nothing that could follow the transfer");
    if (drive.cur_io_buffer_offset < 0 || drive.cur_io_buffer_len < 0) throw new Error("a transfer outside the buffer");
    if (drive.cur_io_buffer_offset + drive.cur_io_buffer_len > IO_BUFFER) throw new Error("a transfer past the buffer");
  },
  fields: [
    i32("req_nb_sectors"),
    varray("io_buffer", u8, "io_buffer_total_len", { since: 1 }),
    i32("cur_io_buffer_offset"),
    i32("cur_io_buffer_len"),
    u8("end_transfer_fn_idx"),
    i32("elementary_transfer_size"),
    i32("packet_transfer_size"),
  ],
});

const tray = vmstate("ide_drive/tray_state", {
  ...V1,
  needed: (drive) => drive.tray_open || drive.tray_locked,
  fields: [bool("tray_open"), bool("tray_locked")],
});

const mediaEvents = vmstate("ide_drive/atapi/gesn_state", {
  ...V1,
  needed: (drive) => drive["events.new_media"] || drive["events.eject_request"],
  fields: [bool("events.new_media"), bool("events.eject_request")],
});

export const ideDrive = vmstate("ide_drive", {
  version: 3,
  minimumVersion: 0,
  fields: [
    i32("mult_sectors"),
    i32("identify_set"),
    buffer("identify_data", 512, { exists: (drive: { identify_set: number }) => drive.identify_set !== 0 }),
    u8("feature"),
    u8("error"),
    u32("nsector"),
    u8("sector"),
    u8("lcyl"),
    u8("hcyl"),
    u8("hob_feature"),
    u8("hob_sector"),
    u8("hob_nsector"),
    u8("hob_lcyl"),
    u8("hob_hcyl"),
    u8("select"),
    u8("status"),
    u8("lba48"),
    u8("sense_key"),
    u8("asc"),
    u8("cdrom_changed", { since: 3 }),
  ],
  subsections: [pioTransfer, tray, mediaEvents],
});

/** What reset leaves in the registers of a drive that is not there. */
const EMPTY_DRIVE = {
  mult_sectors: 16,
  nsector: 1,
  sector: 1,
  lcyl: 0xff,
  hcyl: 0xff,
  select: 0xa0,
  status: 0x50,
};

/** A bus with two drives on it, as reset leaves them. */
export interface IdeBus {
  readonly state: DeviceOf<typeof ideBus>;
  readonly drives: readonly DeviceOf<typeof ideDrive>[];
}

export function createIdeBus(): IdeBus {
  const bus = blank(ideBus);
  const drives = Array.from({ length: 2 }, () =>
    blank(ideDrive, { ...EMPTY_DRIVE, bus, io_buffer: new Uint8Array(IO_BUFFER), io_buffer_total_len: IO_BUFFER }),
  );
  return { state: bus, drives };
}

export const isaIde = vmstate("isa-ide", {
  version: 3,
  minimumVersion: 0,
  fields: [
    struct("bus", ideBus, { get: (ide: { readonly bus: IdeBus }) => ide.bus.state }),
    array("bus.ifs", ideDrive, 2, { since: 3, get: (ide: { readonly bus: IdeBus }) => ide.bus.drives }),
  ],
});

export const createIsaIde = () => ({ bus: createIdeBus() });
