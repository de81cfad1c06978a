import { describe, expect, test } from "vitest";
import { SCHEMA_LIMITS } from "../../src/limits.js";
import { compareSchemas } from "../../src/vmstate/schema-check.js";
import type { SchemaFinding } from "../../src/vmstate/schema-findings.js";
import { parseSchema, schemaFromJson } from "../../src/vmstate/schema.js";

type Json = Record<string, unknown>;

const field = (name: string, more: Json = {}): Json => ({
  field: name,
  version_id: 0,
  field_exists: false,
  size: 4,
  ...more,
});
const description = (name: string, more: Json = {}): Json => ({ name, version_id: 2, minimum_version_id: 1, ...more });
const fields = (...names: string[]): Json[] => names.map((name) => field(name));
const struct = (name: string, ...inner: Json[]): Json =>
  field(name, { Description: description(`${name}-state`, { Fields: inner }) });

/** A machine with one device, `uart`, whose description has the given members. */
function machine(members: Json, device: Json = {}, name = "uart"): Json {
  return {
    vmschkmachine: { Name: "toy-1.0" },
    [name]: { Name: name, version_id: 2, minimum_version_id: 1, Description: description("uart", members), ...device },
  };
}

function findings(old: Json, now: Json): readonly SchemaFinding[] {
  return compareSchemas(schemaFromJson(old), schemaFromJson(now)).findings;
}

function brief(old: Json, now: Json): string[] {
  return findings(old, now).map(({ severity, code, path }) => `${severity} ${code} ${path}`);
}

const withFields = (...list: Json[]): Json => machine({ Fields: list });

describe("compareSchemas, machines and devices", () => {
  test("equal schemas: nothing is found", () => {
    const schema = machine({ Fields: fields("a", "b"), Subsections: [description("uart/x")] });
    expect(compareSchemas(schemaFromJson(schema), schemaFromJson(schema))).toEqual({
      findings: [],
      errors: 0,
      warnings: 0,
    });
  });

  test("another machine: a warning, not an error", () => {
    const now = { ...machine({}), vmschkmachine: { Name: "toy-2.0" } };
    const result = compareSchemas(schemaFromJson(machine({})), schemaFromJson(now));
    expect(result).toMatchObject({ errors: 0, warnings: 1 });
    expect(result.findings[0]).toMatchObject({ code: "MACHINE_DIFFERS", device: null, old: "toy-1.0", new: "toy-2.0" });
  });

  test("machine no longer named: an error; machine newly named: nothing", () => {
    const { vmschkmachine: _, ...anonymous } = machine({});
    expect(brief(machine({}), anonymous)).toEqual(["error MACHINE_MISSING machine"]);
    expect(brief(anonymous, machine({}))).toEqual([]);
  });

  test("device gone: an error; device added: nothing", () => {
    const empty = { vmschkmachine: { Name: "toy-1.0" } };
    expect(brief(machine({}), empty)).toEqual(["error DEVICE_MISSING uart"]);
    expect(brief(empty, machine({}))).toEqual([]);
  });

  test.each([
    ["ICH9 LPC", "ICH9-LPC"],
    ["e1000-82540em", "e1000"],
  ])("device %s, renamed to %s in QEMU: found in both directions", (a, b) => {
    const one = machine({ Fields: fields("a") }, {}, a);
    const other = machine({ Fields: fields("a") }, {}, b);
    expect([brief(one, other), brief(other, one)]).toEqual([[], []]);
  });

  test("option device: other devices are not compared", () => {
    const old = schemaFromJson({ ...machine({}), ...machine({}, {}, "vga") });
    const now = schemaFromJson({ vmschkmachine: { Name: "toy-1.0" } });
    const result = compareSchemas(old, now, { device: "vga" });
    expect(result.findings.map(({ device }) => device)).toEqual(["vga"]);
  });
});

describe("compareSchemas, versions", () => {
  test("device version lowered: the section and its description each count", () => {
    const old = machine({ version_id: 3 }, { version_id: 3 });
    expect(brief(old, machine({}))).toEqual(["error VERSION_LOWERED uart", "error VERSION_LOWERED uart > uart"]);
    expect(findings(old, machine({}))[0]).toMatchObject({ old: 3, new: 2 });
    expect(brief(machine({}), old)).toEqual([]);
  });

  test("minimum version raised above what the old side writes: counts once, at the description", () => {
    const now = machine({ version_id: 4, minimum_version_id: 3 }, { version_id: 4, minimum_version_id: 3 });
    expect(brief(machine({}), now)).toEqual(["error MINIMUM_VERSION_RAISED uart > uart"]);
    expect(findings(machine({}), now)[0]).toMatchObject({ old: 2, new: 3 });
  });

  test("minimum version raised at the section alone: a warning", () => {
    expect(brief(machine({}), machine({}, { minimum_version_id: 3 }))).toEqual(["warning MINIMUM_VERSION_RAISED uart"]);
  });

  test("minimum version not stated by the new side: nothing", () => {
    expect(brief(machine({}), machine({ minimum_version_id: undefined }))).toEqual([
      "error MEMBER_MISSING uart > uart",
    ]);
    expect(brief(machine({ minimum_version_id: undefined }), machine({}))).toEqual([]);
  });

  test("field expected from an earlier version than it is sent: an error", () => {
    const old = withFields(field("a", { version_id: 2 }));
    expect(brief(old, withFields(field("a")))).toEqual(["error VERSION_LOWERED uart > uart > a"]);
    expect(brief(withFields(field("a")), old)).toEqual([]);
  });

  test("version of a nested structure lowered: explained as unchecked, unlike that of a subsection", () => {
    const nested = (version_id: number): Json =>
      withFields(field("a", { Description: description("fifo", { version_id }) }));
    const optional = (version_id: number): Json => machine({ Subsections: [description("uart/x", { version_id })] });
    const [inField] = findings(nested(9), nested(8));
    const [inSubsection] = findings(optional(9), optional(8));
    expect(inField).toMatchObject({ code: "VERSION_LOWERED", path: "uart > uart > a > fifo" });
    expect(inField?.explanation).toMatch("not in the stream");
    expect(inSubsection).toMatchObject({ code: "VERSION_LOWERED", path: "uart > uart > uart/x" });
    expect(inSubsection?.explanation).toMatch("stops as too new");
  });
});

