/** QEMU's savevm for JavaScript emulators: the portable core. */
export { SaveVM, type SaveVMOptions } from "./snapshot/save-vm.js";

// Describing device state
export { vmstate, checkVMState } from "./vmstate/describe.js";
export * from "./vmstate/fields.js";
export {
  MigrationPriority,
  type AnyField,
  type AnyVMState,
  type Codec,
  type DeviceOf,
  type Field,
  type MutableArrayLike,
  type StateOf,
  type VariableCodec,
  type VMState,
  type VMStateOptions,
} from "./vmstate/types.js";
export { saveVMState } from "./vmstate/save.js";
export { loadVMState, LoadedState } from "./vmstate/load.js";
export { JsonWriter, type DescriptionStyle } from "./vmstate/vmdesc.js";

// Comparing schemas
export { dumpSchema, type SchemaEntry } from "./vmstate/dump.js";
export { parseSchema, type StateSchema } from "./vmstate/schema.js";
export { compareSchemas, type SchemaComparison } from "./vmstate/schema-check.js";
export type { FindingCode, SchemaFinding } from "./vmstate/schema-findings.js";

// Registering, saving and loading step by step
export {
  StateRegistry,
  type RegisterLiveOptions,
  type RegisterOptions,
  type RegistryOptions,
} from "./registry/registry.js";
export type { SaveStateEntry } from "./registry/entry.js";
export type { Commit, LoadContext, Pending, SaveContext, SaveVMHandlers } from "./registry/handlers.js";
export { SaveSession, type CompleteOptions, type PrecopyEvent, type SaveOptions } from "./savevm/save.js";
export { LoadSession, type LoadOptions } from "./savevm/load.js";
export { loadStateAsync, loadStateSync, saveStateAsync, saveStateSync } from "./savevm/run.js";
export {
  readCommandHead,
  readCommandPayload,
  writeCommand,
  type Command,
  type CommandHead,
  type CommandName,
} from "./savevm/commands.js";
export type { CommandContext, CommandHandler, DelegatedCommand, LoadEnd } from "./savevm/command-handler.js";
export type { ReturnPath } from "./savevm/answers.js";
export type { OnTrace, TraceEvent } from "./savevm/trace.js";
export type { Configuration } from "./savevm/configuration.js";
export type { Presence, ResolvedOptions, StreamOptions } from "./savevm/options.js";

// RAM
export { RAMBlock, RAMBlockList, type RAMBlockOptions } from "./ram/block.js";
export type { LinearMemory, MemorySource, SegmentedMemory } from "./ram/guest-memory.js";
export {
  bitmapTracker,
  byteMapTracker,
  hashTracker,
  shadowTracker,
  untracked,
  type DirtyTracker,
  type MarkSource,
  type TrackingContext,
} from "./ram/dirty.js";
export { RAM_IDSTR, RAM_VERSION, RamHandler } from "./ram/handler.js";
export type { CompressLevel } from "./ram/compression.js";
export type { RamOptions } from "./ram/options.js";
export type { PageBitmap } from "./ram/page-bitmap.js";
export type { RamStats } from "./ram/stats.js";

// Streams
export { Reader } from "./stream/reader.js";
export { Writer } from "./stream/writer.js";
export {
  decodeAsync,
  decodeSync,
  encodeAsync,
  encodeSync,
  type Decode,
  type DriveOptions,
  type Encode,
} from "./stream/drive.js";
export type { AsyncSink, AsyncSource, SyncSink, SyncSource } from "./stream/io.js";
export { BytesSink, toSink, type Writable } from "./stream/sink.js";
export { bytesSource, toSource, type Readable } from "./stream/source.js";

// Kernels
export {
  createKernels,
  loadKernels,
  type KernelMemory,
  type KernelModules,
  type KernelOptions,
  type Kernels,
} from "./kernels/index.js";

// Errors and ceilings
export * from "./errors.js";
export { DEFAULT_LIMITS, type Limits } from "./limits.js";
