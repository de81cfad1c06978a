import { describe, expect, it } from "vitest";
import type { SaveVMHandlers } from "../../src/registry/handlers.js";
import { StateRegistry } from "../../src/registry/registry.js";
import { SaveSession, type SaveOptions } from "../../src/savevm/save.js";
import type { TraceEvent } from "../../src/savevm/trace.js";
import { encodeAsync, encodeSync, type Encode } from "../../src/stream/drive.js";
import { BytesSink } from "../../src/stream/sink.js";
import { Writer } from "../../src/stream/writer.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u8 } from "../../src/vmstate/fields.js";
import { MigrationPriority, type VMStateOptions } from "../../src/vmstate/types.js";
import { failure } from "../kit/failure.js";
import { toHex } from "../kit/hex.js";
import { oldStyle, probe, type ProbeOptions } from "../kit/live.js";

/** No frills: sections without footers, configuration and description. */
const bare: SaveOptions = { machine: "toy", configuration: false, footers: false, description: false };

interface Dev {
  v: number;
}
function device(name: string, options: Partial<VMStateOptions<Dev>> = {}) {
  return vmstate(name, { version: 3, ...options, fields: [u8("v")] });
}

/** Registers probes "a" and "b" with these answers. */
function two(a: ProbeOptions = {}, b: ProbeOptions = {}): { registry: StateRegistry; log: string[] } {
  const log: string[] = [];
  const registry = new StateRegistry();
  registry.registerLive("a", probe(log, "a", a), { version: 1 });
  registry.registerLive("b", probe(log, "b", b), { version: 1 });
  return { registry, log };
}

/** What one step writes, as hex. */
function written<T>(step: (writer: Writer) => Encode<T>): { hex: string; result: T } {
  const writer = new Writer();
  const sink = new BytesSink();
  const result = encodeSync(step(writer), writer, sink);
  return { hex: toHex(sink.toBytes()), result };
}

const START_A = "01000000000161" + "00000000" + "00000001" + "aa";
const START_B = "01000000010162" + "00000000" + "00000001" + "aa";
const PART_A = "0200000000aa";
const PART_B = "0200000001aa";
const END_A = "0300000000aa";
const END_B = "0300000001aa";

describe("prepare", () => {
  it("asks active handlers in order and writes nothing", () => {
    const { registry, log } = two();
    registry.registerLive("c", probe(log, "c", { active: false }), { version: 1 });
    registry.register(device("d"), { v: 1 });
    expect(written(() => new SaveSession(registry, bare).prepare()).hex).toBe("");
    expect(log).toEqual(["a.savePrepare", "b.savePrepare"]);
  });

  it("the first refusal ends it, as a typed error that names the section", () => {
    const { registry, log } = two({ fails: ["savePrepare"] });
    const error = failure(() => written(() => new SaveSession(registry, bare).prepare()));
    expect(error).toMatchObject({ code: "HOOK_FAILED", section: { idstr: "a", id: 0 } });
    expect(error.cause).toEqual(new Error("a fails in savePrepare"));
    expect(log).toEqual(["a.savePrepare"]);
  });

  it("waits for promises, and a rejection is the handler's failure", async () => {
    const registry = new StateRegistry();
    const prepared: string[] = [];
    const savePrepare = async (): Promise<void> => void (await Promise.resolve(), prepared.push("a"));
    registry.registerLive("a", { savePrepare }, { version: 1 });
    registry.registerLive("b", { savePrepare: () => Promise.reject(new Error("no")) }, { version: 1 });
    const writer = new Writer();
    const run = encodeAsync(new SaveSession(registry, bare).prepare(), writer, new BytesSink());
    await expect(run).rejects.toMatchObject({ code: "HOOK_FAILED", section: { idstr: "b" } });
    expect(prepared).toEqual(["a"]);
  });
});

