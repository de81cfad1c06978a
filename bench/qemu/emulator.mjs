// Our side: the process of emulator-main.mjs, and what it can be asked.

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("emulator-main.mjs", import.meta.url));

/** A process that holds a machine of ours. */
export class Emulator {
  #child;

  /** @param files what bundle() returned */
  constructor(files) {
    this.#child = fork(MAIN, [JSON.stringify(files)], { execArgv: ["--expose-gc"] });
  }

  /** Does an action of emulator-main.mjs, and returns what it returned. */
  async ask(action, options = {}) {
    const ended = new AbortController();
    const answer = once(this.#child, "message", { signal: ended.signal });
    const onExit = () => ended.abort(new Error(`The emulator ended during ${action}`));
    this.#child.once("exit", onExit);
    this.#child.send({ action, ...options });
    const [{ result, error }] = await answer;
    this.#child.off("exit", onExit);
    if (error !== undefined) throw new Error(error);
    return result;
  }

  async close() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill();
    await exited;
  }
}
