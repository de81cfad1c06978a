import { describe, expect, it } from "vitest";
import { RAMBlockList } from "../../src/ram/block.js";
import { GuestMemory } from "../../src/ram/guest-memory.js";
import { wasmMemory } from "./kit.js";

const bytes = (length: number): Uint8Array => new Uint8Array(length);
const names = (list: RAMBlockList): string[] => Array.from(list, ({ name }) => name);

describe("RAMBlockList", () => {
  it("order: largest maximum length first, then oldest", () => {
    const list = new RAMBlockList();
    const lengths = { a: 4096, b: 8192, c: 4096, d: 16384, e: 8192 };
    for (const [name, length] of Object.entries(lengths)) list.addGlobal(name, bytes(length));
    expect(names(list)).toEqual(["d", "b", "e", "a", "c"]);
  });

  it("order: counts the maximum length, not the length in use", () => {
    const list = new RAMBlockList();
    list.addGlobal("plain", bytes(8192));
    list.addGlobal("tables", bytes(16384), { resizable: true, usedLength: 4096 });
    expect(names(list)).toEqual(["tables", "plain"]);
  });

  it("register with a device path: the path stands in front of the name", () => {
    const list = new RAMBlockList();
    list.register(list.add(bytes(4096)), "vga.vram", "0000:00:02.0");
    list.register(list.add(bytes(4096)), "pc.ram", null);
    list.registerGlobal(list.add(bytes(4096)), "pc.bios");
    expect(names(list)).toEqual(["0000:00:02.0/vga.vram", "pc.ram", "pc.bios"]);
    expect(list.find("0000:00:02.0/vga.vram")).toBe(Array.from(list)[0]);
  });

  it("register, name taken: TypeError, and the list stays as it was", () => {
    const list = new RAMBlockList();
    list.addGlobal("ram", bytes(4096));
    expect(() => list.addGlobal("ram", bytes(4096))).toThrow(TypeError);
    expect(names(list)).toEqual(["ram"]);
  });

  it("register, name empty or above 255 bytes: RangeError", () => {
    const list = new RAMBlockList();
    expect(() => list.addGlobal("", bytes(4096))).toThrow(RangeError);
    expect(() => list.addGlobal("é".repeat(128), bytes(4096))).toThrow(RangeError);
    list.addGlobal("é".repeat(127) + "x", bytes(4096));
  });

  it("register twice, or a block of another list: TypeError", () => {
    const list = new RAMBlockList();
    const block = list.addGlobal("ram", bytes(4096));
    expect(() => list.register(block, "again")).toThrow("already");
    expect(() => new RAMBlockList().register(block, "elsewhere")).toThrow("add it first");
  });

  it("unregister: the block stays, nameless and not migratable, and its name is free", () => {
    const list = new RAMBlockList();
    const block = list.addGlobal("ram", bytes(4096));
    const { version } = list;
    list.unregister(block);
    expect([block.name, block.migratable, list.find("ram"), list.version > version]).toEqual([
      "",
      false,
      undefined,
      true,
    ]);
    expect(Array.from(list)).toEqual([block]);
    expect(list.migratable()).toEqual([]);
    expect(() => list.unregister(block)).toThrow(TypeError);
    list.addGlobal("ram", bytes(4096));
  });

  it("remove: the block is gone", () => {
    const list = new RAMBlockList();
    const block = list.addGlobal("ram", bytes(4096));
    list.remove(block);
    expect([Array.from(list), list.find("ram"), list.starts(4096).size]).toEqual([[], undefined, 0]);
  });

  it("starts: blocks begin at multiples of 64 target pages, in the order they were added", () => {
    const list = new RAMBlockList();
    const small = list.addGlobal("small", bytes(4096));
    const big = list.addGlobal("big", bytes(65 * 4096));
    const last = list.addGlobal("last", bytes(4096));
    const starts = list.starts(4096);
    expect([small, big, last].map((block) => starts.get(block)! / 4096)).toEqual([0, 64, 192]);
  });

  it("isIgnored: shared blocks with x-ignore-shared, and whatever is not registered", () => {
    const list = new RAMBlockList();
    const shared = list.addGlobal("m", bytes(4096), { shared: true });
    const own = list.addGlobal("own", bytes(4096));
    const loose = list.add(bytes(4096));
    expect([shared, own, loose].map((block) => block.isIgnored(true))).toEqual([true, false, true]);
    expect([shared, own, loose].map((block) => block.isIgnored(false))).toEqual([false, false, true]);
  });

  it("resize: only resizable blocks, up to their maximum, and the emulator is told", () => {
    const list = new RAMBlockList();
    const told: number[] = [];
    const onResize = ({ usedLength }: { usedLength: number }): void => void told.push(usedLength);
    const tables = list.addGlobal("tables", bytes(16384), { resizable: true, usedLength: 4096, onResize });
    const fixed = list.addGlobal("fixed", bytes(4096));
    tables.resize(16384);
    expect([tables.usedLength, told]).toEqual([16384, [16384]]);
    expect(() => tables.resize(20480)).toThrow("at most 16384");
    expect(() => fixed.resize(0)).toThrow("only 4096");
  });

  it("add, impossible lengths or page sizes: RangeError", () => {
    const list = new RAMBlockList();
    expect(() => list.add(bytes(4096), { usedLength: 2048 })).toThrow(RangeError);
    expect(() => list.add(bytes(4096), { resizable: true, usedLength: 8192 })).toThrow(RangeError);
    expect(() => list.add(bytes(4096), { pageSize: 4095 })).toThrow(RangeError);
  });
});

