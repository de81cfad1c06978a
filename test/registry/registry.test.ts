import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import type { SaveStateEntry } from "../../src/registry/entry.js";
import { StateRegistry } from "../../src/registry/registry.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u32 } from "../../src/vmstate/fields.js";
import { MigrationPriority, type VMStateOptions } from "../../src/vmstate/types.js";

interface Dev {
  value: number;
}
const dev = (): Dev => ({ value: 0 });

function state(name: string, options: Partial<VMStateOptions<Dev>> = {}) {
  return vmstate(name, { version: 1, ...options, fields: [u32("value")] });
}

function ids(registry: StateRegistry): unknown[] {
  return registry.entries.map(({ idstr, instanceId, sectionId }) => [idstr, instanceId, sectionId]);
}

describe("StateRegistry, instance ids", () => {
  it("auto: one above the highest of the same name, which need not be the last", () => {
    const registry = new StateRegistry();
    const uart = state("uart");
    registry.register(uart, dev(), { instanceId: 7 });
    registry.register(uart, dev(), { instanceId: 3 });
    registry.register(state("other"), dev());
    expect(registry.register(uart, dev()).instanceId).toBe(8);
  });

  it("auto: starts at 0 for each name", () => {
    const registry = new StateRegistry();
    registry.register(state("a"), dev());
    registry.register(state("b"), dev());
    registry.registerLive("c", {}, { version: 1 });
    registry.registerLive("c", {}, { version: 1 });
    expect(ids(registry)).toEqual([
      ["a", 0, 0],
      ["b", 0, 1],
      ["c", 0, 2],
      ["c", 1, 3],
    ]);
  });

  it("a number that is taken is refused, and nothing is registered", () => {
    const registry = new StateRegistry();
    registry.register(state("a"), dev(), { instanceId: 1 });
    expect(() => registry.register(state("a"), dev(), { instanceId: 1 })).toThrow(RangeError);
    expect(() => registry.registerLive("a", {}, { instanceId: 1, version: 1 })).toThrow(RangeError);
    expect(registry.entries).toHaveLength(1);
    expect(registry.register(state("b"), dev()).sectionId).toBe(1);
  });

  it("a number that is taken may be asked for: both are saved, and either is found as the first", () => {
    const registry = new StateRegistry();
    const first = registry.register(state("a"), dev(), { instanceId: 0 });
    registry.register(state("a"), dev(), { instanceId: 0, duplicate: true });
    expect(ids(registry)).toEqual([
      ["a", 0, 0],
      ["a", 0, 1],
    ]);
    expect(registry.find("a", 0)).toBe(first);
  });

  it.each([-1, 1.5, 0xffff_ffff, NaN])("%s is no instance id", (instanceId) => {
    const registry = new StateRegistry();
    expect(() => registry.register(state("a"), dev(), { instanceId })).toThrow(RangeError);
    expect(() => registry.registerLive("a", {}, { instanceId, version: 1 })).toThrow(RangeError);
  });

  it("auto after the last possible number is refused", () => {
    const registry = new StateRegistry();
    registry.register(state("a"), dev(), { instanceId: 0xffff_fffe });
    expect(() => registry.register(state("a"), dev())).toThrow(RangeError);
  });
});

