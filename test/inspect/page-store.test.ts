import { describe, expect, it } from "vitest";
import { PageStore, type SpillFile } from "../../src/inspect/page-store.js";

const PAGE = 4096;

/** A spill file in memory that counts. */
class MemorySpill implements SpillFile {
  readonly parts = new Map<number, Uint8Array>();
  closed = 0;
  write(position: number, bytes: Uint8Array): void {
    this.parts.set(position, bytes.slice());
  }
  read(position: number, target: Uint8Array): void {
    const part = this.parts.get(position);
    if (part === undefined) throw new Error(`nothing was written at ${position}`);
    target.set(part);
  }
  close(): void {
    this.closed++;
  }
}

function pageOf(value: number): Uint8Array {
  return new Uint8Array(PAGE).fill(value);
}

describe("PageStore", () => {
  it("pages of two blocks in random order, beyond the budget: the last write of each is read back", () => {
    const spill = new MemorySpill();
    const store = new PageStore({ budget: 256 << 10, spill: () => spill });
    const blocks = [store.add("a", 4 << 20, PAGE), store.add("b", 2 << 20, PAGE)];
    const model = blocks.map(({ length }) => new Uint8Array(length));
    for (let i = 0, state = 1; i < 6000; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const which = state >>> 31;
      const offset = ((state >>> 8) % (model[which].length / PAGE)) * PAGE;
      const value = (state >>> 3) & 3;
      if (value === 0 || i % 7 === 0) {
        blocks[which].fill(offset, value);
        model[which].fill(value, offset, offset + PAGE);
      } else {
        blocks[which].write(offset, pageOf(i & 0xff));
        model[which].fill(i & 0xff, offset, offset + PAGE);
      }
    }
    for (const [i, block] of blocks.entries()) {
      const whole = new Uint8Array(block.length);
      block.read(0, whole);
      expect(Buffer.compare(whole, model[i])).toBe(0);
      const joined = Buffer.concat(
        Array.from(block.parts(), ({ bytes, length }) => Buffer.from(bytes ?? new Uint8Array(length))),
      );
      expect(Buffer.compare(joined, model[i])).toBe(0);
    }
    expect(spill.parts.size).toBeGreaterThan(10);
    store.close();
    expect(spill.closed).toBe(1);
  });

  it("zero pages and what never came take no room", () => {
    const store = new PageStore({ budget: 128 << 10 });
    const block = store.add("ram", 2 ** 40, PAGE);
    for (let page = 0; page < 5000; page++) block.fill(page * 2 ** 24, 0);
    expect(block.received).toBe(5000);
  });

  it("the budget is exceeded and there is no spill file: LIMIT_EXCEEDED", () => {
    const block = new PageStore({ budget: 128 << 10 }).add("ram", 1 << 20, PAGE);
    const fill = (): void => {
      for (let offset = 0; offset < block.length; offset += PAGE) block.write(offset, pageOf(1));
    };
    expect(fill).toThrow(expect.objectContaining({ code: "LIMIT_EXCEEDED" }));
  });

  it("discard: the pages are zero and count as not received", () => {
    const block = new PageStore().add("ram", 16 * PAGE, PAGE);
    for (let page = 0; page < 4; page++) block.write(page * PAGE, pageOf(7));
    block.discard(PAGE, 2 * PAGE);
    const target = new Uint8Array(4 * PAGE);
    block.read(0, target);
    expect(block.received).toBe(2);
    expect([0, 1, 2, 3].map((page) => [block.hasPage(page), target[page * PAGE]])).toEqual([
      [true, 7],
      [false, 0],
      [false, 0],
      [true, 7],
    ]);
  });

  it("parts of a range: only what lies in it, from any offset on", () => {
    const block = new PageStore().add("ram", 64 * PAGE, PAGE);
    block.write(20 * PAGE, pageOf(3));
    const parts = Array.from(block.parts(5 * PAGE, 21 * PAGE), ({ offset, length, bytes }) => [
      offset / PAGE,
      length / PAGE,
      bytes === null ? null : bytes[bytes.length - 1],
    ]);
    expect(parts).toEqual([
      [5, 11, null],
      [16, 5, 3],
    ]);
  });

  it("a page beyond the block: PAGE_OFFSET", () => {
    const block = new PageStore().add("ram", 2 * PAGE, PAGE);
    expect(() => block.write(2 * PAGE, pageOf(1))).toThrow(expect.objectContaining({ code: "PAGE_OFFSET" }));
  });
});
