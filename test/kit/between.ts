/** Our machines between two QEMUs: loaded from what one sent, changed, and saved for the other. */
import { setTimeout as sleep } from "node:timers/promises";
import type { RAMBlockList } from "../../src/ram/block.js";
import { RamHandler } from "../../src/ram/handler.js";
import type { StateRegistry } from "../../src/registry/registry.js";
import { loadStateSync, saveStateSync } from "../../src/savevm/run.js";
import type { SaveOptions } from "../../src/savevm/save.js";
import { BytesSink } from "../../src/stream/sink.js";
import { expectedWord, HEADER_ADDRESS, PAGE_SIZE, readHeader, WINDOW_ADDRESS } from "../guest/model.js";
import { buildGuestRom, type GuestOptions } from "../guest/rom.js";
import { createIsapc } from "../machines/isapc.js";
import type { MachineOptions } from "../machines/machine.js";
import { createMicrovm } from "../machines/microvm.js";
import { readStream } from "../record/second-opinion.js";
import { guestArgs, Qemu, type GuestArgs, type Scratch } from "./qemu.js";

export const MEGABYTES = 4;
const RAM_BYTES = MEGABYTES << 20;

/** What a machine of ours must have to be saved, loaded and compared. */
export interface OurMachine {
  readonly machine: string;
  readonly registry: StateRegistry;
  readonly blocks: RAMBlockList;
}

/** The counterpart of a QEMU started with {@link argsFor} "microvm". */
export const ourMicrovm = (options: MachineOptions = {}) =>
  createMicrovm({ ramBytes: RAM_BYTES, acpi: false, serials: 1, ...options });

/** The counterpart of a QEMU started with {@link argsFor} "isapc". */
export const ourIsapc = (options: MachineOptions = {}) => createIsapc({ ramBytes: RAM_BYTES, serials: 1, ...options });

/** Eight pages at a time, so that a test sees the whole window rewritten in half a second. */
const GUEST: GuestOptions = { idle: true, pages: 32, steps: 8 };

/** QEMU's command line for a machine that runs the test guest; its ROM is written to `scratch`. */
export function argsFor(
  scratch: Scratch,
  machine: string,
  { guest, ...options }: Partial<Omit<GuestArgs, "rom" | "machine">> & { readonly guest?: GuestOptions } = {},
): string[] {
  const rom = scratch.file("rom", buildGuestRom({ ...GUEST, ...guest }));
  return guestArgs({ machine, rom, megabytes: MEGABYTES, ...options });
}

/** Boots the guest, lets it work, and returns the stream of the machine. */
export async function bootAndSend(
  scratch: Scratch,
  args: readonly string[],
  capabilities: readonly string[] = [],
): Promise<Uint8Array> {
  await using source = await Qemu.start({ args, capabilities });
  await source.waitForGuest(128, 2);
  return await source.migrateToFile(scratch.file(`sent-${source.pid}`));
}

/** As {@link bootAndSend}, caught between two of the guest's steps: asleep until the next interrupt, and stopped. */
export async function bootAndSendAsleep(
  scratch: Scratch,
  args: readonly string[],
  capabilities: readonly string[] = [],
): Promise<Uint8Array> {
  await using source = await Qemu.start({ args, capabilities });
  await source.waitForGuest(128, 2);
  await source.poll("a sleeping guest", 20_000, async () => {
    await source.stop();
    if ((await source.monitor.human("info registers")).includes("HLT=1")) return true;
    await source.cont();
    await sleep(5);
    return undefined;
  });
  return await source.migrateToFile(scratch.file(`sent-${source.pid}`));
}

/** Makes the loaded machine one that runs as soon as it is loaded, whatever state it was sent in. */
export function setRunning({ runState }: { readonly runState: { readonly runstate: Uint8Array } }): void {
  runState.runstate.fill(0);
  new TextEncoder().encodeInto("running", runState.runstate);
}