describe("setup", () => {
  it("START of active handlers, in order", () => {
    const { registry, log } = two();
    registry.registerLive("c", probe(log, "c", { active: false }), { version: 1 });
    expect(written((writer) => new SaveSession(registry, bare).setup(writer)).hex).toBe(START_A + START_B);
    expect(log).toEqual(["a.saveSetup", "b.saveSetup"]);
  });

  it("handlers without that hook, and old-style ones, are passed over", () => {
    const registry = new StateRegistry();
    registry.registerLive("old", oldStyle(1), { version: 1 });
    expect(written((writer) => new SaveSession(registry, bare).setup(writer)).hex).toBe("");
  });

  it("a device that goes early is a FULL section in its place, and is not repeated at the end", () => {
    const { registry } = two();
    const early = device("e", { earlySetup: true, priority: MigrationPriority.VIRTIO_MEM });
    registry.register(early, { v: 0x77 });
    registry.register(device("d"), { v: 0x55 });
    const session = new SaveSession(registry, bare);
    const FULL_E = "04000000020165" + "00000000" + "00000003" + "77";
    const FULL_D = "04000000030164" + "00000000" + "00000003" + "55";
    expect(written((writer) => session.setup(writer)).hex).toBe(FULL_E + START_A + START_B);
    expect(written((writer) => session.completePrecopy(writer)).hex).toBe(`${END_A}${END_B}${FULL_D}00`);
  });

  it("an early device that is not needed is left out", () => {
    const registry = new StateRegistry();
    registry.register(device("e", { earlySetup: true, needed: () => false }), { v: 1 });
    expect(written((writer) => new SaveSession(registry, bare).setup(writer)).hex).toBe("");
  });

  it("a failing handler ends it, with the offset reached", () => {
    const { registry, log } = two({ fails: ["saveSetup"] });
    const error = failure(() => written((writer) => new SaveSession(registry, bare).setup(writer)));
    expect(error).toMatchObject({ code: "HOOK_FAILED", offset: 15, section: { id: 0, idstr: "a", version: 1 } });
    expect(log).toEqual(["a.saveSetup"]);
  });
});

describe("resumePrepare", () => {
  it("asks active handlers; the first failure ends it", () => {
    const log: string[] = [];
    const registry = new StateRegistry();
    registry.registerLive("a", probe(log, "a", { active: false }), { version: 1 });
    registry.registerLive("b", probe(log, "b", { fails: ["resumePrepare"] }), { version: 1 });
    registry.registerLive("c", probe(log, "c"), { version: 1 });
    expect(failure(() => written(() => new SaveSession(registry, bare).resumePrepare())).section?.idstr).toBe("b");
    expect(log).toEqual(["b.resumePrepare"]);
  });
});

describe("iterate", () => {
  const iterate = (registry: StateRegistry, options: SaveOptions = bare) =>
    written((writer) => new SaveSession(registry, options).iterate(writer));

  it("PART of every handler when each has nothing left: done", () => {
    expect(iterate(two().registry)).toEqual({ hex: PART_A + PART_B, result: true });
  });

  it("a handler with more to send ends the round before the next one has a turn", () => {
    const { registry } = two({ rounds: 2 });
    const session = new SaveSession(registry, bare);
    expect(written((writer) => session.iterate(writer))).toEqual({ hex: PART_A, result: false });
    expect(written((writer) => session.iterate(writer))).toEqual({ hex: PART_A + PART_B, result: true });
  });

  it("inactive handlers, and those inactive in the iteration, are left out", () => {
    expect(iterate(two({ active: false }).registry).hex).toBe(PART_B);
    expect(iterate(two({ activeIterate: false }).registry).hex).toBe(PART_B);
  });

  it("nobody takes part: done", () => {
    expect(iterate(two({ active: false }, { active: false }).registry)).toEqual({ hex: "", result: true });
  });

  it("after the switchover only those that can send then", () => {
    const { registry } = two({ postcopy: true });
    const session = new SaveSession(registry, bare);
    session.enterPostcopy();
    expect(written((writer) => session.iterate(writer)).hex).toBe(PART_A);
  });

  it("the rate limit ends the round before a section begins, and is asked only when there is one", () => {
    const asked: number[] = [];
    const limit = { ...bare, rateLimit: () => asked.push(1) > 1 };
    expect(iterate(two().registry, limit)).toEqual({ hex: PART_A, result: false });
    expect(asked).toHaveLength(2);
    asked.length = 0;
    expect(iterate(two({ active: false }, { active: false }).registry, limit).result).toBe(true);
    expect(asked).toHaveLength(0);
  });

  it("handlers see the limit and whether the destination runs", () => {
    const registry = new StateRegistry();
    const seen: unknown[] = [];
    registry.registerLive(
      "a",
      {
        *saveLiveIterate(context) {
          seen.push(context.inPostcopy, context.rateExceeded(), context.bytesLeft?.());
          yield;
          return true;
        },
        hasPostcopy: () => true,
      },
      { version: 1 },
    );
    let used = 0;
    const session = new SaveSession(registry, { ...bare, rateLimit: () => used++ > 0, bytesLeft: () => 5 });
    session.enterPostcopy();
    written((writer) => session.iterate(writer));
    expect(seen).toEqual([true, true, 5]);
  });

  it("a failing handler is an error, not the end of the round", () => {
    const { registry } = two({ fails: ["saveLiveIterate"] });
    expect(failure(() => iterate(registry))).toMatchObject({ code: "HOOK_FAILED", section: { idstr: "a" } });
  });
});

