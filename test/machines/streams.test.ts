import { describe, expect, it } from "vitest";
import type { StateRegistry } from "../../src/registry/registry.js";
import { loadStateSync, saveStateSync } from "../../src/savevm/run.js";
import { BytesSink } from "../../src/stream/sink.js";
import { createIsapc } from "./isapc.js";
import { recorded, sha256 } from "./kit.js";
import type { RAMBlockList } from "../../src/ram/block.js";
import { createMicrovm } from "./microvm.js";

/** Whole machines: what QEMU wrote is loaded, and saved again as QEMU wrote it. */

interface Machine {
  readonly machine: string;
  readonly registry: StateRegistry;
  readonly blocks: RAMBlockList;
}

const MIB8 = 8 << 20;

const machines: readonly (readonly [string, () => Machine])[] = [
  ["microvm", () => createMicrovm({ ramBytes: MIB8, acpi: false, serials: 1 })],
  ["microvm-smp4", () => createMicrovm({ ramBytes: MIB8, acpi: false, serials: 1, cpus: 4 })],
  ["microvm-cpu-max", () => createMicrovm({ ramBytes: MIB8, acpi: false, serials: 1, cpus: 2 })],
  ["isapc", () => createIsapc({ ramBytes: MIB8, serials: 1 })],
];

function load({ machine, registry }: Machine, bytes: Uint8Array): void {
  loadStateSync(registry, bytes, { machine, strict: true });
}

function save({ machine, registry }: Machine): Uint8Array {
  const sink = new BytesSink();
  saveStateSync(registry, sink, { machine });
  return sink.toBytes();
}

describe.each(machines)("%s", (name, create) => {
  const { bytes, entry } = recorded(name);

  it("is loaded without its description and saved to identical bytes, first to last", () => {
    const machine = create();
    load(machine, bytes.slice(0, entry.contents.description?.offset));
    const again = save(machine);
    expect(again.length).toBe(bytes.length);
    expect(firstDifference(again, bytes)).toBe(null);
  });

  it("has QEMU's memory after the load", () => {
    const machine = create();
    load(machine, bytes);
    const ours = [...machine.blocks].map((block) => ({
      name: block.name,
      length: block.usedLength,
      sha256: sha256(block.memory.view(0, block.usedLength)),
    }));
    expect(ours).toEqual(entry.contents.ram.blocks.map(({ name, length, sha256 }) => ({ name, length, sha256 })));
  });
});

function firstDifference(a: Uint8Array, b: Uint8Array): number | null {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? null : at;
}
