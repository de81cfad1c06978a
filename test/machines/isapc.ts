import { StateRegistry } from "../../src/registry/registry.js";
import { createI8259, i8259 } from "./devices/apic.js";
import {
  createFwCfg,
  createI8254,
  createI8257,
  createPort92,
  createRtc,
  createSpeaker,
  createVmmouse,
  fwCfg,
  i8254,
  i8257,
  port92,
  rtc,
  speaker,
  vmmouse,
} from "./devices/board.js";
import { createFloppy, createIsaIde, isaFloppy, isaIde } from "./devices/disks.js";
import { createParallel, createSerial, isaParallel, isaSerial } from "./devices/ports.js";
import { createI8042, createKeyboard, createMouse, i8042, keyboard, mouse } from "./devices/ps2.js";
import {
  OPTION_ROMS,
  memoryOf,
  registerCore,
  registerGlobalState,
  registerProcessors,
  type MachineOptions,
} from "./machine.js";

/** QEMU 7.2's machine `isapc`: a PC from before PCI, whose usual CPU (a 486) has no APIC, registered in QEMU's order. */
export function createIsapc(options: MachineOptions = {}) {
  const { serials = 0, parallels = 0 } = options;
  const registry = new StateRegistry();
  const { timers, blocks } = registerCore(registry, { ...OPTION_ROMS, ...memoryOf("pc.ram", options) }, options);
  const processors = registerProcessors(registry, options);
  registry.register(fwCfg, createFwCfg());
  const dma = [createI8257(0), createI8257(1)];
  for (const chip of dma) registry.register(i8257, chip);
  const pics = [createI8259(), createI8259()];
  for (const chip of pics) registry.register(i8259, chip);
  const realTimeClock = createRtc();
  registry.register(rtc, realTimeClock);
  const pit = createI8254();
  registry.register(i8254, pit);
  registry.register(speaker, createSpeaker());
  const serialPorts = Array.from({ length: serials }, createSerial);
  for (const port of serialPorts) registry.register(isaSerial, port);
  const parallelPorts = Array.from({ length: parallels }, createParallel);
  for (const port of parallelPorts) registry.register(isaParallel, port);
  const floppy = createFloppy();
  registry.register(isaFloppy, floppy);
  const keyboardDevice = createKeyboard();
  registry.register(keyboard, keyboardDevice);
  const mouseDevice = createMouse();
  registry.register(mouse, mouseDevice);
  const keyboardController = createI8042();
  registry.register(i8042, keyboardController);
  registry.register(vmmouse, createVmmouse());
  registry.register(port92, createPort92());
  const ide = [createIsaIde(), createIsaIde()];
  // QEMU gives both channels the same name and number, so that a load finds only the first.
  for (const channel of ide) registry.register(isaIde, channel, { instanceId: 0, duplicate: true });
  const runState = registerGlobalState(registry);
  return {
    machine: "isapc",
    registry,
    blocks,
    timers,
    processors,
    dma,
    pics,
    realTimeClock,
    pit,
    serialPorts,
    parallelPorts,
    floppy,
    keyboard: keyboardDevice,
    mouse: mouseDevice,
    keyboardController,
    ide,
    runState,
  };
}
