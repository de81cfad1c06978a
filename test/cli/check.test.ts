import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Command } from "commander";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { check, registerCheck, type CheckOptions } from "../../src/cli/check.js";
import { SCHEMA_LIMITS } from "../../src/limits.js";

const folder = mkdtempSync(join(tmpdir(), "check-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const schema = (fields: string[], device = "uart"): string =>
  JSON.stringify({
    vmschkmachine: { Name: "toy-1.0" },
    [device]: {
      version_id: 1,
      Description: {
        name: device,
        version_id: 1,
        Fields: fields.map((field) => ({ field, version_id: 0, size: 1 })),
      },
    },
  });
const long = file("long.json", schema(["a", "b"]));
const short = file("short.json", schema(["a"]));

async function run(old: string, now: string, options: CheckOptions = {}) {
  let out = "";
  let err = "";
  const status = await check(old, now, options, { out: (text) => (out += text), err: (text) => (err += text) });
  return { status, out, err };
}

describe("check", () => {
  test("compatible schemas: status 0 and a summary", async () => {
    const { status, out, err } = await run(short, long);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toBe(
      [`Old: ${short} (toy-1.0, 1 device)`, `New: ${long} (toy-1.0, 1 device)`, "", "Compatible", ""].join("\n"),
    );
  });

  test("incompatible schemas: status 1, findings under their device, with reasons", async () => {
    const { status, out } = await run(long, short);
    expect(status).toBe(1);
    expect(out).toMatch(
      /^uart\n {2}error {4}uart > b: Expected field "b", but the new description ends here\n {11}The/m,
    );
    expect(out).toMatch(/\nNot compatible: 1 error\n$/);
  });

  test("--json: one object", async () => {
    const { status, out } = await run(long, short, { json: true });
    expect(status).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      old: { file: long, machine: "toy-1.0", devices: 1 },
      new: { file: short },
      findings: [
        { severity: "error", code: "FIELD_MISSING", device: "uart", path: "uart > uart > b", old: "b", new: null },
      ],
      errors: 1,
      warnings: 0,
    });
  });

  test("--reverse: the roles swap, in the report as well", async () => {
    const { status, out } = await run(short, long, { reverse: true });
    expect(status).toBe(1);
    expect(out).toMatch(`Old: ${long}`);
  });

  test("--quiet: the status alone", async () => {
    expect(await run(long, short, { quiet: true })).toEqual({ status: 1, out: "", err: "" });
  });

  test("--device: only that one; a device that is not there is bad input", async () => {
    expect((await run(long, short, { device: "uart" })).status).toBe(1);
    const { status, err } = await run(long, short, { device: "vga" });
    expect({ status, err }).toEqual({ status: 1, err: `savevm check: No device "vga" in ${long}\n` });
  });

  test("gzip and file: paths: read", async () => {
    const packed = file("long.json.gz", gzipSync(schema(["a", "b"])));
    expect((await run(`file:${packed}`, long)).status).toBe(0);
  });

  test.each([
    ["missing file", join(folder, "none"), /ENOENT/],
    ["no JSON", file("text", "{]"), /Schema is not JSON/],
    ["wrong type", file("type", '{"d": 1}'), /number 1 where an object belongs \[field d\]/],
    ["broken gzip", file("broken.gz", gzipSync("{}").subarray(0, 12)), /not valid gzip/],
    ["gzip bomb", file("bomb.gz", gzipSync(Buffer.alloc(SCHEMA_LIMITS.bytes + 1))), /too long: at most \d+ bytes/],
    ["endless file", "/dev/zero", /too long: at most \d+ bytes/],
  ])("%s: status 1, one line that names the file", async (_, path, message) => {
    const { status, out, err } = await run(long, path);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(message);
    expect(err).toMatch(`savevm check: ${path}: `);
    expect(err.split("\n")).toHaveLength(2);
  });

  test("standard input for both: wrong usage", async () => {
    expect((await run("-", "-")).status).toBe(2);
  });

  test("control characters in names: kept off the terminal", async () => {
    const evil = file("evil.json", schema(["a"], "\u001b[2J\u009b"));
    const { out } = await run(evil, short);
    expect(out).not.toMatch(/[^\P{Cc}\n]/u);
  });
});

describe("registerCheck", () => {
  afterEach(() => {
    process.exitCode = undefined;
    vi.restoreAllMocks();
  });

  test("verb with options: the status becomes the exit code", async () => {
    const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const program = new Command();
    registerCheck(program);
    await program.parseAsync(["check", "--json", "--reverse", short, long], { from: "user" });
    expect(process.exitCode).toBe(1);
    expect(write).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/"errors": 1/));
  });
});
