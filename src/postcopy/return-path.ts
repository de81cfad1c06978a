import { ProtocolError } from "../errors.js";
import {
  MAX_COUNTED_STRING,
  MIGRATION_RESUME_ACK_VALUE,
  MIG_RP_MSG_PONG,
  MIG_RP_MSG_RECV_BITMAP,
  MIG_RP_MSG_REQ_PAGES,
  MIG_RP_MSG_REQ_PAGES_ID,
  MIG_RP_MSG_RESUME_ACK,
  MIG_RP_MSG_SHUT,
  MIG_RP_MSG_SWITCHOVER_ACK,
  RAMBLOCK_RECV_BITMAP_ENDING,
} from "../stream/constants.js";
import { readInto, type Decode } from "../stream/drive.js";
import { encodeName } from "../stream/names.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * Messages of the return path, destination to source ("Return path" of the postcopy chapter; source_return_path_thread
 * of migration/migration.c):
 *
 *     be16 type | be16 length | payload             RECV_BITMAP only, behind the payload and not in its length:
 *                                                   be64 size | bitmap | be64 0x0123456789abcdef
 *
 * Nothing here acts on a message. The reader is for the source of a migration and for `inspect` of a recorded return
 * path, the writer for the destination: its answers to commands, its page requests and its part of a recovery.
 */

export type ReturnPathMessage =
  /** The destination is done; 0 is success. */
  | { readonly name: "SHUT"; readonly value: number }
  /** The answer to PING, with its value. */
  | { readonly name: "PONG"; readonly value: number }
  /** Bytes `start` to `start + length` of a block are wanted at once. */
  | { readonly name: "REQ_PAGES_ID"; readonly block: string; readonly start: number; readonly length: number }
  /** The same, of the block that the request before named. */
  | { readonly name: "REQ_PAGES"; readonly start: number; readonly length: number }
  /** The received bitmap of a block follows: {@link readReceivedBitmap} must be next. */
  | { readonly name: "RECV_BITMAP"; readonly block: string }
  | { readonly name: "RESUME_ACK" }
  /** QEMU 8.1 and later: no device stands against the switchover any more. */
  | { readonly name: "SWITCHOVER_ACK" };

export type ReturnPathMessageName = ReturnPathMessage["name"];

/** Type and payload length (null: variable) of every message, as QEMU checks them. */
export const RETURN_PATH_MESSAGES: Readonly<
  Record<ReturnPathMessageName, { readonly type: number; readonly length: number | null }>
> = {
  SHUT: { type: MIG_RP_MSG_SHUT, length: 4 },
  PONG: { type: MIG_RP_MSG_PONG, length: 4 },
  REQ_PAGES_ID: { type: MIG_RP_MSG_REQ_PAGES_ID, length: null },
  REQ_PAGES: { type: MIG_RP_MSG_REQ_PAGES, length: 12 },
  RECV_BITMAP: { type: MIG_RP_MSG_RECV_BITMAP, length: null },
  RESUME_ACK: { type: MIG_RP_MSG_RESUME_ACK, length: 4 },
  SWITCHOVER_ACK: { type: MIG_RP_MSG_SWITCHOVER_ACK, length: 0 },
};

const NAMES = new Map(
  Object.entries(RETURN_PATH_MESSAGES).map(([name, { type }]) => [type, name as ReturnPathMessageName]),
);
/** QEMU's receive buffer: longer payloads are refused unread. */
const MAX_PAYLOAD = 512;
/** be64 start, be32 length. */
const RANGE = 12;

/**
 * Write a message; the bitmap behind RECV_BITMAP is for {@link writeReceivedBitmap}.
 * @throws RangeError for a name that does not take 1 to 255 bytes, or a number that does not fit
 */
