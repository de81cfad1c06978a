/** The recorded streams are what the manifest says, are up to date, and hold nobody else's firmware. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildGuestRom } from "../guest/rom.js";
import { findDescription } from "./description.js";
import type { Manifest, StreamEntry } from "./manifest.js";
import { strangePages } from "./provenance.js";
import { RECIPES } from "./recipes.js";
import { readStream, type Opinion } from "./second-opinion.js";

const FOLDER = join(import.meta.dirname, "..", "streams");
const { streams } = JSON.parse(readFileSync(join(FOLDER, "manifest.json"), "utf8")) as Manifest;
const MEBIBYTE = 1 << 20;

const read = (name: string) => new Uint8Array(gunzipSync(readFileSync(join(FOLDER, `${name}.gz`))));
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** A stream without a description borrows that of the nearest machine. */
function lender(name: string): string {
  return name === "pc-i440fx-2.2" ? "pc-i440fx-2.3" : "pc";
}

function contentsOf(name: string, entry: StreamEntry): Opinion {
  const bytes = read(name);
  const borrowed = entry.contents.description ? null : findDescription(read(lender(name)));
  return readStream(bytes, { pageSize: entry.contents.ram.pageSize, ...(borrowed && { borrowed }) });
}

describe("recorded streams", () => {
  it("are one file per recipe and less than 3 MiB", () => {
    const files = readdirSync(FOLDER).filter((file) => file.endsWith(".gz"));
    expect(files.sort()).toEqual(RECIPES.map(({ name }) => `${name}.gz`).sort());
    expect(Object.keys(streams).sort()).toEqual(RECIPES.map(({ name }) => name).sort());
    const total = files.reduce((sum, file) => sum + statSync(join(FOLDER, file)).size, 0);
    expect(total).toBeLessThan(3 * MEBIBYTE);
  });

  describe.each(Object.entries(streams))("%s", (name, entry) => {
    // Some machines have much memory: one at a time, and given back.
    let opinion: Opinion | undefined;
    beforeAll(() => {
      opinion = contentsOf(name, entry);
    });
    afterAll(() => {
      opinion = undefined;
    });
    const recipe = RECIPES.find((candidate) => candidate.name === name)!;

    it("has the bytes and the contents of the manifest", () => {
      expect(sha256(read(name))).toBe(entry.sha256);
      expect(opinion?.contents).toEqual(entry.contents);
    });

    it("was recorded as its recipe says today", () => {
      expect(entry.command.slice(1)).toEqual(recipe.args);
      expect(entry.guest).toEqual(recipe.guest ?? null);
      expect(entry.capabilities).toEqual(recipe.capabilities ?? []);
      expect(entry.parameters).toEqual(recipe.parameters ?? {});
    });

    it("holds our bytes only, and the ROM that this code builds", () => {
      const files = Object.values(recipe.files ?? {}).map((content) => content());
      const rom = recipe.guest ? [buildGuestRom(recipe.guest)] : [];
      const memory = opinion?.memory ?? new Map<string, null>();
      expect(strangePages(memory, { files: [...files, ...rom], guest: rom.length > 0 })).toEqual([]);
      const firmware = memory.get("pc.bios");
      expect(firmware ? sha256(firmware) : undefined).toBe(rom[0] && sha256(rom[0]));
    });
  });
});
