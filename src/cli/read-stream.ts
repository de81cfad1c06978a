import type { Description } from "../inspect/description.js";
import { PageStore } from "../inspect/page-store.js";
import type { ScanObserver } from "../inspect/scan-observer.js";
import type { ScanResult } from "../inspect/scan-result.js";
import { StreamScanner } from "../inspect/scanner.js";
import { StreamError } from "../errors.js";
import { openInput } from "../node/input.js";
import { openSpill } from "../node/spill.js";
import { unwrap } from "../node/unpack.js";
import { decodeAsync } from "../stream/drive.js";
import type { AsyncSource } from "../stream/io.js";
import { Reader } from "../stream/reader.js";
import { Progress } from "./progress.js";
import { checkSupported, parseInput, parseLimits, parsePageSize, type InputOptions } from "./run.js";

/** Bytes of RAM content that stay in memory; the rest goes to a temporary file. */
const STORE_BUDGET = 24 << 20;

export interface ReadOptions {
  /** Keep the content of RAM. */
  readonly content: boolean;
  readonly observer?: ScanObserver | null;
  /** Wraps the source, to see the bytes as they come. */
  readonly tee?: (source: AsyncSource) => AsyncSource;
}

/** A scanned stream with the content of its RAM, to be closed. */
export interface ReadStream {
  readonly scan: ScanResult;
  readonly close: () => void;
}

/** Scan the stream at a URI as the options of the command line say. */
export async function readStream(uri: string, options: InputOptions, read: ReadOptions): Promise<ReadStream> {
  checkSupported(options);
  const [pageSize, limits] = [parsePageSize(options.pageSize), parseLimits(options.limit)];
  const description = await borrowDescription(options);
  const store = read.content ? new PageStore({ budget: STORE_BUDGET, spill: openSpill }) : null;
  const scanner = new StreamScanner({ limits, pageSize, description, store, observer: read.observer ?? null });
  try {
    const scan = await scanInput(uri, scanner, read.tee);
    return { scan, close: () => store?.close() };
  } catch (error) {
    store?.close();
    throw error;
  }
}

async function scanInput(uri: string, scanner: StreamScanner, tee?: ReadOptions["tee"]): Promise<ScanResult> {
  const input = await openInput(parseInput(uri));
  const progress = new Progress(uri, input.length);
  try {
    const source = await unwrap(progress.watch(input));
    const reader = new Reader();
    return await decodeAsync(scanner.scan(reader), reader, tee?.(source) ?? source);
  } finally {
    progress.done();
    await input.close();
  }
}

async function borrowDescription({ descriptionFrom, limit }: InputOptions): Promise<Description | null> {
  if (descriptionFrom === undefined) return null;
  const { description } = await scanInput(descriptionFrom, new StreamScanner({ limits: parseLimits(limit) }));
  if (description !== null) return description.value;
  throw new StreamError("DESCRIPTION_INVALID", `Borrow the description of ${descriptionFrom}: it has none`);
}
