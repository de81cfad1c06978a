import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { COMMANDS, readCommand, writeCommand, type Command, type CommandName } from "../../src/savevm/commands.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { fromHex, toHex } from "../kit/hex.js";

interface Range {
  readonly start: string;
  readonly length: string;
}
interface Discard {
  readonly name: string;
  readonly block: string;
  readonly ranges: readonly Range[];
}
const vectors = JSON.parse(readFileSync(new URL("../vectors/discard.json", import.meta.url), "utf8")) as {
  readonly encode: readonly (Discard & { readonly commands: readonly string[] })[];
  readonly captured: readonly (Discard & { readonly command: string })[];
  readonly malformed: readonly { readonly name: string; readonly command: string; readonly error: string | null }[];
};

function encoded(command: Command): string {
  const writer = new Writer();
  writeCommand(writer, command);
  return toHex(concat(writer.take()));
}

/** Decode a command with its type byte, fed byte by byte; every byte must be consumed. */
function decoded(hex: string, strict = true): Command {
  const bytes = fromHex(hex);
  const reader = new Reader();
  const command = decodeSync(
    (function* () {
      yield 1;
      reader.advance(1);
      return yield* readCommand(reader, { strict });
    })(),
    reader,
    bytesSource(...Array.from(bytes, (byte) => Uint8Array.of(byte))),
  );
  expect(reader.offset).toBe(bytes.length);
  return command;
}

function failure(hex: string): unknown {
  try {
    return decoded(hex);
  } catch (error) {
    return isMigrationError(error) ? [error.code, error.offset] : error;
  }
}

function discard(block: string, ranges: readonly Range[]): Command {
  const numbers = ranges.map(({ start, length }) => ({ start: Number(start), length: Number(length) }));
  return { name: "POSTCOPY_RAM_DISCARD", block, ranges: numbers };
}

