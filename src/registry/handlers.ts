import type { Limits } from "../limits.js";
import type { Decode, Encode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import type { Writer } from "../stream/writer.js";

/**
 * What a handler that is not a VMState description implements: live (iterable) state such as RAM, and old-style state
 * that is one opaque body. Every hook is optional and its absence is a column of the phase table (phases.ts).
 */

/** What a handler sees of the save it takes part in. */
export interface SaveContext {
  readonly writer: Writer;
  /** True once the destination runs and pages follow on demand. */
  readonly inPostcopy: boolean;
  /** True when this round has used up its bandwidth: finish the unit under way (a host page) and stop. */
  rateExceeded(): boolean;
  /** Bytes that this round may still write, for those who decide about many pages at a time; absent: ask again. */
  readonly bytesLeft?: () => number;
}

/** What a handler sees of the load it takes part in. */
export interface LoadContext {
  readonly reader: Reader;
  readonly limits: Limits;
  /** QEMU 8.2's verdict on everything, instead of accepting what older and newer releases send as well. */
  readonly strict: boolean;
}

/** Bytes still to be sent: those that must go before the switchover, and those that may follow after it. */
export interface Pending {
  readonly mustPrecopy: number;
  readonly canPostcopy: number;
}

/** Called after the section was accepted (footer included); throwing fails the load. */
export type Commit = () => void | PromiseLike<void>;

/** The hooks of live or old-style state (SaveVMHandlers of QEMU's migration/register.h). */
export interface SaveVMHandlers {
  /** Refuse or get ready, before anything is written. */
  savePrepare?(): void | PromiseLike<void>;
  /** Body of the START section. */
  saveSetup?(context: SaveContext): Encode<void>;
  /** Body of one PART section; true when nothing is left for now. */
  saveLiveIterate?(context: SaveContext): Encode<boolean>;
  /** Body of the END section, the machine being stopped. */
  saveLiveCompletePrecopy?(context: SaveContext): Encode<void>;
  /** Body of the END section when the destination already runs. */
  saveLiveCompletePostcopy?(context: SaveContext): Encode<void>;
  /** Old style: the whole body of a FULL section. */
  saveState?(writer: Writer): void;
  /** Always called once the save is over, well or not, active or not. */
  saveCleanup?(): void;
  /** Cheap guess of what is left, in bytes. */
  statePendingEstimate?(): Pending;
  /** Exact figure of what is left, in bytes; may synchronise dirty bitmaps. */
  statePendingExact?(): Pending;
  /** Get ready to resume a paused postcopy. */
  resumePrepare?(): void | PromiseLike<void>;
  /** Before the first section is loaded. */
  loadSetup?(): void | PromiseLike<void>;
  /** Decode one section body. What is returned is called once the footer was accepted. */
  loadState?(context: LoadContext, version: number): Decode<Commit | void>;
  /** Always called once the load is over, well or not, active or not. */
  loadCleanup?(): void;
  /** False: left out of every phase that the phase table gates. Absent means active. */
  isActive?(): boolean;
  /** False: left out of the iteration only. */
  isActiveIterate?(): boolean;
  /** True: what is left may be sent after the switchover. */
  hasPostcopy?(): boolean;
  /** True: the destination must approve the switchover on behalf of this handler. */
  switchoverAckNeeded?(): boolean;
}
