import { ProtocolError, RamError, StreamError } from "../errors.js";
import {
  MAX_COUNTED_STRING,
  MULTIFD_FLAG_COMPRESSION_MASK,
  MULTIFD_FLAG_DEVICE_STATE,
  MULTIFD_FLAG_NOCOMP,
  MULTIFD_FLAG_SYNC,
  MULTIFD_FLAG_ZLIB,
  MULTIFD_FLAG_ZSTD,
  MULTIFD_MAGIC,
  MULTIFD_PACKET_SIZE,
  MULTIFD_VERSION,
} from "../stream/constants.js";
import type { Decode } from "../stream/drive.js";
import { decodeName, encodeName } from "../stream/names.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * Packets of a multifd channel (the multifd chapter; migration/multifd.c). A channel is one initial packet, then packets
 * up to the end of the channel, which may only come between two of them. P is 512 KiB divided by the page size:
 *
 *     initial    be32 magic | be32 1 | uuid[16] | channel | 39 zeros
 *     packet     be32 magic | be32 1 | be32 flags | be32 pages_alloc | be32 normal_pages | be32 next_packet_size |
 *                be64 packet_num | be32 zero_pages | 28 zeros | block[256] | be64 offset[P] | next_packet_size bytes
 *
 * Where a packet has no normal page, QEMU before 10.0 leaves next_packet_size, the name and the offsets of an earlier
 * packet in it, and no payload follows whatever they say. Offsets behind those in use are stale in the same way. Here
 * such fields are not looked at, and written as zeros.
 *
 * Nothing here moves a page or waits for another channel: that is for the two ends of a live migration, and for the tools
 * that read recorded channels.
 */

/** What a multifd connection begins with. */
export interface MultifdInitialPacket {
  /** 16 bytes, the machine's; zeros when it has none. */
  readonly uuid: Uint8Array;
  /** Number of the channel, from 0. Connections arrive in any order. */
  readonly channel: number;
}

export type MultifdCompression = "none" | "zlib" | "zstd";

/** One packet without its payload. */
export interface MultifdPacket {
  /** What follows on this channel must wait for the others, once this packet's payload is in place. */
  readonly sync: boolean;
  /**
   * Of the payload. One compressed stream runs through the whole channel, flushed after each payload. A packet that only
   * synchronises says "none", whatever the channel's method.
   */
  readonly compression: MultifdCompression;
  /** Its place in the count over all channels; the empty packet behind a sync with pages repeats that one's. */
  readonly number: bigint;
  /** Room for pages that the sender had: P, and 0 in packets that only synchronise from QEMU 10.0 on. */
  readonly allocated: number;
  /** All pages belong to this block; null when there are none. */
  readonly block: string | null;
  /** Byte offsets of the pages in the payload, in its order, which is not that of memory. */
  readonly normal: readonly number[];
  /** Byte offsets of pages of zeros, which are not in the payload (QEMU 9.0 and later). */
  readonly zero: readonly number[];
  /** Bytes of payload that follow. */
  readonly payload: number;
}

export interface MultifdPacketOptions {
  /** Bytes of a target page: tells how many offsets every packet has. */
  readonly pageSize: number;
}

export interface ReadMultifdPacketOptions extends MultifdPacketOptions {
  /** The method that was agreed on; null takes any. */
  readonly compression: MultifdCompression | null;
}

const INITIAL_BYTES = 64;
const UUID_AT = 8;
const UUID_BYTES = 16;
const CHANNEL_AT = UUID_AT + UUID_BYTES;
/** Bytes of a packet up to its flags, which say what the rest is. */
const HEAD_BYTES = 12;
const RESERVED_BYTES = 28;
const NAME_BYTES = 256;
const HEADER_BYTES = 64 + NAME_BYTES;
/** What QEMU's buffers take of compressed bytes. */
const MAX_PAYLOAD = 2 * MULTIFD_PACKET_SIZE;

const METHODS: Readonly<Record<MultifdCompression, number>> = {
  none: MULTIFD_FLAG_NOCOMP,
  zlib: MULTIFD_FLAG_ZLIB,
  zstd: MULTIFD_FLAG_ZSTD,
};
const METHOD_NAMES = new Map(Object.entries(METHODS).map(([name, flag]) => [flag, name as MultifdCompression]));

/** Pages that one packet has room for. */
export function multifdPageCount(pageSize: number): number {
  return MULTIFD_PACKET_SIZE / pageSize;
}

/** @throws RangeError for a uuid that is not 16 bytes, or a channel outside 0 to 255 */
export function writeMultifdInitialPacket(writer: Writer, { uuid, channel }: MultifdInitialPacket): void {
  if (uuid.length !== UUID_BYTES) throw new RangeError(`Open a multifd channel: its uuid has ${uuid.length} bytes`);
  if ((channel & 0xff) !== channel) throw new RangeError(`Open a multifd channel: ${channel} is not in 0 to 255`);
  writer.u32(MULTIFD_MAGIC);
  writer.u32(MULTIFD_VERSION);
  writer.bytes(uuid);
  writer.u8(channel);
  writer.zeros(INITIAL_BYTES - CHANNEL_AT - 1);
}

