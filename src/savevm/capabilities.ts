/**
 * Capabilities as the configuration section deals with them: by name. Only the validated ones are announced, and must
 * be on at both ends or at neither; other known names are accepted and mean nothing there.
 */

/** Announced and compared by QEMU 8.2 (should_validate_capability). */
const VALIDATED_8_2: readonly string[] = ["x-ignore-shared"];
/** Since 9.0, in the order in which they are announced. */
const VALIDATED: readonly string[] = [...VALIDATED_8_2, "mapped-ram"];

const KNOWN_8_2: ReadonlySet<string> = new Set([
  "xbzrle",
  "rdma-pin-all",
  "auto-converge",
  "zero-blocks",
  "compress",
  "events",
  "postcopy-ram",
  "x-colo",
  "release-ram",
  "block",
  "return-path",
  "pause-before-switchover",
  "multifd",
  "dirty-bitmaps",
  "postcopy-blocktime",
  "late-block-activate",
  "x-ignore-shared",
  "validate-uuid",
  "background-snapshot",
  "zero-copy-send",
  "postcopy-preempt",
  "switchover-ack",
  "dirty-limit",
]);

/** Names to announce and compare, in wire order. */
export function validatedCapabilities(strict: boolean): readonly string[] {
  return strict ? VALIDATED_8_2 : VALIDATED;
}

/** True for a name that a configuration section may list. */
export function isKnownCapability(name: string, strict: boolean): boolean {
  return KNOWN_8_2.has(name) || validatedCapabilities(strict).includes(name);
}
