import { RamError } from "../errors.js";
import { Arena } from "../kernels/index.js";
import type { SaveContext } from "../registry/handlers.js";
import type { Encode } from "../stream/drive.js";
import type { Writer } from "../stream/writer.js";
import type { RAMBlock, RAMBlockList } from "./block.js";
import { canonicalise } from "./discard.js";
import type { RamConfig } from "./options.js";
import { PageBitmap } from "./page-bitmap.js";
import { PageCache } from "./page-cache.js";
import { PageEncoder } from "./page-encoder.js";
import type { PageOutput } from "./page-output.js";
import { RamRecordWriter } from "./record-writer.js";
import { recordBytes, RunEncoders } from "./run-encoder.js";
import type { RamStats } from "./stats.js";

/** A block while it is being sent. */
export interface SavedBlock {
  readonly block: RAMBlock;
  /** Pages that are still to be sent. */
  readonly dirty: PageBitmap;
  /** Page number of its first page in the address space of all blocks. */
  readonly key: number;
  /** Target pages per host page; at least 1. */
  readonly ratio: number;
  /** Its length when the save began: it must not change. */
  readonly usedLength: number;
}

/** A run of dirty pages to be sent next. */
interface NextRun {
  readonly saved: SavedBlock;
  readonly first: number;
  readonly end: number;
}

/** How much one call may send. */
interface Budget {
  /** True when no further host page is to be begun. */
  exceeded(): boolean;
  /** Bytes left, or Infinity. */
  left(): number;
}

const UNLIMITED: Budget = { exceeded: () => false, left: () => Infinity };

/** Bytes of guest memory that are sent before limits are looked at again. */
const RUN_BYTES = 256 << 10;
/** Bytes of records after which a limiter that only sees the stream is asked again. */
const CHECK_BYTES = 64 << 10;

/**
 * One save of RAM (RAM section, Iteration): the dirty bitmap of each block, the position of the scan, which goes round
 * and round the list and survives from PART to PART, and the means to write pages. Dies with the save.
 */
export class RamSave {
  readonly blocks: readonly SavedBlock[];
  readonly #list: RAMBlockList;
  readonly #config: RamConfig;
  readonly #stats: RamStats;
  readonly #arena: Arena;
  readonly #encoders: RunEncoders;
  readonly #pages: PageEncoder;
  /** Scan position: index in {@link blocks}, page. */
  #index = 0;
  #page = 0;
  /** Index of the block that the last record was of. */
  #sentIndex = 0;
  /** What the last record was about: CONTINUE refers to it. */
  #lastSent: RAMBlock | null = null;
  #xbzrleStarted = false;
  #lastStage = false;
  #inPostcopy = false;
  #version: number;
  #output: PageOutput;

