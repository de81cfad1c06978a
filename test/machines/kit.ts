import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { Manifest, SectionEntry, StreamEntry } from "../record/manifest.js";

/** A recorded stream and what the recorder found in it. */
export interface Recorded {
  readonly bytes: Uint8Array;
  readonly entry: StreamEntry;
  /** Sections of devices: all but those of RAM. */
  readonly devices: readonly SectionEntry[];
  /** The JSON behind the stream, empty when there is none. */
  readonly description: string;
}

const streams = new URL("../streams/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("manifest.json", streams), "utf8")) as Manifest;

export function recorded(name: string): Recorded {
  const entry = manifest.streams[name];
  const bytes = new Uint8Array(gunzipSync(readFileSync(new URL(entry.file, streams))));
  const { description, sections } = entry.contents;
  // Nothing follows the text; the section type and the length come before it.
  const text = description === null ? new Uint8Array() : bytes.subarray(description.offset + 1 + 4);
  return {
    bytes,
    entry,
    devices: sections.filter(({ type }) => type === "full"),
    description: new TextDecoder().decode(text),
  };
}

/** The state in a section: what lies between its header and its footer. */
export function bodyOf({ bytes }: Recorded, { idstr, offset, length, footer }: SectionEntry): Uint8Array {
  const header = 1 + 4 + 1 + idstr.length + 4 + 4;
  return bytes.subarray(offset + header, offset + length - (footer ? 5 : 0));
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** What `action` throws, or null. */
export function caught(action: () => void): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
}
