import type { KernelOptions } from "../kernels/index.js";
import { DEFAULT_HOST_PAGE_SIZE } from "./block.js";
import type { CompressLevel } from "./compression.js";
import { untracked, type DirtyTracker } from "./dirty.js";
import { checkTargetPageSize } from "./page-codec.js";

/** How RAM travels. Both ends must be told the same about the capabilities, except xbzrle. */
export interface RamOptions {
  /** Target page size in bytes: a power of two from 256 to 65536. */
  readonly pageSize: number;
  /** Page size of this host in bytes; blocks with another one say so in the block list if postcopy is possible. */
  readonly hostPageSize?: number | undefined;
  /** Capability xbzrle: from the second round on, send differences. */
  readonly xbzrle?: boolean | undefined;
  /** Bytes of the XBZRLE cache (QEMU's parameter xbzrle-cache-size; 64 MiB). */
  readonly xbzrleCacheBytes?: number | undefined;
  /** Capability compress: zlib pages on the stream. A level for saving; loading accepts them then. */
  readonly compress?: CompressLevel | undefined;
  /** Capability postcopy-ram. */
  readonly postcopy?: boolean | undefined;
  /** Capability x-ignore-shared: leave out the content of shared blocks. */
  readonly ignoreShared?: boolean | undefined;
  /** What finds out about written pages; nothing unless told, which sends every page once. */
  readonly tracker?: DirtyTracker | undefined;
  readonly kernels?: KernelOptions | undefined;
  /** Longest time in ms that one PART may take (QEMU: 50). */
  readonly maxPartMs?: number | undefined;
  /** Milliseconds that only ever grow. */
  readonly now?: (() => number) | undefined;
}

/** {@link RamOptions} with every default filled in. */
export interface RamConfig {
  readonly pageSize: number;
  readonly hostPageSize: number;
  readonly xbzrle: boolean;
  readonly xbzrleCacheBytes: number;
  readonly compress: CompressLevel | null;
  readonly postcopy: boolean;
  readonly ignoreShared: boolean;
  readonly tracker: DirtyTracker;
  readonly kernels: KernelOptions;
  readonly maxPartMs: number;
  readonly now: () => number;
}

/** @throws RangeError for an impossible page size */
export function ramConfig(options: RamOptions): RamConfig {
  checkTargetPageSize(options.pageSize);
  return Object.freeze({
    pageSize: options.pageSize,
    hostPageSize: options.hostPageSize ?? DEFAULT_HOST_PAGE_SIZE,
    xbzrle: options.xbzrle ?? false,
    xbzrleCacheBytes: options.xbzrleCacheBytes ?? 64 << 20,
    compress: options.compress ?? null,
    postcopy: options.postcopy ?? false,
    ignoreShared: options.ignoreShared ?? false,
    tracker: options.tracker ?? untracked(),
    kernels: options.kernels ?? {},
    maxPartMs: options.maxPartMs ?? 50,
    now: options.now ?? (() => performance.now()),
  });
}
