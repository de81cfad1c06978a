/** The verbs that make something of a stream: diff, convert, extract. */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { compose, PAGE, pageOf, type ToyDevice } from "../inspect/scan-kit.js";
import { runCli } from "./run-cli.js";

const root = mkdtempSync(join(tmpdir(), "savevm-cli-"));
afterAll(() => rmSync(root, { recursive: true }));

let folder = root;
let count = 0;
beforeEach(() => mkdirSync((folder = join(root, String(count++)))));

const path = (name: string) => join(folder, name);
function file(name: string, bytes: Uint8Array): string {
  writeFileSync(path(name), bytes);
  return path(name);
}
const recording = (name: string) => new URL(`../streams/${name}.gz`, import.meta.url).pathname;
const uart = (lcr: number): ToyDevice => ({
  name: "uart",
  body: Uint8Array.of(lcr),
  fields: [{ name: "lcr", type: "uint8", size: 1 }],
});
const toy = (lcr: number, page: number) =>
  compose({
    blocks: [{ name: "ram0", length: 32 * PAGE }],
    records: (r) => {
      for (let n = 0; n < 32; n++)
        if (n === 20) r.page("ram0", n * PAGE, pageOf(page));
        else r.zero("ram0", n * PAGE);
    },
    devices: [uart(lcr)],
  });

