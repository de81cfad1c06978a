import type { RawKernels } from "../../../src/kernels/types.js";
import type { Rig } from "./rig.js";
import { testEquality, type Subject } from "./run.js";
import { divide, pair, pickMark, pickPosition, place, placeAligned, type Pair, type Zone } from "./zones.js";

const NOWHERE: Zone = { start: 0, end: 0 };
const TWO_PAGES = 8192;

/** A length that is mostly short, at times that of a page, or of several in the large memory. */
function pickLength(rig: Rig): number {
  const choice = rig.below(128);
  if (rig.size > 65536) return choice < 32 ? 65536 : rig.below(2 * 65536 + 1);
  if (choice < 32) return rig.below(20);
  if (choice < 112) return rig.below(300);
  return choice < 127 ? 256 << rig.below(2) : rig.below(TWO_PAGES + 1);
}

/** A length of a run: short, or about where its encoding gets longer or impossible. */
function pickRun(rig: Rig): number {
  const choice = rig.below(16);
  if (choice < 7) return 1;
  if (choice < 12) return 1 + rig.below(8);
  if (choice < 14) return 58 + rig.below(12);
  return (rig.size > 65536 && choice === 15 ? 16380 : 124) + rig.below(8);
}

/** Pages of equal noise with some runs changed; then the same ones again with capacities next to what they need. */
class XbzrleEncode implements Subject {
  readonly kernel = "xbzrleEncode";
  readonly parameters = ["oldPage", "newPage", "length", "out", "capacity"];
  readonly addresses = ["oldPage", "newPage", "out"];
  readonly sizes = [["length"], ["capacity"]] as const;
  /** Alignments, and all lengths up to two pages. */
  readonly edges = 64 * (TWO_PAGES + 1);
  #pair: Pair = { first: NOWHERE, distance: 0 };
  #out = NOWHERE;
  /** How often the pages are to be encoded again, */
  #again = 0;
  /** and how many bytes they need. */
  #needed = 0;

  reset(rig: Rig): void {
    const [before, after, out] = divide(rig, [4, 4, 8]);
    this.#pair = pair(rig, before, after);
    this.#out = out;
    this.#again = 0;
  }

