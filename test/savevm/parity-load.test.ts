import { describe, expect, it } from "vitest";
import { isMigrationError, type MigrationError } from "../../src/errors.js";
import { StateRegistry } from "../../src/registry/registry.js";
import { PrecopyCommands } from "../../src/savevm/command-handler.js";
import { readCommand } from "../../src/savevm/commands.js";
import { LoadSession, type LoadOptions } from "../../src/savevm/load.js";
import type { TraceEvent } from "../../src/savevm/trace.js";
import { decodeSync, type Decode } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u8 } from "../../src/vmstate/fields.js";
import { fromHex } from "../kit/hex.js";
import { probe } from "../kit/live.js";

/** What savevm.c does on load, beyond what load.test.ts shows: what is traced, in which order things are refused. */

const HEAD = "5145564d00000003";
const bare: LoadOptions = { machine: "toy", configuration: false, footers: false, description: false };
const returnPath = { open: () => undefined, pong: () => undefined, switchoverAck: () => undefined };

function machine(wantsAck = false) {
  const log: string[] = [];
  const registry = new StateRegistry();
  registry.registerLive("a", probe(log, "a", { wantsAck }), { version: 5 });
  const d = { v: 0 };
  registry.register(vmstate("d", { version: 3, minimumVersion: 2, fields: [u8("v")] }), d);
  return { registry, log, d };
}

function run<T>(hex: string, decode: (reader: Reader) => Decode<T>): T {
  const reader = new Reader();
  return decodeSync(decode(reader), reader, bytesSource(fromHex(hex)));
}

/** Load after the header; what was traced comes out with what it ended in. */
function load(hex: string, options: LoadOptions = bare, registry = machine().registry) {
  const trace: TraceEvent[] = [];
  const session = new LoadSession(registry, { ...options, onTrace: (event) => void trace.push(event) });
  let error: MigrationError | null = null;
  try {
    run(HEAD + hex, (reader) => session.loadState(reader));
  } catch (failure) {
    if (!isMigrationError(failure)) throw failure;
    error = failure;
  }
  return { trace, error, session };
}
const names = (trace: readonly TraceEvent[]): string[] => trace.map(({ event }) => event);

describe("what is traced", () => {
  it("the return path: commands, pings, a second OPEN_RETURN_PATH as a warning", () => {
    const { trace } = load("0800010000" + "08000200040000002a" + "0800010000" + "00", { ...bare, returnPath });
    expect(trace).toContainEqual({
      event: "loadvm_process_command",
      command: "OPEN_RETURN_PATH",
      length: 0,
      offset: 8,
    });
    expect(trace).toContainEqual({ event: "loadvm_process_command", command: "PING", length: 4, offset: 13 });
    expect(trace).toContainEqual({ event: "loadvm_process_command_ping", value: 42 });
    expect(names(trace).filter((event) => event === "warning")).toHaveLength(1);
  });

  it("a package: its length, what is in it, and how it ended", () => {
    const { trace } = load("0800070004" + "00000001" + "00" + "00");
    expect(trace).toContainEqual({ event: "loadvm_handle_cmd_packaged", length: 1 });
    expect(trace).toContainEqual({ event: "loadvm_handle_cmd_packaged_main", quit: false });
    expect(names(trace)).toEqual([
      "loadvm_state_setup",
      "qemu_loadvm_state_section",
      "loadvm_process_command",
      "loadvm_handle_cmd_packaged",
      "qemu_loadvm_state_section",
      "loadvm_handle_cmd_packaged_main",
      "qemu_loadvm_state_section",
      "qemu_loadvm_state_post_main",
      "loadvm_state_cleanup",
    ]);
  });

  it("the switchover: how many want to approve, and each approval", () => {
    const { registry } = machine(true);
    const options = { ...bare, capabilities: ["switchover-ack"], returnPath };
    const { trace, session } = load("080001000000", options, registry);
    expect(trace).toContainEqual({ event: "loadvm_state_switchover_ack_needed", pending: 1 });
    void session.approveSwitchover();
    expect(trace).toContainEqual({ event: "loadvm_approve_switchover", pending: 0 });
  });

  it("a load that fails: no end of the main loop, but a cleanup", () => {
    const { trace, error } = load("09");
    expect(error?.code).toBe("UNKNOWN_SECTION_TYPE");
    expect(names(trace)).toEqual(["loadvm_state_setup", "qemu_loadvm_state_section", "loadvm_state_cleanup"]);
  });
});

describe("the header", () => {
  it("version 2 is called obsolete, others are not", () => {
    const message = (hex: string): string => {
      try {
        run(hex, (reader) => new LoadSession(machine().registry, bare).loadState(reader));
      } catch (error) {
        return error instanceof Error ? error.message : "";
      }
      return "";
    };
    expect(message("5145564d00000002")).toContain("obsolete");
    expect(message("5145564d00000004")).not.toContain("obsolete");
  });

  it("that is refused: nothing was set up", () => {
    const { registry, log } = machine();
    expect(() => run("5145564e", (reader) => new LoadSession(registry, bare).loadState(reader))).toThrow("not a");
    expect(log).toEqual(["a.loadCleanup"]);
  });
});

