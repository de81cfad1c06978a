/**
 * The test guest: a 64 KiB x86 ROM of our own, so that a recorded stream holds no firmware of anybody else.
 *
 * ```
 * FFFF0000  other CPUs start here (start-up vector F0, seen through the alias at F0000)
 *    ...    reset code (real mode), guest (32-bit, no paging), tables
 * FFFFFFF0  reset vector: jump to `start`
 * ```
 * It programs COM1, both PICs, the PIT (18.2 interrupts a second) and one DMA channel, puts known values into FPU, SSE
 * and debug registers, fills its window, starts the other CPUs, prints a line, and then rewrites the window page by
 * page as model.ts describes. The idle guest sleeps between two timer interrupts, the busy one never sleeps.
 *
 * Before each write it drops the TLB entry of the page. Without paging nothing else ever does, and QEMU 7.2 (TCG) does
 * not log writes through an entry from before the first scan of a migration: such pages would arrive in an old state.
 */
import { assemble } from "./assembler.js";
import { BANNER, GUEST_MAGIC, HEADER_ADDRESS, STACK_TOP, WINDOW_ADDRESS } from "./model.js";

export const ROM_SIZE = 65536;
const ORIGIN = 0xffff0000;
const RESET_VECTOR = 0xfff0;

export interface GuestOptions {
  /** Sleep until the next timer interrupt between steps; default true. */
  readonly idle?: boolean;
  /** Pages in the window, a power of two; default 64. */
  readonly pages?: number;
  /** Pages rewritten in one go, 1 to 255; default 1. */
  readonly steps?: number;
  /** Turns of an empty loop after each go, which slows a busy guest down; default 1. */
  readonly delay?: number;
}

/** The ROM image for QEMU's `-bios`, always {@link ROM_SIZE} bytes; an impossible option is a `RangeError`. */
export function buildGuestRom(options: GuestOptions = {}): Uint8Array {
  const { idle = true, pages = 64, steps = 1, delay = 1 } = options;
  const pagesLog2 = Math.log2(pages);
  if (!Number.isInteger(pagesLog2) || pages < 1) throw new RangeError(`Pages is not a power of two: ${pages}`);
  if (!Number.isInteger(steps) || steps < 1 || steps > 255) throw new RangeError(`Steps is out of range: ${steps}`);
  const { code, labels } = assemble(SOURCE, {
    origin: ORIGIN,
    constants: {
      MAGIC: GUEST_MAGIC,
      HEADER: HEADER_ADDRESS,
      TICKS: HEADER_ADDRESS + 8,
      STATE: HEADER_ADDRESS + 32,
      STACK: STACK_TOP,
      WINDOW: WINDOW_ADDRESS,
      PAGES: pages,
      LAST_PAGE: pages - 1,
      PAGES_LOG2: pagesLog2,
      STEPS: steps,
      DELAY: delay,
      SLEEP: idle ? 0xf4 : 0x90,
    },
  });
  const rom = new Uint8Array(ROM_SIZE);
  rom.set(code);
  const start = labels.get("start")!;
  // Jumping by a 16-bit distance wraps inside the segment, so the ROM may sit at F0000 as well as at FFFF0000.
  const distance = (start - (RESET_VECTOR + 3)) & 0xffff;
  rom.set([0xe9, distance & 0xff, distance >>> 8], RESET_VECTOR);
  return rom;
}

const hexOf = (bytes: Iterable<number>) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** Port and value, in order; the word 0 in place of a port ends the list. */
const PORT_WRITES: readonly (readonly [port: number, value: number])[] = [
  // COM1: 115200 baud, 8N1, FIFO on, no interrupts.
  [0x3f9, 0x00],
  [0x3fb, 0x80],
  [0x3f8, 0x01],
  [0x3f9, 0x00],
  [0x3fb, 0x03],
  [0x3fa, 0xc7],
  [0x3fc, 0x03],
  [0x3ff, 0x5a],
  // PICs: vectors 20h and 28h, only the timer let through.
  [0x20, 0x11],
  [0x21, 0x20],
  [0x21, 0x04],
  [0x21, 0x01],
  [0x21, 0xfe],
  [0xa0, 0x11],
  [0xa1, 0x28],
  [0xa1, 0x02],
  [0xa1, 0x01],
  [0xa1, 0xff],
  // PIT: channel 0 divides by 65536, channel 2 counts without an output.
  [0x43, 0x34],
  [0x40, 0x00],
  [0x40, 0x00],
  [0x43, 0xb6],
  [0x42, 0x33],
  [0x42, 0x05],
  // DMA: channel 2 address and count, masked; CMOS index; PCI configuration address stays untouched.
  [0x0c, 0x00],
  [0x04, 0x34],
  [0x04, 0x12],
  [0x05, 0xff],
  [0x05, 0x01],
  [0x0b, 0x46],
  [0x70, 0x0f],
  [0x71, 0xa5],
];

