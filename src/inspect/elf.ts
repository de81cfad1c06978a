import type { Inspection } from "./inspect.js";
import type { ScannedBlock } from "./ram-content.js";

/**
 * RAM as an ELF64 core file, for debuggers: one PT_LOAD per block (two where the machine has a hole below 4 GiB), at
 * its guest-physical address, which stands for the virtual address too.
 *
 * A stream names addresses only with x-ignore-shared. Beyond that, the addresses of main memory and firmware of a few
 * machine types are known; every other block is put from 2^48 on, in list order, each at a multiple of 2 MiB, where no
 * guest memory can be.
 */

/** A piece of a block and where the guest sees it. */
export interface Segment {
  readonly block: ScannedBlock;
  /** Offset in the block, in bytes. */
  readonly start: number;
  readonly length: number;
  readonly address: bigint;
  /** False for an address that was made up. */
  readonly isKnown: boolean;
}

const GIB = 2 ** 30;
const FOUR_GIB = 4n * BigInt(GIB);
const UNKNOWN_FROM = 1n << 48n;
const UNKNOWN_STEP = 2n << 20n;

/** Main memory below 4 GiB: all up to `limit` bytes, else `low` bytes of it, the rest from 4 GiB on. */
interface Hole {
  readonly limit: number;
  readonly low: number;
}

const I440FX: Hole = { limit: 0xe000_0000, low: 0xc000_0000 };
const Q35: Hole = { limit: 0xb000_0000, low: 0x8000_0000 };
const MICROVM: Hole = { limit: 0xe000_0000, low: 0xe000_0000 };

const EM_NONE = 0;
const EM_X86_64 = 62;

interface Platform {
  readonly machine: RegExp;
  readonly elf: number;
  readonly isBigEndian?: boolean;
  readonly hole?: Hole;
  /** Main memory and where it begins. */
  readonly ram: string;
  readonly base?: bigint;
}

const PLATFORMS: readonly Platform[] = [
  { machine: /^pc-q35-/, elf: EM_X86_64, ram: "pc.ram", hole: Q35 },
  { machine: /^(pc-|isapc)/, elf: EM_X86_64, ram: "pc.ram", hole: I440FX },
  { machine: /^microvm/, elf: EM_X86_64, ram: "microvm.ram", hole: MICROVM },
  { machine: /^virt-/, elf: 183, ram: "mach-virt.ram", base: BigInt(GIB) },
  { machine: /^virt$/, elf: 243, ram: "riscv_virt_board.ram", base: 2n * BigInt(GIB) },
  { machine: /^pseries/, elf: 21, isBigEndian: true, ram: "ppc_spapr.ram" },
  { machine: /^s390-/, elf: 22, isBigEndian: true, ram: "s390.ram" },
];

/** Where each block is in guest-physical memory, in ascending order of file positions. */
export function layOut({ scan }: Inspection): Segment[] {
  const platform = platformOf(scan.configuration?.value.machine ?? null);
  const segments: Segment[] = [];
  let unknown = UNKNOWN_FROM;
  for (const block of scan.ram?.blocks ?? []) {
    const known = knownSegments(block, platform);
    if (known !== null) segments.push(...known);
    else {
      segments.push({ block, start: 0, length: block.usedLength, address: unknown, isKnown: false });
      unknown += ((BigInt(block.usedLength) + UNKNOWN_STEP - 1n) / UNKNOWN_STEP) * UNKNOWN_STEP;
    }
  }
  return segments;
}

function platformOf(machine: string | null): Platform | null {
  if (machine === null) return null;
  return PLATFORMS.find((platform) => platform.machine.test(machine)) ?? null;
}

function knownSegments(block: ScannedBlock, platform: Platform | null): Segment[] | null {
  const { name, usedLength, entry } = block;
  const whole = (address: bigint): Segment[] => [{ block, start: 0, length: usedLength, address, isKnown: true }];
  if (platform !== null && name === platform.ram) {
    const { hole, base = 0n } = platform;
    if (hole === undefined || usedLength < hole.limit || usedLength <= hole.low) return whole(base);
    const high = { block, start: hole.low, length: usedLength - hole.low, address: FOUR_GIB, isKnown: true };
    return [{ block, start: 0, length: hole.low, address: base, isKnown: true }, high];
  }
  if (platform?.elf === EM_X86_64) {
    if (name === "pc.bios") return whole(FOUR_GIB - BigInt(usedLength));
    if (name === "pc.rom") return whole(0xc0000n);
  }
  return entry.gpa !== null && entry.gpa !== 0n ? whole(entry.gpa) : null;
}

const EHDR = 64;
const PHDR = 56;
const ALIGN = 4096;

export interface ElfCore {
  /** What the file begins with. */
  readonly header: Uint8Array;
  /** Where in the file each segment begins. */
  readonly positions: readonly number[];
  /** Bytes of the file. */
  readonly length: number;
}

/** The header of the core file, and where the segments go. */
export function elfCore(segments: readonly Segment[], { scan }: Inspection): ElfCore {
  const platform = platformOf(scan.configuration?.value.machine ?? null);
  const littleEndian = platform?.isBigEndian !== true;
  const header = new Uint8Array(EHDR + PHDR * segments.length);
  const view = new DataView(header.buffer);
  const put16 = (at: number, value: number): void => view.setUint16(at, value, littleEndian);
  const put32 = (at: number, value: number): void => view.setUint32(at, value, littleEndian);
  const put64 = (at: number, value: bigint | number): void => view.setBigUint64(at, BigInt(value), littleEndian);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, littleEndian ? 1 : 2, 1]);
  put16(16, 4); // ET_CORE
  put16(18, platform?.elf ?? EM_NONE);
  put32(20, 1);
  put64(32, EHDR);
  put16(52, EHDR);
  put16(54, PHDR);
  put16(56, segments.length);
  let position = Math.ceil(header.length / ALIGN) * ALIGN;
  const positions = segments.map(({ address, length }, i) => {
    const at = EHDR + i * PHDR;
    put32(at, 1); // PT_LOAD
    put32(at + 4, 7); // readable, writable, executable
    put64(at + 8, position);
    put64(at + 16, address);
    put64(at + 24, address);
    put64(at + 32, length);
    put64(at + 40, length);
    put64(at + 48, ALIGN);
    const start = position;
    position = Math.ceil((position + length) / ALIGN) * ALIGN;
    return start;
  });
  return { header, positions, length: position };
}
