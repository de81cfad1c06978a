import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runSavevm } from "./whole-command.js";

const recording = (name: string): string => fileURLToPath(new URL(`../streams/${name}.gz`, import.meta.url));
const none = gunzipSync(readFileSync(recording("none")));

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "savevm-cli-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** The header of a libvirt save file, in the byte order of little-endian hosts unless told. */
function libvirt(format: number, littleEndian = true): Buffer {
  const xml = Buffer.from("<domain/>\0");
  const header = Buffer.alloc(92);
  header.write("LibvirtQemudSave", "latin1");
  const put = (at: number, value: number): unknown =>
    littleEndian ? header.writeUInt32LE(value, at) : header.writeUInt32BE(value, at);
  put(16, 2);
  put(20, xml.length);
  put(28, format);
  return Buffer.concat([header, xml]);
}

describe("savevm inspect", () => {
  it("a gzip file: a readable summary, status 0, nothing on standard error", async () => {
    const { status, out, err } = await runSavevm("inspect", recording("pc"));
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toContain("Machine: pc-i440fx-7.2\n");
    expect(out).toMatch(/^ {2}pc\.ram +8 MiB /m);
  });

  it("--json: one object, with hashes", async () => {
    const { out } = await runSavevm("inspect", "--json", recording("none"));
    expect(JSON.parse(out)).toMatchObject({ format: "stream", bytes: none.length, configuration: { machine: "none" } });
  });

  it("--no-hash: hashes are null", async () => {
    const { out } = await runSavevm("inspect", "--json", "--no-hash", recording("isapc"));
    const { ram } = JSON.parse(out) as { ram: { blocks: { sha256: string | null }[] } };
    expect(new Set(ram.blocks.map(({ sha256 }) => sha256))).toEqual(new Set([null]));
  });

  const same = async (uri: string): Promise<void> => {
    const [plain, other] = [
      await runSavevm("inspect", "--json", file("none", none)),
      await runSavevm("inspect", "--json", uri),
    ];
    expect(other).toEqual(plain);
  };

  it("file:PATH,offset=N: the stream begins there", async () => {
    await same(`file:${file("offset", Buffer.concat([Buffer.alloc(0x1000), none]))},offset=0x1000`);
  });

  it("exec:COMMAND: what it prints", () => same(`exec:gzip -dc '${recording("none")}'`));

  it("unix:PATH: waits for a connection and reads it", async () => {
    const path = join(folder, "socket");
    const ran = runSavevm("inspect", "--json", `unix:${path}`);
    await expect.poll(() => existsSync(path)).toBe(true);
    connect(path).end(none);
    expect(JSON.parse((await ran).out)).toMatchObject({ bytes: none.length });
  });

  it.each([
    ["raw", () => Buffer.concat([libvirt(0), none])],
    ["of a big-endian host", () => Buffer.concat([libvirt(0, false), none])],
    ["gzip", () => Buffer.concat([libvirt(1), gzipSync(none)])],
    ["in gzip", () => gzipSync(Buffer.concat([libvirt(0), none]))],
  ])("a libvirt save file, %s: its header is skipped", (_, bytes) => same(file("libvirt", bytes())));

  it("--description-from: names the fields of a stream that has no description", async () => {
    const { out } = await runSavevm(
      "inspect",
      "--json",
      recording("pc-i440fx-2.2"),
      "--description-from",
      recording("pc-i440fx-2.3"),
    );
    const { devices } = JSON.parse(out) as { devices: { name: string; fields: Record<string, unknown> }[] };
    expect(devices.filter(({ fields }) => "raw" in fields)).toEqual([]);
  });

  it("names from the stream: no control character reaches the terminal", async () => {
    const bad = Buffer.from(none);
    bad[14] = 0x1b;
    expect((await runSavevm("inspect", file("escape", bad))).out).toContain("Machine: n\\x1bne");
  });
});

