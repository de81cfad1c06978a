/**
 * A user of the built package, compiled with library checks by the oldest TypeScript that the package promises and by
 * the current one: what is inferred must not depend on the compiler.
 */
import { isMigrationError, u32, u64, u8, vbuffer, vmstate, type DeviceOf } from "savevm";
import { benchmarkMachine, compareResults, type BenchmarkResults } from "savevm/bench";
import * as node from "savevm/node";

const uart = vmstate("uart", {
  version: 2,
  minimumVersion: 1,
  fields: [u8("divisor"), u64("cycles", { since: 2 }), u32("length"), vbuffer("data", "length")],
});

export const device: DeviceOf<typeof uart> = { divisor: 1, cycles: 2n, length: 0, data: new Uint8Array(16) };

// @ts-expect-error a u64 is a bigint
device.cycles = 1;
// @ts-expect-error no field of this name
device.divisors = 1;

export function explain(error: unknown): string | undefined {
  return isMigrationError(error) ? error.code : undefined;
}

export async function slower(before: BenchmarkResults, save: () => Uint8Array, load: (state: Uint8Array) => void) {
  const after = await benchmarkMachine({ name: "machine", save, load });
  return compareResults(before, after).regressions.length > 0;
}

export { node };
