import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { bitmapTracker } from "../../src/ram/dirty.js";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { concat, Writer } from "../../src/stream/writer.js";
import { firstDifference, implementations, loadAll, RamMachine, RamSaving } from "./kit.js";

// Properties take long on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const PAGE = 256;
const PAGES = { ram: 24, vga: 9 };
type Name = keyof typeof PAGES;

/** One write of the guest: a page, a place in it, bytes. */
interface Write {
  readonly block: Name;
  readonly page: number;
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** The encoder as the RAM section describes it, byte by byte. */
function encode(old: Uint8Array, page: Uint8Array, capacity: number): Uint8Array | null {
  const out: number[] = [];
  const length = (n: number): void => void out.push(...(n < 128 ? [n] : [(n & 127) | 128, n >> 7]));
  let i = 0;
  while (i < page.length) {
    if (out.length + 2 > capacity) return null;
    let end = i;
    while (end < page.length && old[end] === page[end]) end++;
    if (end === page.length) break;
    length(end - i);
    if (out.length + 2 > capacity) return null;
    i = end;
    while (end < page.length && old[end] !== page[end]) end++;
    length(end - i);
    if (out.length + end - i > capacity) return null;
    out.push(...page.subarray(i, end));
    i = end;
  }
  return Uint8Array.from(out);
}

/** The whole sender as the RAM section describes it: what a page of a later round is sent as. */
class Model {
  readonly #slots: { key: number; age: number; page: Uint8Array }[] = [];
  readonly #slotCount: number;
  readonly #records: RamRecordWriter;
  #lastBlock: Name = "vga";

  constructor(writer: Writer, slotCount: number) {
    this.#records = new RamRecordWriter(writer);
    this.#slotCount = slotCount;
    // The first round ended in the last block.
    this.#records.zero("vga", 0);
    writer.take();
  }

  /** Pages in the order of the scan, which goes on behind the block that it last sent a page of. */
  order(dirty: ReadonlySet<number>): [Name, number][] {
    const names: Name[] = this.#lastBlock === "ram" ? ["vga", "ram"] : ["ram", "vga"];
    return names.flatMap((name) =>
      Array.from({ length: PAGES[name] }, (_, page): [Name, number] => [name, page]).filter(([, page]) =>
        dirty.has((name === "ram" ? 0 : 64) + page),
      ),
    );
  }

  send(block: Name, index: number, page: Uint8Array, generation: number, lastStage: boolean): void {
    const key = (block === "ram" ? 0 : 64) + index;
    const slot = key % this.#slotCount;
    const entry = this.#slots[slot];
    if (entry?.key !== key || page.every((byte) => byte === 0)) this.#lastBlock = block;
    const free = entry === undefined || entry.key === key || entry.age + 2 <= generation;
    if (page.every((byte) => byte === 0)) {
      if (free) this.#slots[slot] = { key, age: generation, page: page.slice() };
      this.#records.zero(block, index * PAGE);
    } else if (entry?.key === key) {
      entry.age = generation;
      const encoded = encode(entry.page, page, PAGE);
      if (encoded?.length === 0) return;
      this.#lastBlock = block;
      if (!lastStage) entry.page = page.slice();
      if (encoded === null) this.#records.page(block, index * PAGE, page);
      else this.#records.xbzrle(block, index * PAGE, encoded);
    } else {
      if (free && !lastStage) this.#slots[slot] = { key, age: generation, page: page.slice() };
      this.#records.page(block, index * PAGE, page);
    }
  }

  eos(): void {
    this.#records.eos();
  }
}

const write = fc
  .record({
    block: fc.constantFrom<Name>("ram", "vga"),
    page: fc.nat(8),
    at: fc.nat(PAGE - 1),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 8 }),
      fc.constant(new Uint8Array(PAGE)),
      fc.uint8Array({ minLength: PAGE, maxLength: PAGE }),
    ),
  })
  .map((made): Write => ({
    ...made,
    at: made.bytes.length === PAGE ? 0 : Math.min(made.at, PAGE - made.bytes.length),
  }));
