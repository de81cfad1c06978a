import type { RawKernels } from "../../../src/kernels/types.js";
import type { Rig } from "./rig.js";
import { testEquality, type Subject } from "./run.js";
import { divide, place, placeAligned, type Zone } from "./zones.js";

const NOWHERE: Zone = { start: 0, end: 0 };
const TWO_PAGES = 8192;
const SHORT_COUNTS = 40;

/** Noise, swapped in place, to another zone, or to the bytes right beside it. */
class Swap implements Subject {
  readonly kernel: "swap16" | "swap32" | "swap64";
  readonly parameters = ["target", "source", "count"];
  readonly addresses = ["target", "source"];
  readonly sizes = [["count"]] as const;
  /** Alignments of the source and all counts up to two pages; short ones at all pairs of alignments. */
  readonly edges: number;
  readonly #width: number;
  #target = NOWHERE;
  #source = NOWHERE;

  constructor(kernel: "swap16" | "swap32" | "swap64", width: number) {
    this.kernel = kernel;
    this.#width = width;
    this.edges = 64 * (TWO_PAGES / width + 1) + 64 * 64 * SHORT_COUNTS;
  }

  reset(rig: Rig): void {
    [this.#target, this.#source] = divide(rig, [1, 1]);
  }

  draw(rig: Rig, edge: number): void {
    let target: number;
    let source: number;
    let count: number;
    const long = edge - 64 * 64 * SHORT_COUNTS;
    if (long >= 0) {
      count = long >> 6;
      source = placeAligned(rig, this.#source, count * this.#width, long & 63);
      target = rig.oneIn(4) ? source : place(rig, this.#target, count * this.#width);
    } else if (edge >= 0) {
      count = edge >> 12;
      source = placeAligned(rig, this.#source, count * this.#width, edge & 63);
      target = placeAligned(rig, this.#target, count * this.#width, (edge >> 6) & 63);
    } else {
      const room = this.#source.end - this.#source.start;
      count = rig.below(rig.oneIn(32) ? room / 2 / this.#width : 80);
      const bytes = count * this.#width;
      const choice = rig.below(8);
      if (choice === 0) {
        // Beside each other, either first.
        const first = place(rig, this.#source, 2 * bytes);
        [target, source] = rig.oneIn(2) ? [first, first + bytes] : [first + bytes, first];
      } else {
        source = place(rig, this.#source, bytes);
        target = choice < 3 ? source : place(rig, this.#target, bytes);
      }
    }
    rig.args = [target, source, count];
  }

  call(kernels: RawKernels, [target, source, count]: readonly number[]): number {
    kernels[this.kernel](target, source, count);
    return 0;
  }

  outputs(rig: Rig): void {
    const [target, , count] = rig.args;
    rig.output(target, target + count * this.#width);
  }

  inputs([, source, count]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { source: [source, source + count * this.#width] };
  }
}

testEquality(new Swap("swap16", 2));
testEquality(new Swap("swap32", 4));
testEquality(new Swap("swap64", 8));
