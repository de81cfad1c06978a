import { describe, expect, it } from "vitest";
import type { StateRegistry } from "../../src/registry/registry.js";
import type { StreamOptions } from "../../src/savevm/options.js";
import { loadStateSync, saveStateSync } from "../../src/savevm/run.js";
import { BytesSink } from "../../src/stream/sink.js";
import type { StreamEntry } from "../record/manifest.js";
import { createIsapc } from "./isapc.js";
import { recorded, sha256 } from "./kit.js";
import type { RAMBlockList } from "../../src/ram/block.js";
import { createMicrovm } from "./microvm.js";
import { createPc } from "./pc.js";

/** Whole machines: what QEMU wrote is loaded, and saved again as QEMU wrote it. */

interface Machine {
  readonly machine: string;
  readonly registry: StateRegistry;
  readonly blocks: RAMBlockList;
}

/** A recorded stream, a machine that can take it, and what both ends were told about the stream. */
interface Case {
  readonly name: string;
  readonly create: () => Machine;
  readonly options?: Partial<StreamOptions>;
}

const common = { ramBytes: 8 << 20, serials: 1 };
const beforeFooters = { configuration: false, footers: false };

const cases: readonly Case[] = [
  { name: "microvm", create: () => createMicrovm({ ...common, acpi: false }) },
  { name: "microvm-smp4", create: () => createMicrovm({ ...common, acpi: false, cpus: 4 }) },
  { name: "microvm-cpu-max", create: () => createMicrovm({ ...common, acpi: false, cpus: 2 }) },
  { name: "isapc", create: () => createIsapc(common) },
  { name: "pc", create: () => createPc(common) },
  {
    name: "pc-uuid",
    create: () => createPc(common),
    options: { uuid: "00112233-4455-6677-8899-aabbccddeeff", capabilities: ["validate-uuid"] },
  },
  {
    name: "pc-ignore-shared",
    create: () => createPc({ ...common, shared: ["pc.ram"], ram: { ignoreShared: true } }),
    options: { capabilities: ["x-ignore-shared"] },
  },
  {
    name: "pc-i440fx-2.3",
    create: () => createPc({ ...common, machine: "pc-i440fx-2.3", old: true }),
    options: beforeFooters,
  },
  {
    name: "pc-i440fx-2.2",
    create: () => createPc({ ...common, machine: "pc-i440fx-2.2", old: true }),
    options: { ...beforeFooters, description: false },
  },
];

describe.each(cases)("$name", ({ name, create, options }) => {
  const { bytes, entry } = recorded(name);
  const load = ({ machine, registry }: Machine, stream: Uint8Array) =>
    loadStateSync(registry, stream, { machine, strict: true, ...options });

  it("is loaded without its description and saved to identical bytes, first to last", () => {
    const machine = create();
    load(machine, bytes.slice(0, entry.contents.description?.offset));
    const sink = new BytesSink();
    saveStateSync(machine.registry, sink, { machine: machine.machine, ...options });
    const again = sink.toBytes();
    expect(firstDifference(again, bytes)).toBe(null);
    expect(again.length).toBe(bytes.length);
  });

  it("has QEMU's memory after the load", () => {
    const machine = create();
    load(machine, bytes);
    expect(contentOf(machine.blocks, entry)).toEqual(entry.contents.ram.blocks.map(nameAndHash));
  });
});

// Its pages are compressed, or come in several rounds: the same memory can be written in many ways.
it.each([
  ["microvm-compress", () => createMicrovm({ ...common, acpi: false, ram: { compress: 1 } })],
  ["pc-live", () => createPc(common)],
  ["pc-xbzrle", () => createPc({ ...common, ram: { xbzrle: true } })],
  ["pc-return-path", () => createPc(common)],
] as const)("%s: a machine loaded from our own stream of it is the machine loaded from QEMU's", (name, create) => {
  const { bytes, entry } = recorded(name);
  const machine = create();
  loadStateSync(machine.registry, bytes, { machine: machine.machine, capabilities: entry.capabilities });
  expect(contentOf(machine.blocks, entry)).toEqual(entry.contents.ram.blocks.map(nameAndHash));
  const first = new BytesSink();
  saveStateSync(machine.registry, first, { machine: machine.machine });
  const other = create();
  loadStateSync(other.registry, first.toBytes(), { machine: machine.machine });
  const second = new BytesSink();
  saveStateSync(other.registry, second, { machine: machine.machine });
  expect(firstDifference(second.toBytes(), first.toBytes())).toBe(null);
});

const nameAndHash = ({ name, sha256 }: { name: string; sha256: string | null }) => ({ name, sha256 });

/** Names and hashes of the blocks; of those that were not in the stream only the names. */
function contentOf(blocks: RAMBlockList, { contents }: StreamEntry): ReturnType<typeof nameAndHash>[] {
  return [...blocks].map(({ name, memory, usedLength }, i) => ({
    name,
    sha256: contents.ram.blocks[i].sha256 === null ? null : sha256(memory.view(0, usedLength)),
  }));
}

function firstDifference(a: Uint8Array, b: Uint8Array): number | null {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? null : at;
}
