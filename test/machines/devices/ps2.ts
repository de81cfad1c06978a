import { vmstate } from "../../../src/vmstate/describe.js";
import { bool, buffer, i32, struct, u32, u8 } from "../../../src/vmstate/fields.js";
import { blank } from "../blank.js";

/** PS/2 keyboard and mouse, and the controller that both hang on. */

const V1 = { version: 1, minimumVersion: 1 } as const;

/** Bytes on their way to the guest; the first of them may be replies to commands, up to `cwptr`. */
export interface Ps2Queue {
  readonly data: Uint8Array;
  rptr: number;
  wptr: number;
  /** -1: no replies. */
  cwptr: number;
  count: number;
}

const BUFFER = 256;
const QUEUE = 16;
const HEADROOM = 8;

interface Ps2 {
  readonly queue: Ps2Queue;
}

const common = vmstate("PS2 Common State", {
  version: 3,
  minimumVersion: 2,
  fields: [
    i32("write_cmd"),
    i32("queue.rptr", { get: (ps2: Ps2) => ps2.queue.rptr, set: (ps2: Ps2, v) => void (ps2.queue.rptr = v) }),
    i32("queue.wptr", { get: (ps2: Ps2) => ps2.queue.wptr, set: (ps2: Ps2, v) => void (ps2.queue.wptr = v) }),
    i32("queue.count", { get: (ps2: Ps2) => ps2.queue.count, set: (ps2: Ps2, v) => void (ps2.queue.count = v) }),
    buffer("queue.data", BUFFER, { get: (ps2: Ps2) => ps2.queue.data }),
  ],
});

const createCommon = () =>
  blank(common, {
    write_cmd: -1,
    queue: { data: new Uint8Array(BUFFER), rptr: 0, wptr: 0, cwptr: -1, count: 0 },
  });

interface Ps2Device {
  readonly parent_obj: Ps2;
}

/** Bring the indices of a queue into range, whatever the stream said. */
function settle({ parent_obj: { queue } }: Ps2Device): void {
  const mask = BUFFER - 1;
  const replies = queue.cwptr === -1 ? 0 : Math.min((queue.cwptr - queue.rptr) & mask, HEADROOM);
  queue.count = Math.max(replies, Math.min(queue.count, replies + QUEUE));
  queue.rptr &= mask;
  queue.wptr = (queue.rptr + queue.count) & mask;
  queue.cwptr = replies === 0 ? -1 : (queue.rptr + replies) & mask;
}

const ledState = vmstate("ps2kbd/ledstate", {
  version: 3,
  minimumVersion: 2,
  needed: (keyboard) => keyboard.ledstate !== 0,
  fields: [i32("ledstate")],
});
const needHighBit = vmstate("ps2kbd/need_high_bit", {
  ...V1,
  needed: (keyboard) => keyboard.need_high_bit,
  fields: [bool("need_high_bit")],
});
const replyQueue = vmstate("ps2kbd/command_reply_queue", {
  version: 0,
  needed: (keyboard: Ps2Device) => keyboard.parent_obj.queue.cwptr !== -1,
  fields: [
    i32("parent_obj.queue.cwptr", {
      get: (keyboard: Ps2Device) => keyboard.parent_obj.queue.cwptr,
      set: (keyboard: Ps2Device, value) => void (keyboard.parent_obj.queue.cwptr = value),
    }),
  ],
});

export const keyboard = vmstate("ps2kbd", {
  version: 3,
  minimumVersion: 2,
  postLoad(keyboard, version) {
    if (version === 2) keyboard.scancode_set = 2;
  },
  loaded: settle,
  fields: [struct("parent_obj", common), i32("scan_enabled"), i32("translate"), i32("scancode_set", { since: 3 })],
  subsections: [ledState, needHighBit, replyQueue],
});

export const createKeyboard = () => blank(keyboard, { parent_obj: createCommon(), scancode_set: 2 });

export const mouse = vmstate("ps2mouse", {
  version: 2,
  minimumVersion: 2,
  loaded: settle,
  fields: [
    struct("parent_obj", common),
    u8("mouse_status"),
    u8("mouse_resolution"),
    u8("mouse_sample_rate"),
    u8("mouse_wrap"),
    u8("mouse_type"),
    u8("mouse_detect_state"),
    i32("mouse_dx"),
    i32("mouse_dy"),
    i32("mouse_dz"),
    u8("mouse_buttons"),
  ],
});