describe("compareSchemas, descriptions and subsections", () => {
  test("description of another name: an error, and its fields are not compared", () => {
    const old = withFields(field("a"));
    const now = machine({ name: "serial", Fields: [] });
    expect(brief(old, now)).toEqual(["error DESCRIPTION_DIFFERS uart > uart"]);
  });

  test("description renamed in QEMU, for this device: nothing; for another device: an error", () => {
    const nested = (device: string, name: string): Json =>
      machine({ Fields: [field("a", { Description: description(name) })] }, {}, device);
    expect(brief(nested("ioh3420", "PCIDevice"), nested("ioh3420", "PCIEDevice"))).toEqual([]);
    expect(brief(nested("vga", "PCIDevice"), nested("vga", "PCIEDevice"))).toEqual([
      "error DESCRIPTION_DIFFERS vga > uart > a > PCIDevice",
    ]);
  });

  test.each(["Fields", "Subsections"])("description without %s any more: an error; newly with: nothing", (key) => {
    expect(brief(machine({ [key]: [] }), machine({}))).toEqual(["error MEMBER_MISSING uart > uart"]);
    expect(brief(machine({}), machine({ [key]: [] }))).toEqual([]);
  });

  test("device without description any more: an error", () => {
    expect(brief(machine({}), machine({}, { Description: undefined }))).toEqual(["error MEMBER_MISSING uart"]);
  });

  test("unknown member gone: an error that names it", () => {
    const [finding] = findings(machine({ Extra: 1 }), machine({}));
    expect(finding).toMatchObject({ code: "MEMBER_MISSING", old: "Extra", new: null });
  });

  test("subsection gone: an error; added or moved: nothing", () => {
    const one = machine({ Subsections: [description("uart/x")] });
    const two = machine({ Subsections: [description("uart/y"), description("uart/x")] });
    expect(brief(two, one)).toEqual(["error SUBSECTION_MISSING uart > uart > uart/y"]);
    expect(brief(one, two)).toEqual([]);
  });

  test("difference inside a subsection of a subsection: found there", () => {
    const deep = (size: number): Json =>
      machine({
        Subsections: [
          description("uart/x", { Subsections: [description("uart/x/y", { Fields: [field("a", { size })] })] }),
        ],
      });
    expect(brief(deep(4), deep(8))).toEqual(["error FIELD_SIZE uart > uart > uart/x > uart/x/y > a"]);
  });
});

