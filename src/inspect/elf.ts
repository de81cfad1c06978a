import type { GuestMap } from "./guest-map.js";

/**
 * RAM as an ELF core file, for debuggers: one PT_LOAD per segment, at its guest-physical address, which stands for the
 * virtual address too. There are no notes, hence no registers. Files of 32-bit CPUs are ELF32, unless addresses do
 * not fit, since debuggers know no other for them.
 */
export interface ElfCore {
  /** What the file begins with. */
  readonly header: Uint8Array;
  /** Where in the file each segment begins. */
  readonly positions: readonly number[];
  /** Bytes of the file. */
  readonly length: number;
}

const ET_CORE = 4;
const PT_LOAD = 1;
const READ_WRITE_EXECUTE = 7;
const ALIGN = 4096;

/** The header of the core file, and where the segments go. */
export function elfCore({ architecture, segments }: GuestMap): ElfCore {
  let length = 0;
  for (const segment of segments) length += segment.length;
  const is64 =
    architecture.bits === 64 ||
    length >= 2 ** 31 ||
    segments.some((segment) => segment.address + BigInt(segment.length) > 2n ** 32n);
  const header = new HeaderWriter(
    (is64 ? 64 : 52) + (is64 ? 56 : 32) * segments.length,
    is64,
    architecture.isBigEndian,
  );
  header.bytes([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, architecture.isBigEndian ? 2 : 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.u16(ET_CORE);
  header.u16(architecture.elf);
  header.u32(1);
  header.word(0); // entry
  header.word(is64 ? 64 : 52); // program headers
  header.word(0); // section headers
  header.u32(0); // flags
  header.u16(is64 ? 64 : 52);
  header.u16(is64 ? 56 : 32);
  header.u16(segments.length);
  for (let i = 0; i < 3; i++) header.u16(0); // size, number and names of section headers
  let position = roundUp(header.length);
  const positions = segments.map(({ address, length: size }) => {
    const start = position;
    header.u32(PT_LOAD);
    if (is64) header.u32(READ_WRITE_EXECUTE);
    header.word(start);
    header.word(address);
    header.word(address);
    header.word(size);
    header.word(size);
    if (!is64) header.u32(READ_WRITE_EXECUTE);
    header.word(ALIGN);
    position = roundUp(start + size);
    return start;
  });
  return { header: header.done, positions, length: position };
}

function roundUp(position: number): number {
  return Math.ceil(position / ALIGN) * ALIGN;
}

class HeaderWriter {
  readonly done: Uint8Array;
  readonly #view: DataView;
  readonly #is64: boolean;
  readonly #littleEndian: boolean;
  #at = 0;

  constructor(length: number, is64: boolean, isBigEndian: boolean) {
    this.done = new Uint8Array(length);
    this.#view = new DataView(this.done.buffer);
    this.#is64 = is64;
    this.#littleEndian = !isBigEndian;
  }

  get length(): number {
    return this.done.length;
  }

  bytes(bytes: readonly number[]): void {
    this.done.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  u16(value: number): void {
    this.#view.setUint16(this.#at, value, this.#littleEndian);
    this.#at += 2;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value, this.#littleEndian);
    this.#at += 4;
  }

  /** An address, an offset or a size: as wide as the class says. */
  word(value: number | bigint): void {
    if (!this.#is64) {
      this.u32(Number(value));
      return;
    }
    this.#view.setBigUint64(this.#at, BigInt(value), this.#littleEndian);
    this.#at += 8;
  }
}
