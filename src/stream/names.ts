/**
 * Names on the wire are bytes; here they are strings. The mapping loses nothing: UTF-8 where it is valid, else each
 * byte above 0x7f becomes the lone surrogate U+DC00 + byte (as Python's "surrogateescape"), and back.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ESCAPED = /(?<![\ud800-\udbff])[\udc80-\udcff]/;

/** The name that these bytes are, as text that {@link encodeName} turns back into them. */
export function decodeName(bytes: Uint8Array): string {
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
