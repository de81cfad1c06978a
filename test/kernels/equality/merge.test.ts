import type { RawKernels } from "../../../src/kernels/types.js";
import { MOST_BITS, paintBits, pickBits } from "./bits.js";
import type { Rig } from "./rig.js";
import { testEquality, type Subject } from "./run.js";
import { divide, pickMark, place, placeAligned, type Zone } from "./zones.js";

const NOWHERE: Zone = { start: 0, end: 0 };
const TWO_PAGES = 8192;
const SHORT_LENGTHS = 130;

/** Bits to be moved: few, or noise; the target keeps what it was given, until it is painted anew. */
class BitmapMergeClear implements Subject {
  readonly kernel = "bitmapMergeClear";
  readonly parameters = ["target", "source", "bits"];
  readonly addresses = ["target", "source"];
  readonly sizes = [["bits"]] as const;
  /** All lengths up to two pages at each alignment of the source to 8 bytes; short ones at all pairs of alignments. */
  readonly edges = 8 * (MOST_BITS + 1) + 64 * 64 * SHORT_LENGTHS;
  #target = NOWHERE;
  #source = NOWHERE;

  reset(rig: Rig): void {
    [this.#target, this.#source] = divide(rig, [1, 1]);
    paintBits(rig, this.#target, rig.batch + (rig.batch >> 4));
    if (rig.batch % 3 > 0) rig.fill(this.#source.start, this.#source.end, 0);
  }

  draw(rig: Rig, edge: number): void {
    let target: number;
    let source: number;
    let bits: number;
    const long = edge - 64 * 64 * SHORT_LENGTHS;
    if (long >= 0) {
      bits = long >> 3;
      source = placeAligned(rig, this.#source, (bits + 7) >> 3, 8 * rig.below(8) + (long & 7));
      target = place(rig, this.#target, (bits + 7) >> 3);
    } else if (edge >= 0) {
      bits = edge >> 12;
      source = placeAligned(rig, this.#source, (bits + 7) >> 3, edge & 63);
      target = placeAligned(rig, this.#target, (bits + 7) >> 3, (edge >> 6) & 63);
    } else {
      bits = pickBits(rig, 7 * (this.#source.end - this.#source.start));
      source = place(rig, this.#source, (bits + 7) >> 3);
      target = place(rig, this.#target, (bits + 7) >> 3);
    }
    const bytes = (bits + 7) >> 3;
    if (rig.oneIn(16)) rig.noise(target, target + bytes);
    if (rig.oneIn(4)) rig.noise(source, source + Math.min(bytes, 600));
    // One byte more than is asked for, which has to stay.
    const marks = rig.below(4);
    for (let i = 0; i < marks; i++) {
      const at = source + rig.below(bytes + 1);
      if (at < rig.size) rig.put(at, pickMark(rig));
    }
    rig.args = [target, source, bits];
  }

  call(kernels: RawKernels, [target, source, bits]: readonly number[]): number {
    return kernels.bitmapMergeClear(target, source, bits) >>> 0;
  }

  outputs(rig: Rig): void {
    const [target, source, bits] = rig.args;
    rig.outputBits(target, 0, bits);
    rig.outputBits(source, 0, bits);
  }

  inputs([target, source, bits]: readonly number[]): ReturnType<Subject["inputs"]> {
    const bytes = (bits + 7) >>> 3;
    return { target: [target, target + bytes], source: [source, source + bytes] };
  }
}

/** Marks: few, or noise; at times left where they are. */
class ByteMapMerge implements Subject {
  readonly kernel = "byteMapMerge";
  readonly parameters = ["bitmap", "marks", "count", "clear"];
  readonly addresses = ["bitmap", "marks"];
  readonly sizes = [["count"], ["clear"]] as const;
  /** Alignments of the marks, and all counts up to two pages. */
  readonly edges = 64 * (TWO_PAGES + 1);
  #bitmap = NOWHERE;
  #marks = NOWHERE;

  reset(rig: Rig): void {
    [this.#bitmap, this.#marks] = divide(rig, [1, 7]);
    paintBits(rig, this.#bitmap, rig.batch + (rig.batch >> 4));
    rig.fill(this.#marks.start, this.#marks.end, 0);
  }

  draw(rig: Rig, edge: number): void {
    let bitmap: number;
    let marks: number;
    let count: number;
    if (edge >= 0) {
      count = edge >> 6;
      marks = placeAligned(rig, this.#marks, count, edge & 63);
      bitmap = place(rig, this.#bitmap, (count + 7) >> 3);
    } else {
      count = Math.min(pickBits(rig, this.#marks.end - this.#marks.start), TWO_PAGES * (rig.size >> 16));
      marks = place(rig, this.#marks, count);
      bitmap = place(rig, this.#bitmap, (count + 7) >> 3);
    }
    const clear = rig.oneIn(4) ? 0 : 1;
    if (rig.oneIn(16)) rig.noise(bitmap, bitmap + ((count + 7) >> 3));
    if (clear === 1 && rig.oneIn(8)) rig.noise(marks, marks + Math.min(count, 100));
    const single = rig.below(5);
    for (let i = 0; i < single; i++) {
      const at = marks + rig.below(count + 1);
      if (at < rig.size) rig.put(at, pickMark(rig));
    }
    rig.args = [bitmap, marks, count, clear];
  }

  call(kernels: RawKernels, [bitmap, marks, count, clear]: readonly number[]): number {
    return kernels.byteMapMerge(bitmap, marks, count, clear === 1) >>> 0;
  }

  outputs(rig: Rig): void {
    const [bitmap, marks, count, clear] = rig.args;
    rig.outputBits(bitmap, 0, count);
    rig.output(marks, marks + (clear === 1 ? count : 0));
  }

  inputs([bitmap, marks, count]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { bitmap: [bitmap, bitmap + ((count + 7) >>> 3)], marks: [marks, marks + count] };
  }
}

testEquality(new BitmapMergeClear());
testEquality(new ByteMapMerge());
