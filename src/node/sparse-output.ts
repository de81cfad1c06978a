import { ftruncateSync, writeSync } from "node:fs";
import { createAtomically, openInPlace, type AtomicFile } from "./atomic-file.js";
import { channelFailed } from "./failure.js";
import { parseUri, UriError, type Uri } from "./uri.js";

/** Bytes with holes: what is not written reads as zeros. Positions must not go back. */
export interface SparseOutput {
  write(position: number, bytes: Uint8Array): void;
  /** All is written; the output has `length` bytes. A file appears now. */
  finish(length: number): void;
  /** Give up: a file is not left behind. */
  discard(): void;
}

const ZEROS = new Uint8Array(64 << 10);

/**
 * Open a file for content with holes; `-` and what is not a regular file get the zeros written out.
 * @throws UriError for anything but a file or `-`; ChannelError CHANNEL_FAILED
 */
export function openSparse(uri: string): SparseOutput {
  const parsed = parseUri(uri);
  if (parsed.kind !== "file" && parsed.kind !== "stdio") throw new UriError(`Write to ${uri}: want a file, or -`);
  const name = parsed.kind === "file" ? parsed.path : "standard output";
  const base = parsed.kind === "file" ? parsed.offset : 0;
  const guarded = <T>(action: () => T): T => {
    try {
      return action();
    } catch (cause) {
      throw channelFailed(`Write ${name}`, cause);
    }
  };
  const file = guarded(() => openTarget(parsed));
  const { fd, isRegular: hasHoles } = file;
  let end = 0;
  const put = (bytes: Uint8Array, position: number | null): void => {
    for (let done = 0; done < bytes.length;) {
      done += guarded(() => writeAll(fd, bytes, done, position === null ? null : position + done));
    }
  };
  const fillTo = (position: number): void => {
    for (; end < position; end += Math.min(ZEROS.length, position - end)) {
      put(ZEROS.subarray(0, Math.min(ZEROS.length, position - end)), null);
    }
  };
  return {
    write(position, bytes) {
      if (hasHoles) put(bytes, base + position);
      else {
        fillTo(position);
        put(bytes, null);
      }
      end = position + bytes.length;
    },
    finish(length) {
      if (hasHoles) guarded(() => ftruncateSync(fd, base + length));
      else fillTo(length);
      guarded(() => file.commit());
    },
    discard: () => file.discard(),
  };
}

function openTarget(uri: Uri & { kind: "file" | "stdio" }): AtomicFile {
  if (uri.kind === "stdio") return { fd: 1, isRegular: false, commit: () => undefined, discard: () => undefined };
  return uri.offset === 0 ? createAtomically(uri.path) : openInPlace(uri.path);
}

/** A pipe without a reader in time says EAGAIN; there is nothing to do but to try again. */
function writeAll(fd: number, bytes: Uint8Array, from: number, position: number | null): number {
  try {
    return writeSync(fd, bytes, from, bytes.length - from, position);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    return 0;
  }
}
