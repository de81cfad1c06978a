/**
 * Typed errors. Few classes, many codes: catch by class to choose a reaction, by `code` to be exact.
 *
 * Whatever layer throws states what it knows; the section loop adds section and offset once on the way up
 * ({@link addContext}). Mistakes of the programmer (duplicate registration, an impossible description) are
 * `TypeError` or `RangeError` instead and carry no code.
 */

/** The section an error belongs to, as far as the stream had named it. */
export interface SectionRef {
  /** Section id as read from (or written to) the stream. */
  readonly id: number | null;
  readonly idstr: string | null;
  readonly instanceId: number | null;
  readonly version: number | null;
}

export type StreamErrorCode =
  | "TRUNCATED"
  | "BAD_MAGIC"
  | "BAD_VERSION"
  | "UNKNOWN_SECTION_TYPE"
  | "FOOTER_MISSING"
  | "FOOTER_MISMATCH"
  | "STRING_EMPTY"
  | "LIMIT_EXCEEDED"
  | "DESCRIPTION_INVALID"
  | "DESCRIPTION_MISMATCH"
  | "UNDELIMITED"
  /** A form of stream that is not read (yet). */
  | "UNSUPPORTED";
export type SectionErrorCode =
  "SECTION_UNKNOWN" | "SECTION_ID_UNKNOWN" | "VERSION_TOO_NEW" | "VERSION_TOO_OLD" | "SUBSECTION_UNKNOWN";
export type StateErrorCode =
  | "FIELD_INVALID"
  | "FIELD_REQUIRED"
  | "LENGTH_OUT_OF_RANGE"
  | "HOOK_FAILED"
  | "UNMIGRATABLE"
  | "SCHEMA_INVALID"
  | "CLEANUP_FAILED";
export type RamErrorCode =
  | "BLOCK_UNKNOWN"
  | "BLOCK_SIZE"
  | "BLOCK_IGNORED"
  | "PAGE_SIZE"
  | "PAGE_OFFSET"
  | "PAGE_FLAGS"
  | "PAGE_FILL"
  | "PAGE_COMPRESSED"
  | "XBZRLE_CORRUPT"
  | "BLOCK_ADDRESS";
export type ProtocolErrorCode =
  | "COMMAND_UNKNOWN"
  | "COMMAND_LENGTH"
  | "COMMAND_PAYLOAD"
  | "POSTCOPY_ORDER"
  | "POSTCOPY_UNSUPPORTED"
  | "RETURN_PATH"
  /** A channel of a multifd migration. */
  | "MULTIFD"
  | "CONFIGURATION"
  | "CAPABILITY";
export type ChannelErrorCode = "CHANNEL_CLOSED" | "CHANNEL_FAILED";
export type ErrorCode =
  StreamErrorCode | SectionErrorCode | StateErrorCode | RamErrorCode | ProtocolErrorCode | ChannelErrorCode;

export interface ErrorDetails {
  /** Absolute offset in the stream, in bytes. */
  readonly offset?: number | undefined;
  readonly section?: SectionRef | undefined;
  /** Path of the field inside the device, such as `fifo.head` or `ports[1].irq`. */
  readonly field?: string | undefined;
  /** What the reader of the message can do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

const BRAND = Symbol.for("savevm.MigrationError");

/** Base of every error that data, a peer or a device hook can cause. */
export class MigrationError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;
  #details: ErrorDetails;

  constructor(code: C, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.#details = details;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Absolute offset in the stream, in bytes; null when the error has no place in a stream. */
  get offset(): number | null {
    return this.#details.offset ?? null;
  }

  get section(): SectionRef | null {
    return this.#details.section ?? null;
  }

  /** Field path inside the device; null when no field was being handled. */
  get field(): string | null {
    return this.#details.field ?? null;
  }

  get hint(): string | null {
    return this.#details.hint ?? null;
  }

  /** Fill in what is not known yet; what a lower layer stated stays. */
  addContext(context: Pick<ErrorDetails, "offset" | "section" | "field">): this {
    const known = this.#details;
    this.#details = {
      ...known,
      offset: known.offset ?? context.offset,
      section: known.section ?? context.section,
      field: known.field ?? context.field,
    };
    return this;
  }

  /** Put `step` in front of the field path: the enclosing struct adds its own name on the way up. */
  prependField(step: string): this {
    const path = this.#details.field;
    const joined = path === undefined ? step : path.startsWith("[") ? step + path : `${step}.${path}`;
    this.#details = { ...this.#details, field: joined };
    return this;
  }

  toJSON(): Record<string, unknown> {
    const { name, message, code, offset, section, field, hint } = this;
    return { name, message, code, offset, section, field, hint };
  }
}

/** The bytes do not form a stream. */
export class StreamError extends MigrationError<StreamErrorCode> {}
/** A section does not fit what is registered. */
export class SectionError extends MigrationError<SectionErrorCode> {}
/** A device's state is not acceptable, or one of its hooks failed. */
export class StateError extends MigrationError<StateErrorCode> {}
/** RAM blocks or page records are not acceptable. */
export class RamError extends MigrationError<RamErrorCode> {}
/** Commands, configuration or capabilities are not acceptable. */
export class ProtocolError extends MigrationError<ProtocolErrorCode> {}
/** The channel under the stream failed. */
export class ChannelError extends MigrationError<ChannelErrorCode> {}

/** True for errors of this package, also those of another copy of it; with `code`, only for that one. */
export function isMigrationError(error: unknown, code?: ErrorCode): error is MigrationError {
  if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as unknown as MigrationError).code === code;
}

/** Add context to `error` if it is one of ours; returns it for `throw addContext(e, ...)`. */
export function addContext(error: unknown, context: Pick<ErrorDetails, "offset" | "section" | "field">): unknown {
  return isMigrationError(error) ? error.addContext(context) : error;
}

/** One line for people: message, then where it happened. */
export function formatError(error: unknown): string {
  if (!isMigrationError(error)) return error instanceof Error ? error.message : String(error);
  const where: string[] = [];
  if (error.offset !== null) where.push(`offset ${error.offset}`);
  const { section } = error;
  if (section !== null) {
    const name = section.idstr === null ? "" : ` "${section.idstr}"`;
    const instance = section.instanceId === null ? "" : ` instance ${section.instanceId}`;
    const id = section.id === null ? "" : ` (section id ${section.id})`;
    where.push(`section${name}${instance}${id}`);
  }
  if (error.field !== null) where.push(`field ${error.field}`);
  const hint = error.hint === null ? "" : `. ${error.hint}`;
  return `${error.message}${where.length === 0 ? "" : ` [${where.join(", ")}]`}${hint}`.replaceAll("\n", " ");
}
