import { describe, expect, test } from "vitest";
import { diffScans, isEqual } from "../../src/inspect/diff.js";
import { differenceText, formatDifference } from "../../src/inspect/diff-text.js";
import { compose, PAGE, pageOf, scanBytes, type ToyDevice, type ToyStream } from "./scan-kit.js";

const diff = (a: ToyStream, b: ToyStream) => diffScans(scanBytes(compose(a)), scanBytes(compose(b)));
const json = (a: ToyStream, b: ToyStream) => JSON.parse(Array.from(formatDifference(diff(a, b))).join("")) as unknown;
const text = (a: ToyStream, b: ToyStream) => Array.from(differenceText(diff(a, b)));

const uart = (...body: number[]): ToyDevice => ({
  name: "uart",
  body: Uint8Array.from(body),
  fields: [
    { name: "lcr", type: "uint8", size: 1 },
    { name: "fifo", array_len: 3, type: "uint8", size: 1 },
  ],
});
const blob = (name: string, ...body: number[]): ToyDevice => ({ name, body: Uint8Array.from(body) });
const ram = (length: number, records: ToyStream["records"]): ToyStream => ({
  blocks: [{ name: "ram0", length: length * PAGE }],
  records,
});

describe("diffScans: devices", () => {
  test("the same stream: equal", () => {
    const stream = { ...ram(4, (r) => r.page("ram0", 0, pageOf(1))), devices: [uart(1, 2, 3, 4)] };
    expect(isEqual(diff(stream, stream))).toBe(true);
    expect(text(stream, stream)).toEqual(["Equal"]);
  });

  test("fields that differ: paths with both values, in wire order", () => {
    const { devices } = diff({ devices: [uart(1, 2, 3, 4)] }, { devices: [uart(9, 2, 8, 4)] });
    expect(devices).toEqual([
      {
        name: "uart",
        instance: 0,
        onlyIn: null,
        version: null,
        more: false,
        fields: [
          { path: "lcr", a: 1, b: 9 },
          { path: "fifo[1]", a: 3, b: 8 },
        ],
      },
    ]);
  });

  test("a field that one side lacks: absence is told from null", () => {
    const b = { ...uart(1), fields: [{ name: "lcr", type: "uint8", size: 1 }] };
    expect(json({ devices: [uart(1, 2, 3, 4)] }, { devices: [b] })).toMatchObject({
      devices: [{ fields: [{ path: "fifo", onlyIn: "a", a: [2, 3, 4], b: null }] }],
    });
  });

  test("a device that one side lacks: named once, with its side", () => {
    const a = { devices: [uart(1, 2, 3, 4), blob("rtc", 5)] };
    const b = { devices: [blob("rtc", 5), { ...uart(1, 2, 3, 4), instance: 7 }] };
    const found = diff(a, b).devices.map(({ name, instance, onlyIn }) => [name, instance, onlyIn]);
    expect(found).toEqual([
      ["uart", 0, "a"],
      ["uart", 7, "b"],
    ]);
    expect(text(a, b)).toEqual(['device "uart" instance 0: only in A', 'device "uart" instance 7: only in B']);
  });

  test("two devices of one name and instance: the first is held against the first", () => {
    const pair = (first: number) => ({ devices: [blob("nic", first), blob("nic", 2)] });
    const { devices } = diff(pair(1), pair(3));
    expect(devices.map(({ fields }) => fields)).toEqual([[{ path: "raw", a: Uint8Array.of(1), b: Uint8Array.of(3) }]]);
  });

  test("another version: told even if the bytes are the same", () => {
    const b = { devices: [{ ...blob("rtc", 5), version: 2 }] };
    expect(diff({ devices: [blob("rtc", 5)] }, b).devices[0]).toMatchObject({ version: { a: 1, b: 2 }, fields: [] });
    expect(text({ devices: [blob("rtc", 5)] }, b)).toEqual(['device "rtc" instance 0', "  version: 1 -> 2"]);
  });

  test("a field that became wider: its value is compared", () => {
    const sized = (size: number, value: number): ToyDevice => ({
      name: "timer",
      body: new Uint8Array(size).fill(value, size - 1),
      fields: [{ name: "count", type: `uint${8 * size}`, size }],
    });
    expect(isEqual(diff({ devices: [sized(4, 5)] }, { devices: [sized(8, 5)] }))).toBe(true);
    expect(isEqual(diff({ devices: [sized(8, 5)] }, { devices: [sized(4, 6)] }))).toBe(false);
  });

  test("a description on one side only: bytes are compared", () => {
    const plain = blob("uart", 1, 2, 3, 4);
    expect(isEqual(diff({ devices: [uart(1, 2, 3, 4)] }, { devices: [plain] }))).toBe(true);
    const other = text({ devices: [uart(1, 2, 3, 5)] }, { devices: [plain] });
    expect(other).toEqual(['device "uart" instance 0', "  raw from byte 3 on: 05 -> 04"]);
  });

  test("an iterative handler: where its rounds end does not count", () => {
    const round = (type: ToyDevice["type"], shift: number): ToyDevice => ({
      name: "spapr/htab",
      type,
      id: 5,
      body: Uint8Array.of(0, 0, 0, shift),
    });
    const a = { devices: [round("start", 18), round("end", 1)] };
    expect(isEqual(diff(a, a))).toBe(true);
    expect(diff(a, { devices: [round("start", 18), round("end", 2)] }).devices).toMatchObject([
      { name: "spapr/htab", fields: [{ path: "raw" }] },
    ]);
  });

  test("very many differences in one device: the list is cut and says so", () => {
    const wide = (byte: number): ToyDevice => ({
      name: "vram",
      body: new Uint8Array(5000).fill(byte),
      fields: [{ name: "bytes", array_len: 5000, type: "uint8", size: 1 }],
    });
    const [device] = diff({ devices: [wide(1)] }, { devices: [wide(2)] }).devices;
    expect({ more: device.more, listed: device.fields.length }).toEqual({ more: true, listed: 4096 });
    expect(text({ devices: [wide(1)] }, { devices: [wide(2)] }).at(-1)).toBe("  and 4076 more (--json has them)");
  });

  test("the machine type: a difference of the configuration", () => {
    expect(diff({}, { machine: "toy-2.0" }).configuration).toEqual([{ path: "machine", a: "toy-1.0", b: "toy-2.0" }]);
  });
});

