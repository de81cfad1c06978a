import { describe, expect, it } from "vitest";
import { ChannelError } from "../../src/errors.js";
import type { SaveVMHandlers } from "../../src/registry/handlers.js";
import { StateRegistry } from "../../src/registry/registry.js";
import type { CommandContext, CommandHandler, DelegatedCommand } from "../../src/savevm/command-handler.js";
import { LoadSession, type LoadOptions } from "../../src/savevm/load.js";
import type { TraceEvent } from "../../src/savevm/trace.js";
import { decodeAsync, decodeSync, type Decode } from "../../src/stream/drive.js";
import type { SyncSource } from "../../src/stream/io.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u8 } from "../../src/vmstate/fields.js";
import type { VMStateOptions } from "../../src/vmstate/types.js";
import { failure } from "../kit/failure.js";
import { fromHex } from "../kit/hex.js";
import { oldStyle, probe, type ProbeOptions } from "../kit/live.js";

const HEAD = "5145564d00000003";
/** No frills: sections without footers, configuration and description. */
const bare: LoadOptions = { machine: "toy", configuration: false, footers: false, description: false };

interface Dev {
  v: number;
}
function device(name: string, options: Partial<VMStateOptions<Dev>> = {}) {
  return vmstate(name, { version: 3, minimumVersion: 2, ...options, fields: [u8("v")] });
}

function name(text: string): string {
  return text.length.toString(16).padStart(2, "0") + Buffer.from(text).toString("hex");
}
const be32 = (value: number): string => value.toString(16).padStart(8, "0");
/** FULL section of device "d" instance 0, version 3. */
const full = (id: number, v: string, version = 3): string => `04${be32(id)}${name("d")}00000000${be32(version)}${v}`;
const start = (id: number, idstr: string, v: string): string => `01${be32(id)}${name(idstr)}0000000000000001${v}`;
const part = (id: number, v: string): string => `02${be32(id)}${v}`;
const end = (id: number, v: string): string => `03${be32(id)}${v}`;
const foot = (id: number): string => `7e${be32(id)}`;

/** One device "d", and the probe "a". */
function machine(options: ProbeOptions = {}, state: Partial<VMStateOptions<Dev>> = {}) {
  const log: string[] = [];
  const registry = new StateRegistry();
  const a = probe(log, "a", options);
  registry.registerLive("a", a, { version: 1 });
  const d = { v: 0 };
  registry.register(device("d", state), d);
  return { registry, log, a, d };
}

function run<T>(hex: string, decode: (reader: Reader) => Decode<T>): { result: T; left: number } {
  const reader = new Reader();
  const bytes = fromHex(hex);
  const result = decodeSync(decode(reader), reader, bytesSource(bytes));
  return { result, left: bytes.length - reader.offset };
}

function load(registry: StateRegistry, hex: string, options: LoadOptions = bare) {
  return run(hex, (reader) => new LoadSession(registry, options).loadState(reader));
}

