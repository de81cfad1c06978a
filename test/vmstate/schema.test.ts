import { describe, expect, test } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { SCHEMA_LIMITS } from "../../src/limits.js";
import { parseSchema } from "../../src/vmstate/schema.js";

const DEVICE = '"version_id": 1, "minimum_version_id": 0';
const withField = (members: string): string =>
  `{"d": {${DEVICE}, "Description": {"name": "d", "version_id": 1, "Fields": [{${members}}]}}}`;

function failure(text: string): { code: string; field: string | null; message: string } {
  try {
    parseSchema(text);
  } catch (error) {
    if (isMigrationError(error)) return { code: error.code, field: error.field, message: error.message };
    throw error;
  }
  throw new Error("parsed");
}

describe("parseSchema", () => {
  test("a dump as QEMU writes it: every member is read", () => {
    const schema = parseSchema(`{
      "vmschkmachine": {"Name": "toy-1.0"},
      "uart": {"Name": "uart", "version_id": 3, "minimum_version_id": 2,
        "Description": {"name": "serial", "version_id": 3, "minimum_version_id": 2,
          "Fields": [
            {"field": "regs", "version_id": 0, "field_exists": true, "num": 8, "size": 4},
            {"field": "fifo", "version_id": 3, "field_exists": false, "size": 24,
             "Description": {"name": "fifo8", "version_id": 1, "minimum_version_id": 1, "Fields": []}}],
          "Subsections": [{"name": "serial/x", "version_id": 1, "minimum_version_id": 1}]}}}`);
    expect(schema.machine).toBe("toy-1.0");
    expect(schema.devices.get("uart")).toEqual({
      name: "uart",
      versionId: 3,
      minimumVersionId: 2,
      members: ["Name", "version_id", "minimum_version_id", "Description"],
      description: {
        name: "serial",
        versionId: 3,
        minimumVersionId: 2,
        members: ["name", "version_id", "minimum_version_id", "Fields", "Subsections"],
        fields: [
          { name: "regs", versionId: 0, minimumVersionId: null, size: 4, num: 8, fieldExists: true, description: null },
          {
            name: "fifo",
            versionId: 3,
            minimumVersionId: null,
            size: 24,
            num: null,
            fieldExists: false,
            description: {
              name: "fifo8",
              versionId: 1,
              minimumVersionId: 1,
              fields: [],
              subsections: null,
              members: ["name", "version_id", "minimum_version_id", "Fields"],
            },
          },
        ],
        subsections: [
          {
            name: "serial/x",
            versionId: 1,
            minimumVersionId: 1,
            fields: null,
            subsections: null,
            members: ["name", "version_id", "minimum_version_id"],
          },
        ],
      },
    });
  });

  test("key that occurs twice: the last one counts", () => {
    expect(parseSchema(`{"d": {"version_id": 1, "version_id": 2}}`).devices.get("d")?.versionId).toBe(2);
  });

  test("byte order mark: skipped", () => {
    expect(parseSchema("\uFEFF{}").devices.size).toBe(0);
  });

  test("device named like a member of every object: a device like any other", () => {
    expect([...parseSchema(`{"__proto__": {"version_id": 1}}`).devices.keys()]).toEqual(["__proto__"]);
  });

  test.each([
    ["no JSON", "{,}", null],
    ["a list", "[]", null],
    ["null", "null", null],
    ["a machine that is no object", `{"vmschkmachine": "pc"}`, "vmschkmachine"],
    ["a machine without name", `{"vmschkmachine": {}}`, "vmschkmachine.Name"],
    ["a device that is a number", `{"d": 1}`, "d"],
    ["a device without version", `{"d": {}}`, "d.version_id"],
    ["a version that is a string", `{"d": {"version_id": "1"}}`, "d.version_id"],
    ["a version that is a fraction", `{"d": {"version_id": 1.5}}`, "d.version_id"],
    ["a version out of range", `{"d": {"version_id": 1e300}}`, "d.version_id"],
    ["a minimum version of null", `{"d": {"version_id": 1, "minimum_version_id": null}}`, "d.minimum_version_id"],
    ["a description of null", `{"d": {${DEVICE}, "Description": null}}`, "d.Description"],
    ["a description without name", `{"d": {${DEVICE}, "Description": {${DEVICE}}}}`, "d.Description.name"],
    [
      "fields that are no list",
      `{"d": {${DEVICE}, "Description": {"name": "d", ${DEVICE}, "Fields": {}}}}`,
      "d.Description.Fields",
    ],
    [
      "a subsection that is a string",
      `{"d": {${DEVICE}, "Description": {"name": "d", ${DEVICE}, "Subsections": ["x"]}}}`,
      "d.Description.Subsections[0]",
    ],
    ["a field without size", withField(`"field": "a", "version_id": 0`), "d.Description.Fields[0].size"],
    ["a negative size", withField(`"field": "a", "version_id": 0, "size": -1`), "d.Description.Fields[0].size"],
    ["a field without name", withField(`"version_id": 0, "size": 1`), "d.Description.Fields[0].field"],
    [
      "an array length of true",
      withField(`"field": "a", "version_id": 0, "size": 1, "num": true`),
      "d.Description.Fields[0].num",
    ],
    [
      "field_exists of 1",
      withField(`"field": "a", "version_id": 0, "size": 1, "field_exists": 1`),
      "d.Description.Fields[0].field_exists",
    ],
  ])("%s: SCHEMA_INVALID, with its place", (_, text, field) => {
    expect(failure(text)).toMatchObject({ code: "SCHEMA_INVALID", field });
  });

  test("descriptions nested up to the ceiling: read; beyond it: refused", () => {
    const nested = (levels: number): string => {
      const open = `{"name": "d", ${DEVICE}, "Subsections": [`;
      const inner = open.repeat(levels - 1) + `{"name": "d", ${DEVICE}}` + "]}".repeat(levels - 1);
      return `{"d": {${DEVICE}, "Description": ${inner}}}`;
    };
    expect(parseSchema(nested(SCHEMA_LIMITS.depth)).devices.size).toBe(1);
    expect(failure(nested(SCHEMA_LIMITS.depth + 1)).message).toMatch("too deep");
    expect(failure(nested(50_000)).message).toMatch("too deep");
  });

  test("arrays nested 100,000 deep: SCHEMA_INVALID, no overflow", () => {
    expect(failure("[".repeat(100_000)).code).toBe("SCHEMA_INVALID");
    expect(failure("[".repeat(100_000) + "]".repeat(100_000)).code).toBe("SCHEMA_INVALID");
  });

  test("name up to the ceiling: read; one longer: refused", () => {
    const named = (length: number): string => `{"${"n".repeat(length)}": {"version_id": 1}}`;
    expect(parseSchema(named(SCHEMA_LIMITS.nameLength)).devices.size).toBe(1);
    expect(failure(named(SCHEMA_LIMITS.nameLength + 1)).message).toMatch("Name too long");
  });

  test("text beyond the ceiling: refused unparsed", () => {
    expect(failure(" ".repeat(SCHEMA_LIMITS.bytes + 1)).message).toMatch("too long");
  });
});
