import { describe, expect, it } from "vitest";
import { decodeAsync, type Decode } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { toSource } from "../../src/stream/source.js";
import { vmstate } from "../../src/vmstate/describe.js";
import {
  array,
  bitmap,
  buffer,
  i32,
  list,
  pointers,
  scalarPointers,
  struct,
  tailq,
  temporary,
  timer,
  tree,
  u16,
  u32,
  u32Equal,
  u64,
  u8,
  u8Equal,
  unused,
  varray,
  vbuffer,
} from "../../src/vmstate/fields.js";
import { loadVMState } from "../../src/vmstate/load.js";
import { failure } from "../kit/failure.js";
import { fromHex, toHex } from "../kit/hex.js";
import { load, saved } from "../kit/vmstate.js";

/** What hooks see and may do, and what a failed load leaves behind. */

const no = (): never => {
  throw new Error("no");
};
const element = vmstate("el", { version: 1, fields: [u8("x")] });

describe("hooks and what they see", () => {
  it("a timer that was loaded as not armed: null, not what the device holds", () => {
    const seen: unknown[] = [];
    const state = vmstate("d", { version: 1, fields: [timer("t")], postLoad: (d) => void seen.push(d.t) });
    const device = { t: 5n as bigint | null };
    load(state, device, fromHex("ffffffffffffffff"));
    expect([seen, device.t]).toEqual([[null], null]);
  });

  it("a getter of the device's class: computed from what was loaded", () => {
    class Fifo {
      head = 0;
      tail = 0;
      get empty(): boolean {
        return this.head === this.tail;
      }
    }
    const seen: boolean[] = [];
    const state = vmstate("d", {
      version: 1,
      fields: [u8("head"), u8("tail")],
      postLoad: (d: { empty: boolean }) => void seen.push(d.empty),
    });
    load(state, new Fifo(), fromHex("0102"));
    load(state, Object.assign(new Fifo(), { head: 1 }), fromHex("0202"));
    expect(seen).toEqual([false, true]);
  });

  it("a frozen device whose arrays are filled: read by hooks, loaded in place", () => {
    const seen: unknown[] = [];
    const state = vmstate("d", {
      version: 1,
      fields: [array("regs", u8, 2), struct("s", element)],
      postLoad: (d) => void seen.push([...(d.regs as Uint8Array)], d.s.x, { ...d }.s.x, "regs" in d, Object.keys(d)),
    });
    const regs = new Uint8Array(2);
    const device = Object.freeze({ regs, s: { x: 0 } });
    load(state, device, fromHex("010203"));
    expect([[...regs], device.s.x]).toEqual([[1, 2], 3]);
    expect(seen).toEqual([[1, 2], 3, 3, true, ["regs", "s"]]);
  });

  it("a frozen device with a scalar: HOOK_FAILED naming the field, and what was written is taken back", () => {
    const state = vmstate("d", { version: 1, fields: [array("regs", u8, 1), u8("a")] });
    const device = Object.freeze({ regs: new Uint8Array(1), a: 0 });
    const error = failure(() => load(state, device, fromHex("0102")));
    expect([error.code, error.field, device.regs[0]]).toEqual(["HOOK_FAILED", "a", 0]);
  });

  it("the middle of an array: hooks see the whole array, what they change goes to its place", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [array("r", u8, 2, { start: 1 }), buffer("b", 1, { start: 2 })],
      postLoad(d) {
        expect([[...(d.r as number[])], [...d.b]]).toEqual([
          [10, 1, 2, 13],
          [20, 21, 3],
        ]);
        d.r[3] = 99;
        d.b[0] = 98;
      },
    });
    const device = { r: [10, 11, 12, 13], b: new Uint8Array([20, 21, 22]) };
    const { r, b } = device;
    load(state, device, fromHex("010203"));
    expect([device.r === r, device.b === b, r, [...b]]).toEqual([true, true, [10, 1, 2, 99], [98, 21, 3]]);
  });

  it("a list, a tree and structs: hooks may add, drop and change elements", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [tailq("q", element), tree("t", element), array("p", element, 2)],
      postLoad(d) {
        d.q = d.q.filter(({ x }) => x !== 2);
        d.q.push({ x: 9 });
        d.t.delete(5n);
        d.t.set(7n, { x: 8 });
        (d.t.get(6n) ?? { x: 0 }).x += 100;
        d.p[1].x = 77;
      },
    });
    const device = { q: [{ x: 0 }], t: new Map<bigint, { x: number }>(), p: [{ x: 0 }, { x: 0 }] };
    load(state, device, fromHex("0101 0102 00 00000002 01 0000000000000005 01 01 0000000000000006 02 00 0304"));
    expect(device.q).toEqual([{ x: 1 }, { x: 9 }]);
    expect(device.t).toEqual(
      new Map([
        [6n, { x: 102 }],
        [7n, { x: 8 }],
      ]),
    );
    expect(device.p).toEqual([{ x: 3 }, { x: 77 }]);
  });

  it("containers that were not loaded: what hooks do to them is undone when the load fails", () => {
    const sub = vmstate("d/s", { version: 1, fields: [array("z", u8, 1)] });
    const late = vmstate("d/t", { version: 1, fields: [], postLoad: no });
    const state = vmstate("d", {
      version: 2,
      fields: [
        list("q", element, { since: 2 }),
        tree("t", element, { since: 2 }),
        array("p", element, 1, { since: 2 }),
        struct("s", element, { since: 2 }),
        buffer("b", 1, { since: 2 }),
        bitmap("m", 8, { since: 2 }),
      ],
      subsections: [sub, late],
      preLoad(d) {
        d.q.push({ x: 1 });
        d.t.clear();
        d.p[0].x = 1;
        d.s.x = 1;
        d.b[0] = 1;
        d.m[0] = 1;
        d.z[0] = 1;
      },
    });
    const make = () => ({
      q: [{ x: 0 }],
      t: new Map([[1n, { x: 0 }]]),
      p: [{ x: 0 }],
      s: { x: 0 },
      b: Buffer.of(0),
      m: new Uint8Array(1),
      z: [0],
    });
    const device = make();
    failure(() => load(state, device, fromHex("05 03 642f74 00000001"), { version: 1 }));
    expect(device).toEqual(make());
    load(state, device, new Uint8Array(0), { version: 1 });
    expect(device).toEqual({
      q: [{ x: 0 }, { x: 1 }],
      t: new Map(),
      p: [{ x: 1 }],
      s: { x: 1 },
      b: Buffer.of(1),
      m: new Uint8Array([1]),
      z: [1],
    });
  });

  it("a struct that is the device itself (a base class): one draft, in both descriptions", () => {
    const base = vmstate("base", { version: 1, fields: [u8("a"), u8("b")] });
    const seen: unknown[] = [];
    const state = vmstate("d", {
      version: 1,
      fields: [u8("n"), struct("base", base, { get: (d: { a: number; b: number }) => d }), u8("b")],
      postLoad(d) {
        seen.push(d.n, d.a, d.b);
        d.a += 1;
      },
    });
    const device = { n: 0, a: 0, b: 0 };
    load(state, device, fromHex("01020304"));
    expect([seen, device]).toEqual([[1, 2, 4], { n: 1, a: 3, b: 4 }]);
  });

  it("fields of one name and different kinds, lens and property: the one loaded last counts", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [u8("c"), u16("c"), array("r", u8, 1), array("r", u8, 2)],
      preLoad: (d) => void (d.c = 7),
    });
    const device = { c: 0, r: [0, 0] };
    load(state, device, fromHex("01 0203 04 0506"));
    expect(device).toEqual({ c: 0x203, r: [5, 6] });
  });

  it("an assignment in preLoad, then an older variant of the field is decoded: the decoded value stays", () => {
    const state = vmstate("d", {
      version: 2,
      fields: [u8("c", { exists: (_, version) => version < 2 }), u32("c", { since: 2 })],
      preLoad: (d) => void (d.c = 7),
    });
    const device = { c: 0 };
    load(state, device, fromHex("01"), { version: 1 });
    expect(device.c).toBe(1);
  });

  it("a subsection sent twice, others between: the last values count", () => {
    const sub = (name: string) => vmstate(name, { version: 1, fields: [u8("z")] });
    const state = vmstate("d", { version: 1, fields: [], subsections: [sub("d/a"), sub("d/b")] });
    const device = { z: 0 };
    load(state, device, fromHex("05 03 642f61 00000001 01 05 03 642f62 00000001 02 05 03 642f61 00000001 03"));
    expect(device.z).toBe(3);
  });

  it("a count behind a lens: what was loaded, not what the device still holds", () => {
    class Device {
      head = { n: 0 };
      data = new Uint8Array(4);
      get n(): number {
        return this.head.n;
      }
    }
    const state = vmstate("d", {
      version: 1,
      fields: [
        u8("n", { get: (d: Device) => d.head.n, set: (d: Device, v) => void (d.head.n = v) }),
        vbuffer("data", "n"),
      ],
    });
    const device = new Device();
    expect(load(state, device, fromHex("020102"))).toBe(0);
    expect([device.n, [...device.data]]).toEqual([2, [1, 2, 0, 0]]);
  });

  it("deleting or defining on a draft: never reaches the device", () => {
    for (const act of [
      (d: object) => Reflect.deleteProperty(d, "a"),
      (d: object) => Reflect.setPrototypeOf(d, null),
      (d: object) => Reflect.preventExtensions(d),
      (d: object) => Object.defineProperty(d, "a", { get: () => 1 }),
    ]) {
      const sub = vmstate("d/s", { version: 1, fields: [], postLoad: no });
      const state = vmstate("d", { version: 1, fields: [u8("a")], subsections: [sub], preLoad: (d) => void act(d) });
      const device = { a: 3 };
      failure(() => load(state, device, fromHex("01 05 03 642f73 00000001")));
      expect([device, Object.isExtensible(device)]).toEqual([{ a: 3 }, true]);
    }
  });

  it("a draft kept beyond the commit: assigning to it is a TypeError", () => {
    let kept: { a: number } | null = null;
    const state = vmstate("d", { version: 1, fields: [u8("a")], postLoad: (d) => void (kept = d) });
    const device = { a: 0 };
    load(state, device, fromHex("01"));
    expect(() => void ((kept as unknown as { a: number }).a = 2)).toThrow(TypeError);
    expect(device.a).toBe(1);
  });

  it("a temporary object's loaded hook: finds it filled", () => {
    const seen: unknown[] = [];
    const tmp = vmstate("tmp", {
      version: 1,
      fields: [u8("sum")],
      loaded: (t: { sum: number }) => void seen.push(t.sum),
    });
    const state = vmstate("d", { version: 1, fields: [temporary("tmp", tmp, () => ({ sum: 0 }))] });
    load(state, {}, fromHex("05"));
    expect(seen).toEqual([5]);
  });
});

