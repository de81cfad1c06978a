import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import { loadStateAsync, loadStateSync, saveStateAsync, saveStateSync } from "../../src/savevm/run.js";
import type { StreamOptions } from "../../src/savevm/options.js";
import { BytesSink } from "../../src/stream/sink.js";
import { fromHex, toHex } from "../kit/hex.js";
import { machineNone, stateOf } from "../kit/machine-none.js";

/** Two streams that QEMU wrote, and mutations of the first with the verdict that QEMU gave on each. */

interface Mutation {
  readonly name: string;
  readonly splice: readonly [offset: number, removed: number, inserted: string];
  readonly receiver?: string;
  readonly result: "accept" | "reject";
}
const vectors = JSON.parse(readFileSync(new URL("../vectors/streams.json", import.meta.url), "utf8")) as {
  readonly base: { readonly hex: string };
  readonly base_without_config_footer_vmdesc: { readonly hex: string };
  readonly mutations: readonly Mutation[];
};
const base = fromHex(vectors.base.hex);
const oldBase = fromHex(vectors.base_without_config_footer_vmdesc.hex);

const none: StreamOptions = { machine: "none", strict: true };
const old: StreamOptions = { ...none, configuration: false, footers: false, description: false };

function mutate({ splice: [offset, removed, inserted] }: Mutation): Uint8Array {
  return fromHex(toHex(base.subarray(0, offset)) + inserted + toHex(base.subarray(offset + removed)));
}

/** Code and offset of what a rejected mutation must raise. */
const verdicts: Readonly<Record<string, readonly [code: string, offset: number]>> = {
  "bad magic": ["BAD_MAGIC", 0],
  "version 2": ["BAD_VERSION", 4],
  "version 4": ["BAD_VERSION", 4],
  "no config byte": ["CONFIGURATION", 8],
  "machine name mismatch": ["CONFIGURATION", 8],
  "machine name len 5": ["CONFIGURATION", 8],
  "unknown section type 9": ["UNKNOWN_SECTION_TYPE", 17],
  "unknown section name": ["SECTION_UNKNOWN", 17],
  "bad instance": ["SECTION_UNKNOWN", 17],
  "ram version 5": ["VERSION_TOO_NEW", 17],
  "ram version 3": ["PAGE_FLAGS", 34],
  "footer missing": ["FOOTER_MISSING", 50],
  "footer id mismatch": ["FOOTER_MISMATCH", 50],
  "part for unknown id": ["SECTION_ID_UNKNOWN", 55],
  "truncated in ram": ["TRUNCATED", 44],
  "truncated before EOF": ["TRUNCATED", 410],
  "timer version 3": ["VERSION_TOO_NEW", 73],
  "globalstate runstate bogus": ["FIELD_INVALID", 405],
  "unknown command 0": ["COMMAND_UNKNOWN", 17],
  "unknown command 11": ["COMMAND_UNKNOWN", 17],
  "ping without rp": ["RETURN_PATH", 17],
  "ping bad len": ["COMMAND_LENGTH", 17],
  "listen wrong state": ["POSTCOPY_ORDER", 17],
  "run wrong state": ["POSTCOPY_ORDER", 17],
  "advise 16 no cap": ["POSTCOPY_UNSUPPORTED", 17],
  "advise 4": ["COMMAND_LENGTH", 17],
  "discard wrong state": ["POSTCOPY_ORDER", 17],
  "packaged empty": ["TRUNCATED", 26],
  "subsection unknown": ["SUBSECTION_UNKNOWN", 17],
  "subsection short name": ["UNKNOWN_SECTION_TYPE", 17],
  "uuid sub, other uuid": ["CONFIGURATION", 8],
  "uuid sub v2": ["VERSION_TOO_NEW", 41],
  "pagebits 13": ["CONFIGURATION", 8],
  "caps ignore-shared": ["CAPABILITY", 8],
  "caps bogus": ["CAPABILITY", 8],
};

function receiver({ receiver }: Mutation): StreamOptions {
  return receiver === undefined ? none : { ...none, uuid: receiver.replace(/^uuid /, "") };
}

function rejection(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return isMigrationError(error) ? [error.code, error.offset] : error;
  }
  return "accepted";
}

describe("recorded streams", () => {
  it("loaded and saved, the stream of a machine of today is the same to the byte", () => {
    const machine = machineNone();
    expect(loadStateSync(machine.registry, base, none)).toBe("eof");
    expect(machine.timer.cpu_ticks_offset).toBe(0xeb95349fn);
    expect(new TextDecoder().decode(machine.runState.runstate.subarray(0, 7))).toBe("paused\0");
    const sink = new BytesSink();
    saveStateSync(machine.registry, sink, none);
    expect(toHex(sink.toBytes())).toBe(toHex(base));
  });

  it("loaded and saved, the stream of an old machine type is the same to the byte", () => {
    const machine = machineNone();
    expect(loadStateSync(machine.registry, oldBase, old)).toBe("eof");
    expect(machine.timer.cpu_ticks_offset).toBe(0x137f027den);
    const sink = new BytesSink();
    saveStateSync(machine.registry, sink, old);
    expect(toHex(sink.toBytes())).toBe(toHex(oldBase));
  });

  it("unless strict, what an old machine type lacks is detected", () => {
    const machine = machineNone();
    expect(loadStateSync(machine.registry, oldBase, { machine: "none" })).toBe("eof");
    expect(machine.timer.cpu_ticks_offset).toBe(0x137f027den);
  });

  it("sync and async save the same bytes and load the same state", async () => {
    const one = machineNone();
    loadStateSync(one.registry, base, none);
    const two = machineNone();
    const chunks = Array.from(base, (byte) => Uint8Array.of(byte));
    expect(await loadStateAsync(two.registry, chunks, none)).toBe("eof");
    expect(stateOf(two)).toEqual(stateOf(one));
    const sink = new BytesSink();
    await saveStateAsync(two.registry, sink, none);
    expect(toHex(sink.toBytes())).toBe(toHex(base));
  });
});

describe("mutated streams", () => {
  it("there are 50", () => {
    expect(vectors.mutations).toHaveLength(50);
    const rejected = vectors.mutations.filter(({ result }) => result === "reject").map(({ name }) => name);
    expect(rejected.sort()).toEqual(Object.keys(verdicts).sort());
  });

  it.each(vectors.mutations.filter(({ result }) => result === "accept"))("$name is accepted", (mutation) => {
    const machine = machineNone();
    expect(loadStateSync(machine.registry, mutate(mutation), receiver(mutation))).toBe("eof");
    expect(machine.timer.cpu_ticks_offset).toBe(0xeb95349fn);
  });

  it.each(vectors.mutations.filter(({ result }) => result === "reject"))("$name is rejected", (mutation) => {
    const { registry } = machineNone();
    expect(rejection(() => loadStateSync(registry, mutate(mutation), receiver(mutation)))).toEqual(
      verdicts[mutation.name],
    );
  });
});
