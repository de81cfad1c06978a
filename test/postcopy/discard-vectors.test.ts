import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { StateRegistry } from "../../src/registry/registry.js";
import { readCommand, type Command } from "../../src/savevm/commands.js";
import { loadStateSync } from "../../src/savevm/run.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { fromHex } from "../kit/hex.js";
import { RamMachine } from "../ram/kit.js";

/** The cases of the discard vectors that are well-formed, and wrong only for the machine or the moment they meet. */

const { malformed } = JSON.parse(readFileSync(new URL("../vectors/discard.json", import.meta.url), "utf8")) as {
  readonly malformed: readonly { readonly name: string; readonly command: string }[];
};

function command(name: string): string {
  return malformed.find((one) => one.name === name)!.command;
}

function discard(name: string): Extract<Command, { readonly name: "POSTCOPY_RAM_DISCARD" }> {
  const reader = Reader.of(fromHex(command(name)).subarray(1), 1);
  const decoded = decodeSync(readCommand(reader, { strict: true }), reader, bytesSource());
  return decoded as Extract<Command, { readonly name: "POSTCOPY_RAM_DISCARD" }>;
}

function carryOut(name: string, blockName: string): void {
  const machine = new RamMachine({ pageSize: 4096 });
  machine.blocks.addGlobal(blockName, new Uint8Array(2 * 4096), { pageSize: 4096 });
  machine.handler.loadSetup();
  const { block, ranges } = discard(name);
  for (const range of ranges) machine.handler.load!.discard(block, range);
}

describe("discard vectors that a machine refuses", () => {
  it("unknown block: RamError BLOCK_UNKNOWN", () => {
    expect(() => carryOut("unknown block", "pc.ram")).toThrow(
      expect.objectContaining({ name: "RamError", code: "BLOCK_UNKNOWN" }) as Error,
    );
  });

  it("a block of one character, one range: carried out", () => {
    expect(() => carryOut("name only, exactly 20 bytes, 1 range, 1-char name", "m")).not.toThrow();
  });

  it("state NONE, no advice was given: ProtocolError POSTCOPY_ORDER at the command", () => {
    const stream = fromHex("5145564d00000003" + command("state NONE"));
    const options = { machine: "toy", configuration: false, footers: false, description: false } as const;
    expect(() => loadStateSync(new StateRegistry(), stream, options)).toThrow(
      expect.objectContaining({ name: "ProtocolError", code: "POSTCOPY_ORDER", offset: 8 }) as Error,
    );
  });
});
