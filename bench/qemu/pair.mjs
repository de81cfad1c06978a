// One guest on both sides, and the operations that are timed on it.

import { createHash } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Channel } from "./channel.mjs";
import { Emulator } from "./emulator.mjs";

/** Below, the CPU sees firmware in places, so that its monitor cannot show the RAM there. */
const VISIBLE = 1 << 20;

const seconds = (from, to) => Number(to - from) / 1e9;
const now = () => Number(process.hrtime.bigint());

/** The machine of QEMU: the same devices as test/machines/microvm.ts, all of its RAM there before it begins. */
function qemuArgs(mebibytes, rom) {
  return [
    ...["-machine", "microvm,acpi=off,memory-backend=microvm.ram", "-m", String(mebibytes), "-smp", "1"],
    ...["-object", `memory-backend-ram,id=microvm.ram,size=${mebibytes}M,prealloc=on`],
    ...["-nodefaults", "-vga", "none", "-serial", "null", "-bios", rom],
    ...["-global", "apic-common.vapic=off"],
  ];
}

/** No limit, and word of how it goes: nobody has to ask while the time runs. */
const MIGRATION = { capabilities: ["events"], parameters: { "max-bandwidth": 2 ** 50 } };

/** Two machines with the same RAM and devices, ours and QEMU's. */
export class Pair {
  #Qemu;
  #args;
  #directory;
  #bytes;
  #emulator;
  #source;
  #sink;
  /** What the emulator's guest RAM holds. */
  #digest;

  constructor({ files, Qemu, mebibytes, directory, rom }) {
    this.#Qemu = Qemu;
    this.#args = qemuArgs(mebibytes, rom);
    this.#directory = directory;
    this.#bytes = mebibytes * 2 ** 20;
    this.#emulator = new Emulator(files);
  }

  #path(name) {
    return join(this.#directory, name);
  }

  /** Devices as QEMU has them before the first instruction. */
  async open() {
    const blank = this.#path("blank");
    const qemu = await this.#Qemu.start({ args: this.#args, paused: true, ...MIGRATION });
    try {
      await qemu.migrateToFile(blank);
    } finally {
      await qemu[Symbol.asyncDispose]();
    }
    await this.#emulator.ask("create", { bytes: this.#bytes, stream: blank });
    rmSync(blank);
    this.#sink = new Channel("sink", this.#path("sink"));
    await this.#sink.next();
  }

  /** Gives both sides RAM of that mix, and keeps a stream of it. */
  async fill(mix) {
    await this.#emulator.ask("fill", { mix });
    this.#digest = await this.#emulator.ask("digest", { from: VISIBLE });
    await this.#emulator.ask("save", { uri: `file:${this.#path("stream")}` });
    await this.#source?.[Symbol.asyncDispose]();
    const incoming = `exec:cat '${this.#path("stream")}'`;
    this.#source = await this.#Qemu.start({ args: this.#args, paused: true, incoming, ...MIGRATION });
    await this.#source.waitForMigration();
    this.#expectSame("QEMU, filled by our stream", await this.#digestOf(this.#source));
  }

  async #digestOf(qemu) {
    const filename = this.#path("memory");
    await qemu.execute("pmemsave", { val: VISIBLE, size: this.#bytes - VISIBLE, filename });
    const hash = createHash("sha256");
    await pipeline(createReadStream(filename, { highWaterMark: 1 << 20 }), hash);
    rmSync(filename);
    return hash.digest("hex");
  }

  #expectSame(what, digest) {
    if (digest !== this.#digest) throw new Error(`${what}: its RAM is not what was sent`);
  }

  /** Times one save of QEMU's: seconds from the command and from the first byte to the last byte. */
  async saveQemu() {
    const started = now();
    await this.#source.execute("migrate", { uri: `unix:${this.#path("sink")}` });
    const figures = await this.#sinkFigures(started);
    await this.#source.waitForMigration();
    // It refuses to send a machine that was sent, unless that has run since. There is nothing for it to do.
    await this.#source.cont();
    await this.#source.stop();
    return figures;
  }

  /** As {@link saveQemu}, of ours. */
  async save() {
    const started = now();
    await this.#emulator.ask("save", { uri: `unix:${this.#path("sink")}` });
    return this.#sinkFigures(started);
  }

  /**
   * Bytes of memory that an operation of ours takes on top of what its process has. Not part of a timed run: the
   * garbage collection before it makes the engine throw optimised code away.
   */
  async extraMemory(operation) {
    const baseline = await this.#emulator.ask("settle");
    await operation();
    return (await this.#emulator.ask("peak")) - baseline;
  }

  async #sinkFigures(started) {
    const { first, last, bytes } = await this.#sink.next();
    return { seconds: seconds(started, last), streaming: seconds(first, last), bytes };
  }

  /** Times one load by a QEMU made for it: seconds from the connection until it says that it is done. */
  async loadQemu({ verify = false } = {}) {
    const path = this.#path("incoming");
    const qemu = await this.#Qemu.start({
      args: this.#args,
      paused: true,
      incoming: `unix:${path}`,
      ...MIGRATION,
    });
    try {
      const done = qemu.monitor.nextEvent(({ event, data }) => event === "MIGRATION" && data?.status === "completed");
      const figures = await this.#send(path, done);
      if (verify) this.#expectSame("QEMU, loaded from the socket", await this.#digestOf(qemu));
      return figures;
    } finally {
      await qemu[Symbol.asyncDispose]();
    }
  }

  /** RAM as it is before a load: as QEMU's, there and zero. */
  async clear() {
    await this.#emulator.ask("fill", { mix: "zero" });
  }

  /** As {@link loadQemu}, of ours, after {@link clear}. */
  async load({ verify = false } = {}) {
    const path = this.#path("incoming");
    const figures = await this.#send(path, this.#emulator.ask("load", { uri: `unix:${path}` }));
    if (verify)
      this.#expectSame("Our machine, loaded from the socket", await this.#emulator.ask("digest", { from: VISIBLE }));
    return figures;
  }

  async #send(path, done) {
    const sender = new Channel("send", path, this.#path("stream"));
    try {
      await done;
      const loaded = now();
      const { connected, closed } = await sender.next();
      return { seconds: seconds(connected, loaded), streaming: seconds(connected, closed) };
    } finally {
      await sender.close();
    }
  }

  async close() {
    await this.#source?.[Symbol.asyncDispose]();
    await this.#sink?.close();
    await this.#emulator.close();
  }
}
