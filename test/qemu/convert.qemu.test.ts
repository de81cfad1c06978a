/** Streams that QEMU recorded, converted, are loaded by a QEMU again, and the guest runs on. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { convertToStream, type ConvertOptions } from "../../src/inspect/convert.js";
import { encodeSync } from "../../src/stream/drive.js";
import { BytesSink } from "../../src/stream/sink.js";
import { Writer } from "../../src/stream/writer.js";
import { scanBytes } from "../inspect/scan-kit.js";
import { Qemu, Scratch } from "../kit/qemu.js";
import { argsOf, makeFiles } from "../record/capture.js";
import { RECIPES, type Recipe } from "../record/recipes.js";

const FORMS: readonly (readonly [name: string, options: ConvertOptions])[] = [
  ["plain", {}],
  ["with XBZRLE, without description", { xbzrle: true, dropDescription: true }],
];

/** Live and compressed ones, the channel of a postcopy, old machine types, and RAM that is elsewhere. */
const STREAMS = [
  "microvm-compress",
  "pc-live",
  "pc-xbzrle",
  "pc-postcopy",
  "pc-return-path",
  "pc-i440fx-2.2",
  "q35-devices",
];

function converted(name: string, options: ConvertOptions): Uint8Array {
  const stream = gunzipSync(readFileSync(new URL(`../streams/${name}.gz`, import.meta.url)));
  const writer = new Writer();
  const sink = new BytesSink();
  encodeSync(convertToStream(writer, scanBytes(stream), options), writer, sink);
  return sink.toBytes();
}

describe.each(STREAMS)("the recording %s, converted", (name) => {
  const recipe = RECIPES.find((one) => one.name === name) as Recipe;

  it.each(FORMS)("%s: is loaded by QEMU, and the guest runs on undamaged", async (_, options) => {
    using scratch = new Scratch();
    makeFiles(recipe, scratch);
    await using destination = await Qemu.start({
      args: argsOf(recipe, scratch),
      paused: true,
      incoming: converted(name, options),
    });
    await destination.waitForMigration();
    expect(await destination.guestProblems()).toEqual([]);
    const { steps } = await destination.guestHeader();
    await destination.cont();
    expect((await destination.expectGuestRuns()).steps).toBeGreaterThan(steps);
  });
});
