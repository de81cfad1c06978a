import type { Rig } from "./rig.js";

/** A part of the memory, for one purpose in one batch. */
export interface Zone {
  readonly start: number;
  readonly end: number;
}

/** Bytes between zones, so that guards around what lies in them do not meet. */
const GAP = 64;

/**
 * Divides the memory into zones in proportion to `weights`. Their order changes with the batch, so that each of
 * them at times begins at address 0 or ends with the memory.
 */
export function divide(rig: Rig, weights: readonly number[]): Zone[] {
  const order = weights.map((_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    const j = rig.below(i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  const unit = (rig.size - GAP * (weights.length - 1)) / weights.reduce((sum, weight) => sum + weight, 0);
  const zones: Zone[] = [];
  let start = 0;
  order.forEach((zone, i) => {
    const last = i === order.length - 1;
    const end = last ? rig.size : start + (Math.floor(unit * weights[zone]) & ~63);
    zones[zone] = { start, end };
    start = end + GAP;
  });
  return zones;
}

/** An address for `length` bytes in a zone: at times its very start or end. */
export function place(rig: Rig, zone: Zone, length: number): number {
  const room = zone.end - zone.start - length;
  const choice = rig.below(8);
  if (choice === 0) return zone.start;
  if (choice === 1) return zone.end - length;
  return zone.start + rig.below(room + 1);
}

/** An address at a given distance from a multiple of 64. */
export function placeAligned(rig: Rig, zone: Zone, length: number, alignment: number): number {
  const room = zone.end - zone.start - length - 128;
  const line = (zone.start + 63 + rig.below(Math.max(room, 0) + 1)) & ~63;
  return line + alignment;
}

/** Two zones of the same bytes, the second at another alignment: the distance holds for the batch. */
export interface Pair {
  readonly first: Zone;
  /** From a byte in the first zone to the same in the second. */
  readonly distance: number;
}

/** Repeats the bytes of one zone in another of the same size. */
export function pair(rig: Rig, first: Zone, second: Zone): Pair {
  const skew = rig.oneIn(4) ? 0 : rig.below(64);
  const length = Math.min(first.end - first.start, second.end - second.start) - skew;
  // By the end of the second, so that the pair can end with the memory.
  const target = second.end - length;
  rig.copy(target, first.start, length);
  return { first: { start: first.start, end: first.start + length }, distance: target - first.start };
}

const SMALL_SIZES = [256, 512, 1024, 2048, 4096];
const LARGE_SIZES = [2048, 4096, 8192, 16384, 32768, 65536];

/** A page size: in the small memory nearly always the smallest, since inputs should be many. */
export function pickPageSize(rig: Rig): number {
  if (rig.size > 65536) return LARGE_SIZES[rig.below(LARGE_SIZES.length)];
  const choice = rig.below(256);
  return SMALL_SIZES[choice < 208 ? 0 : choice < 240 ? 1 : choice < 250 ? 2 : choice < 254 ? 3 : 4];
}

/** A position in `length` bytes: often the first or the last. */
export function pickPosition(rig: Rig, length: number): number {
  const choice = rig.below(8);
  if (choice === 0) return 0;
  if (choice === 1) return length - 1;
  return rig.below(length);
}

/** A byte that is not zero. */
export function pickMark(rig: Rig): number {
  return rig.oneIn(2) ? 1 << rig.below(8) : 1 + rig.below(255);
}
