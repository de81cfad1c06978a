/**
 * A small reader of recorded streams, for the manifest. It shares no code with the package and goes another way where
 * it can: the description is searched from the end of the file, and section lengths are taken from it before the walk.
 * It trusts its input (QEMU wrote it a moment ago) and throws a plain Error at the first surprise.
 */
import { createHash } from "node:crypto";
import { findDescription, type Description } from "./description.js";
import type { BlockEntry, CommandEntry, SectionEntry, StreamContents } from "./manifest.js";
import { RamReader } from "./ram-reader.js";

export interface OpinionOptions {
  /** Target page size; needed when the stream has no description. */
  readonly pageSize?: number;
  /** Description of another stream of the same machine, for streams without one. */
  readonly borrowed?: Description;
}

export interface Opinion {
  readonly contents: StreamContents;
  /** Final content per block, null when the stream does not carry it. */
  readonly memory: ReadonlyMap<string, Uint8Array | null>;
}

const COMMANDS = [
  "INVALID",
  "OPEN_RETURN_PATH",
  "PING",
  "POSTCOPY_ADVISE",
  "POSTCOPY_LISTEN",
  "POSTCOPY_RUN",
  "POSTCOPY_RAM_DISCARD",
  "PACKAGED",
  "ENABLE_COLO",
  "POSTCOPY_RESUME",
  "RECV_BITMAP",
  "SWITCHOVER_START",
] as const;

const TYPES = { 1: "start", 2: "part", 3: "end", 4: "full" } as const;
const FOOTER_LENGTH = 5;

export function readStream(bytes: Uint8Array, options: OpinionOptions = {}): Opinion {
  return new StreamReader(bytes, options).run();
}

/** Big-endian cursor. */
export class Cursor {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  u8(): number {
    return this.#view.getUint8(this.at++);
  }
  u16(): number {
    return this.#view.getUint16((this.at += 2) - 2);
  }
  u32(): number {
    return this.#view.getUint32((this.at += 4) - 4);
  }
  u64(): bigint {
    return this.#view.getBigUint64((this.at += 8) - 8);
  }
  take(length: number): Uint8Array {
    return this.bytes.subarray(this.at, (this.at += length));
  }
  text(length = this.u8()): string {
    return Buffer.from(this.take(length)).toString("latin1");
  }
}

class StreamReader {
  readonly #in: Cursor;
  readonly #own: Description | null;
  readonly #description: Description | null;
  readonly #sections: SectionEntry[] = [];
  readonly #commands: CommandEntry[] = [];
  readonly #started = new Map<number, SectionEntry>();
  readonly #pageSize: number;
  #configuration: StreamContents["configuration"] = null;
  #ram: RamReader | undefined;
  #footers = false;

  constructor(bytes: Uint8Array, options: OpinionOptions) {
    this.#in = new Cursor(bytes);
    this.#own = findDescription(bytes);
    this.#description = this.#own ?? options.borrowed ?? null;
    this.#pageSize = options.pageSize ?? this.#description?.pageSize ?? 4096;
  }

  run(): Opinion {
    const input = this.#in;
    if (input.text(4) !== "QEVM") throw new Error("Bad magic");
    const version = input.u32();
    if (input.bytes[input.at] === 7) this.#readConfiguration();
    this.#ram = new RamReader(this.#pageSize, this.#configuration?.capabilities.includes("x-ignore-shared") ?? false);
    this.#walk(false);
    const end = this.#own ? this.#own.offset : input.bytes.length;
    if (input.at !== end) throw new Error(`Stream ends at ${input.at}, not at ${end}`);
    const memory = this.#ram.memory();
    return {
      memory,
      contents: {
        format: "stream",
        bytes: input.bytes.length,
        version,
        configuration: this.#configuration,
        sections: this.#sections,
        commands: this.#commands,
        ram: { pageSize: this.#pageSize, blocks: this.#ram.blocks.map((block) => blockEntry(block, memory)) },
        description: this.#own && { offset: this.#own.offset, length: this.#own.length },
      },
    };
  }

  #readConfiguration(): void {
    const input = this.#in;
    input.at++;
    const machine = input.text(input.u32());
    let targetPageBits: number | null = null;
    let uuid: string | null = null;
    const capabilities: string[] = [];
    while (input.bytes[input.at] === 5) {
      input.at++;
      const name = input.text();
      input.u32();
      if (name === "configuration/target-page-bits") targetPageBits = input.u32();
      else if (name === "configuration/uuid") uuid = formatUuid(input.take(16));
      else if (name === "configuration/capabilities")
        for (let n = input.u32(); n > 0; n--) capabilities.push(input.text());
      else throw new Error(`Unknown configuration subsection ${name}`);
    }
    this.#configuration = { machine, targetPageBits, capabilities, uuid };
  }