  /** @throws RangeError if a block is not made of whole target pages */
  constructor(list: RAMBlockList, config: RamConfig, stats: RamStats) {
    const { pageSize } = config;
    this.#list = list;
    this.#config = config;
    this.#stats = stats;
    this.#version = list.version;
    this.#arena = Arena.create(config.kernels);
    this.#encoders = new RunEncoders(this.#arena, pageSize, config.kernels);
    this.#output = this.#encoders.output;
    const starts = list.starts(pageSize);
    this.blocks = list
      .migratable()
      .filter((block) => !block.isIgnored(config.ignoreShared))
      .map((block) => this.#prepare(block, (starts.get(block) ?? 0) / pageSize));
    const keys = Math.max(1, ...this.blocks.map(({ key, dirty }) => key + dirty.pages));
    // Reserved now, not when it is first used: growing the arena would pull records from under the sink.
    const cache = config.xbzrle ? new PageCache(this.#arena, config.xbzrleCacheBytes, pageSize, keys) : null;
    this.#pages = new PageEncoder(this.#arena, pageSize, cache, config.compress);
    config.tracker.start?.({ arena: this.#arena, pageSize, blocks: this.blocks.map(({ block }) => block) });
    this.sync();
  }

  #prepare(block: RAMBlock, key: number): SavedBlock {
    const { pageSize } = this.#config;
    const { usedLength } = block;
    block.checkPages(pageSize);
    const pages = usedLength / pageSize;
    const dirty = new PageBitmap(this.#arena, block.name, pages);
    dirty.setRange(0, pages);
    this.#stats.dirtyPages += pages;
    return { block, dirty, key, ratio: Math.max(1, block.pageSize / pageSize), usedLength };
  }

  /** Bytes that are known to be left. */
  get remaining(): number {
    return this.#stats.dirtyPages * this.#config.pageSize;
  }

  /** Body of the START section: the block list. */
  *setup(writer: Writer): Encode<void> {
    const { postcopy, hostPageSize, ignoreShared } = this.#config;
    const records = new RamRecordWriter(writer);
    // Ignored blocks are listed, and count in the total.
    records.blockList(
      this.#list.migratable().map(({ name, usedLength, pageSize, gpa }) => ({
        name,
        usedLength,
        pageSize: postcopy && pageSize !== hostPageSize ? pageSize : null,
        gpa: ignoreShared ? gpa : null,
      })),
    );
    records.eos();
    yield;
  }

  /** Ask the tracker what was written since the last time. */
  sync(): void {
    this.#stats.dirtySyncs++;
    for (const { block, dirty } of this.blocks) {
      if (!block.readOnly) this.#stats.dirtyPages += this.#config.tracker.sync(block, dirty);
    }
  }

  /** Body of one PART section. Returns true when nothing is left for now. */
  *iterate(context: SaveContext): Encode<boolean> {
    this.#inPostcopy = context.inPostcopy;
    const { now, maxPartMs } = this.#config;
    const started = now();
    const limit = this.#budget(context);
    const budget: Budget = {
      exceeded: () => limit.exceeded() || now() - started > maxPartMs,
      left: () => limit.left(),
    };
    const done = limit.exceeded() ? false : yield* this.#send(context.writer, budget);
    yield* this.#finish(context.writer);
    return done;
  }

  /** Body of the END section, before or after the switch to postcopy: all that is left. */
  *complete(context: SaveContext): Encode<void> {
    this.#inPostcopy = context.inPostcopy;
    this.#lastStage = true;
    if (!context.inPostcopy) this.sync();
    yield* this.#send(context.writer, UNLIMITED);
    yield* this.#finish(context.writer);
  }

  /**
   * The machine has stopped and the rest will follow after the switchover: a last synchronisation, whole host pages,
   * and a first record that names its block. The dirty bitmaps now hold what the destination must discard.
   */
  startPostcopy(): void {
    this.sync();
    this.#inPostcopy = true;
    this.#lastSent = null;
    this.#index = this.#page = this.#sentIndex = 0;
    for (const { dirty, ratio } of this.blocks) this.#stats.dirtyPages += canonicalise(dirty, ratio);
  }

  /** Always called at the end. */
  cleanup(): void {
    this.#config.tracker.stop?.();
  }

  *#finish(writer: Writer): Encode<void> {
    this.#push(writer);
    new RamRecordWriter(writer).eos();
    yield;
  }