describe("sections", () => {
  it("START, PART, END and FULL reach whom they are for, keyed by the stream's ids", () => {
    const { registry, log, a, d } = machine();
    load(registry, `${HEAD}${start(9, "a", "01")}${part(9, "02")}${end(9, "03")}${full(0, "55")}00`);
    expect(a.value).toBe(3);
    expect(d.v).toBe(0x55);
    expect(log.filter((line) => line.includes("load") || line.includes("commit"))).toEqual([
      "a.loadSetup",
      "a.loadState",
      "a.commit",
      "a.loadState",
      "a.commit",
      "a.loadState",
      "a.commit",
      "a.loadCleanup",
    ]);
  });

  it("a PART of an id that was not announced is refused, 0 included, though the registry has such an id", () => {
    const { registry } = machine();
    expect(failure(() => load(registry, `${HEAD}${part(0, "01")}00`))).toMatchObject({
      code: "SECTION_ID_UNKNOWN",
      offset: 8,
      section: { id: 0, idstr: null },
    });
  });

  it("announced again under another id: the old id is forgotten", () => {
    const { registry, a } = machine();
    const stream = `${HEAD}${start(1, "a", "01")}${start(2, "a", "02")}`;
    load(registry, `${stream}${part(2, "03")}00`);
    expect(a.value).toBe(3);
    expect(failure(() => load(registry, `${stream}${part(1, "03")}00`)).code).toBe("SECTION_ID_UNKNOWN");
  });

  it("a PART of a device loads the device again, at the version announced", () => {
    const { registry, d } = machine();
    load(registry, `${HEAD}${full(4, "55", 2)}${part(4, "66")}00`);
    expect(d.v).toBe(0x66);
  });

  it("what was unregistered meanwhile is unknown", () => {
    const { registry, a } = machine();
    const loadState = a.loadState?.bind(a) ?? never;
    a.loadState = (...args) => (registry.unregisterLive("a", a), loadState(...args));
    expect(failure(() => load(registry, `${HEAD}${start(1, "a", "01")}${part(1, "01")}00`)).code).toBe(
      "SECTION_ID_UNKNOWN",
    );
  });

  it.each([
    ["newer than the registration", 4, "VERSION_TOO_NEW"],
    ["older than the description's minimum", 1, "VERSION_TOO_OLD"],
    ["negative as QEMU's int, that is far too new", 0xffffffff, "VERSION_TOO_NEW"],
  ])("a version %s is refused, naming the section", (_, version, code) => {
    const { registry, d } = machine();
    const error = failure(() => load(registry, `${HEAD}${full(7, "55", version)}00`));
    expect(error).toMatchObject({ code, section: { id: 7, idstr: "d", instanceId: 0, version } });
    expect(d.v).toBe(0);
  });

  it("an unknown instance is refused, with a hint", () => {
    const error = failure(() => load(machine().registry, `${HEAD}04${be32(1)}${name("d")}0000000100000003`));
    expect(error).toMatchObject({ code: "SECTION_UNKNOWN", offset: 8, section: { id: 1, idstr: "d", instanceId: 1 } });
    expect(error.hint).toContain("hotplugged");
  });

  it("an empty name is refused before anything behind it is read", () => {
    const error = failure(() => load(machine().registry, `${HEAD}04${be32(1)}00`));
    expect(error).toMatchObject({ code: "STRING_EMPTY", offset: 13, section: { id: 1 } });
  });

  it("handlers that cannot load are an error", () => {
    const registry = new StateRegistry();
    registry.registerLive("a", {}, { version: 1 });
    expect(failure(() => load(registry, `${HEAD}${start(1, "a", "")}00`))).toMatchObject({
      code: "HOOK_FAILED",
      section: { idstr: "a" },
    });
  });

  it("where RAM came another way, live state is refused and devices are loaded", () => {
    const { registry, d } = machine();
    const options = { ...bare, refuseLiveState: true };
    expect(failure(() => load(registry, `${HEAD}${start(1, "a", "01")}00`, options)).code).toBe("SECTION_UNKNOWN");
    load(registry, `${HEAD}${full(1, "55")}00`, options);
    expect(d.v).toBe(0x55);
  });
});

