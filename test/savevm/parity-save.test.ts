import { describe, expect, it } from "vitest";
import { StateRegistry } from "../../src/registry/registry.js";
import { SaveSession, type SaveOptions } from "../../src/savevm/save.js";
import type { TraceEvent } from "../../src/savevm/trace.js";
import { encodeSync, type Encode } from "../../src/stream/drive.js";
import { BytesSink } from "../../src/stream/sink.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u8 } from "../../src/vmstate/fields.js";
import type { VMStateOptions } from "../../src/vmstate/types.js";
import { toHex } from "../kit/hex.js";
import { oldStyle, probe } from "../kit/live.js";

/** What savevm.c does on save, beyond what save.test.ts shows: when bytes leave, what is traced, who is asked. */

const bare: SaveOptions = { machine: "toy", configuration: false, footers: false, description: false };

interface Dev {
  v: number;
}
function device(name: string, options: Partial<VMStateOptions<Dev>> = {}) {
  return vmstate(name, { version: 3, ...options, fields: [u8("v")] });
}

/** Everything handed over at yields, that is before the step has ended. */
function flushed(step: (writer: Writer) => Encode<unknown>): string {
  const writer = new Writer();
  const chunks: Uint8Array[] = [];
  const run = step(writer);
  while (run.next().done !== true) chunks.push(...writer.take().map((chunk) => chunk.slice()));
  return toHex(concat(chunks));
}

function run(step: (writer: Writer) => Encode<unknown>): string {
  const writer = new Writer();
  const sink = new BytesSink();
  encodeSync(step(writer), writer, sink);
  return toHex(sink.toBytes());
}

describe("what the other side waits for leaves before the step ends", () => {
  const session = (): SaveSession => {
    const registry = new StateRegistry();
    registry.register(device("d"), { v: 0x55 });
    return new SaveSession(registry, bare);
  };
  const FULL = "04000000000164" + "00000000" + "00000003" + "55";

  it.each<[string, (session: SaveSession, writer: Writer) => Encode<unknown>, string]>([
    ["a command", (save, writer) => save.command(writer, { name: "PING", value: 7 }), "080002000400000007"],
    ["a package", (save, writer) => save.packaged(writer, Uint8Array.of(1, 2)), "0800070004000000020102"],
    ["the completion", (save, writer) => save.completePrecopy(writer), `${FULL}00`],
    ["the completion of postcopy", (save, writer) => save.completePostcopy(writer), "00"],
    ["live state", (save, writer) => save.liveState(writer), "00"],
    ["device state", (save, writer) => save.deviceState(writer, { header: false }), `${FULL}00`],
  ])("%s", (_, step, hex) => {
    expect(flushed((writer) => step(session(), writer))).toBe(hex);
  });

  it("a round, up to the footer of its last section", () => {
    const registry = new StateRegistry();
    registry.registerLive("a", probe([], "a"), { version: 1 });
    const session = new SaveSession(registry, { ...bare, footers: true });
    expect(flushed((writer) => session.iterate(writer))).toBe("0200000000aa" + "7e00000000");
  });
});

