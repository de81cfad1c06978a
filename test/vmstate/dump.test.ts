import { describe, expect, it } from "vitest";
import { vmstate } from "../../src/vmstate/describe.js";
import { dumpSchema } from "../../src/vmstate/dump.js";
import { array, bool, buffer, struct, u32, u8, validate } from "../../src/vmstate/fields.js";
import { compareSchemas } from "../../src/vmstate/schema-check.js";
import { parseSchema } from "../../src/vmstate/schema.js";

const fifo = vmstate("fifo", { version: 2, minimumVersion: 1, fields: [u8("head"), buffer("data", 16)] });
const uart = (version: number): Parameters<typeof dumpSchema>[1] extends Iterable<infer E> ? E : never => ({
  type: "isa-uart",
  state: vmstate("uart", {
    version,
    minimumVersion: 2,
    fields: [
      u8("rbr"),
      array("regs", u32, 4),
      struct("fifo", fifo, { memorySize: 40 }),
      validate("fifo is sane", () => true),
      bool("thri", { since: 3, exists: () => true }),
    ],
    subsections: [vmstate("uart/timeout", { version: 1, fields: [u32("ticks")] })],
  }),
});

describe("dumpSchema", () => {
  it("a machine with one device: the text is laid out as QEMU's", () => {
    expect(dumpSchema("toy-1.0", [uart(3)])).toBe(`{
  "vmschkmachine": {
    "Name": "toy-1.0"
  },
  "isa-uart": {
    "Name": "isa-uart",
    "version_id": 3,
    "minimum_version_id": 2,
    "Description": {
      "name": "uart",
      "version_id": 3,
      "minimum_version_id": 2,
      "Fields": [
        {
          "field": "rbr",
          "version_id": 0,
          "field_exists": false,
          "size": 1
        },
        {
          "field": "regs",
          "version_id": 0,
          "field_exists": false,
          "num": 4,
          "size": 4
        },
        {
          "field": "fifo",
          "version_id": 0,
          "field_exists": false,
          "size": 40,
          "Description": {
            "name": "fifo",
            "version_id": 2,
            "minimum_version_id": 1,
            "Fields": [
              {
                "field": "head",
                "version_id": 0,
                "field_exists": false,
                "size": 1
              },
              {
                "field": "data",
                "version_id": 0,
                "field_exists": false,
                "size": 16
              }
            ]
          }
        },
        {
          "field": "thri",
          "version_id": 3,
          "field_exists": true,
          "size": 1
        }
      ],
      "Subsections": [
        {
          "name": "uart/timeout",
          "version_id": 1,
          "minimum_version_id": 0,
          "Fields": [
            {
              "field": "ticks",
              "version_id": 0,
              "field_exists": false,
              "size": 4
            }
          ]
        }
      ]
    }
  }
}
`);
  });

  it("a newer dump against an older one: compatible one way only", () => {
    const older = parseSchema(dumpSchema("toy-1.0", [uart(3)]));
    const newer = parseSchema(dumpSchema("toy-1.0", [uart(4)]));
    expect(compareSchemas(older, newer).findings.filter((finding) => finding.severity === "error")).toEqual([]);
    expect(compareSchemas(newer, older).findings.some((finding) => finding.severity === "error")).toBe(true);
  });

  it("one device type twice: a RangeError", () => {
    expect(() => dumpSchema("toy", [uart(3), uart(3)])).toThrow(RangeError);
  });
});
