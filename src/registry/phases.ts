import { StateError, addContext } from "../errors.js";
import { wrapHookError } from "../vmstate/access.js";
import { isNeeded } from "../vmstate/save.js";
import { sectionOf, type SaveStateEntry } from "./entry.js";
import type { SaveVMHandlers } from "./handlers.js";

/**
 * The passes of a save and a load over all registered state, as data. The loops of migration/savevm.c look alike and
 * differ where it matters, so every difference is a column:
 *
 * - `hook`: entries without it are passed over; null when the pass only takes descriptions.
 * - `devices`: which described devices take part: none, those saved early, the others, or all of them.
 * - `section`: the section that each visit is wrapped in.
 * - `gates`: conditions, asked in this order and only when the entry's turn has come, since the entry before may have
 *   changed the answer. Note the rows without `active`: cleanup runs for inactive entries too.
 * - `stopsAt`: the outcome of a visit that ends the pass; null when only an error does.
 * - `errors`: thrown at once, or collected so that every entry has its turn.
 */
export interface Phase {
  readonly hook: keyof SaveVMHandlers | null;
  readonly devices: "none" | "early" | "late" | "all";
  readonly section: "start" | "part" | "end" | "full" | null;
  readonly gates: readonly Gate[];
  readonly stopsAt: boolean | null;
  readonly errors: "throw" | "collect";
}

/** A condition of a {@link Phase}. */
export type Gate =
  /** The handlers say that they are in use (or do not say). */
  | "active"
  /** As `active`, for the iteration alone. */
  | "activeIterate"
  /** Once the destination runs: only who can send after the switchover. */
  | "postcopyCapable"
  /** Once the destination runs: only who cannot. */
  | "notPostcopyCapable"
  /** Not iterable: no RAM and nothing like it. */
  | "notIterable"
  /** The description asks to be saved. */
  | "needed"
  /** The round still has bandwidth; a closed gate ends the pass. */
  | "rate";

const ROW = { devices: "none", section: null, gates: ["active"], stopsAt: null, errors: "throw" } as const;

/** The phase table. */
export const PHASES = {
  prepare: { ...ROW, hook: "savePrepare" },
  setup: { ...ROW, hook: "saveSetup", devices: "early", section: "start", gates: ["needed", "active"] },
  resumePrepare: { ...ROW, hook: "resumePrepare" },
  iterate: {
    ...ROW,
    hook: "saveLiveIterate",
    section: "part",
    gates: ["active", "activeIterate", "postcopyCapable", "rate"],
    stopsAt: false,
  },
  completePrecopy: {
    ...ROW,
    hook: "saveLiveCompletePrecopy",
    section: "end",
    gates: ["notPostcopyCapable", "active"],
  },
  devices: { ...ROW, hook: "saveState", devices: "late", section: "full", gates: ["needed"] },
  /** The Xen and COLO form: no RAM, and early devices in their place. */
  deviceState: { ...ROW, hook: "saveState", devices: "all", section: "full", gates: ["notIterable", "needed"] },
  completePostcopy: { ...ROW, hook: "saveLiveCompletePostcopy", section: "end" },
  pendingEstimate: { ...ROW, hook: "statePendingEstimate" },
  pendingExact: { ...ROW, hook: "statePendingExact" },
  loadSetup: { ...ROW, hook: "loadSetup" },
  switchoverAckNeeded: { ...ROW, hook: "switchoverAckNeeded", gates: [] },
  unplugPending: { ...ROW, hook: null, devices: "all", gates: [], stopsAt: true },
  saveCleanup: { ...ROW, hook: "saveCleanup", gates: [], errors: "collect" },
  loadCleanup: { ...ROW, hook: "loadCleanup", gates: [], errors: "collect" },
} as const satisfies Record<string, Phase>;

export type PhaseName = keyof typeof PHASES;

/** What the gates depend on besides the entries. */
export interface Situation {
  /** The destination runs already. */
  readonly inPostcopy?: boolean;
  /** True when this round has used up its bandwidth. */
  readonly rateExceeded?: () => boolean;
  /** Told of a device that the `needed` gate left out. */
  readonly onSkip?: (entry: SaveStateEntry) => void;
}

