/**
 * Names that QEMU changed without changing a byte of the stream: facts, as scripts/vmstate-static-checker.py of QEMU
 * of several releases knows them, put together. A rename counts in both directions.
 */

/** Device types that are one and the same. */
const DEVICE_RENAMES: readonly (readonly [string, string])[] = [
  ["ICH9 LPC", "ICH9-LPC"],
  ["e1000-82540em", "e1000"],
];

const PCI_PARENT = ["dev", "parent_obj"];
const PCI_OR_PCIE = ["PCIDevice", "PCIEDevice"];
const POINTER_QUEUE = ["usb-ptr-queue", "HIDPointerEventQueue"];
const PCIE_PORT = [
  "port.br.dev",
  "parent_obj.parent_obj.parent_obj",
  "port.br.dev.exp.aer_log",
  "parent_obj.parent_obj.parent_obj.exp.aer_log",
];

/**
 * By enclosing name (the description for its fields, the device for its descriptions): names that stand for each
 * other. Several pairs share a list, so a swap inside one list passes as well; QEMU's checker has the same blind spot.
 */
const NAME_RENAMES: ReadonlyMap<string, readonly string[]> = new Map([
  ["acpi-ghes", ["ghes_addr_le", "hw_error_le"]],
  ["apic", ["timer", "timer_expiry"]],
  ["cirrus_vga", ["hw_cursor_x", "vga.hw_cursor_x", "hw_cursor_y", "vga.hw_cursor_y"]],
  ["e1000", PCI_PARENT],
  ["ehci", ["dev", "pcidev"]],
  ["hpet", ["num_timers", "num_timers_save"]],
  ["I440FX", PCI_PARENT],
  ["ich9_ahci", ["card", "parent_obj"]],
  ["ich9-ahci", ["ahci", "ich9_ahci"]],
  ["ioh3420", PCI_OR_PCIE],
  ["ioh-3240-express-root-port", PCIE_PORT],
  ["lsiscsi", PCI_PARENT],
  ["mch", ["d", "parent_obj"]],
  ["pci_bridge", ["bridge.dev", "parent_obj", "bridge.dev.shpc", "shpc"]],
  ["pcnet", ["pci_dev", "parent_obj"]],
  ["PIIX3", ["pci_irq_levels", "pci_irq_levels_vmstate"]],
  [
    "piix4_pm",
    [
      ...PCI_PARENT,
      ...["pci0_status", "acpi_pci_hotplug.acpi_pcihp_pci_status[0x0]"],
      ...["pm1a.sts", "ar.pm1.evt.sts", "pm1a.en", "ar.pm1.evt.en", "pm1_cnt.cnt", "ar.pm1.cnt.cnt"],
      ...["tmr.timer", "ar.tmr.timer", "tmr.overflow_time", "ar.tmr.overflow_time", "gpe", "ar.gpe"],
    ],
  ],
  ["qxl", ["num_surfaces", "ssd.num_surfaces"]],
  ["rtl8139", PCI_PARENT],
  [
    "spapr_pci",
    [
      ...["dma_liobn[0]", "mig_liobn", "mem_win_addr", "mig_mem_win_addr", "mem_win_size", "mig_mem_win_size"],
      ...["io_win_addr", "mig_io_win_addr", "io_win_size", "mig_io_win_size"],
    ],
  ],
  ["usb-ccid", ["abProtocolDataStructure", "abProtocolDataStructure.data"]],
  ["usb-host", PCI_PARENT],
  ["usb-mouse", POINTER_QUEUE],
  ["usb-tablet", POINTER_QUEUE],
  ["vmware_vga", ["card", "parent_obj"]],
  ["vmware_vga_internal", ["depth", "new_depth"]],
  ["x3130-upstream", PCI_OR_PCIE],
  ["xhci", ["pci_dev", "parent_obj"]],
  ["xio3130-downstream", PCI_OR_PCIE],
  ["xio3130-express-downstream-port", PCIE_PORT],
  [
    "xio3130-express-upstream-port",
    ["br.dev", "parent_obj.parent_obj", "br.dev.exp.aer_log", "parent_obj.parent_obj.exp.aer_log"],
  ],
]);

/** The other name of a device type; undefined when it never had one. */
export function otherDeviceName(name: string): string | undefined {
  for (const [a, b] of DEVICE_RENAMES) {
    if (name === a) return b;
    if (name === b) return a;
  }
  return undefined;
}

/** Whether two names inside `enclosing` mean the same: equal, or a known rename. */
export function sameName(enclosing: string, a: string, b: string): boolean {
  if (a === b) return true;
  const names = NAME_RENAMES.get(enclosing);
  return names !== undefined && names.includes(a) && names.includes(b);
}
