import { describe, expect, it } from "vitest";
import { StateRegistry } from "../../src/registry/registry.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u32 } from "../../src/vmstate/fields.js";
import type { AnyVMState } from "../../src/vmstate/types.js";

/** What savevm.c does at registration, beyond what registry.test.ts shows. */

interface Dev {
  value: number;
}
const dev = (): Dev => ({ value: 0 });
const state = (name: string) => vmstate(name, { version: 1, fields: [u32("value")] });

describe("compat ids (calculate_compat_instance_id)", () => {
  it("one above the highest of the same name, which need not be the last", () => {
    const registry = new StateRegistry();
    registry.register(state("nic"), dev(), { path: "p1", instanceId: 7 });
    registry.register(state("nic"), dev(), { path: "p2", instanceId: 3 });
    expect(registry.register(state("nic"), dev(), { path: "p3" }).compat).toEqual({ idstr: "nic", instanceId: 8 });
  });

  it("other names do not count, and start at 0", () => {
    const registry = new StateRegistry();
    registry.register(state("nic"), dev(), { path: "p1", instanceId: 7 });
    expect(registry.register(state("vga"), dev(), { path: "p2" }).compat).toEqual({ idstr: "vga", instanceId: 0 });
  });
});

describe("bus paths (vmstate_register_with_alias_id)", () => {
  it("a path and name that any instance has already is refused, even where duplicates are asked for", () => {
    const registry = new StateRegistry();
    registry.register(state("nic"), dev(), { path: "p" });
    expect(() => registry.register(state("nic"), dev(), { path: "p", duplicate: true })).toThrow(RangeError);
    registry.register(state("q/nic"), dev(), { instanceId: 5 });
    expect(() => registry.register(state("nic"), dev(), { path: "q" })).toThrow(RangeError);
    expect(registry.entries).toHaveLength(2);
  });
});

describe("the check at registration (vmstate_check)", () => {
  const parent = (name: string, subsections: readonly AnyVMState[]) =>
    vmstate(name, { version: 1, fields: [], subsections });

  it("a subsection of the parent's own name, which no load would look for, is refused", () => {
    expect(() => new StateRegistry().register(parent("a", [state("a")]), dev())).toThrow(RangeError);
    expect(new StateRegistry().register(parent("a", [state("a/b")]), dev()).idstr).toBe("a");
  });

  it("a subsection of a subsection whose name does not continue its parent's is refused", () => {
    const nested = parent("a", [parent("a/b", [state("a/c")])]);
    expect(() => new StateRegistry().register(nested, dev())).toThrow(RangeError);
    expect(new StateRegistry().register(parent("a", [parent("a/b", [state("a/b/c")])]), dev()).idstr).toBe("a");
  });
});
