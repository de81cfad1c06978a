import { RamError, StateError } from "../../src/errors.js";
import type { LoadContext, SaveContext, SaveVMHandlers } from "../../src/registry/handlers.js";
import { StateRegistry } from "../../src/registry/registry.js";
import type { Decode, Encode } from "../../src/stream/drive.js";
import type { Writer } from "../../src/stream/writer.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { buffer, i64, u32, unused } from "../../src/vmstate/fields.js";

/** QEMU's machine "none" without RAM: the smallest machine there is a real stream of. */

const MEM_SIZE = 4n;
const EOS = 0x10n;

/** The "ram" section of a machine without RAM: a total of 0, and end marks. */
export class NoRam implements SaveVMHandlers {
  /** Sections loaded and committed. */
  commits = 0;

  *saveSetup({ writer }: SaveContext): Encode<void> {
    writer.u64(MEM_SIZE);
    writer.u64(EOS);
    yield;
  }

  *saveLiveIterate({ writer }: SaveContext): Encode<boolean> {
    writer.u64(EOS);
    yield;
    return true;
  }

  *saveLiveCompletePrecopy({ writer }: SaveContext): Encode<void> {
    writer.u64(EOS);
    yield;
  }

  *loadState({ reader }: LoadContext, version: number): Decode<() => void> {
    if (version !== 4) throw new RamError("PAGE_FLAGS", `Load ram: version ${version} is not 4`);
    for (;;) {
      if (!reader.has(8)) yield 8;
      const word = reader.u64();
      if (word === EOS) return () => void (this.commits += 1);
      if (word !== MEM_SIZE) throw new RamError("PAGE_FLAGS", `Load ram: the word is ${word}`);
    }
  }

  /** QEMU sends no PART for it: nothing is pending. */
  isActiveIterate(): boolean {
    return false;
  }
}

/** Old-style state: 131 bytes of which nothing is known. */
export class Slirp implements SaveVMHandlers {
  bytes = new Uint8Array(131);

  saveState(writer: Writer): void {
    writer.bytes(this.bytes);
  }

  *loadState({ reader }: LoadContext): Decode<() => void> {
    if (!reader.has(131)) yield 131;
    const bytes = reader.bytes(131);
    return () => void (this.bytes = bytes);
  }
}

export const timers = vmstate("timer", {
  version: 2,
  minimumVersion: 1,
  fields: [i64("cpu_ticks_offset"), unused(8), i64("cpu_clock_offset", { since: 2 })],
});

const RUN_STATES =
  "debug inmigrate internal-error io-error paused postmigrate prelaunch finish-migrate restore-vm running save-vm shutdown suspended watchdog guest-panicked colo".split(
    " ",
  );

export const globalState = vmstate("globalstate", {
  version: 1,
  fields: [u32("size"), buffer("runstate", 100)],
  postLoad({ runstate }) {
    const name = new TextDecoder().decode(runstate).replace(/\0.*$/s, "");
    if (!RUN_STATES.includes(name)) throw new StateError("FIELD_INVALID", `Load the run state: "${name}" is unknown`);
  },
});

/** A machine "none" as it is switched on. */
export function machineNone() {
  const registry = new StateRegistry();
  const ram = new NoRam();
  const slirp = new Slirp();
  const timer = { cpu_ticks_offset: 0n, cpu_clock_offset: 0n };
  const runState = { size: 0, runstate: new Uint8Array(100) };
  registry.register(timers, timer, { instanceId: 0 });
  registry.registerLive("ram", ram, { version: 4, sectionId: 2 });
  registry.registerLive("slirp", slirp, { version: 4, sectionId: 4 });
  registry.register(globalState, runState);
  return { registry, ram, slirp, timer, runState };
}

/** Everything a load may change, comparable. */
export function stateOf({ timer, runState, slirp }: ReturnType<typeof machineNone>) {
  return { timer, runState, slirp: slirp.bytes };
}