describe("footers", () => {
  it.each([
    ["wrong byte", "7f00000001", "FOOTER_MISSING", 24],
    ["wrong id", "7e00000002", "FOOTER_MISMATCH", 24],
    ["missing", "00", "FOOTER_MISSING", 24],
    ["cut short", "7e0000", "TRUNCATED", 27],
  ])("%s: the device keeps its old state", (_, footer, code, offset) => {
    const { registry, d } = machine();
    const error = failure(() => load(registry, `${HEAD}${full(1, "55")}${footer}`, { ...bare, footers: true }));
    expect(error).toMatchObject({ code, offset, section: { id: 1, idstr: "d" } });
    expect(d.v).toBe(0);
  });

  it("wrong behind old-style state: it keeps its old state too", () => {
    const registry = new StateRegistry();
    const old = oldStyle(1);
    registry.registerLive("d", old, { version: 3 });
    failure(() => load(registry, `${HEAD}${full(1, "55")}7f`, { ...bare, footers: true }));
    expect(old.value).toBe(1);
    load(registry, `${HEAD}${full(1, "55")}${foot(1)}00`, { ...bare, footers: true });
    expect(old.value).toBe(0x55);
  });

  it("detected behind the first section, then required", () => {
    const { registry, d } = machine();
    const detect: LoadOptions = { ...bare, footers: "detect" };
    load(registry, `${HEAD}${full(1, "55")}${foot(1)}${full(1, "66")}${foot(1)}00`, detect);
    expect(d.v).toBe(0x66);
    const missing = `${HEAD}${full(1, "55")}${foot(1)}${full(1, "77")}00`;
    expect(failure(() => load(registry, missing, detect)).code).toBe("FOOTER_MISSING");
  });

  it("their absence is detected, and holds for the rest", () => {
    const { registry, d } = machine();
    const detect: LoadOptions = { ...bare, footers: "detect" };
    load(registry, `${HEAD}${full(1, "55")}${full(1, "66")}00`, detect);
    expect(d.v).toBe(0x66);
    const late = `${HEAD}${full(1, "55")}${full(1, "66")}${foot(1)}00`;
    expect(failure(() => load(registry, late, detect)).code).toBe("UNKNOWN_SECTION_TYPE");
  });

  it("a 0 behind the first section is no end where there is a configuration", () => {
    const { registry } = machine();
    const stream = `${HEAD}0700000003746f79${full(1, "55")}00`;
    expect(failure(() => load(registry, stream, { machine: "toy" })).code).toBe("FOOTER_MISSING");
    load(registry, `${HEAD}${full(1, "55")}00`, { machine: "toy" });
    load(registry, stream, { machine: "toy", footers: false });
  });
});

describe("header", () => {
  it("a configuration that does not belong there is an unknown section", () => {
    const error = failure(() => load(machine().registry, `${HEAD}0700000003746f7900`));
    expect(error).toMatchObject({ code: "UNKNOWN_SECTION_TYPE", offset: 8 });
  });

  it("what the stream says of its machine is kept", () => {
    const session = new LoadSession(machine().registry, { machine: "toy" });
    expect(session.configuration).toBeNull();
    run(`${HEAD}0700000003746f7900`, (reader) => session.loadState(reader));
    expect(session.configuration).toMatchObject({ machine: "toy", uuid: null });
  });

  it("a configuration that is refused: everything is cleaned up, nothing was set up", () => {
    const { registry, log } = machine();
    const error = failure(() => load(registry, `${HEAD}0700000003746f7800`, { machine: "toy" }));
    expect(error).toMatchObject({ code: "CONFIGURATION", section: { idstr: "configuration" }, field: "name" });
    expect(log).toEqual(["a.loadCleanup"]);
  });
});