export function writeReturnPathMessage(writer: Writer, message: ReturnPathMessage): void {
  const { name } = message;
  const { type } = RETURN_PATH_MESSAGES[name];
  switch (name) {
    case "SHUT":
    case "PONG":
      checkU32(name, message.value);
      writer.u16(type);
      writer.u16(4);
      writer.u32(message.value);
      return;
    case "REQ_PAGES":
    case "REQ_PAGES_ID": {
      const block = name === "REQ_PAGES_ID" ? encodeBlock(name, message.block) : null;
      checkU32(name, message.length);
      if (!Number.isSafeInteger(message.start) || message.start < 0) {
        throw new RangeError(`Write ${name}: ${message.start} is no offset in bytes`);
      }
      writer.u16(type);
      writer.u16(RANGE + (block?.length ?? 0));
      writer.u64Number(message.start);
      writer.u32(message.length);
      if (block !== null) writer.bytes(block);
      return;
    }
    case "RECV_BITMAP": {
      const block = encodeBlock(name, message.block);
      writer.u16(type);
      writer.u16(block.length);
      writer.bytes(block);
      return;
    }
    case "RESUME_ACK":
      writer.u16(type);
      writer.u16(4);
      writer.u32(MIGRATION_RESUME_ACK_VALUE);
      return;
    case "SWITCHOVER_ACK":
      writer.u16(type);
      writer.u16(0);
      return;
  }
}

function checkU32(name: ReturnPathMessageName, value: number): void {
  if (value >>> 0 !== value) throw new RangeError(`Write ${name}: ${value} is not an unsigned 32-bit integer`);
}

/** A counted name. */
function encodeBlock(name: ReturnPathMessageName, block: string): Uint8Array {
  const text = encodeName(block);
  if (text.length === 0 || text.length > MAX_COUNTED_STRING) {
    throw new RangeError(`Write ${name}: the name of block "${block}" must take 1 to ${MAX_COUNTED_STRING} bytes`);
  }
  const bytes = new Uint8Array(1 + text.length);
  bytes[0] = text.length;
  bytes.set(text, 1);
  return bytes;
}

/**
 * Read a message, up to the bitmap in the case of RECV_BITMAP. Ask `hasMore` before: a channel may end here.
 * @throws ProtocolError RETURN_PATH; StreamError TRUNCATED, LIMIT_EXCEEDED for an offset above 2^53 - 1
 */
export function* readReturnPathMessage(reader: Reader): Decode<ReturnPathMessage> {
  const { offset } = reader;
  if (!reader.has(4)) yield 4;
  const type = reader.u16();
  const length = reader.u16();
  const name = NAMES.get(type);
  if (name === undefined) throw bad(`Read the return path: message ${type} is unknown`, offset);
  const wanted = RETURN_PATH_MESSAGES[name].length;
  if (wanted !== null && length !== wanted) throw bad(`Read ${name}: it has ${length} bytes, not ${wanted}`, offset);
  if (length > MAX_PAYLOAD) throw bad(`Read ${name}: its ${length} bytes exceed ${MAX_PAYLOAD}`, offset);
  if (!reader.has(length)) yield length;
  switch (name) {
    case "SHUT":
    case "PONG":
      return { name, value: reader.u32() };
    case "REQ_PAGES":
      return { name, start: reader.u64Number(), length: reader.u32() };
    case "REQ_PAGES_ID": {
      if (length < RANGE + 1) throw bad(`Read ${name}: it has ${length} bytes, at least ${RANGE + 1} belong`, offset);
      const start = reader.u64Number();
      const bytes = reader.u32();
      return { name, block: readBlock(reader, name, length - RANGE, offset), start, length: bytes };
    }
    case "RECV_BITMAP":
      return { name, block: readBlock(reader, name, length, offset) };
    case "RESUME_ACK": {
      const value = reader.u32();
      if (value !== MIGRATION_RESUME_ACK_VALUE) throw bad(`Read ${name}: its value is ${value}, not 1`, offset);
      return { name };
    }
    case "SWITCHOVER_ACK":
      return { name };
  }
}

