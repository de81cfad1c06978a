import { SaveVM, u32, u64, u8, vbuffer, vmstate } from "../../src/index.js";

const PAGE_SIZE = 4096;
const RAM_BYTES = 64 * PAGE_SIZE;
const RAM_OFFSET = 0x1000;

const uart = vmstate("uart", {
  version: 2,
  minimumVersion: 1,
  fields: [u8("divisor"), u32("length"), vbuffer("data", "length")],
});
const timer = vmstate("timer", { version: 1, fields: [u64("ticks")] });

/** A machine with two devices, RAM of its own and RAM inside a WebAssembly memory, to be saved and loaded. */
export function toyMachine() {
  const devices = { uart: { divisor: 0, length: 0, data: new Uint8Array(16) }, timer: { ticks: 0n } };
  const plain = new Uint8Array(RAM_BYTES);
  const memory = new WebAssembly.Memory({ initial: 8 });
  const vm = new SaveVM({ machine: "toy-1.0", pageSize: PAGE_SIZE });
  vm.addRam("plain", plain);
  vm.addRam("inside", {
    memory,
    offset: RAM_OFFSET,
    length: RAM_BYTES,
    scratch: { offset: RAM_OFFSET + RAM_BYTES, length: 0x10000 },
  });
  vm.register(uart, devices.uart, { instanceId: 0 });
  vm.register(timer, devices.timer, { instanceId: 0 });
  const inside = new Uint8Array(memory.buffer, RAM_OFFSET, RAM_BYTES);

  return {
    vm,
    /** Everything that a save is to keep; of RAM the hash, which is quicker to compare. */
    state: async () => ({ ...structuredClone(devices), plain: await sha256(plain), inside: await sha256(inside) }),
    /** Lets the machine run for a while: one page in three is written. */
    run: (): void => {
      for (let at = 0; at < RAM_BYTES; at += 3 * PAGE_SIZE) {
        plain[at + 5] += 1;
        inside.fill(at / PAGE_SIZE + 1, at, at + PAGE_SIZE);
      }
      devices.uart.divisor += 3;
      devices.uart.length = 4;
      devices.uart.data.set([1, 2, 3, devices.uart.divisor]);
      devices.timer.ticks += 0x1_0000_0001n;
    },
  };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
