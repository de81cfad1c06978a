import type { Rig } from "./rig.js";
import type { Zone } from "./zones.js";

/** Bits in two pages of bytes: the longest systematic ranges. */
export const MOST_BITS = 8 * 8192;

/** Paints a bitmap as one of eight kinds: empty, full, noise, sparse, with short or long runs, with holes. */
export function paintBits(rig: Rig, zone: Zone, kind: number): void {
  const { start, end } = zone;
  const length = end - start;
  const put = (value: () => number, times: number): void => {
    for (let i = 0; i < times; i++) rig.put(start + rig.below(length), value());
  };
  const bit = (): number => 1 << rig.below(8);
  switch (kind % 8) {
    case 0:
      return rig.fill(start, end, 0);
    case 1:
      return rig.fill(start, end, 255);
    case 2:
      rig.fill(start, end, 0);
      return put(bit, length >> 5);
    case 3:
      rig.fill(start, end, 255);
      return put(() => 255 ^ bit(), length >> 5);
    case 4:
    case 5: {
      // Runs of up to 20 bytes, or up to 400, with edges inside of bytes.
      const longest = kind % 8 === 4 ? 20 : 400;
      rig.fill(start, end, 0);
      for (let at = start; at < end; at += rig.below(longest)) {
        const run = Math.min(at + rig.below(longest), end);
        rig.fill(at, run, 255);
        if (run < end) rig.put(run, 255 >> rig.below(8));
        at = run + 1;
      }
      return;
    }
    default:
      return rig.noise(start, end);
  }
}

/** Inverts a bit until the rig undoes it. */
export function toggleBit(rig: Rig, bitmap: number, bit: number): void {
  const at = bitmap + (bit >> 3);
  if (at >= 0 && at < rig.size) rig.poke(at, rig.before[at] ^ (1 << (bit & 7)));
}

/** A number of bits: mostly few; in the large memory up to millions. */
export function pickBits(rig: Rig, most: number): number {
  const choice = rig.below(16);
  if (rig.size > 65536) return rig.below(choice < 8 ? 100_000 : most + 1);
  if (choice < 2) return rig.below(10);
  if (choice < 9) return rig.below(150);
  return rig.below(choice < 15 ? 1200 : 20_000);
}
