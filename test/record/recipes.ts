/**
 * What is recorded. In arguments, `@TMP@` is the directory of the recording: it holds the ROM of the test guest as
 * `rom`, and what `files` names.
 */
import type { GuestOptions } from "../guest/rom.js";
import { guestArgs } from "../kit/qemu.js";

export interface Recipe {
  readonly name: string;
  readonly note: string;
  /** Ending of the program name qemu-system-ARCH; default x86_64. */
  readonly arch?: string;
  readonly args: readonly string[];
  /** The test guest, which then runs; without it the machine is recorded before its first instruction. */
  readonly guest?: GuestOptions;
  /** Files made for the recording: name and content. */
  readonly files?: Readonly<Record<string, () => Uint8Array>>;
  readonly capabilities?: readonly string[];
  readonly parameters?: Readonly<Record<string, number | string>>;
  /**
   * `file` (default): written in one go. `live`: slowed down until RAM was scanned several times, so that sections of
   * a running guest appear. `proxy`: a second QEMU receives and answers, and a proxy between them records.
   */
  readonly capture?: "file" | "live" | "proxy";
  /** Target page size for streams that end without a description. */
  readonly pageSize?: number;
}

const IDLE: GuestOptions = { idle: true, pages: 32, steps: 4 };
const BUSY: GuestOptions = { idle: false, pages: 32, steps: 8, delay: 20_000 };
const SLOW = { "max-bandwidth": 1_000_000, "downtime-limit": 1 };
const UUID = "00112233-4455-6677-8899-aabbccddeeff";

const x86 = (machine: string, extra: readonly string[] = [], cpus = 1) =>
  guestArgs({ machine, rom: "@TMP@/rom", cpus, extra });
const devices = (...list: string[]) => list.flatMap((device) => ["-device", device]);

/** Bytes that no two pages share, for machines on which our guest cannot run. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (at & 0xff) < 8 ? (at >>> 8) & 0xff : (at * 7) & 0x3f;
  return bytes;
}

/** A machine of another architecture, halted at reset; a loader device puts the pattern into its RAM. */
function halted(name: string, arch: string, args: readonly string[], patternAddress: number, note: string): Recipe {
  const loader = `loader,file=@TMP@/pattern,force-raw=on,addr=0x${patternAddress.toString(16)}`;
  return {
    name,
    arch,
    note: `${note}, halted at reset`,
    args: [...args, "-nodefaults", "-serial", "null", "-device", loader],
    files: { pattern: () => pattern(8192), zero: () => new Uint8Array(4096), flash: () => new Uint8Array(0x800000) },
  };
}

