import { ProtocolError } from "../errors.js";
import { MAX_COUNTED_STRING, QEMU_VM_COMMAND } from "../stream/constants.js";
import type { Decode } from "../stream/drive.js";
import { encodeName } from "../stream/names.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * QEMU_VM_COMMAND: 08, be16 command, be16 length, payload ("COMMAND" of the stream chapter; mig_cmd_args of
 * migration/savevm.c). Lengths are checked before anything is done. Nothing here acts on a command.
 */

/** A run of bytes within a RAMBlock. */
export interface DiscardRange {
  readonly start: number;
  readonly length: number;
}

/** A command and its payload, as data. */
export type Command =
  | { readonly name: "OPEN_RETURN_PATH" }
  /** The destination answers with PONG of the same value (be32). */
  | { readonly name: "PING"; readonly value: number }
  /** `ram` is null when only dirty bitmaps may follow after the switchover. Sizes in bytes. */
  | {
      readonly name: "POSTCOPY_ADVISE";
      readonly ram: { readonly pageSizes: number; readonly targetPageSize: number } | null;
    }
  | { readonly name: "POSTCOPY_LISTEN" }
  | { readonly name: "POSTCOPY_RUN" }
  | { readonly name: "POSTCOPY_RAM_DISCARD"; readonly block: string; readonly ranges: readonly DiscardRange[] }
  /** `length` bytes of sections follow the command. */
  | { readonly name: "PACKAGED"; readonly length: number }
  | { readonly name: "ENABLE_COLO" }
  | { readonly name: "POSTCOPY_RESUME" }
  | { readonly name: "RECV_BITMAP"; readonly block: string }
  /** QEMU 10.0 and later: the source has stopped. */
  | { readonly name: "SWITCHOVER_START" };

export type CommandName = Command["name"];

/** Number and payload length (null: variable) of every command, as QEMU checks them. */
export const COMMANDS: Readonly<Record<CommandName, { readonly number: number; readonly length: number | null }>> = {
  OPEN_RETURN_PATH: { number: 1, length: 0 },
  PING: { number: 2, length: 4 },
  POSTCOPY_ADVISE: { number: 3, length: null },
  POSTCOPY_LISTEN: { number: 4, length: 0 },
  POSTCOPY_RUN: { number: 5, length: 0 },
  POSTCOPY_RAM_DISCARD: { number: 6, length: null },
  PACKAGED: { number: 7, length: 4 },
  // Without a length of its own in QEMU's table, which makes it 0.
  ENABLE_COLO: { number: 8, length: 0 },
  POSTCOPY_RESUME: { number: 9, length: 0 },
  RECV_BITMAP: { number: 10, length: null },
  SWITCHOVER_START: { number: 11, length: 0 },
};

const NAMES = new Map(Object.entries(COMMANDS).map(([name, { number }]) => [number, name as CommandName]));
const POSTCOPY_RAM_DISCARD_VERSION = 0;
/** Version, name length, one byte of name, its terminator, one range. */
const SHORTEST_DISCARD = 1 + 1 + 1 + 1 + 16;
const MAX_PAYLOAD = 0xffff;

/**
 * Write a command with its payload. What follows PACKAGED is the caller's to write.
 * @throws RangeError for a name over 255 bytes, an empty one, a value that does not fit, or too many ranges
 */
export function writeCommand(writer: Writer, command: Command): void {
  const length = payloadLength(command);
  if (length > MAX_PAYLOAD) throw new RangeError(`Write ${command.name}: ${length} bytes, at most ${MAX_PAYLOAD} fit`);
  writer.u8(QEMU_VM_COMMAND);
  writer.u16(COMMANDS[command.name].number);
  writer.u16(length);
  switch (command.name) {
    case "PING":
      writer.u32(checkedU32(command.name, command.value));
      return;
    case "PACKAGED":
      writer.u32(checkedU32(command.name, command.length));
      return;
    case "POSTCOPY_ADVISE":
      if (command.ram === null) return;
      writer.u64Number(checkedU64(command.name, command.ram.pageSizes));
      writer.u64Number(checkedU64(command.name, command.ram.targetPageSize));
      return;
    case "POSTCOPY_RAM_DISCARD":
      writer.u8(POSTCOPY_RAM_DISCARD_VERSION);
      writer.countedString(command.block);
      writer.u8(0);
      for (const { start, length: size } of command.ranges) {
        writer.u64Number(checkedU64(command.name, start));
        writer.u64Number(checkedU64(command.name, size));
      }
      return;
    case "RECV_BITMAP":
      writer.countedString(command.block);
      return;
    default:
      return;
  }
}

/** Bytes of payload behind the length; what follows PACKAGED is not counted. @throws RangeError for an impossible name */
export function payloadLength(command: Command): number {
  switch (command.name) {
    case "POSTCOPY_ADVISE":
      return command.ram === null ? 0 : 16;
    case "POSTCOPY_RAM_DISCARD":
      return 3 + nameLength(command.block) + 16 * command.ranges.length;
    case "RECV_BITMAP":
      return 1 + nameLength(command.block);
    default:
      return COMMANDS[command.name].length ?? 0;
  }
}

function nameLength(block: string): number {
  const { length } = encodeName(block);
  if (length === 0 || length > MAX_COUNTED_STRING) {
    throw new RangeError(`Write the name of block "${block}": it takes 1 to ${MAX_COUNTED_STRING} bytes`);
  }
  return length;
}

