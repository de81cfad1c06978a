/**
 * Records the streams in test/streams. `npm run record` makes all of them, `npm run record -- NAME...` some.
 * See README.md beside this file.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { qemuVersion, Qemu, Scratch } from "../kit/qemu.js";
import { argsOf, capture, makeFiles, programOf, type Capture } from "./capture.js";
import type { Manifest, StreamEntry } from "./manifest.js";
import { strangePages } from "./provenance.js";
import { RECIPES, type Recipe } from "./recipes.js";
import { readStream, type Opinion } from "./second-opinion.js";

const FOLDER = join("test", "streams");
const MANIFEST = join(FOLDER, "manifest.json");
const ABOUT = "Streams recorded from QEMU by test/record. Offsets and hashes are of the uncompressed bytes.";

export async function main(names: readonly string[]): Promise<void> {
  const recipes = RECIPES.filter(({ name }) => names.length === 0 || names.includes(name));
  const old = existsSync(MANIFEST) ? (JSON.parse(readFileSync(MANIFEST, "utf8")) as Manifest).streams : {};
  const streams: Record<string, StreamEntry> = {};
  for (const { name } of RECIPES) if (old[name]) streams[name] = old[name];
  const failed: string[] = [];
  for (const recipe of recipes) {
    try {
      streams[recipe.name] = await record(recipe);
    } catch (error) {
      failed.push(recipe.name);
      console.error(`${recipe.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  writeFileSync(MANIFEST, formatManifest({ about: ABOUT, streams }));
  console.log(`${recipes.length - failed.length} recorded, ${failed.length} failed`);
  if (failed.length > 0) process.exitCode = 1;
}

async function record(recipe: Recipe): Promise<StreamEntry> {
  using scratch = new Scratch();
  const files = makeFiles(recipe, scratch);
  const args = argsOf(recipe, scratch);
  await using source = await Qemu.start({ program: programOf(recipe), args, paused: !recipe.guest });
  const captured = await capture(recipe, source, scratch);
  const { stream, borrowed } = captured;
  const opinion = readStream(stream, {
    ...(recipe.pageSize !== undefined && { pageSize: recipe.pageSize }),
    ...(borrowed && { borrowed }),
  });
  const strange = strangePages(opinion.memory, { files, guest: recipe.guest !== undefined });
  if (strange.length > 0) throw new Error(`Bytes of others: ${strange.slice(0, 8).join(", ")}`);
  const comparedWithSource = await compareMemory(opinion, source);
  const replayed =
    recipe.capture === "proxy" ? "by the QEMU that received it" : await replay(recipe, captured, scratch);
  const packed = gzipSync(stream, { level: 9 });
  const file = `${recipe.name}.gz`;
  writeFileSync(join(FOLDER, file), packed);
  console.log(
    `${recipe.name}: ${stream.length} bytes, ${packed.length} packed, ${opinion.contents.sections.length} sections`,
  );
  return {
    file,
    sha256: createHash("sha256").update(stream).digest("hex"),
    note: recipe.note,
    qemu: qemuVersion(programOf(recipe)),
    command: [programOf(recipe), ...recipe.args],
    guest: recipe.guest ? { ...recipe.guest } : null,
    capabilities: recipe.capabilities ?? [],
    parameters: recipe.parameters ?? {},
    comparedWithSource,
    replayed,
    contents: opinion.contents,
  };
}

/** Compares the parsed memory with the stopped source wherever a block shows in its address space; counts bytes. */
async function compareMemory(opinion: Opinion, source: Qemu): Promise<number> {
  let compared = 0;
  for (const { region, offset, address, length } of await source.mappedRegions()) {
    const name = [...opinion.memory.keys()].find((block) => block === region || block.endsWith(`/${region}`));
    const content = name === undefined ? null : opinion.memory.get(name);
    if (!content || offset + length > content.length) continue;
    const actual = await source.readMemory(address, length);
    if (!Buffer.from(actual).equals(content.subarray(offset, offset + length))) {
      throw new Error(`${name} at ${offset} differs from the memory of the source`);
    }
    compared += length;
  }
  return compared;
}

/** Loads the stream into a fresh QEMU; our guest must then run on with a sound memory. */
async function replay(recipe: Recipe, captured: Capture, scratch: Scratch): Promise<string> {
  await using destination = await Qemu.start({
    program: programOf(recipe),
    args: argsOf(recipe, scratch),
    paused: true,
    capabilities: recipe.capabilities ?? [],
    incoming: captured.stream,
  });
  await destination.waitForMigration();
  if (!captured.header) return "loaded";
  const header = await destination.guestHeader();
  if (header.steps !== captured.header.steps) throw new Error("The replayed guest is not the one that was sent");
  await destination.cont();
  await destination.expectGuestRuns();
  return "loaded, guest ran on";
}

/** Indented, but with one line per section, command and block, so that a new recording can be reviewed. */
function formatManifest(manifest: Manifest): string {
  const text = JSON.stringify(manifest, null, 2);
  return `${text.replace(/\{\n {10,}"(?:type|name)": [^[]*?\n {10,}\}(?=,?\n {8,}[\]{])/g, (entry) => entry.replace(/\s*\n\s*/g, " "))}\n`;
}
