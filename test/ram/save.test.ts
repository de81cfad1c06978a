import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { bitmapTracker, byteMapTracker, hashTracker, type DirtyTracker } from "../../src/ram/dirty.js";
import { encodeSync } from "../../src/stream/drive.js";
import { toHex } from "../kit/hex.js";
import {
  firstDifference,
  implementations,
  loadAll,
  RamMachine,
  RamSaving,
  randomBytes,
  saveAll,
  wasmMemory,
} from "./kit.js";

const EOS = "0000000000000010";

/** Offsets of the page records of a body, in order, one block, no other record than ZERO and PAGE. */
function offsets(body: Uint8Array, pageSize: number): number[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const found: number[] = [];
  for (let at = 0; ;) {
    const word = Number(view.getBigUint64(at));
    if ((word & 0x10) !== 0) return found;
    found.push(word - (word % pageSize));
    at += 8 + ((word & 0x20) === 0 ? 1 + body[at + 8] : 0) + ((word & 8) !== 0 ? pageSize : 1);
  }
}

describe("RamHandler.saveSetup", () => {
  it("two blocks: total, then name and length, largest first", () => {
    const machine = new RamMachine({ pageSize: 4096 }, { b: new Uint8Array(4096), a: new Uint8Array(8192) });
    const list = "0000000000003004" + "0161" + "0000000000002000" + "0162" + "0000000000001000";
    expect(toHex(new RamSaving(machine).setup())).toBe(list + EOS);
  });

  it("no blocks: a total of 0", () => {
    expect(toHex(new RamSaving(new RamMachine({ pageSize: 4096 })).setup())).toBe("0000000000000004" + EOS);
  });

  it("x-ignore-shared: addresses are listed, shared blocks count and send no page", () => {
    const machine = new RamMachine({ pageSize: 4096, ignoreShared: true });
    machine.blocks.addGlobal("m", new Uint8Array(16 << 20), { shared: true });
    machine.blocks.addGlobal("bios", new Uint8Array(4096).fill(1), { gpa: 0xfffff000 });
    const saving = new RamSaving(machine);
    const list = "0000000001001004" + "016d" + "0000000001000000" + "0000000000000000";
    expect(toHex(saving.setup())).toBe(list + "0462696f73" + "0000000000001000" + "00000000fffff000" + EOS);
    expect(offsets(saving.iterate().bytes, 4096)).toEqual([0]);
  });

  it("postcopy-ram: blocks with another page size than the host's say so", () => {
    const machine = new RamMachine({ pageSize: 4096, postcopy: true });
    machine.blocks.addGlobal("m", new Uint8Array(2 << 20), { pageSize: 2 << 20 });
    machine.blocks.addGlobal("a", new Uint8Array(4096));
    const list = "0000000000201004" + "016d" + "0000000000200000" + "0000000000200000" + "0161" + "0000000000001000";
    expect(toHex(new RamSaving(machine).setup())).toBe(list + EOS);
    expect(machine.handler.pageSizeSummary).toBe(0x201000);
  });

  it("a block that is not registered: is not there", () => {
    const machine = new RamMachine({ pageSize: 4096 }, { a: new Uint8Array(4096) });
    machine.blocks.add(new Uint8Array(8192));
    expect(saveAll(machine)).toHaveLength(8 + 10 + 8 + (8 + 2 + 1 + 8) + 8);
  });

  it("a block that is not made of whole target pages: RangeError", () => {
    const machine = new RamMachine({ pageSize: 8192 }, { a: new Uint8Array(12288) });
    expect(() => new RamSaving(machine).setup()).toThrow("no whole pages of 8192");
  });

  it.each([0, 100, 128, 3000, 131072])("target pages of %i bytes: RangeError", (pageSize) => {
    expect(() => new RamMachine({ pageSize })).toThrow(RangeError);
  });
});

