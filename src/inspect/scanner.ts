import { addContext, SectionError, StreamError, type MigrationError } from "../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import { RAM_IDSTR } from "../ram/handler.js";
import { readCommand, type Command } from "../savevm/commands.js";
import { CONFIGURATION_SECTION, loadConfiguration } from "../savevm/configuration.js";
import { footerAhead, readSectionFooter, readSectionHeader, readSectionId, sectionTypeOf } from "../savevm/section.js";
import type { SectionHeader, SectionType } from "../savevm/section.js";
import {
  QEMU_VM_COMMAND,
  QEMU_VM_CONFIGURATION,
  QEMU_VM_EOF,
  QEMU_VM_FILE_MAGIC,
  QEMU_VM_FILE_VERSION,
  QEMU_VM_FILE_VERSION_COMPAT,
} from "../stream/constants.js";
import { decodeWithin, hasMore, readInto, skip, type Decode } from "../stream/drive.js";
import { Reader } from "../stream/reader.js";
import { BodyReader } from "./body-reader.js";
import { DescriptionReader } from "./description-reader.js";
import { DeviceRuns } from "./device-runs.js";
import type { DelimitedSection, KnownSection } from "./delimit.js";
import type { Description } from "./description.js";
import { finishScan } from "./finish-scan.js";
import { liveFraming } from "./live-formats.js";
import type { PageStore } from "./page-store.js";
import { RamScan } from "./ram-scan.js";
import type { ScanObserver } from "./scan-observer.js";
import { refOf } from "./scan-result.js";
import type { CommandRecord, ConfigurationRecord, ScannedDevice, ScanResult, SectionRecord } from "./scan-result.js";

export interface ScanOptions {
  readonly limits?: Partial<Limits> | undefined;
  /** Target page size in bytes where the stream does not say and guessing fails. */
  readonly pageSize?: number | null | undefined;
  /** Borrowed from another stream, for one that has none. */
  readonly description?: Description | null | undefined;
  /** Where the content of RAM goes; null when nobody asks for it. */
  readonly store?: PageStore | null | undefined;
  readonly observer?: ScanObserver | null | undefined;
}

/**
 * Reads a stream of a machine that we know nothing of, in one pass. RAM content goes to the store if there is one;
 * device sections are held until the description behind them tells what they are.
 */
export class StreamScanner {
  readonly #options: ScanOptions;
  readonly #limits: Limits;
  readonly #observer: ScanObserver | null;
  readonly #ram: RamScan;
  readonly #description: DescriptionReader;
  readonly #runs: DeviceRuns;
  readonly #seen = new Map<number, KnownSection>();
  readonly #ended = new Set<number>();
  readonly #sections: SectionRecord[] = [];
  readonly #commands: CommandRecord[] = [];
  readonly #devices: ScannedDevice[] = [];
  readonly #warnings: string[] = [];
  readonly #problems: MigrationError[] = [];
  #configuration: ConfigurationRecord | null = null;
  #deviceBytes = 0;
  #footers: boolean | null = null;
  #inPostcopy = false;
  #isTailReached = false;