describe("setup and cleanup", () => {
  it("setup is for active handlers, cleanup for all", () => {
    const { registry, log } = machine({ active: false });
    registry.registerLive("b", probe(log, "b"), { version: 1 });
    load(registry, `${HEAD}00`);
    expect(log).toEqual(["b.loadSetup", "a.loadCleanup", "b.loadCleanup"]);
  });

  it("a failing setup ends the load before the first section, after a cleanup", () => {
    const { registry, log } = machine({ fails: ["loadSetup", "loadCleanup"] });
    registry.registerLive("b", probe(log, "b"), { version: 1 });
    const error = failure(() => load(registry, `${HEAD}${full(1, "55")}00`));
    expect(error).toMatchObject({ code: "HOOK_FAILED", section: { idstr: "a" } });
    expect(error.message).toContain("loadSetup");
    expect(log).toEqual(["a.loadSetup", "a.loadCleanup", "b.loadCleanup"]);
  });

  it("a cleanup that fails after a good load is reported, once all had their turn", () => {
    const { registry, log, d } = machine({ fails: ["loadCleanup"] });
    registry.registerLive("b", probe(log, "b"), { version: 1 });
    expect(failure(() => load(registry, `${HEAD}${full(1, "55")}00`)).code).toBe("CLEANUP_FAILED");
    expect(log.slice(-2)).toEqual(["a.loadCleanup", "b.loadCleanup"]);
    expect(d.v).toBe(0x55);
  });

  it("a non-migratable device blocks a load before anything runs", () => {
    const { registry, log } = machine({}, { unmigratable: true });
    expect(failure(() => load(registry, `${HEAD}00`)).code).toBe("UNMIGRATABLE");
    expect(log).toEqual([]);
  });

  it("around the sections the CPUs are taken and given their state, in this order", () => {
    const { registry, log } = machine();
    const options = { ...bare, beforeLoad: () => log.push("before"), afterLoad: () => log.push("after") };
    load(registry, `${HEAD}${start(1, "a", "01")}00`, options);
    expect(log).toEqual(["a.loadSetup", "before", "a.loadState", "a.commit", "a.loadCleanup", "after"]);
  });

  it("device state alone: sections up to EOF, no header, no setup, no cleanup", () => {
    const { registry, log, d } = machine();
    const options = { ...bare, afterLoad: () => log.push("after") };
    const { result, left } = run(`${full(1, "55")}00aa`, (reader) =>
      new LoadSession(registry, options).loadDeviceState(reader),
    );
    expect([result, left, d.v, log]).toEqual(["eof", 1, 0x55, ["after"]]);
  });
});

describe("devices", () => {
  it("a failing postLoad leaves the device as it was, and later sections unread", () => {
    const postLoad = (): never => {
      throw new Error("bad state");
    };
    const { registry, d } = machine({}, { postLoad });
    const error = failure(() => load(registry, `${HEAD}${full(1, "55")}${full(1, "66")}00`));
    expect(error).toMatchObject({ code: "HOOK_FAILED", section: { id: 1, idstr: "d" } });
    expect(error.offset).toBe(24);
    expect(d.v).toBe(0);
  });

  it("a failing loaded hook puts the old state back", () => {
    const loaded = (): never => {
      throw new Error("no line to raise");
    };
    const { registry, d } = machine({}, { loaded });
    expect(failure(() => load(registry, `${HEAD}${full(1, "55")}00`)).code).toBe("HOOK_FAILED");
    expect(d.v).toBe(0);
  });

  it("a handler's own failure is typed, with offset and section, and its cause", () => {
    const { registry } = machine({ fails: ["loadState"] });
    const error = failure(() => load(registry, `${HEAD}${start(5, "a", "01")}00`));
    expect(error).toMatchObject({ code: "HOOK_FAILED", offset: 23, section: { id: 5, idstr: "a" } });
    expect(error.cause).toEqual(new Error("a fails in loadState"));
  });
});

