/**
 * Ceilings on what a stream may make us hold. Everything else is bounded by what the machine registered.
 * Each can be raised per load through {@link Limits}; none is ever taken from a length found in the stream.
 */
export interface Limits {
  /** Bytes of one PACKAGED command that may be held; QEMU itself allows 2^32 - 1. */
  readonly packagedBytes: number;
  /** Bytes of the JSON description behind the stream that may be kept; longer ones are skipped unread. */
  readonly descriptionBytes: number;
  /** Capability names in the configuration section. QEMU 11 knows fewer than 40. */
  readonly capabilities: number;
  /** Bytes of the machine type name. */
  readonly machineNameBytes: number;
  /** Elements of one list or tree whose length only the stream tells. */
  readonly containerElements: number;
  /** Bytes of one device section that may be held while nothing says where it ends. */
  readonly deviceBytes: number;
  /** Sections and commands that a tool lists; a live migration of an hour has about 40,000. */
  readonly elements: number;
  /** Pages of all RAMBlocks of a machine that only the stream knows: bounds what is kept per page. */
  readonly ramPages: number;
}

/** The ceilings of a load that sets none. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  packagedBytes: 32 << 20,
  descriptionBytes: 16 << 20,
  capabilities: 256,
  machineNameBytes: 4096,
  containerElements: 1 << 16,
  deviceBytes: 32 << 20,
  elements: 1 << 18,
  ramPages: 2 ** 28,
});

/** Ceilings on a state schema (a `-dump-vmstate` file). QEMU's own: 1 MB, 5 levels, about 4000 fields. */
export const SCHEMA_LIMITS = Object.freeze({
  /** Bytes of the JSON text, after unpacking. */
  bytes: 16 << 20,
  /** Descriptions inside descriptions. */
  depth: 64,
  /** Characters of one name. */
  nameLength: 1024,
  /** Pairs of fields and descriptions that one comparison may look at: subsections of equal names multiply. */
  comparisons: 1 << 20,
  /** Findings that one comparison may hold. */
  findings: 1 << 16,
});

/** Ceilings on the snapshot table of a qcow2 image: those of QEMU. */
export const QCOW2_LIMITS = Object.freeze({
  /** Snapshots of one image. */
  snapshots: 1 << 16,
  /** Bytes of extra data of one of them. */
  extraBytes: 1024,
  /** Bytes of the whole table. */
  tableBytes: 64 << 20,
});