describe.each(implementations)("RamHandler.saveLiveIterate with %s kernels", (implementation) => {
  const kernels = { implementation };

  it("fixed RAM: the bytes worked out by hand", () => {
    const a = new Uint8Array(4 * 256);
    a.fill(0xab, 256, 512);
    a[1023] = 1;
    const b = new Uint8Array(256).fill(0xcd);
    const machine = new RamMachine({ pageSize: 256, kernels }, { a, b });
    const saving = new RamSaving(machine);
    saving.setup();
    const records = [
      "0000000000000002" + "0161" + "00",
      "0000000000000128" + "ab".repeat(256),
      "0000000000000222" + "00",
      "0000000000000328" + "00".repeat(255) + "01",
      "0000000000000008" + "0162" + "cd".repeat(256),
    ];
    const { bytes, done } = saving.iterate();
    expect(toHex(bytes)).toBe(records.join("") + EOS);
    expect(done).toBe(true);
    expect(toHex(saving.complete())).toBe(EOS);
    expect(machine.handler.saveStats).toMatchObject({ zeroPages: 2, normalPages: 3, dirtySyncs: 2, dirtyPages: 0 });
  });

  it("nothing but EOS in a PART once all is sent", () => {
    const saving = new RamSaving(new RamMachine({ pageSize: 4096, kernels }, { a: new Uint8Array(4096) }));
    saving.setup();
    saving.iterate();
    expect(toHex(saving.iterate().bytes)).toBe(EOS);
  });

  it("bytesLeft: a PART overshoots by one host page at most, and the next goes on behind it", () => {
    const machine = new RamMachine({ pageSize: 4096, kernels }, { ram: randomBytes(16 * 4096) });
    let start = 0;
    const saving: RamSaving = new RamSaving(machine, {
      bytesLeft: (): number => 20_000 - (saving.writer.offset - start),
    });
    saving.setup();
    const parts: number[][] = [];
    for (let done = false; !done;) {
      start = saving.writer.offset;
      const part = saving.iterate();
      done = part.done;
      parts.push(offsets(part.bytes, 4096).map((offset) => offset / 4096));
    }
    expect(parts).toEqual([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14], [15]]);
  });

  it("bytesLeft, host pages larger than target pages: whole host pages", () => {
    const machine = new RamMachine({ pageSize: 1024, kernels });
    machine.blocks.addGlobal("ram", randomBytes(8 * 4096), { pageSize: 4096 });
    let start = 0;
    const saving: RamSaving = new RamSaving(machine, { bytesLeft: (): number => 1 - (saving.writer.offset - start) });
    saving.setup();
    start = saving.writer.offset;
    expect(offsets(saving.iterate().bytes, 1024)).toEqual([0, 1024, 2048, 3072]);
  });

  it("bytesLeft, a host page with gaps: its other dirty pages go with the first, and no clean one", () => {
    const marks = new Uint8Array(1);
    const machine = new RamMachine({ pageSize: 1024, kernels, tracker: bitmapTracker(() => marks) });
    machine.blocks.addGlobal("ram", randomBytes(8 * 1024), { pageSize: 4096 });
    let left = Infinity;
    const saving = new RamSaving(machine, { bytesLeft: () => left });
    saving.setup();
    saving.iterate();
    marks[0] = 0b11_1010;
    machine.handler.statePendingExact();
    left = 1;
    const first = saving.iterate();
    expect([offsets(first.bytes, 1024), first.done]).toEqual([[1024, 3072], false]);
    expect(offsets(saving.iterate().bytes, 1024)).toEqual([4096, 5120]);
  });

  it("rateExceeded from the start: only EOS", () => {
    const machine = new RamMachine({ pageSize: 4096, kernels }, { ram: randomBytes(8192) });
    const saving = new RamSaving(machine, { rateExceeded: () => true });
    saving.setup();
    const { bytes, done } = saving.iterate();
    expect([toHex(bytes), done]).toEqual([EOS, false]);
    expect(offsets(saving.complete(), 4096)).toEqual([0, 4096]);
  });

  it("rateExceeded, a limiter that counts what reached the stream: stops in time", () => {
    const machine = new RamMachine({ pageSize: 4096, kernels }, { ram: randomBytes(4 << 20) });
    let start = 0;
    const saving: RamSaving = new RamSaving(machine, {
      rateExceeded: (): boolean => saving.writer.offset - start > 1 << 20,
    });
    saving.setup();
    start = saving.writer.offset;
    const { bytes, done } = saving.iterate();
    expect(done).toBe(false);
    expect(bytes.length).toBeGreaterThan(1 << 20);
    expect(bytes.length).toBeLessThan((1 << 20) + (330 << 10));
  });

  it("maxPartMs: a PART ends when its time is over", () => {
    let time = 0;
    const options = { pageSize: 4096, kernels, maxPartMs: undefined, now: () => (time += 30) };
    const machine = new RamMachine(options, { ram: new Uint8Array(4096 * 4096) });
    const saving = new RamSaving(machine);
    saving.setup();
    const { done, bytes } = saving.iterate();
    expect(done).toBe(false);
    expect(bytes.length).toBeGreaterThan(8);
  });

  it("order after a round: goes on behind the block that was sent last", () => {
    const marks: Record<string, Uint8Array> = { a: new Uint8Array(1), b: new Uint8Array(1) };
    const tracker = bitmapTracker(({ name }) => marks[name]);
    const machine = new RamMachine(
      { pageSize: 4096, kernels, tracker },
      { a: new Uint8Array(8192), b: new Uint8Array(4096) },
    );
    const saving = new RamSaving(machine);
    saving.setup();
    saving.iterate();
    const round = (): string => {
      machine.handler.statePendingExact();
      return toHex(saving.iterate().bytes);
    };
    marks.a[0] = 2;
    expect(round()).toBe("0000000000001002" + "0161" + "00" + EOS);
    marks.a[0] = marks.b[0] = 1;
    expect(round()).toBe("0000000000000002" + "0162" + "00" + "0000000000000002" + "0161" + "00" + EOS);
  });

  it("compress: the first page of a block is sent whole, zero pages are ZERO, the rest is zlib", () => {
    const ram = new Uint8Array(4 * 4096);
    ram.fill(1, 0, 8192);
    ram.set(randomBytes(4096), 12288);
    const machine = new RamMachine({ pageSize: 4096, kernels, compress: 6 }, { ram });
    const bytes = saveAll(machine);
    expect(machine.handler.saveStats).toMatchObject({ normalPages: 1, compressedPages: 2, zeroPages: 1 });
    const target = new RamMachine({ pageSize: 4096, compress: 1 }, { ram: new Uint8Array(4 * 4096) });
    loadAll(target, bytes);
    expect(firstDifference(target.read("ram"), ram)).toBe(-1);
  });

  it("a block that is resized or unregistered meanwhile: RamError", () => {
    for (const change of ["resize", "unregister"]) {
      const machine = new RamMachine({ pageSize: 4096, kernels });
      const block = machine.blocks.addGlobal("tables", new Uint8Array(8192), { resizable: true });
      const saving = new RamSaving(machine);
      saving.setup();
      if (change === "resize") block.resize(4096);
      else machine.blocks.unregister(block);
      let error: unknown;
      try {
        saving.iterate();
      } catch (thrown) {
        error = thrown;
      }
      expect(isMigrationError(error, "BLOCK_SIZE")).toBe(true);
    }
  });
});

