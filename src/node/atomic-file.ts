import { randomUUID } from "node:crypto";
import { closeSync, openSync, realpathSync, renameSync, statSync, unlinkSync, type Stats } from "node:fs";

/** A file that appears at its path when it is complete, and not at all if it never is. */
export interface AtomicFile {
  readonly fd: number;
  /** False for pipes and devices: what is written there is out at once, and holes are not possible. */
  readonly isRegular: boolean;
  /** Close it and put it at its path, in the place of what was there. */
  commit(): void;
  /** Close it and leave what was there. */
  discard(): void;
}

/**
 * Open a file for writing under another name in the same directory. What is at the path and no regular file is
 * written to directly.
 * @throws the errors of node:fs
 */
export function createAtomically(path: string): AtomicFile {
  const present = statOf(path);
  if (present !== null && !present.isFile()) {
    const fd = openSync(path, "w");
    const close = (): void => closeSync(fd);
    return { fd, isRegular: false, commit: close, discard: close };
  }
  // A symbolic link stays one.
  const target = present === null ? path : realpathSync(path);
  const temporary = `${target}.${randomUUID()}.part`;
  const fd = openSync(temporary, "wx", present === null ? 0o666 : present.mode & 0o777);
  return {
    fd,
    isRegular: true,
    commit() {
      closeSync(fd);
      try {
        renameSync(temporary, target);
      } catch (error) {
        unlinkSync(temporary);
        throw error;
      }
    },
    discard() {
      closeSync(fd);
      unlinkSync(temporary);
    },
  };
}

/**
 * Open a file to write at an offset: what is before it stays, so there is nothing to put in place at the end.
 * @throws the errors of node:fs
 */
export function openInPlace(path: string): AtomicFile {
  const fd = openSync(path, "r+");
  const close = (): void => closeSync(fd);
  return { fd, isRegular: true, commit: close, discard: close };
}

function statOf(path: string): Stats | null {
  return statSync(path, { throwIfNoEntry: false }) ?? null;
}