describe("GuestMemory", () => {
  it("view, memory grown since: sees the new buffer", () => {
    const memory = wasmMemory(65536);
    const guest = new GuestMemory({ memory, offset: 100, length: 1000 });
    guest.view(0, 1)[0] = 7;
    memory.grow(1);
    expect(guest.view(0, 1)[0]).toBe(7);
    guest.view(999, 1)[0] = 9;
    expect(new Uint8Array(memory.buffer)[1099]).toBe(9);
  });

  it("view, bytes of a memory that has grown: TypeError that says what to register", () => {
    const memory = wasmMemory(65536);
    const guest = new GuestMemory(new Uint8Array(memory.buffer, 0, 1000));
    memory.grow(1);
    expect(() => guest.view(0, 1)).toThrow("register { memory, offset, length }");
  });

  it("segments: offsets go on from part to part, and ranges may span them", () => {
    const parts = [bytes(4), bytes(2), bytes(4)];
    const guest = new GuestMemory({ segments: parts });
    guest.write(2, Uint8Array.of(1, 2, 3, 4, 5, 6));
    expect(parts.map((part) => Array.from(part))).toEqual([
      [0, 0, 1, 2],
      [3, 4],
      [5, 6, 0, 0],
    ]);
    guest.clear(3, 4);
    expect(parts.map((part) => Array.from(part))).toEqual([
      [0, 0, 1, 0],
      [0, 0],
      [0, 6, 0, 0],
    ]);
    expect([guest.length, guest.segmentAt(5).start, guest.segmentAt(6).start]).toEqual([10, 4, 6]);
    expect(() => guest.view(3, 2)).toThrow(RangeError);
    expect(() => guest.view(10, 1)).toThrow(RangeError);
  });

  it("a part outside its memory, or under its scratch region: RangeError", () => {
    const memory = wasmMemory(65536);
    expect(() => new GuestMemory({ memory, offset: 65000, length: 1000 })).toThrow(RangeError);
    expect(() => new GuestMemory({ memory, offset: -1, length: 10 })).toThrow(RangeError);
    const scratch = { offset: 500, length: 100 };
    expect(() => new GuestMemory({ memory, offset: 0, length: 501, scratch })).toThrow("overlaps");
    expect(() => new GuestMemory({ memory, offset: 0, length: 500, scratch: { offset: 65500, length: 100 } })).toThrow(
      RangeError,
    );
    expect(new GuestMemory({ memory, offset: 0, length: 500, scratch }).length).toBe(500);
  });
});
