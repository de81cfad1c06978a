import { vmstate } from "../../../src/vmstate/describe.js";
import { array, bool, buffer, i16, i32, i64, timer, u32, u64, unused } from "../../../src/vmstate/fields.js";
import { blank } from "../blank.js";

/** State that every machine has, whatever its devices. */

const V1 = { version: 1, minimumVersion: 1 } as const;

/** How QEMU counts instructions instead of time: not at all, at a fixed rate, or at one that follows the host. */
export type InstructionCounting = "off" | "fixed" | "adaptive";

interface Clock {
  readonly counting: InstructionCounting;
  /** The timers exist, armed or not. */
  readonly hasWarpTimer: boolean;
  readonly hasAdjustTimers: boolean;
}

const warpTimer = vmstate("timer/icount/warp_timer", {
  ...V1,
  needed: (clock: Clock) => clock.hasWarpTimer,
  fields: [i64("vm_clock_warp_start"), timer("icount_warp_timer")],
});
const adjustTimers = vmstate("timer/icount/timers", {
  ...V1,
  needed: (clock: Clock) => clock.hasAdjustTimers,
  fields: [timer("icount_rt_timer"), timer("icount_vm_timer")],
});
const shift = vmstate("timer/icount/shift", {
  version: 2,
  minimumVersion: 2,
  needed: (clock: Clock) => clock.counting === "adaptive",
  fields: [i16("icount_time_shift"), i64("last_delta")],
});
const icount = vmstate("timer/icount", {
  ...V1,
  needed: (clock: Clock) => clock.counting !== "off",
  fields: [i64("qemu_icount_bias"), i64("qemu_icount")],
  subsections: [warpTimer, adjustTimers, shift],
});

export const clock = vmstate("timer", {
  version: 2,
  minimumVersion: 1,
  fields: [i64("cpu_ticks_offset"), unused(8), i64("cpu_clock_offset", { since: 2 })],
  subsections: [icount],
});

export const createClock = (counting: InstructionCounting = "off") =>
  blank(clock, {
    counting,
    hasWarpTimer: counting !== "off",
    hasAdjustTimers: counting === "adaptive",
    icount_warp_timer: null,
    icount_rt_timer: null,
    icount_vm_timer: null,
  });

/** Only a machine that records or replays its inputs saves this; any other just registers it. */
export const replay = vmstate("replay", {
  version: 3,
  minimumVersion: 3,
  needed: (state: { readonly active: boolean }) => state.active,
  fields: [
    array("cached_clock", i64, 2),
    u64("current_icount"),
    i32("instruction_count"),
    u32("data_kind"),
    bool("has_unread_data"),
    u64("file_offset"),
    u64("block_request_id"),
    u64("read_event_id"),
  ],
});

export const createReplay = () => blank(replay, { active: false });

const RUN_STATES: ReadonlySet<string> = new Set(
  "debug inmigrate internal-error io-error paused postmigrate prelaunch finish-migrate restore-vm running save-vm shutdown suspended watchdog guest-panicked colo".split(
    " ",
  ),
);

interface GlobalState {
  /** Machine types up to 2.3 save it only when it says something. */
  readonly optional: boolean;
  size: number;
  runstate: Uint8Array;
}

/** Whether the guest ran when it was saved: the name of the run state, ended by a zero, in 100 bytes. */
export const globalState = vmstate("globalstate", {
  ...V1,
  needed: (state: GlobalState) => !state.optional || !["running", "paused"].includes(runStateOf(state)),
  preSave(state: GlobalState) {
    state.size = runStateOf(state).length + 1;
  },
  postLoad(state: GlobalState) {
    if (!state.runstate.includes(0)) throw new Error("the name of the run state does not end");
    const name = runStateOf(state);
    if (!RUN_STATES.has(name)) throw new Error(`"${name}" is no run state`);
  },
  fields: [u32("size"), buffer("runstate", 100)],
});

/** The name of the saved run state. */
export function runStateOf({ runstate }: { readonly runstate: Uint8Array }): string {
  const end = runstate.indexOf(0);
  return new TextDecoder().decode(runstate.subarray(0, end < 0 ? runstate.length : end));
}

export function createGlobalState(optional = false) {
  const state = blank(globalState, { optional });
  new TextEncoder().encodeInto("running", state.runstate);
  return state;
}

const exceptionIndex = vmstate("cpu_common/exception_index", {
  ...V1,
  needed: (cpu: { exception_index: number; readonly tcg: boolean }) => cpu.tcg && cpu.exception_index !== -1,
  fields: [i32("exception_index")],
});
const crashOccurred = vmstate("cpu_common/crash_occurred", {
  ...V1,
  needed: (cpu) => cpu.crash_occurred,
  fields: [bool("crash_occurred")],
});

/** Meant "leave the loop" once and is cleared in whatever old streams bring. */
const CPU_INTERRUPT_EXIT = 1;

/** What every CPU has, of whatever architecture. */
export const cpuCommon = vmstate("cpu_common", {
  ...V1,
  preLoad(cpu) {
    cpu.exception_index = -1;
  },
  postLoad(cpu) {
    cpu.interrupt_request = (cpu.interrupt_request & ~CPU_INTERRUPT_EXIT) >>> 0;
  },
  fields: [u32("halted"), u32("interrupt_request")],
  subsections: [exceptionIndex, crashOccurred],
});

export const createCpuCommon = () => blank(cpuCommon, { exception_index: -1, tcg: true });
