import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DecodePages, EncodePages } from "../../src/kernels/types.js";
import {
  RAM_SAVE_FLAG_CONTINUE as CONTINUE,
  RAM_SAVE_FLAG_PAGE as PAGE,
  RAM_SAVE_FLAG_ZERO as ZERO,
} from "../../src/stream/constants.js";
import { IMPLEMENTATIONS, noise, runGuarded, type Bench } from "./kit.js";

const BITMAP = 16;
const RECEIVED = 600;
const RESULT = 1024;
const NAME = 1100;
const RAM = 4096 + 3;
const OUT = 4 * 65536 + 5;

const NAME_BYTES = [6, ...Buffer.from("pc.ram")];

/** One wire record. */
function record(offset: bigint, flags: number, body: ArrayLike<number>, name: readonly number[] = []): number[] {
  const word = new Uint8Array(8);
  new DataView(word.buffer).setBigUint64(0, offset | BigInt(flags));
  return [...word, ...name, ...Array.from(body)];
}

const window = fc.record({
  pageSize: fc.constantFrom(256, 1024, 4096),
  blockPage: fc.constantFrom(0, 8, 0x100000, 0xffffff00),
  /** Per page: dirty, and zero. */
  pages: fc.array(fc.tuple(fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 40 }),
  seed: fc.integer(),
});

/** Fills the window: noise in pages that are not to be zero. */
function paint(
  on: Bench,
  { pageSize, pages, seed }: { pageSize: number; pages: [boolean, boolean][]; seed: number },
): void {
  const memory = on.bytes().fill(0xa5);
  pages.forEach(([dirty, zero], i) => {
    const at = RAM + i * pageSize;
    if (zero) memory.fill(0, at, at + pageSize);
    else memory.set(noise(pageSize, seed + i), at);
    const byte = BITMAP + (i >> 3);
    memory[byte] = dirty ? memory[byte] | (1 << (i & 7)) : memory[byte] & ~(1 << (i & 7));
  });
  memory.set(NAME_BYTES, NAME);
}

function bit(memory: Uint8Array, address: number, index: number): boolean {
  return ((memory[address + (index >> 3)] >> (index & 7)) & 1) === 1;
}

