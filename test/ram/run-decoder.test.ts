import { describe, expect, it } from "vitest";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { concat, Writer } from "../../src/stream/writer.js";
import { firstDifference, implementations, layouts, loadAll, RamMachine, randomBytes } from "./kit.js";

const PAGE = 4096;
const PAGES = 160;

/** One body with the pages in that order, and what RAM holds then. `at` tells what a page is. */
function stream(order: readonly number[], at: (page: number) => "zero" | "noise"): [Uint8Array, Uint8Array] {
  const writer = new Writer();
  const records = new RamRecordWriter(writer);
  const expected = new Uint8Array(PAGES * PAGE).fill(7);
  for (const [i, page] of order.entries()) {
    const bytes = at(page) === "zero" ? new Uint8Array(PAGE) : randomBytes(PAGE, i + 1);
    if (at(page) === "zero") records.zero("ram", page * PAGE);
    else records.page("ram", page * PAGE, bytes);
    expected.set(bytes, page * PAGE);
  }
  records.eos();
  return [concat(writer.take()), expected];
}

function cut(bytes: Uint8Array, length: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) => bytes.slice(i * length, (i + 1) * length));
}

const ascending = Array.from({ length: PAGES }, (_, page) => page);
const orders: Record<string, readonly number[]> = {
  ascending,
  descending: [...ascending].reverse(),
  "every third": ascending.filter((page) => page % 3 === 0),
  "runs that jump": ascending.map((page) => (page * 40 + Math.floor(page / 4)) % PAGES),
  "twice over": [...ascending, ...ascending],
};
const mixes: Record<string, (page: number) => "zero" | "noise"> = {
  noise: () => "noise",
  zero: () => "zero",
  "runs of both": (page) => (Math.floor(page / 20) % 2 === 0 ? "zero" : "noise"),
  "one by one": (page) => (page % 2 === 0 ? "zero" : "noise"),
};

describe.each(implementations)("RunDecoder, %s kernels", (implementation) => {
  describe.each(Object.entries(layouts))("RAM as %s", (_, layout) => {
    it.each(Object.keys(orders).flatMap((order) => Object.keys(mixes).map((mix) => [order, mix])))(
      "%s, %s: every page is placed and marked, and none else",
      (order, mix) => {
        const machine = new RamMachine({ pageSize: PAGE, kernels: { implementation } }, { ram: layout(PAGES * PAGE) });
        const block = machine.block("ram");
        for (const { start, end } of block.memory.segments) block.memory.view(start, end - start).fill(7);
        const [body, expected] = stream(orders[order], mixes[mix]);
        loadAll(machine, cut(body, 100_001));
        expect(firstDifference(machine.read("ram"), expected)).toBe(-1);
        const marked = new Set(orders[order]);
        const received = machine.handler.load!.received(block);
        expect(ascending.filter((page) => ((received[page >> 3] >> (page & 7)) & 1) === 1)).toEqual(
          ascending.filter((page) => marked.has(page)),
        );
        const { zeroPages, normalPages } = machine.handler.loadStats;
        expect(zeroPages + normalPages).toBe(orders[order].length);
      },
    );
  });
});
