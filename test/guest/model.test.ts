import { describe, expect, it } from "vitest";
import { expectedWord, PAGE_SIZE, readHeader, windowProblems, WORDS_PER_PAGE, type GuestHeader } from "./model.js";

const PAGES = 16;

const header = (steps: number, changes: Partial<GuestHeader> = {}): GuestHeader => ({
  steps,
  ticks: 1,
  errors: 0,
  firstError: 0,
  pages: PAGES,
  window: 0x100000,
  startedCpus: 0,
  state: "running",
  echoed: 0,
  ...changes,
});

/** The window as the guest would leave it in the middle of a page: `words` of the current page are rewritten. */
function windowAt(steps: number, words = 0): Uint8Array {
  const bytes = new Uint8Array(PAGES * PAGE_SIZE);
  const view = new DataView(bytes.buffer);
  const pass = Math.floor(steps / PAGES);
  for (let page = 0; page < PAGES; page++) {
    for (let word = 0; word < WORDS_PER_PAGE; word++) {
      const isNew = page < steps % PAGES || (page === steps % PAGES && word < words);
      view.setUint32(page * PAGE_SIZE + word * 4, expectedWord(isNew ? pass : pass - 1, page, word), true);
    }
  }
  return bytes;
}

describe("windowProblems", () => {
  it.each([
    [16, 0],
    [16, 512],
    [40, 0],
    [40, 1],
    [43, 1023],
    [1023, 700],
  ])("finds nothing after %i steps and %i words", (steps, words) => {
    expect(windowProblems(header(steps), windowAt(steps, words))).toEqual([]);
  });

  it("notices each page that changes between passes when it is one pass older", () => {
    const old = windowAt(64);
    const bytes = windowAt(80);
    const noticed = Array.from({ length: PAGES }, (_, page) => {
      const stale = bytes.slice();
      stale.set(old.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE), page * PAGE_SIZE);
      return windowProblems(header(80), stale).length > 0;
    });
    // Page modulo 8 = 2 is rewritten with the same words.
    expect(noticed).toEqual(Array.from({ length: PAGES }, (_, page) => page % 8 !== 2));
  });

  it("notices a lost page, a swapped page and a single flipped bit", () => {
    const lost = windowAt(64);
    lost.fill(0, 2 * PAGE_SIZE, 3 * PAGE_SIZE);
    const swapped = windowAt(64);
    swapped.copyWithin(3 * PAGE_SIZE, 4 * PAGE_SIZE, 5 * PAGE_SIZE);
    const flipped = windowAt(64);
    flipped[9 * PAGE_SIZE + 4095] ^= 1;
    expect(windowProblems(header(64), lost)).toEqual(["page 2 word 0 is 0x0, not 0xa5000200 of pass 3"]);
    expect(windowProblems(header(64), swapped)).toHaveLength(1);
    expect(windowProblems(header(64), flipped)).toHaveLength(1);
  });

  it("repeats what the guest says about itself", () => {
    const told = header(64, { state: "trapped", errors: 3, firstError: 0x101010 });
    expect(windowProblems(told, windowAt(64))).toEqual([
      "the guest is trapped",
      "the guest found 3 wrong words, first at 0x101010",
    ]);
  });

  it("refuses a window of another size", () => {
    expect(windowProblems(header(64), windowAt(64).subarray(1))).toEqual(["the window has 65535 bytes, not 65536"]);
  });
});

describe("readHeader", () => {
  it("refuses a page without the magic or with an unknown state", () => {
    const page = new Uint8Array(PAGE_SIZE);
    expect(() => readHeader(page)).toThrow("Guest header has no magic: 0x0");
    new DataView(page.buffer).setUint32(0, 0x474d5653, true);
    page[32] = 4;
    expect(() => readHeader(page)).toThrow("Guest header has an unknown state: 4");
  });
});
