import { StateRegistry } from "../../src/registry/registry.js";
import { createI8259, createIoapic, i8259, ioapic } from "./devices/apic.js";
import { acpiGed, createAcpiGed, createFwCfg, createI8254, createRtc, fwCfg, i8254, rtc } from "./devices/board.js";
import { createSerial, isaSerial } from "./devices/ports.js";
import { memoryOf, registerCore, registerGlobalState, registerProcessors, type MachineOptions } from "./machine.js";

export interface MicrovmOptions extends MachineOptions {
  /** A second I/O APIC and the device that ACPI events come from. */
  readonly acpi?: boolean;
}

/** QEMU 7.2's machine `microvm`: a PC without PCI, registered in QEMU's order. */
export function createMicrovm(options: MicrovmOptions = {}) {
  const { acpi = true, serials = 0 } = options;
  const registry = new StateRegistry();
  const { timers, blocks } = registerCore(registry, memoryOf("microvm.ram", options), options);
  const firmware = createFwCfg();
  registry.register(fwCfg, firmware);
  const processors = registerProcessors(registry, { apic: true, ...options });
  const ioapics = Array.from({ length: acpi ? 2 : 1 }, createIoapic);
  for (const chip of ioapics) registry.register(ioapic, chip);
  if (acpi) registry.register(acpiGed, createAcpiGed());
  const pics = [createI8259(), createI8259()];
  for (const chip of pics) registry.register(i8259, chip);
  const pit = createI8254();
  registry.register(i8254, pit);
  const realTimeClock = createRtc();
  registry.register(rtc, realTimeClock);
  const serialPorts = Array.from({ length: serials }, createSerial);
  for (const port of serialPorts) registry.register(isaSerial, port);
  const runState = registerGlobalState(registry);
  return {
    machine: "microvm",
    registry,
    blocks,
    timers,
    firmware,
    processors,
    ioapics,
    pics,
    pit,
    realTimeClock,
    serialPorts,
    runState,
  };
}
