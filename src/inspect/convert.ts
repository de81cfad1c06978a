import { RamError, StreamError } from "../errors.js";
import { Arena, type ArenaWindow } from "../kernels/index.js";
import { RAM_IDSTR } from "../ram/handler.js";
import type { RamBlockEntry } from "../ram/page-codec.js";
import { RamRecordWriter } from "../ram/record-writer.js";
import { writeCommand } from "../savevm/commands.js";
import { saveConfiguration } from "../savevm/configuration.js";
import { writeDescription, writeMagic } from "../savevm/framing.js";
import { writeSectionFooter, writeSectionHeader } from "../savevm/section.js";
import { QEMU_VM_CONFIGURATION, QEMU_VM_EOF } from "../stream/constants.js";
import type { Encode } from "../stream/drive.js";
import { encodeName } from "../stream/names.js";
import type { Writer } from "../stream/writer.js";
import { isZero } from "./byte-comparer.js";
import { configurationOptions } from "./configuration-options.js";
import { formatDescription } from "./description.js";
import type { StoredBlock } from "./page-store.js";
import type { ScannedBlock } from "./ram-content.js";
import type { ScannedDevice, ScanResult, SectionRecord } from "./scan-result.js";

export interface ConvertOptions {
  /** Send sparse pages as a zero page and an XBZRLE record of what is not zero. */
  readonly xbzrle?: boolean | undefined;
  readonly dropDescription?: boolean | undefined;
}

/** What a destination that is not live has no use for. */
const KEPT_COMMANDS: ReadonlySet<string> = new Set(["SWITCHOVER_START"]);
const PAGE_BATCH = 64;

/**
 * Write the machine in a scan as a precopy stream of one round, in the variant of its machine type: every page once,
 * then the devices. What was packaged for postcopy becomes ordinary sections.
 *
 * @throws RamError BLOCK_IGNORED when pages are not in the stream that was scanned
 */
export function* convertToStream(writer: Writer, scan: ScanResult, options: ConvertOptions = {}): Encode<void> {
  for (const block of scan.ram?.blocks ?? []) checkContent(block, scan);
  writeMagic(writer);
  if (scan.configuration !== null) {
    writer.u8(QEMU_VM_CONFIGURATION);
    saveConfiguration(writer, configurationOptions(scan.configuration.value), null);
  }
  const devices = new Map(scan.devices.map((device) => [device.section, device]));
  let isSent = scan.ram === null;
  for (const section of scan.sections) {
    const device = devices.get(section);
    if (device === undefined) {
      if (section.type === "start" || section.type === "full") yield* writeRamStart(writer, scan, section);
      continue;
    }
    if (!isSent && section.type !== "start" && hasRamBefore(scan, section)) {
      yield* writeRamContent(writer, scan, options);
      isSent = true;
    }
    writeDevice(writer, device);
    if (device.isTail) return;
    yield;
  }
  if (!isSent) yield* writeRamContent(writer, scan, options);
  writer.u8(QEMU_VM_EOF);
  const description = scan.description?.value ?? null;
  if (description === null || options.dropDescription === true) return;
  writeDescription(writer, encodeName(formatDescription(description)));
}

function checkContent({ name, entry, content }: ScannedBlock, scan: ScanResult): void {
  if (content === null) throw new TypeError(`Convert "${name}": the scan kept no content`);
  const missing = content.pages - content.received;
  // A shared block is left out wholly, and stays so.
  if (missing === 0 || (entry.gpa !== null && content.received === 0)) return;
  const hint =
    (scan.ram?.flushes ?? 0) > 0 ? "They went over multifd channels" : "They travelled on another connection";
  throw new RamError("BLOCK_IGNORED", `Convert "${name}": ${missing} of its pages are not in the stream`, { hint });
}

function hasRamBefore({ sections }: ScanResult, section: SectionRecord): boolean {
  const start = sections.find(({ idstr, type }) => idstr === RAM_IDSTR && (type === "start" || type === "full"));
  return start !== undefined && start.offset < section.offset;
}

