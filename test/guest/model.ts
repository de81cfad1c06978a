/**
 * What the test guest keeps in memory, computed independently of the guest.
 *
 * The guest owns a window of pages and rewrites them one after the other, for ever. Before it rewrites a page it
 * compares every word of it with what the previous pass must have left, so a page that a migration lost or
 * brought back to an older state is noticed by the guest itself within one pass. The host can do the same at any
 * moment from the guest's own step counter: {@link windowProblems}.
 *
 * ```
 * header (one page, little-endian words)         window
 *  0 magic "SVMG"      20 pages in the window    page 0   f(pass, 0, word)
 *  4 steps             24 address of the window  page 1   f(pass, 1, word)
 *  8 timer interrupts  28 other CPUs started     ...      already rewritten in this pass
 * 12 words found wrong 32 state                  page c   being rewritten: new words, then old ones
 * 16 first wrong word  40 bytes echoed on COM1   ...      f(pass - 1, page, word)
 * ```
 * `steps` counts rewritten pages since the window was filled, plus one window: pass = steps / pages and
 * c = steps mod pages.
 */

export const PAGE_SIZE = 4096;
export const WORDS_PER_PAGE = PAGE_SIZE / 4;
export const HEADER_ADDRESS = 0x8000;
export const STACK_TOP = 0x7000;
export const WINDOW_ADDRESS = 0x100000;
export const GUEST_MAGIC = 0x474d5653;
export const BANNER = "savevm test guest\r\n";

export type GuestState = "booting" | "filling" | "running" | "trapped";
const STATES: readonly GuestState[] = ["booting", "filling", "running", "trapped"];

export interface GuestHeader {
  readonly steps: number;
  readonly ticks: number;
  /** Words that the guest's own check found wrong. */
  readonly errors: number;
  /** Address of the first of them, 0 when there is none. */
  readonly firstError: number;
  readonly pages: number;
  readonly window: number;
  readonly startedCpus: number;
  readonly state: GuestState;
  readonly echoed: number;
}

/** Reads the header page; bytes that do not begin with the magic are a `RangeError`. */
export function readHeader(page: Uint8Array): GuestHeader {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const word = (offset: number) => view.getUint32(offset, true);
  if (word(0) !== GUEST_MAGIC) throw new RangeError(`Guest header has no magic: 0x${word(0).toString(16)}`);
  const state = STATES[word(32)];
  if (state === undefined) throw new RangeError(`Guest header has an unknown state: ${word(32)}`);
  return {
    steps: word(4),
    ticks: word(8),
    errors: word(12),
    firstError: word(16),
    pages: word(20),
    window: word(24),
    startedCpus: word(28),
    state,
    echoed: word(40),
  };
}

/**
 * Word `word` of page `page` after pass `pass`. Page modulo 8 decides: 0 all words change in each pass (XBZRLE gives
 * up), 1 zero after odd passes, 2 rewritten with the same words, else every sixteenth word changes.
 */
export function expectedWord(pass: number, page: number, word: number): number {
  const kind = page & 7;
  if (kind === 1 && (pass & 1) === 1) return 0;
  const changes = kind === 0 || (kind > 2 && (word & 15) === 0);
  return changes
    ? (Math.imul(pass, 0x9e3779b1) + Math.imul(page, 0x10001) + word) >>> 0
    : ((page << 8) | (word & 63) | 0xa5000000) >>> 0;
}

/** Everything that is wrong with a window taken while the guest stood still, as readable lines; none is good. */
export function windowProblems(header: GuestHeader, window: Uint8Array): string[] {
  const problems: string[] = [];
  if (header.state !== "running") problems.push(`the guest is ${header.state}`);
  if (header.errors > 0)
    problems.push(`the guest found ${header.errors} wrong words, first at ${hex(header.firstError)}`);
  if (window.byteLength !== header.pages * PAGE_SIZE) {
    return [...problems, `the window has ${window.byteLength} bytes, not ${header.pages * PAGE_SIZE}`];
  }
  const pass = Math.floor(header.steps / header.pages);
  const current = header.steps % header.pages;
  for (let page = 0; page < header.pages; page++) {
    const words = pageWords(window, page);
    const newest = page < current ? pass : pass - 1;
    const split = page === current ? newWords(words, pass, page) : 0;
    const wrong = words.findIndex((value, word) => word >= split && value !== expectedWord(newest, page, word));
    if (wrong >= 0) {
      const expected = expectedWord(newest, page, wrong);
      problems.push(`page ${page} word ${wrong} is ${hex(words[wrong])}, not ${hex(expected)} of pass ${newest}`);
    }
  }
  return problems;
}

/** How many words at the start of the page already belong to `pass`. */
function newWords(words: readonly number[], pass: number, page: number): number {
  const end = words.findIndex((value, word) => value !== expectedWord(pass, page, word));
  return end < 0 ? words.length : end;
}

function pageWords(window: Uint8Array, page: number): number[] {
  const view = new DataView(window.buffer, window.byteOffset + page * PAGE_SIZE, PAGE_SIZE);
  return Array.from({ length: WORDS_PER_PAGE }, (_, word) => view.getUint32(word * 4, true));
}

const hex = (value: number) => `0x${value.toString(16)}`;
