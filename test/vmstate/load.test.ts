import { describe, expect, it } from "vitest";
import { decodeAsync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { vmstate } from "../../src/vmstate/describe.js";
import {
  array,
  bool,
  buffer,
  i32,
  keyedTree,
  list,
  pointers,
  struct,
  tailq,
  temporary,
  tree,
  u16,
  u32,
  u64,
  u64Number,
  u8,
  u8Equal,
  unused,
  validate,
  varray,
  vbuffer,
} from "../../src/vmstate/fields.js";
import { loadVMState } from "../../src/vmstate/load.js";
import type { AnyVMState } from "../../src/vmstate/types.js";
import { failure } from "../kit/failure.js";
import { fromHex, toHex } from "../kit/hex.js";
import { load, saved } from "../kit/vmstate.js";

describe("loadVMState, order of hooks", () => {
  function machine(log: string[]): { state: AnyVMState; device: object } {
    const note = (what: string) => () => void log.push(what);
    const hooks = (name: string) => ({
      preSave: note(`preSave ${name}`),
      postSave: note(`postSave ${name}`),
      preLoad: note(`preLoad ${name}`),
      postLoad: note(`postLoad ${name}`),
      loaded: note(`loaded ${name}`),
    });
    const inner = vmstate("inner", { version: 1, fields: [u8("x")], ...hooks("inner") });
    const sub = vmstate("outer/sub", { version: 1, fields: [u8("y")], ...hooks("sub") });
    const state = vmstate("outer", { version: 1, fields: [struct("s", inner)], subsections: [sub], ...hooks("outer") });
    return { state, device: { s: { x: 1 }, y: 2 } };
  }

  it("save: depth first, post hooks after subsections", () => {
    const log: string[] = [];
    const { state, device } = machine(log);
    saved(state, device);
    expect(log).toEqual([
      "preSave outer",
      "preSave inner",
      "postSave inner",
      "preSave sub",
      "postSave sub",
      "postSave outer",
    ]);
  });

  it("load: as QEMU, and the loaded hooks after everything was committed", () => {
    const log: string[] = [];
    const { state, device } = machine(log);
    const bytes = saved(state, device);
    log.length = 0;
    load(state, device, bytes);
    expect(log).toEqual([
      "preLoad outer",
      "preLoad inner",
      "postLoad inner",
      "preLoad sub",
      "postLoad sub",
      "postLoad outer",
      "loaded inner",
      "loaded sub",
      "loaded outer",
    ]);
  });

  it("preSave throws: postSave is not called", () => {
    const log: string[] = [];
    const state = vmstate("d", {
      version: 1,
      fields: [],
      preSave: () => {
        throw new Error("busy");
      },
      postSave: () => void log.push("postSave"),
    });
    expect(failure(() => saved(state, {})).code).toBe("HOOK_FAILED");
    expect(log).toEqual([]);
  });

  it("a field fails to save: postSave is called, the field's error is the one thrown", () => {
    const log: string[] = [];
    const state = vmstate("d", {
      version: 1,
      fields: [u8("x")],
      postSave: () => {
        log.push("postSave");
        throw new Error("second");
      },
    });
    const error = failure(() => saved(state, { x: 300 }));
    expect([error.code, error.field]).toEqual(["FIELD_INVALID", "x"]);
    expect(log).toEqual(["postSave"]);
  });

  it("postSave alone fails: its error is thrown", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [],
      postSave: () => {
        throw new Error("late");
      },
    });
    expect(failure(() => saved(state, {})).code).toBe("HOOK_FAILED");
  });
});

