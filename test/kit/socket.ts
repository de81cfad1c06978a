/** Unix sockets as the sources and sinks of a stream. */
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import type { AsyncSink } from "../../src/stream/io.js";

/** Waits at `path` for one connection. Listens once the promise is settled; `accept` waits for the peer. */
export async function listenOnce(path: string): Promise<{ accept(): Promise<Socket> } & AsyncDisposable> {
  const server = createServer();
  const connection = once(server, "connection") as Promise<[Socket]>;
  server.listen(path);
  await once(server, "listening");
  const sockets: Socket[] = [];
  return {
    async accept() {
      const [socket] = await connection;
      sockets.push(socket);
      return socket;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A sink that sends to the socket at `path`, no faster than the peer reads. `sent` keeps a copy of everything. */
export async function connectSink(path: string, sent: Uint8Array[] = []): Promise<AsyncSink & Disposable> {
  const socket = createConnection(path);
  await once(socket, "connect");
  // A peer that hangs up also fails the write under way; this keeps it from being an uncaught event.
  socket.on("error", () => undefined);
  return {
    write(chunk) {
      const copy = new Uint8Array(chunk);
      sent.push(copy);
      return new Promise((resolve, reject) => {
        socket.write(copy, (error) => (error ? reject(error) : resolve()));
      });
    },
    close: () => new Promise((resolve) => socket.end(resolve)),
    abort: () => void socket.destroy(),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
