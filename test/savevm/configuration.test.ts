import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { DEFAULT_LIMITS } from "../../src/limits.js";
import {
  checkConfiguration,
  loadConfiguration,
  saveConfiguration,
  type Configuration,
} from "../../src/savevm/configuration.js";
import { parseUuid, resolveOptions, type StreamOptions } from "../../src/savevm/options.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { bytesSource } from "../../src/stream/source.js";
import { Writer, concat } from "../../src/stream/writer.js";
import { JsonWriter } from "../../src/vmstate/vmdesc.js";
import { fromHex, toHex } from "../kit/hex.js";

interface Case {
  readonly name: string;
  readonly bytes: string;
  readonly local?: { readonly machine: string; readonly page_bits: number; readonly uuid: string | null };
  readonly decoded?: {
    readonly machine: string;
    readonly capabilities?: readonly string[];
    readonly uuid?: string;
    readonly target_page_bits?: number | null;
    readonly unread?: string;
  };
  readonly error?: string;
}
const { cases } = JSON.parse(readFileSync(new URL("../vectors/configuration.json", import.meta.url), "utf8")) as {
  readonly cases: readonly Case[];
};

const errors: Readonly<Record<string, string>> = {
  "machine type mismatch": "CONFIGURATION",
  "page bits differ": "CONFIGURATION",
  "capability x-ignore-shared is off here": "CAPABILITY",
  "unknown capability": "CAPABILITY",
  "uuid mismatch": "CONFIGURATION",
  "too new": "VERSION_TOO_NEW",
  "no such subsection (-ENOENT)": "SUBSECTION_UNKNOWN",
};

interface Outcome {
  readonly configuration: Configuration;
  readonly unread: string;
  readonly warnings: readonly string[];
}

/** Load what follows the type byte, checked against `local` unless that is null. */
function load(hex: string, local: StreamOptions | null): Outcome {
  const bytes = fromHex(hex);
  const reader = new Reader();
  const warnings: string[] = [];
  const configuration = decodeSync(loadConfiguration(reader), reader, bytesSource(bytes));
  if (local !== null) checkConfiguration(configuration, resolveOptions(local), (text) => warnings.push(text));
  return { configuration, unread: toHex(bytes.subarray(reader.offset)), warnings };
}

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return isMigrationError(error) ? error.code : error;
  }
  return "accepted";
}

function localOf({ local }: Case): StreamOptions | null {
  return local === undefined
    ? null
    : { machine: local.machine, pageSize: 1 << local.page_bits, uuid: local.uuid, strict: true };
}

function expected({ decoded }: Case): Configuration {
  return {
    machine: decoded?.machine ?? "",
    targetPageBits: decoded?.target_page_bits ?? null,
    capabilities: decoded?.capabilities ?? [],
    uuid: decoded?.uuid?.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") ?? null,
  };
}

function saved(options: StreamOptions): string {
  const writer = new Writer();
  saveConfiguration(writer, resolveOptions(options), null);
  return toHex(concat(writer.take()));
}

describe("configuration vectors", () => {
  const [missing, ...bodies] = [...cases].sort((a, b) => Number(a.bytes !== "01") - Number(b.bytes !== "01"));

  it("there are 18, of which one has no section at all", () => {
    expect(cases).toHaveLength(18);
    expect(missing.name).toBe("ERR section missing");
  });

  it.each(bodies.filter(({ error }) => error === undefined))("$name is decoded", (vector) => {
    const { configuration, unread } = load(vector.bytes.slice(2), localOf(vector));
    expect(configuration).toEqual(expected(vector));
    expect(unread).toBe(vector.decoded?.unread ?? "");
  });

  it.each(bodies.filter(({ error }) => error !== undefined))("$name is refused", (vector) => {
    expect(codeOf(() => load(vector.bytes.slice(2), localOf(vector)))).toBe(errors[vector.error ?? ""]);
  });

  it.each([
    ["captured none", { machine: "none" }],
    ["captured pc128", { machine: "pc-i440fx-7.2" }],
    [
      "captured uuid",
      {
        machine: "pc-i440fx-7.2",
        uuid: "00112233-4455-6677-8899-aabbccddeeff",
        capabilities: ["validate-uuid", "x-ignore-shared"],
      },
    ],
    ["captured arm", { machine: "virt-7.2", minimumPageSize: 1024 }],
    ["captured arm5", { machine: "musicpal", pageSize: 1024, minimumPageSize: 1024 }],
  ])("%s is what we write for the same machine", (name, options) => {
    expect(`07${saved(options)}`).toBe(cases.find((vector) => vector.name === name)?.bytes);
  });
});

