import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { ChannelError, isMigrationError, StreamError } from "../errors.js";
import type { AsyncSource } from "../stream/io.js";
import { concat } from "../stream/writer.js";

/**
 * What may be wrapped around a stream: gzip, and the header of a libvirt save file ("virsh save"):
 *
 *     "LibvirtQemudSave"  u32 version  u32 length of what follows the header  u32 was running  u32 format  u32 cookie
 *     14 x u32 unused     XML of the domain    the stream, packed as the format says
 *
 * Its numbers have the byte order of the host that wrote it.
 */

const LIBVIRT_HEADER = 16 + 5 * 4 + 14 * 4;
const LIBVIRT_FORMATS = ["raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse"];
/** A wrapped stream inside a wrapped stream, and so on: a save file in gzip with a stream in gzip has three. */
const MAX_LAYERS = 4;

interface Magic {
  readonly bytes: readonly number[];
  readonly refusal: string;
}

const text = (magic: string): number[] => Array.from(magic, (char) => char.charCodeAt(0));
/** What is recognised and cannot be read. */
const REFUSED: readonly Magic[] = [
  { bytes: [...text("QFI"), 0xfb], refusal: "It is a qcow2 image: snapshots in images are not supported yet" },
  {
    bytes: [0x11, 0x22, 0x33, 0x44],
    refusal: "It is a multifd channel: give the main channel; side channels are not supported yet",
  },
  { bytes: text("QCPR"), refusal: "It is a cpr channel, not a stream" },
  { bytes: [0xfd, ...text("7zXZ"), 0x00], refusal: "It is packed with xz: unpack it first (exec:xz -dc FILE)" },
  { bytes: [0x28, 0xb5, 0x2f, 0xfd], refusal: "It is packed with zstd: unpack it first (exec:zstd -dc FILE)" },
  { bytes: text("BZh"), refusal: "It is packed with bzip2: unpack it first (exec:bzip2 -dc FILE)" },
  { bytes: [0x89, ...text("LZO")], refusal: "It is packed with lzop: unpack it first (exec:lzop -dc FILE)" },
];
const LONGEST_MAGIC = 16;

/**
 * The stream inside the input.
 * @throws StreamError UNSUPPORTED for what cannot be read, TRUNCATED in a libvirt header; ChannelError
 */
export async function unwrap(input: AsyncSource): Promise<AsyncSource> {
  let source = input;
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    const peeked = new Peeked(source);
    const head = await peeked.peek(LONGEST_MAGIC);
    const refused = REFUSED.find(({ bytes }) => bytes.every((byte, i) => head[i] === byte));
    if (refused !== undefined)
      throw new StreamError("UNSUPPORTED", `Read the input: ${refused.refusal}`, { offset: 0 });
    if (head[0] === 0x1f && head[1] === 0x8b) source = gunzip(peeked);
    else if (/^LibvirtQemud(Save|Part)$/.test(latin1(head))) source = await skipLibvirtHeader(peeked);
    else return peeked;
  }
  throw new StreamError("UNSUPPORTED", `Read the input: it is packed more than ${MAX_LAYERS} times`, { offset: 0 });
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** A source whose first bytes may be looked at. */
class Peeked implements AsyncSource {
  readonly #source: AsyncSource;
  #held: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncSource) {
    this.#source = source;
  }

  /** `n` bytes, fewer at the end. */
  async peek(n: number): Promise<Uint8Array> {
    while (this.#held.length < n) {
      const chunk = await this.#source.read();
      if (chunk === null) break;
      this.#held = concat([this.#held, chunk]);
    }
    return this.#held.subarray(0, n);
  }

  /** Drop `n` bytes. */
  async skip(n: number): Promise<void> {
    for (let left = n; left > 0;) {
      const chunk = await this.read();
      if (chunk === null)
        throw new StreamError("TRUNCATED", `Read the libvirt header: ${left} bytes lack`, { offset: 0 });
      if (chunk.length > left) this.#held = chunk.subarray(left);
      left -= Math.min(left, chunk.length);
    }
  }

  read(): PromiseLike<Uint8Array | null> | Uint8Array | null {
    return this.#take() ?? this.#source.read();
  }

  borrow(): PromiseLike<Uint8Array | null> | Uint8Array | null {
    return this.#source.borrow === undefined ? this.read() : (this.#take() ?? this.#source.borrow());
  }

  /** What was looked at and not passed on yet. */
  #take(): Uint8Array | null {
    if (this.#held.length === 0) return null;
    const chunk = this.#held;
    this.#held = chunk.subarray(chunk.length);
    return chunk;
  }
}

function gunzip(packed: AsyncSource): AsyncSource {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let chunk = await packed.read(); chunk !== null; chunk = await packed.read()) yield chunk;
  }
  const unzip = createGunzip({ chunkSize: 256 << 10 });
  const raw = Readable.from(chunks());
  raw.once("error", (error) => unzip.destroy(error));
  raw.pipe(unzip);
  const iterator: AsyncIterator<Uint8Array, undefined> = unzip[Symbol.asyncIterator]();
  return {
    async read() {
      try {
        const { done, value } = await iterator.next();
        return done === true ? null : value;
      } catch (cause) {
        throw gzipError(cause);
      }
    },
  };
}

function gzipError(cause: unknown): Error {
  if (isMigrationError(cause)) return cause;
  // Not TRUNCATED: to whoever reads the stream, that is the end of the stream, which may be harmless.
  const isCut = (cause as { code?: unknown }).code === "Z_BUF_ERROR";
  const problem = isCut ? "the input ends early" : "the data is corrupt";
  return new ChannelError("CHANNEL_FAILED", `Unpack gzip: ${problem}`, { cause });
}

async function skipLibvirtHeader(source: Peeked): Promise<AsyncSource> {
  const head = await source.peek(LIBVIRT_HEADER);
  if (head.length < LIBVIRT_HEADER) {
    throw new StreamError("TRUNCATED", "Read the libvirt header: the file ends in it", { offset: head.length });
  }
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const littleEndian = view.getUint32(16, true) < view.getUint32(16, false);
  const length = view.getUint32(20, littleEndian);
  const format = LIBVIRT_FORMATS[view.getUint32(28, littleEndian)] ?? "of an unknown format";
  if (format !== "raw" && format !== "gzip") {
    const refusal =
      format === "sparse" ? "mapped-ram files are not supported yet" : `unpacking ${format} is not supported`;
    throw new StreamError("UNSUPPORTED", `Read a libvirt save file: ${refusal}`, { offset: 0 });
  }
  await source.skip(LIBVIRT_HEADER + length);
  return source;
}
