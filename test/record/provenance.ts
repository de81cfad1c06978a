/**
 * Whose bytes are in the recorded memory? Streams in the repository must hold no firmware of others, so every page that
 * is not zero has to be explained: a file that we made, what our guest wrote, a flattened device tree (QEMU's list of the
 * machine's own hardware, no program), or a few bytes of identification (a MAC address, a board number, a start address).
 */
import { HEADER_ADDRESS, PAGE_SIZE, STACK_TOP, readHeader, windowProblems } from "../guest/model.js";

/** Bytes of the header page and of the stack that the guest uses. */
const HEADER_BYTES = 44;
const STACK_BYTES = 64;
/** A page with so few bytes other than zero is an identification. */
const IDENTIFICATION_BYTES = 16;
const DEVICE_TREE_MAGIC = 0xd00dfeed;

export interface Inputs {
  /** Files that went into the machine. */
  readonly files: readonly Uint8Array[];
  /** Whether our x86 guest ran. */
  readonly guest: boolean;
}

/** Non-zero stretches that nothing explains, as `block+offset`; none is good. */
export function strangePages(memory: ReadonlyMap<string, Uint8Array | null>, inputs: Inputs): string[] {
  const strange: string[] = [];
  for (const [name, content] of memory) {
    if (!content) continue;
    const isGuestRam = inputs.guest && content.byteLength >= 0x800000 && name.endsWith(".ram");
    const skip = isGuestRam ? guestPages(content) : new Set<number>();
    let treeEnd = 0;
    for (let at = 0; at < content.byteLength; at += PAGE_SIZE) {
      const page = Buffer.from(content.buffer, content.byteOffset + at, Math.min(PAGE_SIZE, content.byteLength - at));
      if (skip.has(at) || isZero(page) || inputs.files.some((file) => holds(file, page))) continue;
      if (page.readUInt32BE(0) === DEVICE_TREE_MAGIC) treeEnd = at + page.readUInt32BE(4);
      const isIdentification = page.filter((byte) => byte !== 0).length <= IDENTIFICATION_BYTES;
      if (at >= treeEnd && !isIdentification) strange.push(`${name}+0x${at.toString(16)}`);
    }
  }
  return strange;
}

/** Offsets of the pages that our guest accounts for, after checking that they hold what it must have written. */
function guestPages(ram: Uint8Array): Set<number> {
  const headerPage = ram.subarray(HEADER_ADDRESS, HEADER_ADDRESS + PAGE_SIZE);
  const header = readHeader(headerPage);
  const window = ram.subarray(header.window, header.window + header.pages * PAGE_SIZE);
  const stack = ram.subarray(STACK_TOP - PAGE_SIZE, STACK_TOP - STACK_BYTES);
  const problems = windowProblems(header, window);
  if (problems.length > 0) throw new Error(`The recorded guest is damaged: ${problems.join("; ")}`);
  if (!isZero(headerPage.subarray(HEADER_BYTES)) || !isZero(stack))
    throw new Error("Unknown bytes in the guest's pages");
  const pages = Array.from({ length: header.pages }, (_, page) => header.window + page * PAGE_SIZE);
  return new Set([HEADER_ADDRESS, STACK_TOP - PAGE_SIZE, ...pages]);
}

function holds(file: Uint8Array, page: Buffer): boolean {
  let start = 0;
  let end = page.length;
  while (page[start] === 0) start++;
  while (page[end - 1] === 0) end--;
  return Buffer.from(file.buffer, file.byteOffset, file.byteLength).includes(page.subarray(start, end));
}

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);
const isZero = (bytes: Uint8Array) => ZERO_PAGE.subarray(0, bytes.byteLength).equals(bytes);
