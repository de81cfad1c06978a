import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { loadStateSync, saveStateSync } from "../../src/savevm/run.js";
import { BytesSink } from "../../src/stream/sink.js";
import { WINDOW_ADDRESS } from "../guest/model.js";
import { createIsapc } from "./isapc.js";
import { caught, recorded, type Recorded } from "./kit.js";
import { createMicrovm } from "./microvm.js";

/** One value of a loaded machine is changed: exactly its byte of the stream changes, and comes back. */

const microvm = () => createMicrovm({ ramBytes: 8 << 20, acpi: false, serials: 1 });
const isapc = () => createIsapc({ ramBytes: 8 << 20, serials: 1 });
type Microvm = ReturnType<typeof microvm>;
type Isapc = ReturnType<typeof isapc>;
type Machine = Pick<Microvm, "machine" | "registry">;

/** A change, and where in which section's body its byte is. */
type Change<M> = readonly [what: string, change: (machine: M) => unknown, idstr: string, instance: number, at: number];

const microvmChanges: readonly Change<Microvm>[] = [
  ["lowest byte of RIP", (m) => void (m.processors[0].cpu["env.eip"] ^= 1n), "cpu", 0, 16 * 8 + 7],
  ["highest byte of RAX", (m) => void (m.processors[0].cpu["env.regs"][0] ^= 1n << 56n), "cpu", 0, 0],
  [
    "mantissa of the first FPU register",
    ({ processors: [{ cpu }] }) => void (cpu["env.fpregs"][0].mantissa ^= 1n),
    "cpu",
    0,
    163,
  ],
  ["stack top of the FPU", ({ processors: [{ cpu }] }) => void (cpu["env.fpstt"] ^= 1), "cpu", 0, 150],
  ["task priority", ({ processors: [{ apic }] }) => Object.assign(apic ?? {}, { tpr: 0x31 }), "apic", 0, 6],
  ["redirection entry 23", ({ ioapics: [chip] }) => void (chip.ioredtbl[23] ^= 1n), "ioapic", 0, 205],
  ["mask of the second PIC", ({ pics: [, chip] }) => void (chip.imr ^= 1), "i8259", 1, 2],
  ["disabled timer interrupt", ({ pit }) => void (pit.channels[0].irq_disabled ^= 1), "i8254", 0, 3],
  ["gate of timer 2", ({ pit }) => void (pit.channels[2].gate ^= 1), "i8254", 0, 4 + 2 * 32 + 15],
  ["CMOS byte 5", (m) => void (m.realTimeClock.cmos_data[5] ^= 1), "mc146818rtc", 0, 5],
  ["scratch register", ({ serialPorts: [{ state }] }) => void (state.scr ^= 1), "serial", 0, 9],
  ["firmware entry", (m) => void (m.firmware.cur_entry ^= 1), "fw_cfg", 0, 1],
  ["clock offset", (m) => void (m.timers.cpu_clock_offset ^= 1n), "timer", 0, 23],
];

const isapcChanges: readonly Change<Isapc>[] = [
  ["DMA count", ({ dma: [chip] }) => void (chip.regs[2].base[1] ^= 1), "dma", 0, 7 + 2 * 17 + 8 + 3],
  ["floppy FIFO byte 511", ({ floppy: { state } }) => void (state.fifo[511] ^= 1), "fdc", 0, 9 + 511],
  ["mouse resolution", ({ mouse }) => void (mouse.mouse_resolution ^= 1), "ps2mouse", 0, 273],
  ["keyboard queue byte 255", (m) => void (m.keyboard.parent_obj.queue.data[255] ^= 1), "ps2kbd", 0, 271],
  ["pending interrupt", ({ keyboardController: { kbd } }) => void (kbd.pending ^= 0x10), "pckbd", 0, 3],
];

describe.each([
  ["microvm", microvm, microvmChanges],
  ["isapc", isapc, isapcChanges],
] as readonly (readonly [string, () => Machine, readonly Change<never>[]])[])("%s", (name, create, changes) => {
  const stream = recorded(name);

  it.each(changes)("%s: one byte differs, and the change survives a load", (_, change, idstr, instance, at) => {
    const machine = create();
    load(machine, stream.bytes);
    change(machine as never);
    const bytes = save(machine);
    expect(differences(bytes, stream.bytes)).toEqual([bodyOffset(stream, idstr, instance) + at]);
    const other = create();
    load(other, bytes);
    expect(differences(save(other), bytes)).toEqual([]);
  });
});

it("a changed byte of memory changes one byte of its page record", () => {
  const stream = recorded("microvm");
  const machine = microvm();
  load(machine, stream.bytes);
  const memory = machine.blocks.find("microvm.ram")?.memory;
  if (memory === undefined) throw new Error("no such block");
  const page = memory.view(WINDOW_ADDRESS, 4096);
  const found = Buffer.from(stream.bytes).indexOf(page);
  page[100] ^= 1;
  expect(differences(save(machine), stream.bytes)).toEqual([found + 100]);
});

it("a stream that ends inside a device leaves that device as it was and names the field", () => {
  const stream = recorded("microvm");
  const machine = microvm();
  const before = Array.from(machine.processors[0].cpu["env.regs"]);
  const end = bodyOffset(stream, "cpu", 0) + 16 * 8 + 3;
  const error = caught(() => load(machine, stream.bytes.subarray(0, end)));
  expect(isMigrationError(error, "TRUNCATED") && [error.section?.idstr, error.field]).toEqual(["cpu", "env.eip"]);
  expect(Array.from(machine.processors[0].cpu["env.regs"])).toEqual(before);
});

function load({ machine, registry }: Machine, bytes: Uint8Array): void {
  loadStateSync(registry, bytes, { machine });
}

function save({ machine, registry }: Machine): Uint8Array {
  const sink = new BytesSink();
  saveStateSync(registry, sink, { machine });
  return sink.toBytes();
}

function bodyOffset({ devices }: Recorded, idstr: string, instance: number): number {
  const section = devices.find((candidate) => candidate.idstr === idstr && candidate.instance === instance);
  if (section === undefined) throw new Error(`no section ${idstr} ${instance}`);
  return section.offset + 1 + 4 + 1 + idstr.length + 4 + 4;
}

function differences(a: Uint8Array, b: Uint8Array): number[] {
  expect(a.length).toBe(b.length);
  const offsets: number[] = [];
  for (let i = 0; i < a.length && offsets.length < 10; i++) if (a[i] !== b[i]) offsets.push(i);
  return offsets;
}