describe("savevm diff", () => {
  test("equal machines, one of them in gzip: status 0", async () => {
    const [a, b] = [file("a", toy(1, 2)), file("b.gz", gzipSync(toy(1, 2)))];
    expect(await runCli("diff", a, b)).toEqual({ status: 0, out: "Equal\n", err: [] });
  });

  test("other fields and pages: status 1, both values, ranges", async () => {
    const { status, out } = await runCli("diff", file("a", toy(1, 2)), file("b", toy(3, 4)));
    expect(status).toBe(1);
    expect(out.split("\n")).toEqual([
      'device "uart" instance 0',
      "  lcr: 1 -> 3",
      'block "ram0": 1 page differs',
      "  0x14000-0x14fff",
      "",
    ]);
  });

  test("--json: one object", async () => {
    const { status, out, err } = await runCli("diff", "--json", file("a", toy(1, 2)), file("b", toy(3, 2)));
    expect({ status, err }).toEqual({ status: 1, err: [] });
    expect(JSON.parse(out)).toEqual({
      equal: false,
      configuration: [],
      devices: [
        {
          name: "uart",
          instance: 0,
          onlyIn: null,
          version: null,
          fields: [{ path: "lcr", onlyIn: null, a: 1, b: 3 }],
          more: false,
        },
      ],
      ram: { pageSize: { a: PAGE, b: PAGE }, blocks: [] },
      skipped: [],
    });
  });

  test("a stream that is cut short: status 1, one line that says which and where", async () => {
    const bad = file("bad", toy(1, 2).subarray(0, 300));
    const { status, out, err } = await runCli("diff", file("good", toy(1, 2)), bad);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toEqual([expect.stringMatching(/^savevm diff: .*\/bad: .*\[offset 300, section "ram"/)]);
  });

  test("standard input twice: wrong usage", async () => {
    expect(await runCli("diff", "-", "-")).toMatchObject({ status: 2 });
  });
});

describe("savevm convert", () => {
  test("a recording: the stream that was in it, and nothing else in the directory", async () => {
    const { status, out } = await runCli("convert", recording("pc"), path("out"), "--to", "stream");
    expect({ status, out }).toEqual({ status: 0, out: "" });
    expect(readdirSync(folder)).toEqual(["out"]);
    expect(readFileSync(path("out")).equals(gunzipSync(readFileSync(recording("pc"))))).toBe(true);
  });

  test("onto its own input: the new stream is there", async () => {
    const stream = file("vm", gunzipSync(readFileSync(recording("pc-live"))));
    const before = statSync(stream).size;
    expect(await runCli("convert", stream, stream, "--to", "stream")).toMatchObject({ status: 0 });
    expect(statSync(stream).size).toBeLessThan(before);
    expect(await runCli("diff", stream, recording("pc-live"))).toMatchObject({ status: 0 });
  });

  test("a bad input: status 1, and what was at the output stays", async () => {
    const out = file("out", Uint8Array.of(1, 2, 3));
    const bad = file("bad", toy(1, 2).subarray(0, 300));
    const { status, err } = await runCli("convert", bad, out, "--to", "stream");
    expect({ status, lines: err.length }).toEqual({ status: 1, lines: 1 });
    expect(Array.from(readFileSync(out))).toEqual([1, 2, 3]);
    expect(readdirSync(folder).sort()).toEqual(["bad", "out"]);
  });

  test("a page that is missing, found when the output is open: what was there stays", async () => {
    const gap = compose({ blocks: [{ name: "ram0", length: PAGE }], devices: [uart(1)] });
    const args = ["convert", file("gap", gap), file("out", Uint8Array.of(1)), "--to", "stream"];
    expect(await runCli(...args)).toMatchObject({ status: 1 });
    expect(Array.from(readFileSync(path("out")))).toEqual([1]);
    expect(readdirSync(folder).sort()).toEqual(["gap", "out"]);
  });

  test("a command that fails: the peer's fault", async () => {
    expect(await runCli("convert", file("a", toy(1, 2)), "exec:exit 3", "--to", "stream")).toMatchObject({ status: 3 });
  });

  test("an unknown format: wrong usage", async () => {
    const { status, err } = await runCli("convert", file("a", toy(1, 2)), path("out"), "--to", "tape");
    expect({ status, lines: err.length }).toEqual({ status: 2, lines: 1 });
  });

  test.each(["mapped-ram", "qcow2", "store"])(
    "%s: says that it is not supported yet, and writes nothing",
    async (to) => {
      const { status, err } = await runCli("convert", file("a", toy(1, 2)), path("out"), "--to", to);
      expect(status).toBe(1);
      expect(err).toEqual([`savevm convert: Convert to ${to}: that is not supported yet`]);
      expect(existsSync(path("out"))).toBe(false);
    },
  );
});

describe("savevm extract", () => {
  test("a block: its content, with holes for zeros", async () => {
    const { status } = await runCli("extract", file("a", toy(1, 2)), "ram0", "-o", path("ram0"));
    expect(status).toBe(0);
    const expected = new Uint8Array(32 * PAGE);
    expected.set(pageOf(2), 20 * PAGE);
    expect(readFileSync(path("ram0")).equals(expected)).toBe(true);
    const { size, blocks } = statSync(path("ram0"));
    expect({ size, isSparse: blocks * 512 < size }).toEqual({ size: 32 * PAGE, isSparse: true });
  });

  test("a recording: the hash that the manifest names", async () => {
    const manifest = JSON.parse(readFileSync(new URL("../streams/manifest.json", import.meta.url), "utf8")) as {
      streams: Record<string, { contents: { ram: { blocks: { name: string; sha256: string }[] } } }>;
    };
    const { name, sha256 } = manifest.streams["pc-xbzrle"].contents.ram.blocks[0];
    await runCli("extract", recording("pc-xbzrle"), name, "-o", path("ram"));
    expect(
      createHash("sha256")
        .update(readFileSync(path("ram")))
        .digest("hex"),
    ).toBe(sha256);
  });

  test("an unknown block: status 1, the names there are, no file", async () => {
    const { status, err } = await runCli("extract", file("a", toy(1, 2)), "pc.ram", "-o", path("out"));
    expect(status).toBe(1);
    expect(err).toEqual(['savevm extract: Extract "pc.ram": no such block. There are: ram0']);
    expect(readdirSync(folder)).toEqual(["a"]);
  });

  test("neither a block nor --elf, and both: wrong usage", async () => {
    const a = file("a", toy(1, 2));
    expect(await runCli("extract", a, "-o", path("out"))).toMatchObject({ status: 2 });
    expect(await runCli("extract", a, "ram0", "--elf", "-o", path("out"))).toMatchObject({ status: 2 });
    expect(await runCli("extract", a, "--elf", "--arch", "z80", "-o", path("out"))).toMatchObject({ status: 2 });
  });

  test("--elf: RAM where the program header says, and the addresses in JSON", async () => {
    const { status, out } = await runCli("extract", recording("pc"), "--elf", "--json", "-o", path("core"));
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      blocks: [
        { block: "pc.ram", length: 8 << 20, address: "0x0" },
        { block: "pc.bios", length: 65536, address: "0xffff0000" },
        { block: "pc.rom", length: 131072, address: "0x1000000000000" },
      ],
    });
    await runCli("extract", recording("pc"), "pc.bios", "-o", path("bios"));
    const core = readFileSync(path("core"));
    const at = Number(core.readBigUInt64LE(64 + 56 + 8));
    expect(core.subarray(at, at + 65536).equals(readFileSync(path("bios")))).toBe(true);
  });

  test("pages that are elsewhere: refused, unless zeros will do", async () => {
    const args = ["extract", recording("pc-ignore-shared"), "pc.ram", "-o", path("out")] as const;
    expect(await runCli(...args)).toMatchObject({ status: 1 });
    expect(existsSync(path("out"))).toBe(false);
    expect(await runCli(...args, "--allow-missing")).toMatchObject({ status: 0 });
    expect(statSync(path("out")).size).toBe(8 << 20);
  });
});