describe("StateRegistry, bus paths", () => {
  it("the path goes in front of the name, and the instance id becomes the compat one", () => {
    const registry = new StateRegistry();
    const entry = registry.register(state("vga"), dev(), { path: "0000:00:02.0", instanceId: 5 });
    expect(entry).toMatchObject({ idstr: "0000:00:02.0/vga", instanceId: 0, compat: { idstr: "vga", instanceId: 5 } });
  });

  it("compat ids count on their own, apart from instance ids", () => {
    const registry = new StateRegistry();
    registry.register(state("nic"), dev(), { instanceId: 4 });
    const first = registry.register(state("nic"), dev(), { path: "0000:00:03.0" });
    const second = registry.register(state("nic"), dev(), { path: "0000:00:04.0" });
    expect([first.compat?.instanceId, second.compat?.instanceId]).toEqual([0, 1]);
    expect([first.instanceId, second.instanceId]).toEqual([0, 0]);
  });

  it("the same path and name twice is refused", () => {
    const registry = new StateRegistry();
    registry.register(state("nic"), dev(), { path: "p" });
    expect(() => registry.register(state("nic"), dev(), { path: "p" })).toThrow(RangeError);
  });

  it("a name over 255 bytes is refused, 255 are taken", () => {
    const registry = new StateRegistry();
    expect(() => registry.register(state("nic"), dev(), { path: "p".repeat(252) })).toThrow(RangeError);
    expect(registry.register(state("nic"), dev(), { path: "p".repeat(251) }).idstr).toHaveLength(255);
    expect(() => registry.registerLive("ü".repeat(128), {}, { version: 1 })).toThrow(RangeError);
    expect(() => registry.registerLive("", {}, { version: 1 })).toThrow(RangeError);
  });
});

describe("StateRegistry, lookup", () => {
  it("by name and instance id, else null", () => {
    const registry = new StateRegistry();
    const entry = registry.register(state("a"), dev(), { instanceId: 2 });
    expect(registry.find("a", 2)).toBe(entry);
    expect(registry.find("a", 0)).toBeNull();
    expect(registry.find("b", 2)).toBeNull();
  });

  it("by alias id, under the own name and the compat one", () => {
    const registry = new StateRegistry();
    const plain = registry.register(state("a"), dev(), { instanceId: 2, aliasId: 9, requiredForVersion: 0 });
    const bus = registry.register(state("b"), dev(), { path: "p", instanceId: 3, aliasId: 9, requiredForVersion: 0 });
    expect(registry.find("a", 9)).toBe(plain);
    expect(registry.find("b", 9)).toBe(bus);
    expect(registry.find("p/b", 9)).toBe(bus);
  });

  it("by compat name and compat instance id, but not with the new instance id", () => {
    const registry = new StateRegistry();
    const entry = registry.register(state("vga"), dev(), { path: "0000:00:02.0", instanceId: 5 });
    expect(registry.find("vga", 5)).toBe(entry);
    expect(registry.find("vga", 0)).toBeNull();
    expect(registry.find("0000:00:02.0/vga", 0)).toBe(entry);
    expect(registry.find("0000:00:02.0/vga", 5)).toBeNull();
  });

  it("of several the first in saving order wins", () => {
    const registry = new StateRegistry();
    registry.register(state("nic"), dev(), { path: "p", instanceId: 0 });
    const first = registry.register(state("nic", { priority: MigrationPriority.IOMMU }), dev(), { instanceId: 0 });
    expect(registry.find("nic", 0)).toBe(first);
  });

  it("an entry without alias is not found by the number that means any instance", () => {
    const registry = new StateRegistry();
    registry.register(state("a"), dev());
    expect(registry.find("a", 0xffff_ffff)).toBeNull();
  });
});

describe("StateRegistry, section ids", () => {
  it("are never used again, also after everything was unregistered", () => {
    const registry = new StateRegistry();
    const a = state("a");
    const device = dev();
    registry.register(a, device);
    registry.registerLive("b", {}, { version: 1 });
    expect(registry.unregister(a, device)).toBe(true);
    expect(registry.register(a, device).sectionId).toBe(2);
  });

  it("may be set ahead, and go on from there", () => {
    const registry = new StateRegistry();
    expect(registry.register(state("a"), dev(), { sectionId: 5 }).sectionId).toBe(5);
    expect(registry.register(state("b"), dev()).sectionId).toBe(6);
    expect(() => registry.register(state("c"), dev(), { sectionId: 6 })).toThrow(RangeError);
    expect(() => registry.registerLive("c", {}, { version: 1, sectionId: -1 })).toThrow(RangeError);
  });
});

