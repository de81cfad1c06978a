import { ChannelError, StreamError, isMigrationError } from "../errors.js";
import {
  QEMU_VM_FILE_MAGIC,
  QEMU_VM_FILE_VERSION,
  QEMU_VM_FILE_VERSION_COMPAT,
  QEMU_VM_VMDESCRIPTION,
} from "../stream/constants.js";
import { skip, type Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * What stands around the sections of a stream ("Grammar" of the stream chapter):
 *
 *     "QEVM"  be32 version   ...   [06  be32 length  JSON description]
 */

/** Write magic and version. */
export function writeMagic(writer: Writer): void {
  writer.u32(QEMU_VM_FILE_MAGIC);
  writer.u32(QEMU_VM_FILE_VERSION);
}

/**
 * Read magic and version.
 * @throws StreamError BAD_MAGIC, BAD_VERSION, TRUNCATED
 */
export function* readMagic(reader: Reader): Decode<void> {
  const { offset } = reader;
  if (!reader.has(4)) yield 4;
  if (reader.u32() !== QEMU_VM_FILE_MAGIC) {
    throw new StreamError("BAD_MAGIC", "Read the header: this is not a migration stream", { offset });
  }
  if (!reader.has(4)) yield 4;
  const version = reader.u32();
  if (version !== QEMU_VM_FILE_VERSION) {
    const what = version === QEMU_VM_FILE_VERSION_COMPAT ? "the obsolete version 2" : `version ${version}`;
    const message = `Read the header: the stream has ${what}, it must be 3`;
    throw new StreamError("BAD_VERSION", message, { offset: offset + 4 });
  }
}

/** Write the JSON description, given as its UTF-8 text, by reference. */
export function writeDescription(writer: Writer, text: Uint8Array): void {
  writer.u8(QEMU_VM_VMDESCRIPTION);
  writer.u32(text.length);
  writer.reference(text);
}

/**
 * Read the description away, so that a sender on a socket can finish. The state is loaded by now, so nothing that is
 * wrong with it counts.
 * @param warn told of what is wrong with it
 */
export function* drainDescription(reader: Reader, warn: (message: string) => void): Decode<void> {
  try {
    if (!reader.has(1)) yield 1;
    const type = reader.u8();
    if (type !== QEMU_VM_VMDESCRIPTION) {
      warn(`A description was expected behind the stream, the byte is 0x${type.toString(16)}`);
      return;
    }
    if (!reader.has(4)) yield 4;
    yield* skip(reader, reader.u32());
  } catch (error) {
    if (!isMigrationError(error, "TRUNCATED") && !(error instanceof ChannelError)) throw error;
    warn(`The description behind the stream is incomplete: ${error.message}`);
  }
}
