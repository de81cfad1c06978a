import type { StateRegistry } from "../registry/registry.js";
import { decodeAsync, decodeSync, encodeSync, encodeWhole, type DriveOptions, type Encode } from "../stream/drive.js";
import type { SyncSink } from "../stream/io.js";
import { Reader } from "../stream/reader.js";
import { toSink, type Writable } from "../stream/sink.js";
import { toSource, toSyncSource, type Readable } from "../stream/source.js";
import { Writer } from "../stream/writer.js";
import type { LoadEnd } from "./command-handler.js";
import { LoadSession, type LoadOptions } from "./load.js";
import { SaveSession, type SaveOptions } from "./save.js";

/** Whole streams in one call, with or without waiting: two drivers of the same session bodies. */

/** Save a stopped machine without waiting. @throws TypeError if a hook returned a promise */
export function saveStateSync(registry: StateRegistry, sink: SyncSink, options: SaveOptions): void {
  const writer = new Writer();
  encodeSync(new SaveSession(registry, options).saveState(writer), writer, sink);
}

/**
 * Save a stopped machine; the output is closed at the end, or aborted when the save fails. A failure is reported when
 * the output reads nothing of the machine any more.
 */
export async function saveStateAsync(
  registry: StateRegistry,
  output: Writable,
  options: SaveOptions & DriveOptions,
): Promise<void> {
  const writer = new Writer();
  const encode = (function* (): Encode<void> {
    yield* new SaveSession(registry, options).saveState(writer);
  })();
  await encodeWhole(encode, writer, toSink(output), options);
}

/** Load a machine from bytes at hand. @throws TypeError if a hook returned a promise */
export function loadStateSync(
  registry: StateRegistry,
  input: Uint8Array | ArrayBuffer | Iterable<Uint8Array>,
  options: LoadOptions,
): LoadEnd {
  const reader = new Reader();
  return decodeSync(new LoadSession(registry, options).loadState(reader), reader, toSyncSource(input));
}

/** Load a machine from whatever bytes come from. What follows the stream is left unread; a ReadableStream is unlocked. */
export async function loadStateAsync(
  registry: StateRegistry,
  input: Readable,
  options: LoadOptions & DriveOptions,
): Promise<LoadEnd> {
  const reader = new Reader();
  const source = toSource(input);
  let end: LoadEnd;
  try {
    end = await decodeAsync(new LoadSession(registry, options).loadState(reader), reader, source, options);
  } catch (error) {
    letGo(source.cancel?.(error));
    throw error;
  }
  await source.release?.();
  return end;
}

/** Not waited for: it may take until the other side answers, and the failure that led here is the one to report. */
function letGo(closing: PromiseLike<void> | void): void {
  closing?.then(undefined, () => undefined);
}