describe("arrays that grow, shrink, or keep their place", () => {
  it("a varray with a maximum: ends where the list does, of scalars and of structs, from `start` on", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [
        u8("n"),
        varray("v", u8, "n", { max: 4 }),
        varray("s", element, "n", { max: 4, create: () => ({ x: 0 }) }),
        varray("w", u8, "n", { max: 4, start: 1 }),
        vbuffer("b", "n", { max: 4, start: 1 }),
      ],
    });
    const make = () => ({
      n: 0,
      v: [1, 2, 3],
      s: [{ x: 1 }, { x: 2 }, { x: 3 }],
      w: Int16Array.of(9, 8, 7, 6),
      b: Uint8Array.of(9, 8),
    });
    const device = make();
    load(state, device, fromHex("02 0405 0607 0809 0a0b"));
    expect(device).toEqual({
      n: 2,
      v: [4, 5],
      s: [{ x: 6 }, { x: 7 }],
      w: Int16Array.of(9, 8, 9),
      b: Uint8Array.of(9, 10, 11),
    });
    expect(toHex(saved(state, device))).toBe("02040506070809" + "0a0b");
  });

  it("of the same length: the device's own typed array is filled, also one on shared or Wasm memory", () => {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const shared = new SharedArrayBuffer(8);
    const state = vmstate("d", {
      version: 1,
      fields: [i32("n"), varray("v", u32, "n", { max: 4 }), vbuffer("b", "n", { max: 4 }), array("r", u16, 2)],
      postLoad: (d) => void (d.r[1] = 7),
    });
    const device = {
      n: 0,
      v: new Int32Array(memory.buffer, 8, 2),
      b: new Uint8Array(shared, 0, 2),
      r: new Uint16Array(shared, 4, 2),
    };
    const before = { ...device };
    load(state, device, fromHex("00000002 00000001 ffffffff 0304 0005 0006"));
    expect([device.v === before.v, device.b === before.b, device.r === before.r]).toEqual([true, true, true]);
    expect([[...device.v], [...device.b], [...device.r]]).toEqual([
      [1, -1],
      [3, 4],
      [5, 7],
    ]);
  });

  it("a loaded hook throws: lengths, Node Buffers and absent properties are as before", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [
        u8("n"),
        varray("v", u8, "n", { max: 9 }),
        varray("s", element, "n", { max: 9, create: () => ({ x: 0 }) }),
        varray("typed", u8, "n", { max: 9 }),
        buffer("b", 2),
        u8("missing"),
        u64("big"),
      ],
      postLoad: (d) => void Object.assign(d, { extra: 1 }),
      loaded: no,
    });
    const typed = Uint8Array.of(1, 2, 3, 4);
    const make = () => ({ n: 1, v: [1, 2, 3], s: [{ x: 1 }, { x: 2 }], typed, b: Buffer.of(1, 2), big: 5n });
    const device = make();
    const values = "03 040506 070809 0a0b0c 0d0e 0f 0000000000000001";
    expect(failure(() => load(state, device, fromHex(values))).code).toBe("HOOK_FAILED");
    expect(device).toEqual(make());
    expect([device.typed === typed, Object.keys(device)]).toEqual([true, ["n", "v", "s", "typed", "b", "big"]]);
    expect(
      failure(() => load(state, device, fromHex(values.replace("03", "01").replace("0506", "")))).code,
    ).toBeDefined();
    expect(device).toEqual(make());
  });

  it("putting one value back fails: the others are put back all the same, the first error is reported", () => {
    let armed = false;
    const device = {
      a: 1,
      get b(): number {
        return 2;
      },
      set b(_: number) {
        if (armed) throw new Error("second");
        armed = true;
      },
      c: 3,
    };
    const state = vmstate("d", { version: 1, fields: [u8("a"), u8("b"), u8("c")], loaded: no });
    expect(failure(() => load(state, device, fromHex("090909"))).message).toContain("no");
    expect([device.a, device.c]).toEqual([1, 3]);
  });

  it("preLoad makes the array that a count then fills", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [u8("n"), vbuffer("b", "n")],
      preLoad: (d) => void (d.b = new Uint8Array(4)),
    });
    const device = { n: 0, b: new Uint8Array(0) };
    load(state, device, fromHex("020102"));
    expect(device).toEqual({ n: 2, b: Uint8Array.of(1, 2, 0, 0) });
  });
});

