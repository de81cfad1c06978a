import type { ScannedBlock } from "./ram-content.js";
import type { ScanResult } from "./scan-result.js";

/**
 * Where the blocks of a stream are in guest-physical memory. A stream names addresses only with x-ignore-shared, and
 * then not that of memory which shows in pieces. So the main memory of well-known machines is recognised by the name
 * of its block, which says the CPU as well.
 */

/** What an ELF file says of a CPU. */
export interface Architecture {
  /** Number of the architecture in an ELF header (EM_...). */
  readonly elf: number;
  readonly bits: 32 | 64;
  readonly isBigEndian: boolean;
}

const little = (elf: number, bits: 32 | 64): Architecture => ({ elf, bits, isBigEndian: false });
const big = (elf: number, bits: 32 | 64): Architecture => ({ elf, bits, isBigEndian: true });

/** By the name of QEMU's program for them. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map([
  ["aarch64", little(183, 64)],
  ["alpha", little(0x9026, 64)],
  ["arm", little(40, 32)],
  ["avr", little(83, 32)],
  ["hppa", big(15, 32)],
  ["i386", little(3, 32)],
  ["loongarch64", little(258, 64)],
  ["m68k", big(4, 32)],
  ["microblaze", big(189, 32)],
  ["mips", big(8, 32)],
  ["mips64", big(8, 64)],
  ["mips64el", little(8, 64)],
  ["mipsel", little(8, 32)],
  ["or1k", big(92, 32)],
  ["ppc", big(20, 32)],
  ["ppc64", big(21, 64)],
  ["riscv32", little(243, 32)],
  ["riscv64", little(243, 64)],
  ["rx", little(173, 32)],
  ["s390x", big(22, 64)],
  ["sh4", little(42, 32)],
  ["sparc", big(2, 32)],
  ["sparc64", big(43, 64)],
  ["tricore", little(44, 32)],
  ["x86_64", little(62, 64)],
  ["xtensa", little(94, 32)],
]);
const UNKNOWN_ARCHITECTURE = little(0, 64);

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

export interface GuestMap {
  readonly architecture: Architecture;
  /** By ascending address, as ELF wants them. */
  readonly segments: readonly Segment[];
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Main memory that shows in two pieces: all up to `most` bytes, else `low` bytes of it and the rest from `high` on. */
interface Split {
  readonly most: number;
  readonly low: number;
  readonly high: number;
}

/** Below 4 GiB, PC machines keep room for devices (hw/i386/pc_piix.c, pc_q35.c, microvm.c). */
const I440FX: Split = { most: 3.5 * GIB - 1, low: 3 * GIB, high: 4 * GIB };
const Q35: Split = { most: 2.75 * GIB - 1, low: 2 * GIB, high: 4 * GIB };
const MICROVM: Split = { most: 3 * GIB, low: 3 * GIB, high: 4 * GIB };
/** Only so much shows at 0; the rest shows where all of it does (hw/mips/malta.c). */
const MALTA: Split = { most: 256 * MIB, low: 256 * MIB, high: 2 * GIB + 256 * MIB };

/** Blocks at fixed addresses, by name. */
interface Place {
  readonly architecture: string;
  readonly base?: number;
  readonly split?: Split;
}

const PLACES: ReadonlyMap<string, Place> = new Map([
  ["pc.ram", { architecture: "x86_64", split: I440FX }],
  ["microvm.ram", { architecture: "x86_64", split: MICROVM }],
  ["mach-virt.ram", { architecture: "aarch64", base: GIB }],
  ["riscv_virt_board.ram", { architecture: "riscv64", base: 2 * GIB }],
  ["ppc_spapr.ram", { architecture: "ppc64" }],
  ["ppc_heathrow.ram", { architecture: "ppc" }],
  ["ppc_core99.ram", { architecture: "ppc" }],
  ["s390.ram", { architecture: "s390x" }],
  ["mips_malta.ram", { architecture: "mips", split: MALTA }],
  ["sun4m.ram", { architecture: "sparc" }],
  ["m68k_mac.ram", { architecture: "m68k" }],
  ["m68k_virt.ram", { architecture: "m68k" }],
  ["musicpal.ram", { architecture: "arm" }],
  ["musicpal.sram", { architecture: "arm", base: 0xc000_0000 }],
  ["nrf51.sram", { architecture: "arm", base: 0x2000_0000 }],
]);

/** Beyond the physical addresses of any guest. */
const UNKNOWN_64 = 2n ** 48n;
const UNKNOWN_STEP = 2n * BigInt(MIB);

/**
 * Lay out the blocks of a scan. Those whose address nobody knows are put behind everything else, in list order, each
 * at a multiple of 2 MiB: from 2^48 on, or right behind the known ones if the CPU has 32 bits.
 *
 * @param architecture the user's word, a key of {@link ARCHITECTURES}; null to go by the names of blocks
 */
export function mapGuest(scan: ScanResult, architecture: string | null = null): GuestMap {
  const blocks = scan.ram?.blocks ?? [];
  const place = blocks.map(({ name }) => PLACES.get(name)).find((one) => one !== undefined);
  const cpu = ARCHITECTURES.get(architecture ?? place?.architecture ?? "") ?? UNKNOWN_ARCHITECTURE;
  const known = new Map(blocks.map((block) => [block, knownSegments(block, scan)]));
  let next = cpu.bits === 64 ? UNKNOWN_64 : endOf([...known.values()].flat());
  const segments = blocks.flatMap((block) => {
    const pieces = known.get(block) ?? [];
    if (pieces.length > 0) return pieces;
    const address = next;
    next = roundUp(address + BigInt(block.usedLength));
    return [{ block, start: 0, length: block.usedLength, address, isKnown: false }];
  });
  segments.sort((a, b) => (a.address < b.address ? -1 : 1));
  return { architecture: cpu, segments };
}

function endOf(segments: readonly Segment[]): bigint {
  return segments.reduce((end, { address, length }) => {
    const behind = roundUp(address + BigInt(length));
    return behind > end ? behind : end;
  }, 0n);
}

function roundUp(address: bigint): bigint {
  return ((address + UNKNOWN_STEP - 1n) / UNKNOWN_STEP) * UNKNOWN_STEP;
}

function knownSegments(block: ScannedBlock, scan: ScanResult): Segment[] {
  const { name, usedLength, entry } = block;
  const piece = (start: number, end: number, address: number | bigint): Segment => {
    return { block, start, length: end - start, address: BigInt(address), isKnown: true };
  };
  const place = PLACES.get(name);
  if (place !== undefined) {
    const split = place.split === I440FX && isQ35(scan) ? Q35 : place.split;
    const base = place.base ?? 0;
    if (split === undefined || usedLength <= split.most) return [piece(0, usedLength, base)];
    return [piece(0, split.low, base), piece(split.low, usedLength, split.high)];
  }
  // The firmware of PCs ends where addresses of 32 bits do.
  if (name === "pc.bios") return [piece(0, usedLength, 4 * GIB - usedLength)];
  return entry.gpa !== null && entry.gpa !== 0n ? [piece(0, usedLength, entry.gpa)] : [];
}

/** Old machine types do not say what they are, but have the devices of their chipset. */
function isQ35({ configuration, devices }: ScanResult): boolean {
  if (configuration !== null) return /^(pc-)?q35/.test(configuration.value.machine);
  return devices.some(({ section }) => section.idstr?.endsWith("/ICH9LPC") === true);
}