describe("commands", () => {
  const examples: readonly (readonly [Command, string])[] = [
    [{ name: "OPEN_RETURN_PATH" }, "0800010000"],
    [{ name: "PING", value: 0xfedcba98 }, "0800020004fedcba98"],
    [{ name: "POSTCOPY_ADVISE", ram: null }, "0800030000"],
    [
      { name: "POSTCOPY_ADVISE", ram: { pageSizes: 0x201000, targetPageSize: 0x1000 } },
      "080003001000000000002010000000000000001000",
    ],
    [{ name: "POSTCOPY_LISTEN" }, "0800040000"],
    [{ name: "POSTCOPY_RUN" }, "0800050000"],
    [
      { name: "POSTCOPY_RAM_DISCARD", block: "m", ranges: [{ start: 0x1000, length: 0x2000 }] },
      "080006001400016d0000000000000010000000000000002000",
    ],
    [{ name: "PACKAGED", length: 0xffffffff }, "0800070004ffffffff"],
    [{ name: "ENABLE_COLO" }, "0800080000"],
    [{ name: "POSTCOPY_RESUME" }, "0800090000"],
    [{ name: "RECV_BITMAP", block: "pc.ram" }, "08000a00070670632e72616d"],
    [{ name: "SWITCHOVER_START" }, "08000b0000"],
  ];

  it.each(examples)("%j is encoded and decoded", (command, hex) => {
    expect(encoded(command)).toBe(hex);
    expect(decoded(hex, false)).toEqual(command);
  });

  it("there is an example of each", () => {
    expect(new Set(examples.map(([{ name }]) => name))).toEqual(new Set(Object.keys(COMMANDS)));
  });

  it.each(Object.entries(COMMANDS).filter(([name, { length }]) => length !== null && name !== "SWITCHOVER_START"))(
    "%s with a payload of another length is refused before the payload is read",
    (_, { number, length }) => {
      const wrong = ((length ?? 0) + 1).toString(16).padStart(4, "0");
      expect(failure(`08${number.toString(16).padStart(4, "0")}${wrong}`)).toEqual(["COMMAND_LENGTH", 0]);
    },
  );

  it.each(["0000", "000b", "000c", "0100", "ffff"])("number 0x%s is unknown when strict", (number) => {
    expect(failure(`08${number}0000`)).toEqual(["COMMAND_UNKNOWN", 0]);
  });

  it.each([4, 8, 15, 17])("POSTCOPY_ADVISE of %i bytes is refused", (length) => {
    expect(failure(`080003${length.toString(16).padStart(4, "0")}`)).toEqual(["COMMAND_LENGTH", 0]);
  });

  it.each([
    ["empty", "0000"],
    ["without room for a name", "000100"],
    ["with an empty name", "00020061"],
    ["with a name that exceeds the payload", "0003036162"],
    ["with more than the name", "00040261626300"],
  ])("RECV_BITMAP %s is refused", (_, hex) => {
    expect(failure(`08000a${hex}`)).toEqual(["COMMAND_PAYLOAD", 0]);
  });

  it.each([
    [{ name: "PING", value: -1 }],
    [{ name: "PING", value: 1.5 }],
    [{ name: "PACKAGED", length: 2 ** 32 }],
    [{ name: "POSTCOPY_ADVISE", ram: { pageSizes: -1, targetPageSize: 1 } }],
    [{ name: "POSTCOPY_RAM_DISCARD", block: "", ranges: [] }],
    [{ name: "POSTCOPY_RAM_DISCARD", block: "m", ranges: [{ start: 2 ** 53, length: 1 }] }],
    [{ name: "RECV_BITMAP", block: "x".repeat(256) }],
  ] satisfies [Command][])("%j cannot be encoded", (command) => {
    const writer = new Writer();
    expect(() => writeCommand(writer, command)).toThrow(RangeError);
  });

  it("more ranges than a payload has room for cannot be encoded", () => {
    const ranges = Array.from({ length: 4096 }, (_, i) => ({ start: i, length: 1 }));
    expect(() => encoded({ name: "POSTCOPY_RAM_DISCARD", block: "m", ranges })).toThrow(RangeError);
    expect(encoded({ name: "POSTCOPY_RAM_DISCARD", block: "m", ranges: ranges.slice(1) })).toHaveLength(131058);
  });

  it("a length beyond 2^53 is refused", () => {
    expect(failure("080006001400016d00" + "ffffffffffffffff" + "0000000000001000")).toEqual(["LIMIT_EXCEEDED", 9]);
  });

  it.each(Object.keys(COMMANDS) as CommandName[])("%s cut short anywhere is truncated", (name) => {
    const hex = examples.find(([command]) => command.name === name)?.[1] ?? "";
    for (let length = 1; length < hex.length / 2; length++) {
      expect(() => decoded(hex.slice(0, 2 * length), false)).toThrow(
        expect.objectContaining({ code: "TRUNCATED" }) as Error,
      );
    }
  });
});

describe("discard vectors", () => {
  const perCommand = 12;

  it.each(vectors.encode)("$name", ({ block, ranges, commands }) => {
    const count = Math.ceil(ranges.length / perCommand);
    const parts = Array.from({ length: count }, (_, i) => ranges.slice(i * perCommand, (i + 1) * perCommand));
    expect(parts.map((part) => encoded(discard(block, part)))).toEqual(commands);
    expect(commands.map((hex) => decoded(hex))).toEqual(parts.map((part) => discard(block, part)));
  });

  it.each(vectors.captured)("$name", ({ block, ranges, command }) => {
    expect(decoded(command)).toEqual(discard(block, ranges));
    expect(encoded(discard(block, ranges))).toBe(command);
  });

  const inPayload = /length|version|nil|block id/;
  it.each(vectors.malformed.filter(({ error }) => error !== null && inPayload.test(error)))(
    "$name is refused: $error",
    ({ command }) => {
      expect(failure(command)).toEqual([expect.stringMatching(/^COMMAND_(LENGTH|PAYLOAD)$/), 0]);
    },
  );

  it.each(vectors.malformed.filter(({ error }) => error === null || !inPayload.test(error)))(
    "$name is well-formed",
    ({ command }) => {
      expect(encoded(decoded(command))).toBe(command);
    },
  );
});
