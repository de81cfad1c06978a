import { median } from "./statistics.js";

/** Something to be timed: one call is one operation. */
export type Operation = () => unknown;

/** Seconds per call of an operation, each sample from one or more calls in a row. */
export type Sampler = (operation: Operation) => readonly number[] | Promise<readonly number[]>;

/** How to measure. */
export interface MeasureOptions {
  /** How often every variant has its turn; at least 1. */
  readonly rounds: number;
  /** Seconds that each variant runs before the first round, so that what is timed is optimised code. */
  readonly warmUp: number;
  /** How one turn is timed; {@link sampleOnce} unless given. */
  readonly sample?: Sampler | undefined;
}

/** One call, timed. For operations of a millisecond or more, and for asynchronous ones. */
export async function sampleOnce(operation: Operation): Promise<number[]> {
  const start = performance.now();
  const pending = operation();
  if (pending instanceof Promise) await pending;
  return [(performance.now() - start) / 1000];
}

/** Times as many calls in a row as take at least so many seconds: for operations too short for the clock. */
export function sampleFor(seconds: number): Sampler {
  return async (operation) => {
    for (let calls = 1; ; calls *= 2) {
      const start = performance.now();
      for (let i = 0; i < calls; i++) {
        const pending = operation();
        if (pending instanceof Promise) await pending;
      }
      const elapsed = (performance.now() - start) / 1000;
      if (elapsed >= seconds) return [elapsed / calls];
    }
  };
}

/**
 * Times variants of one operation side by side: in every round each has its turn, beginning with another one each
 * time, so that what slows the machine slows all of them. Returns seconds per call for each variant, one figure (the
 * median of the turn's samples) per round, so that figures of one round may be divided by each other.
 */
export async function measure(
  variants: Readonly<Record<string, Operation>>,
  { rounds, warmUp, sample = sampleOnce }: MeasureOptions,
): Promise<Record<string, number[]>> {
  const names = Object.keys(variants);
  for (const name of names) await runFor(variants[name], warmUp);
  const times: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length];
      times[name].push(median(await sample(variants[name])));
    }
  }
  return times;
}

async function runFor(operation: Operation, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  do await operation();
  while (performance.now() < end);
}