describe("compareSchemas, fields", () => {
  test.each([
    ["inserted", fields("a", "c"), fields("a", "b", "c"), "put in front"],
    ["removed", fields("a", "b", "c"), fields("a", "c"), "nobody reads it"],
    ["moved", fields("a", "b", "c"), fields("a", "c", "b"), "swap values"],
    ["renamed", fields("a", "b", "d"), fields("a", "c", "e"), "only renamed"],
    ["replaced", fields("a", "b"), [field("a"), field("c", { size: 8 })], "Sizes differ"],
  ])("field %s: one error at the first mismatch, the rest is skipped", (_, old, now, reason) => {
    const result = findings(withFields(...old), withFields(...now));
    expect(result).toHaveLength(1);
    expect(result[0]).toMatchObject({ severity: "error", code: "FIELD_DIFFERS" });
    expect(result[0]?.explanation).toMatch(reason);
  });

  test("last field gone: an error; a field added at the end: nothing", () => {
    const one = withFields(...fields("a"));
    const two = withFields(...fields("a", "b", "c"));
    expect(brief(two, one)).toEqual(["error FIELD_MISSING uart > uart > b"]);
    expect(brief(one, two)).toEqual([]);
  });

  test("size of a plain field differs: an error; of a structure: nothing", () => {
    const sized = (size: number): Json[] => [
      field("a", { size }),
      field("b", { size, Description: description("fifo") }),
    ];
    expect(brief(withFields(...sized(4)), withFields(...sized(8)))).toEqual(["error FIELD_SIZE uart > uart > a"]);
  });

  test("length of an array differs: a warning, for QEMU's checker does not look; unknown on one side: nothing", () => {
    const array = (num?: number): Json => withFields(field("a", num === undefined ? {} : { num }));
    expect(brief(array(2), array(3))).toEqual(["warning FIELD_COUNT uart > uart > a"]);
    expect([brief(array(2), array()), brief(array(), array(2))]).toEqual([[], []]);
  });

  test("structure became a plain value: an error; the opposite is a matter of size only", () => {
    const nested = withFields(struct("a", field("x")));
    const plain = withFields(field("a"));
    expect(brief(nested, plain)).toEqual(["error DESCRIPTION_MISSING uart > uart > a"]);
    expect(brief(plain, nested)).toEqual([]);
  });

  test("field renamed in QEMU: its own description only", () => {
    const pair = (name: string): [Json, Json] => [
      machine({ name, Fields: fields("dev", "z") }, { Name: name }, name),
      machine({ name, Fields: fields("parent_obj", "z") }, { Name: name }, name),
    ];
    expect(brief(...pair("rtl8139"))).toEqual([]);
    expect(brief(...pair("other"))).toEqual(["error FIELD_DIFFERS other > other > dev"]);
  });

  test("fields wrapped into a structure, or unwrapped: the same bytes, nothing is found", () => {
    const flat = withFields(...fields("a", "b", "c", "d"));
    const wrapped = withFields(field("a"), struct("s", ...fields("b", "c")), field("d"));
    const twice = withFields(field("a"), struct("s", struct("b", field("b")), field("c")), field("d"));
    expect([brief(flat, wrapped), brief(wrapped, flat), brief(wrapped, twice)]).toEqual([[], [], []]);
  });

  test("wrapped fields that differ inside: found, and told by the name of the outer description", () => {
    const flat = withFields(...fields("a", "b", "c", "d"));
    const wrapped = withFields(field("a"), struct("s", ...fields("b", "x")), field("d"));
    expect(brief(flat, wrapped)).toEqual(["error FIELD_DIFFERS uart > uart > c"]);
    expect(brief(wrapped, flat)).toEqual(["error FIELD_DIFFERS uart > uart > x"]);
  });
});

describe("compareSchemas, unused bytes", () => {
  const unused = (size: number): Json => field("unused", { size });

  test.each([
    ["one field of the same size", [field("a"), field("z")], [unused(4), field("z")]],
    ["an array of the same total", [field("a", { num: 3 }), field("z")], [unused(12), field("z")]],
    ["a run of fields", [...fields("a", "b", "c"), field("z")], [unused(12), field("z")]],
  ])("unused bytes in the place of %s: nothing in either direction", (_, full, padded) => {
    const [one, two] = [withFields(...full), withFields(...padded)];
    expect([brief(one, two), brief(two, one)]).toEqual([[], []]);
  });

  test("unused bytes that end inside a field: an error in both directions", () => {
    const full = withFields(...fields("a", "b", "z"));
    const padded = withFields(unused(6), field("z"));
    expect(brief(full, padded)).toEqual(["error PADDING_SIZE uart > uart > a"]);
    expect(brief(padded, full)).toEqual(["error PADDING_SIZE uart > uart > unused"]);
  });

  test("unused bytes shorter than the first field: an error", () => {
    expect(brief(withFields(...fields("a", "z")), withFields(unused(2), field("z")))).toEqual([
      "error PADDING_SIZE uart > uart > a",
    ]);
  });

  test("fields run out under unused bytes: an error only if the old side sends more", () => {
    const full = withFields(...fields("a", "b"));
    const padded = withFields(unused(12));
    expect(brief(padded, full)).toEqual(["error FIELD_MISSING uart > uart > unused"]);
    expect(brief(full, padded)).toEqual([]);
  });
});

describe("compareSchemas, hostile schemas", () => {
  const many = (count: number, name: (index: number) => string): Json =>
    machine({ Subsections: Array.from({ length: count }, (_, index) => description(name(index))) });

  test.each([
    ["equal", () => "uart/x"],
    ["different", (index: number) => `uart/${index}`],
  ])("subsections of %s names that multiply: refused, not compared for ever", (_, name) => {
    const schema = schemaFromJson(many(1500, name));
    expect(() => compareSchemas(schema, schema)).toThrow(
      expect.objectContaining({ code: "SCHEMA_INVALID", message: expect.stringMatching("comparisons") as string }),
    );
  });

  test("more findings than are kept: refused", () => {
    const old = schemaFromJson(many(SCHEMA_LIMITS.findings + 1, (index) => `uart/${index}`));
    expect(() =>
      compareSchemas(
        old,
        parseSchema(
          '{"uart":{"version_id":2,"Description":{"name":"uart","version_id":2,' +
            '"minimum_version_id":0,"Subsections":[]}}}',
        ),
      ),
    ).toThrow(
      expect.objectContaining({ code: "SCHEMA_INVALID", message: expect.stringMatching("findings") as string }),
    );
  });
});