describe("return path", () => {
  const OPEN = "0800010000";
  const ping = (value: number): string => `0800020004${be32(value)}`;
  const ACK = { ...bare, capabilities: ["switchover-ack"] };

  function answers(): { sent: string[]; returnPath: LoadOptions["returnPath"] } {
    const sent: string[] = [];
    const returnPath = {
      open: () => void sent.push("open"),
      pong: (value: number) => void sent.push(`pong ${value}`),
      switchoverAck: () => void sent.push("ack"),
    };
    return { sent, returnPath };
  }

  it("is opened once, and every ping is answered, in a package too", () => {
    const { sent, returnPath } = answers();
    const stream = `${HEAD}${OPEN}${ping(1)}${OPEN}0800070004${be32(10)}${ping(0x42)}00${ping(4)}00`;
    load(machine().registry, stream, { ...bare, ...(returnPath && { returnPath }) });
    expect(sent).toEqual(["open", "pong 1", "pong 66", "pong 4"]);
  });

  it("without anybody to answer to, a recorded stream loads all the same", () => {
    expect(load(machine().registry, `${HEAD}${OPEN}${ping(1)}00`).result).toBe("eof");
  });

  it("one that cannot be opened fails the load", () => {
    const returnPath = { ...answers().returnPath, open: () => Promise.reject(new Error("closed")) };
    const reader = new Reader();
    const session = new LoadSession(machine().registry, { ...bare, returnPath } as LoadOptions);
    const result = decodeAsync(session.loadState(reader), reader, bytesSource(fromHex(`${HEAD}${OPEN}00`)));
    return expect(result).rejects.toMatchObject({ code: "HOOK_FAILED" });
  });

  it("switchover-ack: at once when nobody wants to approve, and only with the capability", () => {
    const { sent, returnPath } = answers();
    load(machine().registry, `${HEAD}${OPEN}${ping(1)}00`, { ...ACK, ...(returnPath && { returnPath }) });
    expect(sent).toEqual(["open", "ack", "pong 1"]);
    sent.length = 0;
    load(machine().registry, `${HEAD}${OPEN}00`, { ...bare, ...(returnPath && { returnPath }) });
    expect(sent).toEqual(["open"]);
  });

  it("switchover-ack: when the last of those who asked has approved, inactive ones included", () => {
    const { registry, log } = machine({ wantsAck: true, active: false });
    registry.registerLive("b", probe(log, "b", { wantsAck: true }), { version: 1 });
    registry.registerLive("c", probe(log, "c", { wantsAck: false }), { version: 1 });
    const { sent, returnPath } = answers();
    const session = new LoadSession(registry, { ...ACK, ...(returnPath && { returnPath }) });
    run(`${HEAD}${OPEN}00`, (reader) => session.loadState(reader));
    expect([session.switchoverAcksPending, sent]).toEqual([2, ["open"]]);
    void session.approveSwitchover();
    expect([session.switchoverAcksPending, sent]).toEqual([1, ["open"]]);
    void session.approveSwitchover();
    expect([session.switchoverAcksPending, sent]).toEqual([0, ["open", "ack"]]);
    expect(failure(() => session.approveSwitchover()).code).toBe("RETURN_PATH");
  });

  it("switchover-ack: without the capability nobody is asked", () => {
    const { registry, log } = machine({ wantsAck: true });
    load(registry, `${HEAD}00`);
    expect(log).not.toContain("a.switchoverAckNeeded");
  });

  it("switchover-ack: the first who cannot be asked ends the load", () => {
    const { registry, log } = machine({ fails: ["switchoverAckNeeded"] });
    registry.registerLive("b", probe(log, "b", { fails: ["switchoverAckNeeded"] }), { version: 1 });
    const error = failure(() => load(registry, `${HEAD}00`, ACK));
    expect(error).toMatchObject({ code: "HOOK_FAILED", section: { idstr: "a" } });
    expect(log).not.toContain("b.switchoverAckNeeded");
  });

  it("switchover-ack: approval without a way back is an error", () => {
    const { registry } = machine({ wantsAck: true });
    const session = new LoadSession(registry, ACK);
    run(`${HEAD}00`, (reader) => session.loadState(reader));
    expect(failure(() => session.approveSwitchover()).code).toBe("RETURN_PATH");
  });
});

