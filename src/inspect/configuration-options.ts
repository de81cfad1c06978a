import type { Configuration } from "../savevm/configuration.js";
import { resolveOptions, type ResolvedOptions } from "../savevm/options.js";

/** Options with which our writer makes this configuration section. */
export function configurationOptions({ machine, targetPageBits, capabilities, uuid }: Configuration): ResolvedOptions {
  // Only a page size above the smallest one of the CPU is written.
  const pageSize = 2 ** (targetPageBits ?? 12);
  const minimumPageSize = targetPageBits === null ? pageSize : pageSize / 2;
  const known = uuid === null ? capabilities : [...capabilities, "validate-uuid"];
  return resolveOptions({ machine, pageSize, minimumPageSize, uuid, capabilities: known });
}