describe("completeDevices", () => {
  it("devices and EOF, and no END: how a background snapshot ends", () => {
    const { registry } = two();
    registry.register(device("d"), { v: 5 });
    const session = new SaveSession(registry, bare);
    expect(written((writer) => session.completeDevices(writer)).hex).toBe(
      "04000000020164" + "00000000" + "00000003" + "0500",
    );
  });
});

describe("completePrecopy", () => {
  const complete = (session: SaveSession, options = {}) =>
    written((writer) => session.completePrecopy(writer, options)).hex;

  it("END of active handlers, then devices and old-style state, then EOF", () => {
    const { registry, log } = two({}, { active: false });
    registry.register(device("d"), { v: 0x55 });
    registry.registerLive("o", oldStyle(0x66), { version: 2 });
    const FULL_D = "04000000020164" + "00000000" + "00000003" + "55";
    const FULL_O = "0400000003016f" + "00000000" + "00000002" + "66";
    expect(complete(new SaveSession(registry, bare))).toBe(`${END_A}${FULL_D}${FULL_O}00`);
    expect(log).toEqual(["a.saveLiveCompletePrecopy"]);
  });

  it("old-style state is saved even if its handlers say that they are inactive", () => {
    const registry = new StateRegistry();
    registry.registerLive("o", { ...oldStyle(0x66), isActive: () => false }, { version: 2 });
    expect(complete(new SaveSession(registry, bare))).toBe("0400000000016f" + "00000000" + "00000002" + "6600");
  });

  it("devices that are not needed are left out, and traced", () => {
    const registry = new StateRegistry();
    const trace: TraceEvent[] = [];
    registry.register(device("d", { needed: ({ v }) => v > 1 }), { v: 1 });
    expect(complete(new SaveSession(registry, { ...bare, onTrace: (event) => trace.push(event) }))).toBe("00");
    expect(trace).toContainEqual({ event: "savevm_section_skip", idstr: "d", sectionId: 0 });
  });

  it("iterable only: END sections, no devices, no EOF", () => {
    const { registry } = two();
    registry.register(device("d"), { v: 0x55 });
    expect(complete(new SaveSession(registry, bare), { iterableOnly: true })).toBe(END_A + END_B);
  });

  it("at the switchover END only of those that cannot send later; devices then go without EOF and description", () => {
    const { registry } = two({ postcopy: true });
    registry.register(device("d"), { v: 0x55 });
    const session = new SaveSession(registry, { ...bare, description: true });
    written((writer) => session.header(writer));
    written((writer) => session.setup(writer));
    session.enterPostcopy();
    expect(complete(session, { iterableOnly: true })).toBe(END_B);
    expect(complete(session)).toBe("04000000020164" + "00000000" + "00000003" + "55");
    const END_ALL = END_A + END_B;
    expect(written((writer) => session.completePostcopy(writer)).hex).toBe(`${END_ALL}00`);
  });

  it("lets go of disks between the last device and EOF, waiting if need be", async () => {
    const registry = new StateRegistry();
    registry.register(device("d"), { v: 0x55 });
    const writer = new Writer();
    const sink = new BytesSink();
    let before = "";
    const inactivate = async (): Promise<void> => {
      await Promise.resolve();
      before = toHex(sink.toBytes());
    };
    await encodeAsync(new SaveSession(registry, bare).completePrecopy(writer, { inactivate }), writer, sink);
    expect(before).toBe("04000000000164" + "00000000" + "00000003" + "55");
    expect(toHex(sink.toBytes())).toBe(`${before}00`);
  });

  it("disks that cannot be let go of fail the save before EOF", () => {
    const inactivate = (): void => {
      throw new Error("busy");
    };
    const session = new SaveSession(new StateRegistry(), bare);
    expect(failure(() => complete(session, { inactivate })).code).toBe("HOOK_FAILED");
  });

  it("collects the CPUs' state once, before anything is written", () => {
    const { registry, log } = two();
    const beforeComplete = (): void => void log.push("cpus");
    complete(new SaveSession(registry, { ...bare, beforeComplete }));
    expect(log).toEqual(["cpus", "a.saveLiveCompletePrecopy", "b.saveLiveCompletePrecopy"]);
  });

  it("a device that cannot be saved: field, section and offset are named", () => {
    const registry = new StateRegistry();
    registry.register(device("d"), { v: 256 });
    const error = failure(() => complete(new SaveSession(registry, bare)));
    expect(error).toMatchObject({ code: "FIELD_INVALID", field: "v", section: { idstr: "d", id: 0 }, offset: 15 });
  });

  it("a device whose needed hook throws: a typed error that names it", () => {
    const registry = new StateRegistry();
    const needed = (): boolean => {
      throw new Error("odd");
    };
    registry.register(device("d", { needed }), { v: 1 });
    const error = failure(() => complete(new SaveSession(registry, bare)));
    expect(error).toMatchObject({ code: "HOOK_FAILED", section: { idstr: "d" } });
  });
});

