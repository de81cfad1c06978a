/** What QEMU refuses, we refuse: the same bytes, in QEMU's own words and as one of our errors. */
import { beforeAll, describe, expect, it } from "vitest";
import { isMigrationError, type ErrorCode, type MigrationError } from "../../src/errors.js";
import { argsFor, bootAndSend, loaded, ourMicrovm, saved } from "../kit/between.js";
import { Qemu, Scratch } from "../kit/qemu.js";
import { readStream } from "../record/second-opinion.js";

const UUID = "00112233-4455-6677-8899-aabbccddeeff";
const OTHER_UUID = "00112233-4455-6677-8899-aabbccddee00";

interface Refusal {
  readonly what: string;
  /** Damages a good stream in place, or returns another one. */
  readonly damage: (stream: Buffer) => Buffer | void;
  /** What QEMU prints. */
  readonly theirs: RegExp;
  readonly ours: { readonly code: ErrorCode; readonly offset?: number };
  /** Where we say it is. */
  readonly section?: string;
}

/** Offset of the first section of that name and type. */
function sectionOf(stream: Uint8Array, idstr: string, type = "full"): { offset: number; length: number } {
  const found = readStream(stream).contents.sections.find((each) => each.idstr === idstr && each.type === type);
  if (found === undefined) throw new Error(`The stream has no section ${idstr}`);
  return found;
}

const bodyAt = (stream: Uint8Array, idstr: string): number =>
  sectionOf(stream, idstr).offset + 1 + 4 + 1 + idstr.length + 4 + 4;

const REFUSALS: readonly Refusal[] = [
  {
    what: "another magic",
    damage: (stream) => void stream.write("QEVm"),
    theirs: /Not a migration stream/,
    ours: { code: "BAD_MAGIC", offset: 0 },
  },
  {
    what: "another version of the stream",
    damage: (stream) => void stream.writeUInt32BE(4, 4),
    theirs: /Unsupported migration stream version/,
    ours: { code: "BAD_VERSION", offset: 4 },
  },
  {
    what: "another machine type",
    damage: (stream) => void stream.write("microvn", 13),
    theirs: /Machine type received is 'microvn' and local is 'microvm'/,
    ours: { code: "CONFIGURATION" },
    section: "configuration",
  },
  {
    what: "a footer of another section",
    damage(stream) {
      const { offset, length } = sectionOf(stream, "mc146818rtc");
      stream.writeUInt32BE(99, offset + length - 4);
    },
    theirs: /Mismatched section id in footer for mc146818rtc/,
    ours: { code: "FOOTER_MISMATCH" },
    section: "mc146818rtc",
  },
  {
    what: "a footer that is none",
    damage(stream) {
      const { offset, length } = sectionOf(stream, "mc146818rtc");
      stream[offset + length - 5] = 0x7f;
    },
    theirs: /Missing section footer for mc146818rtc/,
    ours: { code: "FOOTER_MISSING" },
    section: "mc146818rtc",
  },
  {
    what: "a device that is not there",
    damage: (stream) => void stream.write("mc146818rtd", sectionOf(stream, "mc146818rtc").offset + 6),
    theirs: /Unknown savevm section or instance 'mc146818rtd' 0/,
    ours: { code: "SECTION_UNKNOWN" },
    section: "mc146818rtd",
  },
  {
    what: "a newer version of a device",
    damage: (stream) => void stream.writeUInt32BE(4, bodyAt(stream, "mc146818rtc") - 4),
    theirs: /savevm: unsupported version 4 for 'mc146818rtc' v3/,
    ours: { code: "VERSION_TOO_NEW" },
    section: "mc146818rtc",
  },
  {
    what: "an older version of a device than any that is known",
    damage: (stream) => void stream.writeUInt32BE(0, bodyAt(stream, "mc146818rtc") - 4),
    theirs: /error while loading state for instance 0x0 of device 'mc146818rtc'/,
    ours: { code: "VERSION_TOO_OLD" },
    section: "mc146818rtc",
  },
  {
    what: "a RAM block that is not there",
    damage: (stream) => void stream.write("microvm.rom", stream.indexOf("microvm.ram")),
    theirs: /Unknown ramblock "microvm.rom", cannot accept migration/,
    ours: { code: "BLOCK_UNKNOWN" },
    section: "ram",
  },
  {
    what: "a RAM block of another length",
    damage(stream) {
      const at = stream.indexOf("microvm.ram") + "microvm.ram".length;
      stream.writeUInt32BE(stream.readUInt32BE(at + 4) / 2, at + 4);
    },
    theirs: /Size mismatch: microvm.ram/,
    ours: { code: "BLOCK_SIZE" },
    section: "ram",
  },
  {
    what: "a page record with flags that exclude each other",
    damage(stream) {
      const { offset } = sectionOf(stream, "ram", "part");
      stream[offset + 5 + 7] |= 0x0a;
    },
    theirs: /Unknown combination of migration flags: 0xa/,
    ours: { code: "PAGE_FLAGS" },
    section: "ram",
  },
  {
    what: "an end in the middle of a device",
    damage: (stream) => stream.subarray(0, bodyAt(stream, "mc146818rtc") + 40),
    theirs: /load of migration failed: (Input\/output error|Invalid argument)/,
    ours: { code: "TRUNCATED" },
    section: "mc146818rtc",
  },
  {
    what: "a section of no known type",
    damage: (stream) => void (stream[sectionOf(stream, "mc146818rtc").offset] = 0x0b),
    theirs: /Unknown savevm section type 11/,
    ours: { code: "UNKNOWN_SECTION_TYPE" },
  },
];