/** Handles one entry. What it returns is compared with the row's `stopsAt`; nothing counts as true. */
export type Visit<Y> = (entry: SaveStateEntry) => Generator<Y, boolean | void, void> | boolean | void;

/**
 * Visit the entries that take part in `phase`, in order.
 *
 * @returns the outcome: the row's `stopsAt` if a visit or the rate limit ended the pass, else its opposite (true when
 *   only errors end it)
 * @throws what a visit threw, with the entry's section added; StateError CLEANUP_FAILED when errors were collected
 */
export function* runPhase<Y>(
  name: PhaseName,
  entries: readonly SaveStateEntry[],
  situation: Situation,
  visit: Visit<Y>,
): Generator<Y, boolean, void> {
  const phase: Phase = PHASES[name];
  const failures: unknown[] = [];
  for (const entry of entries) {
    if (!hasPart(phase, entry)) continue;
    try {
      const closed = phase.gates.find((gate) => !isOpen(gate, entry, situation));
      if (closed === "rate") return false;
      if (closed !== undefined) continue;
      const visited = visit(entry);
      const outcome = (typeof visited === "object" ? yield* visited : visited) ?? true;
      if (outcome === phase.stopsAt) return outcome;
    } catch (error) {
      const located = addContext(error, { section: sectionOf(entry) });
      if (phase.errors === "throw") throw located;
      failures.push(located);
    }
  }
  if (failures.length > 0) throw cleanupFailed(name, failures);
  return phase.stopsAt === null ? true : !phase.stopsAt;
}

/** As {@link runPhase}, for phases whose hooks never wait. */
export function runPhaseNow(
  name: PhaseName,
  entries: readonly SaveStateEntry[],
  situation: Situation,
  visit: (entry: SaveStateEntry) => boolean | void,
): boolean {
  return runPhase<never>(name, entries, situation, visit).next().value;
}

function hasPart({ hook, devices }: Phase, entry: SaveStateEntry): boolean {
  if (entry.kind === "handlers") return hook !== null && entry.handlers[hook] !== undefined;
  switch (devices) {
    case "none":
      return false;
    case "early":
      return entry.state.earlySetup;
    case "late":
      return !entry.state.earlySetup;
    case "all":
      return true;
  }
}

function isOpen(gate: Gate, entry: SaveStateEntry, situation: Situation): boolean {
  if (gate === "rate") return situation.rateExceeded?.() !== true;
  if (entry.kind === "device") {
    if (gate !== "needed" || isNeeded(entry.state, entry.device)) return true;
    situation.onSkip?.(entry);
    return false;
  }
  const { handlers } = entry;
  const { inPostcopy = false } = situation;
  try {
    switch (gate) {
      case "active":
        return handlers.isActive?.() ?? true;
      case "activeIterate":
        return handlers.isActiveIterate?.() ?? true;
      case "postcopyCapable":
        return !inPostcopy || (handlers.hasPostcopy?.() ?? false);
      case "notPostcopyCapable":
        return !inPostcopy || !(handlers.hasPostcopy?.() ?? false);
      case "notIterable":
        return handlers.saveSetup === undefined;
      case "needed":
        return true;
    }
  } catch (error) {
    throw wrapHookError(error, `Ask whether "${entry.idstr}" takes part`);
  }
}

function cleanupFailed(name: PhaseName, failures: readonly unknown[]): StateError {
  const [first] = failures;
  const cause = failures.length === 1 ? first : new AggregateError(failures);
  const text = first instanceof Error ? first.message : String(first);
  const more = failures.length === 1 ? "" : ` (and ${failures.length - 1} more)`;
  return addContext(new StateError("CLEANUP_FAILED", `Clean up (${name}): ${text}${more}`, { cause }), {
    section: first instanceof StateError && first.section !== null ? first.section : undefined,
  }) as StateError;
}