const rounds = fc.array(fc.array(write, { maxLength: 20 }), { minLength: 1, maxLength: 6 });

describe.each(implementations)("XBZRLE rounds with %s kernels", (implementation) => {
  it.each([1, 4, 16, 128])(
    "cache of %i pages: records are those of the model, and the destination ends equal",
    (slots) => {
      fc.assert(
        fc.property(rounds, (guest) => {
          const marks = { ram: new Uint8Array(8), vga: new Uint8Array(8) };
          const tracker = bitmapTracker(({ name }) => marks[name as Name]);
          const options = {
            pageSize: PAGE,
            kernels: { implementation },
            xbzrle: true,
            xbzrleCacheBytes: slots * PAGE,
            tracker,
          };
          const source = new RamMachine(options, { ram: new Uint8Array(24 * PAGE), vga: new Uint8Array(9 * PAGE) });
          const target = new RamMachine(
            { pageSize: PAGE },
            { ram: new Uint8Array(24 * PAGE), vga: new Uint8Array(9 * PAGE) },
          );
          const saving = new RamSaving(source);
          const sections = [saving.setup(), saving.iterate().bytes];
          const writer = new Writer();
          const model = new Model(writer, slots);
          let generation = 1;
          guest.forEach((writes, round) => {
            const dirty = new Set<number>();
            for (const { block, page, at, bytes } of writes) {
              source.block(block).memory.write(page * PAGE + at, bytes);
              marks[block][page >> 3] |= 1 << (page & 7);
              dirty.add((block === "ram" ? 0 : 64) + page);
            }
            const lastStage = round === guest.length - 1;
            generation++;
            if (!lastStage) source.handler.statePendingExact();
            const bytes = lastStage ? saving.complete() : saving.iterate().bytes;
            for (const [name, page] of model.order(dirty)) {
              model.send(name, page, source.block(name).memory.view(page * PAGE, PAGE), generation, lastStage);
            }
            model.eos();
            sections.push(bytes);
            expect(firstDifference(bytes, concat(writer.take()))).toBe(-1);
          });
          source.handler.saveCleanup();
          loadAll(target, concat(sections));
          expect(firstDifference(target.read("ram"), source.read("ram"))).toBe(-1);
          expect(firstDifference(target.read("vga"), source.read("vga"))).toBe(-1);
        }),
        { numRuns: 60 },
      );
    },
  );

  it("first round: whole pages only", () => {
    const machine = new RamMachine(
      { pageSize: PAGE, kernels: { implementation }, xbzrle: true },
      { ram: new Uint8Array(PAGE).fill(1) },
    );
    const saving = new RamSaving(machine);
    saving.setup();
    saving.iterate();
    expect(machine.handler.saveStats).toMatchObject({ normalPages: 1, xbzrlePages: 0, cacheMisses: 0 });
  });

  it("after the switch to postcopy: whole host pages, no differences, and the first record names its block", () => {
    const marks = new Uint8Array(8);
    const ram = new Uint8Array(4 * PAGE).fill(1);
    const tracker = bitmapTracker(() => marks);
    const machine = new RamMachine(
      { pageSize: PAGE, kernels: { implementation }, xbzrle: true, postcopy: true, tracker },
      { ram },
    );
    const saving = new RamSaving(machine);
    saving.setup();
    saving.iterate();
    ram[0] = marks[0] = 1;
    machine.handler.statePendingExact();
    saving.iterate();
    ram[1] = 9;
    marks[0] = 1;
    machine.handler.save!.startPostcopy();
    saving.context.inPostcopy = true;
    const { bytes } = saving.iterate();
    expect(Array.from(bytes.subarray(0, 12))).toEqual([0, 0, 0, 0, 0, 0, 0, 8, 3, 0x72, 0x61, 0x6d]);
    // All four pages of the host page: it is received whole or not at all.
    expect(bytes).toHaveLength(12 + PAGE + 3 * (8 + PAGE) + 8);
  });
});