describe("errors", () => {
  it("a device without the array of structs: FIELD_INVALID or LENGTH_OUT_OF_RANGE, never a raw TypeError", () => {
    const state = vmstate("d", { version: 1, fields: [u8("n"), varray("s", element, "n", { max: 4 })] });
    expect(failure(() => load(state, { n: 0 }, fromHex("0101"))).field).toBe("s[0]");
  });

  it("a lens that throws: HOOK_FAILED with the field", () => {
    const state = vmstate("d", { version: 1, fields: [struct("s", element, { get: no })] });
    const error = failure(() => load(state, {}, fromHex("01")));
    expect([error.code, error.field]).toEqual(["HOOK_FAILED", "s"]);
  });

  it("values of a wrong type: FIELD_INVALID", () => {
    const state = vmstate("d", { version: 1, fields: [u32("c")] });
    expect(failure(() => saved(state, { c: 1n })).code).toBe("FIELD_INVALID");
    const same = vmstate("d", { version: 1, fields: [u8Equal("e"), u32Equal("f")] });
    expect(failure(() => load(same, { f: 1 }, fromHex("0100000001"))).code).toBe("FIELD_INVALID");
  });

  it("a value that fails inside a run: its own offset and name, also after unused bytes", () => {
    const state = vmstate("d", { version: 1, fields: [u16("a"), unused(3), u8("b"), u8Equal("e"), u8("z")] });
    const device = { a: 0, b: 0, e: 4, z: 0 };
    const error = failure(() => load(state, device, fromHex("0001 aabbcc 02 05 06")));
    expect([error.code, error.field, error.offset]).toEqual(["FIELD_INVALID", "e", 6]);
    const short = failure(() => load(state, device, fromHex("0001 aabbcc 02")));
    expect([short.code, short.field, short.offset]).toEqual(["TRUNCATED", "e", 6]);
    load(state, device, fromHex("0001 aabbcc 02 04 06"));
    expect(device).toEqual({ a: 1, b: 2, e: 4, z: 6 });
  });

  it("a codec spread from another with a get of its own: that get is used", () => {
    const state = vmstate("d", { version: 1, fields: [array("r", { ...u8, get: (r) => r.u8() + 1 }, 1)] });
    const device = { r: [0] };
    load(state, device, fromHex("01"));
    expect(device.r).toEqual([2]);
  });
});

