// Starts the other end of a socket: channel.c where there is a compiler, else the same in JavaScript.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SOURCE = fileURLToPath(new URL("channel.c", import.meta.url));
const FALLBACK = fileURLToPath(new URL("channel-fallback.mjs", import.meta.url));
const BUILD = fileURLToPath(new URL("../../build/", import.meta.url));
const FLAGS = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"];

let command;

/** The command to start the program with; compiles it when it has changed. */
export function channelCommand() {
  return (command ??= compiled() ?? [process.execPath, FALLBACK]);
}

function compiled() {
  const compiler = process.env.CC ?? "gcc";
  if (spawnSync(compiler, ["--version"]).status !== 0) return null;
  const hash = createHash("sha256").update(FLAGS.join()).update(readFileSync(SOURCE)).digest("hex").slice(0, 16);
  const program = `${BUILD}channel-${hash}-${process.arch}`;
  if (!existsSync(program)) {
    mkdirSync(BUILD, { recursive: true });
    const run = spawnSync(compiler, [...FLAGS, SOURCE, "-o", program], { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`Cannot compile channel.c:\n${run.stderr}`);
  }
  return [program];
}

/** A running program, and its lines as objects. */
export class Channel {
  #child;
  #lines;

  constructor(...options) {
    const [program, ...before] = channelCommand();
    this.#child = spawn(program, [...before, ...options], { stdio: ["ignore", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The next line; fails when the program ends without one. */
  async next() {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error("The other end of the socket has ended");
    return JSON.parse(value);
  }

  async close() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.kill();
    await closed;
  }
}
