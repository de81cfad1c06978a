/**
 * Numbers of the wire, and nothing else: the only home of magic, section types, RAM flags and the like. Commands have
 * a table of their own, with their lengths (savevm/commands.ts).
 * Names are QEMU's, so that one search finds both sides (migration/savevm.c, migration/ram.c).
 */

export const QEMU_VM_FILE_MAGIC = 0x5145564d; // "QEVM"
export const QEMU_VM_FILE_VERSION_COMPAT = 2;
export const QEMU_VM_FILE_VERSION = 3;

export const QEMU_VM_EOF = 0x00;
export const QEMU_VM_SECTION_START = 0x01;
export const QEMU_VM_SECTION_PART = 0x02;
export const QEMU_VM_SECTION_END = 0x03;
export const QEMU_VM_SECTION_FULL = 0x04;
export const QEMU_VM_SUBSECTION = 0x05;
export const QEMU_VM_VMDESCRIPTION = 0x06;
export const QEMU_VM_CONFIGURATION = 0x07;
export const QEMU_VM_COMMAND = 0x08;
export const QEMU_VM_SECTION_FOOTER = 0x7e;

/** What a null pointer inside a device is on the wire (vmstate "nullptr"). */
export const VMS_NULLPTR_MARKER = 0x30;
/** What precedes a present element of an auto-allocated pointer array (newest QEMU). */
export const VMS_POINTER_MARKER = 0x31;

/** Given up long ago; here so that nobody takes the bit for a free one. */
export const RAM_SAVE_FLAG_FULL = 0x01;
export const RAM_SAVE_FLAG_ZERO = 0x02;
export const RAM_SAVE_FLAG_MEM_SIZE = 0x04;
export const RAM_SAVE_FLAG_PAGE = 0x08;
export const RAM_SAVE_FLAG_EOS = 0x10;
export const RAM_SAVE_FLAG_CONTINUE = 0x20;
export const RAM_SAVE_FLAG_XBZRLE = 0x40;
export const RAM_SAVE_FLAG_HOOK = 0x80;
export const RAM_SAVE_FLAG_COMPRESS_PAGE = 0x100;
export const RAM_SAVE_FLAG_MULTIFD_FLUSH = 0x200;

/** The only encoding an XBZRLE record may name. */
export const ENCODING_FLAG_XBZRLE = 0x01;

/** Longest counted string: its length is one byte. */
export const MAX_COUNTED_STRING = 255;

/** Messages of the return path, destination to source: be16 type, be16 length, payload (migration/migration.c). */
export const MIG_RP_MSG_SHUT = 1;
export const MIG_RP_MSG_PONG = 2;
export const MIG_RP_MSG_REQ_PAGES_ID = 3;
export const MIG_RP_MSG_REQ_PAGES = 4;
export const MIG_RP_MSG_RECV_BITMAP = 5;
export const MIG_RP_MSG_RESUME_ACK = 6;
export const MIG_RP_MSG_SWITCHOVER_ACK = 7;
/** The only value a MIG_RP_MSG_RESUME_ACK may carry. */
export const MIGRATION_RESUME_ACK_VALUE = 1;
/** Stands behind each received bitmap on the return path (migration/ram.c). */
export const RAMBLOCK_RECV_BITMAP_ENDING = 0x0123_4567_89ab_cdefn;

/** First word of every initial packet and every packet of a multifd channel (migration/multifd.h). */
export const MULTIFD_MAGIC = 0x11223344;
export const MULTIFD_VERSION = 1;
/** Bytes of guest memory that one packet is made for; the number of pages follows from it. */
export const MULTIFD_PACKET_SIZE = 512 << 10;
export const MULTIFD_FLAG_SYNC = 1 << 0;
/** Of QEMU 9.1 and later; before, the mask ended at bit 3. */
export const MULTIFD_FLAG_COMPRESSION_MASK = 0x1f << 1;
export const MULTIFD_FLAG_NOCOMP = 0 << 1;
export const MULTIFD_FLAG_ZLIB = 1 << 1;
export const MULTIFD_FLAG_ZSTD = 2 << 1;
/** QEMU 10.0 and later: another packet altogether, of a device and not of RAM. */
export const MULTIFD_FLAG_DEVICE_STATE = 1 << 6;