function checkedU32(name: CommandName, value: number): number {
  if (value >>> 0 !== value) throw new RangeError(`Write ${name}: ${value} is not an unsigned 32-bit integer`);
  return value;
}

function checkedU64(name: CommandName, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`Write ${name}: ${value} is no size in bytes`);
  return value;
}

/** How a command is read. */
export interface CommandOptions {
  /** As QEMU 8.2, which does not know SWITCHOVER_START. */
  readonly strict: boolean;
}

/** A command whose payload has not been read. */
export interface CommandHead {
  readonly name: CommandName;
  /** Bytes of payload; right for the command where that is fixed. */
  readonly length: number;
  /** Absolute offset of the command, its type byte included. */
  readonly offset: number;
}

/**
 * Read what stands before the payload, the type byte being consumed.
 * @throws ProtocolError COMMAND_UNKNOWN, COMMAND_LENGTH; StreamError TRUNCATED
 */
export function* readCommandHead(reader: Reader, { strict }: CommandOptions): Decode<CommandHead> {
  const offset = reader.offset - 1;
  if (!reader.has(4)) yield 4;
  const number = reader.u16();
  const length = reader.u16();
  const name = NAMES.get(number);
  if (name === undefined || (strict && name === "SWITCHOVER_START")) {
    const message = `Read a command: number ${number} (${length} bytes) is unknown`;
    throw new ProtocolError("COMMAND_UNKNOWN", message, { offset });
  }
  const wanted = COMMANDS[name].length;
  if (wanted !== null && wanted !== length) {
    const message = `Read ${name}: it has ${length} bytes, it must have ${wanted}`;
    throw new ProtocolError("COMMAND_LENGTH", message, { offset });
  }
  return { name, length, offset };
}

/**
 * Read the payload.
 * @throws ProtocolError COMMAND_LENGTH, COMMAND_PAYLOAD; StreamError TRUNCATED
 */
export function* readCommandPayload(reader: Reader, { name, length, offset }: CommandHead): Decode<Command> {
  switch (name) {
    case "PING":
      if (!reader.has(4)) yield 4;
      return { name, value: reader.u32() };
    case "PACKAGED":
      if (!reader.has(4)) yield 4;
      return { name, length: reader.u32() };
    case "POSTCOPY_ADVISE":
      if (length === 0) return { name, ram: null };
      if (length !== 16) {
        throw new ProtocolError("COMMAND_LENGTH", `Read ${name}: it has ${length} bytes, it must have 0 or 16`, {
          offset,
        });
      }
      if (!reader.has(16)) yield 16;
      return { name, ram: { pageSizes: reader.u64Number(), targetPageSize: reader.u64Number() } };
    case "POSTCOPY_RAM_DISCARD":
      return yield* readDiscard(reader, length, offset);
    case "RECV_BITMAP": {
      const block = yield* readBlockName(reader, name, length, offset);
      if (length !== 1 + encodeName(block).length)
        throw payloadError(name, offset, "the length of the name is not its own");
      return { name, block };
    }
    default:
      return { name };
  }
}

/** Both in one: a command and its payload, the type byte being consumed. Throws what the two parts throw. */
export function* readCommand(reader: Reader, options: CommandOptions): Decode<Command> {
  return yield* readCommandPayload(reader, yield* readCommandHead(reader, options));
}

function* readDiscard(reader: Reader, length: number, offset: number): Decode<Command> {
  const name = "POSTCOPY_RAM_DISCARD";
  if (length < SHORTEST_DISCARD) {
    const message = `Read ${name}: it has ${length} bytes, it must have at least ${SHORTEST_DISCARD}`;
    throw new ProtocolError("COMMAND_LENGTH", message, { offset });
  }
  if (!reader.has(1)) yield 1;
  const version = reader.u8();
  if (version !== POSTCOPY_RAM_DISCARD_VERSION) throw payloadError(name, offset, `its version is ${version}, not 0`);
  const block = yield* readBlockName(reader, name, length - 2, offset);
  const left = length - 3 - encodeName(block).length;
  if (!reader.has(1)) yield 1;
  const terminator = reader.u8();
  if (terminator !== 0) throw payloadError(name, offset, `the name ends in ${terminator}, not 0`);
  if (left % 16 !== 0) throw payloadError(name, offset, `${left} bytes of ranges are no multiple of 16`);
  const ranges: DiscardRange[] = [];
  for (let n = left / 16; n > 0; n--) {
    if (!reader.has(16)) yield 16;
    ranges.push({ start: reader.u64Number(), length: reader.u64Number() });
  }
  return { name, block, ranges };
}

/** A counted name within the `room` bytes that are left of the payload. */
function* readBlockName(reader: Reader, name: CommandName, room: number, offset: number): Decode<string> {
  if (room < 2) throw payloadError(name, offset, "it has no room for a block name");
  if (!reader.has(1)) yield 1;
  const length = reader.u8();
  if (length === 0) throw payloadError(name, offset, "the block name is empty");
  if (1 + length > room) throw payloadError(name, offset, `a block name of ${length} bytes exceeds the payload`);
  if (!reader.has(length)) yield length;
  return reader.text(length);
}

function payloadError(name: CommandName, offset: number, problem: string): ProtocolError {
  return new ProtocolError("COMMAND_PAYLOAD", `Read ${name}: ${problem}`, { offset });
}
