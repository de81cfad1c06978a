/**
 * Names on the wire are bytes; here they are strings. The mapping loses nothing: UTF-8 where it is valid, else each
 * byte above 0x7f becomes the lone surrogate U+DC00 + byte (as Python's "surrogateescape"), and back.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ESCAPED = /(?<![\ud800-\udbff])[\udc80-\udcff]/;

/** Names come again and again, and decoding one takes longer than all else of a small section's header. */
const KNOWN = new Array<{ readonly bytes: Uint8Array; readonly text: string } | null>(256).fill(null);
const KNOWN_LENGTH = 64;

/** The name that these bytes are, as text that {@link encodeName} turns back into them. */
export function decodeName(bytes: Uint8Array): string {
  if (bytes.length > KNOWN_LENGTH) return decode(bytes);
  let hash = bytes.length;
  for (let i = 0; i < bytes.length; i++) hash = (Math.imul(hash, 31) + bytes[i]) | 0;
  const at = hash & (KNOWN.length - 1);
  const known = KNOWN[at];
  if (known !== null && isSame(known.bytes, bytes)) return known.text;
  const text = decode(bytes);
  KNOWN[at] = { bytes: new Uint8Array(bytes), text };
  return text;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function decode(bytes: Uint8Array): string {
  // A shared buffer cannot be decoded in browsers; names are short, so a copy costs nothing.
  const plain = new Uint8Array(bytes);
  try {
    return decoder.decode(plain);
  } catch {
    return Array.from(plain, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join("");
  }
}

/** The bytes of a name, see {@link decodeName}. */
export function encodeName(text: string): Uint8Array<ArrayBuffer> {
  if (!ESCAPED.test(text)) return encoder.encode(text);
  const bytes: number[] = [];
  for (const char of text) {
    if (ESCAPED.test(char)) bytes.push(char.charCodeAt(0) & 0xff);
    else bytes.push(...encoder.encode(char));
  }
  return Uint8Array.from(bytes);
}