function headerOf({ id, idstr, instance, version }: SectionRecord) {
  return { id, idstr: idstr ?? "", instanceId: instance ?? 0, version: version ?? 0 };
}

function* writeRamStart(writer: Writer, scan: ScanResult, section: SectionRecord): Encode<void> {
  const isFirst = scan.sections.find(({ idstr }) => idstr === RAM_IDSTR) === section;
  if (!isFirst) return;
  writeSectionHeader(writer, "start", headerOf(section));
  const records = new RamRecordWriter(writer);
  // Page sizes are listed for postcopy only, which this is not.
  records.blockList((scan.ram?.blocks ?? []).map(({ entry }): RamBlockEntry => ({ ...entry, pageSize: null })));
  records.eos();
  if (section.footer) writeSectionFooter(writer, section.id);
  yield;
}

/** A PART with all pages, whatever commands go before the END, and the END. */
function* writeRamContent(writer: Writer, scan: ScanResult, options: ConvertOptions): Encode<void> {
  const section = scan.sections.find(({ idstr }) => idstr === RAM_IDSTR);
  if (section === undefined || scan.ram === null) return;
  const records = new RamRecordWriter(writer);
  // Without a page to send, QEMU has no round.
  if (scan.ram.blocks.some(({ content }) => content !== null && content.received > 0)) {
    writeSectionHeader(writer, "part", headerOf(section));
    const encoder = options.xbzrle === true ? new SparseEncoder(scan.ram.pageSize) : null;
    for (const block of scan.ram.blocks) yield* writePages(records, block, scan.ram.pageSize, encoder);
    records.eos();
    if (section.footer) writeSectionFooter(writer, section.id);
    yield;
  }
  for (const { command } of scan.commands) if (KEPT_COMMANDS.has(command.name)) writeCommand(writer, command);
  writeSectionHeader(writer, "end", headerOf(section));
  records.eos();
  if (section.footer) writeSectionFooter(writer, section.id);
  yield;
}

function* writePages(
  records: RamRecordWriter,
  { name, content }: ScannedBlock,
  pageSize: number,
  encoder: SparseEncoder | null,
): Encode<void> {
  const stored = content as StoredBlock;
  if (stored.received === 0) return;
  const page = new Uint8Array(pageSize);
  for (let n = 0; n < stored.pages; n++) {
    const offset = n * pageSize;
    stored.read(offset, page);
    const encoded = encoder?.encode(page) ?? null;
    if (isZero(page)) records.zero(name, offset);
    else if (encoded === null) records.page(name, offset, page);
    else {
      records.zero(name, offset);
      records.xbzrle(name, offset, encoded);
    }
    if (n % PAGE_BATCH === PAGE_BATCH - 1) yield;
  }
  yield;
}

function writeDevice(writer: Writer, { section, body, isTail }: ScannedDevice): void {
  const header = headerOf(section);
  if (body === null || section.idstr === null) {
    const details = { offset: section.offset, hint: "Raise the ceiling deviceBytes" };
    throw new StreamError("UNDELIMITED", `Convert section ${section.id}: its content is not at hand`, details);
  }
  writeSectionHeader(writer, section.type, header);
  writer.bytes(body);
  if (section.footer && !isTail) writeSectionFooter(writer, section.id);
}

/** Encodes pages as changes of a zero page. */
class SparseEncoder {
  readonly #arena = Arena.create();
  readonly #window: ArenaWindow;
  readonly #pageSize: number;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
    // A zero page, the page, and its encoding.
    this.#window = this.#arena.reserve("convert", 3 * pageSize);
  }

  /** Valid until the next call; null when two records would take more room than one whole page. */
  encode(page: Uint8Array): Uint8Array | null {
    const size = this.#pageSize;
    const memory = this.#arena.bytes(this.#window);
    const { address } = this.#window;
    memory.set(page, size);
    const length = this.#arena.kernels.xbzrleEncode(address, address + size, size, address + 2 * size, size - 20);
    return length <= 0 ? null : memory.subarray(2 * size, 2 * size + length);
  }
}
