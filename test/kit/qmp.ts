/** A QMP client: QEMU's JSON monitor over a unix socket. */
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** QEMU answers at once or not at all: the longest commands write some megabytes to a file. */
const ANSWER_TIMEOUT_MS = 30_000;

/** QEMU refused a command; `message` is its own description. */
export class QmpError extends Error {
  override readonly name = "QmpError";
  readonly command: string;
  constructor(command: string, description: string) {
    super(`${command}: ${description}`);
    this.command = command;
  }
}

interface Waiter {
  readonly command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface EventListener {
  matches(event: QmpEvent): boolean;
  resolve(event: QmpEvent): void;
  reject(error: Error): void;
}

interface QmpMessage {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export class QmpClient {
  /** Every event so far, oldest first. */
  readonly events: QmpEvent[] = [];
  readonly #socket: Socket;
  readonly #waiting: Waiter[] = [];
  readonly #listening: EventListener[] = [];
  #partial = "";
  #closed: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", (error) => this.fail(error));
    socket.on("close", () => this.fail(new Error("The monitor connection closed")));
  }

  /** Connects to the socket at `path`, waiting up to `timeoutMs` for it to appear, and leaves negotiation mode. */
  static async connect(path: string, timeoutMs = 10_000): Promise<QmpClient> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const socket = createConnection(path);
      try {
        await once(socket, "connect");
        const client = new QmpClient(socket);
        await client.execute("qmp_capabilities");
        return client;
      } catch (error) {
        socket.destroy();
        if (Date.now() > deadline) throw error;
        await sleep(20);
      }
    }
  }

  /** Runs one command and returns what it returned; a refusal is a {@link QmpError}. */
  execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const hung = () => this.fail(new Error(`QEMU did not answer ${command} in ${ANSWER_TIMEOUT_MS} ms`));
      const timer = setTimeout(hung, ANSWER_TIMEOUT_MS);
      const settle = <T>(action: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(timer);
          action(value);
        };
      };
      this.#waiting.push({ command, resolve: settle(resolve), reject: settle(reject) });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  /** Waits, for as long as it takes, for the next event that matches; what came before does not count. */
  nextEvent(matches: (event: QmpEvent) => boolean): Promise<QmpEvent> {
    if (this.#closed) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => this.#listening.push({ matches, resolve, reject }));
  }

  /** Runs a command of the human monitor and returns its text. */
  async human(line: string): Promise<string> {
    return String(await this.execute("human-monitor-command", { "command-line": line })).replaceAll("\r\n", "\n");
  }

  /** Rejects everything that waits, now and later; the owner calls it when the process is gone. */
  fail(error: Error): void {
    this.#closed ??= error;
    for (const waiter of [...this.#waiting.splice(0), ...this.#listening.splice(0)]) waiter.reject(this.#closed);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(text: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() !== "") this.#dispatch(JSON.parse(line) as QmpMessage);
    }
  }

  #dispatch(message: QmpMessage): void {
    if (message.event !== undefined) {
      const event = message.data ? { event: message.event, data: message.data } : { event: message.event };
      this.events.push(event);
      const at = this.#listening.findIndex((listener) => listener.matches(event));
      if (at >= 0) this.#listening.splice(at, 1)[0].resolve(event);
    } else if (message.error) {
      const waiter = this.#waiting.shift();
      waiter?.reject(new QmpError(waiter.command, message.error.desc));
    } else if ("return" in message) {
      this.#waiting.shift()?.resolve(message.return);
    }
  }
}
