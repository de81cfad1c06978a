/** Sections whose ends nothing but footers, or nothing at all, tell. */
import { describe, expect, it } from "vitest";
import type { ScanOptions } from "../../src/inspect/scanner.js";
import type { ScanResult } from "../../src/inspect/scan-result.js";
import { RamRecordWriter } from "../../src/ram/record-writer.js";
import { writeCommand, type Command } from "../../src/savevm/commands.js";
import { writeSectionFooter, writeSectionHeader, type SectionType } from "../../src/savevm/section.js";
import { concat, Writer } from "../../src/stream/writer.js";
import { PAGE, pageOf, scanBytes } from "./scan-kit.js";

/** Builds a stream element by element. */
class Composer {
  readonly writer = new Writer();
  readonly footers: boolean;

  constructor({ footers = true, header = true } = {}) {
    this.footers = footers;
    if (!header) return;
    this.writer.u32(0x5145564d);
    this.writer.u32(3);
  }

  section(type: SectionType, id: number, idstr: string, body: Uint8Array, instanceId = 0, version = 1): this {
    writeSectionHeader(this.writer, type, { id, idstr, instanceId, version });
    this.writer.bytes(body);
    if (this.footers) writeSectionFooter(this.writer, id);
    return this;
  }

  ram(type: SectionType, write: (records: RamRecordWriter) => void): this {
    const writer = new Writer();
    const records = new RamRecordWriter(writer);
    write(records);
    records.eos();
    return this.section(type, 2, "ram", concat(writer.take()), 0, 4);
  }

  command(command: Command): this {
    writeCommand(this.writer, command);
    return this;
  }

  package(inner: Composer): this {
    const bytes = concat(inner.writer.take());
    this.command({ name: "PACKAGED", length: bytes.length });
    this.writer.bytes(bytes);
    return this;
  }

  eof(): this {
    this.writer.u8(0);
    return this;
  }

  description(devices: string): this {
    const text = new TextEncoder().encode(`{"page_size": ${PAGE}, "devices": [${devices}]}`);
    this.writer.u8(6);
    this.writer.u32(text.length);
    this.writer.bytes(text);
    return this;
  }

  bytes(): Uint8Array {
    return concat(this.writer.take());
  }

  scan(options: ScanOptions = {}): ScanResult {
    return scanBytes(this.bytes(), options);
  }
}

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const list = (r: RamRecordWriter): void => r.blockList([{ name: "ram0", usedLength: PAGE, pageSize: null, gpa: null }]);
const device = (name: string, size: number): string =>
  `{"name": "${name}", "instance_id": 0, "vmsd_name": "${name}", "version": 1, "fields": [{"name": "x", "type": "buffer", "size": ${size}}]}`;
const bodies = ({ devices }: ScanResult) =>
  devices.map(({ section, body }) => [section.idstr, Buffer.from(body ?? []).toString("hex")]);

/** Looks like the footer of section 5, an EOF byte included. */
const FALSE_FOOTER = "7e 00000005 00";
/** Looks like the footer of section 5, and like a device behind it. */
const FALSE_DEVICE = "7e 00000005 04 00000009 01 61 00000000 00000001 ff";

