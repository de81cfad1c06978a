/** Shape of test/streams/manifest.json. */

export interface SectionEntry {
  readonly type: "start" | "part" | "end" | "full";
  readonly id: number;
  readonly idstr: string;
  readonly instance: number;
  readonly version: number;
  /** Offset of the type byte. */
  readonly offset: number;
  /** From the type byte to the end of the footer. */
  readonly length: number;
  readonly footer: boolean;
  /** Inside a PACKAGED command. */
  readonly packaged?: true;
}

export interface CommandEntry {
  readonly name: string;
  readonly offset: number;
  /** Length of the payload that the command header announces; what PACKAGED wraps is not in it. */
  readonly length: number;
  readonly packaged?: true;
}

export interface BlockEntry {
  readonly name: string;
  readonly length: number;
  /** Records in the stream, by kind. */
  readonly pages: { zero: number; normal: number; xbzrle: number; compressed: number };
  /** Of the content a destination holds at the end; null when the stream does not carry it (ignored shared memory). */
  readonly sha256: string | null;
}

/** What a correct reader must find in a stream: the shape of `inspect --json` without decoded devices. */
export interface StreamContents {
  readonly format: "stream";
  /** Length of the uncompressed stream. */
  readonly bytes: number;
  readonly version: number;
  readonly configuration: {
    readonly machine: string;
    /** Null when the stream does not say. */
    readonly targetPageBits: number | null;
    readonly capabilities: readonly string[];
    readonly uuid: string | null;
  } | null;
  readonly sections: readonly SectionEntry[];
  readonly commands: readonly CommandEntry[];
  readonly ram: { readonly pageSize: number; readonly blocks: readonly BlockEntry[] };
  readonly description: { readonly offset: number; readonly length: number } | null;
}

export interface StreamEntry {
  /** File beside the manifest, gzip. */
  readonly file: string;
  /** Of the uncompressed stream. */
  readonly sha256: string;
  readonly note: string;
  readonly qemu: string;
  /** Program and arguments; `@ROM@`, `@TMP@` stand for paths of the recording. */
  readonly command: readonly string[];
  /** How the guest ROM was built, null when another guest (or none) ran. */
  readonly guest: Readonly<Record<string, number | boolean>> | null;
  readonly capabilities: readonly string[];
  readonly parameters: Readonly<Record<string, number | string>>;
  /** Bytes of RAM that were compared with the memory of the source after the migration, all of them equal. */
  readonly comparedWithSource: number;
  /** Whether a fresh QEMU with the same command line loaded the stream, and in which state it was then. */
  readonly replayed: string | null;
  readonly contents: StreamContents;
}

export interface Manifest {
  readonly about: string;
  readonly streams: Readonly<Record<string, StreamEntry>>;
}
