import { vmstate } from "../../../src/vmstate/describe.js";
import { i32, struct, timer, u16, u32, u8, vbuffer } from "../../../src/vmstate/fields.js";
import type { DeviceOf } from "../../../src/vmstate/types.js";
import { blank } from "../blank.js";

/** Serial and parallel port of the ISA bus. */

const V1 = { version: 1, minimumVersion: 1 } as const;

const FIFO_SIZE = 16;

const fifo8 = vmstate("Fifo8", {
  ...V1,
  fields: [vbuffer("data", "capacity", { since: 1 }), u32("head"), u32("num")],
});

const createFifo = (): DeviceOf<typeof fifo8> => ({
  data: new Uint8Array(FIFO_SIZE),
  capacity: FIFO_SIZE,
  head: 0,
  num: 0,
});

const UART_IER_THRI = 0x02;
const UART_IIR_ID = 0x06;
const UART_IIR_THRI = 0x02;
const UART_LSR_TEMT = 0x40;
const MAX_XMIT_RETRY = 4;

const thrIpending = vmstate("serial/thr_ipending", {
  ...V1,
  needed: (port: { ier: number; iir: number; thr_ipending: number }) =>
    (port.ier & UART_IER_THRI) !== 0 && (port.thr_ipending === 1) !== ((port.iir & UART_IIR_ID) === UART_IIR_THRI),
  fields: [i32("thr_ipending")],
});
const tsr = vmstate("serial/tsr", {
  ...V1,
  needed: (port) => port.tsr_retry !== 0,
  fields: [u32("tsr_retry"), u8("thr"), u8("tsr")],
});
const receiveFifo = vmstate("serial/recv_fifo", {
  ...V1,
  needed: (port) => port.recv_fifo.num !== 0,
  fields: [struct("recv_fifo", fifo8, { since: 1 })],
});
const transmitFifo = vmstate("serial/xmit_fifo", {
  ...V1,
  needed: (port) => port.xmit_fifo.num !== 0,
  fields: [struct("xmit_fifo", fifo8, { since: 1 })],
});
const fifoTimeout = vmstate("serial/fifo_timeout_timer", {
  ...V1,
  needed: (port) => port.fifo_timeout_timer !== null,
  fields: [timer("fifo_timeout_timer")],
});
const timeoutIpending = vmstate("serial/timeout_ipending", {
  ...V1,
  needed: (port) => port.timeout_ipending !== 0,
  fields: [i32("timeout_ipending")],
});
const poll = vmstate("serial/poll", {
  ...V1,
  needed: (port) => port.poll_msl >= 0,
  fields: [i32("poll_msl"), timer("modem_status_poll")],
});

const uart = vmstate("serial", {
  version: 3,
  minimumVersion: 2,
  preSave(port: { fcr: number; fcr_vmstate: number }) {
    port.fcr_vmstate = port.fcr;
  },
  preLoad(port) {
    port.thr_ipending = -1;
    port.poll_msl = -1;
  },
  postLoad(port: Uart, version) {
    port.fcr = version < 3 ? 0 : port.fcr_vmstate;
    if (port.thr_ipending === -1) port.thr_ipending = (port.iir & UART_IIR_ID) === UART_IIR_THRI ? 1 : 0;
    const empty = (port.lsr & UART_LSR_TEMT) !== 0;
    if (empty !== (port.tsr_retry === 0)) {
      throw new Error(`the transmitter is ${empty ? "" : "not "}empty after ${port.tsr_retry} attempts to send`);
    }
    port.tsr_retry = Math.min(port.tsr_retry, MAX_XMIT_RETRY);
  },
  fields: [
    u16("divider", { since: 2 }),
    u8("rbr"),
    u8("ier"),
    u8("iir"),
    u8("lcr"),
    u8("mcr"),
    u8("lsr"),
    u8("msr"),
    u8("scr"),
    u8("fcr_vmstate", { since: 3 }),
  ],
  subsections: [thrIpending, tsr, receiveFifo, transmitFifo, fifoTimeout, timeoutIpending, poll],
});

interface Uart {
  fcr: number;
  readonly fcr_vmstate: number;
  thr_ipending: number;
  readonly iir: number;
  readonly lsr: number;
  tsr_retry: number;
}

export const isaSerial = vmstate("serial", { version: 3, minimumVersion: 2, fields: [struct("state", uart)] });

export const createSerial = () =>
  blank(isaSerial, {
    state: blank(uart, {
      fcr: 0,
      lsr: UART_LSR_TEMT,
      poll_msl: -1,
      recv_fifo: createFifo(),
      xmit_fifo: createFifo(),
      fifo_timeout_timer: null,
      modem_status_poll: null,
    }),
  });

/** The state proper, which QEMU embeds in the ISA device. */
export interface ParallelState {
  dataw: number;
  datar: number;
  status: number;
  control: number;
  irq_pending: number;
  epp_timeout: number;
}

const part = <const K extends keyof ParallelState>(key: K) => ({
  get: (port: { readonly state: ParallelState }) => port.state[key],
  set: (port: { readonly state: ParallelState }, value: number) => void (port.state[key] = value),
});

export const isaParallel = vmstate("parallel_isa", {
  ...V1,
  fields: [
    u8("state.dataw", part("dataw")),
    u8("state.datar", part("datar")),
    u8("state.status", part("status")),
    u8("state.control", part("control")),
    i32("state.irq_pending", part("irq_pending")),
    i32("state.epp_timeout", part("epp_timeout")),
  ],
});

export const createParallel = () =>
  blank(isaParallel, { state: { dataw: 0, datar: 0, status: 0, control: 0, irq_pending: 0, epp_timeout: 0 } });
