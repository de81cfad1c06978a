import { describe, expect, it, vi } from "vitest";
import { encodeSync } from "../../src/stream/drive.js";
import { decodeSync } from "../../src/stream/drive.js";
import { Reader } from "../../src/stream/reader.js";
import { firstDifference, implementations, layouts, loadContext, RamMachine, RamSaving, randomBytes } from "./kit.js";

const MIB = 1 << 20;

// Hundreds of megabytes go through here, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });

describe.each(implementations)("a save with %s kernels", (implementation) => {
  it.each(["bytes", "Wasm memory", "Wasm memory with scratch"])(
    "64 MiB kept as %s: hands over views of one small region",
    (layout) => {
      const machine = new RamMachine(
        { pageSize: 4096, kernels: { implementation } },
        { ram: layouts[layout](64 * MIB) },
      );
      machine
        .block("ram")
        .memory.view(0, 32 * MIB)
        .set(randomBytes(32 * MIB));
      const saving = new RamSaving(machine);
      const regions = new Map<ArrayBufferLike, { from: number; to: number }>();
      let bytes = 0;
      const sink = {
        write: ({ buffer, byteOffset, byteLength }: Uint8Array): void => {
          const region = regions.get(buffer) ?? { from: byteOffset, to: byteOffset };
          regions.set(buffer, {
            from: Math.min(region.from, byteOffset),
            to: Math.max(region.to, byteOffset + byteLength),
          });
          bytes += byteLength;
        },
      };
      encodeSync(machine.handler.saveSetup(saving.context), saving.writer, sink);
      encodeSync(machine.handler.saveLiveIterate(saving.context), saving.writer, sink);
      expect(bytes).toBeGreaterThan(32 * MIB);
      const held = Array.from(regions.values(), ({ from, to }) => to - from).reduce((sum, length) => sum + length, 0);
      expect(held).toBeLessThanOrEqual(640 << 10);
    },
  );
});

describe("a block of more than 4 GiB", () => {
  const part = new Uint8Array(16 * MIB);
  const segments = Array.from({ length: 260 }, () => part);

  it("saved and loaded: offsets above 2^32, one page of each segment is not zero", () => {
    part[MIB + 5] = 7;
    const machine = new RamMachine({ pageSize: 65536 }, { ram: { segments } });
    expect(machine.block("ram").usedLength).toBe(260 * 16 * MIB);
    const saving = new RamSaving(machine);
    const setup = saving.setup();
    expect(new DataView(setup.buffer).getBigUint64(0)).toBe(BigInt(260 * 16 * MIB) | 4n);
    const { bytes } = saving.iterate();
    expect(machine.handler.saveStats).toMatchObject({ normalPages: 260, zeroPages: 260 * 255 });

    const loaded = new Uint8Array(16 * MIB);
    const target = new RamMachine({ pageSize: 65536 }, { ram: { segments: segments.map(() => loaded) } });
    const reader = Reader.of(bytes);
    target.handler.loadSetup();
    decodeSync(target.handler.loadState(loadContext(reader), 4), reader, { read: () => null });
    expect(firstDifference(loaded, part)).toBe(-1);
    expect(target.handler.load!.received(target.block("ram")).every((byte) => byte === 0xff)).toBe(true);
  });
});