describe("completePostcopy", () => {
  it("END of active handlers, then EOF", () => {
    const { registry, log } = two({ active: false }, { postcopy: true });
    const session = new SaveSession(registry, bare);
    expect(written((writer) => session.completePostcopy(writer)).hex).toBe(`${END_B}00`);
    expect(log).toEqual(["b.saveLiveCompletePostcopy"]);
  });
});

describe("the first failure ends a phase", () => {
  const phases: readonly (readonly [keyof SaveVMHandlers, (session: SaveSession) => unknown])[] = [
    ["savePrepare", (session) => written(() => session.prepare())],
    ["saveSetup", (session) => written((writer) => session.setup(writer))],
    ["resumePrepare", (session) => written(() => session.resumePrepare())],
    ["saveLiveIterate", (session) => written((writer) => session.iterate(writer))],
    ["saveLiveCompletePrecopy", (session) => written((writer) => session.completePrecopy(writer))],
    ["saveLiveCompletePostcopy", (session) => written((writer) => session.completePostcopy(writer))],
    ["statePendingEstimate", (session) => session.pendingEstimate()],
    ["statePendingExact", (session) => session.pendingExact()],
  ];

  it.each(phases)("%s", (hook, run) => {
    const { registry, log } = two({ fails: [hook] }, { fails: [hook] });
    expect(failure(() => run(new SaveSession(registry, bare)))).toMatchObject({
      code: "HOOK_FAILED",
      section: { idstr: "a" },
    });
    expect(log).toEqual([`a.${hook}`]);
  });

  it.each<[string, (session: SaveSession) => unknown]>([
    ["devices", (session) => written((writer) => session.completePrecopy(writer))],
    ["device state", (session) => written((writer) => session.deviceState(writer))],
    ["unplug", (session) => session.guestUnplugPending()],
  ])("%s", (_, run) => {
    const asked: string[] = [];
    const failing = (name: string) => {
      const fail = (): never => {
        asked.push(name);
        throw new Error(name);
      };
      return device(name, { needed: fail, unplugPending: fail });
    };
    const registry = new StateRegistry();
    registry.register(failing("x"), { v: 0 });
    registry.register(failing("y"), { v: 0 });
    expect(failure(() => run(new SaveSession(registry, bare)))).toMatchObject({
      code: "HOOK_FAILED",
      section: { idstr: "x" },
    });
    expect(asked).toEqual(["x"]);
  });
});

