import { describe, expect, it } from "vitest";
import { buildGuestRom, ROM_SIZE } from "./rom.js";

describe("buildGuestRom", () => {
  it("makes 64 KiB that begin with the entry of the other CPUs and jump at the reset vector", () => {
    const rom = buildGuestRom();
    expect(rom).toHaveLength(ROM_SIZE);
    expect(rom[0]).toBe(0xfa);
    expect(rom[0xfff0]).toBe(0xe9);
    const target = (0xfff3 + rom[0xfff1] + rom[0xfff2] * 256) & 0xffff;
    // cli, lgdt [cs:...]
    expect(Array.from(rom.subarray(target, target + 5))).toEqual([0xfa, 0x2e, 0x66, 0x0f, 0x01]);
  });

  it("differs between idle and busy in one instruction: hlt or nop", () => {
    const idle = buildGuestRom({ idle: true });
    const busy = buildGuestRom({ idle: false });
    const changed = Array.from(idle.keys()).filter((at) => idle[at] !== busy[at]);
    expect(changed).toHaveLength(1);
    expect([idle[changed[0]], busy[changed[0]]]).toEqual([0xf4, 0x90]);
  });

  it.each([{ pages: 0 }, { pages: 48 }, { steps: 0 }, { steps: 256 }, { steps: 1.5 }])("refuses %o", (options) => {
    expect(() => buildGuestRom(options)).toThrow(RangeError);
  });
});
