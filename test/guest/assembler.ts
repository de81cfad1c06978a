/**
 * A very small assembler: hexadecimal text, labels and fixups.
 *
 * One line holds `label:` (optional), bytes as hexadecimal pairs, fixups in braces, and a comment after `;`.
 * The test guest is short enough to be written in machine code, and then its ROM needs no other tool:
 *
 * | fixup          | emits                                                    |
 * | -------------- | -------------------------------------------------------- |
 * | `{name}`       | 4 bytes, little-endian: address of a label, or a constant |
 * | `{name:byte}`  | 1 byte, a constant                                       |
 * | `{name:off16}` | 2 bytes: offset of a label from the origin               |
 * | `{name:rel8}`  | 1 byte: distance from the end of this fixup              |
 * | `{name:rel32}` | 4 bytes: the same                                        |
 * | `{name:gate}`  | 8 bytes: 32-bit interrupt gate, selector 8               |
 */

const FIXUP_SIZES = { abs32: 4, byte: 1, off16: 2, rel8: 1, rel32: 4, gate: 8 } as const;
type FixupKind = keyof typeof FIXUP_SIZES;

interface Fixup {
  readonly at: number;
  readonly kind: FixupKind;
  readonly name: string;
  readonly line: number;
}

export interface AssemblerOptions {
  /** Address of the first byte once the code is mapped. */
  readonly origin: number;
  /** Named numbers that fixups may use beside labels. */
  readonly constants?: Readonly<Record<string, number>>;
}

export interface Assembled {
  readonly code: Uint8Array;
  /** Offset of every label from the first byte. */
  readonly labels: ReadonlyMap<string, number>;
}

/** Translates `source`; a malformed line, an unknown name or a jump that is too long is a `RangeError`. */
export function assemble(source: string, options: AssemblerOptions): Assembled {
  const { bytes, labels, fixups } = parse(source);
  const code = Uint8Array.from(bytes);
  for (const fixup of fixups) {
    patch(code, fixup, labels.get(fixup.name), options);
  }
  return { code, labels };
}

function parse(source: string) {
  const bytes: number[] = [];
  const labels = new Map<string, number>();
  const fixups: Fixup[] = [];
  source.split("\n").forEach((text, index) => {
    const line = index + 1;
    const tokens = text.replace(/;.*/, "").trim().split(/\s+/).filter(Boolean);
    for (const token of tokens) {
      const label = /^(\w+):$/.exec(token)?.[1];
      const fixup = /^\{(\w+)(?::(\w+))?\}$/.exec(token);
      if (label !== undefined) {
        if (labels.has(label)) throw new RangeError(`Line ${line}: label ${label} is defined twice`);
        labels.set(label, bytes.length);
      } else if (fixup) {
        const kind = fixupKind(fixup[2] ?? "abs32", line);
        fixups.push({ at: bytes.length, kind, name: fixup[1], line });
        for (let i = 0; i < FIXUP_SIZES[kind]; i++) bytes.push(0);
      } else {
        if (!/^([0-9A-Fa-f]{2})+$/.test(token)) throw new RangeError(`Line ${line}: cannot read ${token}`);
        for (let i = 0; i < token.length; i += 2) bytes.push(Number.parseInt(token.slice(i, i + 2), 16));
      }
    }
  });
  return { bytes, labels, fixups };
}

function fixupKind(text: string, line: number): FixupKind {
  if (!Object.hasOwn(FIXUP_SIZES, text)) throw new RangeError(`Line ${line}: no fixup kind ${text}`);
  return text as FixupKind;
}

function patch(code: Uint8Array, fixup: Fixup, label: number | undefined, options: AssemblerOptions): void {
  const view = new DataView(code.buffer);
  const constant = options.constants?.[fixup.name];
  const value = label === undefined ? constant : options.origin + label;
  if (value === undefined) throw new RangeError(`Line ${fixup.line}: unknown name ${fixup.name}`);
  const distance = value - options.origin - (fixup.at + FIXUP_SIZES[fixup.kind]);
  switch (fixup.kind) {
    case "abs32":
      view.setUint32(fixup.at, value, true);
      return;
    case "byte":
      if (value < 0 || value > 0xff) throw new RangeError(`Line ${fixup.line}: ${fixup.name} is not a byte: ${value}`);
      view.setUint8(fixup.at, value);
      return;
    case "off16":
      view.setUint16(fixup.at, value - options.origin, true);
      return;
    case "rel8":
      if (distance < -128 || distance > 127) throw new RangeError(`Line ${fixup.line}: ${fixup.name} is too far`);
      view.setInt8(fixup.at, distance);
      return;
    case "rel32":
      view.setInt32(fixup.at, distance, true);
      return;
    case "gate":
      view.setUint16(fixup.at, value & 0xffff, true);
      view.setUint16(fixup.at + 2, 8, true);
      view.setUint16(fixup.at + 4, 0x8e00, true);
      view.setUint16(fixup.at + 6, value >>> 16, true);
  }
}