describe("footers", () => {
  it("stand behind every section, of whatever type", () => {
    const { registry } = two();
    registry.register(device("d"), { v: 0x55 });
    const session = new SaveSession(registry, { ...bare, footers: true });
    const FOOT = (id: number): string => `7e0000000${id}`;
    expect(written((writer) => session.setup(writer)).hex).toBe(START_A + FOOT(0) + START_B + FOOT(1));
    expect(written((writer) => session.iterate(writer)).hex).toBe(PART_A + FOOT(0) + PART_B + FOOT(1));
    expect(written((writer) => session.completePrecopy(writer)).hex).toBe(
      `${END_A}${FOOT(0)}${END_B}${FOOT(1)}04000000020164000000000000000355${FOOT(2)}00`,
    );
  });
});

describe("pending", () => {
  it("sums what active handlers answer, each question on its own", () => {
    const { registry, log } = two(
      { pending: { mustPrecopy: 1, canPostcopy: 10 } },
      { pending: { mustPrecopy: 2, canPostcopy: 20 } },
    );
    registry.registerLive("c", probe(log, "c", { active: false, pending: { mustPrecopy: 9, canPostcopy: 9 } }), {
      version: 1,
    });
    const session = new SaveSession(registry, bare);
    expect(session.pendingEstimate()).toEqual({ mustPrecopy: 3, canPostcopy: 30 });
    expect(session.pendingExact()).toEqual({ mustPrecopy: 3, canPostcopy: 30 });
    expect(log).toEqual(
      ["a", "b"].map((n) => `${n}.statePendingEstimate`).concat("a.statePendingExact", "b.statePendingExact"),
    );
  });
});

describe("cleanup", () => {
  it("runs for inactive handlers too, and for all although some fail", () => {
    const { registry, log } = two({ fails: ["saveCleanup"] }, { active: false, fails: ["saveCleanup"] });
    registry.registerLive("c", probe(log, "c"), { version: 1 });
    const error = failure(() => new SaveSession(registry, bare).cleanup());
    expect(error).toMatchObject({ code: "CLEANUP_FAILED", section: { idstr: "a" } });
    expect(error.message).toContain("1 more");
    expect(log).toEqual(["a.saveCleanup", "b.saveCleanup", "c.saveCleanup"]);
  });
});

describe("saveState", () => {
  const save = (registry: StateRegistry, options = bare) =>
    written((writer) => new SaveSession(registry, options).saveState(writer));

  it("runs every step in order, iterating until nothing is left", () => {
    const { registry, log } = two({ rounds: 2 });
    expect(save(registry).hex).toBe(
      `5145564d00000003${START_A}${START_B}${PART_A}${PART_A}${PART_B}${END_A}${END_B}00`,
    );
    expect(log.at(0)).toBe("a.savePrepare");
    expect(log.slice(-2)).toEqual(["a.saveCleanup", "b.saveCleanup"]);
  });

  it("takes no notice of the rate limit", () => {
    expect(save(two().registry, { ...bare, rateLimit: () => true }).hex).toContain(PART_A + PART_B);
  });

  it("a non-migratable device blocks it before anything runs", () => {
    const { registry, log } = two();
    registry.register(device("x", { unmigratable: true }), { v: 0 });
    registry.register(device("y", { unmigratable: true }), { v: 0 });
    const session = new SaveSession(registry, bare);
    expect(failure(() => save(registry))).toMatchObject({ code: "UNMIGRATABLE", section: { idstr: "x" } });
    expect(log).toEqual([]);
    expect(session.blocked()?.code).toBe("UNMIGRATABLE");
    expect(session.nonMigratableList()).toEqual(["non-migratable device: y", "non-migratable device: x"]);
    expect(new SaveSession(two().registry, bare).blocked()).toBeNull();
  });

  it.each(["savePrepare", "saveSetup", "saveLiveIterate", "saveLiveCompletePrecopy"] as const)(
    "a failure in %s is what is reported, and everything is cleaned up",
    (hook) => {
      const { registry, log } = two({ fails: [hook, "saveCleanup"] });
      expect(failure(() => save(registry)).message).toContain(hook);
      expect(log.slice(-2)).toEqual(["a.saveCleanup", "b.saveCleanup"]);
    },
  );

  it("a failure of the cleanup alone is reported", () => {
    expect(failure(() => save(two({ fails: ["saveCleanup"] }).registry)).code).toBe("CLEANUP_FAILED");
  });

  it("the reason of an abort comes out unchanged, and everything is cleaned up", async () => {
    const { registry, log } = two();
    const controller = new AbortController();
    const reason = { mine: true };
    const options = { ...bare, onPrecopy: () => controller.abort(reason) };
    const writer = new Writer();
    const run = encodeAsync(new SaveSession(registry, options).saveState(writer), writer, new BytesSink(), controller);
    await expect(run).rejects.toBe(reason);
    expect(log.slice(-2)).toEqual(["a.saveCleanup", "b.saveCleanup"]);
  });
});

