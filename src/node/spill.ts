import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { ChannelError } from "../errors.js";
import type { SpillFile } from "../inspect/page-store.js";

/** A sparse temporary file that is gone from the directory at once, and from the disk when it is closed. */
export function openSpill(): SpillFile {
  const path = join(tmpdir(), `savevm-${randomUUID()}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return {
    write(position, bytes) {
      for (let done = 0; done < bytes.length;) {
        try {
          done += writeSync(fd, bytes, done, bytes.length - done, position + done);
        } catch (cause) {
          throw new ChannelError("CHANNEL_FAILED", `Write a temporary file in ${tmpdir()}: it failed`, {
            cause,
            hint: "Set TMPDIR to a directory with room for the machine's RAM",
          });
        }
      }
    },
    read(position, target) {
      for (let done = 0; done < target.length;) {
        const n = readSync(fd, target, done, target.length - done, position + done);
        if (n === 0) throw new ChannelError("CHANNEL_FAILED", "Read a temporary file: it ends early");
        done += n;
      }
    },
    close: () => closeSync(fd),
  };
}