/** @throws StreamError BAD_MAGIC, BAD_VERSION, TRUNCATED */
export function* readMultifdInitialPacket(reader: Reader): Decode<MultifdInitialPacket> {
  if (!reader.has(INITIAL_BYTES)) yield INITIAL_BYTES;
  readMagic(reader);
  const uuid = reader.bytes(UUID_BYTES);
  const channel = reader.u8();
  reader.advance(INITIAL_BYTES - CHANNEL_AT - 1);
  return { uuid, channel };
}

/**
 * Whether a connection is one of this migration. That no other has its number is for whoever holds the channels.
 * @param local the machine's own uuid, and how many channels were agreed on. QEMU lets the number that equals the count
 *   pass (8.2); it would be a channel too many.
 * @throws ProtocolError MULTIFD
 */
export function checkMultifdChannel(
  { uuid, channel }: MultifdInitialPacket,
  local: { readonly uuid: Uint8Array; readonly channels: number },
): void {
  if (uuid.some((byte, i) => byte !== local.uuid[i])) {
    throw bad("Accept a multifd channel: its uuid is another machine's", UUID_AT);
  }
  if (channel >= local.channels) {
    throw bad(`Accept a multifd channel: its number is ${channel}, of ${local.channels}`, CHANNEL_AT);
  }
}

/**
 * Write a packet; its payload is the caller's to write.
 * @throws RangeError for more pages than there is room for, a name that does not take 1 to 255 bytes or contains a zero
 *   byte, pages without a block, a payload that is not that of the pages, or a number that does not fit
 */
export function writeMultifdPacket(writer: Writer, packet: MultifdPacket, { pageSize }: MultifdPacketOptions): void {
  const room = multifdPageCount(pageSize);
  const { normal, zero, payload, allocated } = packet;
  const pages = normal.length + zero.length;
  const problem = countProblem(packet, room) ?? payloadProblem(packet.compression, normal.length, payload, pageSize);
  if (problem !== null) throw new RangeError(`Write a multifd packet: it has ${problem}`);
  const name = encodeBlockName(packet.block, pages);
  for (const offset of [...normal, ...zero]) {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new RangeError(`Write a multifd packet: ${offset} is no offset in bytes`);
    }
  }
  writer.u32(MULTIFD_MAGIC);
  writer.u32(MULTIFD_VERSION);
  writer.u32(METHODS[packet.compression] | (packet.sync ? MULTIFD_FLAG_SYNC : 0));
  writer.u32(allocated);
  writer.u32(normal.length);
  writer.u32(payload);
  writer.u64(packet.number);
  writer.u32(zero.length);
  writer.zeros(RESERVED_BYTES);
  writer.bytes(name);
  writer.zeros(NAME_BYTES - name.length);
  for (const offset of normal) writer.u64Number(offset);
  for (const offset of zero) writer.u64Number(offset);
  writer.zeros(8 * (room - pages));
}

function countProblem({ allocated, normal, zero }: MultifdPacket, room: number): string | null {
  if (allocated >>> 0 !== allocated || allocated > room) return `room for ${allocated} pages, of ${room}`;
  const pages = normal.length + zero.length;
  return pages > allocated ? `${pages} pages with room for ${allocated}` : null;
}

function encodeBlockName(block: string | null, pages: number): Uint8Array {
  if ((block === null) !== (pages === 0)) {
    throw new RangeError(`Write a multifd packet: it has ${pages} pages, and ${block === null ? "no" : "a"} block`);
  }
  if (block === null) return new Uint8Array(0);
  const name = encodeName(block);
  if (name.length === 0 || name.length > MAX_COUNTED_STRING || name.includes(0)) {
    throw new RangeError(
      `Write a multifd packet: the name of block "${block}" must take 1 to ${MAX_COUNTED_STRING} bytes, none of them 0`,
    );
  }
  return name;
}

/**
 * Read a packet up to its payload. Ask `hasMore` before: a channel may end here.
 * @throws StreamError BAD_MAGIC, BAD_VERSION, UNSUPPORTED for a packet of a device, TRUNCATED, LIMIT_EXCEEDED for an
 *   offset above 2^53 - 1; ProtocolError MULTIFD for flags, counts and sizes that do not fit
 */