describe("sections", () => {
  it("handlers are told the version that the stream announced, also for what follows", () => {
    const versions: number[] = [];
    const registry = new StateRegistry();
    const live = probe([], "a");
    const loadState = live.loadState?.bind(live);
    live.loadState = (context, version) => {
      versions.push(version);
      return loadState?.(context, version) ?? unreachable();
    };
    registry.registerLive("a", live, { version: 5 });
    expect(load("01000000070161" + "00000000" + "00000002" + "01" + "030000000702" + "00", bare, registry).error).toBe(
      null,
    );
    expect(versions).toEqual([2, 2]);
  });

  it("handlers are not asked about a version above their own", () => {
    const { registry, log } = machine();
    const { error } = load("01000000070161" + "00000000" + "00000006" + "01" + "00", bare, registry);
    expect(error).toMatchObject({ code: "VERSION_TOO_NEW", offset: 8, section: { idstr: "a", version: 6 } });
    expect(log).not.toContain("a.loadState");
  });

  it("a START that is refused where RAM came another way has announced its id: QEMU notes it before it refuses", () => {
    const { registry } = machine();
    const session = new LoadSession(registry, { ...bare, refuseLiveState: true });
    const start = "01000000070161" + "00000000" + "00000001";
    expect(() => run(start, (reader) => session.loadMain(reader))).toThrow("live state");
    expect(run("020000000701" + "00", (reader) => session.loadMain(reader))).toBe("eof");
  });
});

describe("a configuration that differs in several ways: what QEMU reports", () => {
  const local: LoadOptions = {
    machine: "none",
    uuid: "00112233-4455-6677-8899-aabbccddeeff",
    strict: true,
    footers: false,
    description: false,
  };
  const name = (text: string): string => text.length.toString(16).padStart(2, "0") + Buffer.from(text).toString("hex");
  const other = "07" + "00000004" + Buffer.from("nono").toString("hex");
  const same = "07" + "00000004" + Buffer.from("none").toString("hex");
  const bits = `05${name("configuration/target-page-bits")}00000001` + "0000000d";
  const unknown = `05${name("configuration/capabilities")}0000000100000001${name("bogus")}`;
  const shared = `05${name("configuration/capabilities")}0000000100000001${name("x-ignore-shared")}`;
  const uuid = `05${name("configuration/uuid")}00000001` + "ff".repeat(16);

  it.each([
    ["an unknown capability before the UUID", other + bits + unknown + uuid, "CAPABILITY", "capabilities"],
    ["the UUID before the machine type", other + bits + shared + uuid, "CONFIGURATION", "uuid.data"],
    ["the machine type before the page size", other + bits + shared, "CONFIGURATION", "name"],
    ["the page size before capabilities", same + bits + shared, "CONFIGURATION", "target_page_bits"],
    ["capabilities last", same + shared, "CAPABILITY", "capabilities"],
  ])("%s", (_, hex, code, field) => {
    expect(load(hex, local).error).toMatchObject({ code, field, section: { idstr: "configuration" } });
  });
});

describe("POSTCOPY_RAM_DISCARD that is not well-formed", () => {
  const range = "0000000000001000" + "0000000000002000";

  it.each([
    ["without a range", "0004" + "00016d00", "COMMAND_LENGTH"],
    ["with one range and no name", `0013000000${range}`, "COMMAND_LENGTH"],
    ["with two ranges and no name", `0023000000${range}${range}`, "COMMAND_PAYLOAD"],
  ])("%s is refused", (_, hex, code) => {
    expect(() => run(`0006${hex}`, (reader) => readCommand(reader, { strict: true }))).toThrow(
      expect.objectContaining({ code }) as Error,
    );
  });

  it("with one range and a name of one byte is the shortest there is", () => {
    expect(run(`0006001400016d00${range}`, (reader) => readCommand(reader, { strict: true }))).toEqual({
      name: "POSTCOPY_RAM_DISCARD",
      block: "m",
      ranges: [{ start: 0x1000, length: 0x2000 }],
    });
  });
});

describe("commands of a recovery that is not under way", () => {
  it("POSTCOPY_RESUME is only warned of", () => {
    const { trace, error } = load("080009000000");
    expect(error).toBeNull();
    expect(names(trace)).toContain("warning");
  });

  it("RECV_BITMAP of a block that there is, is only warned of", () => {
    const commands = new PrecopyCommands((block) => block === "m");
    const { trace, error } = load("08000a0002016d00", { ...bare, commands });
    expect(error).toBeNull();
    expect(names(trace)).toContain("warning");
    expect(load("08000a0002016e00", { ...bare, commands }).error?.code).toBe("POSTCOPY_UNSUPPORTED");
  });
});

function unreachable(): never {
  throw new Error("The probe cannot load");
}
