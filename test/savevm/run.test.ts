import { describe, expect, it } from "vitest";
import { StateRegistry } from "../../src/registry/registry.js";
import { loadStateAsync, loadStateSync, saveStateAsync, saveStateSync } from "../../src/savevm/run.js";
import type { AsyncSink, AsyncSource } from "../../src/stream/io.js";
import { BytesSink } from "../../src/stream/sink.js";
import { vmstate } from "../../src/vmstate/describe.js";
import { u8 } from "../../src/vmstate/fields.js";
import { probe, type ProbeOptions } from "../kit/live.js";

const toy = { machine: "toy" };

function machine(options: ProbeOptions = {}) {
  const registry = new StateRegistry();
  registry.registerLive("a", probe([], "a", options), { version: 1 });
  const d = { v: 0x55 };
  registry.register(vmstate("d", { version: 1, fields: [u8("v")] }), d);
  return { registry, d };
}

function saved(): Uint8Array<ArrayBuffer> {
  const sink = new BytesSink();
  saveStateSync(machine().registry, sink, toy);
  return sink.toBytes();
}

/** A sink that notes what it is told, in order. */
function recordingSink(): { told: unknown[]; sink: AsyncSink } {
  const told: unknown[] = [];
  const sink: AsyncSink = {
    write: async () => {
      await Promise.resolve();
      if (told.at(-1) !== "write") told.push("write");
    },
    close: () => void told.push("close"),
    abort: (reason) => void told.push(reason),
  };
  return { told, sink };
}

/** One chunk, then whatever `more` does; notes how it is let go of. */
function recordingSource(bytes: Uint8Array, more: () => Promise<Uint8Array | null>) {
  const told: unknown[] = [];
  let given = false;
  const source: AsyncSource = {
    read: () => {
      if (given) return more();
      given = true;
      return bytes;
    },
    release: () => void told.push("release"),
    cancel: (reason) => void told.push(reason),
  };
  return { told, source };
}

describe("saveStateAsync", () => {
  it("closes the output once all is written", async () => {
    const { told, sink } = recordingSink();
    await saveStateAsync(machine().registry, sink, toy);
    expect(told).toEqual(["write", "close"]);
  });

  it("a failing save aborts the output with its error, and does not close it", async () => {
    const { told, sink } = recordingSink();
    const run = saveStateAsync(machine({ fails: ["saveLiveCompletePrecopy"] }).registry, sink, toy);
    const error: unknown = await run.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "HOOK_FAILED" });
    expect(told).toEqual(["write", error]);
  });

  it("a signal that is aborted ends it with its reason", async () => {
    const signal = AbortSignal.abort("enough");
    await expect(saveStateAsync(machine().registry, recordingSink().sink, { ...toy, signal })).rejects.toBe("enough");
  });

  it("writes the same bytes as saveStateSync", async () => {
    const sink = new BytesSink();
    await saveStateAsync(machine().registry, sink, toy);
    expect(sink.toBytes()).toEqual(saved());
  });
});

describe("loadStateAsync", () => {
  it("leaves what follows the stream, and releases the input", async () => {
    const { registry, d } = machine();
    d.v = 0;
    const { told, source } = recordingSource(saved(), () => Promise.reject(new Error("Read too far")));
    expect(await loadStateAsync(registry, source, toy)).toBe("eof");
    expect([d.v, told]).toEqual([0x55, ["release"]]);
  });

  it("a failing load cancels the input with its error", async () => {
    const { told, source } = recordingSource(saved().subarray(0, 20), () => Promise.resolve(null));
    const error: unknown = await loadStateAsync(machine().registry, source, toy).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "TRUNCATED", offset: 20 });
    expect(told).toEqual([error]);
  });

  it("a signal ends a wait for bytes with its reason", async () => {
    const controller = new AbortController();
    const { source } = recordingSource(saved().subarray(0, 20), () => new Promise(() => undefined));
    const run = loadStateAsync(machine().registry, source, { ...toy, signal: controller.signal });
    setTimeout(() => controller.abort("enough"), 1);
    await expect(run).rejects.toBe("enough");
  });
});

describe("loadStateSync", () => {
  it("takes bytes, a buffer, and an iterable of chunks", () => {
    const bytes = saved();
    for (const input of [bytes, bytes.buffer, [bytes.subarray(0, 9), bytes.subarray(9)]]) {
      const { registry, d } = machine();
      d.v = 0;
      expect(loadStateSync(registry, input, toy)).toBe("eof");
      expect(d.v).toBe(0x55);
    }
  });
});