describe("commands", () => {
  /** Quits at `last`; notes what it is given. */
  class Recorder implements CommandHandler {
    readonly admitted: string[] = [];
    readonly handled: [DelegatedCommand, Pick<CommandContext, "packaged" | "offset">][] = [];
    readonly #last: string;
    constructor(last: string) {
      this.#last = last;
    }
    admit(command: DelegatedCommand["name"]): void {
      this.admitted.push(command);
    }
    *handle(command: DelegatedCommand, { packaged, offset }: CommandContext): Decode<"continue" | "quit"> {
      this.handled.push([command, { packaged, offset }]);
      yield Promise.resolve();
      return command.name === this.#last ? "quit" : "continue";
    }
  }
  const loadAsync = (registry: StateRegistry, hex: string, options: LoadOptions) => {
    const reader = new Reader();
    const done = decodeAsync(new LoadSession(registry, options).loadState(reader), reader, bytesSource(fromHex(hex)));
    return done.then((result) => ({ result, offset: reader.offset }));
  };

  it("a handler sees the commands it is for, with their offsets, and may wait", async () => {
    const commands = new Recorder("none");
    const { result } = await loadAsync(machine().registry, `${HEAD}0800030000080009000000`, { ...bare, commands });
    expect(result).toBe("eof");
    expect(commands.admitted).toEqual(["POSTCOPY_ADVISE", "POSTCOPY_RESUME"]);
    expect(commands.handled).toEqual([
      [
        { name: "POSTCOPY_ADVISE", ram: null },
        { packaged: false, offset: 8 },
      ],
      [{ name: "POSTCOPY_RESUME" }, { packaged: false, offset: 13 }],
    ]);
  });

  it("quit in a package ends both loops: no byte behind it is read, nothing is cleaned up", async () => {
    const { registry, log, d } = machine();
    const commands = new Recorder("POSTCOPY_RUN");
    const package_ = `0800040000${full(3, "55")}0800050000`;
    const stream = `${HEAD}0800070004${be32(package_.length / 2)}${package_}`;
    const options = { ...bare, description: true, commands };
    const { result, offset } = await loadAsync(registry, `${stream}ffff`, options);
    expect([result, offset]).toEqual(["quit", stream.length / 2]);
    expect(d.v).toBe(0x55);
    expect(log).toEqual(["a.loadSetup"]);
    expect(commands.handled.map(([, where]) => where)).toEqual([
      { packaged: true, offset: 17 },
      { packaged: true, offset: 38 },
    ]);
  });

  it("errors in a package have absolute offsets", () => {
    const stream = `${HEAD}0800070004${be32(2)}09`;
    expect(failure(() => load(machine().registry, `${stream}00`))).toMatchObject({
      code: "UNKNOWN_SECTION_TYPE",
      offset: 17,
    });
  });

  it("a package that ends without EOF is cut short, at its own end", () => {
    const package_ = full(3, "55");
    const stream = `${HEAD}0800070004${be32(package_.length / 2)}${package_}`;
    const error = failure(() => load(machine().registry, `${stream}00`));
    expect(error).toMatchObject({ code: "TRUNCATED", offset: stream.length / 2 });
  });

  it("what stands in a package behind its EOF is passed over", () => {
    const { registry, d } = machine();
    load(registry, `${HEAD}0800070004${be32(3)}00ffff${full(1, "55")}00`);
    expect(d.v).toBe(0x55);
  });

  it("ids announced in a package hold outside, and the other way round", () => {
    const { registry, a } = machine();
    const inner = `${part(1, "02")}${full(2, "55")}00`;
    load(registry, `${HEAD}${start(1, "a", "01")}0800070004${be32(inner.length / 2)}${inner}${part(2, "66")}00`);
    expect(a.value).toBe(2);
  });

  it("a package over the ceiling is refused before a byte of it is held, one at it is read", () => {
    const options = { ...bare, limits: { packagedBytes: 1 } };
    const error = failure(() => load(machine().registry, `${HEAD}0800070004${be32(2)}`, options));
    expect(error).toMatchObject({ code: "LIMIT_EXCEEDED", offset: 8 });
    expect(load(machine().registry, `${HEAD}0800070004${be32(1)}0000`, options).result).toBe("eof");
  });

  it("a package in a package is refused", () => {
    const inner = `0800070004${be32(1)}00`;
    const stream = `${HEAD}0800070004${be32(inner.length / 2)}${inner}00`;
    expect(failure(() => load(machine().registry, stream))).toMatchObject({ code: "COMMAND_PAYLOAD", offset: 17 });
  });

  it("SWITCHOVER_START is accepted unless strict", () => {
    const stream = `${HEAD}08000b000000`;
    expect(load(machine().registry, stream).result).toBe("eof");
    expect(failure(() => load(machine().registry, stream, { ...bare, strict: true })).code).toBe("COMMAND_UNKNOWN");
  });

  it.each([
    ["POSTCOPY_ADVISE twice", "08000300000800030000", "POSTCOPY_ORDER", 13],
    ["POSTCOPY_ADVISE for RAM", "0800030010" + "00".repeat(16), "POSTCOPY_UNSUPPORTED", 8],
    ["POSTCOPY_LISTEN after an ADVISE", "08000300000800040000", "POSTCOPY_UNSUPPORTED", 13],
    ["POSTCOPY_RUN after an ADVISE", "08000300000800050000", "POSTCOPY_ORDER", 13],
    ["RECV_BITMAP", "08000a0002016d", "POSTCOPY_UNSUPPORTED", 8],
    ["ENABLE_COLO", "0800080000", "CAPABILITY", 8],
  ])("without postcopy: %s is refused", (_, commands, code, offset) => {
    const error = failure(() => load(machine().registry, `${HEAD}${commands}00`));
    expect(error).toMatchObject({ code, offset });
  });
});