describe("scan: sections without a description", () => {
  it("footers tell the ends", () => {
    const found = new Composer()
      .section("full", 5, "uart", hex("01 02"))
      .section("full", 6, "rtc", hex(""))
      .eof()
      .scan();
    expect(bodies(found)).toEqual([
      ["uart", "0102"],
      ["rtc", ""],
    ]);
  });

  it.each([
    ["its footer in the middle", FALSE_FOOTER],
    ["its footer and what looks like the next device", FALSE_DEVICE],
    ["its footer twice", `${FALSE_FOOTER} ${FALSE_FOOTER}`],
  ])("a body with %s: found whole, since nothing else leads to the end", (_, content) => {
    const body = hex(`aa ${content} bb`);
    const found = new Composer().section("full", 5, "uart", body).section("full", 6, "rtc", hex("07")).eof().scan();
    expect(bodies(found)).toEqual([
      ["uart", Buffer.from(body).toString("hex")],
      ["rtc", "07"],
    ]);
  });

  it("a device in front of RAM: delimited before the description comes, and decoded by it", () => {
    const found = new Composer()
      .section("full", 5, "early", hex("0a 0b"))
      .ram("start", list)
      .ram("part", (r) => r.page("ram0", 0, pageOf(1)))
      .ram("end", () => undefined)
      .section("full", 6, "late", hex("0c"))
      .eof()
      .description(`${device("early", 2)}, ${device("late", 1)}`)
      .scan();
    expect(found.problems).toEqual([]);
    expect(found.devices.map(({ fields }) => fields?.get("x"))).toEqual([hex("0a0b"), hex("0c")]);
    expect(found.ram?.blocks[0].counts.normal).toBe(1);
  });

  it("rounds of an iterative section that nobody knows, between those of RAM: delimited by footers", () => {
    const found = new Composer()
      .ram("start", list)
      .section("start", 7, "vendor", hex("01"))
      .ram("part", (r) => r.zero("ram0", 0))
      .section("part", 7, "vendor", hex("02 7e 00000007 99"))
      .ram("end", () => undefined)
      .section("end", 7, "vendor", hex("03"))
      .section("full", 8, "rtc", hex("04"))
      .eof()
      .scan();
    expect(found.sections.map(({ type, idstr }) => `${type} ${idstr ?? "?"}`)).toEqual([
      "start ram",
      "start vendor",
      "part ram",
      "part vendor",
      "end ram",
      "end vendor",
      "full rtc",
    ]);
    expect(bodies(found)[1]).toEqual(["vendor", "027e0000000799"]);
  });

  it("a PART that was never announced: listed without a name, and a problem", () => {
    const found = new Composer().section("part", 7, "", hex("02")).section("full", 8, "rtc", hex("")).eof().scan();
    expect(found.sections[0]).toMatchObject({ id: 7, idstr: null, instance: null, version: null });
    expect(found.problems.map(({ code }) => code)).toEqual(["SECTION_ID_UNKNOWN"]);
  });

  it("a package: its sections in their place, with absolute offsets", () => {
    const inner = new Composer({ header: false })
      .command({ name: "POSTCOPY_LISTEN" })
      .section("full", 5, "uart", hex(`01 ${FALSE_FOOTER}`))
      .section("full", 6, "rtc", hex("02"))
      .command({ name: "PING", value: 3 })
      .command({ name: "POSTCOPY_RUN" });
    const composer = new Composer()
      .ram("start", list)
      .package(inner)
      .ram("part", (r) => r.page("ram0", 0, pageOf(9)))
      .ram("end", () => undefined)
      .eof();
    const bytes = composer.bytes();
    const found = scanBytes(bytes);
    expect(found.sections.map(({ idstr, packaged }) => [idstr, packaged])).toEqual([
      ["ram", false],
      ["uart", true],
      ["rtc", true],
      ["ram", false],
      ["ram", false],
    ]);
    const { offset } = found.sections[1];
    expect(Buffer.from(bytes.subarray(offset, offset + 10)).toString("latin1")).toBe("\x04\0\0\0\x05\x04uart");
    expect(found.commands.map(({ command }) => command.name)).toEqual([
      "PACKAGED",
      "POSTCOPY_LISTEN",
      "PING",
      "POSTCOPY_RUN",
    ]);
  });
});

describe("scan: bodies that look like more than they are", () => {
  const ramWith = (composer: Composer, pages: number): Composer =>
    composer
      .ram("start", (r) => r.blockList([{ name: "ram0", usedLength: pages * PAGE, pageSize: null, gpa: null }]))
      .ram("part", (r) => {
        for (let n = 0; n < pages; n++) r.page("ram0", n * PAGE, pageOf(n + 1));
      })
      .ram("end", () => undefined);

  it.each([
    ["its footer, and nothing legal behind it", "7e 00000005 ff"],
    ["its footer, and a name that is none behind it", "7e 00000005 04 00000009 02 0101 00000000 00000001"],
  ])("a device in front of much RAM with %s: found whole", (_, content) => {
    const composer = new Composer().section("full", 5, "early", hex(`aa ${content} bb`));
    // No more of RAM is looked at ahead than the ceilings allow.
    const limits = { deviceBytes: 64 << 10, descriptionBytes: 0 };
    const found = ramWith(composer, 64).section("full", 6, "rtc", hex("07")).eof().scan({ limits });
    expect(bodies(found)).toEqual([
      ["early", `aa${content.replaceAll(" ", "")}bb`],
      ["rtc", "07"],
    ]);
    expect(found.ram?.blocks[0].counts.normal).toBe(64);
  });

  it("what looks like more of RAM, which has ended: part of the body", () => {
    const body = "7e 00000005 02 00000002 0000000000000010";
    const composer = ramWith(new Composer(), 1).section("full", 5, "uart", hex(body));
    expect(bodies(composer.section("full", 6, "rtc", hex("07")).eof().scan())[0][1]).toBe(body.replaceAll(" ", ""));
  });

  it("what looks like the end, in a device that the description leaves out: part of the body", () => {
    const composer = new Composer().section("full", 5, "uart", hex(FALSE_FOOTER)).section("full", 6, "rtc", hex("07"));
    const found = composer.eof().description(device("rtc", 1)).scan();
    expect(bodies(found)).toEqual([
      ["uart", FALSE_FOOTER.replaceAll(" ", "")],
      ["rtc", "07"],
    ]);
    expect(found.devices.map(({ fields }) => fields !== null)).toEqual([false, true]);
  });

  it("a device that is described and not there: a problem", () => {
    const composer = new Composer().section("full", 6, "rtc", hex("07")).eof();
    const found = composer.description(`${device("rtc", 1)}, ${device("uart", 1)}`).scan();
    expect(found.problems.map(({ code, message }) => [code, message])).toEqual([
      ["DESCRIPTION_MISMATCH", 'Read the description: "uart" instance 0 is not in the stream'],
    ]);
  });
});

