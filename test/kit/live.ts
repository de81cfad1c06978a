import type { LoadContext, Pending, SaveContext, SaveVMHandlers } from "../../src/registry/handlers.js";
import type { Decode, Encode } from "../../src/stream/drive.js";
import type { Writer } from "../../src/stream/writer.js";

/** What a probe answers; every other question is answered as if it had not been asked. */
export interface ProbeOptions {
  readonly active?: boolean;
  readonly activeIterate?: boolean;
  readonly postcopy?: boolean;
  /** PART sections until nothing is left; 1 when absent. */
  readonly rounds?: number;
  readonly pending?: Pending;
  readonly wantsAck?: boolean;
  /** Hooks that throw, by name. */
  readonly fails?: readonly (keyof SaveVMHandlers)[];
}

/** Live state with every hook: notes each call in `log` as "name.hook", writes one byte per section, loads one. */
export function probe(log: string[], name: string, options: ProbeOptions = {}): SaveVMHandlers & { value: number } {
  const { rounds = 1, pending = { mustPrecopy: 0, canPostcopy: 0 }, fails = [] } = options;
  let round = 0;
  const note = (hook: keyof SaveVMHandlers): void => {
    log.push(`${name}.${hook}`);
    if (fails.includes(hook)) throw new Error(`${name} fails in ${hook}`);
  };
  function* body<T>(hook: keyof SaveVMHandlers, { writer }: SaveContext, result: () => T): Encode<T> {
    note(hook);
    writer.u8(0xaa);
    yield;
    return result();
  }
  return {
    value: 0,
    savePrepare: () => note("savePrepare"),
    saveSetup: (context) => body("saveSetup", context, () => undefined),
    saveLiveIterate: (context) => body("saveLiveIterate", context, () => ++round >= rounds),
    saveLiveCompletePrecopy: (context) => body("saveLiveCompletePrecopy", context, () => undefined),
    saveLiveCompletePostcopy: (context) => body("saveLiveCompletePostcopy", context, () => undefined),
    saveCleanup: () => note("saveCleanup"),
    statePendingEstimate: () => (note("statePendingEstimate"), pending),
    statePendingExact: () => (note("statePendingExact"), pending),
    resumePrepare: () => note("resumePrepare"),
    loadSetup: () => note("loadSetup"),
    *loadState({ reader }: LoadContext): Decode<() => void> {
      note("loadState");
      if (!reader.has(1)) yield 1;
      const value = reader.u8();
      return () => {
        log.push(`${name}.commit`);
        this.value = value;
      };
    },
    loadCleanup: () => note("loadCleanup"),
    isActive: () => options.active ?? true,
    isActiveIterate: () => options.activeIterate ?? true,
    hasPostcopy: () => options.postcopy ?? false,
    switchoverAckNeeded: () => (note("switchoverAckNeeded"), options.wantsAck ?? false),
  };
}

/** Old-style state of one byte. */
export function oldStyle(byte: number): SaveVMHandlers & { value: number } {
  return {
    value: byte,
    saveState(writer: Writer) {
      writer.u8(this.value);
    },
    *loadState({ reader }: LoadContext): Decode<() => void> {
      if (!reader.has(1)) yield 1;
      const value = reader.u8();
      return () => void (this.value = value);
    },
  };
}
