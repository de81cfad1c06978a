import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { isMigrationError } from "../../src/errors.js";
import type { StreamOptions } from "../../src/savevm/options.js";
import { loadStateSync } from "../../src/savevm/run.js";
import type { TraceEvent } from "../../src/savevm/trace.js";
import { concat } from "../../src/stream/writer.js";
import { fromHex } from "../kit/hex.js";
import { machineNone, stateOf } from "../kit/machine-none.js";

/**
 * Streams that are cut short or changed, byte by byte. Whatever comes: the load is accepted, or a typed error with an
 * offset says why not, and every device holds either its old state or all of what the stream says.
 */

const vectors = JSON.parse(readFileSync(new URL("../vectors/streams.json", import.meta.url), "utf8")) as {
  readonly base: { readonly hex: string };
  readonly base_without_config_footer_vmdesc: { readonly hex: string };
};
const strict: StreamOptions = { machine: "none", strict: true };

interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly options: StreamOptions;
}
const samples: readonly Sample[] = [
  { name: "a stream of today, strict", bytes: fromHex(vectors.base.hex), options: strict },
  { name: "a stream of today, tolerant", bytes: fromHex(vectors.base.hex), options: { machine: "none" } },
  {
    name: "a stream of an old machine type, strict",
    bytes: fromHex(vectors.base_without_config_footer_vmdesc.hex),
    options: { ...strict, configuration: false, footers: false, description: false },
  },
];

/** Offset of the configuration, or of what stands in its place. */
const CONFIGURATION = 8;
const EVERY = Array.from({ length: 256 }, (_, value) => value);
/** Section types, flags, extremes; on top of these come the neighbours that differ in one bit. */
const TELLING = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10, 0x7e, 0x7f, 0x80, 0xff];

/** Where in a stream sections begin, the bodies of devices lie, and EOF ends. */
interface Layout {
  readonly types: readonly number[];
  readonly bodies: Readonly<Record<string, number>>;
  readonly end: number;
}

function layoutOf({ bytes, options }: Sample): Layout {
  const types: number[] = [];
  const bodies: Record<string, number> = {};
  const onTrace = (event: TraceEvent): void => {
    if (event.event === "qemu_loadvm_state_section") types.push(event.offset);
    // Type, id, counted name, instance and version stand before the body.
    if (event.event === "qemu_loadvm_state_section_startfull")
      bodies[event.idstr] = (types.at(-1) ?? 0) + 14 + event.idstr.length;
  };
  loadStateSync(machineNone().registry, bytes, { ...options, onTrace });
  return { types, bodies, end: (types.at(-1) ?? 0) + 1 };
}

type State = ReturnType<typeof stateOf>;

/** What a stream's bytes say of the devices. */
function statedBy(bytes: Uint8Array, { bodies: { timer, slirp, globalstate } }: Layout): State {
  const padded = new Uint8Array(bytes.length + 200);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  return {
    timer: { cpu_ticks_offset: view.getBigInt64(timer), cpu_clock_offset: view.getBigInt64(timer + 16) },
    slirp: padded.slice(slirp, slirp + 131),
    runState: { size: view.getUint32(globalstate), runstate: padded.slice(globalstate + 4, globalstate + 104) },
  };
}

function attempt(bytes: Uint8Array, options: StreamOptions): { accepted: boolean; state: State } {
  const machine = machineNone();
  let accepted = true;
  try {
    loadStateSync(machine.registry, bytes, options);
  } catch (error) {
    accepted = false;
    if (!isMigrationError(error) || error.offset === null) throw error;
    if (error.offset < 0 || error.offset > bytes.length) throw new Error(`Offset ${error.offset}`, { cause: error });
  }
  return { accepted, state: stateOf(machine) };
}

const untouched = stateOf(machineNone());
/** Names of devices that hold neither their old state nor all of the new one. */
function halfLoaded(state: State, stated: State): string[] {
  return (Object.keys(state) as (keyof State)[]).filter(
    (name) => !isDeepStrictEqual(state[name], untouched[name]) && !isDeepStrictEqual(state[name], stated[name]),
  );
}

