import type { RawKernels } from "../../../src/kernels/types.js";
import type { Rig } from "./rig.js";
import { testEquality, type Subject } from "./run.js";
import { divide, pickPageSize, place, placeAligned, type Zone } from "./zones.js";

const NOWHERE: Zone = { start: 0, end: 0 };

/** Noise, zeros or ones in which bytes change from input to input. */
class HashPages implements Subject {
  readonly kernel: "hashPages64" | "hashPages128";
  readonly parameters = ["src", "pageSize", "count", "out"];
  readonly addresses = ["src", "out"];
  readonly sizes = [["count"]] as const;
  /** Alignments of the pages and of the hashes, and up to three pages of the two smallest sizes. */
  readonly edges = 64 * 64 * 4 * 2;
  readonly #width: number;
  #pages = NOWHERE;
  #hashes = NOWHERE;

  constructor(kernel: "hashPages64" | "hashPages128", width: number) {
    this.kernel = kernel;
    this.#width = width;
  }

  reset(rig: Rig): void {
    [this.#pages, this.#hashes] = divide(rig, [15, 1]);
    if (rig.batch % 4 === 1) rig.fill(0, rig.size, 0);
    if (rig.batch % 4 === 2) rig.fill(0, rig.size, 255);
  }

  draw(rig: Rig, edge: number): void {
    let src: number;
    let pageSize: number;
    let count: number;
    let out: number;
    if (edge >= 0) {
      const combination = Math.floor(edge / 4096);
      pageSize = 256 << (combination & 1);
      count = combination >> 1;
      src = placeAligned(rig, this.#pages, pageSize * count, edge & 63);
      out = placeAligned(rig, this.#hashes, this.#width * count, (edge >> 6) & 63);
    } else {
      pageSize = pickPageSize(rig);
      count = rig.oneIn(8) ? rig.below(4) : 1;
      src = place(rig, this.#pages, pageSize * count);
      out = place(rig, this.#hashes, this.#width * count);
    }
    if (count > 0) rig.put(src + rig.below(pageSize * count), rig.oneIn(2) ? rig.below(256) : 1 << rig.below(8));
    rig.args = [src, pageSize, count, out];
  }

  call(kernels: RawKernels, [src, pageSize, count, out]: readonly number[]): number {
    if (this.#width === 8) kernels.hashPages64(src, pageSize, count, out);
    else kernels.hashPages128(src, pageSize, count, out);
    return 0;
  }

  outputs(rig: Rig): void {
    const [, , count, out] = rig.args;
    rig.output(out, out + this.#width * count);
  }

  inputs([src, pageSize, count]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { src: [src, src + pageSize * count] };
  }
}

testEquality(new HashPages("hashPages64", 8));
testEquality(new HashPages("hashPages128", 16));