const portTable = hexOf([...PORT_WRITES.flatMap(([port, value]) => [port & 0xff, port >>> 8, value]), 0, 0, 0]);
const gates = [
  ...Array.from({ length: 32 }, () => "{trap:gate}"),
  "{tick:gate}",
  ...Array.from({ length: 15 }, () => "{spurious:gate}"),
].join(" ");

const SOURCE = `
; ---- other CPUs, real mode, at F000:0000
        FA                        ; cli
        31 C0  8E D8              ; ds = 0
        F0 66 FF 06 1C 80         ; lock inc dword [801C]: "other CPUs started"
parked: F4                        ; hlt
        EB {parked:rel8}

; ---- reset, real mode
start:  FA                        ; cli
        2E 66 0F 01 16 {gdtr:off16} ; lgdt [cs:gdtr]
        0F 20 C0  0C 01  0F 22 C0 ; cr0 |= PE
        66 EA {prot} 08 00        ; jump to 32-bit code

; ---- 32-bit, flat, interrupts off
prot:   B8 10 00 00 00            ; eax = data selector
        8E D8  8E C0  8E D0       ; ds, es, ss
        8E E0  8E E8              ; fs, gs
        BC {STACK}                ; esp
        BD {HEADER}               ; ebp = header, from here on
        FC                        ; cld
        0F 01 1D {idtr}           ; lidt [idtr]
        C7 45 00 {MAGIC}
        C7 45 14 {PAGES}
        C7 45 18 {WINDOW}
        C6 45 20 01               ; state = filling
        BE {ports}                ; esi = list of port writes
port1:  0F B7 16                  ; edx = port
        8A 46 02                  ; al = value
        83 C6 03                  ; next entry
        85 D2  74 {fpu:rel8}      ; port 0: done
        EE                        ; out dx, al
        EB {port1:rel8}

; ---- known values in registers that the guest does not use
fpu:    0F 20 C0  24 FB  0C 22  0F 22 C0 ; cr0: EM off, MP and NE on
        DB E3                     ; fninit
        D9 EB  D9 EA  D9 E8  D9 E0 ; pi, log2(e), -1
        B8 {WINDOW}
        0F 23 C0                  ; dr0, never enabled
        0F 22 D0                  ; cr2
        B8 01 00 00 00  0F A2     ; cpuid 1
        0F BA E2 19               ; SSE?
        73 {fill:rel8}
        0F 20 E0  80 CC 06  0F 22 E0 ; cr4: SSE on
        0F 10 05 {ports}          ; xmm0
        0F 10 3D {idt}            ; xmm7
        B9 75 01 00 00  B8 {STACK}  31 D2  0F 30 ; SYSENTER_ESP = stack

; ---- fill the window as pass 0
fill:   31 DB                     ; ebx = page
        31 F6                     ; esi = pass
        BF {WINDOW}               ; edi = its address
fill1:  E8 {put:rel32}
        81 C7 00 10 00 00
        43
        81 FB {PAGES}
        72 {fill1:rel8}
        C7 45 04 {PAGES}          ; steps: pass 1 begins

; ---- local APIC: on, and its LINT0 passes the PIC's interrupts; without an APIC these writes go nowhere
        C7 05 F0 00 E0 FE FF 01 00 00
        C7 05 50 03 E0 FE 00 07 00 00

; ---- wake the other CPUs: INIT, a pause, start-up
        C7 05 00 03 E0 FE 00 45 0C 00
        B9 A0 86 01 00
wait:   E2 {wait:rel8}
        C7 05 00 03 E0 FE F0 46 0C 00

        BE {hello}
        E8 {print:rel32}
        C6 45 20 02               ; state = running
        FB                        ; sti

; ---- for ever: sleep (or not), rewrite some pages, answer the serial line
main:   {SLEEP:byte}              ; hlt or nop
        B9 {STEPS}
main1:  51                        ; push ecx
        E8 {step:rel32}
        59                        ; pop ecx
        E2 {main1:rel8}
        E8 {echo:rel32}
        B9 {DELAY}
spin:   E2 {spin:rel8}
        EB {main:rel8}

; ---- step: check the current page against the last pass, rewrite it, count
step:   8B 45 04                  ; eax = steps
        89 C3  81 E3 {LAST_PAGE}  ; ebx = page
        C1 E8 {PAGES_LOG2:byte}
        89 C6                     ; esi = pass
        89 DF  C1 E7 0C  81 C7 {WINDOW} ; edi = address of the page
        0F 01 3F  0F 01 7D 00  0F 01 3C 24 ; invlpg: this page, header, stack (see above)
        4E                        ; the last pass
        31 C9                     ; ecx = word
step1:  E8 {value:rel32}
        3B 04 8F                  ; cmp eax, [edi+ecx*4]
        74 {step3:rel8}
        8D 04 8F                  ; eax = address of the wrong word
        83 7D 0C 00               ; the first one is kept
        75 {step2:rel8}
        89 45 10
step2:  FF 45 0C                  ; errors++
step3:  41
        80 FD 04                  ; 1024 words
        72 {step1:rel8}
        46                        ; this pass
        E8 {put:rel32}
        FF 45 04                  ; steps++, only now
        C3

; ---- put: write page ebx (at edi) as of pass esi
put:    31 C9
put1:   E8 {value:rel32}
        89 04 8F
        41
        80 FD 04
        72 {put1:rel8}
        C3

; ---- value: eax = f(pass esi, page ebx, word ecx); edx is lost
value:  88 D8  24 07              ; al = page mod 8
        74 {dense:rel8}
        3C 02
        74 {plain:rel8}
        77 {mixed:rel8}
        F7 C6 01 00 00 00         ; kind 1: zero after odd passes
        74 {plain:rel8}
        31 C0
        C3
mixed:  F6 C1 0F
        75 {plain:rel8}
dense:  69 C6 B1 79 37 9E         ; pass * 9E3779B1
        69 D3 01 00 01 00         ; + page * 10001
        01 D0
        01 C8                     ; + word
        C3
plain:  89 D8  C1 E0 08           ; page << 8
        89 CA  83 E2 3F  09 D0    ; | word mod 64
        0D 00 00 00 A5
        C3

; ---- echo: send back one received byte; a port without a UART reads as FF
echo:   BA FD 03 00 00  EC        ; line status
        3C FF  74 {echo1:rel8}
        A8 01  74 {echo1:rel8}
        B2 F8  EC  EE
        FF 45 28
echo1:  C3

; ---- print: zero-ended text at esi
print:  BA F8 03 00 00
print1: AC
        84 C0  74 {print2:rel8}
        EE
        EB {print1:rel8}
print2: C3

; ---- interrupts
tick:   50                        ; push eax
        0F 01 3D {HEADER}         ; invlpg
        FF 05 {TICKS}
        B0 20  E6 20              ; end of interrupt
        58                        ; pop eax
spurious: CF
trap:   C6 05 {STATE} 03          ; state = trapped
trap1:  FA  F4                    ; cli, hlt
        EB {trap1:rel8}

; ---- tables
gdt:    00 00 00 00 00 00 00 00
        FF FF 00 00 00 9B CF 00   ; code, accessed already: the table is read-only
        FF FF 00 00 00 93 CF 00   ; data
gdtr:   17 00 {gdt}
idtr:   7F 01 {idt}
ports:  ${portTable}
hello:  ${hexOf(new TextEncoder().encode(BANNER))} 00
idt:    ${gates}
`;
