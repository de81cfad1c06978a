/** Runs one recipe and returns the bytes that QEMU wrote, while its machine still stands as it was sent. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { buildGuestRom } from "../guest/rom.js";
import type { GuestHeader } from "../guest/model.js";
import { Qemu, type Scratch } from "../kit/qemu.js";
import { RecordingProxy } from "./proxy.js";
import { findDescription, type Description } from "./description.js";
import type { Recipe } from "./recipes.js";

export interface Capture {
  readonly stream: Uint8Array;
  /** Description of a stream of the same machine, where the stream itself may have none. */
  readonly borrowed: Description | null;
  /** The guest's own account of itself when it was sent. */
  readonly header: GuestHeader | null;
}

/** Rounds over RAM that a live recording waits for. */
const LIVE_ROUNDS = 5;

/** Long enough for part of RAM, too short for all of it at the bandwidth of the recipes. */
const POSTCOPY_AFTER_MS = 300;

export const programOf = (recipe: Recipe) => `qemu-system-${recipe.arch ?? "x86_64"}`;
export const argsOf = (recipe: Recipe, scratch: Scratch) =>
  recipe.args.map((arg) => arg.replace("@TMP@", scratch.path));

/** Writes the files that the recipe's command line names, and returns their contents. */
export function makeFiles(recipe: Recipe, scratch: Scratch): Uint8Array[] {
  const files = Object.entries(recipe.files ?? {}).map(([name, content]) => [name, content()] as const);
  if (recipe.guest) files.push(["rom", buildGuestRom(recipe.guest)]);
  for (const [name, content] of files) writeFileSync(scratch.file(name), content);
  return files.map(([, content]) => content);
}

/** Lets `source`, freshly started, come to the point where it is recorded, and leaves it stopped. */
export async function capture(recipe: Recipe, source: Qemu, scratch: Scratch): Promise<Capture> {
  if (recipe.guest) await source.waitForGuest(200, 15);
  const needsDescription = recipe.name.includes("2.2") || recipe.capture === "proxy";
  const borrowed = needsDescription ? await describe(source, scratch) : null;
  await source.configure(recipe.capabilities ?? [], recipe.parameters ?? {});
  const path = scratch.file("stream");
  const stream =
    recipe.capture === "proxy"
      ? await captureBetween(recipe, source, scratch)
      : await captureToFile(recipe, source, path);
  return { stream, borrowed, header: recipe.guest ? await source.guestHeader() : null };
}

/** Lengths of all device sections, from a migration that is thrown away; the guest runs on afterwards. */
async function describe(source: Qemu, scratch: Scratch): Promise<Description | null> {
  const path = scratch.file("described");
  const property = { path: "/machine", property: "suppress-vmdesc" };
  const suppressed = await source.execute("qom-get", property);
  await source.stop();
  await source.execute("qom-set", { ...property, value: false });
  const stream = await source.migrateToFile(path);
  await source.execute("qom-set", { ...property, value: suppressed });
  await source.cont();
  return findDescription(stream);
}

async function captureToFile(recipe: Recipe, source: Qemu, path: string): Promise<Uint8Array> {
  if (recipe.capture !== "live") return source.migrateToFile(path);
  return source.migrateToFile(path, async () => {
    await source.poll("several rounds over RAM", 60_000, async () => {
      const { status, ram } = await source.migrationInfo();
      const rounds = ram?.["dirty-sync-count"] ?? 0;
      // With XBZRLE a round may become so short that QEMU finishes by itself.
      if (status === "completed" && rounds < LIVE_ROUNDS) throw new Error(`Finished after ${rounds} rounds; try again`);
      return rounds >= LIVE_ROUNDS ? true : undefined;
    });
    await source.configure([], { "max-bandwidth": 1_000_000_000, "downtime-limit": 2000 });
  });
}

/** With a second QEMU at the other end, because the stream depends on its answers. */
async function captureBetween(recipe: Recipe, source: Qemu, scratch: Scratch): Promise<Uint8Array> {
  const capabilities = recipe.capabilities ?? [];
  const args = argsOf(recipe, scratch);
  const incoming = `unix:${scratch.file("incoming")}`;
  await using destination = await Qemu.start({ program: programOf(recipe), args, capabilities, incoming });
  await using proxy = await RecordingProxy.listen(scratch.file("outgoing"), scratch.file("incoming"));
  await source.execute("migrate", { uri: `unix:${scratch.file("outgoing")}` });
  if (capabilities.includes("postcopy-ram")) {
    await source.waitForMigration("active");
    await sleep(POSTCOPY_AFTER_MS);
    await source.execute("migrate-start-postcopy");
    await source.configure([], { "max-postcopy-bandwidth": 0 });
  }
  await source.waitForMigration();
  await destination.waitForMigration();
  await destination.expectGuestRuns();
  return proxy.forward();
}