describe("savevm inspect: what it cannot read", () => {
  it.each([
    ["a missing file", () => join(folder, "nowhere"), "Open "],
    ["a directory", () => folder, "it is a directory"],
    ["no stream", () => file("text", Buffer.from("hello, world")), "the magic is 0x68656c6c"],
    ["an empty file", () => file("empty", Buffer.alloc(0)), "the stream ends at 0"],
    ["gzip cut short", () => file("cut.gz", gzipSync(none).subarray(0, 200)), "Unpack gzip: the input ends early"],
    ["broken gzip", () => file("broken.gz", gzipSync(none).fill(0xaa, 20, 60)), "Unpack gzip"],
    ["a qcow2 image", () => file("image", Buffer.from("QFI\xfb\0\0\0\x03", "latin1")), "qcow2"],
    ["a multifd channel", () => file("channel", Buffer.from("1122334400000001", "hex")), "multifd channel"],
    ["xz", () => file("xz", Buffer.from("fd377a585a0000", "hex")), "xz -dc"],
    ["a libvirt file in bzip2", () => file("bz", Buffer.concat([libvirt(2), none])), "bzip2"],
    ["a libvirt file cut short", () => file("short", libvirt(0).subarray(0, 50)), "libvirt header"],
  ])("%s: status 1, and one line that says so", async (_, path, text) => {
    const { status, out, err } = await runSavevm("inspect", path());
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toContain(text);
    expect(err.match(/\n/g)).toHaveLength(1);
  });

  it.each([
    ["a failing command", "exec:exit 3", "the command ended with status 3"],
    ["a socket nobody can listen on", "unix:/nowhere/socket", "Listen on unix:/nowhere/socket"],
  ])("%s: status 3", async (_, uri, text) => {
    const { status, err } = await runSavevm("inspect", uri);
    expect(status).toBe(3);
    expect(err).toContain(text);
  });

  it.each([
    ["no input", []],
    ["an unknown option", ["x", "--frob"]],
    ["an empty URI", [""]],
    ["tcp: without a port", ["tcp:localhost"]],
    ["a page size that is none", ["x", "--page-size", "4095"]],
    ["a ceiling that is none", ["x", "--limit", "moonBytes=1"]],
    ["a ceiling that every object has", ["x", "--limit", "toString=1"]],
  ])("%s: wrong usage, status 2", async (_, args) => {
    expect((await runSavevm("inspect", ...args)).status).toBe(2);
  });

  it("an option that is nearly right: still one line", async () => {
    const { status, err } = await runSavevm("inspect", "--jso", "x");
    expect({ status, err }).toEqual({ status: 2, err: "error: unknown option '--jso'\n" });
  });

  it.each([["--multifd"], ["--preempt"], ["--then"]])("%s: not supported yet, status 1", async (option) => {
    const { status, err } = await runSavevm("inspect", recording("none"), option, "x");
    expect(status).toBe(1);
    expect(err).toContain("not supported yet");
  });

  it("a truncated section: offset and section are named", async () => {
    const { err } = await runSavevm("inspect", file("truncated", none.subarray(0, 60)));
    expect(err).toMatch(/^savevm inspect: .* \[offset 60, section "ram" instance 0 \(section id \d+\)\]\n$/);
  });
});

describe("savevm verify", () => {
  it("a good stream: status 0", async () => {
    const { status, out, err } = await runSavevm("verify", recording("pc"));
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toMatch(/^OK: \d+ bytes, \d+ sections, (\d+) of \1 devices /);
  });

  it("--deep: how many bytes are identical", async () => {
    const { status, out } = await runSavevm("verify", "--deep", recording("none"));
    expect(status).toBe(0);
    expect(out).toContain(`Encoded anew: ${none.length} bytes identical, 0 in another form`);
  });

  it("--deep of compressed pages: the choice is named, and no failure", async () => {
    const { status, out } = await runSavevm("verify", "--deep", "--json", recording("microvm-compress"));
    expect(status).toBe(0);
    const { deep } = JSON.parse(out) as { deep: { identical: number; chosen: number; choices: { what: string }[] } };
    expect(deep.identical).toBeGreaterThan(0);
    expect(deep.choices.map(({ what }) => what)).toEqual(
      deep.chosen === 0 ? [] : ["zlib: other bytes for the same page"],
    );
  });

  it("a description that does not fit: status 1, the device is named", async () => {
    const text = none
      .toString("latin1")
      .replace(
        '"name": "runstate", "type": "buffer", "size": 100',
        '"name": "runstate", "type": "buffer", "size": 101',
      );
    const { status, out, err } = await runSavevm("verify", file("misfit", Buffer.from(text, "latin1")));
    expect(status).toBe(1);
    expect(out).toMatch(/^BAD/);
    expect(err).toContain('section "globalstate" instance 0');
  });

  it("a description cut short: QEMU would not mind, verify does", async () => {
    const cut = file("cut", none.subarray(0, none.length - 3));
    expect((await runSavevm("verify", cut)).status).toBe(1);
    expect((await runSavevm("inspect", cut)).status).toBe(0);
  });
});