describe.each(IMPLEMENTATIONS)("%s", (_name, make) => {
  const on = make(8);
  const { kernels } = on;

  test("encodePages, random windows and room, writes the specified records and takes their bits", () => {
    fc.assert(
      fc.property(window, fc.boolean(), fc.nat(), fc.nat(), fc.nat(), (spec, named, a, b, room) => {
        paint(on, spec);
        const { pageSize, blockPage, pages } = spec;
        const first = Math.min(a, b) % (pages.length + 1);
        const end = first + (Math.max(a, b) % (pages.length + 1 - first));
        const outEnd = OUT + (room % (pages.length * (pageSize + 8) + 30));
        const before = on.bytes().slice();

        const records: number[] = [];
        let next = end;
        let [zeroPages, normalPages] = [0, 0];
        const taken = new Set<number>();
        for (let i = first; i < end; i++) {
          const [dirty, zero] = pages[i];
          if (!dirty) continue;
          const name = named && taken.size === 0 ? NAME_BYTES : [];
          const flags = (zero ? ZERO : PAGE) | (name.length === 0 ? CONTINUE : 0);
          const offset = (BigInt(blockPage) + BigInt(i)) * BigInt(pageSize);
          const at = RAM + i * pageSize;
          const bytes = record(offset, flags, zero ? [0] : before.subarray(at, at + pageSize), name);
          if (records.length + bytes.length > outEnd - OUT) {
            next = i;
            break;
          }
          records.push(...bytes);
          taken.add(i);
          if (zero) zeroPages++;
          else normalPages++;
        }

        const job: EncodePages = {
          bitmap: BITMAP,
          first,
          end,
          ram: RAM,
          pageSize,
          blockPage,
          name: named ? NAME : 0,
          out: OUT,
          outEnd,
          result: RESULT,
        };
        const { result, stray } = runGuarded(
          on,
          [
            [OUT, outEnd],
            [RESULT, RESULT + 20],
            [BITMAP, BITMAP + Math.ceil(pages.length / 8)],
          ],
          () => kernels.encodePages(job),
        );
        expect(stray).toEqual([]);
        expect(result).toEqual({
          bytes: records.length,
          next,
          zeroPages,
          normalPages,
          nameSent: named && taken.size > 0,
        });
        expect(Buffer.compare(on.bytes().subarray(OUT, OUT + records.length), Uint8Array.from(records))).toBe(0);
        for (let i = 0; i < Math.ceil(pages.length / 8) * 8; i++) {
          const found = bit(on.bytes(), BITMAP, i);
          const expected = bit(before, BITMAP, i) && !taken.has(i);
          if (found !== expected) expect({ i, found }).toEqual({ i, found: expected });
        }
      }),
      { numRuns: 120 },
    );
  });

  test("encodePages, called until done, gives the same records as one call", () => {
    const spec = {
      pageSize: 512,
      seed: 9,
      pages: Array.from({ length: 64 }, (_, i) => [true, i % 3 === 0] as [boolean, boolean]),
    };
    const job = {
      bitmap: BITMAP,
      first: 0,
      end: 64,
      ram: RAM,
      pageSize: 512,
      blockPage: 0,
      name: NAME,
      out: OUT,
      result: RESULT,
    };
    paint(on, spec);
    const whole = kernels.encodePages({ ...job, outEnd: OUT + 65536 });
    const expected = on.bytes().slice(OUT, OUT + whole.bytes);
    paint(on, spec);
    const parts: Uint8Array[] = [];
    let state = { first: 0, name: NAME };
    while (state.first < 64) {
      const part = kernels.encodePages({ ...job, ...state, outEnd: OUT + 1500 });
      parts.push(on.bytes().slice(OUT, OUT + part.bytes));
      state = { first: part.next, name: part.nameSent ? 0 : state.name };
    }
    expect(parts.length).toBeGreaterThan(10);
    expect(Buffer.compare(Buffer.concat(parts), expected)).toBe(0);
    expect(kernels.bitmapCount(BITMAP, 0, 64)).toBe(0);
  });

  test("decodePages, random records, places them and stops at the first that is not for the window", () => {
    const end = fc.constantFrom(
      "input",
      "half a record",
      "named",
      "outside",
      "below",
      "end of section",
      "fill",
      "xbzrle",
    );
    fc.assert(
      fc.property(window, end, fc.nat(), fc.boolean(), (spec, ending, cut, tracked) => {
        paint(on, { ...spec, seed: spec.seed + 100 });
        const { pageSize, blockPage, pages, seed } = spec;
        const memory = on.bytes();
        const records: number[] = [];
        const expected = memory.slice(RAM, RAM + pages.length * pageSize);
        let [zeroPages, normalPages] = [0, 0];
        const offset = (page: number): bigint => (BigInt(blockPage) + BigInt(page)) * BigInt(pageSize);
        const touched = pages.map(([dirty], i) => ({ dirty, i })).filter(({ dirty }) => dirty);
        for (const { i } of touched) {
          // Half of the zero records meet pages that are zero already.
          const zero = (i * 7 + seed) % 3 !== 0;
          const body = noise(pageSize, seed + 500 + i);
          if (zero) zeroPages++;
          else normalPages++;
          records.push(...record(offset(i), (zero ? ZERO : PAGE) | CONTINUE, zero ? [0] : body));
          expected.set(zero ? new Uint8Array(pageSize) : body, i * pageSize);
        }
        const bytes = records.length;
        const page = noise(pageSize);
        const tails: Record<string, number[]> = {
          input: [],
          "half a record": record(offset(0), PAGE | CONTINUE, page).slice(0, cut % (8 + pageSize)),
          named: record(offset(0), ZERO, [0], NAME_BYTES),
          outside: record(offset(pages.length), ZERO | CONTINUE, [0]),
          below: record(BigInt.asUintN(64, offset(-1)), ZERO | CONTINUE, [0]),
          "end of section": record(0n, 0x10, [0xaa, 0xbb]),
          fill: record(offset(0), ZERO | CONTINUE, [1]),
          xbzrle: record(offset(0), 0x40 | CONTINUE, [1, 0, 3, 0, 1, 9, 9, 9]),
        };
        records.push(...tails[ending]);
        memory.set(records, OUT);
        memory.fill(0, RECEIVED, RECEIVED + 5);

        const job: DecodePages = {
          input: OUT,
          inputEnd: OUT + records.length,
          ram: RAM,
          pageSize,
          blockPage,
          pages: pages.length,
          received: tracked ? RECEIVED : 0,
          result: RESULT,
        };
        const { result, stray } = runGuarded(
          on,
          [
            [RAM, RAM + pages.length * pageSize],
            [RESULT, RESULT + 20],
            [RECEIVED, RECEIVED + 5],
          ],
          () => kernels.decodePages(job),
        );
        expect(stray).toEqual([]);
        expect(result).toEqual({ bytes, zeroPages, normalPages });
        expect(Buffer.compare(on.bytes().subarray(RAM, RAM + expected.length), expected)).toBe(0);
        const marked = pages.map((_, i) => bit(on.bytes(), RECEIVED, i));
        expect(marked).toEqual(pages.map(([dirty]) => dirty && tracked));
      }),
      { numRuns: 120 },
    );
  });

  test("decodePages, offsets with high bits set, are outside every window", () => {
    for (const high of [1n << 40n, 1n << 53n, 1n << 63n, (1n << 64n) - 4096n]) {
      on.bytes().set(record(high, ZERO | CONTINUE, [0]), OUT);
      const result = kernels.decodePages({
        input: OUT,
        inputEnd: OUT + 9,
        ram: RAM,
        pageSize: 256,
        blockPage: 0,
        pages: 16,
        received: 0,
        result: RESULT,
      });
      expect(result).toEqual({ bytes: 0, zeroPages: 0, normalPages: 0 });
    }
  });

  test("encodePages then decodePages, 64 KiB pages, rebuild the window elsewhere", () => {
    const on = make(40);
    const { kernels } = on;
    const pages = 12;
    paint(on, { pageSize: 65536, seed: 3, pages: Array.from({ length: pages }, (_, i) => [true, i % 4 === 1]) });
    const out = RAM + pages * 65536;
    const copy = out + pages * 65536 + 400;
    const common = { pageSize: 65536, blockPage: 5, result: RESULT };
    const encoded = kernels.encodePages({
      ...common,
      bitmap: BITMAP,
      first: 0,
      end: pages,
      ram: RAM,
      name: 0,
      out,
      outEnd: copy,
    });
    expect(encoded).toEqual({ bytes: 9 * 65544 + 3 * 9, next: pages, zeroPages: 3, normalPages: 9, nameSent: false });
    on.bytes().fill(0x77, copy, copy + pages * 65536);
    const decoded = kernels.decodePages({
      ...common,
      input: out,
      inputEnd: out + encoded.bytes,
      ram: copy,
      pages,
      received: RECEIVED,
    });
    expect(decoded).toEqual({ bytes: encoded.bytes, zeroPages: 3, normalPages: 9 });
    const image = on.bytes();
    expect(Buffer.compare(image.slice(copy, copy + pages * 65536), image.slice(RAM, RAM + pages * 65536))).toBe(0);
  });
});