  draw(rig: Rig, edge: number): void {
    let [oldPage, newPage, length] = rig.args;
    let capacity: number;
    if (edge < 0 && this.#again > 0) {
      if (this.#needed === 0) this.#needed = Math.max(rig.result, 1);
      this.#again--;
      capacity = rig.oneIn(4) ? rig.below(this.#needed) : Math.max(this.#needed - 5 + rig.below(8), 0);
    } else {
      rig.undo();
      const { first, distance } = this.#pair;
      if (edge >= 0) {
        length = edge >> 6;
        oldPage = placeAligned(rig, first, length, edge & 63);
      } else {
        length = pickLength(rig);
        oldPage = place(rig, first, length);
      }
      newPage = oldPage + distance;
      this.#change(rig, newPage, length);
      capacity = rig.oneIn(8) ? rig.below(length + 1) : 2 * length + 16;
      this.#again = rig.below(4);
      this.#needed = 0;
    }
    rig.args = [oldPage, newPage, length, place(rig, this.#out, capacity), capacity];
  }

  #change(rig: Rig, page: number, length: number): void {
    const runs = length === 0 ? 0 : rig.oneIn(8) ? rig.below(40) : rig.below(5);
    for (let run = 0; run < runs; run++) {
      const from = page + pickPosition(rig, length);
      const end = Math.min(from + pickRun(rig), page + length);
      const change = pickMark(rig);
      for (let at = from; at < end; at++) rig.poke(at, rig.before[at] ^ change);
    }
    // Beside the page, too, where nothing may look.
    for (const at of [page - 1, page + length]) {
      if (at >= 0 && at < rig.size && rig.oneIn(2)) rig.poke(at, rig.before[at] ^ 1);
    }
  }

  call(kernels: RawKernels, [oldPage, newPage, length, out, capacity]: readonly number[]): number {
    return kernels.xbzrleEncode(oldPage, newPage, length, out, capacity) | 0;
  }

  outputs(rig: Rig, result: number): void {
    const [, , , out, capacity] = rig.args;
    // Nothing is to be written for equal pages.
    if (result !== 0) rig.output(out, out + Math.max(result, 0), out + capacity);
  }

  inputs([oldPage, newPage, length]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { oldPage: [oldPage, oldPage + length], newPage: [newPage, newPage + length] };
  }
}

/** Encodings made of random runs, many of them then damaged; and small numbers at random. */
class XbzrleDecode implements Subject {
  readonly kernel = "xbzrleDecode";
  readonly parameters = ["src", "length", "page", "pageSize"];
  readonly addresses = ["src", "page"];
  readonly sizes = [["length"], ["pageSize"]] as const;
  /** Alignments, and pages of all lengths up to two pages. */
  readonly edges = 64 * (TWO_PAGES + 1);
  #src = NOWHERE;
  #page = NOWHERE;

  reset(rig: Rig): void {
    [this.#src, this.#page] = divide(rig, [1, 1]);
  }

  draw(rig: Rig, edge: number): void {
    const pageSize = edge >= 0 ? edge >> 6 : pickLength(rig);
    const page = edge >= 0 ? placeAligned(rig, this.#page, pageSize, edge & 63) : place(rig, this.#page, pageSize);
    const room = 64 + 2 * pageSize;
    let src = place(rig, this.#src, room);
    let length = rig.oneIn(8) ? this.#putNumbers(rig, src) : this.#putRuns(rig, src, pageSize, room);
    // Damage: a byte, the length, or a tail of noise.
    const choice = rig.below(8);
    if (choice === 0 && length > 0) rig.put(src + rig.below(length), rig.below(256));
    if (choice === 1) length = rig.below(length + 1);
    if (choice === 2) length = Math.max(length - 1 - rig.below(2), 0);
    if (choice === 3) length += 1 + rig.below(3);
    if (this.#src.end === rig.size && rig.oneIn(4)) {
      // To where the memory ends, with what was put before.
      const last = rig.size - length;
      rig.copy(last, src, length);
      src = last;
    }
    rig.args = [src, length, page, pageSize];
  }

  #putNumbers(rig: Rig, src: number): number {
    const length = rig.below(24);
    for (let i = 0; i < length; i++) rig.put(src + i, rig.oneIn(8) ? 128 + rig.below(4) : rig.below(4));
    return length;
  }

  /** Pairs of runs that end in the page, mostly; the changed bytes are what noise is there. */
  #putRuns(rig: Rig, src: number, pageSize: number, room: number): number {
    let at = src;
    let position = 0;
    const pairs = rig.below(10);
    const most = Math.min(1 + (pageSize >> 2), 16383);
    const pick = (): number => (rig.oneIn(8) ? 1 + rig.below(most) : 1 + rig.below(Math.min(most, 24)));
    for (let i = 0; i < pairs && position < pageSize; i++) {
      const same = i === 0 && rig.oneIn(4) ? 0 : pick();
      position += same;
      // At times one byte more than the page has.
      const changed = rig.oneIn(16) ? pick() : Math.min(pick(), pageSize - position + (rig.oneIn(32) ? 1 : 0));
      if (changed < 1 || at + 4 + changed > src + room) break;
      position += changed;
      at = putLength(rig, at, same);
      at = putLength(rig, at, changed) + changed;
    }
    return at - src;
  }

  call(kernels: RawKernels, [src, length, page, pageSize]: readonly number[]): number {
    return kernels.xbzrleDecode(src, length, page, pageSize) | 0;
  }

  outputs(rig: Rig, result: number): void {
    const [, , page, pageSize] = rig.args;
    rig.output(page, result < 0 ? page : page + pageSize, page + pageSize);
  }

  inputs([src, length]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { src: [src, src + length] };
  }
}

/** Puts a length, at times in two bytes where one would do; returns the address behind it. */
function putLength(rig: Rig, at: number, length: number): number {
  if (length < 128 && !rig.oneIn(16)) {
    rig.put(at, length);
    return at + 1;
  }
  rig.put(at, (length & 127) | 128);
  rig.put(at + 1, length >> 7);
  return at + 2;
}

testEquality(new XbzrleEncode());
testEquality(new XbzrleDecode());
