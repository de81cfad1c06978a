/** Live migration over sockets: QEMU sends to us while its guest runs, and we send to QEMU while we run the guest. */
import { describe, expect, it } from "vitest";
import type { RAMBlock } from "../../src/ram/block.js";
import { bitmapTracker, byteMapTracker, hashTracker, shadowTracker, type DirtyTracker } from "../../src/ram/dirty.js";
import type { RamOptions } from "../../src/ram/options.js";
import { loadStateAsync, saveStateAsync } from "../../src/savevm/run.js";
import { SaveSession } from "../../src/savevm/save.js";
import { encodeAsync, type Encode } from "../../src/stream/drive.js";
import type { AsyncSink } from "../../src/stream/io.js";
import { concat, Writer } from "../../src/stream/writer.js";
import { PAGE_SIZE } from "../guest/model.js";
import {
  argsFor,
  bootAndSendAsleep,
  bytesOf,
  loaded,
  mainMemory,
  memoryProblems,
  MEGABYTES,
  noise,
  ourIsapc,
  ourMicrovm,
  ramOf,
  runGuest,
  setRunning,
  type OurMachine,
} from "../kit/between.js";
import { Qemu, Scratch } from "../kit/qemu.js";
import { connectSink, listenOnce } from "../kit/socket.js";
import { sha256 } from "../machines/kit.js";
import { readStream } from "../record/second-opinion.js";

const RAM_PAGES = (MEGABYTES << 20) / PAGE_SIZE;

/**
 * Load a busy guest that QEMU sends in several rounds while it runs. Returns the bytes that came.
 *
 * QEMU 7.2 under TCG may miss writes of a busy guest between two rounds; with XBZRLE, which goes round more often, its
 * own destination nearly always finds the guest damaged on an idle host. So what such a stream holds is judged by an
 * independent reader of the same bytes, and only plain rounds by the guest itself.
 */
async function receive(scratch: Scratch, machine: OurMachine, name: string, capabilities: string[]) {
  const args = argsFor(scratch, name, { guest: { idle: false, delay: 20_000 } });
  await using listener = await listenOnce(scratch.file("ours"));
  const slow = { "max-bandwidth": 1_000_000, "downtime-limit": 1 };
  await using source = await Qemu.start({ args, capabilities, parameters: slow });
  await source.waitForGuest(200, 2);
  await source.execute("migrate", { uri: `unix:${scratch.file("ours")}` });
  const received: Uint8Array[] = [];
  const load = loadStateAsync(machine.registry, kept(await listener.accept(), received), { machine: name });
  await source.poll("a fourth round over RAM", 30_000, async () => {
    const { ram } = await source.migrationInfo();
    return (ram?.["dirty-sync-count"] ?? 0) >= 4 || undefined;
  });
  await source.configure([], { "max-bandwidth": 1_000_000_000, "downtime-limit": 2000 });
  await source.waitForMigration();
  await load;
  return concat(received);
}

async function* kept(chunks: AsyncIterable<Uint8Array>, copies: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    copies.push(Uint8Array.from(chunk));
    yield chunk;
  }
}

describe("QEMU to us, through a socket", () => {
  it.each([
    { name: "microvm", create: ourMicrovm },
    { name: "isapc", create: ourIsapc },
  ])("a busy $name in several rounds with XBZRLE: RAM is what an independent reader makes of it", async (machine) => {
    using scratch = new Scratch();
    const ours = machine.create();
    const bytes = await receive(scratch, ours, machine.name, ["xbzrle"]);
    expect(ramOf(ours).loadStats.xbzrlePages).toBeGreaterThan(0);
    const { blocks } = readStream(bytes).contents.ram;
    expect(blocks.map(({ name }) => sha256(bytesOf(ours, name)))).toEqual(blocks.map((block) => block.sha256));
  });
});

describe("QEMU to us to QEMU, through sockets", () => {
  it("a busy microvm that is sent in several rounds: the guest runs on undamaged", async () => {
    using scratch = new Scratch();
    const machine = ourMicrovm();
    await receive(scratch, machine, "microvm", []);
    expect(ramOf(machine).loadStats.normalPages).toBeGreaterThan(RAM_PAGES / 20);

    const uri = `unix:${scratch.file("theirs")}`;
    const args = argsFor(scratch, "microvm", { guest: { idle: false, delay: 20_000 } });
    await using destination = await Qemu.start({ args, incoming: uri });
    using sink = await connectSink(scratch.file("theirs"));
    await saveStateAsync(machine.registry, sink, { machine: "microvm" });
    await destination.waitForMigration();

    await destination.expectGuestRuns(2);
  });
});

/** A tracker, and how the one who writes pages of the main memory tells it. */
interface Tracking {
  readonly tracker: DirtyTracker;
  readonly mark: (page: number) => void;
}