export const createMouse = () => blank(mouse, { parent_obj: createCommon() });

const STATUS_OBF = 0x01;
const STATUS_MOUSE_OBF = 0x20;
/** Not in reset, A20 open, unused bits high. */
const OUTPORT_IDLE = 0xcf;
const OUTPORT_OBF = 0x10;
const OUTPORT_MOUSE_OBF = 0x20;
const PENDING_OLD_KEYBOARD = 0x01;
const PENDING_OLD_MOUSE = 0x02;
const PENDING_CONTROLLER = 0x0c;
const PENDING_KEYBOARD = 0x10;
const PENDING_MOUSE = 0x20;
const SOURCE_KEYBOARD = 1;
const SOURCE_MOUSE = 2;
const TIMER_PENDING = 1;

const usualOutport = (status: number): number =>
  OUTPORT_IDLE |
  ((status & STATUS_OBF) !== 0 ? OUTPORT_OBF : 0) |
  ((status & STATUS_MOUSE_OBF) !== 0 ? OUTPORT_MOUSE_OBF : 0);

const outport = vmstate("pckbd_outport", {
  ...V1,
  needed: (controller: { outport: number; status: number; outport_present: boolean }) =>
    controller.outport !== usualOutport(controller.status),
  postLoad(controller) {
    controller.outport_present = true;
  },
  fields: [u8("outport")],
});

interface Extended {
  readonly extended_state: boolean;
  extended_state_loaded: boolean;
  throttled: boolean;
  migration_flags: number;
}

const extendedState = vmstate("pckbd/extended_state", {
  version: 0,
  needed: (controller: Extended) => controller.extended_state,
  preSave(controller: Extended) {
    controller.migration_flags = controller.throttled ? TIMER_PENDING : 0;
  },
  postLoad(controller: Extended) {
    controller.throttled = (controller.migration_flags & TIMER_PENDING) !== 0;
    controller.extended_state_loaded = true;
  },
  fields: [u32("migration_flags"), u32("obsrc"), u8("obdata"), u8("cbdata")],
});

/** What has changed since and is rebuilt from what old streams have. */
interface Controller extends Extended {
  outport_present: boolean;
  outport: number;
  status: number;
  pending: number;
  pending_tmp: number;
  obsrc: number;
}

const controller = vmstate("pckbd", {
  version: 3,
  minimumVersion: 3,
  preSave(controller: Controller) {
    const { pending } = controller;
    controller.pending_tmp = controller.extended_state
      ? pending
      : ((pending & PENDING_KEYBOARD) !== 0 ? PENDING_OLD_KEYBOARD : 0) |
        ((pending & PENDING_MOUSE) !== 0 ? PENDING_OLD_MOUSE : 0);
  },
  preLoad(controller: Controller) {
    controller.outport_present = false;
    controller.extended_state_loaded = false;
  },
  postLoad(controller: Controller) {
    const { status } = controller;
    if (!controller.outport_present) controller.outport = usualOutport(status);
    let pending = controller.pending_tmp;
    if (!controller.extended_state_loaded) {
      const source = (status & STATUS_MOUSE_OBF) !== 0 ? SOURCE_MOUSE : SOURCE_KEYBOARD;
      controller.obsrc = (status & STATUS_OBF) !== 0 ? source : 0;
      if ((pending & PENDING_OLD_KEYBOARD) !== 0) pending |= PENDING_KEYBOARD;
      if ((pending & PENDING_OLD_MOUSE) !== 0) pending |= PENDING_MOUSE;
    }
    controller.pending = pending & (PENDING_CONTROLLER | PENDING_KEYBOARD | PENDING_MOUSE);
  },
  fields: [u8("write_cmd"), u8("status"), u8("mode"), u8("pending_tmp")],
  subsections: [outport, extendedState],
});

export const i8042 = vmstate("pckbd", { version: 3, minimumVersion: 3, fields: [struct("kbd", controller)] });

/** Machine types up to 5.2 have no extended state. */
export const createI8042 = (extended_state = true) =>
  blank(i8042, {
    kbd: blank(controller, {
      outport: OUTPORT_IDLE,
      outport_present: false,
      extended_state,
      extended_state_loaded: false,
      throttled: false,
      pending: 0,
    }),
  });