export function* readMultifdPacket(
  reader: Reader,
  { pageSize, compression: agreed }: ReadMultifdPacketOptions,
): Decode<MultifdPacket> {
  const at = reader.offset;
  const room = multifdPageCount(pageSize);
  if (!reader.has(HEAD_BYTES)) yield HEAD_BYTES;
  readMagic(reader);
  const flags = reader.u32();
  if ((flags & MULTIFD_FLAG_DEVICE_STATE) !== 0) {
    throw new StreamError("UNSUPPORTED", "Read a multifd packet: it holds the state of a device", { offset: at });
  }
  const method = flags & MULTIFD_FLAG_COMPRESSION_MASK;
  const compression = METHOD_NAMES.get(method);
  if (compression === undefined || (flags & ~(MULTIFD_FLAG_COMPRESSION_MASK | MULTIFD_FLAG_SYNC)) !== 0) {
    throw bad(`Read a multifd packet: its flags 0x${flags.toString(16)} are unknown`, at);
  }
  const rest = HEADER_BYTES - HEAD_BYTES + 8 * room;
  if (!reader.has(rest)) yield rest;
  const allocated = reader.u32();
  const normalCount = reader.u32();
  const claimed = reader.u32();
  const number = reader.u64();
  const zeroCount = reader.u32();
  reader.advance(RESERVED_BYTES);
  const name = reader.bytes(NAME_BYTES);
  if (allocated > room) throw bad(`Read a multifd packet: room for ${allocated} pages, at most ${room} fit`, at);
  const pages = normalCount + zeroCount;
  if (pages > allocated) {
    throw bad(`Read a multifd packet: ${normalCount} + ${zeroCount} pages, with room for ${allocated}`, at);
  }
  const payload = normalCount === 0 ? 0 : claimed;
  if (normalCount > 0 && agreed !== null && compression !== agreed) {
    throw bad(`Read a multifd packet: its compression is ${compression}, not ${agreed}`, at);
  }
  const problem = payloadProblem(compression, normalCount, payload, pageSize);
  if (problem !== null) throw bad(`Read a multifd packet: it has ${problem}`, at);
  const normal = readOffsets(reader, normalCount);
  const zero = readOffsets(reader, zeroCount);
  reader.advance(8 * (room - pages));
  const block = pages === 0 ? null : decodeBlockName(name);
  return { sync: (flags & MULTIFD_FLAG_SYNC) !== 0, compression, number, allocated, block, normal, zero, payload };
}

function readOffsets(reader: Reader, count: number): number[] {
  return Array.from({ length: count }, () => reader.u64Number());
}

/** Up to the first zero byte; as in QEMU the last byte is taken for one. */
function decodeBlockName(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeName(bytes.subarray(0, end < 0 ? NAME_BYTES - 1 : end));
}

/** What is wrong with a payload of `bytes` for so many pages; null when nothing is. */
function payloadProblem(method: MultifdCompression, pages: number, bytes: number, pageSize: number): string | null {
  const compressed = method !== "none" && pages > 0;
  const least = compressed ? 1 : pages * pageSize;
  const most = compressed ? MAX_PAYLOAD : least;
  if (Number.isInteger(bytes) && bytes >= least && bytes <= most) return null;
  return `a payload of ${bytes} bytes for ${pages} pages, it must have ${least}${compressed ? ` to ${most}` : ""}`;
}

/** What the pages of a packet are checked against; a RAMBlock is one. */
export interface MultifdBlock {
  readonly name: string;
  /** Bytes in use. */
  readonly usedLength: number;
}

export interface MultifdBlocks<B extends MultifdBlock> extends MultifdPacketOptions {
  readonly find: (name: string) => B | undefined;
  /** Absolute offset of the packet in its channel, for errors. */
  readonly offset: number;
}

/**
 * The block of a packet's pages, once all of them are known to lie within it; null for a packet without pages. To be
 * called before the payload is read.
 * @throws RamError BLOCK_UNKNOWN, PAGE_OFFSET
 */
export function multifdBlock<B extends MultifdBlock>(
  packet: MultifdPacket,
  { pageSize, find, offset }: MultifdBlocks<B>,
): B | null {
  if (packet.block === null) return null;
  const block = find(packet.block);
  if (block === undefined) {
    throw new RamError("BLOCK_UNKNOWN", `Place multifd pages: there is no block "${packet.block}"`, { offset });
  }
  const check = (page: number): void => {
    if (page % pageSize === 0 && page <= block.usedLength - pageSize) return;
    const message = `Place multifd pages: ${page} is no page of block "${block.name}" of ${block.usedLength} bytes`;
    throw new RamError("PAGE_OFFSET", message, { offset });
  };
  packet.normal.forEach(check);
  packet.zero.forEach(check);
  return block;
}

function readMagic(reader: Reader): void {
  const { offset } = reader;
  const magic = reader.u32();
  if (magic !== MULTIFD_MAGIC) {
    throw new StreamError("BAD_MAGIC", `Read a multifd channel: 0x${magic.toString(16)} is not its magic`, { offset });
  }
  const version = reader.u32();
  if (version !== MULTIFD_VERSION) {
    const message = `Read a multifd channel: its version is ${version}, not ${MULTIFD_VERSION}`;
    throw new StreamError("BAD_VERSION", message, { offset: offset + 4 });
  }
}

function bad(message: string, offset: number): ProtocolError {
  return new ProtocolError("MULTIFD", message, { offset });
}
