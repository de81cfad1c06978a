import { StreamError } from "../errors.js";
import {
  QEMU_VM_SECTION_END,
  QEMU_VM_SECTION_FOOTER,
  QEMU_VM_SECTION_FULL,
  QEMU_VM_SECTION_PART,
  QEMU_VM_SECTION_START,
} from "../stream/constants.js";
import { countedString, type Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * What stands before and behind the body of a section ("Grammar" of the stream chapter):
 *
 *     START, FULL   type  be32 id  counted idstr  be32 instance  be32 version   body   [7e be32 id]
 *     PART, END     type  be32 id                                               body   [7e be32 id]
 *
 * A body has no length: only its decoder knows where it ends, and the footer catches a decoder that got it wrong.
 */

/** START, PART and END of iterative state; FULL of a device. */
export type SectionType = "start" | "part" | "end" | "full";

const TYPE_BYTES = {
  start: QEMU_VM_SECTION_START,
  part: QEMU_VM_SECTION_PART,
  end: QEMU_VM_SECTION_END,
  full: QEMU_VM_SECTION_FULL,
} as const;

/** What a START or FULL section says of itself. */
export interface SectionHeader {
  readonly id: number;
  readonly idstr: string;
  /** Unsigned. */
  readonly instanceId: number;
  readonly version: number;
}

/** The type of a section, or null for a byte that begins something else. */
export function sectionTypeOf(byte: number): SectionType | null {
  switch (byte) {
    case QEMU_VM_SECTION_START:
      return "start";
    case QEMU_VM_SECTION_PART:
      return "part";
    case QEMU_VM_SECTION_END:
      return "end";
    case QEMU_VM_SECTION_FULL:
      return "full";
    default:
      return null;
  }
}

/** Write type and header; PART and END carry nothing but the id. */
export function writeSectionHeader(writer: Writer, type: SectionType, header: SectionHeader): void {
  writer.u8(TYPE_BYTES[type]);
  writer.u32(header.id);
  if (type === "part" || type === "end") return;
  writer.countedString(header.idstr);
  writer.u32(header.instanceId);
  writer.u32(header.version);
}

/** Write the footer of section `id`. */
export function writeSectionFooter(writer: Writer, id: number): void {
  writer.u8(QEMU_VM_SECTION_FOOTER);
  writer.u32(id);
}

/**
 * Read the header of a START or FULL section, its type byte being consumed.
 * @throws StreamError STRING_EMPTY, TRUNCATED
 */
export function* readSectionHeader(reader: Reader): Decode<SectionHeader> {
  const id = yield* readSectionId(reader);
  const start = reader.offset;
  const idstr = yield* countedString(reader);
  if (idstr === "") {
    throw new StreamError("STRING_EMPTY", `Read the name of section ${id}: it is empty`, {
      offset: start,
      section: { id, idstr: null, instanceId: null, version: null },
    });
  }
  if (!reader.has(8)) yield 8;
  return { id, idstr, instanceId: reader.u32(), version: reader.u32() };
}

/** Read the id that is all the header of a PART or END section. */
export function* readSectionId(reader: Reader): Decode<number> {
  if (!reader.has(4)) yield 4;
  return reader.u32();
}

/** True if the next byte begins a footer. It can begin nothing else, so a peek decides whether a stream has them. */
export function* footerAhead(reader: Reader): Decode<boolean> {
  if (!reader.has(1)) yield 1;
  return reader.peekU8() === QEMU_VM_SECTION_FOOTER;
}

/**
 * Read the footer of section `id`.
 * @throws StreamError FOOTER_MISSING, FOOTER_MISMATCH, TRUNCATED
 */
export function* readSectionFooter(reader: Reader, { id, idstr }: SectionHeader): Decode<void> {
  const start = reader.offset;
  if (!(yield* footerAhead(reader))) {
    const found = `0x${reader.peekU8().toString(16)}`;
    throw new StreamError("FOOTER_MISSING", `Read the footer of "${idstr}": the byte is ${found}, it must be 0x7e`, {
      offset: start,
      hint: "The section is longer or shorter than its description says",
    });
  }
  if (!reader.has(5)) yield 5;
  reader.advance(1);
  const found = reader.u32();
  if (found !== id) {
    throw new StreamError("FOOTER_MISMATCH", `Read the footer of "${idstr}": it names section ${found}, not ${id}`, {
      offset: start,
    });
  }
}
