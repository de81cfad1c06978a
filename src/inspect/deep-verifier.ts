import { StreamError, type MigrationError } from "../errors.js";
import { deflatePage, inflatePage, type CompressLevel } from "../ram/compression.js";
import type { RamBlockEntry, RamRecordReader } from "../ram/page-codec.js";
import { RamRecordWriter } from "../ram/record-writer.js";
import { writeCommand } from "../savevm/commands.js";
import { loadConfiguration, saveConfiguration } from "../savevm/configuration.js";
import { writeDescription, writeMagic } from "../savevm/framing.js";
import { writeSectionFooter, writeSectionHeader, type SectionHeader, type SectionType } from "../savevm/section.js";
import { QEMU_VM_CONFIGURATION, QEMU_VM_EOF, RAM_SAVE_FLAG_CONTINUE } from "../stream/constants.js";
import { decodeSync } from "../stream/drive.js";
import type { AsyncSource } from "../stream/io.js";
import { encodeName } from "../stream/names.js";
import { Reader } from "../stream/reader.js";
import { bytesSource } from "../stream/source.js";
import { concat, Writer } from "../stream/writer.js";
import { ByteComparer, equalBytes, isZero } from "./byte-comparer.js";
import { configurationOptions } from "./configuration-options.js";
import { formatDescription } from "./description.js";
import { encodeFields } from "./device-codec.js";
import type { RamObserver, ScannedBlock } from "./ram-content.js";
import type { ScanObserver } from "./scan-observer.js";
import type {
  CommandRecord,
  ConfigurationRecord,
  DescriptionRecord,
  ScannedDevice,
  SectionRecord,
} from "./scan-result.js";

/** Where the sender chose among forms of equal meaning, and we would have chosen otherwise. */
export interface Choice {
  readonly what: string;
  readonly count: number;
  /** Of the first one. */
  readonly offset: number;
}

/** Bytes of a stream, by how our encoders did on them. */
export interface DeepResult {
  /** Encoded anew from what was decoded, to the same bytes. */
  readonly identical: number;
  /** In records whose form differs by a named choice. */
  readonly chosen: number;
  /** Not understood, so only copied. */
  readonly copied: number;
  readonly choices: readonly Choice[];
  readonly problems: readonly MigrationError[];
}

/** Packs a page at a level of zlib; an engine's own zlib may give QEMU's very bytes. */
export type Deflate = (page: Uint8Array, level: CompressLevel) => Uint8Array;

const LEVELS: readonly CompressLevel[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0];

/**
 * Encodes everything anew from what was decoded, and compares it with the original while the stream passes. Where the
 * bytes differ, it must be by a choice that the format leaves to the sender, and both forms must mean the same.
 */
export class DeepVerifier implements ScanObserver {
  readonly #comparer = new ByteComparer();
  readonly #deflate: Deflate;
  readonly #writer = new Writer();
  readonly #records = new RamRecordWriter(this.#writer);
  readonly #choices = new Map<string, { count: number; offset: number }>();
  readonly #problems: MigrationError[] = [];
  #identical = 0;
  #chosen = 0;
  #copied = 0;
  #levels = LEVELS;
  #lastBlock: ScannedBlock | null = null;
  /** Postcopy began: the next record names its block. */
  #isSwitched = false;

  constructor(deflate: Deflate = deflatePage) {
    this.#deflate = deflate;
  }

  /** The source whose bytes are to be compared: hand this one to the scan. */
  tee(source: AsyncSource): AsyncSource {
    const see = (chunk: Uint8Array | null): Uint8Array | null => {
      if (chunk !== null) this.#comparer.push(chunk);
      return chunk;
    };
    return {
      read() {
        const chunk = source.read();
        return chunk === null || chunk instanceof Uint8Array ? see(chunk) : chunk.then(see);
      },
    };
  }

