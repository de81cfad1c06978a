// A machine of a few lines: a processor that counts in RAM and prints to a serial line. It is saved, goes astray,
// and is restored; then it counts on as if nothing had happened.
import { array, bool, SaveVM, struct, tailq, u8, u32, vmstate } from "savevm";

const byte = vmstate("byte", { version: 1, fields: [u8("value")] });
const uart = vmstate("uart16550", {
  version: 3,
  minimumVersion: 2,
  fields: [u8("ier"), tailq("fifo", byte), bool("irq", { since: 3 })],
});
const cpu = vmstate("toy-cpu", { version: 1, fields: [u32("pc"), array("regs", u32, 8), struct("uart", uart)] });

export class ToyMachine {
  ram = new Uint8Array(1 << 20);
  cpu = { pc: 0, regs: new Uint32Array(8), uart: { ier: 1, fifo: [], irq: false } };

  constructor() {
    this.vm = new SaveVM({ machine: "toy-1.0", pageSize: 4096 });
    this.vm.addRam("toy.ram", this.ram);
    this.vm.register(cpu, this.cpu);
  }

  /** Run some steps; each touches a page and the serial line now and then. */
  run(steps) {
    const { ram, cpu } = this;
    for (let i = 0; i < steps; i++) {
      const count = ++cpu.regs[0];
      const address = (count * 2654435761) % ram.length;
      ram[address] += count;
      cpu.regs[1] = (cpu.regs[1] * 31 + ram[address]) >>> 0;
      cpu.pc = (cpu.pc + 4) >>> 0;
      if (count % 1000 === 0) cpu.uart.fifo.push({ value: 0x30 + ((count / 1000) % 10) });
    }
  }

  /** What a person would see. */
  toString() {
    const line = String.fromCharCode(...this.cpu.uart.fifo.map(({ value }) => value));
    return `count ${this.cpu.regs[0]}, checksum ${this.cpu.regs[1].toString(16)}, serial "${line}"`;
  }
}

/** Tell the story, line by line, to `print`. */
export async function tell(print) {
  const machine = new ToyMachine();
  machine.run(5000);
  print(`running   ${machine}`);
  const state = machine.vm.saveSync();
  print(`saved     ${state.length} bytes`);

  machine.run(2500);
  const later = String(machine);
  print(`running   ${machine}`);
  machine.ram.fill(0xff);
  machine.cpu.regs.fill(0xdead);
  print(`damaged   ${machine}`);

  await machine.vm.load(state);
  print(`restored  ${machine}`);
  machine.run(2500);
  print(`running   ${machine}`);
  if (String(machine) !== later) throw new Error("The restored machine went another way");
  print("The restored machine went exactly the way of the first.");
}

if (process.argv[1] === new URL(import.meta.url).pathname) await tell(console.log);