describe("description behind the stream", () => {
  const withDescription = { ...bare, description: true };
  const warned = (hex: string): string[] => {
    const warnings: string[] = [];
    const onTrace = (event: TraceEvent): void => {
      if (event.event === "warning") warnings.push(event.message);
    };
    expect(load(machine().registry, hex, { ...withDescription, onTrace }).result).toBe("eof");
    return warnings;
  };

  it("is read away, and nothing behind it", () => {
    expect(load(machine().registry, `${HEAD}0006000000027b7daa`, withDescription).left).toBe(1);
  });

  it.each([
    ["nothing", "", 1],
    ["another byte", "07", 1],
    ["its type alone", "06", 1],
    ["part of its length", "060000", 1],
    ["less than its length", "06ffffffff7b", 1],
    ["all of it", "06000000017b", 0],
  ])("%s there is no error", (_, tail, warnings) => {
    expect(warned(`${HEAD}00${tail}`)).toHaveLength(warnings);
  });

  it("a channel that fails there does not undo the load", async () => {
    const { registry, d } = machine();
    const chunks = [fromHex(`${HEAD}${full(1, "55")}0006ffffffff`)];
    const source = {
      read: () => chunks.shift() ?? Promise.reject(new ChannelError("CHANNEL_FAILED", "Read: reset")),
    };
    const reader = new Reader();
    const session = new LoadSession(registry, withDescription);
    expect(await decodeAsync(session.loadState(reader), reader, source)).toBe("eof");
    expect(d.v).toBe(0x55);
  });
});

describe("what is read, and when", () => {
  /** Chunks as they come; to be asked for more than that is an error. */
  function exactly(hex: string): SyncSource {
    const bytes = bytesSource(...Array.from(fromHex(hex), (byte) => Uint8Array.of(byte)));
    return {
      read: () => {
        const chunk = bytes.read();
        if (chunk === null) throw new Error("Asked for a byte too many");
        return chunk;
      },
    };
  }

  it("without a description not a byte behind EOF", () => {
    const reader = new Reader();
    const session = new LoadSession(machine().registry, { ...bare, footers: "detect", configuration: "detect" });
    const stream = `${HEAD}${start(1, "a", "01")}${full(2, "55")}00`;
    expect(decodeSync(session.loadState(reader), reader, exactly(stream))).toBe("eof");
  });

  it("every ping is answered before another byte is needed", async () => {
    const chunks = [`${HEAD}0800010000`, "080002000400000001", start(1, "a", "01"), "080002000400000002", "00"];
    const answered: number[] = [];
    const needed = [0, 0, 1, 1, 2];
    let given = 0;
    const source = {
      read: () => {
        expect(answered.length).toBeGreaterThanOrEqual(needed[given] ?? 0);
        return fromHex(chunks[given++] ?? "");
      },
    };
    const returnPath = {
      open: () => undefined,
      pong: (value: number) => void answered.push(value),
      switchoverAck: () => undefined,
    };
    const reader = new Reader();
    const session = new LoadSession(machine().registry, { ...bare, returnPath });
    expect(await decodeAsync(session.loadState(reader), reader, source)).toBe("eof");
    expect(answered).toEqual([1, 2]);
  });
});

