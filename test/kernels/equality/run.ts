import { describe, expect, test } from "vitest";
import type { RawKernels } from "../../../src/kernels/types.js";
import { describeFailure, type Failure } from "./failure.js";
import { Rig, type Comparable, type Place } from "./rig.js";

/** Inputs of each kernel: a sample in the default suite, all of them in `npm run test:kernels`. */
const INPUTS = Number(process.env["EQUALITY_INPUTS"] ?? 20_000);
/** Another seed, other inputs. */
const SEED = Number(process.env["EQUALITY_SEED"] ?? 1);
/** Inputs of the full run. */
const FULL = 10_000_000;

/** Inputs of a batch: few where there are few in all, since batches differ in how the memory is laid out. */
const LONGEST_BATCH = 1000;
const SHORTEST_BATCH = 50;
const BATCHES = 100;
/** Every so manieth batch has a memory of 1 MiB, for the larger pages; its inputs take so long that it has few. */
const LARGE_EVERY = 32;
const LARGE_BATCH = 20;
const SMALL_PAGES = 1;
const LARGE_PAGES = 16;
/** Every so manieth input of the other batches is one of the systematic ones. */
const EDGE_EVERY = 4;
/** A prime: in this stride a part of the systematic inputs is spread over all of them. */
const EDGE_STRIDE = 1_299_709;

/** A kernel, and where its inputs come from. */
export interface Subject extends Comparable {
  readonly kernel: keyof RawKernels;
  /** Lengths and counts among the arguments, which may go down to 0 or to another argument. */
  readonly sizes: readonly (readonly [parameter: string, downTo?: string])[];
  /** How many systematic inputs there are: alignments, lengths, positions. */
  readonly edges: number;
  /** Prepares the memories for a batch; they hold noise. */
  reset(rig: Rig): void;
  /** Puts the next input: number `edge` of the systematic ones, or a random one if that is negative. */
  draw(rig: Rig, edge: number): void;
  /** What the kernel reads, by name: [start, end). */
  inputs(args: readonly number[]): Readonly<Record<string, readonly [start: number, end: number]>>;
}

interface Batch {
  readonly number: number;
  readonly inputs: number;
  /** Systematic inputs [firstEdge, endEdge) are among its inputs. */
  readonly firstEdge: number;
  readonly endEdge: number;
}

/** Draws and compares the inputs of a batch; returns what failed. `thorough` looks at all bytes after every call. */
function runBatch(subject: Subject, rig: Rig, batch: Batch, seed: number, thorough = false): Failure | undefined {
  rig.reset(Math.imul(seed, 0x85ebca6b) ^ Math.imul(batch.number + 1, 0xc2b2ae35), batch.number);
  subject.reset(rig);
  let edge = batch.firstEdge;
  let input = 0;
  let cause: string | undefined;
  try {
    for (; input < batch.inputs; input++) {
      const systematic = input % EDGE_EVERY === EDGE_EVERY - 1 && edge < batch.endEdge;
      subject.draw(rig, systematic ? (edge++ * EDGE_STRIDE) % subject.edges : -1);
      if (!rig.compare(subject) || (thorough && !rig.isUntouched())) break;
    }
  } catch (error) {
    cause = String(error); // a trap of WebAssembly, or a bound that the twin ran into
  }
  if (input < batch.inputs) {
    return { input, batch: batch.number, args: rig.args.slice(), image: Buffer.from(rig.before), cause };
  }
  if (rig.isUntouched()) return undefined;
  if (thorough) throw new Error(`Cannot find the input of batch ${batch.number} that made a write outside`);
  return runBatch(subject, rig, batch, seed, true);
}

/** Compares the implementations on inputs until one fails. */
function findFailure(subject: Subject, inputs: number, place: Place): Failure | undefined {
  const small = new Rig(SMALL_PAGES, place);
  const large = new Rig(LARGE_PAGES, place);
  const usual = Math.min(Math.max(Math.ceil(inputs / BATCHES), SHORTEST_BATCH), LONGEST_BATCH);
  let firstEdge = 0;
  let done = 0;
  for (let number = 0; done < inputs; number++) {
    const isLarge = number % LARGE_EVERY === LARGE_EVERY - 1;
    const length = Math.min(isLarge ? LARGE_BATCH : usual, inputs - done);
    const endEdge = isLarge ? firstEdge : Math.min(firstEdge + Math.floor(length / EDGE_EVERY), subject.edges);
    const batch = { number, inputs: length, firstEdge, endEdge };
    const failure = runBatch(subject, isLarge ? large : small, batch, SEED);
    if (failure !== undefined) return failure;
    firstEdge = endEdge;
    done += length;
  }
  return undefined;
}

/** Alignments and lengths are compared elsewhere: so many inputs are enough for addresses. */
const HIGH_INPUTS = Math.min(INPUTS / 20, 200_000);

/** Where the kernels are compared, and on how many inputs. */
const PLACES: readonly (readonly [name: string, inputs: number, place: Place])[] = [
  ["plain build", INPUTS, { shared: false, base: () => 0 }],
  ["shared build", INPUTS / 10, { shared: true, base: () => 0 }],
  // Signed addresses would go wrong where the sign changes, and where the end of a region is address 0.
  ["plain build across 2 GiB", HIGH_INPUTS, { shared: false, base: (size) => 2 ** 31 - (5 / 16) * size }],
  ["plain build up to 4 GiB", HIGH_INPUTS, { shared: false, base: (size) => 2 ** 32 - size }],
];

/** Defines the tests of a kernel. */
export function testEquality(subject: Subject): void {
  describe(subject.kernel, () => {
    test.each(PLACES)("%s, %i inputs, equals the twin and writes nothing outside", (name, inputs, place) => {
      const failure = findFailure(subject, Math.ceil(inputs), place);
      const report = failure && describeFailure(subject, failure, new Rig(failure.image.length >> 16, place));
      expect(report === undefined ? "" : `seed ${SEED}, ${name}, ${report}`).toBe("");
    });

    test("systematic inputs, all of them, are part of the full run", () => {
      const edges = Math.floor((FULL / EDGE_EVERY) * (1 - LARGE_BATCH / LONGEST_BATCH));
      expect(subject.edges).toBeLessThanOrEqual(edges);
      expect(subject.edges % EDGE_STRIDE).not.toBe(0);
    });
  });
}