  #push(writer: Writer): number {
    const bytes = this.#output.push(writer);
    this.#stats.recordBytes += bytes;
    return bytes;
  }

  #budget(context: SaveContext): Budget {
    const { bytesLeft } = context;
    if (bytesLeft !== undefined) {
      // What is encoded and not pushed yet has not reached the writer, so it is not in the limiter's figure.
      const left = (): number => bytesLeft() - this.#output.unpushed;
      return { left, exceeded: () => left() <= 0 };
    }
    return {
      left: () => Infinity,
      exceeded: () => {
        if (this.#output.unpushed >= CHECK_BYTES) this.#push(context.writer);
        return context.rateExceeded();
      },
    };
  }

  /** Send dirty pages until nothing is left (true) or the budget is used up (false). */
  *#send(writer: Writer, budget: Budget): Encode<boolean> {
    this.#followList();
    for (;;) {
      const run = this.#nextRun(budget.left());
      if (run === null) {
        this.#allClean();
        return true;
      }
      yield* this.#sendRun(writer, run);
      if (!this.#insideHostPage() && budget.exceeded()) return false;
    }
  }

  /** The next dirty pages from the scan position on, in list order; null when none is left anywhere. */
  #nextRun(bytesLeft: number): NextRun | null {
    const { pageSize } = this.#config;
    while (this.#stats.dirtyPages > 0) {
      const saved = this.blocks[this.#index];
      if (saved === undefined) {
        // Once around: from here on the destination has a copy of every page.
        this.#index = this.#page = 0;
        this.#xbzrleStarted = this.#config.xbzrle;
        continue;
      }
      const { block, dirty, ratio } = saved;
      const first = dirty.nextSet(this.#page);
      if (first === dirty.pages) {
        this.#index++;
        this.#page = 0;
        continue;
      }
      const segmentEnd = block.memory.segmentAt(first * pageSize).end / pageSize;
      // Enough pages to use the budget up even if none is zero, and the rest of the last host page.
      const wanted = Math.max(1, Math.ceil(Math.min(bytesLeft / (8 + pageSize), RUN_BYTES / pageSize)));
      const limit = Math.ceil((first + wanted) / ratio) * ratio;
      return { saved, first, end: dirty.nextClear(first, Math.min(limit, segmentEnd, dirty.pages)) };
    }
    return null;
  }

  /**
   * The scan has been once around and found nothing. As QEMU's, it then stands behind the end of the block it last sent
   * a page of: the next round begins with the block after that.
   */
  #allClean(): void {
    this.#xbzrleStarted = this.#config.xbzrle;
    this.#index = this.#sentIndex;
    this.#page = this.blocks[this.#index]?.dirty.pages ?? 0;
  }

  /** Whether dirty pages are left of the host page that the scan position is in: they go with the others. */
  #insideHostPage(): boolean {
    const saved = this.blocks[this.#index];
    if (saved === undefined || this.#page % saved.ratio === 0) return false;
    const end = Math.min(Math.ceil(this.#page / saved.ratio) * saved.ratio, saved.dirty.pages);
    return saved.dirty.nextSet(this.#page, end) < end;
  }

  *#sendRun(writer: Writer, { saved, first, end }: NextRun): Encode<void> {
    const compact = !this.#inPostcopy && (this.#xbzrleStarted || this.#config.compress !== null);
    if (!compact) yield* this.#sendPlain(writer, saved, first, end);
    else for (let page = first; page < end; page++) yield* this.#sendCompact(writer, saved, page);
    this.#page = end;
  }

  /** A run as ZERO and PAGE records, many pages per call of a kernel. */
  *#sendPlain(writer: Writer, { block, dirty }: SavedBlock, first: number, end: number): Encode<void> {
    const { pageSize, tracker } = this.#config;
    const segment = block.memory.segmentAt(first * pageSize);
    const encoder = this.#encoders.forSegment(segment);
    for (let at = first; at < end;) {
      const spare = encoder.output.room - recordBytes(pageSize);
      const fits = spare < 0 ? 0 : 1 + Math.floor(spare / (8 + pageSize));
      const count = Math.min(end - at, encoder.maxPages, fits);
      if (count === 0 || (fits < 8 && fits < end - at)) {
        if (encoder.output.room < encoder.output.capacity) {
          yield* this.#use(encoder.output, writer, true);
          continue;
        }
      }
      yield* this.#use(encoder.output, writer, false);
      this.#taken(dirty, at, at + count);
      tracker.clear?.(block, at, at + count);
      encoder.encode({ block, segment, first: at, count, continues: this.#lastSent === block }, this.#stats);
      this.#lastSent = block;
      this.#sentIndex = this.#index;
      at += count;
    }
  }

  /** One page, by whatever capabilities there are. */
  *#sendCompact(writer: Writer, { block, dirty, key }: SavedBlock, page: number): Encode<void> {
    const { pageSize, tracker } = this.#config;
    const { output } = this.#encoders;
    yield* this.#use(output, writer, output.room < recordBytes(pageSize));
    this.#taken(dirty, page, page + 1);
    tracker.clear?.(block, page, page + 1);
    const wrote = this.#pages.encode(
      {
        block,
        offset: page * pageSize,
        key: key + page,
        continues: this.#lastSent === block,
        xbzrle: this.#xbzrleStarted,
        generation: this.#stats.dirtySyncs,
        lastStage: this.#lastStage,
      },
      output,
      this.#stats,
    );
    if (!wrote) return;
    this.#lastSent = block;
    this.#sentIndex = this.#index;
  }

  /** Write to that output from here on, after what is in another one; with `recycle`, from its start. */
  *#use(output: PageOutput, writer: Writer, recycle: boolean): Encode<void> {
    if (output !== this.#output) {
      this.#push(writer);
      this.#output = output;
    }
    if (!recycle) return;
    this.#push(writer);
    yield* output.recycle(writer);
  }

  #taken(dirty: PageBitmap, first: number, end: number): void {
    dirty.clearRange(first, end);
    this.#stats.dirtyPages -= end - first;
  }

  /** Blocks cannot come, go or change size while they are being sent; QEMU gives the migration up as well. */
  #followList(): void {
    for (const { block, usedLength } of this.blocks) {
      if (block.usedLength === usedLength && block.migratable) continue;
      const now = block.migratable ? `${block.usedLength} bytes` : "gone";
      throw new RamError("BLOCK_SIZE", `Save RAMBlock "${block.name}": it had ${usedLength} bytes and is ${now}`);
    }
    if (this.#version === this.#list.version) return;
    this.#version = this.#list.version;
    this.#lastSent = null;
    this.#index = this.#page = this.#sentIndex = 0;
  }
}
