import type { SaveStateEntry } from "../registry/entry.js";
import { callHandler } from "../registry/hooks.js";
import type { Writer } from "../stream/writer.js";
import { saveVMState } from "../vmstate/save.js";
import type { DescriptionStyle, JsonWriter } from "../vmstate/vmdesc.js";

/**
 * Write the body of a FULL section and describe it as one of the description's "devices": a device by its fields,
 * old-style state as one buffer.
 */
export function saveEntry(
  writer: Writer,
  entry: SaveStateEntry,
  json: JsonWriter | null,
  style: DescriptionStyle,
): void {
  json?.startObject();
  json?.string("name", entry.idstr);
  json?.integer("instance_id", entry.instanceId);
  if (entry.kind === "device") saveVMState(writer, entry.state, entry.device, entry.state.version, json, style);
  else {
    const { handlers, idstr } = entry;
    const start = writer.offset;
    callHandler(() => handlers.saveState?.(writer), `Save "${idstr}"`);
    if (json !== null) describeBuffer(json, writer.offset - start);
  }
  json?.endObject();
}

function describeBuffer(json: JsonWriter, size: number): void {
  json.integer("size", size);
  json.startArray("fields");
  json.startObject();
  json.string("name", "data");
  json.integer("size", size);
  json.string("type", "buffer");
  json.endObject();
  json.endArray();
}
