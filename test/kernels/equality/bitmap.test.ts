import type { RawKernels } from "../../../src/kernels/types.js";
import { MOST_BITS, paintBits, pickBits, toggleBit } from "./bits.js";
import type { Rig } from "./rig.js";
import { testEquality, type Subject } from "./run.js";
import { divide, place, placeAligned, type Zone } from "./zones.js";

const NOWHERE: Zone = { start: 0, end: 0 };
/** Systematic: all lengths up to two pages at each alignment to 8 bytes, */
const LONG_EDGES = 8 * (MOST_BITS + 1);
/** and short ones at each alignment to 64 bytes from each of 64 bits on. */
const SHORT_LENGTHS = 140;
const SHORT_EDGES = 64 * 64 * SHORT_LENGTHS;

/** A range of a bitmap that the batch painted, with some bits inverted, among them those beside the range. */
abstract class BitRange {
  readonly parameters: readonly string[] = ["bitmap", "from", "end"];
  readonly addresses = ["bitmap", "out"];
  readonly sizes: Subject["sizes"] = [["end", "from"]];
  readonly edges = LONG_EDGES + SHORT_EDGES;
  #bitmap = NOWHERE;

  reset(rig: Rig): void {
    this.useZone(rig, { start: 0, end: rig.size });
  }

  draw(rig: Rig, edge: number): void {
    this.pickRange(rig, edge);
  }

  outputs(_rig: Rig, _result: number): void {}

  inputs([bitmap, from, end]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { bitmap: [bitmap + (from >>> 3), bitmap + ((end + 7) >>> 3)] };
  }

  protected useZone(rig: Rig, zone: Zone): void {
    this.#bitmap = zone;
    paintBits(rig, zone, rig.batch + (rig.batch >> 4));
  }

  protected pickRange(rig: Rig, edge: number): void {
    rig.undo();
    const zone = this.#bitmap;
    let bitmap: number;
    let from: number;
    let length: number;
    if (edge >= LONG_EDGES) {
      const short = edge - LONG_EDGES;
      from = (short >> 6) & 63;
      length = short >> 12;
      bitmap = placeAligned(rig, zone, (from + length + 7) >> 3, short & 63);
    } else if (edge >= 0) {
      from = rig.below(64);
      length = edge >> 3;
      bitmap = placeAligned(rig, zone, (from + length + 7) >> 3, 8 * rig.below(8) + (edge & 7));
    } else {
      from = rig.oneIn(4) ? rig.below(2000) : rig.below(70);
      length = pickBits(rig, 4 * (zone.end - zone.start));
      bitmap = place(rig, zone, (from + length + 7) >> 3);
    }
    const end = from + length;
    const inverted = rig.below(4);
    for (let i = 0; i < inverted; i++) toggleBit(rig, bitmap, from + rig.below(length + 1));
    if (rig.oneIn(2)) toggleBit(rig, bitmap, from - 1);
    if (rig.oneIn(2)) toggleBit(rig, bitmap, end);
    const before = rig.base === 0 ? 0 : this.#pickBytesBefore(rig, from, end);
    rig.args = [bitmap - before, from + 8 * before, end + 8 * before];
  }

  /**
   * How many bytes the bitmap begins before the memory that is used, so that the same bits have greater numbers:
   * about 2^31, where a sign would change, or up to the last.
   */
  #pickBytesBefore(rig: Rig, from: number, end: number): number {
    const most = Math.min(rig.base, Math.floor((2 ** 32 - 1 - end) / 8));
    const choice = rig.below(4);
    if (choice === 0) return 0;
    if (choice === 1) return most;
    return choice === 2 ? rig.below(most) : Math.floor((2 ** 31 - from - rig.below(end - from + 1)) / 8);
  }
}

class BitmapCount extends BitRange implements Subject {
  readonly kernel = "bitmapCount";
  call(kernels: RawKernels, [bitmap, from, end]: readonly number[]): number {
    return kernels.bitmapCount(bitmap, from, end) >>> 0;
  }
}

class BitmapNextSet extends BitRange implements Subject {
  readonly kernel = "bitmapNextSet";
  call(kernels: RawKernels, [bitmap, from, end]: readonly number[]): number {
    return kernels.bitmapNextSet(bitmap, from, end) >>> 0;
  }
}

class BitmapNextClear extends BitRange implements Subject {
  readonly kernel = "bitmapNextClear";
  call(kernels: RawKernels, [bitmap, from, end]: readonly number[]): number {
    return kernels.bitmapNextClear(bitmap, from, end) >>> 0;
  }
}

/** Ranges with room for few runs or many; then the same ones again with just enough, and with too little. */
class BitmapRuns extends BitRange implements Subject {
  readonly kernel = "bitmapRuns";
  override readonly parameters = ["bitmap", "from", "end", "out", "capacity"];
  override readonly sizes: Subject["sizes"] = [["end", "from"], ["capacity"]];
  #out = NOWHERE;
  #again = false;

  override reset(rig: Rig): void {
    const [bitmap, out] = divide(rig, [3, 1]);
    this.useZone(rig, bitmap);
    this.#out = out;
    this.#again = false;
  }

  override draw(rig: Rig, edge: number): void {
    let capacity: number;
    if (edge < 0 && this.#again) {
      capacity = Math.max(rig.result - 1 + rig.below(3), 0);
      this.#again = false;
    } else {
      this.pickRange(rig, edge);
      capacity = rig.oneIn(16) ? rig.below((this.#out.end - this.#out.start) >> 3) : rig.below(40);
      this.#again = rig.oneIn(2);
    }
    const [bitmap, from, end] = rig.args;
    rig.args = [bitmap, from, end, place(rig, this.#out, 8 * capacity), capacity];
  }

  call(kernels: RawKernels, [bitmap, from, end, out, capacity]: readonly number[]): number {
    return kernels.bitmapRuns(bitmap, from, end, out, capacity) >>> 0;
  }

  override outputs(rig: Rig, result: number): void {
    const [, , , out, capacity] = rig.args;
    rig.output(out, out + 8 * result, out + 8 * capacity);
  }
}

testEquality(new BitmapCount());
testEquality(new BitmapNextSet());
testEquality(new BitmapNextClear());
testEquality(new BitmapRuns());
