import { RAMBlockList } from "../../src/ram/block.js";
import type { MemorySource } from "../../src/ram/guest-memory.js";
import { RAM_IDSTR, RAM_VERSION, RamHandler } from "../../src/ram/handler.js";
import type { RamOptions } from "../../src/ram/options.js";
import type { SaveVMHandlers } from "../../src/registry/handlers.js";
import type { StateRegistry } from "../../src/registry/registry.js";
import { apic, createApic, createKvmvapic, kvmvapic } from "./devices/apic.js";
import {
  clock,
  cpuCommon,
  createClock,
  createCpuCommon,
  createGlobalState,
  createReplay,
  globalState,
  replay,
  type InstructionCounting,
} from "./devices/core.js";
import type { CpuModel } from "./devices/cpu-x86-model.js";
import { createX86Cpu, x86Cpu, type X86Cpu } from "./devices/cpu-x86.js";

/** What every machine here is made of, apart from its devices. */

export interface MachineOptions {
  /** Size of the guest's main memory. */
  readonly ramBytes?: number;
  /** The guest's main memory itself, where it is not ours to make. */
  readonly mainMemory?: MemorySource;
  /** Blocks that both ends have as one file. */
  readonly shared?: readonly string[];
  /** How RAM travels. */
  readonly ram?: Partial<RamOptions>;
  readonly cpus?: number;
  readonly cpuModel?: Partial<CpuModel>;
  /** Local APICs; absent, the machine's usual CPU decides. */
  readonly apic?: boolean;
  /** The firmware's help for the task priority register: one more device, with the first CPU. */
  readonly vapic?: boolean;
  readonly counting?: InstructionCounting;
  /** Serial ports. */
  readonly serials?: number;
  readonly parallels?: number;
}

const noDirtyBitmaps: SaveVMHandlers = { isActive: () => false };

export type CpuCommon = ReturnType<typeof createCpuCommon>;
export type Apic = ReturnType<typeof createApic>;

/** One processor: what all architectures have, what x86 has, and its local APIC if the machine has one. */
export interface Processor {
  readonly common: CpuCommon;
  readonly cpu: X86Cpu;
  readonly apic: Apic | null;
}

/** Blocks of guest memory by name: the memory or how many bytes, and where the guest sees them. */
export type Memory = Readonly<Record<string, { readonly memory: MemorySource | number; readonly at: number }>>;

/** Main memory, and the firmware at the end of the address space. */
export function memoryOf(name: string, { ramBytes = 1 << 20, mainMemory }: MachineOptions): Memory {
  const bios = 64 << 10;
  return { [name]: { memory: mainMemory ?? ramBytes, at: 0 }, "pc.bios": { memory: bios, at: 2 ** 32 - bios } };
}

/** Where adapters bring their own firmware. */
export const OPTION_ROMS: Memory = { "pc.rom": { memory: 128 << 10, at: 0xc0000 } };

/** A slow run must not spread RAM over more sections. */
const stoppedClock = () => 0;

/** What is registered before any device, as QEMU does: section ids 0 to 3. */
export function registerCore(registry: StateRegistry, memory: Memory, { counting, ram, shared = [] }: MachineOptions) {
  const blocks = new RAMBlockList();
  for (const [name, { memory: held, at }] of Object.entries(memory)) {
    const source = typeof held === "number" ? new Uint8Array(held) : held;
    blocks.addGlobal(name, source, { gpa: at, shared: shared.includes(name) });
  }
  const timers = createClock(counting);
  registry.register(clock, timers);
  registry.register(replay, createReplay());
  registry.registerLive(RAM_IDSTR, new RamHandler(blocks, { pageSize: 4096, now: stoppedClock, ...ram }), {
    version: RAM_VERSION,
  });
  registry.registerLive("dirty-bitmap", noDirtyBitmaps, { version: 1 });
  return { timers, blocks };
}

/** The processors, each followed by its APIC. */
export function registerProcessors(
  registry: StateRegistry,
  { cpus = 1, cpuModel, vapic = false, apic: hasApic = false }: MachineOptions,
): Processor[] {
  return Array.from({ length: cpus }, (_, instanceId) => {
    const processor = {
      common: createCpuCommon(),
      cpu: createX86Cpu(cpuModel),
      apic: hasApic ? createApic() : null,
    };
    registry.register(cpuCommon, processor.common, { instanceId });
    registry.register(x86Cpu, processor.cpu, { instanceId });
    if (vapic && instanceId === 0) registry.register(kvmvapic, createKvmvapic());
    if (processor.apic !== null) registry.register(apic, processor.apic, { instanceId });
    return processor;
  });
}

/** Registered last of all. */
export function registerGlobalState(registry: StateRegistry, optional = false) {
  const state = createGlobalState(optional);
  registry.register(globalState, state);
  return state;
}
