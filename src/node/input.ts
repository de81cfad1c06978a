import { spawn } from "node:child_process";
import { closeSync, createReadStream, fstatSync, lstatSync, openSync, readSync, unlinkSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { ChannelError } from "../errors.js";
import { channelFailed, exitProblem } from "./failure.js";
import { socketInput } from "./socket-input.js";
import { streamInput, type Input } from "./stream-input.js";
import { parseUri, type Uri } from "./uri.js";

/** Bytes read at once from a file. */
const CHUNK = 256 << 10;

/**
 * Open a URI for reading. As with `-incoming`, unix: and tcp: wait for one connection; exec: reads what a shell command
 * prints; a file may be a named pipe.
 * @throws UriError; ChannelError CHANNEL_FAILED
 */
export async function openInput(uri: string | Uri): Promise<Input> {
  const parsed = typeof uri === "string" ? parseUri(uri) : uri;
  switch (parsed.kind) {
    case "file":
      return openFile(parsed.path, parsed.offset);
    case "stdio":
      return streamInput(process.stdin, "standard input");
    case "exec":
      return openCommand(parsed.command);
    case "unix":
      removeSocket(parsed.path);
      return accept({ path: parsed.path }, `unix:${parsed.path}`);
    case "tcp":
      return accept(
        { port: parsed.port, host: parsed.host === "" ? "::" : parsed.host },
        `tcp:${parsed.host}:${parsed.port}`,
      );
  }
}

function openFile(path: string, offset: number): Input {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (cause) {
    throw channelFailed(`Open ${path}`, cause);
  }
  const stat = fstatSync(fd);
  if (stat.isDirectory()) {
    closeSync(fd);
    throw new ChannelError("CHANNEL_FAILED", `Open ${path}: it is a directory`);
  }
  if (!stat.isFile()) return streamInput(createReadStream(path, { fd }), path);
  let position = offset;
  // Reading a file does not wait for anybody, so it needs no promise.
  const readInto = (chunk: Uint8Array): Uint8Array | null => {
    let n: number;
    try {
      n = readSync(fd, chunk, 0, CHUNK, position);
    } catch (cause) {
      throw channelFailed(`Read ${path}`, cause);
    }
    position += n;
    return n === 0 ? null : chunk.subarray(0, n);
  };
  // Small enough to stay in the cache of a core, where what was read is looked at next.
  let lent: Uint8Array | null = null;
  return {
    length: Math.max(0, stat.size - offset),
    read: () => readInto(new Uint8Array(CHUNK)),
    borrow: () => readInto((lent ??= new Uint8Array(CHUNK))),
    async close() {
      closeSync(fd);
    },
  };
}

function openCommand(command: string): Input {
  const child = spawn("/bin/sh", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
  const name = `exec:${command}`;
  const exited = new Promise<string | null>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(exitProblem(code, signal)));
  });
  const input = streamInput(child.stdout, name, () => {
    if (child.exitCode === null && child.signalCode === null) child.kill();
  });
  return {
    ...input,
    async read() {
      const chunk = await input.read();
      if (chunk !== null) return chunk;
      const problem = await exited;
      if (problem !== null) throw channelFailed(`Read ${name}`, problem);
      return null;
    },
  };
}

/** What a dead process left behind would keep us from listening. */
function removeSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Nothing there: listening will tell what is wrong, if anything is.
  }
}

function accept(address: { path: string } | { port: number; host: string }, name: string): Promise<Input> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true });
    server.once("error", (cause) => reject(channelFailed(`Listen on ${name}`, cause)));
    server.once("connection", (socket: Socket) => {
      server.close();
      resolve(socketInput(socket, name));
    });
    server.listen(address);
  });
}
