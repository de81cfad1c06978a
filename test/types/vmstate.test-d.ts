/**
 * Type tests: each `@ts-expect-error` line must not compile, every other line must. Checked by the type check of the
 * whole project; nothing here runs.
 */
import { vmstate } from "../../src/vmstate/describe.js";
import {
  array,
  bool,
  pointers,
  struct,
  tailq,
  timer,
  u16,
  u32,
  u64,
  u8,
  vbuffer,
  varray,
} from "../../src/vmstate/fields.js";
import type { DeviceOf, StateOf } from "../../src/vmstate/types.js";

declare function register<D extends object>(
  state: { readonly name: string } & import("../../src/vmstate/types.js").VMState<D>,
  device: D,
): void;
declare function exactly<A, B>(
  same: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false,
): void;

const fifo = vmstate("fifo", { version: 1, fields: [u8("head"), u32("len"), vbuffer("data", "len")] });
const timeout = vmstate("serial/timeout", { version: 1, fields: [timer("timeout")] });
const serial = vmstate("serial", {
  version: 3,
  minimumVersion: 2,
  fields: [
    u8("rbr"),
    u64("cycles"),
    bool("thri", { since: 3 }),
    struct("fifo", fifo),
    array("regs", u16, 4),
    u32("eax", { get: (cpu: { r: Int32Array }) => cpu.r[0], set: (cpu: { r: Int32Array }, v) => void (cpu.r[0] = v) }),
    u8("late", { exists: (state: { rbr: number }) => state.rbr > 0 }),
  ],
  subsections: [timeout],
  postLoad(state, version) {
    exactly<typeof state.rbr, number>(true);
    exactly<typeof version, number>(true);
    // @ts-expect-error the state has no such property
    state.rbrr = 1;
    // @ts-expect-error u64 is a bigint
    state.cycles = 1;
  },
});

const device = {
  rbr: 0,
  cycles: 0n,
  thri: false,
  fifo: { head: 0, len: 0, data: new Uint8Array(16) },
  regs: new Uint16Array(4),
  r: new Int32Array(8),
  late: 0,
  timeout: null as bigint | null,
  more: "is fine",
};

register(serial, device);
exactly<DeviceOf<typeof serial>["thri"], boolean>(true);
exactly<StateOf<typeof fifo>["data"], Uint8Array>(true);

const { rbr: _rbr, ...noRbr } = device;
// @ts-expect-error a property is missing
register(serial, noRbr);
// @ts-expect-error a property has the wrong type
register(serial, { ...device, cycles: 0 });
// @ts-expect-error a nested property is missing
register(serial, { ...device, fifo: { head: 0, len: 0 } });
// @ts-expect-error a subsection's property is missing
register(serial, { ...device, timeout: undefined });
// @ts-expect-error what a lens asks for is missing
register(serial, { ...device, r: undefined });

const misspelt = vmstate("buffer", { version: 1, fields: [u32("len"), vbuffer("data", "lne")] });
// @ts-expect-error the length field is misspelt
register(misspelt, { len: 0, data: new Uint8Array(4) });
const counted = vmstate("counted", { version: 1, fields: [u8("n"), varray("a", u16, "m")] });
// @ts-expect-error the count field is misspelt
register(counted, { n: 0, a: [1, 2] });
register(counted, { n: 0, m: 2, a: [1, 2] });

const lists = vmstate("lists", { version: 1, fields: [tailq("q", fifo), pointers("p", fifo, 2)] });
register(lists, { q: [], p: [null, device.fifo] });
// @ts-expect-error elements of a list are described structs
register(lists, { q: [1], p: [null, null] });
const hooked = vmstate("hooked", {
  version: 1,
  fields: [u8("a")],
  loaded: (d: { a: number; refresh(): void }) => d.refresh(),
});
register(hooked, { a: 1, refresh: () => undefined });
// @ts-expect-error what a hook asks for is missing
register(hooked, { a: 1 });
// @ts-expect-error a field name is a string
u8(1);
// @ts-expect-error a description needs a version
vmstate("none", { fields: [u8("a")] });