/** Load a stream into `machine` and return the machine. */
export function loaded<T extends OurMachine>(machine: T, stream: Uint8Array, options: Partial<SaveOptions> = {}): T {
  loadStateSync(machine.registry, stream, { machine: machine.machine, ...options });
  return machine;
}

/** The stream of a stopped machine. */
export function saved({ machine, registry }: OurMachine, options: Partial<SaveOptions> = {}): Uint8Array<ArrayBuffer> {
  const sink = new BytesSink();
  saveStateSync(registry, sink, { machine, ...options });
  return sink.toBytes();
}

/** The handler of the machine's RAM, for its figures. */
export function ramOf({ registry }: OurMachine): RamHandler {
  const entry = registry.find("ram", 0);
  if (entry?.kind === "handlers" && entry.handlers instanceof RamHandler) return entry.handlers;
  throw new Error("The machine has no RAM registered");
}

/** All bytes of the block `name`. */
export function bytesOf({ blocks }: OurMachine, name: string): Uint8Array {
  const block = blocks.find(name);
  if (block === undefined) throw new Error(`The machine has no block ${name}`);
  return block.memory.view(0, block.usedLength);
}

/** The guest's main memory, the largest block. */
export function mainMemory(machine: OurMachine): Uint8Array {
  const [largest] = machine.blocks;
  return bytesOf(machine, largest.name);
}

/**
 * Do the guest's work in its place: rewrite the next `steps` pages of its window as model.ts describes. The guest must
 * be asleep. Returns the numbers of the pages of main memory that were written.
 */
export function runGuest(ram: Uint8Array, steps: number): Set<number> {
  const { pages, steps: from } = readHeader(ram.subarray(HEADER_ADDRESS, HEADER_ADDRESS + PAGE_SIZE));
  const view = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
  const written = new Set([HEADER_ADDRESS / PAGE_SIZE]);
  for (let step = from; step < from + steps; step++) {
    const page = step % pages;
    const address = WINDOW_ADDRESS + page * PAGE_SIZE;
    for (let word = 0; word < PAGE_SIZE / 4; word++) {
      view.setUint32(address + word * 4, expectedWord(Math.floor(step / pages), page, word), true);
    }
    view.setUint32(HEADER_ADDRESS + 4, step + 1, true);
    written.add(address / PAGE_SIZE);
  }
  return written;
}

/**
 * Compares a stopped QEMU's memory with ours and returns what differs; none is good. What the CPUs can see is read
 * through the monitor, what they cannot (RAM under a ROM) from a stream that QEMU is made to send.
 */
export async function memoryProblems(qemu: Qemu, machine: OurMachine, scratch: Scratch): Promise<string[]> {
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const { region, offset, address, length } of await qemu.mappedRegions()) {
    if (machine.blocks.find(region) === undefined) continue;
    seen.add(region);
    const ours = bytesOf(machine, region).subarray(offset, offset + length);
    problems.push(
      ...difference(`${region} at 0x${address.toString(16)}`, await qemu.readMemory(address, length), ours),
    );
  }
  const again = readStream(await qemu.migrateToFile(scratch.file(`again-${qemu.pid}`)), { pageSize: PAGE_SIZE });
  for (const { name } of machine.blocks) {
    const theirs = again.memory.get(name);
    if (theirs) problems.push(...difference(`block ${name}`, theirs, bytesOf(machine, name)));
    else if (!seen.has(name)) problems.push(`block ${name} was not compared`);
  }
  return problems;
}

function difference(what: string, theirs: Uint8Array, ours: Uint8Array): string[] {
  if (Buffer.compare(theirs, ours) === 0) return [];
  const at = ours.findIndex((byte, i) => byte !== theirs[i]);
  return [`${what}, ${theirs.length} bytes, differs at ${at}: ${theirs[at]}, not ${ours[at]}`];
}

/** Deterministic bytes without any zero page. */
export function noise(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}