  constructor(options: ScanOptions = {}) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#observer = options.observer ?? null;
    this.#ram = new RamScan({
      limits: this.#limits,
      pageSize: options.pageSize ?? null,
      store: options.store ?? null,
      observer: this.#observer,
    });
    this.#description = new DescriptionReader(this.#limits, options.description ?? null);
    this.#runs = new DeviceRuns(this.#limits, this.#description, {
      footers: () => this.#footers,
      seen: this.#seen,
      isExact: (idstr) => this.#isExact(idstr),
      isOpen: (id) => this.#inPostcopy || !this.#ended.has(id),
    });
  }

  /**
   * Read the whole stream, header to end.
   * @throws MigrationError where the bytes cannot be read on
   */
  *scan(reader: Reader): Decode<ScanResult> {
    const version = yield* this.#header(reader);
    if (yield* hasMore(reader)) yield* this.#configurationSection(reader);
    yield* this.#elements(reader, false);
    if (!this.#isTailReached) yield* this.#behindEof(reader);
    this.#observer?.onEnd(reader.offset);
    return finishScan({
      bytes: reader.offset,
      version,
      configuration: this.#configuration,
      sections: this.#sections,
      commands: this.#commands,
      devices: this.#devices,
      ram: this.#ram,
      description: this.#description.found,
      borrowed: this.#options.description ?? null,
      warnings: this.#warnings,
      problems: this.#problems,
    });
  }

  *#header(reader: Reader): Decode<number> {
    if (!reader.has(8)) yield 8;
    const magic = reader.u32();
    const version = reader.u32();
    if (magic !== QEMU_VM_FILE_MAGIC) {
      const found = magic.toString(16).padStart(8, "0");
      throw new StreamError("BAD_MAGIC", `Read the header: the magic is 0x${found}, it must be 0x5145564d ("QEVM")`, {
        offset: 0,
      });
    }
    if (version !== QEMU_VM_FILE_VERSION) {
      const old = version === QEMU_VM_FILE_VERSION_COMPAT ? ", a format that QEMU gave up in 2009" : "";
      throw new StreamError("BAD_VERSION", `Read the header: the version is ${version}${old}; it must be 3`, {
        offset: 4,
      });
    }
    this.#observer?.onHeader(version);
    return version;
  }

  *#configurationSection(reader: Reader): Decode<void> {
    if (reader.peekU8() !== QEMU_VM_CONFIGURATION) return;
    const { offset } = reader;
    try {
      reader.advance(1);
      const value = yield* loadConfiguration(reader, this.#limits);
      if (value.capabilities.includes("mapped-ram")) {
        throw new StreamError("UNSUPPORTED", "Read the configuration: mapped-ram files are not supported yet");
      }
      this.#ram.configure(value);
      this.#configuration = { value, offset, length: reader.offset - offset };
    } catch (error) {
      throw addContext(error, { offset, section: CONFIGURATION_SECTION });
    }
    this.#observer?.onConfiguration(this.#configuration);
  }

  /** Read elements up to the EOF byte. Returns true when POSTCOPY_RUN ended them. */
  *#elements(reader: Reader, packaged: boolean): Decode<boolean> {
    for (;;) {
      if (!reader.has(1)) yield 1;
      const { offset } = reader;
      const byte = reader.peekU8();
      const type = sectionTypeOf(byte);
      if (type !== null) {
        if (yield* this.#isExactAhead(reader, type)) yield* this.#exactSection(reader, type, packaged);
        else {
          const { sections, isTail } = yield* this.#runs.next(reader, packaged);
          for (const section of sections) this.#delimited(reader, section, offset, packaged, isTail);
          if (isTail) {
            this.#isTailReached = true;
            return false;
          }
        }
      } else if (byte === QEMU_VM_COMMAND) {
        if (yield* this.#command(reader, packaged)) return true;
      } else if (byte === QEMU_VM_EOF) {
        reader.advance(1);
        this.#observer?.onEof(offset);
        return false;
      } else {
        const name = `0x${byte.toString(16).padStart(2, "0")}`;
        throw new StreamError("UNKNOWN_SECTION_TYPE", `Read the next section: ${name} cannot begin one`, { offset });
      }
    }
  }

  /** True if the section ahead can be decoded to its end, or fails in its header. */
  *#isExactAhead(reader: Reader, type: SectionType): Decode<boolean> {
    if (type === "part" || type === "end") {
      if (!reader.has(5)) yield 5;
      const known = this.#seen.get(reader.peekU32(1));
      return known !== undefined && this.#isExact(known.idstr);
    }
    if (!reader.has(6)) yield 6;
    const length = reader.peekU8(5);
    if (!reader.has(14 + length)) yield 14 + length;
    return length === 0 || this.#isExact(reader.peekText(6, length));
  }

  #isExact(idstr: string): boolean {
    return idstr === RAM_IDSTR || liveFraming(idstr) !== null;
  }

  *#exactSection(reader: Reader, type: SectionType, packaged: boolean): Decode<void> {
    const { offset } = reader;
    reader.advance(1);
    const header = yield* this.#sectionHeader(reader, type);
    const ref = { id: header.id, idstr: header.idstr, instanceId: header.instanceId, version: header.version };
    try {
      this.#observer?.onSectionBegin(type, header, offset);
      const bodyOffset = reader.offset;
      let body: Uint8Array | null = null;
      if (header.idstr === RAM_IDSTR) yield* this.#ram.body(reader, type, header.id, header.version);
      else {
        const room = this.#limits.deviceBytes - this.#deviceBytes;
        const bodyReader = new BodyReader(reader, room, () => this.#observer?.onOpaque(reader.offset));
        yield* (liveFraming(header.idstr) as NonNullable<ReturnType<typeof liveFraming>>)(bodyReader);
        body = bodyReader.bytes;
      }
      const footer = yield* this.#footer(reader, header);
      const section = this.#addSection(type, header, offset, reader.offset, footer, packaged);
      if (header.idstr !== RAM_IDSTR) this.#addDevice(section, body, bodyOffset, false);
    } catch (error) {
      throw addContext(error, { offset, section: ref });
    }
  }

  *#sectionHeader(reader: Reader, type: SectionType): Decode<SectionHeader> {
    if (type === "part" || type === "end") {
      const id = yield* readSectionId(reader);
      const known = this.#seen.get(id) as KnownSection;
      return { id, idstr: known.idstr, instanceId: known.instance, version: known.version };
    }
    return yield* readSectionHeader(reader);
  }

  *#footer(reader: Reader, header: SectionHeader): Decode<boolean> {
    this.#footers ??= yield* footerAhead(reader);
    if (this.#footers) yield* readSectionFooter(reader, header);
    return this.#footers;
  }

  /** Take one section of a run; `base` is the absolute offset of the run. */
  #delimited(reader: Reader, found: DelimitedSection, base: number, packaged: boolean, isTail: boolean): void {
    const offset = base + found.start;
    const { type, id, idstr, instance, version } = found;
    const header = idstr === null ? { id } : { id, idstr, instanceId: instance ?? 0, version: version ?? 0 };
    this.#observer?.onSectionBegin(type, header, offset);
    reader.advance(found.bodyStart - found.start);
    const bodyOffset = reader.offset;
    const body = reader.bytes(found.bodyEnd - found.bodyStart);
    this.#observer?.onOpaque(reader.offset);
    if (found.footer) reader.advance(5);
    if (!isTail) this.#footers ??= found.footer;
    const section = this.#addSection(type, header, offset, reader.offset, found.footer, packaged);
    if (idstr === null) {
      const ref = { id, idstr, instanceId: null, version: null };
      const message = `Read a ${type.toUpperCase()} section: id ${id} was never announced`;
      this.#problems.push(new SectionError("SECTION_ID_UNKNOWN", message, { offset, section: ref }));
    }
    this.#addDevice(section, body, bodyOffset, isTail);
  }

  #addSection(
    type: SectionType,
    header: SectionHeader | { readonly id: number },
    offset: number,
    end: number,
    footer: boolean,
    packaged: boolean,
  ): SectionRecord {
    const { id } = header;
    const names =
      "idstr" in header
        ? { idstr: header.idstr, instance: header.instanceId, version: header.version }
        : { idstr: null, instance: null, version: null };
    if (names.idstr !== null && (type === "start" || type === "full")) this.#seen.set(id, names);
    if (type === "end") this.#ended.add(id);
    if (type === "start") this.#ended.delete(id);
    const section = { type, id, ...names, offset, length: end - offset, footer, packaged };
    this.#checkCount(this.#sections.push(section), offset);
    this.#observer?.onSectionEnd(section);
    return section;
  }

  #addDevice(section: SectionRecord, body: Uint8Array | null, bodyOffset: number, isTail: boolean): void {
    this.#deviceBytes += body?.length ?? 0;
    if (this.#deviceBytes > this.#limits.deviceBytes) {
      throw new StreamError("LIMIT_EXCEEDED", "Hold the device sections: they exceed the memory set aside for them", {
        offset: section.offset,
        section: refOf(section),
        hint: `The ceiling deviceBytes is ${this.#limits.deviceBytes}`,
      });
    }
    this.#devices.push({ section, body, bodyOffset, isTail, described: null, fields: null });
  }

  #checkCount(count: number, offset: number): void {
    if (count <= this.#limits.elements) return;
    throw new StreamError("LIMIT_EXCEEDED", `List the elements of the stream: there are more than ${count - 1}`, {
      offset,
      hint: `The ceiling elements is ${this.#limits.elements}`,
    });
  }

  /** Returns true for POSTCOPY_RUN. */
  *#command(reader: Reader, packaged: boolean): Decode<boolean> {
    const { offset } = reader;
    reader.advance(1);
    if (!reader.has(4)) yield 4;
    const length = reader.peekU32() & 0xffff;
    let command: Command;
    try {
      command = yield* readCommand(reader, { strict: false });
      this.#ram.command(command);
    } catch (error) {
      throw addContext(error, { offset });
    }
    const record = { command, offset, length, packaged };
    this.#checkCount(this.#commands.push(record), offset);
    this.#observer?.onCommand(record, reader.offset);
    if (command.name === "POSTCOPY_LISTEN") this.#inPostcopy = true;
    if (command.name === "PACKAGED") yield* this.#package(reader, command.length);
    return command.name === "POSTCOPY_RUN";
  }

  *#package(reader: Reader, length: number): Decode<void> {
    if (length > this.#limits.packagedBytes) {
      throw new StreamError("LIMIT_EXCEEDED", `Read PACKAGED: it holds ${length} bytes`, {
        offset: reader.offset,
        hint: `The ceiling packagedBytes is ${this.#limits.packagedBytes}`,
      });
    }
    const { offset } = reader;
    const bytes = new Uint8Array(length);
    yield* readInto(reader, bytes);
    const inner = Reader.of(bytes, offset);
    yield* decodeWithin(this.#elements(inner, true), inner);
    if (inner.available === 0) return;
    this.#warnings.push(`${inner.available} bytes stand behind the end of the package at offset ${offset}`);
    inner.advance(inner.available);
    this.#observer?.onOpaque(inner.offset);
  }

  /** The description, and whatever follows it. */
  *#behindEof(reader: Reader): Decode<void> {
    const offset = reader.offset;
    const { record, warning, problem } = yield* this.#description.read(reader, (passed) =>
      this.#observer?.onOpaque(passed),
    );
    if (warning !== null) this.#warnings.push(warning);
    if (problem !== null) this.#problems.push(problem);
    if (record !== null) this.#observer?.onDescription(record);
    else if (reader.offset > offset) this.#observer?.onOpaque(reader.offset);
    const trailing = reader.offset;
    while (yield* hasMore(reader)) {
      yield* skip(reader, reader.available);
      this.#observer?.onOpaque(reader.offset);
    }
    if (reader.offset > trailing) {
      this.#warnings.push(`${reader.offset - trailing} bytes follow the end of the stream at offset ${trailing}`);
    }
  }
}
