import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";
import { channelFailed } from "./failure.js";
import { streamInput, type Input } from "./stream-input.js";

/** Bytes of one of the two buffers that a connection is read into. */
const BUFFER = 256 << 10;

/**
 * A connection as a source. It is read into two buffers that take turns, where Node makes a new one for every 64 KiB
 * otherwise: that halves the time of reading.
 *
 * Node lets programs choose the buffers of connections that they make, not of those that they accept; so an accepted
 * one (of a server that has `pauseOnConnect`, lest bytes are read already) hands its handle on to a socket of our own.
 */
export function socketInput(accepted: Socket, name: string): Input {
  const handle: unknown = Reflect.get(accepted, "_handle");
  if (typeof handle !== "object" || handle === null) return streamInput(accepted, name);
  Reflect.set(accepted, "_handle", null);
  return new SocketInput(handle, name);
}

interface Waiting {
  resolve(chunk: Uint8Array | null): void;
  reject(cause: Error): void;
}

class SocketInput implements Input {
  readonly length = null;
  readonly #socket: Socket;
  readonly #name: string;
  readonly #buffers = [new Uint8Array(BUFFER), new Uint8Array(BUFFER)];
  #turn = 0;
  #waiting: Waiting | null = null;
  /** What came while nobody was waiting; the connection is paused then. */
  #held: Uint8Array | null = null;
  #ended = false;
  #failure: Error | null = null;

  constructor(handle: object, name: string) {
    this.#name = name;
    const onread: OnReadOpts = {
      buffer: () => this.#buffers[(this.#turn ^= 1)],
      callback: (n, buffer) => this.#arrived(buffer.subarray(0, n)),
    };
    this.#socket = new Socket({ handle, onread } as SocketConstructorOpts);
    this.#socket.once("end", () => this.#end());
    this.#socket.once("error", (cause) => this.#fail(cause));
    this.#socket.once("close", () => this.#fail(new Error("the connection was closed")));
  }

  async read(): Promise<Uint8Array | null> {
    const chunk = await this.borrow();
    return chunk === null ? null : new Uint8Array(chunk);
  }

  borrow(): PromiseLike<Uint8Array | null> | Uint8Array | null {
    if (this.#held !== null) {
      const chunk = this.#held;
      this.#held = null;
      return chunk;
    }
    if (this.#ended) return null;
    if (this.#failure !== null) throw this.#failure;
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      // Only now is nobody reading either buffer.
      this.#socket.resume();
    });
  }

  async close(): Promise<void> {
    this.#socket.destroy();
  }

  /** Returns whether more may come into the other buffer: whoever was waiting has done with that. */
  #arrived(chunk: Uint8Array): boolean {
    const waiting = this.#waiting;
    if (waiting === null) {
      this.#held = chunk;
      return false;
    }
    this.#waiting = null;
    waiting.resolve(chunk);
    return true;
  }

  #end(): void {
    this.#ended = true;
    this.#waiting?.resolve(null);
  }

  #fail(cause: Error): void {
    this.#failure ??= channelFailed(`Read ${this.#name}`, cause);
    this.#waiting?.reject(this.#failure);
  }
}