describe("description", () => {
  const text = (registry: StateRegistry, options: SaveOptions): string => {
    const { hex } = written((writer) => new SaveSession(registry, options).saveState(writer));
    const at = hex.lastIndexOf("0006");
    return Buffer.from(hex.slice(at + 12), "hex").toString();
  };

  it("lists devices and old-style state in saving order, early ones first; live state never", () => {
    const { registry } = two();
    registry.register(device("d"), { v: 1 }, { path: "0000:00:01.0" });
    registry.registerLive("o", oldStyle(1), { version: 1, instanceId: 7 });
    registry.register(device("e", { earlySetup: true }), { v: 1 });
    const field = '"fields": [{"name": "v", "type": "uint8", "size": 1}]';
    expect(text(registry, { machine: "toy", pageSize: 8192 })).toBe(
      `{"page_size": 8192, "devices": [{"name": "e", "instance_id": 0, "vmsd_name": "e", "version": 3, ${field}}, ` +
        `{"name": "0000:00:01.0/d", "instance_id": 0, "vmsd_name": "d", "version": 3, ${field}}, ` +
        `{"name": "o", "instance_id": 7, "size": 1, "fields": [{"name": "data", "size": 1, "type": "buffer"}]}]}`,
    );
  });

  it("since 10.0 it begins with the configuration, unless there is none", () => {
    const registry = new StateRegistry();
    const style = { machine: "toy", descriptionStyle: "10.0" } as const;
    expect(text(registry, style)).toMatch(
      /^\{"configuration": \{"vmsd_name": "configuration", .*\}, "page_size": 4096, /,
    );
    expect(text(registry, { ...style, configuration: false })).toBe('{"page_size": 4096, "devices": []}');
  });
});

describe("other forms", () => {
  it("live state: END sections and EOF", () => {
    const { registry } = two();
    registry.register(device("d"), { v: 1 });
    expect(written((writer) => new SaveSession(registry, bare).liveState(writer)).hex).toBe(`${END_A}${END_B}00`);
  });

  it("device state: all but live state, early devices too, without configuration and description", () => {
    const { registry } = two();
    registry.register(device("e", { earlySetup: true }), { v: 0x77 });
    registry.register(device("n", { needed: () => false }), { v: 0 });
    registry.registerLive("o", { ...oldStyle(0x66), isActive: () => false }, { version: 2 });
    registry.register(device("d"), { v: 0x55 });
    const session = new SaveSession(registry, { machine: "toy" });
    const full = (id: number, idstr: string, version: number, v: string): string =>
      `040000000${id}01${toHex(new TextEncoder().encode(idstr))}000000000000000${version}${v}7e0000000${id}`;
    const sections = `${full(2, "e", 3, "77")}${full(4, "o", 2, "66")}${full(5, "d", 3, "55")}`;
    expect(written((writer) => session.deviceState(writer)).hex).toBe(`5145564d00000003${sections}00`);
    expect(written((writer) => session.deviceState(writer, { header: false })).hex).toBe(`${sections}00`);
  });

  it("device state in the middle of a stream leaves the description of the stream alone", () => {
    const registry = new StateRegistry();
    registry.register(device("d"), { v: 1 });
    const session = new SaveSession(registry, { ...bare, description: true });
    written((writer) => session.setup(writer));
    written((writer) => session.deviceState(writer, { header: false }));
    const { hex } = written((writer) => session.completePrecopy(writer));
    const text = Buffer.from(hex.slice(hex.indexOf("0006") + 12), "hex").toString();
    expect((JSON.parse(text) as { devices: unknown[] }).devices).toHaveLength(1);
  });

  it("live handlers with a saveState of their own are not devices", () => {
    const registry = new StateRegistry();
    registry.registerLive("r", { ...probe([], "r"), ...oldStyle(1) }, { version: 1 });
    expect(written((writer) => new SaveSession(registry, bare).deviceState(writer, { header: false })).hex).toBe("00");
  });

  it("commands and packages are sent at once", () => {
    const session = new SaveSession(new StateRegistry(), bare);
    expect(written((writer) => session.command(writer, { name: "PING", value: 7 })).hex).toBe("080002000400000007");
    expect(written((writer) => session.packaged(writer, Uint8Array.of(1, 2))).hex).toBe("0800070004000000020102");
  });

  it("guest unplug pending: the first device that says so, asked without regard to anything else", () => {
    const asked: string[] = [];
    const unplug = (name: string, pending: boolean, earlySetup = false) =>
      device(name, { earlySetup, needed: () => false, unplugPending: () => (asked.push(name), pending) });
    const registry = new StateRegistry();
    registry.register(device("z"), { v: 0 });
    registry.register(unplug("p", false), { v: 0 });
    const session = new SaveSession(registry, bare);
    expect(session.guestUnplugPending()).toBe(false);
    registry.register(unplug("q", true, true), { v: 0 });
    registry.register(unplug("r", true), { v: 0 });
    asked.length = 0;
    expect(session.guestUnplugPending()).toBe(true);
    expect(asked).toEqual(["p", "q"]);
  });
});

describe("watching a save", () => {
  it("notifies of setup, completion and cleanup; a listener that throws stops nothing", () => {
    const events: string[] = [];
    const warnings: string[] = [];
    const options: SaveOptions = {
      ...bare,
      onPrecopy: (event) => {
        events.push(event);
        throw new Error(`not ${event}`);
      },
      onTrace: (event) => {
        if (event.event === "warning") warnings.push(event.message);
      },
    };
    written((writer) => new SaveSession(two().registry, options).saveState(writer));
    expect(events).toEqual(["setup", "complete", "cleanup"]);
    expect(warnings).toEqual(["not setup", "not complete", "not cleanup"]);
  });

  it("traces what QEMU traces, in its order", () => {
    const { registry } = two({}, { active: false });
    registry.register(device("d"), { v: 1 });
    const trace: TraceEvent[] = [];
    const options = { ...bare, onTrace: (event: TraceEvent) => void trace.push(event) };
    written((writer) => new SaveSession(registry, options).saveState(writer));
    expect(trace).toEqual([
      { event: "savevm_state_prepare" },
      { event: "savevm_state_header" },
      { event: "savevm_state_setup" },
      { event: "savevm_state_iterate" },
      { event: "savevm_section_start", idstr: "a", sectionId: 0 },
      { event: "savevm_section_end", idstr: "a", sectionId: 0, result: true },
      { event: "savevm_state_complete_precopy" },
      { event: "savevm_section_start", idstr: "a", sectionId: 0 },
      { event: "savevm_section_end", idstr: "a", sectionId: 0, result: true },
      { event: "savevm_section_start", idstr: "d", sectionId: 2 },
      { event: "vmstate_save", idstr: "d", vmsd: "d" },
      { event: "savevm_section_end", idstr: "d", sectionId: 2, result: true },
      { event: "savevm_state_cleanup" },
    ]);
  });
});
