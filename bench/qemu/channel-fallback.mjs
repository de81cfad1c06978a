// What channel.c does, for where there is no compiler: slower, but the same for both sides.

import { once } from "node:events";
import { readSync, openSync, fstatSync, existsSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const CHUNK = 256 << 10;
const now = () => Number(process.hrtime.bigint());
const print = (figures) => process.stdout.write(`${JSON.stringify(figures)}\n`);

async function sink(path) {
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    const figures = { connected: now(), first: 0, last: 0, bytes: 0 };
    socket.on("data", (chunk) => {
      if (figures.bytes === 0) figures.first = now();
      figures.bytes += chunk.length;
    });
    socket.on("end", () => print({ ...figures, last: now() }));
  });
  server.listen(path);
  await once(server, "listening");
  print({ listening: true });
}

async function sendFile(path, file) {
  const fd = openSync(file, "r");
  const bytes = fstatSync(fd).size;
  while (!existsSync(path)) await sleep(1);
  const socket = connect(path);
  await once(socket, "connect");
  const connected = now();
  const closed = once(socket, "close");
  socket.resume();
  const chunk = new Uint8Array(CHUNK);
  for (let done = 0; done < bytes;) {
    const n = readSync(fd, chunk, 0, CHUNK, done);
    await new Promise((resolve) => socket.write(chunk.subarray(0, n), resolve));
    done += n;
  }
  const written = now();
  socket.end();
  await closed;
  print({ connected, written, closed: now(), bytes });
}

const [mode, path, file] = process.argv.slice(2);
await (mode === "sink" ? sink(path) : sendFile(path, file));
