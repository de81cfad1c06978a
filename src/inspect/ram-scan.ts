import { RamError, SectionError } from "../errors.js";
import type { Limits } from "../limits.js";
import { RAM_VERSION } from "../ram/handler.js";
import { RamRecordReader } from "../ram/page-codec.js";
import type { Command } from "../savevm/commands.js";
import type { Configuration } from "../savevm/configuration.js";
import type { SectionType } from "../savevm/section.js";
import { RAM_SAVE_FLAG_EOS, RAM_SAVE_FLAG_MULTIFD_FLUSH } from "../stream/constants.js";
import { hasMore, type Decode } from "../stream/drive.js";
import { isTargetPageSize } from "../stream/page-size.js";
import type { Reader } from "../stream/reader.js";
import { lookahead } from "./lookahead.js";
import type { PageStore } from "./page-store.js";
import { RamContent, type ScannedBlock } from "./ram-content.js";
import { inferPageSize, largestPage, namesPageSize, RAM_LOOKAHEAD, readListShape } from "./ram-shape.js";
import type { ScanObserver } from "./scan-observer.js";

/** Where nothing tells: the page size of most guests. */
const USUAL_PAGE = 4096;

export interface RamScanOptions {
  readonly limits: Limits;
  /** The user's word; null to find out. */
  readonly pageSize: number | null;
  readonly store: PageStore | null;
  readonly observer: ScanObserver | null;
}

/** The `ram` sections of one stream. */
export class RamScan {
  readonly #options: RamScanOptions;
  #pageSize: number | null;
  #pageSizes = 0;
  #withAddress: boolean | null = null;
  /** The destination runs: pages come one whole host page at a time. */
  #inPostcopy = false;
  #reader: Reader | null = null;
  #records: RamRecordReader<ScannedBlock> | null = null;
  content: RamContent | null = null;
  /** The page size was found by trying. */
  isGuess = false;

  constructor(options: RamScanOptions) {
    this.#options = options;
    this.#pageSize = options.pageSize;
  }

  /** Null until something told it. */
  get pageSize(): number | null {
    return this.#pageSize;
  }

  /** Learn from the configuration section; null when the stream has none. */
  configure({ targetPageBits, capabilities }: Configuration): void {
    this.#withAddress = capabilities.includes("x-ignore-shared");
    if (targetPageBits !== null) this.#learnPageSize(2 ** targetPageBits);
  }

  /** Learn from a command, or act on it. */
  command(command: Command): void {
    if (command.name === "POSTCOPY_ADVISE" && command.ram !== null) {
      this.#pageSizes = command.ram.pageSizes;
      this.#learnPageSize(command.ram.targetPageSize);
    } else if (command.name === "POSTCOPY_RAM_DISCARD") this.content?.discard(command.block, command.ranges);
    else if (command.name === "POSTCOPY_LISTEN") {
      this.#inPostcopy = true;
      if (this.#records !== null) this.#records.inPostcopy = true;
    }
  }

  /** Read one section body. */
  *body(reader: Reader, type: SectionType, id: number, version: number): Decode<void> {
    if (version !== RAM_VERSION) {
      const code = version > RAM_VERSION ? "VERSION_TOO_NEW" : "VERSION_TOO_OLD";
      throw new SectionError(code, `Read "ram": its version is ${version}, it must be ${RAM_VERSION}`);
    }
    this.#reader = reader;
    if (this.#records === null || type === "start" || type === "full") yield* this.#meetList(reader, id);
    else if (this.#pageSize === null && !(yield* isEmpty(reader))) {
      this.#infer(yield* lookahead(reader, RAM_LOOKAHEAD), 0, id);
    }
    yield* (this.#records as RamRecordReader<ScannedBlock>).section(reader);
  }

  #learnPageSize(bytes: number): void {
    if (!isTargetPageSize(bytes)) {
      throw new RamError("PAGE_SIZE", `Use target pages of ${bytes} bytes: there are none of that size`);
    }
    this.#pageSize ??= bytes;
  }

  *#meetList(reader: Reader, id: number): Decode<void> {
    const ahead = yield* lookahead(reader, RAM_LOOKAHEAD);
    const shape = readListShape(ahead.window, this.#withAddress, this.#pageSizes);
    this.#withAddress ??= shape?.withAddress ?? null;
    if (this.#records === null) this.#start(this.#pageSize ?? largestPage(shape?.blocks.values() ?? [USUAL_PAGE]));
    if (this.#pageSize === null) this.#infer(ahead, shape?.length ?? 0, id, shape?.blocks);
  }

  /** Decide on the page size if page records begin at `from`. */
  #infer(
    { window, ended }: { readonly window: Uint8Array; readonly ended: boolean },
    from: number,
    id: number,
    listed?: ReadonlyMap<string, number>,
  ): void {
    if (!beginsWithPage(window, from)) return;
    const blocks = listed ?? new Map(this.content?.blocks.map(({ name, usedLength }) => [name, usedLength]));
    this.#pageSize = inferPageSize({ window: window.subarray(from), ended, blocks, id });
    this.isGuess = true;
    this.#start(this.#pageSize);
  }

  #start(pageSize: number): void {
    const { store, limits, observer } = this.#options;
    if (this.content === null) {
      this.content = new RamContent({
        pageSize,
        store,
        limits,
        observer: observer?.ramObserver(() => this.#records as RamRecordReader<ScannedBlock>) ?? null,
        hasPageSize: () => this.#listNamesPageSize(),
      });
    } else this.content.pageSize = pageSize;
    this.#records = new RamRecordReader(this.content, { pageSize, ignoreShared: this.#withAddress === true });
    this.#records.inPostcopy = this.#inPostcopy;
  }

  #listNamesPageSize(): boolean {
    const reader = this.#reader as Reader;
    return reader.has(8) && namesPageSize(reader.window(), 0, this.#pageSizes);
  }
}

/** A body that only ends: looking ahead in each of very many would take long. */
function* isEmpty(reader: Reader): Decode<boolean> {
  return (yield* hasMore(reader, 8)) && reader.peekU32(0) === 0 && reader.peekU32(4) === RAM_SAVE_FLAG_EOS;
}

/** False if only words without a page stand there, up to the end of the body. */
function beginsWithPage(window: Uint8Array, from: number): boolean {
  const view = new DataView(window.buffer, window.byteOffset, window.byteLength);
  for (let at = from; at + 8 <= window.length; at += 8) {
    const isFlag = view.getUint32(at) === 0;
    if (isFlag && view.getUint32(at + 4) === RAM_SAVE_FLAG_EOS) return false;
    if (!isFlag || view.getUint32(at + 4) !== RAM_SAVE_FLAG_MULTIFD_FLUSH) return true;
  }
  return false;
}