describe("loadConfiguration", () => {
  const none: StreamOptions = { machine: "none", strict: true };

  it("absent page bits, the local ones above the minimum: refused", () => {
    const options = { ...none, pageSize: 4096, minimumPageSize: 1024 };
    expect(codeOf(() => load(saved({ machine: "none" }), options))).toBe("CONFIGURATION");
  });

  it("absent page bits, the local ones at the minimum: accepted", () => {
    const options = { ...none, pageSize: 1024, minimumPageSize: 1024 };
    expect(load(saved(none), options).configuration.targetPageBits).toBeNull();
  });

  it("a validated capability on at both ends: accepted", () => {
    const options = { ...none, capabilities: ["x-ignore-shared"] };
    expect(load(saved(options), options).configuration.capabilities).toEqual(["x-ignore-shared"]);
  });

  it("a validated capability on at the destination only: refused, naming it", () => {
    expect(() => load(saved(none), { ...none, capabilities: ["x-ignore-shared"] })).toThrow(/x-ignore-shared is off/);
  });

  it("several differing capabilities: all are named", () => {
    const both = { machine: "none", capabilities: ["mapped-ram", "x-ignore-shared"] };
    expect(() => load(saved(both), { machine: "none" })).toThrow(/x-ignore-shared is on, mapped-ram is on/);
  });

  it("mapped-ram: validated, but unknown when strict", () => {
    const mapped = { machine: "none", capabilities: ["mapped-ram"] };
    expect(load(saved(mapped), mapped).configuration.capabilities).toEqual(["mapped-ram"]);
    expect(codeOf(() => load(saved(mapped), { ...mapped, strict: true }))).toBe("CAPABILITY");
  });

  it("a UUID, none set here: accepted with a warning", () => {
    const uuid = "00112233-4455-6677-8899-aabbccddeeff";
    const sent = saved({ ...none, uuid, capabilities: ["validate-uuid"] });
    const { configuration, warnings } = load(sent, none);
    expect(configuration.uuid).toBe(uuid);
    expect(warnings).toEqual([`UUID ${uuid} is received, here none is set`]);
    expect(load(sent, { ...none, uuid }).warnings).toEqual([]);
  });

  it("a UUID without the capability validate-uuid is not sent", () => {
    expect(saved({ ...none, uuid: "00112233445566778899aabbccddeeff" })).toBe(saved(none));
  });

  it.each([
    ["a NUL behind the local name", "6e6f6e6500", "accepted"],
    ["a NUL and more behind the local name", "6e6f6e650078", "accepted"],
    ["no name", "", "accepted"],
    ["a NUL inside it", "6e6f0065", "CONFIGURATION"],
  ])("the name is compared as C does: %s is %s", (_, hex, outcome) => {
    const length = (hex.length / 2).toString(16).padStart(8, "0");
    expect(codeOf(() => load(length + hex, none))).toBe(outcome);
  });

  it("an absurd name length is refused before anything is held", () => {
    expect(codeOf(() => load("7fffffff", none))).toBe("LENGTH_OUT_OF_RANGE");
    expect(codeOf(() => load("ffffffff", none))).toBe("LENGTH_OUT_OF_RANGE");
  });

  it("more capabilities than the ceiling are refused", () => {
    const count = DEFAULT_LIMITS.capabilities + 1;
    const name = "configuration/capabilities";
    const hex = `000000000 51a`.replace(" ", "") + toHex(new TextEncoder().encode(name)) + "00000001";
    expect(codeOf(() => load(hex + count.toString(16).padStart(8, "0"), none))).toBe("LENGTH_OUT_OF_RANGE");
  });

  it("without a local machine anything well-formed will do", () => {
    const hex = saved(none) + "051a" + toHex(new TextEncoder().encode("configuration/capabilities")) + "00000001";
    const { configuration } = load(`${hex}00000001056f74686572`, null);
    expect(configuration).toEqual({ machine: "none", targetPageBits: null, capabilities: ["other"], uuid: null });
  });

  it("errors name the field", () => {
    expect(() => load(saved({ machine: "nonf" }), none)).toThrow(expect.objectContaining({ field: "name" }) as Error);
  });
});

describe("saveConfiguration", () => {
  it("described as QEMU 10.0 does", () => {
    const json = new JsonWriter();
    json.startObject();
    const options = { machine: "pc-i440fx-10.0", capabilities: ["x-ignore-shared", "mapped-ram", "validate-uuid"] };
    const local = resolveOptions({ ...options, uuid: "00112233445566778899aabbccddeeff", descriptionStyle: "10.0" });
    saveConfiguration(new Writer(), local, json);
    json.endObject();
    expect(json.toString()).toBe(
      '{"vmsd_name": "configuration", "version": 1, "fields": [{"name": "len", "type": "uint32", "size": 4}, ' +
        '{"name": "name", "type": "buffer", "size": 14}], "subsections": [{"vmsd_name": "configuration/capabilities", ' +
        '"version": 1, "fields": [{"name": "caps_count", "type": "uint32", "size": 4}, {"name": "capabilities", ' +
        '"array_len": 2, "type": "capability", "size": 16}]}, {"vmsd_name": "configuration/uuid", "version": 1, ' +
        '"fields": [{"name": "uuid.data", "array_len": 16, "type": "uint8", "size": 1}]}]}',
    );
  });
});

describe("options", () => {
  it.each([100, 128, 0, -4096, 131072, 4096.5, NaN])("a page size of %s is refused", (pageSize) => {
    expect(() => resolveOptions({ machine: "none", pageSize })).toThrow(RangeError);
  });

  it("a minimum above the page size is refused", () => {
    expect(() => resolveOptions({ machine: "none", pageSize: 1024, minimumPageSize: 4096 })).toThrow(RangeError);
  });

  it.each(["", "0011", "00112233-4455-6677-8899-aabbccddeefg"])("the UUID %j is refused", (uuid) => {
    expect(() => parseUuid(uuid)).toThrow(RangeError);
  });

  it("what is not said is required when strict, and detected otherwise", () => {
    expect(resolveOptions({ machine: "none", strict: true })).toMatchObject({ configuration: true, footers: true });
    expect(resolveOptions({ machine: "none" })).toMatchObject({ configuration: "detect", footers: "detect" });
  });
});
