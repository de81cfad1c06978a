/**
 * The bitmap codec's two forms: on the wire be64 words, lowest first, bit 0 the least significant; in a device a
 * Uint8Array with bit k in byte k/8 at k%8.
 */

/** Words on the wire; bits beyond `bits` are zero. */
export function bitmapWords(bytes: Uint8Array, bits: number): bigint[] {
  const words: bigint[] = [];
  for (let bit = 0; bit < bits; bit += 64) {
    let word = 0n;
    for (let i = Math.min(8, Math.ceil((bits - bit) / 8)) - 1; i >= 0; i--) {
      word = (word << 8n) | BigInt(bytes[bit / 8 + i] ?? 0);
    }
    const valid = Math.min(64, bits - bit);
    words.push(BigInt.asUintN(valid, word));
  }
  return words;
}

/** Put word `index` into `bytes`, only as many bits as there are. */
export function putBitmapWord(bytes: Uint8Array, bits: number, index: number, word: bigint): void {
  let left = BigInt.asUintN(Math.min(64, bits - index * 64), word);
  const end = Math.min(Math.ceil(bits / 8), index * 8 + 8);
  for (let i = index * 8; i < end; i++) {
    bytes[i] = Number(left & 0xffn);
    left >>= 8n;
  }
}
