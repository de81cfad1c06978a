/** Streams through Unix sockets, as `migrate` and `-incoming` send them. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { openInput, openOutput } from "../../src/node.js";
import { socketInput } from "../../src/node/socket-input.js";
import { SaveVM } from "../../src/snapshot/save-vm.js";
import { concat } from "../../src/stream/writer.js";

let folder: string;
let path: string;
let uri: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "savevm-socket-"));
  path = join(folder, "socket");
  uri = `unix:${path}`;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const PATTERN = Uint8Array.from({ length: 3 << 20 }, (_, i) => Math.imul(i, 2654435761) >>> 24);

/** The two ends of a connection: one that we read, and a plain socket. */
async function connected() {
  const opening = openInput(uri);
  await expect.poll(() => existsSync(path)).toBe(true);
  const peer = connect(path);
  return { input: await opening, peer };
}

describe("a connection as input", () => {
  it("read: everything that was sent, in chunks that stay", async () => {
    const { input, peer } = await connected();
    peer.end(PATTERN);
    const chunks: Uint8Array[] = [];
    for (let chunk = await input.read(); chunk !== null; chunk = await input.read()) chunks.push(chunk);
    expect(Buffer.from(concat(chunks)).equals(PATTERN)).toBe(true);
    expect(await input.read()).toBe(null);
    await input.close();
  });

  it("borrow: as read, with two buffers in all, and a slow reader loses nothing", async () => {
    const { input, peer } = await connected();
    peer.end(PATTERN);
    const buffers = new Set<ArrayBufferLike>();
    const copies: Uint8Array[] = [];
    for (let chunk = await input.borrow?.(); chunk; chunk = await input.borrow?.()) {
      if (copies.length < 5) await new Promise((resolve) => setTimeout(resolve, 5));
      buffers.add(chunk.buffer);
      copies.push(new Uint8Array(chunk));
    }
    expect(Buffer.from(concat(copies)).equals(PATTERN)).toBe(true);
    expect(buffers.size).toBe(2);
    await input.close();
  });

  it("closed while somebody waits: CHANNEL_FAILED", async () => {
    const { input, peer } = await connected();
    const reading = Promise.resolve(input.read()).catch((error: unknown) => error);
    await input.close();
    expect(isMigrationError(await reading, "CHANNEL_FAILED")).toBe(true);
    peer.destroy();
  });

  it("without a handle to take over: read as any stream", async () => {
    const plain = new Socket();
    const input = socketInput(plain, "a test");
    plain.push(Buffer.of(1, 2, 3));
    plain.push(null);
    expect(await input.read()).toEqual(Buffer.of(1, 2, 3));
    expect(await input.read()).toBe(null);
    await input.close();
  });
});

describe("a machine through a socket", () => {
  const LENGTH = 4 << 20;

  function machine(ram: Uint8Array): SaveVM {
    const machine = new SaveVM({ machine: "toy" });
    machine.addRam("ram", ram);
    return machine;
  }

  it("arrives as it was sent", async () => {
    const ram = Uint8Array.from({ length: LENGTH }, (_, i) => ((i >>> 12) % 3 === 0 ? 0 : Math.imul(i, 40503) >>> 8));
    const arrived = new Uint8Array(LENGTH).fill(0xaa);
    const loading = openInput(uri).then((input) => machine(arrived).load(input));
    await expect.poll(() => existsSync(path)).toBe(true);
    await machine(ram).save(await openOutput(uri));
    await loading;
    expect(Buffer.from(arrived).equals(ram)).toBe(true);
  });

  it("to a peer that hangs up: CHANNEL_FAILED, and nothing unhandled", async () => {
    const opening = openInput(uri);
    await expect.poll(() => existsSync(path)).toBe(true);
    const output = await openOutput(uri);
    const input = await opening;
    const saving = machine(new Uint8Array(LENGTH).fill(1)).save(output);
    await input.close();
    const error: unknown = await saving.catch((e: unknown) => e);
    expect(isMigrationError(error, "CHANNEL_FAILED")).toBe(true);
  });
});
