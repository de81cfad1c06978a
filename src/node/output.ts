import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { finished } from "node:stream/promises";
import type { Writable } from "node:stream";
import type { AsyncSink } from "../stream/io.js";
import { createAtomically, openInPlace, type AtomicFile } from "./atomic-file.js";
import { channelFailed, exitProblem } from "./failure.js";
import { parseUri } from "./uri.js";

/** A sink that must be closed: only then has everything arrived. */
export interface Output extends AsyncSink {
  close(): Promise<void>;
  /** Give up: a file is not left behind. */
  abort(): Promise<void>;
}

/**
 * Open a URI for writing. As with `migrate`, unix: and tcp: connect; exec: feeds a shell command.
 * @throws UriError; ChannelError CHANNEL_FAILED
 */
export async function openOutput(uri: string): Promise<Output> {
  const parsed = parseUri(uri);
  switch (parsed.kind) {
    case "file":
      return openFile(parsed.path, parsed.offset);
    case "stdio":
      return streamOutput(process.stdout, "standard output", async () => undefined);
    case "exec":
      return openCommand(parsed.command);
    case "unix":
      return openSocket(connect({ path: parsed.path }), uri);
    case "tcp":
      return openSocket(connect({ port: parsed.port, host: parsed.host === "" ? "localhost" : parsed.host }), uri);
  }
}

function openFile(path: string, offset: number): Output {
  let file: AtomicFile;
  try {
    file = offset === 0 ? createAtomically(path) : openInPlace(path);
  } catch (cause) {
    throw channelFailed(`Open ${path}`, cause);
  }
  // A pipe has no positions.
  let position = offset === 0 ? null : offset;
  return {
    write(chunk) {
      for (let done = 0; done < chunk.length;) {
        try {
          const n = writeSync(file.fd, chunk, done, chunk.length - done, position);
          done += n;
          if (position !== null) position += n;
        } catch (cause) {
          throw channelFailed(`Write ${path}`, cause);
        }
      }
    },
    async close() {
      try {
        file.commit();
      } catch (cause) {
        throw channelFailed(`Write ${path}`, cause);
      }
    },
    async abort() {
      file.discard();
    },
  };
}

function streamOutput(
  stream: Writable,
  name: string,
  finish: () => Promise<void>,
  giveUp: () => void = () => undefined,
): Output {
  let failure: Error | null = null;
  stream.on("error", (error) => (failure ??= error));
  const check = (): void => {
    if (failure !== null) throw channelFailed(`Write ${name}`, failure);
  };
  return {
    queues: true,
    async write(chunk) {
      check();
      await new Promise<void>((resolve) => stream.write(chunk, () => resolve()));
      check();
    },
    async close() {
      check();
      try {
        await finish();
      } catch (cause) {
        throw channelFailed(`Write ${name}`, cause);
      }
    },
    async abort() {
      giveUp();
    },
  };
}

function openSocket(socket: Socket, name: string): Promise<Output> {
  return new Promise((resolve, reject) => {
    socket.once("error", (cause) => reject(channelFailed(`Connect to ${name}`, cause)));
    socket.once("connect", () => {
      const finish = async (): Promise<void> => {
        socket.resume();
        socket.end();
        await finished(socket);
      };
      resolve(streamOutput(socket, name, finish, () => void socket.destroy()));
    });
  });
}

function openCommand(command: string): Output {
  const child = spawn("/bin/sh", ["-c", command], { stdio: ["pipe", "inherit", "inherit"] });
  const exited = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      const problem = exitProblem(code, signal);
      if (problem === null) resolve();
      else reject(new Error(problem));
    });
  });
  exited.catch(() => undefined);
  const finish = async (): Promise<void> => {
    child.stdin.end();
    await exited;
  };
  return streamOutput(child.stdin, `exec:${command}`, finish, () => void child.kill());
}
