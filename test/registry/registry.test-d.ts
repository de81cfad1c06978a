/**
 * Type tests of registration: each `@ts-expect-error` line must not compile, every other line must. Checked by the type
 * check of the whole project; nothing here runs.
 */
import type { StateRegistry } from "../../src/registry/registry.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u32, u64, vbuffer } from "../../src/vmstate/fields.js";

declare const registry: StateRegistry;

const uart = vmstate("uart", {
  version: 1,
  fields: [u32("len"), vbuffer("data", "len")],
  subsections: [vmstate("uart/clock", { version: 1, fields: [u64("ticks")] })],
});

class Uart {
  readonly #secret = 1;
  len = this.#secret;
  data = new Uint8Array(4);
  ticks = 0n;
  readonly other = "more is fine";
}

registry.register(uart, new Uart());
registry.register(uart, { len: 0, data: new Uint8Array(0), ticks: 0n }, { path: "0000:00:01.0", instanceId: 0 });
registry.register(vmstate("empty", { version: 1, fields: [] }), {});

// @ts-expect-error A property of a field is missing.
registry.register(uart, { len: 0, ticks: 0n });
// @ts-expect-error A property of a subsection's field is missing.
registry.register(uart, { len: 0, data: new Uint8Array(0) });
// @ts-expect-error A property has another type.
registry.register(uart, { len: 0, data: new Uint8Array(0), ticks: 0 });
// @ts-expect-error The property that holds the length is spelt differently.
registry.register(uart, { length: 0, data: new Uint8Array(0), ticks: 0n });
// @ts-expect-error Live state has no description to take its version from.
registry.registerLive("ram", {});
// @ts-expect-error Live state has no alias.
registry.registerLive("ram", {}, { version: 1, aliasId: 1 });
