/** Stands between two QEMUs and keeps what the first one sends. */
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";

export class RecordingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  readonly #chunks: Buffer[] = [];

  private constructor(target: string) {
    this.#server = createServer((source) => {
      const destination = createConnection(target);
      this.#sockets.push(source, destination);
      source.on("data", (chunk: Buffer) => this.#chunks.push(chunk));
      source.pipe(destination).pipe(source);
      // Whichever side ends first takes the other along; the recording is complete by then.
      source.on("error", () => destination.destroy());
      destination.on("error", () => source.destroy());
    });
  }

  /** Accepts one connection at the unix socket `path` and passes it on to the one at `target`. */
  static async listen(path: string, target: string): Promise<RecordingProxy> {
    const proxy = new RecordingProxy(target);
    proxy.#server.listen(path);
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** Everything that went from source to destination so far. */
  forward(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#chunks));
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