/** A counted name that takes all of the `room` bytes left of the payload. */
function readBlock(reader: Reader, name: ReturnPathMessageName, room: number, offset: number): string {
  const length = room === 0 ? 0 : reader.u8();
  if (length === 0) throw bad(`Read ${name}: the block name is missing`, offset);
  if (1 + length !== room) {
    throw bad(`Read ${name}: a block name of ${length} bytes is not all of the ${room - 1} that are left`, offset);
  }
  return reader.text(length);
}

/**
 * Write what stands behind RECV_BITMAP: page p is bit p % 8 of byte p / 8, on hosts of either byte order.
 * @param bitmap copied; QEMU wants whole 64-bit words
 * @throws RangeError if its length is no multiple of 8
 */
export function writeReceivedBitmap(writer: Writer, bitmap: Uint8Array): void {
  if (bitmap.length % 8 !== 0) {
    throw new RangeError(`Write a received bitmap: ${bitmap.length} bytes are no multiple of 8`);
  }
  writer.u64Number(bitmap.length);
  writer.bytes(bitmap);
  writer.u64(RAMBLOCK_RECV_BITMAP_ENDING);
}

/**
 * Read what stands behind RECV_BITMAP, chunk by chunk, into `target`, whose length is the one that the block calls for.
 * When this throws, `target` holds anything: keep the block's own bitmap until it has returned.
 * @throws ProtocolError RETURN_PATH for another size, before anything is read, or a wrong end mark; StreamError TRUNCATED
 */
export function* readReceivedBitmap(reader: Reader, target: Uint8Array): Decode<void> {
  const { offset } = reader;
  if (!reader.has(8)) yield 8;
  const size = reader.u64();
  if (size !== BigInt(target.length)) {
    throw bad(`Read a received bitmap: it has ${size} bytes, not ${target.length}`, offset);
  }
  yield* readInto(reader, target);
  if (!reader.has(8)) yield 8;
  const end = reader.u64();
  if (end !== RAMBLOCK_RECV_BITMAP_ENDING) {
    throw bad(`Read a received bitmap: 0x${end.toString(16)} stands where its end mark belongs`, reader.offset - 8);
  }
}

/** What a page request is checked against; a RAMBlock is one. */
export interface RequestableBlock {
  readonly name: string;
  /** Bytes in use. */
  readonly usedLength: number;
}

/** The blocks that can be asked for. */
export interface RequestContext<B extends RequestableBlock> {
  /** Bytes: start and length of a request are multiples of it, as the pages of its host are for QEMU. */
  readonly hostPageSize: number;
  /** The block of the request before; null at the start, and again after a recovery. */
  readonly previous: B | null;
  readonly find: (name: string) => B | undefined;
  /** Absolute offset of the request, for errors. */
  readonly offset: number;
}

/**
 * The block that a page request is for, once it is known to lie within.
 * @throws ProtocolError RETURN_PATH
 */
export function requestedBlock<B extends RequestableBlock>(
  request: Extract<ReturnPathMessage, { readonly name: "REQ_PAGES" | "REQ_PAGES_ID" }>,
  { hostPageSize, previous, find, offset }: RequestContext<B>,
): B {
  const { name, start, length } = request;
  if (start % hostPageSize !== 0 || length % hostPageSize !== 0 || length === 0) {
    throw bad(`Handle ${name}: ${length} bytes at ${start} are no host pages of ${hostPageSize} bytes`, offset);
  }
  const block = name === "REQ_PAGES" ? previous : find(request.block);
  if (block === null) throw bad(`Handle ${name}: no request before it named a block`, offset);
  if (block === undefined) throw bad(`Handle ${name}: no block has the name it asks for`, offset);
  if (start > block.usedLength - length) {
    throw bad(
      `Handle ${name}: ${length} bytes at ${start} exceed block "${block.name}" of ${block.usedLength} bytes`,
      offset,
    );
  }
  return block;
}

function bad(message: string, offset: number): ProtocolError {
  return new ProtocolError("RETURN_PATH", message, { offset });
}
