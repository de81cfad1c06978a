import { isMigrationError, StreamError, type MigrationError } from "../errors.js";
import type { Limits } from "../limits.js";
import { QEMU_VM_VMDESCRIPTION } from "../stream/constants.js";
import { hasMore, skip, type Decode } from "../stream/drive.js";
import { decodeText, type Reader } from "../stream/reader.js";
import { descriptionCandidates } from "./delimit.js";
import { indexDevices, lookUp, parseDescription } from "./description.js";
import type { DescribedDevice, Description, DeviceIndex } from "./description.js";
import { lookahead } from "./lookahead.js";
import type { DescriptionRecord } from "./scan-result.js";

export interface ReadDescription {
  readonly record: DescriptionRecord | null;
  readonly warning: string | null;
  readonly problem: MigrationError | null;
}

const NOTHING: ReadDescription = { record: null, warning: null, problem: null };

/** Finds the description, ahead of its turn if need be, and looks devices up in it. */
export class DescriptionReader {
  readonly #limits: Limits;
  #value: Description | null;
  #devices: DeviceIndex = new Map();
  /** The one of this stream. */
  found: DescriptionRecord | null = null;

  /** @param borrowed used until (and unless) the stream turns out to have its own */
  constructor(limits: Limits, borrowed: Description | null) {
    this.#limits = limits;
    this.#value = null;
    if (borrowed !== null) this.#use(borrowed);
  }

  /** The description at hand, of this stream or borrowed. */
  get value(): Description | null {
    return this.#value;
  }

  lookUp(idstr: string, instance: number): readonly DescribedDevice[] {
    return lookUp(this.#devices, idstr, instance);
  }

  /**
   * Look for the description in what is left of the stream. Returns where its type byte is in the window, or null.
   * @param offset absolute offset of the window
   */
  findAhead(window: Uint8Array, offset: number): number | null {
    if (this.found !== null) return this.found.offset - offset;
    for (const { at, length } of descriptionCandidates(window)) {
      if (length > this.#limits.descriptionBytes) continue;
      const record = this.#parse(window.subarray(at + 5, at + 5 + length), offset + at);
      if (isMigrationError(record)) continue;
      this.#use(record.value);
      this.found = record;
      return at;
    }
    return null;
  }

  /**
   * Read the description if one follows, the EOF byte being consumed. Its absence is no error.
   * @param onPassed told how far a description was passed over that is too long to be held
   */
  *read(reader: Reader, onPassed: (offset: number) => void): Decode<ReadDescription> {
    const { offset } = reader;
    if (!(yield* hasMore(reader)) || reader.peekU8() !== QEMU_VM_VMDESCRIPTION) return NOTHING;
    const head = yield* lookahead(reader, 5);
    if (head.window.length < 5) return this.#cut(reader, 0, offset);
    const length = reader.peekU32(1);
    if (this.found?.offset === offset) {
      yield* skip(reader, 5 + length);
      return { ...NOTHING, record: this.found };
    }
    if (length > this.#limits.descriptionBytes) {
      reader.advance(5);
      for (let left = length; left > 0 && (yield* hasMore(reader));) {
        left -= reader.advance(left);
        onPassed(reader.offset);
      }
      const limit = `the ceiling descriptionBytes is ${this.#limits.descriptionBytes}`;
      return { ...NOTHING, warning: `The description of ${length} bytes was passed over: ${limit}` };
    }
    const { window } = yield* lookahead(reader, 5 + length);
    if (window.length < 5 + length) return this.#cut(reader, length, offset);
    const record = this.#parse(window.subarray(5, 5 + length), offset);
    reader.advance(5 + length);
    if (isMigrationError(record)) return { ...NOTHING, problem: record };
    this.#use(record.value);
    this.found = record;
    return { ...NOTHING, record };
  }

  #cut(reader: Reader, length: number, offset: number): ReadDescription {
    const got = reader.available;
    reader.advance(got);
    const message = `Read the description: the stream ends ${got} bytes into it, of ${5 + length}`;
    return { ...NOTHING, problem: new StreamError("TRUNCATED", message, { offset: offset + got }) };
  }

  #parse(bytes: Uint8Array, offset: number): DescriptionRecord | MigrationError {
    try {
      const text = decodeText(bytes);
      return { value: parseDescription(text), text, offset, length: bytes.length };
    } catch (error) {
      if (isMigrationError(error)) return error.addContext({ offset });
      throw error;
    }
  }

  #use(value: Description): void {
    this.#value = value;
    this.#devices = indexDevices(value);
  }
}