describe("loadVMState, the draft", () => {
  it("postLoad throws: the device is untouched", () => {
    const state = vmstate("d", {
      version: 1,
      fields: [u8("a"), array("r", u16, 2), buffer("b", 2)],
      postLoad: () => {
        throw new Error("no");
      },
    });
    const device = { a: 1, r: new Uint16Array([2, 3]), b: new Uint8Array([4, 5]) };
    const error = failure(() => load(state, device, fromHex("09 0009 0009 0909")));
    expect(error.code).toBe("HOOK_FAILED");
    expect(error.cause).toBeInstanceOf(Error);
    expect(device).toEqual({ a: 1, r: new Uint16Array([2, 3]), b: new Uint8Array([4, 5]) });
  });

  it("loaded throws: every kind of value is put back", () => {
    const el = vmstate("el", { version: 1, fields: [u8("x")] });
    const state = vmstate("d", {
      version: 1,
      fields: [
        u8("a"),
        array("r", u8, 2),
        buffer("b", 1),
        struct("s", el),
        array("ss", el, 1),
        tailq("q", el),
        tree("t", el),
        u8("n"),
        varray("v", u8, "n", { max: 4 }),
        varray("vs", el, "n", { max: 4, create: () => ({}) }),
        u8("lens", { get: (d: { regs: number[] }) => d.regs[0] ?? 0, set: (d, v) => void (d.regs[0] = v) }),
      ],
      postLoad: (s) => void Object.assign(s, { extra: 7 }),
      loaded: () => {
        throw new Error("no");
      },
    });
    const make = () => ({
      a: 1,
      r: [2, 3],
      b: new Uint8Array([4]),
      s: { x: 5 },
      ss: [{ x: 6 }],
      q: [{ x: 7 }],
      t: new Map([[8n, { x: 9 }]]),
      n: 1,
      v: [10],
      vs: [{ x: 1 }],
      regs: [11],
      extra: 0,
    });
    const other = {
      ...make(),
      a: 0,
      r: [0, 0],
      b: new Uint8Array(1),
      s: { x: 0 },
      ss: [{ x: 0 }],
      q: [],
      t: new Map(),
      n: 2,
      v: [0, 0],
      vs: [{ x: 0 }, { x: 0 }],
      regs: [0],
    };
    const device = make();
    expect(failure(() => load(state, device, saved(state, other))).code).toBe("HOOK_FAILED");
    expect(device).toEqual(make());
  });

  it("hooks see what was loaded, and what they assign is committed", () => {
    const seen: unknown[] = [];
    const state = vmstate("d", {
      version: 2,
      fields: [u8("a"), u8("b", { since: 2 }), array("r", u8, 2, { since: 2 })],
      postLoad(draft, version) {
        seen.push(draft.a, draft.b, version);
        draft.b = 40;
        draft.r[1] = 41;
      },
    });
    const device = { a: 1, b: 2, r: [3, 4] };
    load(state, device, fromHex("09"), { version: 1 });
    expect(seen).toEqual([9, 2, 1]);
    expect(device).toEqual({ a: 9, b: 40, r: [3, 41] });
  });

  it("a hook changes an array that was not loaded, then a later hook fails: the device's array is its own", () => {
    const sub = vmstate("d/s", {
      version: 1,
      fields: [],
      postLoad: () => {
        throw new Error("no");
      },
    });
    const state = vmstate("d", {
      version: 2,
      fields: [array("r", u8, 1, { since: 2 })],
      subsections: [sub],
      preLoad: (draft) => void (draft.r[0] = 9),
    });
    const device = { r: [1] };
    expect(failure(() => load(state, device, fromHex("05 03 642f73 00000001"), { version: 1 })).code).toBe(
      "HOOK_FAILED",
    );
    expect(device).toEqual({ r: [1] });
  });

  it("predicates see earlier fields; private members of the device work", () => {
    class Device {
      #late = 5;
      kind = 0;
      get late(): number {
        return this.#late;
      }
      set late(value: number) {
        this.#late = value;
      }
    }
    const state = vmstate("d", {
      version: 1,
      fields: [u8("kind"), u8("late", { exists: (d: Device) => d.kind === 1 && d.late === 5 })],
    });
    const device = new Device();
    load(state, device, fromHex("01 07"));
    expect(device.late).toBe(7);
  });

  it("a promise from a hook is awaited, one that rejects fails the load", async () => {
    const order: string[] = [];
    const state = (fail: boolean) =>
      vmstate("d", {
        version: 1,
        fields: [u8("a")],
        async postLoad(draft) {
          await Promise.resolve();
          order.push("postLoad");
          draft.a += 1;
          if (fail) throw new Error("late");
        },
      });
    const run = async (description: AnyVMState, device: object) => {
      const reader = new Reader();
      await decodeAsync(
        (function* () {
          const loaded = yield* loadVMState(reader, description, device, 1);
          yield* loaded.commit();
        })(),
        reader,
        bytesSource(fromHex("05")),
      );
    };
    const device = { a: 0 };
    await run(state(false), device);
    expect([device.a, order]).toEqual([6, ["postLoad"]]);
    await expect(run(state(true), device)).rejects.toMatchObject({ code: "HOOK_FAILED" });
    expect(device.a).toBe(6);
  });

  it("a promise in a synchronous load: a TypeError", () => {
    const state = vmstate("d", { version: 1, fields: [], postLoad: async () => Promise.resolve() });
    expect(() => load(state, {}, new Uint8Array(0))).toThrow(TypeError);
  });
});