describe.each(samples)("$name", (sample) => {
  const { bytes, options } = sample;
  const layout = layoutOf(sample);
  const whole = statedBy(bytes, layout);

  it("is accepted as it is", () => {
    expect(attempt(bytes, options)).toEqual({ accepted: true, state: whole });
  });

  it("cut short before EOF is refused, behind it accepted", () => {
    for (let length = 0; length < bytes.length; length++) {
      const { accepted, state } = attempt(bytes.subarray(0, length), options);
      expect([length, accepted, halfLoaded(state, whole)]).toEqual([length, length >= layout.end, []]);
      if (accepted) expect(state).toEqual(whole);
    }
  });

  it("with any byte changed is refused, or means what it says", { timeout: 30_000 }, () => {
    const { timer, slirp, globalstate } = layout.bodies;
    const isData = (at: number): boolean =>
      (at >= timer && at < timer + 24) ||
      (at >= slirp && at < slirp + 131) ||
      (at >= globalstate && at < globalstate + 104) ||
      at >= layout.end;
    for (let at = 0; at < bytes.length; at++) {
      const flips = [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => bytes[at] ^ (1 << bit));
      const values = isData(at) ? [flips[0], flips[7]] : layout.types.includes(at) ? EVERY : [...TELLING, ...flips];
      for (const value of values) {
        const changed = bytes.slice();
        changed[at] = value;
        const stated = statedBy(changed, layout);
        // Version 1 of the timer, which nothing contradicts where there are no footers, has no clock offset.
        if (at === timer - 1 && value === 1 && options.footers === false) stated.timer.cpu_clock_offset = 0n;
        const { accepted, state } = attempt(changed, options);
        const half = halfLoaded(state, stated);
        // A 0 where a section may begin is a good end of the stream. Without footers any 0 may come to stand there.
        const mayEnd =
          options.footers === false || (value === 0 && (at === CONFIGURATION || layout.types.includes(at)));
        const complete = !accepted || mayEnd || isDeepStrictEqual(state, stated);
        if (half.length > 0 || !complete)
          expect([at, value, accepted, half, state]).toEqual([at, value, false, [], stated]);
      }
    }
  });
});

describe("commands where they do not belong", () => {
  const [{ bytes, options }] = samples;
  const whole = statedBy(bytes, layoutOf(samples[0]));
  const FIRST_SECTION = 17;

  it.each([0x00, 0x01, 0xff])("of any number and length, filled with %i: refused, or nothing happens", (fill) => {
    for (let number = 0; number <= 12; number++) {
      for (let length = 0; length <= 40; length++) {
        const command = new Uint8Array(5 + length).fill(fill);
        command.set([8, 0, number, 0, length]);
        const stream = concat([bytes.subarray(0, FIRST_SECTION), command, bytes.subarray(FIRST_SECTION)]);
        const { accepted, state } = attempt(stream, options);
        expect([number, length, state]).toEqual([number, length, accepted ? whole : untouched]);
      }
    }
  });
});

describe("absurd lengths", () => {
  const head = "5145564d00000003";

  it.each([
    ["a package of 4 GiB", `${head}0800070004ffffffff`, "LIMIT_EXCEEDED"],
    ["a machine name of 4 GiB", `${head}07ffffffff`, "LENGTH_OUT_OF_RANGE"],
    ["a machine name of 2 GiB", `${head}077fffffff`, "LENGTH_OUT_OF_RANGE"],
  ])("%s is refused", (_, hex, code) => {
    const { registry } = machineNone();
    expect(() => loadStateSync(registry, fromHex(hex), { machine: "none" })).toThrow(
      expect.objectContaining({ code }) as Error,
    );
  });

  it("a description of 4 GiB is read away without being held", () => {
    const { registry } = machineNone();
    const chunk = new Uint8Array(1 << 20);
    let given = 0;
    function* chunks(): Generator<Uint8Array> {
      yield fromHex(`${head}0006ffffffff`);
      for (; given < 64; given++) yield chunk;
    }
    const before = process.memoryUsage().arrayBuffers;
    expect(loadStateSync(registry, chunks(), { machine: "none" })).toBe("eof");
    expect(given).toBe(64);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 << 20);
  });
});