describe("running", () => {
  it("two loads of one registry may overlap: ids belong to each", () => {
    const { registry, a } = machine();
    const one = new Reader();
    const two = new Reader();
    const first = new LoadSession(registry, bare).loadMain(one);
    const second = new LoadSession(registry, bare).loadMain(two);
    const give = (decode: Decode<unknown>, reader: Reader, hex: string): boolean | undefined => {
      reader.push(fromHex(hex));
      let step = decode.next();
      while (step.done !== true && typeof step.value === "number" && reader.has(step.value)) step = decode.next();
      return step.done;
    };
    give(first, one, start(1, "a", "01"));
    give(second, two, start(2, "a", "02"));
    give(first, one, part(1, "03"));
    expect(a.value).toBe(3);
    expect(give(second, two, `${part(2, "04")}00`)).toBe(true);
    expect(a.value).toBe(4);
    expect(give(first, one, "00")).toBe(true);
  });

  it("the reason of an abort comes out unchanged, after a cleanup, while a hook waits", async () => {
    const { registry, log } = machine();
    const handlers: SaveVMHandlers = {
      *loadState() {
        yield new Promise(() => undefined);
      },
    };
    registry.registerLive("w", handlers, { version: 1 });
    const controller = new AbortController();
    const reason = { mine: true };
    const reader = new Reader();
    const session = new LoadSession(registry, bare);
    const stream = bytesSource(fromHex(`${HEAD}${start(1, "w", "")}00`));
    const done = decodeAsync(session.loadState(reader), reader, stream, { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 1);
    await expect(done).rejects.toBe(reason);
    expect(log.at(-1)).toBe("a.loadCleanup");
  });

  it("a hook that waits in a synchronous load is a TypeError", () => {
    const { registry } = machine({}, { loaded: () => Promise.resolve() });
    expect(() => load(registry, `${HEAD}${full(1, "55")}00`)).toThrow(TypeError);
  });

  it("a promise rejected inside a package is the hook's failure", async () => {
    const { registry } = machine({}, { loaded: () => Promise.reject(new Error("late")) });
    const package_ = `${full(3, "55")}00`;
    const reader = new Reader();
    const stream = bytesSource(fromHex(`${HEAD}0800070004${be32(package_.length / 2)}${package_}00`));
    const done = decodeAsync(new LoadSession(registry, bare).loadState(reader), reader, stream);
    await expect(done).rejects.toMatchObject({ code: "HOOK_FAILED", section: { idstr: "d", id: 3 } });
  });

  it("traces what QEMU traces, in its order", () => {
    const { registry } = machine();
    const trace: TraceEvent[] = [];
    const options = { ...bare, onTrace: (event: TraceEvent) => void trace.push(event) };
    load(registry, `${HEAD}${start(9, "a", "01")}${end(9, "03")}${full(2, "55")}00`, options);
    expect(trace).toEqual([
      { event: "loadvm_state_setup" },
      { event: "qemu_loadvm_state_section", type: 1, offset: 8 },
      {
        event: "qemu_loadvm_state_section_startfull",
        type: "start",
        sectionId: 9,
        idstr: "a",
        instanceId: 0,
        version: 1,
      },
      { event: "vmstate_load", idstr: "a", vmsd: "(old)" },
      { event: "qemu_loadvm_state_section", type: 3, offset: 24 },
      { event: "qemu_loadvm_state_section_partend", type: "end", sectionId: 9 },
      { event: "vmstate_load", idstr: "a", vmsd: "(old)" },
      { event: "qemu_loadvm_state_section", type: 4, offset: 30 },
      {
        event: "qemu_loadvm_state_section_startfull",
        type: "full",
        sectionId: 2,
        idstr: "d",
        instanceId: 0,
        version: 3,
      },
      { event: "vmstate_load", idstr: "d", vmsd: "d" },
      { event: "qemu_loadvm_state_section", type: 0, offset: 46 },
      { event: "qemu_loadvm_state_post_main", quit: false },
      { event: "loadvm_state_cleanup" },
    ]);
  });
});

function never(): never {
  throw new Error("The probe cannot load");
}
