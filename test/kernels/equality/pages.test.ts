import type { RawKernels } from "../../../src/kernels/types.js";
import type { Rig } from "./rig.js";
import { testEquality, type Subject } from "./run.js";
import { divide, pair, pickMark, pickPageSize, pickPosition, placeAligned, type Pair } from "./zones.js";

const PAGE = 256;

/** How many pages one call looks at. */
function pickCount(rig: Rig, most: number): number {
  const choice = rig.below(64);
  if (choice === 0) return 0;
  if (choice === 1) return rig.below(most + 1);
  return 1 + rig.below(Math.min(choice < 8 ? 9 : 2, most));
}

/** Zero memory with some bytes set in the pages, or just beside them. */
class ZeroPageMask implements Subject {
  readonly kernel = "zeroPageMask";
  readonly parameters = ["src", "pageSize", "count"];
  readonly addresses = ["src"];
  readonly sizes = [["count"]] as const;
  /** Alignments, and in a group of four and a single page: no byte set, or each. */
  readonly edges = 64 * (5 * PAGE + 1);

  reset(rig: Rig): void {
    rig.fill(0, rig.size, 0);
  }

  draw(rig: Rig, edge: number): void {
    rig.undo();
    let [src, pageSize, count] = [edge % 64, PAGE, 5];
    if (edge >= 0) {
      const position = Math.floor(edge / 64) - 1;
      if (position >= 0) rig.poke(src + position, pickMark(rig));
    } else {
      pageSize = pickPageSize(rig);
      count = pickCount(rig, Math.min(32, rig.size / pageSize));
      src = pickSource(rig, pageSize * count);
      const spots = rig.oneIn(16) ? 40 : rig.below(4);
      for (let i = 0; i < spots && count > 0; i++) {
        rig.poke(src + rig.below(count) * pageSize + pickPosition(rig, pageSize), pickMark(rig));
      }
    }
    rig.poke(src - 1, 255);
    rig.poke(src + pageSize * count, 255);
    rig.args = [src, pageSize, count];
  }

  call(kernels: RawKernels, [src, pageSize, count]: readonly number[]): number {
    return kernels.zeroPageMask(src, pageSize, count) >>> 0;
  }

  outputs(): void {}

  inputs([src, pageSize, count]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { src: [src, src + pageSize * count] };
  }
}

function pickSource(rig: Rig, length: number): number {
  const choice = rig.below(8);
  if (choice === 0) return 0;
  if (choice === 1) return rig.size - length;
  return rig.below(rig.size - length + 1);
}

/** Two regions of equal noise with some bytes changed in either, or just beside them. */
class ChangedPageMask implements Subject {
  readonly kernel = "changedPageMask";
  readonly parameters = ["a", "b", "pageSize", "count"];
  readonly addresses = ["a", "b"];
  readonly sizes = [["count"]] as const;
  /** Alignments, and in a group of two and a single page: no byte changed, or each. */
  readonly edges = 64 * (3 * PAGE + 1);
  #pair: Pair = { first: { start: 0, end: 0 }, distance: 0 };

  reset(rig: Rig): void {
    const [a, b] = divide(rig, [1, 1]);
    this.#pair = pair(rig, a, b);
  }

  draw(rig: Rig, edge: number): void {
    rig.undo();
    const { first, distance } = this.#pair;
    let [a, pageSize, count] = [0, PAGE, 3];
    const change = (at: number): void => {
      const where = a + at + (rig.oneIn(2) ? distance : 0);
      if (where >= 0 && where < rig.size) rig.poke(where, rig.before[where] ^ pickMark(rig));
    };
    if (edge >= 0) {
      a = placeAligned(rig, first, pageSize * count, edge % 64);
      const position = Math.floor(edge / 64) - 1;
      if (position >= 0) change(position);
    } else {
      pageSize = pickPageSize(rig);
      const most = Math.floor((first.end - first.start) / pageSize);
      count = pickCount(rig, Math.min(32, most));
      const room = first.end - first.start - pageSize * count;
      a = first.start + (rig.oneIn(8) ? 0 : rig.oneIn(8) ? room : rig.below(room + 1));
      const spots = rig.oneIn(16) ? 40 : rig.below(4);
      for (let i = 0; i < spots && count > 0; i++) {
        change(rig.below(count) * pageSize + pickPosition(rig, pageSize));
      }
    }
    change(-1);
    change(pageSize * count);
    rig.args = rig.oneIn(2) ? [a, a + distance, pageSize, count] : [a + distance, a, pageSize, count];
  }

  call(kernels: RawKernels, [a, b, pageSize, count]: readonly number[]): number {
    return kernels.changedPageMask(a, b, pageSize, count) >>> 0;
  }

  outputs(): void {}

  inputs([a, b, pageSize, count]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { a: [a, a + pageSize * count], b: [b, b + pageSize * count] };
  }
}

testEquality(new ZeroPageMask());
testEquality(new ChangedPageMask());