describe("scan: streams without footers", () => {
  const old = (): Composer => new Composer({ footers: false }).ram("start", list).ram("end", (r) => r.zero("ram0", 0));

  it("the description tells the ends", () => {
    const found = old()
      .section("full", 5, "uart", hex(FALSE_DEVICE))
      .section("full", 6, "rtc", hex("07"))
      .eof()
      .description(`${device("uart", hex(FALSE_DEVICE).length)}, ${device("rtc", 1)}`)
      .scan();
    expect(found.devices.map(({ section }) => section.footer)).toEqual([false, false]);
    expect(bodies(found)[1]).toEqual(["rtc", "07"]);
  });

  it("a borrowed description tells the ends", () => {
    const lender = old().section("full", 5, "uart", hex("0102")).eof().description(device("uart", 2)).scan();
    const stream = old().section("full", 5, "uart", hex("0304")).eof();
    const found = stream.scan({ description: lender.description?.value ?? null });
    expect(found.devices[0].fields?.get("x")).toEqual(hex("0304"));
    expect(found.description).toBeNull();
  });

  it("nothing tells: one raw tail and a warning", () => {
    const found = old().section("full", 5, "uart", hex("0102")).section("full", 6, "rtc", hex("07")).eof().scan();
    expect(found.devices).toHaveLength(1);
    expect(found.devices[0]).toMatchObject({ isTail: true, fields: null, section: { idstr: "uart" } });
    expect(found.warnings.join()).toContain("Nothing delimits");
    expect(found.sections.at(-1)).toMatchObject({ offset: found.bytes - (found.sections.at(-1)?.length ?? 0) });
  });
});

describe("scan: iterative sections of known framing", () => {
  const EOS = "0000000000000001";
  const samples: readonly (readonly [name: string, body: string])[] = [
    ["spapr/htab", "ffffffff"],
    ["spapr/htab", "00000018"],
    ["spapr/htab", `00000000 00000005 0001 0002 ${"7e00000005".repeat(3)}00 00000000 0000 0000`],
    ["s390-storage_attributes", EOS],
    ["s390-storage_attributes", `0000000000003002 0000000000000003 7e0000 0000000000000008 ${EOS}`],
    ["s390-skeys", `0000000000003002 0000000000000006 7e0000000504 ${EOS}`],
    ["dirty-bitmap", "01"],
    ["dirty-bitmap", "1c 02 6e31 02 6231 00010000 01 40 0000000000000000 00000008 0000000000000006 7e0000000504 20 01"],
    ["dirty-bitmap", "4e 01 6e 01 62 0000000000000000 00000008 01"],
    ["block", "0000000000000002"],
    ["block", "0000000000000209 01 64 0000000000000004 0000000000000002"],
  ];

  it.each(samples)("%s, %s: read exactly, with footers and without", (name, body) => {
    for (const footers of [true, false]) {
      const found = new Composer({ footers })
        .ram("start", list)
        .section("start", 5, name, hex(body))
        .ram("end", (r) => r.zero("ram0", 0))
        .section("end", 5, name, hex(body))
        .eof()
        .scan();
      expect(bodies(found)).toEqual([
        [name, body.replaceAll(" ", "")],
        [name, body.replaceAll(" ", "")],
      ]);
      expect(found.warnings).toEqual([]);
    }
  });

  it.each([
    ["s390-skeys", "0000000000003004"],
    ["s390-storage_attributes", "0000000000003004"],
    ["dirty-bitmap", "81"],
    ["block", "0000000000000010"],
  ])("%s with flags that nobody knows: UNDELIMITED", (name, body) => {
    const composer = new Composer()
      .ram("start", list)
      .section("start", 5, name, hex(`${body} 0000000000000000`))
      .eof();
    expect(() => composer.scan()).toThrow(expect.objectContaining({ code: "UNDELIMITED" }));
  });

  it("a body beyond the ceiling: passed over, and its device has no bytes", () => {
    const found = new Composer()
      .section("full", 5, "s390-skeys", hex(`0000000000003002 0000000000000400 ${"00".repeat(1024)} ${EOS}`))
      .eof()
      .scan({ limits: { deviceBytes: 512 } });
    expect(found.devices[0].body).toBeNull();
  });
});