/** One good stream for all tests. */
let good: Uint8Array;
beforeAll(async () => {
  using scratch = new Scratch();
  good = saved(loaded(ourMicrovm(), await bootAndSend(scratch, argsFor(scratch, "microvm"))));
});

describe("a stream of ours, damaged", () => {
  it.each(REFUSALS)("with $what: QEMU refuses it, and so do we", async ({ damage, theirs, ours, section }) => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const stream = Buffer.from(good);
    const damaged = damage(stream) ?? stream;

    await using destination = await Qemu.start({ args, incoming: new Uint8Array(damaged) });

    await expect(destination.waitForMigration()).rejects.toThrow(theirs);
    const error = refusal(() => loaded(ourMicrovm(), damaged));
    expect(error).toMatchObject(ours);
    expect(error.offset).not.toBeNull();
    expect(error.section?.idstr).toBe(section);
  });
});

describe("a stream of ours with capabilities", () => {
  it("with another UUID: QEMU refuses it, and so do we", async () => {
    using scratch = new Scratch();
    const capabilities = ["validate-uuid"];
    const stream = saved(loaded(ourMicrovm(), good), { uuid: OTHER_UUID, capabilities });
    const args = argsFor(scratch, "microvm", { extra: ["-uuid", UUID] });

    await using destination = await Qemu.start({ args, capabilities, incoming: stream });

    await expect(destination.waitForMigration()).rejects.toThrow(/UUID received is .*ee00 and local is .*eeff/);
    const error = refusal(() => loaded(ourMicrovm(), stream, { uuid: UUID, capabilities }));
    expect(error).toMatchObject({ code: "CONFIGURATION", field: "uuid.data" });
  });

  it("with x-ignore-shared on one side only: QEMU refuses it, and so do we", async () => {
    using scratch = new Scratch();
    const args = argsFor(scratch, "microvm");
    const stream = saved(loaded(ourMicrovm(), good), { capabilities: ["x-ignore-shared"] });

    await using destination = await Qemu.start({ args, incoming: stream });

    await expect(destination.waitForMigration()).rejects.toThrow(
      /Capability x-ignore-shared is off, but received capability is on/,
    );
    expect(refusal(() => loaded(ourMicrovm(), stream))).toMatchObject({ code: "CAPABILITY" });
  });
});

/** The typed error that `load` throws. */
function refusal(load: () => void): MigrationError {
  try {
    load();
  } catch (error) {
    if (isMigrationError(error)) return error;
    throw error;
  }
  throw new Error("It was loaded");
}
