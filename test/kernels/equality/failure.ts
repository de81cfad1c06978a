import type { Rig } from "./rig.js";
import type { Subject } from "./run.js";

/** An input on which the implementations differ, or one of them wrote outside. */
export interface Failure {
  readonly batch: number;
  /** Number of the input in its batch. */
  readonly input: number;
  readonly args: readonly number[];
  /** What the memory held before the call. */
  readonly image: Buffer;
  /** What was thrown, if anything was. */
  readonly cause: string | undefined;
}

const MOST_ATTEMPTS = 4000;

/** Does the rig still find fault with these arguments on this memory? */
function fails(subject: Subject, rig: Rig, args: readonly number[], image: Buffer): boolean {
  rig.load(image);
  rig.args = args.slice();
  try {
    return !rig.compare(subject) || !rig.isUntouched();
  } catch {
    return true;
  }
}

/** Makes lengths and counts as small as can be, then as many bytes of the input zero as can be. */
function shrink(subject: Subject, rig: Rig, failure: Failure): Pick<Failure, "args" | "image"> {
  const args = failure.args.slice();
  const image = Buffer.from(failure.image);
  let attempts = 0;
  const stillFails = (): boolean => ++attempts < MOST_ATTEMPTS && fails(subject, rig, args, image);

  for (const [parameter, downTo] of subject.sizes) {
    const at = subject.parameters.indexOf(parameter);
    const least = downTo === undefined ? 0 : args[subject.parameters.indexOf(downTo)];
    for (let step = args[at] - least; step >= 1; step = Math.floor(step / 2)) {
      while (args[at] - step >= least) {
        args[at] -= step;
        if (stillFails()) continue;
        args[at] += step;
        break;
      }
    }
  }
  /** Zeroes parts of some regions, at the same place in each, where the fault stays. */
  const clear = (regions: readonly (readonly [start: number, end: number])[]): void => {
    const length = Math.min(...regions.map(([start, end]) => end - start));
    for (let step = length; step >= 1; step = Math.floor(step / 2)) {
      for (let at = 0; at < length; at += step) {
        const parts = regions.map(([start]) => image.subarray(start + at, start + Math.min(at + step, length)));
        if (parts.every((part) => part.every((byte) => byte === 0))) continue;
        const old = parts.map((part) => Buffer.from(part));
        parts.forEach((part) => part.fill(0));
        if (!stillFails()) parts.forEach((part, i) => part.set(old[i]));
      }
    }
  };
  // Together first: what matters may be that two regions are equal.
  const regions = Object.values(subject.inputs(args));
  clear(regions);
  for (const region of regions) clear([region]);
  return { args, image };
}

/** Bytes in hex; what is repeated more than four times as "00*37". */
function hex(bytes: Buffer): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length;) {
    let end = at;
    while (end < bytes.length && bytes[end] === bytes[at]) end++;
    const byte = bytes.toString("hex", at, at + 1);
    if (end - at > 4) parts.push(`${byte}*${end - at}`);
    else for (let i = at; i < end; i++) parts.push(byte);
    at = end;
  }
  return parts.join(" ");
}

/** What became of the input, in words. */
function verdict(subject: Subject, rig: Rig, args: readonly number[], image: Buffer): string[] {
  const results = (["wasm", "twin"] as const).map((implementation) => {
    rig.load(image);
    rig.args = args.slice();
    try {
      return rig.call(subject, implementation);
    } catch (error) {
      return String(error);
    }
  });
  rig.load(image);
  let thrown = "";
  rig.args = args.slice();
  try {
    rig.compare(subject);
  } catch (error) {
    thrown = String(error);
  }
  const { at, wasm, twin } = rig.firstDifference();
  return [
    `result: ${results[0]}, twin: ${results[1]}${thrown && ` (${thrown})`}`,
    at < 0 ? "no byte differs" : `first byte that differs: ${wasm}, twin: ${twin}, at ${at}`,
    `first byte changed: at ${rig.firstChange("wasm")}, twin: at ${rig.firstChange("twin")} (-1: none)`,
  ];
}

/** All that is needed to call the kernel again by hand. */
export function describeFailure(subject: Subject, failure: Failure, rig: Rig): string {
  // A fault that only shows on the memory of its batch (it cannot be, but then it has to be reported) stays as it is.
  const found = fails(subject, rig, failure.args, failure.image);
  const { args, image } = found ? shrink(subject, rig, failure) : failure;
  const named = subject.parameters.map((name, i) => `${name}: ${args[i]}`);
  const lines = [
    `batch ${failure.batch}, input ${failure.input}${found ? ", shrunk" : ", not seen again alone"}:`,
    `${subject.kernel}(${named.join(", ")})${rig.base === 0 ? "" : `, addresses from ${rig.base} on`}`,
    ...Object.entries(subject.inputs(args)).map(
      ([name, [start, end]]) => `${name}: ${hex(image.subarray(start, end))}`,
    ),
    ...verdict(subject, rig, args, image),
    ...(failure.cause === undefined ? [] : [`thrown at first: ${failure.cause}`]),
  ];
  return lines.join("\n  ");
}