export const RECIPES: readonly Recipe[] = [
  { name: "microvm", note: "idle guest; the stream of `npm start`", args: x86("microvm"), guest: IDLE },
  { name: "isapc", note: "idle guest", args: x86("isapc"), guest: IDLE },
  { name: "pc", note: "idle guest", args: x86("pc"), guest: IDLE },
  { name: "q35", note: "idle guest", args: x86("q35"), guest: IDLE },
  { name: "none", note: "a machine without devices", args: ["-machine", "none", "-nodefaults"] },
  { name: "microvm-smp4", note: "four CPUs, three of them halted", args: x86("microvm", [], 4), guest: IDLE },
  {
    name: "microvm-cpu-max",
    note: "the CPU model with the most state",
    args: x86("microvm", ["-cpu", "max"], 2),
    guest: IDLE,
  },
  {
    name: "pc-live",
    note: "busy guest, several rounds",
    args: x86("pc"),
    guest: BUSY,
    capture: "live",
    parameters: SLOW,
  },
  {
    name: "pc-xbzrle",
    note: "busy guest, several rounds",
    args: x86("pc"),
    guest: BUSY,
    capture: "live",
    capabilities: ["xbzrle"],
    parameters: SLOW,
  },
  {
    name: "microvm-compress",
    note: "pages compressed by threads",
    args: x86("microvm"),
    guest: IDLE,
    capabilities: ["compress"],
    parameters: { "compress-threads": 2 },
  },
  {
    name: "pc-ignore-shared",
    note: "RAM in a shared file, which the stream leaves out",
    args: [
      ...x86("pc,memory-backend=pc.ram"),
      ...["-object", "memory-backend-file,id=pc.ram,size=8M,share=on,mem-path=@TMP@/ram"],
    ],
    guest: IDLE,
    capabilities: ["x-ignore-shared"],
  },
  {
    name: "pc-uuid",
    note: "the uuid is validated",
    args: x86("pc", ["-uuid", UUID]),
    guest: IDLE,
    capabilities: ["validate-uuid"],
  },
  { name: "pc-i440fx-2.2", note: "no configuration, footers, description", args: x86("pc-i440fx-2.2"), guest: IDLE },
  { name: "pc-i440fx-2.3", note: "no configuration and footers", args: x86("pc-i440fx-2.3"), guest: IDLE },
  {
    name: "pc-postcopy",
    note: "switched to postcopy in the middle; main channel",
    args: x86("pc"),
    guest: BUSY,
    capture: "proxy",
    capabilities: ["postcopy-ram"],
    parameters: { "max-bandwidth": 200_000 },
    pageSize: 4096,
  },
  {
    name: "pc-return-path",
    note: "with a return path; main channel",
    args: x86("pc"),
    guest: IDLE,
    capture: "proxy",
    capabilities: ["return-path"],
  },
  {
    name: "pc-devices",
    note: "many devices on PCI and ISA",
    args: x86("pc,usb=on", [
      ...["-audiodev", "none,id=snd", "-netdev", "hubport,id=n0,hubid=0", "-vga", "none"],
      ...devices("pci-bridge,chassis_nr=1,id=b1,shpc=off", "pci-bridge,chassis_nr=2,id=b2,shpc=off"),
      ...devices("VGA,romfile=,vgamem_mb=1", "cirrus-vga,romfile=,vgamem_mb=4", "e1000,romfile=,netdev=n0"),
      ...devices("pcnet,romfile=", "rtl8139,romfile=", "ne2k_pci,romfile=", "vmxnet3,romfile=", "i82551,romfile="),
      ...devices("AC97,audiodev=snd", "ES1370,audiodev=snd", "intel-hda", "hda-duplex,audiodev=snd"),
      ...devices("sb16,audiodev=snd", "adlib,audiodev=snd", "gus,audiodev=snd", "cs4231a,audiodev=snd"),
      ...devices("lsi53c895a", "megasas,bus=b1", "mptsas1068,bus=b1", "pvscsi,bus=b1", "am53c974,bus=b1"),
      ...devices("usb-ehci,id=ehci,bus=b1", "nec-usb-xhci,bus=b1", "pci-ohci,bus=b1", "usb-kbd,bus=ehci.0"),
      ...devices("virtio-balloon-pci,bus=b1", "virtio-rng-pci,bus=b1", "virtio-serial-pci,bus=b1"),
      ...devices("virtio-net-pci,romfile=,bus=b1", "virtio-scsi-pci,bus=b1", "virtio-keyboard-pci,bus=b1"),
      ...devices("sdhci-pci,bus=b2", "i6300esb,bus=b2", "tpci200,bus=b2", "ipoctal232", "pci-serial,bus=b2"),
      ...devices("isa-debug-exit", "pvpanic", "ib700", "isa-ide,irq=10", "edu,bus=b2"),
    ]),
    guest: IDLE,
  },
  {
    name: "q35-devices",
    note: "PCI Express, an IOMMU, memory hotplug, several RAM blocks",
    args: x86("q35,kernel-irqchip=off", [
      ...[
        "-m",
        "8M,slots=2,maxmem=1G",
        "-object",
        "memory-backend-ram,id=m0,size=2M",
        "-object",
        "cryptodev-backend-builtin,id=c0",
      ],
      ...devices("intel-iommu", "pcie-root-port,id=rp0,chassis=1", "e1000e,bus=rp0,romfile=", "x3130-upstream,id=up"),
      ...devices("xio3130-downstream,bus=up,chassis=2", "qemu-xhci", "ich9-intel-hda", "ich9-ahci"),
      ...devices("ivshmem-plain,memdev=m0,master=on", "bochs-display,romfile=,vgamem=4M", "vmgenid", "vmcoreinfo"),
      ...devices("virtio-gpu-pci,romfile="),
    ]),
    guest: IDLE,
  },
  halted(
    "arm-musicpal",
    "arm",
    ["-machine", "musicpal", "-drive", "if=pflash,format=raw,file=@TMP@/flash"],
    0x1000,
    "pages of 1 KiB",
  ),
  halted("arm-microbit", "arm", ["-machine", "microbit"], 0x20000000, "microcontroller, pages of 1 KiB"),
  halted(
    "aarch64-virt",
    "aarch64",
    ["-machine", "virt,acpi=off", "-m", "8", "-cpu", "cortex-a57", "-smp", "2"],
    0x40100000,
    "page size in the configuration",
  ),
  halted("avr-uno", "avr", ["-machine", "uno", "-bios", "@TMP@/zero"], 0x100, "pages of 256 bytes"),
  halted("m68k-q800", "m68k", ["-machine", "q800", "-m", "8", "-bios", "@TMP@/zero"], 0x1000, "big-endian"),
  halted("m68k-virt", "m68k", ["-machine", "virt", "-m", "8"], 0x1000, "big-endian"),
  halted(
    "mips-malta",
    "mips",
    ["-machine", "malta", "-m", "8", "-bios", "@TMP@/zero"],
    0x1000,
    "big-endian, software TLB",
  ),
  halted("ppc-g3beige", "ppc", ["-machine", "g3beige", "-m", "8", "-bios", "@TMP@/zero"], 0x1000, "big-endian"),
  halted(
    "ppc64-pseries",
    "ppc64",
    ["-machine", "pseries", "-m", "256", "-bios", "@TMP@/zero"],
    0x2000,
    "hash table sections (spapr/htab)",
  ),
  halted(
    "s390x-virtio",
    "s390x",
    ["-machine", "s390-ccw-virtio", "-m", "8", "-bios", "@TMP@/zero"],
    0x10000,
    "big-endian, storage attributes and keys",
  ),
  halted(
    "sparc-ss5",
    "sparc",
    ["-machine", "SS-5", "-m", "8", "-bios", "@TMP@/zero"],
    0x1000,
    "big-endian, register windows",
  ),
  halted("rx-gdbsim", "rx", ["-machine", "gdbsim-r5f562n8", "-bios", "@TMP@/zero"], 0x1000000, "microcontroller"),
];
