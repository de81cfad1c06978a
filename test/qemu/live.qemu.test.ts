/** Live migration over sockets: QEMU sends to us while its guest runs, and we send to QEMU while we run the guest. */
import { describe, expect, it } from "vitest";
import type { RAMBlock } from "../../src/ram/block.js";
import {
  bitmapTracker,
  byteMapTracker,
  hashTracker,
  markBytes,
  shadowTracker,
  type DirtyTracker,
} from "../../src/ram/dirty.js";
import { loadStateAsync, saveStateAsync } from "../../src/savevm/run.js";
import { SaveSession } from "../../src/savevm/save.js";
import { encodeAsync, type Encode } from "../../src/stream/drive.js";
import type { AsyncSink } from "../../src/stream/io.js";
import { concat, Writer } from "../../src/stream/writer.js";
import { PAGE_SIZE } from "../guest/model.js";
import {
  argsFor,
  bootAndSendAsleep,
  loaded,
  mainMemory,
  memoryProblems,
  MEGABYTES,
  ourIsapc,
  ourMicrovm,
  ramOf,
  runGuest,
  setRunning,
} from "../kit/between.js";
import { Qemu, Scratch } from "../kit/qemu.js";
import { connectSink, listenOnce } from "../kit/socket.js";
import { readStream } from "../record/second-opinion.js";

const RAM_PAGES = (MEGABYTES << 20) / PAGE_SIZE;

describe("QEMU to us to QEMU, through sockets", () => {
  it.each([
    { name: "microvm", capabilities: [], create: ourMicrovm },
    { name: "microvm", capabilities: ["xbzrle"], create: ourMicrovm },
    { name: "isapc", capabilities: ["xbzrle"], create: ourIsapc },
  ])("a busy $name that is sent in several rounds, with $capabilities", async ({ name, capabilities, create }) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, name, { guest: { idle: false, delay: 20_000 } });
    const machine = create();
    {
      await using listener = await listenOnce(scratch.file("ours"));
      const slow = { "max-bandwidth": 1_000_000, "downtime-limit": 1 };
      await using source = await Qemu.start({ args, capabilities, parameters: slow });
      await source.waitForGuest(200, 2);
      await source.execute("migrate", { uri: `unix:${scratch.file("ours")}` });
      const load = loadStateAsync(machine.registry, await listener.accept(), { machine: name });
      await source.poll("a fourth round over RAM", 30_000, async () => {
        const { ram } = await source.migrationInfo();
        return (ram?.["dirty-sync-count"] ?? 0) >= 4 || undefined;
      });
      await source.configure([], { "max-bandwidth": 1_000_000_000, "downtime-limit": 2000 });
      await source.waitForMigration();
      await load;
    }
    const { xbzrlePages, normalPages } = ramOf(machine).loadStats;
    expect(normalPages).toBeGreaterThan(RAM_PAGES / 20);
    expect(xbzrlePages > 0).toBe(capabilities.includes("xbzrle"));

    const uri = `unix:${scratch.file("theirs")}`;
    await using destination = await Qemu.start({ args, incoming: uri });
    await saveStateAsync(machine.registry, await connectSink(scratch.file("theirs")), { machine: name });
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
    const { tracker, marks } = marked(markBytes(MEGABYTES << 20, PAGE_SIZE), bitmapTracker);
    return { tracker, mark: (page) => void (marks[page >> 3] |= 1 << (page & 7)) };
  },
  "a byte map": () => {
    const { tracker, marks } = marked(RAM_PAGES, byteMapTracker);
    return { tracker, mark: (page) => void (marks[page] = 1) };
  },
  "hashes of pages": () => ({ tracker: hashTracker(), mark: () => undefined }),
  "a copy of RAM": () => ({ tracker: shadowTracker(), mark: () => undefined }),
};

/** Rounds of sending and running the guest before the last one. */
const ROUNDS = 6;
const STEPS_PER_ROUND = 40;

/** Send `machine` in rounds; `run` runs the guest between two of them. */
async function saveLive(machine: ReturnType<typeof ourMicrovm>, sink: AsyncSink, run: () => void): Promise<void> {
  const session = new SaveSession(machine.registry, { machine: machine.machine });
  const writer = new Writer();
  const send = <T>(steps: Encode<T>): Promise<T> => encodeAsync(steps, writer, sink);
  await send(session.prepare());
  await send(session.header(writer));
  await send(session.setup(writer));
  for (let round = 0; round < ROUNDS; round++) {
    while (!(await send(session.iterate(writer))));
    run();
    expect(session.pendingExact().mustPrecopy).toBeGreaterThan(0);
  }
  run();
  await send(session.completePrecopy(writer));
  session.cleanup();
  await sink.close?.();
}

describe.each(Object.keys(TRACKERS))("us to QEMU in rounds, writes found by %s", (name) => {
  it.each([
    { xbzrle: true, xbzrleCacheBytes: 64 << 20 },
    { xbzrle: true, xbzrleCacheBytes: 16 * PAGE_SIZE },
    { xbzrle: false, xbzrleCacheBytes: 0 },
  ])("with XBZRLE $xbzrle and a cache of $xbzrleCacheBytes bytes", async ({ xbzrle, xbzrleCacheBytes }) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const { tracker, mark } = TRACKERS[name]();
    const machine = loaded(
      ourMicrovm({ ram: { tracker, xbzrle, xbzrleCacheBytes } }),
      await bootAndSendAsleep(scratch, args),
    );
    setRunning(machine);
    const uri = `unix:${scratch.file("theirs")}`;
    await using destination = await Qemu.start({ args, paused: true, incoming: uri });
    const sent: Uint8Array[] = [];
    await saveLive(machine, await connectSink(scratch.file("theirs"), sent), () => {
      for (const page of runGuest(mainMemory(machine), STEPS_PER_ROUND)) mark(page);
    });
    await destination.waitForMigration();

    const { saveStats } = ramOf(machine);
    const main = readStream(concat(sent)).contents.ram.blocks.find((block) => block.name === "microvm.ram");
    expect(saveStats.xbzrlePages > 0).toBe(xbzrle);
    expect(main?.pages.xbzrle).toBe(saveStats.xbzrlePages);
    expect(saveStats.dirtySyncs).toBe(ROUNDS + 2);
    if (xbzrle) expect(saveStats.cacheMisses).toBeGreaterThan(0);
    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    await destination.expectGuestRuns(2);
  });
});
