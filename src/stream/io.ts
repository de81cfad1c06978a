/** Where bytes come from and go to. Adapters for everyday types are in source.ts and sink.ts. */

/** Bytes on demand. `read` returns the next chunk, never empty-handed before the end; null is the end. */
export interface SyncSource {
  /** A chunk stays unchanged until it has been consumed. */
  read(): Uint8Array | null;
}

/** As {@link SyncSource}, for bytes that may have to be waited for. */
export interface AsyncSource {
  read(): PromiseLike<Uint8Array | null> | Uint8Array | null;
  /** As `read`, but the chunk is valid only until the next call of either: what of it is still wanted must be copied. */
  borrow?(): PromiseLike<Uint8Array | null> | Uint8Array | null;
  /** All that was wanted has been read: leave the rest to whoever owns the stream. */
  release?(): PromiseLike<void> | void;
  /** Reading failed or was given up: tell the other side. */
  cancel?(reason: unknown): PromiseLike<void> | void;
}

/** A chunk given to `write` is valid until `write` returns (or its promise settles): whoever keeps it, copies it. */
export interface SyncSink {
  write(chunk: Uint8Array): void;
}

/** As {@link SyncSink}, for sinks that may have to be waited for. */
export interface AsyncSink {
  write(chunk: Uint8Array): PromiseLike<void> | void;
  /**
   * True if `write` may be called again before the promises of earlier calls have settled, and chunks keep their order
   * all the same: the next ones are then encoded while these are on their way.
   */
  readonly queues?: boolean | undefined;
  /** All has been written. */
  close?(): PromiseLike<void> | void;
  /**
   * Writing failed or was given up. A save that fails rejects when all promises of `write` have settled, or what this
   * returns has, whichever is first: by then no chunk may be read any more. Have it settle writes that are stuck.
   */
  abort?(reason: unknown): PromiseLike<void> | void;
}
