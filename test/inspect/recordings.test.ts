/** Every recorded stream against what an independent reader found in it. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { DeepVerifier } from "../../src/inspect/deep-verifier.js";
import { formatInspection, summarise } from "../../src/inspect/inspect.js";
import { PageStore } from "../../src/inspect/page-store.js";
import { StreamScanner, type ScanOptions } from "../../src/inspect/scanner.js";
import type { ScanResult } from "../../src/inspect/scan-result.js";
import { summaryText } from "../../src/inspect/summary-text.js";
import { decodeAsync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { toSource } from "../../src/stream/source.js";

interface Recorded {
  readonly file: string;
  readonly contents: Record<string, unknown> & {
    readonly ram: { readonly blocks: readonly { readonly sha256: string | null }[] } | null;
  };
}

const folder = new URL("../streams/", import.meta.url);
const { streams } = JSON.parse(readFileSync(new URL("manifest.json", folder), "utf8")) as {
  streams: Record<string, Recorded>;
};
const names = Object.keys(streams);

function bytesOf(name: string): Uint8Array {
  return gunzipSync(readFileSync(new URL(streams[name].file, folder)));
}

/** Chunks of changing, odd sizes. */
function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7 + 5) % 40_009) {
    yield bytes.subarray(at, at + size);
  }
}

async function scan(name: string, options: ScanOptions = {}, verifier?: DeepVerifier): Promise<ScanResult> {
  const reader = new Reader();
  const source = toSource(pieces(bytesOf(name)));
  const store = new PageStore({ budget: 1 << 30 });
  const scanner = new StreamScanner({ store, observer: verifier ?? null, ...options });
  return decodeAsync(scanner.scan(reader), reader, verifier?.tee(source) ?? source);
}

const sha256 = () => {
  const hash = createHash("sha256");
  return { update: (bytes: Uint8Array) => void hash.update(bytes), digest: () => hash.digest("hex") };
};

/** Old machine types have neither footers nor description: the next release's description fits. */
async function borrowed(name: string): Promise<ScanOptions> {
  if (name !== "pc-i440fx-2.2") return {};
  return { description: (await scan("pc-i440fx-2.3")).description?.value ?? null };
}

/** Zeros stand for pages that another process holds, which the independent reader does not hash. */
function withoutHidden(contents: Recorded["contents"], found: unknown): unknown {
  const { ram, ...rest } = found as Recorded["contents"];
  const blocks = ram?.blocks.map((block, i) =>
    contents.ram?.blocks[i].sha256 === null ? { ...block, sha256: null } : block,
  );
  return { ...rest, ram: ram === null ? null : { ...ram, blocks } };
}

describe("inspect", () => {
  it.each(names)("%s: sections, commands, RAM and description are what an independent reader found", async (name) => {
    const result = await scan(name, await borrowed(name));
    const json = JSON.parse(Array.from(formatInspection(summarise(result, sha256))).join("")) as Record<
      string,
      unknown
    >;
    const { devices, ...found } = json;
    const { contents } = streams[name];
    expect(withoutHidden(contents, found)).toEqual(contents);
    expect(devices).toHaveLength(result.sections.filter(({ idstr }) => idstr !== "ram").length);
    expect(Object.keys(json)).toEqual([
      "format",
      "bytes",
      "version",
      "configuration",
      "sections",
      "commands",
      "ram",
      "devices",
      "description",
    ]);
  });

  it.each(names)("%s: every device is decoded to its last byte, or has no description", async (name) => {
    const result = await scan(name, await borrowed(name));
    expect(result.problems).toEqual([]);
    const described = new Set(result.description?.value.devices.map((device) => device.name));
    const raw = result.devices.filter(({ fields }) => fields === null).map(({ section }) => section.idstr ?? "");
    expect(raw.filter((idstr) => described.has(idstr))).toEqual([]);
  });

  it("the summary of a pc: machine, blocks and devices by name, in few lines", async () => {
    const lines = Array.from(summaryText(summarise(await scan("pc"), sha256)));
    expect(lines).toContain("Machine: pc-i440fx-7.2");
    expect(lines.some((line) => /^ {2}pc\.ram +8 MiB/.test(line))).toBe(true);
    expect(lines.some((line) => /^ {2}i8259 +1 +1 +16 /.test(line))).toBe(true);
    expect(lines.length).toBeLessThan(60);
  });
});

describe("verify --deep", () => {
  const CHOICES: Record<string, string[]> = { "microvm-compress": ["zlib: other bytes for the same page"] };

  it.each(names)("%s: encoded anew to the same bytes", async (name) => {
    const verifier = new DeepVerifier();
    const result = await scan(name, await borrowed(name), verifier);
    const { identical, chosen, copied, choices, problems } = verifier.finish(result.devices);
    expect(problems).toEqual([]);
    expect(choices.map(({ what }) => what)).toEqual(CHOICES[name] ?? []);
    expect(identical + chosen + copied).toBe(result.bytes);
    const unnamed = result.devices.filter(({ fields }) => fields === null);
    expect(copied).toBe(unnamed.reduce((sum, { body }) => sum + (body?.length ?? 0), 0));
  });

  it("a byte that our encoder would write otherwise: a problem at its offset", async () => {
    const bytes = bytesOf("none");
    const [section] = (await scan("none")).sections;
    const verifier = new DeepVerifier();
    const reader = new Reader();
    const other = Uint8Array.from(bytes);
    other[section.offset + 4] ^= 1;
    const source = verifier.tee(toSource(other));
    // What the scan reads is not what the comparison sees.
    await decodeAsync(new StreamScanner({ observer: verifier }).scan(reader), reader, {
      read: async () => ((await source.read()) === null ? null : bytes),
    });
    expect(verifier.finish([]).problems.map(({ offset }) => offset)).toEqual([section.offset]);
  });
});
