/** Every form a stream may take, composed by us and loaded by a QEMU that expects that form. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { RAMBlockList } from "../../src/ram/block.js";
import { PAGE_SIZE } from "../guest/model.js";
import {
  argsFor,
  bootAndSend,
  bytesOf,
  loaded,
  mainMemory,
  memoryProblems,
  MEGABYTES,
  noise,
  ourMicrovm,
  ramOf,
  saved,
} from "../kit/between.js";
import { Qemu, Scratch } from "../kit/qemu.js";
import { findDescription } from "../record/description.js";
import { readStream } from "../record/second-opinion.js";

const UUID = "00112233-4455-6677-8899-aabbccddeeff";
const BIOS_PAGES = 16;
/** Above everything that the guest touches. */
const FREE_RAM = 2 << 20;

/** What a stream is made of, and how QEMU is told to expect it. */
const FORMS = [
  { description: true, footers: true, configuration: true, args: [] },
  { description: false, footers: true, configuration: true, args: ["suppress-vmdesc=on"] },
  { description: true, footers: false, configuration: true, args: ["migration.send-section-footer=off"] },
  { description: true, footers: true, configuration: false, args: ["migration.send-configuration=off"] },
  {
    description: false,
    footers: false,
    configuration: false,
    args: ["suppress-vmdesc=on", "migration.send-section-footer=off", "migration.send-configuration=off"],
  },
] as const;

/** Machine properties go with the machine, others are global. */
function argsForForm(scratch: Scratch, properties: readonly string[]): string[] {
  const own = properties.filter((property) => !property.startsWith("migration."));
  const globals = properties.filter((property) => property.startsWith("migration."));
  return argsFor(scratch, ["microvm", ...own].join(","), {
    extra: globals.flatMap((property) => ["-global", property]),
  });
}

describe("QEMU loads a stream of ours", () => {
  it.each(FORMS)(
    "description $description, footers $footers, configuration $configuration",
    async ({ args: properties, ...form }) => {
      using scratch = new Scratch();
      const args = argsForForm(scratch, properties);
      const sent = await bootAndSend(scratch, args);
      expect(findDescription(sent) !== null).toBe(form.description);
      const machine = loaded(ourMicrovm(), sent);
      const stream = saved(machine, form);
      expect(findDescription(stream) !== null).toBe(form.description);

      await using destination = await Qemu.start({ args, paused: true, incoming: stream });
      await destination.waitForMigration();

      expect(await memoryProblemsOf(destination, machine, scratch, form)).toEqual([]);
      await destination.cont();
      await destination.expectGuestRuns();
    },
  );

  it("without a description where it would have sent one", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm(), await bootAndSend(scratch, args));

    await using destination = await Qemu.start({ args, incoming: saved(machine, { description: false }) });
    await destination.waitForMigration();

    await destination.expectGuestRuns();
  });
});

/** Streams that nothing delimits cannot be read back by a reader that knows no devices. */
async function memoryProblemsOf(
  qemu: Qemu,
  machine: ReturnType<typeof ourMicrovm>,
  scratch: Scratch,
  { description }: { readonly description: boolean },
): Promise<string[]> {
  if (description) return memoryProblems(qemu, machine, scratch);
  const again = loaded(ourMicrovm(), await qemu.migrateToFile(scratch.file("again")));
  return [...machine.blocks]
    .filter(({ name }) => Buffer.compare(bytesOf(machine, name), bytesOf(again, name)) !== 0)
    .map(({ name }) => `block ${name} differs`);
}

describe("with the UUID of the machine", () => {
  const capabilities = ["validate-uuid"];
  const form = { uuid: UUID, capabilities };

  it("QEMU validates it and loads the stream", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm", { extra: ["-uuid", UUID] });
    const machine = loaded(ourMicrovm(), await bootAndSend(scratch, args, capabilities), form);
    const stream = saved(machine, form);
    expect(readStream(stream).contents.configuration).toMatchObject({ uuid: UUID });

    await using destination = await Qemu.start({ args, capabilities, incoming: stream });
    await destination.waitForMigration();

    await destination.expectGuestRuns();
  });
});

describe("with compress", () => {
  it("QEMU's threads unpack what we packed, and the guest runs on", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const machine = loaded(ourMicrovm({ ram: { compress: 1 } }), await bootAndSend(scratch, args));
    mainMemory(machine).fill(0x5a, FREE_RAM, FREE_RAM + 300 * PAGE_SIZE);
    mainMemory(machine).set(noise(20 * PAGE_SIZE, 9), FREE_RAM + 10 * PAGE_SIZE);
    const stream = saved(machine);
    expect(ramOf(machine).saveStats.compressedPages).toBeGreaterThan(250);

    await using destination = await Qemu.start({ args, capabilities: ["compress"], paused: true, incoming: stream });
    await destination.waitForMigration();

    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    await destination.expectGuestRuns();
  });
});

describe("with x-ignore-shared", () => {
  const capabilities = ["x-ignore-shared"];

  /** The main memory is a file that both sides map, so it is ours to leave out. */
  function share(blocks: RAMBlockList, name: string, memory: Uint8Array): void {
    const own = blocks.find(name);
    if (own !== undefined) blocks.remove(own);
    blocks.addGlobal(name, memory, { shared: true });
  }

  it("QEMU finds its RAM in the shared file, everything else in the stream, and the guest runs on", async () => {
    using scratch = new Scratch();
    const path = scratch.file("ram");
    const backend = `memory-backend-file,id=microvm.ram,size=${MEGABYTES}M,share=on,mem-path=${path}`;
    const args = argsFor(scratch, "microvm,memory-backend=microvm.ram", { extra: ["-object", backend] });
    const sent = await bootAndSend(scratch, args, capabilities);
    const machine = ourMicrovm({ ram: { ignoreShared: true } });
    const shared = new Uint8Array(readFileSync(path));
    share(machine.blocks, "microvm.ram", shared);
    loaded(machine, sent, { capabilities });
    const stream = saved(machine, { capabilities });
    const { zeroPages, normalPages } = ramOf(machine).saveStats;
    expect(zeroPages + normalPages).toBe(BIOS_PAGES);

    await using destination = await Qemu.start({ args, capabilities, paused: true, incoming: stream });
    await destination.waitForMigration();

    expect(await memoryProblems(destination, machine, scratch)).toEqual([]);
    await destination.cont();
    await destination.expectGuestRuns();
  });
});