  /** Once the scan is done: encode the devices anew. */
  finish(devices: readonly ScannedDevice[]): DeepResult {
    for (const device of devices) this.#device(device);
    const choices = Array.from(this.#choices, ([what, { count, offset }]) => ({ what, count, offset }));
    return {
      identical: this.#identical,
      chosen: this.#chosen,
      copied: this.#copied,
      choices,
      problems: this.#problems,
    };
  }

  onHeader(): void {
    writeMagic(this.#writer);
    this.#expect("the header");
  }

  onConfiguration({ value, offset, length }: ConfigurationRecord): void {
    this.#writer.u8(QEMU_VM_CONFIGURATION);
    saveConfiguration(this.#writer, configurationOptions(value), null);
    const ours = concat(this.#writer.take());
    if (ours.length === length && this.#comparer.compare([ours])) {
      this.#identical += length;
      return;
    }
    this.#comparer.skipTo(offset + length);
    const reader = Reader.of(ours.subarray(1));
    const again = decodeSync(loadConfiguration(reader), reader, bytesSource());
    if (JSON.stringify(again) !== JSON.stringify(value)) this.#differs("the configuration section", offset);
    else this.#choice("configuration: subsections in another order or form", offset, length);
  }

  onSectionBegin(type: SectionType, header: SectionHeader | { readonly id: number }): void {
    const full = { idstr: "", instanceId: 0, version: 0, ...header };
    writeSectionHeader(this.#writer, type, full);
    this.#expect(`the header of a ${type.toUpperCase()} section`);
  }

  onOpaque(offset: number): void {
    this.#copied += offset - this.#comparer.offset;
    this.#comparer.skipTo(offset);
  }

  onSectionEnd({ id, footer }: SectionRecord): void {
    if (!footer) return;
    writeSectionFooter(this.#writer, id);
    this.#expect("a section footer");
  }

  onCommand({ command }: CommandRecord): void {
    if (command.name === "POSTCOPY_LISTEN") this.#isSwitched = true;
    writeCommand(this.#writer, command);
    this.#expect(`command ${command.name}`);
  }

  onEof(): void {
    this.#writer.u8(QEMU_VM_EOF);
    this.#expect("the EOF byte");
  }

  onDescription({ value, length, offset }: DescriptionRecord): void {
    const text = encodeName(formatDescription(value));
    writeDescription(this.#writer, text);
    const ours = this.#writer.take();
    if (text.length === length && this.#comparer.compare(ours)) {
      this.#identical += 5 + length;
      return;
    }
    this.#comparer.skipTo(offset + 5 + length);
    this.#choice("description: keys or blanks that QEMU does not write", offset, 5 + length);
  }

  onEnd(bytes: number): void {
    if (this.#comparer.offset !== bytes) this.#differs("the end of the stream", bytes);
  }

  ramObserver(reader: () => RamRecordReader<ScannedBlock>): RamObserver {
    const records = this.#records;
    /** Name the block where the sender did. */
    const follow = (block: ScannedBlock): void => {
      const { at, flags } = reader();
      this.#catchUp(at);
      if ((flags & RAM_SAVE_FLAG_CONTINUE) !== 0 || this.#lastBlock !== block) {
        this.#lastBlock = block;
        return;
      }
      records.reset();
      if (!this.#isSwitched) this.#choice("block named again instead of CONTINUE", at, 0);
      this.#isSwitched = false;
    };
    return {
      onBlockList: (entries: readonly RamBlockEntry[]) => {
        records.blockList(entries);
        this.#expect("the block list");
      },
      onZero: (block, offset, fill) => {
        follow(block);
        records.zero(block.name, offset, fill);
        this.#expect("a zero page", fill === 0 ? null : "page of equal bytes sent as a fill byte");
      },
      onPage: (block, offset, bytes) => {
        follow(block);
        records.page(block.name, offset, bytes);
        this.#expect("a page", bytes[0] === 0 && isZero(bytes) ? "zero page sent whole" : null);
      },
      onXbzrle: (block, offset, encoded, again) => {
        follow(block);
        records.xbzrle(block.name, offset, encoded);
        const isOurs = again !== null && equalBytes(again, encoded);
        this.#expect("an XBZRLE page", isOurs ? null : "XBZRLE: another encoding of the same change");
      },
      onCompressed: (block, offset, data, page) => {
        follow(block);
        records.compressed(block.name, offset, data);
        this.#expect(
          "a compressed page",
          this.#isOurDeflate(data, page) ? null : "zlib: other bytes for the same page",
        );
      },
      onFlush: () => {
        this.#catchUp(reader().at);
        records.multifdFlush();
        this.#expect("a multifd flush word");
      },
      onEos: () => {
        const { at } = reader();
        this.#catchUp(at);
        records.eos();
        const ours = this.#writer.take();
        if (this.#comparer.compare(ours)) this.#identical += 8;
        else this.#choice("EOS word with address bits or CONTINUE", at, 8);
      },
    };
  }

  /** Nobody is told of a block list without blocks, so what lies in front of a record is one. */
  #catchUp(offset: number): void {
    while (this.#comparer.offset < offset) {
      this.#records.blockList([]);
      this.#expect("an empty block list");
    }
  }

  /** Compare what was written. With `choice`, the form is the sender's and not ours. */
  #expect(what: string, choice: string | null = null): void {
    const { offset } = this.#comparer;
    const ours = this.#writer.take();
    const isEqual = this.#comparer.compare(ours);
    const length = this.#comparer.offset - offset;
    if (!isEqual) this.#differs(what, offset);
    else if (choice !== null) this.#choice(choice, offset, length);
    else this.#identical += length;
  }

  #choice(what: string, offset: number, bytes: number): void {
    const known = this.#choices.get(what);
    if (known === undefined) this.#choices.set(what, { count: 1, offset });
    else known.count++;
    this.#chosen += bytes;
  }

  #differs(what: string, offset: number): void {
    const message = `Encode ${what} anew: the bytes differ from the stream`;
    this.#problems.push(new StreamError("DESCRIPTION_MISMATCH", message, { offset }));
  }

  /** True if we can make these very bytes; the level that fits first is tried first from then on. */
  #isOurDeflate(data: Uint8Array, page: Uint8Array): boolean {
    for (const level of this.#levels) {
      const ours = this.#deflate(page, level);
      if (!equalBytes(ours, data)) continue;
      this.#levels = [level];
      return true;
    }
    // One try tells as much as ten from here on: the meaning was proved by unpacking.
    this.#levels = this.#levels.slice(0, 1);
    return !equalBytes(inflatePage(this.#deflate(page, 1), page.length), page);
  }

  #device({ body, described, fields, section, bodyOffset }: ScannedDevice): void {
    if (body === null || described === null || fields === null) return;
    const writer = new Writer();
    encodeFields(writer, described.state, fields);
    const ours = concat(writer.take());
    if (equalBytes(ours, body)) {
      this.#copied -= body.length;
      this.#identical += body.length;
      return;
    }
    const at = body.findIndex((byte, i) => byte !== ours[i]);
    this.#differs(`device "${section.idstr ?? ""}"`, bodyOffset + Math.max(0, at));
  }
}
