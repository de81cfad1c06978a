import { DEFAULT_LIMITS } from "../../src/limits.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { loadVMState } from "../../src/vmstate/load.js";
import { saveVMState } from "../../src/vmstate/save.js";
import type { AnyVMState } from "../../src/vmstate/types.js";
import { JsonWriter, type DescriptionStyle } from "../../src/vmstate/vmdesc.js";

/** The bytes that `state` makes of `device`. */
export function saved(state: AnyVMState, device: object, version?: number): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  saveVMState(writer, state, device, version);
  return concat(writer.take());
}

/** The JSON description that goes with them, as one object. */
export function described(state: AnyVMState, device: object, style: DescriptionStyle = "8.2"): string {
  const json = new JsonWriter();
  json.startObject();
  saveVMState(new Writer(), state, device, undefined, json, style);
  json.endObject();
  return json.toString();
}

/** Load `bytes` into `device`, whole or one byte at a time. Returns the bytes that were left. */
export function load(
  state: AnyVMState,
  device: object,
  bytes: Uint8Array,
  { version = state.version, chunk = bytes.length }: { version?: number; chunk?: number } = {},
): number {
  const reader = new Reader();
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += chunk) chunks.push(bytes.subarray(at, at + chunk));
  const source = bytesSource(...chunks);
  decodeSync(
    (function* () {
      const loaded = yield* loadVMState(reader, state, device, version, DEFAULT_LIMITS);
      yield* loaded.commit();
    })(),
    reader,
    source,
  );
  return bytes.length - reader.offset;
}