describe("the subsection probe", () => {
  it("names that are not ASCII: measured in bytes, as on the wire", () => {
    const sub = vmstate("é/é", { version: 1, fields: [u8("z")] });
    const state = vmstate("é", { version: 1, fields: [u8("a")], subsections: [sub] });
    const device = { a: 1, z: 2 };
    const bytes = saved(state, device);
    const back = { a: 0, z: 0 };
    expect(load(state, back, bytes, { chunk: 1 })).toBe(0);
    expect(back).toEqual(device);
    // Two bytes, which is the length of "é" itself: too short to be a subsection of it, so it is left alone.
    expect(load(state, back, fromHex("01 05 02 c3a9 00000001"))).toBe(8);
    // It begins as ours does, though the whole name is no UTF-8.
    const error = failure(() => load(state, back, fromHex("01 05 03 c3a9ff 00000001")));
    expect(error.code).toBe("SUBSECTION_UNKNOWN");
  });
});

describe("arrays of pointers", () => {
  it("to scalars and timers: the byte 0x30 for what is undefined, the device says which", () => {
    const state = vmstate("d", { version: 1, fields: [scalarPointers("p", u16, 3), scalarPointers("t", timer, 2)] });
    const device = { p: [1, undefined, 3], t: [undefined, null as bigint | null] };
    const bytes = saved(state, device);
    expect(toHex(bytes)).toBe("0001300003" + "30ffffffffffffffff");
    const back = { p: [0, undefined, 0], t: [undefined, 5n as bigint | null] };
    load(state, back, bytes, { chunk: 1 });
    expect(back).toEqual(device);
    const error = failure(() => load(state, { ...back, p: [0, 0, undefined] }, bytes));
    expect([error.code, error.field, error.offset]).toEqual(["FIELD_INVALID", "p[2]", 0]);
  });

  it("as many as a property says: read after it was loaded", () => {
    const state = vmstate("d", { version: 1, fields: [u8("n"), pointers("p", element, "n")] });
    const device = { n: 2, p: [{ x: 5 }, null] };
    const back = { n: 0, p: [{ x: 0 }, null] };
    load(state, back, saved(state, device));
    expect([back, toHex(saved(state, back))]).toEqual([device, "020530"]);
  });
});

