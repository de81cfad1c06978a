import { describe, expect, it, vi } from "vitest";
import { RAMBlockList } from "../../src/ram/block.js";
import {
  bitmapTracker,
  byteMapTracker,
  hashTracker,
  shadowTracker,
  untracked,
  type DirtyTracker,
} from "../../src/ram/dirty.js";
import type { RAMBlock } from "../../src/ram/block.js";
import type { RamOptions } from "../../src/ram/options.js";
import { concat } from "../../src/stream/writer.js";
import {
  firstDifference,
  implementations,
  layouts,
  loadAll,
  RamMachine,
  RamSaving,
  randomBytes,
  saveAll,
} from "./kit.js";

vi.setConfig({ testTimeout: 60_000 });

const PAGE_SIZES = [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];

/** Every third page random, every fifth page with one byte set, the others zero. */
function fill(block: RAMBlock, pageSize: number, seed: number): void {
  const pages = block.usedLength / pageSize;
  for (let page = 0; page < pages; page++) {
    if (page % 3 === 0) block.memory.write(page * pageSize, randomBytes(pageSize, seed + page));
    else if (page % 5 === 0) block.memory.write(page * pageSize + (page % pageSize), Uint8Array.of(page | 1));
  }
}

describe.each(implementations)("RamHandler with %s kernels", (implementation) => {
  const kernels = { implementation };

  it.each(PAGE_SIZES)("save then load, pages of %i bytes: equal memory", (pageSize) => {
    const lengths = { big: 24 * 65536, small: 2 * 65536 };
    const source = new RamMachine({ pageSize, kernels });
    const target = new RamMachine({ pageSize, kernels });
    for (const [name, length] of Object.entries(lengths)) {
      source.blocks.addGlobal(name, new Uint8Array(length));
      target.blocks.addGlobal(name, randomBytes(length, 7));
      fill(source.block(name), pageSize, length);
    }
    loadAll(target, saveAll(source));
    for (const name of Object.keys(lengths)) expect(firstDifference(target.read(name), source.read(name))).toBe(-1);
  });

  it.each(Object.keys(layouts))("save then load, memory kept as %s: equal memory and equal bytes", (layout) => {
    const pageSize = 4096;
    const length = 3 << 20;
    const make = (): RamMachine => new RamMachine({ pageSize, kernels }, { ram: layouts[layout](length) });
    const source = make();
    fill(source.block("ram"), pageSize, 3);
    const plain = new RamMachine({ pageSize, kernels: { implementation: "js" } }, { ram: source.read("ram") });
    const bytes = saveAll(source);
    expect(firstDifference(bytes, saveAll(plain))).toBe(-1);

    const target = make();
    fill(target.block("ram"), pageSize, 99);
    loadAll(target, bytes);
    expect(firstDifference(target.read("ram"), source.read("ram"))).toBe(-1);
    expect(target.handler.load!.received(target.block("ram")).every((byte) => byte === 0xff)).toBe(true);
  });

  const trackers: Record<string, () => { tracker: DirtyTracker; write: (block: RAMBlock, page: number) => void }> = {
    "a bitmap": () => {
      const marks = new Map<string, Uint8Array>();
      const of = (block: RAMBlock): Uint8Array => {
        const bytes = marks.get(block.name) ?? new Uint8Array(Math.ceil(block.usedLength / 4096 / 8));
        marks.set(block.name, bytes);
        return bytes;
      };
      return { tracker: bitmapTracker(of), write: (block, page) => void (of(block)[page >> 3] |= 1 << (page & 7)) };
    },
    "a byte map on shared memory": () => {
      const marks = new Map<string, Uint8Array>();
      const of = (block: RAMBlock): Uint8Array => {
        const bytes = marks.get(block.name) ?? new Uint8Array(new SharedArrayBuffer(block.usedLength / 4096));
        marks.set(block.name, bytes);
        return bytes;
      };
      return { tracker: byteMapTracker(of), write: (block, page) => void (of(block)[page] = 1) };
    },
    "a hash scan": () => ({ tracker: hashTracker(), write: () => undefined }),
    "a shadow": () => ({ tracker: shadowTracker(), write: () => undefined }),
  };

  for (const [name, make] of Object.entries(trackers)) {
    for (const xbzrle of [false, true]) {
      it(`live save tracked by ${name}${xbzrle ? " with XBZRLE" : ""}: the destination ends equal`, () => {
        const { tracker, write } = make();
        const pageSize = 4096;
        const options: RamOptions = { pageSize, kernels, xbzrle, tracker, xbzrleCacheBytes: 64 * pageSize };
        const source = new RamMachine(options, {
          ram: new Uint8Array(100 * pageSize),
          vga: new Uint8Array(20 * pageSize),
        });
        const target = new RamMachine(
          { pageSize, kernels },
          { ram: new Uint8Array(100 * pageSize), vga: new Uint8Array(20 * pageSize) },
        );
        fill(source.block("ram"), pageSize, 1);
        const random = randomBytes(4096, 5);
        let next = 0;
        const change = (): void => {
          for (let i = 0; i < 12; i++) {
            const block = source.block(random[next++ % 4096] % 4 === 0 ? "vga" : "ram");
            const page = random[next++ % 4096] % (block.usedLength / pageSize);
            const bytes =
              random[next++ % 4096] % 3 === 0 ? new Uint8Array(pageSize) : Uint8Array.of(random[next++ % 4096]);
            block.memory.write(page * pageSize, bytes);
            write(block, page);
          }
        };
        // A limiter that stops each PART after about 20 pages.
        let left = 0;
        const saving: RamSaving = new RamSaving(source, {
          bytesLeft: (): number => left - (saving.writer.offset - start),
        });
        let start = 0;
        const sections = [saving.setup()];
        for (let round = 0; round < 40; round++) {
          left = 20 * pageSize;
          start = saving.writer.offset;
          sections.push(saving.iterate().bytes);
          change();
          if (round % 5 === 4) source.handler.statePendingExact();
        }
        sections.push(saving.complete());
        const stats = source.handler.saveStats;
        expect(stats.dirtyPages).toBe(0);
        expect(stats.xbzrlePages > 0).toBe(xbzrle);
        source.handler.saveCleanup();
        loadAll(target, concat(sections));
        for (const block of ["ram", "vga"]) expect(firstDifference(target.read(block), source.read(block))).toBe(-1);
      });
    }
  }
});

describe("RamHandler", () => {
  it("untracked, synchronised: sends no page twice", () => {
    const machine = new RamMachine({ pageSize: 4096, tracker: untracked() }, { ram: new Uint8Array(40960) });
    const saving = new RamSaving(machine);
    saving.setup();
    expect(saving.iterate().done).toBe(true);
    machine.read("ram").fill(1);
    expect(saving.complete()).toHaveLength(8);
  });

  it("list order: largest maximum length first, then oldest", () => {
    const list = new RAMBlockList();
    for (const [name, length] of [
      ["a", 4096],
      ["b", 8192],
      ["c", 4096],
      ["d", 16384],
    ] as const) {
      list.addGlobal(name, new Uint8Array(length));
    }
    expect(Array.from(list, ({ name }) => name)).toEqual(["d", "b", "a", "c"]);
  });
});