describe("loadVMState, errors", () => {
  const inner = vmstate("inner", { version: 1, fields: [u8("x"), u32("y")] });
  const state = vmstate("d", {
    version: 1,
    fields: [u8("a"), array("ports", inner, 2), u8Equal("same", { hint: "Use the same board" })],
  });
  const device = () => ({
    a: 0,
    ports: [
      { x: 0, y: 0 },
      { x: 0, y: 0 },
    ],
    same: 3,
  });

  it("the stream ends in a nested field: TRUNCATED with offset and path", () => {
    const error = failure(() => load(state, device(), fromHex("01 0100000000 02 0000")));
    expect([error.code, error.offset, error.field]).toEqual(["TRUNCATED", 9, "ports[1].y"]);
  });

  it("an equal field differs: both values, the hint, offset and path", () => {
    const error = failure(() => load(state, device(), fromHex("01 0100000000 0200000000 04")));
    expect([error.code, error.offset, error.field, error.hint]).toEqual([
      "FIELD_INVALID",
      11,
      "same",
      "Use the same board",
    ]);
    expect(error.message).toContain("0x4");
  });

  it("a count beyond the device's array: LENGTH_OUT_OF_RANGE before anything is allocated", () => {
    const counted = vmstate("d", { version: 1, fields: [i32("n"), varray("a", u32, "n")] });
    const error = failure(() => load(counted, { n: 0, a: new Uint32Array(2) }, fromHex("7fffffff 00000000")));
    expect([error.code, error.field]).toEqual(["LENGTH_OUT_OF_RANGE", "a"]);
  });

  it("a negative count, and a buffer beyond its max: LENGTH_OUT_OF_RANGE", () => {
    const counted = vmstate("d", { version: 1, fields: [i32("n"), vbuffer("b", "n", { max: 4 })] });
    const held = () => ({ n: 0, b: new Uint8Array(0) });
    expect(failure(() => load(counted, held(), fromHex("ffffffff"))).code).toBe("LENGTH_OUT_OF_RANGE");
    expect(failure(() => load(counted, held(), fromHex("00000005 0000000000"))).code).toBe("LENGTH_OUT_OF_RANGE");
  });

  it("a list or tree longer than allowed: LENGTH_OUT_OF_RANGE", () => {
    const el = vmstate("el", { version: 1, fields: [u8("x")] });
    const lists = vmstate("d", { version: 1, fields: [list("q", el, { max: 1 })] });
    expect(failure(() => load(lists, { q: [] }, fromHex("0101 0102 00"))).code).toBe("LENGTH_OUT_OF_RANGE");
    const trees = vmstate("d", { version: 1, fields: [tree("t", el)] });
    expect(failure(() => load(trees, { t: new Map() }, fromHex("ffffffff 00"))).code).toBe("LENGTH_OUT_OF_RANGE");
  });

  it("validate is false: FIELD_REQUIRED on load, and on save", () => {
    const valid = vmstate("d", {
      version: 1,
      fields: [u8("a"), validate("a is small", (d: { a: number }) => d.a < 5)],
    });
    expect(failure(() => load(valid, { a: 0 }, fromHex("09"))).code).toBe("FIELD_REQUIRED");
    expect(failure(() => saved(valid, { a: 9 })).code).toBe("FIELD_REQUIRED");
    expect(toHex(saved(valid, { a: 4 }))).toBe("04");
  });

  it("a counter beyond 2^53 - 1: FIELD_INVALID both ways", () => {
    const counter = vmstate("d", { version: 1, fields: [u64Number("n")] });
    expect(failure(() => load(counter, { n: 0 }, fromHex("0020000000000000"))).code).toBe("FIELD_INVALID");
    expect(failure(() => saved(counter, { n: 2 ** 53 })).code).toBe("FIELD_INVALID");
  });

  it("values that do not fit their width: FIELD_INVALID; either sign is fine", () => {
    const all = vmstate("d", { version: 1, fields: [u8("a"), u16("b"), u32("c"), u64("d"), bool("e")] });
    const good = { a: -1, b: 65535, c: -1, d: -1n, e: true };
    expect(toHex(saved(all, good))).toBe("ffffffffffffffffffffffffffffff01");
    const bad = [
      { a: 256 },
      { b: 1.5 },
      { c: 2 ** 32 },
      { d: 2n ** 64n },
      { d: 1 },
      { e: 1 },
      { a: undefined },
      { c: "1" },
    ];
    for (const one of bad) {
      const error = failure(() => saved(all, { ...good, ...one }));
      expect([error.code, error.field]).toEqual(["FIELD_INVALID", Object.keys(one)[0]]);
    }
  });

  it("an array or struct that the device does not have: FIELD_INVALID, no TypeError", () => {
    expect(failure(() => saved(state, { a: 0, same: 3 })).code).toBe("FIELD_INVALID");
    expect(failure(() => load(state, { a: 0, same: 3, ports: [null, null] }, new Uint8Array(12))).code).toBe(
      "FIELD_INVALID",
    );
  });

  it("every truncation of a device with everything in it: a typed error, untouched", () => {
    const el = vmstate("el", { version: 1, fields: [u8("x")] });
    const everything = vmstate("d", {
      version: 1,
      fields: [
        u8("n"),
        varray("v", u16, "n", { max: 4 }),
        pointers("p", el, 2),
        tailq("q", el),
        keyedTree("t", vmstate("k", { version: 1, fields: [u16("k")] }), el),
        unused(3),
        buffer("b", 2),
      ],
      subsections: [vmstate("d/s", { version: 1, fields: [u32("z")] })],
    });
    const make = () => ({
      n: 2,
      v: [1, 2],
      p: [{ x: 1 }, null],
      q: [{ x: 2 }],
      t: new Map([[{ k: 3 }, { x: 4 }]]),
      b: new Uint8Array([5, 6]),
      z: 7,
    });
    const bytes = saved(everything, make());
    const optional = bytes.length - 13; // the subsection: a stream may end before it
    for (let end = 0; end < bytes.length; end++) {
      if (end >= optional && end < optional + 5) continue;
      const device = { ...make(), n: 0, v: [], q: [], t: new Map() };
      const error = failure(() => load(everything, device, bytes.subarray(0, end)));
      expect(error.code).toBe("TRUNCATED");
      expect(device.q).toEqual([]);
    }
    const back = { ...make(), n: 0, v: [], q: [], t: new Map(), b: new Uint8Array(2), z: 0 };
    expect(load(everything, back, bytes)).toBe(0);
    expect(back).toEqual(make());
  });
});

describe("temporary objects", () => {
  const tmp = vmstate("tmp", {
    version: 1,
    fields: [u16("sum")],
    preSave: (t: { sum: number; parent: { a: number; b: number } }) => void (t.sum = t.parent.a + t.parent.b),
    postLoad: (t) => void (t.parent.b = t.sum - t.parent.a),
  });
  const state = vmstate("d", {
    version: 1,
    fields: [u8("a"), temporary("tmp", tmp, (parent: { a: number; b: number }) => ({ sum: 0, parent }))],
  });

  it("saved from the parent, loaded into its draft", () => {
    const bytes = saved(state, { a: 3, b: 4 });
    expect(toHex(bytes)).toBe("030007");
    const device = { a: 0, b: 0 };
    load(state, device, bytes);
    expect(device).toEqual({ a: 3, b: 4 });
  });
});