describe("diffScans: RAM", () => {
  test("other records, the same content: equal", () => {
    const once = ram(3, (r) => {
      r.page("ram0", 0, pageOf(7));
      r.zero("ram0", PAGE);
    });
    const twice = ram(3, (r) => {
      r.page("ram0", 2 * PAGE, pageOf(0));
      r.page("ram0", 0, pageOf(1));
      r.zero("ram0", 0, 7);
    });
    expect(isEqual(diff(once, twice))).toBe(true);
  });

  test("pages that differ: neighbours are one range, the last page counts", () => {
    const a = ram(64, (r) => {
      for (const n of [3, 4, 17, 63]) r.page("ram0", n * PAGE, pageOf(n));
    });
    const b = ram(64, (r) => r.page("ram0", 17 * PAGE, pageOf(17).fill(1, PAGE - 1)));
    expect(json(a, b)).toMatchObject({
      equal: false,
      ram: {
        pageSize: { a: PAGE, b: PAGE },
        blocks: [
          {
            name: "ram0",
            onlyIn: null,
            length: { a: 64 * PAGE, b: 64 * PAGE },
            pages: 4,
            ranges: [
              { offset: 3 * PAGE, length: 2 * PAGE },
              { offset: 17 * PAGE, length: PAGE },
              { offset: 63 * PAGE, length: PAGE },
            ],
            more: false,
          },
        ],
      },
    });
    expect(text(a, b)).toEqual([
      'block "ram0": 4 pages differ',
      "  0x3000-0x4fff",
      "  0x11000-0x11fff",
      "  0x3f000-0x3ffff",
    ]);
  });

  test("another length: told, and what both have is compared", () => {
    const a = ram(20, (r) => r.page("ram0", 19 * PAGE, pageOf(1)));
    const b = ram(17, (r) => r.page("ram0", 16 * PAGE, pageOf(1)));
    const [block] = diff(a, b).blocks;
    expect(block).toMatchObject({
      length: { a: 20 * PAGE, b: 17 * PAGE },
      pages: 1,
      ranges: [{ offset: 16 * PAGE, length: PAGE }],
    });
  });

  test("a block that one side lacks: only in that one", () => {
    const [block] = diff(ram(2, undefined), {}).blocks;
    expect(block).toMatchObject({ name: "ram0", onlyIn: "a", length: { a: 2 * PAGE, b: null } });
    expect(text({}, ram(2, undefined))).toEqual(['block "ram0": only in B, 8192 bytes']);
  });

  test("every other page of a large block: counted, the list of ranges is cut", () => {
    const [pageSize, pages] = [256, (1 << 16) + 5];
    const block = { name: "ram0", length: 2 * pages * pageSize };
    const filled = compose({
      blocks: [block],
      records: (r) => {
        for (let n = 0; n < pages; n++) r.zero("ram0", 2 * n * pageSize, 1);
      },
    });
    const found = diffScans(scanBytes(filled, { pageSize }), scanBytes(compose({ blocks: [block] }), { pageSize }));
    const [{ pages: count, ranges, more }] = found.blocks;
    expect({ count, listed: ranges.length, more }).toEqual({ count: pages, listed: 1 << 16, more: true });
  });
});