  /** Elements up to EOF, or up to POSTCOPY_RUN inside a package. */
  #walk(packaged: boolean): void {
    const input = this.#in;
    for (;;) {
      const offset = input.at;
      const type = input.u8();
      if (type === 0) return;
      if (type === 8) {
        if (this.#readCommand(offset, packaged) === "POSTCOPY_RUN") return;
      } else if (type === 1 || type === 2 || type === 3 || type === 4) {
        this.#readSection(offset, TYPES[type], packaged);
      } else {
        throw new Error(`Unknown element ${type} at ${offset}`);
      }
    }
  }

  #readCommand(offset: number, packaged: boolean): string {
    const input = this.#in;
    const name = COMMANDS[input.u16()];
    if (name === undefined) throw new Error(`Unknown command at ${offset}`);
    const length = input.u16();
    this.#commands.push({ name, offset, length, ...(packaged && { packaged }) });
    const end = input.at + length;
    if (name === "PACKAGED") {
      const packageEnd = end + input.u32();
      this.#walk(true);
      if (input.at !== packageEnd) throw new Error(`Package ends at ${input.at}, not at ${packageEnd}`);
      return name;
    }
    if (name === "POSTCOPY_RAM_DISCARD") this.#ram!.discard(input, end);
    input.at = end;
    return name;
  }

  #readSection(offset: number, type: SectionEntry["type"], packaged: boolean): void {
    const input = this.#in;
    const id = input.u32();
    const begins = type === "start" || type === "full";
    const known = this.#started.get(id);
    if (!begins && !known) throw new Error(`Section ${id} at ${offset} was never started`);
    const name = begins ? { idstr: input.text(), instance: input.u32(), version: input.u32() } : known!;
    const { idstr, instance, version } = name;
    this.#readBody(idstr, instance, id, type);
    // The first section is always RAM, whose body delimits itself: it tells whether this machine writes footers.
    if (this.#sections.length === 0) this.#footers = input.bytes[input.at] === 0x7e;
    if (this.#footers && !this.#footerAt(input.at, id)) throw new Error(`No footer of ${idstr} at ${input.at}`);
    if (this.#footers) input.at += FOOTER_LENGTH;
    const section = { type, id, idstr, instance, version, offset, length: input.at - offset, footer: this.#footers };
    this.#sections.push(packaged ? { ...section, packaged } : section);
    if (begins) this.#started.set(id, section);
  }

  #readBody(idstr: string, instance: number, id: number, type: SectionEntry["type"]): void {
    const input = this.#in;
    if (idstr === "ram") {
      this.#ram!.read(input);
    } else if (idstr === "spapr/htab") {
      readHashTable(input, type);
    } else if (idstr === "s390-storage_attributes") {
      readStorageAttributes(input);
    } else {
      this.#skipDevice(idstr, instance, id);
    }
  }

  /**
   * By the description where it is right. It is not for arrays with absent elements (s390_css): it gives the size of
   * the first element for all. Then the next footer of this section decides; that it was no accident shows in the rest
   * of the walk, which has to end exactly at the description.
   */
  #skipDevice(idstr: string, instance: number, id: number): void {
    const input = this.#in;
    const length = this.#description?.lengths.get(`${idstr}/${instance}`);
    const fits = length !== undefined && (!this.#footers || this.#footerAt(input.at + length, id));
    if (fits) input.at += length;
    else if (this.#footers) while (!this.#footerAt(input.at, id)) input.at++;
    else throw new Error(`Length ${length} of ${idstr}/${instance} at ${input.at} cannot be right`);
  }

  #footerAt(at: number, id: number): boolean {
    const footer = new Cursor(this.#in.bytes.subarray(at, at + FOOTER_LENGTH + 1));
    return footer.bytes.length > FOOTER_LENGTH && footer.u8() === 0x7e && footer.u32() === id && footer.u8() <= 8;
  }
}

/** POWER's hash table: a shift, or chunks of 16-byte entries up to an empty one. */
function readHashTable(input: Cursor, type: SectionEntry["type"]): void {
  const shift = input.u32();
  if (type === "start" || shift === 0xffffffff) return;
  for (;;) {
    const index = input.u32();
    const valid = input.u16();
    const invalid = input.u16();
    if (index === 0 && valid === 0 && invalid === 0) return;
    input.at += valid * 16;
  }
}

/** s390x: words whose low bits are flags; runs of attributes (02, with be64 count) up to the end mark (01). */
function readStorageAttributes(input: Cursor): void {
  for (;;) {
    const flags = Number(input.u64() & 0xfffn);
    if (flags === 1) return;
    if (flags === 2) input.at += Number(input.u64());
  }
}

function blockEntry(block: Omit<BlockEntry, "sha256">, memory: ReadonlyMap<string, Uint8Array | null>): BlockEntry {
  const content = memory.get(block.name);
  return { ...block, sha256: content ? createHash("sha256").update(content).digest("hex") : null };
}

function formatUuid(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