describe("a load that is given up", () => {
  const sub = vmstate("d/s", { version: 1, fields: [u32("z")], postLoad: () => Promise.resolve() });
  const state = vmstate("d", {
    version: 1,
    fields: [u8("n"), varray("v", u16, "n", { max: 4 }), tailq("q", element), struct("s", element), buffer("b", 2)],
    subsections: [sub],
    preLoad: (d) => void (d.s.x = 50),
    postLoad: () => Promise.resolve(),
    loaded: () => Promise.resolve(),
  });
  const make = () => ({ n: 1, v: [1], q: [{ x: 1 }], s: { x: 1 }, b: Buffer.of(1, 2), z: 1 });
  const bytes = saved(state, { n: 2, v: [3, 4], q: [{ x: 5 }], s: { x: 6 }, b: Buffer.of(7, 8), z: 9 });

  it("aborted at any point, also while a loaded hook waits: the reason unchanged, the device as before", async () => {
    let finished = 0;
    for (let stop = 0; stop < bytes.length + 12; stop++) {
      const controller = new AbortController();
      const reader = new Reader();
      const device = make();
      let steps = 0;
      const counting = (function* (): Decode<void> {
        const load = (function* (): Decode<void> {
          const loaded = yield* loadVMState(reader, state, device, 1);
          yield* loaded.commit();
        })();
        let step = load.next();
        while (!step.done) {
          if (steps++ === stop) controller.abort("enough");
          try {
            yield step.value;
            step = load.next();
          } catch (error) {
            step = load.throw(error);
          }
        }
      })();
      const source = toSource(Array.from(bytes, (byte) => Uint8Array.of(byte)));
      const outcome = await decodeAsync(counting, reader, source, { signal: controller.signal }).catch(
        (error: unknown) => error,
      );
      if (outcome === undefined) finished += 1;
      else expect([outcome, device]).toEqual(["enough", make()]);
    }
    expect(finished).toBeGreaterThan(0);
    expect(finished).toBeLessThan(bytes.length);
  });
});
