import { expect, it } from "vitest";
import { vmstate } from "../../src/vmstate/describe.js";
import { timer } from "../../src/vmstate/fields.js";
import { described, load, saved } from "../kit/vmstate.js";
import { toHex } from "../kit/hex.js";

/** A timer as timer_put and timer_get of savevm.c have it, and as vmstate_info_timer names it. */
const state = vmstate("clock", { version: 1, fields: [timer("alarm")] });

it("a timer: described under QEMU's type name", () => {
  expect(described(state, { alarm: 1n })).toBe(
    '{"vmsd_name": "clock", "version": 1, "fields": [{"name": "alarm", "type": "timer", "size": 8}]}',
  );
});

it.each([
  ["armed", 0x0123_4567_89ab_cdefn, "0123456789abcdef"],
  ["not armed", null, "ffffffffffffffff"],
])("a timer that is %s: be64 of its expiry, both ways", (_, alarm, hex) => {
  expect(toHex(saved(state, { alarm }))).toBe(hex);
  const device: { alarm: bigint | null } = { alarm: 5n };
  load(state, device, saved(state, { alarm }));
  expect(device.alarm).toBe(alarm);
});
