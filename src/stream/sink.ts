import { ChannelError } from "../errors.js";
import type { AsyncSink, SyncSink } from "./io.js";
import { concat } from "./writer.js";

/** What a stream can be written to. */
export type Writable = WritableStream<Uint8Array> | AsyncSink | SyncSink;

/** A sink that keeps copies of everything. */
export class BytesSink implements SyncSink {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  write(chunk: Uint8Array): void {
    // Not slice(): that of a Node Buffer is no copy.
    this.#chunks.push(new Uint8Array(chunk));
    this.#length += chunk.length;
  }

  /** Everything written so far. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return concat(this.#chunks);
  }
}

/**
 * Adapt a WritableStream or a sink to one shape. A WritableStream may hold on to a chunk after its write has settled
 * (a TransformStream does), so it is given copies; its lock is released when it is closed or aborted.
 */
export function toSink(output: Writable): AsyncSink {
  if (!("getWriter" in output)) return output;
  const writer = output.getWriter();
  let giveUp: (reason: unknown) => void = () => undefined;
  return {
    write(chunk) {
      return new Promise((resolve, reject) => {
        giveUp = reject;
        const written = guarded(async () => {
          await writer.ready;
          await writer.write(new Uint8Array(chunk));
        });
        written.then(resolve, reject);
      });
    },
    async close() {
      await guarded(() => writer.close()).finally(() => writer.releaseLock());
    },
    async abort(reason) {
      // The stream may be stuck for long, with a copy: nobody has to wait for that.
      giveUp(reason);
      await writer.abort(reason).finally(() => writer.releaseLock());
    },
  };
}

async function guarded(write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    throw new ChannelError("CHANNEL_FAILED", "Write to the channel: it failed", { cause });
  }
}