describe("StateRegistry, order", () => {
  it("descending priority, then registration order", () => {
    const registry = new StateRegistry();
    const add = (name: string, priority?: VMStateOptions<Dev>["priority"]): SaveStateEntry =>
      registry.register(state(name, priority === undefined ? {} : { priority }), dev());
    add("default 1");
    add("bus", MigrationPriority.PCI_BUS);
    registry.registerLive("live", {}, { version: 1 });
    add("gic", MigrationPriority.GICV3);
    add("iommu", MigrationPriority.IOMMU);
    add("bus 2", MigrationPriority.PCI_BUS);
    add("default 2");
    const names = registry.entries.map(({ idstr }) => idstr);
    expect(names).toEqual(["gic", "bus", "bus 2", "iommu", "default 1", "live", "default 2"]);
  });

  it("the list at hand does not change under a pass", () => {
    const registry = new StateRegistry();
    registry.register(state("a"), dev());
    const before = registry.entries;
    registry.register(state("b"), dev());
    expect(before).toHaveLength(1);
    expect(() => (before as SaveStateEntry[]).push(before[0])).toThrow(TypeError);
  });
});

describe("StateRegistry, unregister", () => {
  it("takes description and device; only what matches both goes", () => {
    const registry = new StateRegistry();
    const a = state("a");
    const [one, two] = [dev(), dev()];
    registry.register(a, one);
    registry.register(a, two);
    expect(registry.unregister(state("a"), one)).toBe(false);
    expect(registry.unregister(a, one)).toBe(true);
    expect(registry.unregister(a, one)).toBe(false);
    expect(ids(registry)).toEqual([["a", 1, 1]]);
  });

  it("handlers go by name and handlers", () => {
    const registry = new StateRegistry();
    const handlers = {};
    registry.registerLive("a", handlers, { version: 1 });
    registry.registerLive("b", handlers, { version: 1 });
    expect(registry.unregisterLive("a", {})).toBe(false);
    expect(registry.unregisterLive("a", handlers)).toBe(true);
    expect(ids(registry)).toEqual([["b", 0, 1]]);
  });

  it("a device registered twice goes with both", () => {
    const registry = new StateRegistry();
    const a = state("a");
    const device = dev();
    registry.register(a, device, { instanceId: 0 });
    registry.register(a, device, { instanceId: 1 });
    registry.unregister(a, device);
    expect(registry.entries).toEqual([]);
  });
});

describe("StateRegistry, checks", () => {
  it("a subsection whose name does not continue its parent's is refused", () => {
    const wrong = vmstate("a", { version: 1, fields: [u32("value")], subsections: [state("b/sub")] });
    expect(() => new StateRegistry().register(wrong, dev())).toThrow(RangeError);
  });

  it("an alias that serves no version still accepted is refused", () => {
    const versioned = state("a", { version: 3, minimumVersion: 2 });
    const registry = new StateRegistry();
    expect(() => registry.register(versioned, dev(), { aliasId: 1, requiredForVersion: 1 })).toThrow(RangeError);
    expect(() => registry.register(versioned, dev(), { aliasId: 1 })).toThrow(RangeError);
    expect(registry.register(versioned, dev(), { aliasId: 1, requiredForVersion: 2 }).aliasId).toBe(1);
  });

  it("only migratable: the others are refused with a typed error, and accepted without the option", () => {
    const stuck = state("a", { unmigratable: true });
    const picky = new StateRegistry({ onlyMigratable: true });
    expect(picky.accepts(stuck)).toBe(false);
    expect(picky.accepts(state("b"))).toBe(true);
    let caught: unknown = null;
    try {
      picky.register(stuck, dev());
    } catch (error) {
      caught = error;
    }
    expect(isMigrationError(caught, "UNMIGRATABLE")).toBe(true);
    expect(new StateRegistry().register(stuck, dev()).idstr).toBe("a");
  });

  it.each([-1, 0.5, 2 ** 31])("%s is no version of live state", (version) => {
    expect(() => new StateRegistry().registerLive("a", {}, { version })).toThrow(RangeError);
  });
});