describe("RamHandler", () => {
  it("pending: what is dirty, before the switchover or after it", () => {
    const marks = new Uint8Array(1);
    for (const postcopy of [false, true]) {
      const machine = new RamMachine(
        { pageSize: 4096, postcopy, tracker: bitmapTracker(() => marks) },
        { ram: new Uint8Array(8192) },
      );
      const { handler } = machine;
      const pending = (bytes: number): object =>
        postcopy ? { mustPrecopy: 0, canPostcopy: bytes } : { mustPrecopy: bytes, canPostcopy: 0 };
      expect(handler.statePendingEstimate()).toEqual(pending(0));
      const saving = new RamSaving(machine);
      saving.setup();
      expect(handler.statePendingEstimate()).toEqual(pending(8192));
      saving.iterate();
      marks[0] = 2;
      expect(handler.statePendingEstimate()).toEqual(pending(0));
      expect(handler.statePendingExact()).toEqual(pending(4096));
      expect(handler.hasPostcopy()).toBe(postcopy);
      handler.saveCleanup();
      expect(handler.statePendingEstimate()).toEqual(pending(0));
    }
  });

  it("complete: a last synchronisation, then everything regardless of any limit", () => {
    const marks = new Uint8Array(2);
    const tracker = byteMapTracker(() => marks);
    const machine = new RamMachine({ pageSize: 4096, tracker }, { ram: new Uint8Array(8192) });
    const saving = new RamSaving(machine, { bytesLeft: () => 0, rateExceeded: () => true });
    saving.setup();
    marks[1] = 1;
    expect(offsets(saving.complete(), 4096)).toEqual([0, 4096]);
    expect(Array.from(marks)).toEqual([0, 0]);
  });

  it("readOnly blocks: sent once, never scanned", () => {
    const rom = new Uint8Array(4096).fill(1);
    const machine = new RamMachine({ pageSize: 4096, tracker: hashTracker() });
    machine.blocks.addGlobal("rom", rom, { readOnly: true });
    const saving = new RamSaving(machine);
    saving.setup();
    expect(offsets(saving.iterate().bytes, 4096)).toEqual([0]);
    rom[0] = 2;
    expect(toHex(saving.complete())).toBe(EOS);
  });

  it("readOnly blocks: marks that a tracker has for them do not count", () => {
    const marks = new Uint8Array(1);
    const machine = new RamMachine({ pageSize: 4096, tracker: bitmapTracker(() => marks) });
    machine.blocks.addGlobal("rom", new Uint8Array(4096), { readOnly: true });
    const saving = new RamSaving(machine);
    saving.setup();
    saving.iterate();
    marks[0] = 1;
    expect(toHex(saving.complete())).toBe(EOS);
  });

  it("tracker: clear is told of pages before they are read", () => {
    const ram = new Uint8Array(8192);
    const tracker: DirtyTracker = { sync: () => 0, clear: (_, first) => void (ram[first * 4096] = 7) };
    const machine = new RamMachine({ pageSize: 4096, tracker }, { ram });
    const saving = new RamSaving(machine);
    saving.setup();
    saving.iterate();
    expect(machine.handler.saveStats.normalPages).toBeGreaterThan(0);
  });

  it("hash scan, a page changed, sent and changed back: is sent again", () => {
    const ram = new Uint8Array(4096);
    const machine = new RamMachine({ pageSize: 4096, tracker: hashTracker() }, { ram });
    const saving = new RamSaving(machine);
    saving.setup();
    saving.iterate();
    ram[0] = 1;
    machine.handler.statePendingExact();
    ram[0] = 2;
    saving.iterate();
    ram[0] = 1;
    expect(offsets(saving.complete(), 4096)).toEqual([0]);
  });

  it("trackers, marks shorter than the block: RangeError", () => {
    const machine = new RamMachine(
      { pageSize: 4096, tracker: byteMapTracker(() => new Uint8Array(1)) },
      { ram: new Uint8Array(8192) },
    );
    expect(() => new RamSaving(machine).setup()).toThrow("want 2");
  });

  it("a memory with scratch that grows while its pages are written: TypeError, not lost pages", () => {
    const memory = wasmMemory(4 << 20);
    const source = { memory, offset: 1 << 20, length: 3 << 20, scratch: { offset: 0, length: 256 << 10 } };
    const machine = new RamMachine({ pageSize: 4096 }, { ram: source });
    machine
      .block("ram")
      .memory.view(0, 3 << 20)
      .fill(1);
    const saving = new RamSaving(machine);
    saving.setup();
    const growing = { write: () => void memory.grow(1) };
    expect(() => encodeSync(machine.handler.saveLiveIterate(saving.context), saving.writer, growing)).toThrow(
      "has grown",
    );
  });

  it("iterate before setup: TypeError", () => {
    expect(() => new RamSaving(new RamMachine({ pageSize: 4096 })).iterate()).toThrow(TypeError);
  });
});
