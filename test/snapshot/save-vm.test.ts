import { describe, expect, it, vi } from "vitest";
import { array, bool, SaveVM, struct, timer, u32, u8, vbuffer, vmstate, type SaveVMOptions } from "../../src/index.js";
import { toHex } from "../kit/hex.js";

const fifo = vmstate("fifo", { version: 1, fields: [u8("head"), u32("len"), vbuffer("data", "len")] });
const uart = vmstate("uart", {
  version: 3,
  minimumVersion: 2,
  fields: [u8("ier"), struct("fifo", fifo), array("regs", u32, 4), bool("irq", { since: 3 })],
  subsections: [
    vmstate("uart/timeout", {
      version: 1,
      needed: (d: { timeout: bigint | null }) => d.timeout !== null,
      fields: [timer("timeout")],
    }),
  ],
});

function makeUart() {
  return {
    ier: 0,
    fifo: { head: 0, len: 0, data: new Uint8Array(16) },
    regs: new Int32Array(4),
    irq: false,
    timeout: null as bigint | null,
  };
}

function makeMachine(options: Partial<SaveVMOptions> = {}, memory = 64 << 10) {
  const vm = new SaveVM({ machine: "toy-1.0", pageSize: 4096, ...options });
  const ram = new Uint8Array(memory);
  const device = makeUart();
  vm.addRam("main", ram);
  vm.register(uart, device);
  return { vm, ram, device };
}

function run({ ram, device }: ReturnType<typeof makeMachine>): void {
  ram.fill(0x5a, 5000, 9000);
  device.ier = 7;
  device.fifo.len = 3;
  device.fifo.data.set([1, 2, 3]);
  device.regs[2] = -1;
  device.irq = true;
  device.timeout = 12345n;
}

describe("SaveVM", () => {
  it("save, change, load: the machine is as it was, in another machine too", () => {
    const first = makeMachine();
    run(first);
    const state = first.vm.saveSync();
    const second = makeMachine();
    second.ram.fill(9);
    second.vm.loadSync(state);
    expect(second.ram).toEqual(first.ram);
    expect(second.device).toEqual(first.device);
    expect(toHex(second.vm.saveSync())).toBe(toHex(state));
  });

  it("through web streams: the same bytes, the machine as it was", async () => {
    const first = makeMachine();
    run(first);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const second = makeMachine();
    await Promise.all([first.vm.save(writable), second.vm.load(readable)]);
    expect(second.ram).toEqual(first.ram);
    expect(second.device).toEqual(first.device);
  });

  it("in place in a WebAssembly.Memory that grows between save and load", () => {
    const memory = new WebAssembly.Memory({ initial: 2 });
    const vm = new SaveVM({ machine: "toy-1.0" });
    vm.addRam("main", { memory, offset: 4096, length: 65536 });
    new Uint8Array(memory.buffer, 4096, 65536).fill(3, 100, 30000);
    const before = new Uint8Array(memory.buffer, 4096, 65536).slice();
    const state = vm.saveSync();
    memory.grow(1);
    new Uint8Array(memory.buffer, 4096, 65536).fill(0xff);
    vm.loadSync(state);
    expect(new Uint8Array(memory.buffer, 4096, 65536)).toEqual(before);
    expect(new Uint8Array(memory.buffer, 0, 4096).every((byte) => byte === 0)).toBe(true);
  });

  it.each([["none"], ["x-ignore-shared"], ["xbzrle"], ["compress"]])("capability %s on both ends: loads", (name) => {
    const capabilities = name === "none" ? [] : [name];
    const first = makeMachine({ capabilities });
    run(first);
    const second = makeMachine({ capabilities });
    second.vm.loadSync(first.vm.saveSync());
    expect(second.ram).toEqual(first.ram);
  });

  it("a stream of another machine: refused before anything changes", () => {
    const other = makeMachine({ machine: "other-1.0" });
    run(other);
    const { vm, ram, device } = makeMachine();
    expect(() => vm.loadSync(other.vm.saveSync())).toThrow(expect.objectContaining({ code: "CONFIGURATION" }) as Error);
    expect([ram.every((byte) => byte === 0), device]).toEqual([true, makeUart()]);
  });

  it("a footer that is wrong: the device before it is untouched", () => {
    const first = makeMachine();
    run(first);
    const state = first.vm.saveSync();
    const footer = toHex(state).lastIndexOf("7e00000002") / 2;
    state[footer + 4] = 9;
    const second = makeMachine();
    expect(() => second.vm.loadSync(state)).toThrow(
      expect.objectContaining({
        code: "FOOTER_MISMATCH",
        section: { id: 2, idstr: "uart", instanceId: 0, version: 3 },
      }) as Error,
    );
    expect(second.device).toEqual(makeUart());
  });

  it("an abort while saving: its reason, and the output is aborted", async () => {
    const { vm } = makeMachine({}, 8 << 20);
    const controller = new AbortController();
    let aborted: unknown = null;
    const output = new WritableStream<Uint8Array>({
      write: (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener("abort", reject)),
      abort: (reason) => void (aborted = reason),
    });
    const reason = new Error("user left");
    const saving = vm.save(output, { signal: controller.signal });
    setTimeout(() => controller.abort(reason));
    await expect(saving).rejects.toBe(reason);
    await vi.waitFor(() => expect(aborted).toBe(reason));
  });

  it("schema: each description once, in the form of -dump-vmstate", () => {
    const { vm } = makeMachine();
    vm.register(uart, makeUart());
    const schema = JSON.parse(vm.schema()) as Record<string, unknown>;
    expect(Object.keys(schema)).toEqual(["vmschkmachine", "uart"]);
  });

  it("registerLive and addRam, before anything else: section id 1, as QEMU takes 0 for every entry not yet seen", () => {
    const { vm } = makeMachine();
    expect(vm.registry.entries.map(({ idstr, sectionId }) => [idstr, sectionId])).toEqual([
      ["ram", 1],
      ["uart", 2],
    ]);
    const live = new SaveVM({ machine: "toy-1.0" });
    expect(live.registerLive("disk", {}, { version: 1 }).sectionId).toBe(1);
    expect(live.registerLive("tape", {}, { version: 1 }).sectionId).toBe(2);
    const chosen = new SaveVM({ machine: "toy-1.0" });
    expect(chosen.registerLive("disk", {}, { version: 1, sectionId: 0 }).sectionId).toBe(0);
  });

  it("unregister: the device is no longer saved, and its section is refused", () => {
    const { vm, device } = makeMachine();
    const state = vm.saveSync();
    expect(vm.unregister(uart, device)).toBe(true);
    expect(vm.saveSync().length).toBeLessThan(state.length);
    expect(() => vm.loadSync(state)).toThrow(expect.objectContaining({ code: "SECTION_UNKNOWN" }) as Error);
  });
});
