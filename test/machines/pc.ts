import { StateRegistry } from "../../src/registry/registry.js";
import { createI8259, createIoapic, i8259, ioapic } from "./devices/apic.js";
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
import { createFloppy, isaFloppy } from "./devices/disks.js";
import {
  createI440fx,
  createPciBus,
  createPciHost,
  createPiix3,
  i440fx,
  pciBus,
  pciHost,
  piix3,
} from "./devices/pci.js";
import {
  acpiBuild,
  createAcpiBuild,
  createHpet,
  createI2cBus,
  createPciIde,
  createPiix4Pm,
  createSmbusEeprom,
  hpet,
  i2cBus,
  pciIde,
  piix4Pm,
  smbusEeprom,
} from "./devices/piix.js";
import { createSerial, isaSerial } from "./devices/ports.js";
import { createI8042, createKeyboard, createMouse, i8042, keyboard, mouse } from "./devices/ps2.js";
import {
  OPTION_ROMS,
  memoryOf,
  registerCore,
  registerGlobalState,
  registerProcessors,
  type MachineOptions,
} from "./machine.js";

export interface PcOptions extends MachineOptions {
  /** Machine type with its version; `pc-i440fx-7.2` when absent. */
  readonly machine?: string;
  /** Save what machine types up to 2.3 save, and no more. */
  readonly old?: boolean;
  /** Power management and the tables that describe it. */
  readonly acpi?: boolean;
}

const MEMORY_MODULES = 8;

/** QEMU 7.2's machine `pc` (i440FX and PIIX3), registered in QEMU's order. */
export function createPc(options: PcOptions = {}) {
  const { machine = "pc-i440fx-7.2", old = false, acpi = false, serials = 0 } = options;
  const registry = new StateRegistry();
  const { timers, blocks } = registerCore(registry, { ...OPTION_ROMS, ...memoryOf("pc.ram", options) }, options);
  const processors = registerProcessors(registry, { apic: true, ...options });
  registry.register(fwCfg, { ...createFwCfg(), dma_enabled: !old });
  registry.register(pciHost, createPciHost(!old));
  registry.register(pciBus, createPciBus(4));
  const bridge = createI440fx();
  registry.register(i440fx, bridge, { path: "0000:00:00.0" });
  for (const width of [0, 1] as const) registry.register(i8257, createI8257(width));
  const isaBridge = createPiix3();
  registry.register(piix3, isaBridge, { path: "0000:00:01.0" });
  for (const chip of [createI8259(), createI8259()]) registry.register(i8259, chip);
  registry.register(ioapic, createIoapic());
  const eventTimers = createHpet();
  registry.register(hpet, eventTimers);
  registry.register(rtc, createRtc());
  registry.register(i8254, createI8254());
  registry.register(speaker, createSpeaker(!old));
  for (let port = 0; port < serials; port++) registry.register(isaSerial, createSerial());
  registry.register(isaFloppy, createFloppy());
  registry.register(keyboard, createKeyboard());
  registry.register(mouse, createMouse());
  registry.register(i8042, createI8042(!old));
  registry.register(vmmouse, createVmmouse());
  registry.register(port92, createPort92());
  const ide = createPciIde();
  registry.register(pciIde, ide, { path: "0000:00:01.1" });
  const powerManagement = createPiix4Pm(!old);
  if (acpi) {
    registry.register(i2cBus, createI2cBus());
    registry.register(piix4Pm, powerManagement, { path: "0000:00:01.3" });
    for (let slot = 0; slot < MEMORY_MODULES; slot++) registry.register(smbusEeprom, createSmbusEeprom(!old));
    registry.register(acpiBuild, createAcpiBuild());
  }
  const runState = registerGlobalState(registry, old);
  return {
    machine,
    registry,
    blocks,
    timers,
    processors,
    bridge,
    isaBridge,
    eventTimers,
    ide,
    powerManagement,
    runState,
  };
}
