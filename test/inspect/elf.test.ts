import { describe, expect, test } from "vitest";
import { elfCore } from "../../src/inspect/elf.js";
import { mapGuest } from "../../src/inspect/guest-map.js";
import { compose, scanBytes, type ToyDevice } from "./scan-kit.js";

const GIB = 2 ** 30;

function map(machine: string, blocks: Record<string, number>, arch: string | null = null, devices: ToyDevice[] = []) {
  const list = Object.entries(blocks).map(([name, length]) => ({ name, length }));
  return mapGuest(scanBytes(compose({ machine, blocks: list, devices })), arch);
}

function places(...args: Parameters<typeof map>): [string, number, number, bigint, boolean][] {
  const { segments } = map(...args);
  return segments.map(({ block, start, length, address, isKnown }) => [block.name, start, length, address, isKnown]);
}

describe("mapGuest", () => {
  // As `info mtree -f` of QEMU 7.2 shows them.
  test.each([
    ["pc-i440fx-7.2", "pc.ram", 3500 * 2 ** 20, null],
    ["pc-i440fx-7.2", "pc.ram", 3.5 * GIB, 3 * GIB],
    ["pc-i440fx-7.2", "pc.ram", 4 * GIB, 3 * GIB],
    ["pc-q35-7.2", "pc.ram", 2815 * 2 ** 20, null],
    ["pc-q35-7.2", "pc.ram", 2816 * 2 ** 20, 2 * GIB],
    ["isapc", "pc.ram", 3500 * 2 ** 20, null],
    ["microvm", "microvm.ram", 3 * GIB, null],
    ["microvm", "microvm.ram", 3500 * 2 ** 20, 3 * GIB],
  ])("%s with %s of %d bytes: split at %s", (machine, name, length, at) => {
    const whole: unknown = [[name, 0, length, 0n, true]];
    const halves: unknown = [
      [name, 0, at, 0n, true],
      [name, at, length - (at ?? 0), 4n * BigInt(GIB), true],
    ];
    expect(places(machine, { [name]: length })).toEqual(at === null ? whole : halves);
  });

  test("mips_malta.ram above 256 MiB: the rest is where all of it shows", () => {
    expect(places("malta", { "mips_malta.ram": 2 ** 29 }).map(([, , , address]) => address)).toEqual([
      0n,
      0x9000_0000n,
    ]);
  });

  test("the firmware of a PC: ends at 4 GiB", () => {
    expect(places("pc-i440fx-7.2", { "pc.ram": 2 ** 23, "pc.bios": 0x10000 })).toEqual([
      ["pc.ram", 0, 2 ** 23, 0n, true],
      ["pc.bios", 0, 0x10000, 0xffff_0000n, true],
    ]);
  });

  test("blocks nobody knows: behind everything, apart from each other, and told", () => {
    expect(places("pc-i440fx-7.2", { "vga.vram": 4096, other: 0x300000, "pc.ram": 2 ** 23 })).toEqual([
      ["pc.ram", 0, 2 ** 23, 0n, true],
      ["vga.vram", 0, 4096, 0x1_0000_0000_0000n, false],
      ["other", 0, 0x300000, 0x1_0000_0020_0000n, false],
    ]);
    expect(places("SS-5", { "sun4m.ram": 0x700000, "sun4m.prom": 4096 })[1]).toEqual([
      "sun4m.prom",
      0,
      4096,
      0x800000n,
      false,
    ]);
  });

  test("--arch: overrules what the name of the block says", () => {
    expect(map("virt-7.2", { "mach-virt.ram": 4096 }).architecture).toEqual({ elf: 183, bits: 64, isBigEndian: false });
    expect(map("virt-7.2", { "mach-virt.ram": 4096 }, "arm").architecture.elf).toBe(40);
    expect(map("toy", { ram0: 4096 }).architecture.elf).toBe(0);
  });
});

describe("elfCore", () => {
  test("ELF64: header and program headers where readelf looks for them", () => {
    const { header, positions, length } = elfCore(map("pc-i440fx-7.2", { "pc.ram": 4 * GIB }));
    const view = new DataView(header.buffer);
    expect(Array.from(header.subarray(0, 7))).toEqual([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
    expect([16, 18, 52, 54, 56].map((at) => view.getUint16(at, true))).toEqual([4, 62, 64, 56, 2]);
    expect(view.getBigUint64(32, true)).toBe(64n);
    const second = Array.from({ length: 7 }, (_, i) => view.getBigUint64(64 + 56 + 8 * i, true));
    const [offset, address, size] = [4096n + 3n * BigInt(GIB), 4n * BigInt(GIB), BigInt(GIB)];
    expect(second).toEqual([0x7_0000_0001n, offset, address, address, size, size, 4096n]);
    expect({ positions, length }).toEqual({ positions: [4096, Number(offset)], length: 4096 + 4 * GIB });
  });

  test("a 32-bit CPU, big-endian: ELF32", () => {
    const { header, positions } = elfCore(map("SS-5", { "sun4m.ram": 0x700000 }));
    const view = new DataView(header.buffer);
    expect(Array.from(header.subarray(4, 6))).toEqual([1, 2]);
    expect([16, 18, 40, 42, 44].map((at) => view.getUint16(at))).toEqual([4, 2, 52, 32, 1]);
    const program = Array.from({ length: 8 }, (_, i) => view.getUint32(52 + 4 * i));
    expect(program).toEqual([1, 4096, 0, 0, 0x700000, 0x700000, 7, 4096]);
    expect(positions).toEqual([4096]);
  });

  test("a 32-bit CPU with more than 32 bits can address: ELF64", () => {
    const { header } = elfCore(map("malta", { "mips_malta.ram": 2 ** 28, huge: 4 * GIB }));
    expect(header[4]).toBe(2);
  });
});
