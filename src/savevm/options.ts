import { DEFAULT_LIMITS, type Limits } from "../limits.js";
import { isTargetPageSize } from "../stream/page-size.js";
import type { DescriptionStyle } from "../vmstate/vmdesc.js";

/** A part of the stream that old machine types lack. On save, "detect" means that it is there. */
export type Presence = boolean | "detect";

/** What both ends of a stream must agree on: properties of the machine type, and QEMU's capabilities by name. */
export interface StreamOptions {
  /** Machine type with its version, such as `pc-i440fx-8.2`. */
  readonly machine: string;
  /** Bytes of a target page, a power of two; 4096 when absent. */
  readonly pageSize?: number;
  /** Smallest page size of this kind of CPU, where it varies (Arm: 1024); `pageSize` when absent. */
  readonly minimumPageSize?: number;
  /** The configuration section (machine types since 2.4). */
  readonly configuration?: Presence;
  /** Footers behind sections (machine types since 2.4). */
  readonly footers?: Presence;
  /** The JSON description behind the stream (machine types since 2.3). */
  readonly description?: boolean;
  /** Which release's JSON description to write; "8.2" when absent. */
  readonly descriptionStyle?: DescriptionStyle;
  /** As printed, with or without dashes; absent when the machine has none. */
  readonly uuid?: string | null;
  /** Capabilities that are on, such as `x-ignore-shared`, `validate-uuid`, `switchover-ack`. */
  readonly capabilities?: readonly string[];
  /** QEMU 8.2's verdict on everything, instead of accepting what older and newer releases send as well. */
  readonly strict?: boolean;
  readonly limits?: Partial<Limits>;
}

/** {@link StreamOptions} with every default filled in, frozen for one session. */
export interface ResolvedOptions {
  readonly machine: string;
  readonly pageSize: number;
  readonly pageBits: number;
  readonly minimumPageBits: number;
  readonly configuration: Presence;
  readonly footers: Presence;
  readonly description: boolean;
  readonly descriptionStyle: DescriptionStyle;
  /** 16 bytes in the order as printed. */
  readonly uuid: Uint8Array | null;
  readonly capabilities: ReadonlySet<string>;
  readonly strict: boolean;
  readonly limits: Limits;
}

/**
 * Check options and fill in defaults. What is not said about configuration and footers is detected, or with `strict`
 * required.
 * @throws RangeError for an impossible page size or UUID
 */
export function resolveOptions(options: StreamOptions): ResolvedOptions {
  const { pageSize = 4096, minimumPageSize = pageSize, strict = false, uuid = null } = options;
  const presence = strict ? true : "detect";
  const pageBits = bitsOf("pageSize", pageSize);
  const minimumPageBits = bitsOf("minimumPageSize", minimumPageSize);
  if (minimumPageBits > pageBits) {
    throw new RangeError(`Set minimumPageSize: ${minimumPageSize} exceeds pageSize ${pageSize}`);
  }
  return Object.freeze({
    machine: options.machine,
    pageSize,
    pageBits,
    minimumPageBits,
    configuration: options.configuration ?? presence,
    footers: options.footers ?? presence,
    description: options.description ?? true,
    descriptionStyle: options.descriptionStyle ?? "8.2",
    uuid: uuid === null ? null : parseUuid(uuid),
    capabilities: new Set(options.capabilities),
    strict,
    limits: options.limits === undefined ? DEFAULT_LIMITS : Object.freeze({ ...DEFAULT_LIMITS, ...options.limits }),
  });
}

function bitsOf(what: string, size: number): number {
  if (isTargetPageSize(size)) return Math.log2(size);
  throw new RangeError(`Set ${what}: ${size} is not a power of two from 256 to 65536`);
}

/**
 * The 16 bytes of a UUID, in the order as printed.
 * @throws RangeError for anything but 32 hex digits, dashes aside
 */
export function parseUuid(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll("-", "");
  if (!/^[0-9a-f]{32}$/i.test(digits)) throw new RangeError(`Read UUID "${text}": it takes 32 hex digits`);
  return Uint8Array.from({ length: 16 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** A UUID as printed: 8-4-4-4-12 lower-case hex digits. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
