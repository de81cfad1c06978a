import { describe, expect, it } from "vitest";
import { isMigrationError, type SaveVM } from "../../../src/index.js";
import { toyMachine } from "../toy-machine.js";

/** What a machine saves, through a pair of web streams on the way. */
async function saved(vm: SaveVM, through: ReadableWritablePair<Uint8Array, Uint8Array>): Promise<Blob> {
  const [bytes] = await Promise.all([new Response(through.readable as BodyInit).blob(), vm.save(through.writable)]);
  return bytes;
}

/** The bytes themselves are hashed on the way to be compared, because there are many. */
async function hash(bytes: Blob | Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", await new Blob([bytes]).arrayBuffer()));
}

describe("SaveVM in a browser", () => {
  it("save through a TransformStream, change, load from a Blob's stream: everything is as it was", async () => {
    const machine = toyMachine();
    machine.run();
    const before = await machine.state();
    const file = await saved(machine.vm, new TransformStream());
    machine.run();
    expect(await machine.state()).not.toEqual(before);

    await machine.vm.load(file.stream());

    expect(await machine.state()).toEqual(before);
  });

  it("load into another machine, and save again: the bytes are the same", async () => {
    const [first, second] = [toyMachine(), toyMachine()];
    first.run();
    const file = await saved(first.vm, new TransformStream());
    await second.vm.load(file.stream());
    expect(await second.state()).toEqual(await first.state());
    expect(await hash(await saved(second.vm, new TransformStream()))).toEqual(await hash(file));
    expect(await hash(second.vm.saveSync())).toEqual(await hash(file));
  });

  it("save through CompressionStream, load through DecompressionStream", async () => {
    const machine = toyMachine();
    machine.run();
    const before = await machine.state();
    const file = await saved(machine.vm, new CompressionStream("gzip") as ReadableWritablePair<Uint8Array, Uint8Array>);
    machine.run();
    await machine.vm.load(file.stream().pipeThrough(new DecompressionStream("gzip")));
    expect(await machine.state()).toEqual(before);
  });

  it("load of a stream that ends in the middle of RAM is a typed error that knows where", async () => {
    const { vm, run } = toyMachine();
    run();
    const bytes = vm.saveSync();
    const half = new Blob([bytes.subarray(0, bytes.length / 2)]);
    const error: unknown = await vm.load(half.stream()).catch((reason: unknown) => reason);
    expect(isMigrationError(error, "TRUNCATED")).toBe(true);
    expect(error).toMatchObject({ offset: expect.any(Number) as number, section: { idstr: "ram" } });
  });
});