function marked(
  bytes: number,
  make: (marksOf: (block: RAMBlock) => Uint8Array | null) => DirtyTracker,
): {
  tracker: DirtyTracker;
  marks: Uint8Array;
} {
  const marks = new Uint8Array(bytes);
  return { marks, tracker: make((block) => (block.name === "microvm.ram" ? marks : null)) };
}

const TRACKERS: Readonly<Record<string, () => Tracking>> = {
  "a bitmap": () => {
    const { tracker, marks } = marked(RAM_PAGES / 8, bitmapTracker);
    return { tracker, mark: (page) => void (marks[page >> 3] |= 1 << (page & 7)) };
  },
  "a byte map": () => {
    const { tracker, marks } = marked(RAM_PAGES, byteMapTracker);
    return { tracker, mark: (page) => void (marks[page] = 1) };
  },
  "hashes of pages": () => ({ tracker: hashTracker(), mark: () => undefined }),
  "a copy of RAM": () => ({ tracker: shadowTracker(), mark: () => undefined }),
};

/** Synchronisations between the first and the last. */
const ROUNDS = 6;
/** Bytes that a PART may take before its last page. */
const PART_BYTES = 128 << 10;
/** How far the guest comes meanwhile. */
const STEPS_PER_PART = 20;

/** Where random bytes are, above everything that the guest touches. */
const FREE_RAM = 2 << 20;

/**
 * Write bytes that go to and fro, each at a pace of its own: a sender that compares with anything but what it sent last
 * takes one of them for unchanged. Returns the page.
 */
function toggle(ram: Uint8Array, turn: number): number {
  for (let i = 0; i < PAGE_SIZE / 16; i++) ram[FREE_RAM + i * 16] = (turn >> (i % 4)) & 1;
  return FREE_RAM / PAGE_SIZE;
}

/** Send `machine` in rounds of several PARTs; `run` runs the guest between two of them. */
async function saveLive(machine: ReturnType<typeof ourMicrovm>, sink: AsyncSink, run: () => void): Promise<void> {
  const writer = new Writer();
  let partStart = 0;
  const bytesLeft = (): number => PART_BYTES - (writer.offset - partStart);
  const session = new SaveSession(machine.registry, {
    machine: machine.machine,
    bytesLeft,
    rateLimit: () => bytesLeft() <= 0,
  });
  const send = <T>(steps: Encode<T>): Promise<T> => encodeAsync(steps, writer, sink);
  await send(session.prepare());
  await send(session.header(writer));
  await send(session.setup(writer));
  for (let round = 0; round < ROUNDS; round++) {
    for (let done = false; !done;) {
      partStart = writer.offset;
      done = await send(session.iterate(writer));
      run();
    }
    expect(session.pendingExact().mustPrecopy).toBeGreaterThan(0);
  }
  run();
  await send(session.completePrecopy(writer));
  session.cleanup();
  await sink.close?.();
}

describe.each(Object.keys(TRACKERS))("us to QEMU in rounds, writes found by %s", (name) => {
  it.each<Partial<RamOptions>>([
    { xbzrle: true },
    { xbzrle: true, kernels: { implementation: "js" } },
    { xbzrle: true, xbzrleCacheBytes: 16 * PAGE_SIZE },
    { xbzrle: false },
  ])("with %o: RAM is equal, and the guest runs on", async (options) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const { tracker, mark } = TRACKERS[name]();
    const machine = loaded(ourMicrovm({ ram: { tracker, ...options } }), await bootAndSendAsleep(scratch, args));
    setRunning(machine);
    const ram = mainMemory(machine);
    ram.set(noise(1 << 20, 6), FREE_RAM);
    const uri = `unix:${scratch.file("theirs")}`;
    await using destination = await Qemu.start({ args, paused: true, incoming: uri });
    const sent: Uint8Array[] = [];
    using sink = await connectSink(scratch.file("theirs"), sent);
    let turn = 0;
    await saveLive(machine, sink, () => {
      for (const page of [...runGuest(ram, STEPS_PER_PART), toggle(ram, ++turn)]) mark(page);
    });
    await destination.waitForMigration();

    const { saveStats } = ramOf(machine);
    const { contents } = readStream(concat(sent));
    const parts = contents.sections.filter(({ type }) => type === "part").map(({ length }) => length);
    expect(parts.length).toBeGreaterThan((1 << 20) / PART_BYTES + ROUNDS);
    expect(Math.max(...parts)).toBeLessThan(PART_BYTES + PAGE_SIZE + 100);
    expect(saveStats.dirtySyncs).toBe(ROUNDS + 2);
    expect(saveStats.xbzrlePages > 0).toBe(options.xbzrle);
    expect(saveStats.cacheMisses > 0).toBe(options.xbzrle);
    expect(contents.ram.blocks.map(({ pages }) => pages.xbzrle)).toEqual([saveStats.xbzrlePages, 0]);
    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    await destination.expectGuestRuns(2);
  });
});