describe("what is traced", () => {
  function traced(registry: StateRegistry, step: (session: SaveSession, writer: Writer) => Encode<unknown>): unknown[] {
    const trace: TraceEvent[] = [];
    const session = new SaveSession(registry, { ...bare, onTrace: (event) => void trace.push(event) });
    run((writer) => step(session, writer));
    return trace;
  }

  it("preparing to resume", () => {
    const step = (session: SaveSession) => session.resumePrepare();
    expect(traced(new StateRegistry(), step)).toEqual([{ event: "savevm_state_resume_prepare" }]);
  });

  it("setup: an early device as every FULL section, START sections not at all", () => {
    const registry = new StateRegistry();
    registry.register(device("e", { earlySetup: true }), { v: 1 });
    registry.registerLive("a", probe([], "a"), { version: 1 });
    expect(traced(registry, (session, writer) => session.setup(writer))).toEqual([
      { event: "savevm_state_setup" },
      { event: "savevm_section_start", idstr: "e", sectionId: 0 },
      { event: "vmstate_save", idstr: "e", vmsd: "e" },
      { event: "savevm_section_end", idstr: "e", sectionId: 0, result: true },
    ]);
  });

  it("an iteration that is not done says so, and so does what ends it", () => {
    const registry = new StateRegistry();
    registry.registerLive("a", probe([], "a", { rounds: 2 }), { version: 1 });
    expect(traced(registry, (session, writer) => session.iterate(writer))).toEqual([
      { event: "savevm_state_iterate" },
      { event: "savevm_section_start", idstr: "a", sectionId: 0 },
      { event: "savevm_section_end", idstr: "a", sectionId: 0, result: false },
    ]);
  });

  it("old-style state has no description's name", () => {
    const registry = new StateRegistry();
    registry.registerLive("o", oldStyle(1), { version: 2 });
    expect(traced(registry, (session, writer) => session.completePrecopy(writer))).toContainEqual({
      event: "vmstate_save",
      idstr: "o",
      vmsd: "(old)",
    });
  });

  it("the completion of postcopy: its sections", () => {
    const registry = new StateRegistry();
    registry.registerLive("a", probe([], "a"), { version: 1 });
    expect(traced(registry, (session, writer) => session.completePostcopy(writer))).toEqual([
      { event: "savevm_section_start", idstr: "a", sectionId: 0 },
      { event: "savevm_section_end", idstr: "a", sectionId: 0, result: true },
    ]);
  });

  it("a command, with the length of its payload", () => {
    const step = (session: SaveSession, writer: Writer) => session.command(writer, { name: "RECV_BITMAP", block: "m" });
    expect(traced(new StateRegistry(), step)).toEqual([
      { event: "savevm_command_send", command: "RECV_BITMAP", length: 2 },
    ]);
  });
});

describe("who is asked", () => {
  it("an early device may have an unplug pending", () => {
    const registry = new StateRegistry();
    registry.register(device("e", { earlySetup: true, unplugPending: () => true }), { v: 0 });
    expect(new SaveSession(registry, bare).guestUnplugPending()).toBe(true);
  });

  it("handlers that do not say whether they can send after the switchover cannot", () => {
    const registry = new StateRegistry();
    const silent = probe([], "a");
    delete silent.hasPostcopy;
    registry.registerLive("a", silent, { version: 1 });
    const session = new SaveSession(registry, bare);
    session.enterPostcopy();
    expect(run((writer) => session.iterate(writer))).toBe("");
    expect(run((writer) => session.completePrecopy(writer, { iterableOnly: true }))).toBe("0300000000aa");
  });

  it("device state: the CPUs first, old-style state even if it says that it is inactive", () => {
    const log: string[] = [];
    const registry = new StateRegistry();
    const saveState = (writer: Writer): void => {
      log.push("o");
      writer.u8(0x66);
    };
    registry.registerLive("o", { ...oldStyle(0x66), isActive: () => false, saveState }, { version: 2 });
    const session = new SaveSession(registry, { ...bare, beforeComplete: () => void log.push("cpus") });
    expect(run((writer) => session.deviceState(writer, { header: false }))).toBe(
      "0400000000016f" + "00000000" + "00000002" + "66" + "00",
    );
    expect(log).toEqual(["cpus", "o"]);
  });

  it("listeners hear of the setup behind it, of the completion and the cleanup before it", () => {
    const log: string[] = [];
    const registry = new StateRegistry();
    registry.registerLive("a", probe(log, "a"), { version: 1 });
    const session = new SaveSession(registry, {
      ...bare,
      onPrecopy: (event) => void log.push(event),
      beforeComplete: () => void log.push("cpus"),
    });
    run((writer) => session.setup(writer));
    run((writer) => session.completePrecopy(writer));
    session.cleanup();
    expect(log).toEqual([
      ...["a.saveSetup", "setup"],
      ...["complete", "cpus", "a.saveLiveCompletePrecopy"],
      ...["cleanup", "a.saveCleanup"],
    ]);
  });

  it("no notification but by the steps that notify: device state does not", () => {
    const events: string[] = [];
    const session = new SaveSession(new StateRegistry(), { ...bare, onPrecopy: (event) => void events.push(event) });
    run((writer) => session.deviceState(writer));
    run((writer) => session.liveState(writer));
    expect(events).toEqual(["complete"]);
  });
});
