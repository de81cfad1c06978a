import type { MigrationError, SectionRef } from "../errors.js";
import type { Command } from "../savevm/commands.js";
import type { Configuration } from "../savevm/configuration.js";
import type { SectionType } from "../savevm/section.js";
import type { DescribedDevice, Description } from "./description.js";
import type { DeviceFields } from "./device-value.js";
import type { ScannedBlock } from "./ram-content.js";

/** One section. Offsets are absolute, of the type byte; lengths include the footer. */
export interface SectionRecord {
  readonly type: SectionType;
  readonly id: number;
  /** Null on PART and END if the START was never seen. */
  readonly idstr: string | null;
  /** Unsigned. */
  readonly instance: number | null;
  readonly version: number | null;
  readonly offset: number;
  readonly length: number;
  readonly footer: boolean;
  /** It came inside a PACKAGED command. */
  readonly packaged: boolean;
}

/** A section as errors name it. */
export function refOf({
  id,
  idstr,
  instance,
  version,
}: Pick<SectionRecord, "id" | "idstr" | "instance" | "version">): SectionRef {
  return { id, idstr, instanceId: instance, version };
}

export interface CommandRecord {
  readonly command: Command;
  /** Of the type byte. */
  readonly offset: number;
  /** Bytes of its payload. */
  readonly length: number;
  readonly packaged: boolean;
}

export interface ConfigurationRecord {
  readonly value: Configuration;
  /** Of the type byte. */
  readonly offset: number;
  /** With the type byte. */
  readonly length: number;
}

/** A section that is not RAM. */
export interface ScannedDevice {
  readonly section: SectionRecord;
  /** Null when the body exceeds what may be held. */
  readonly body: Uint8Array | null;
  /** Absolute offset of the body. */
  readonly bodyOffset: number;
  /** Nothing says where it ends: it is all that was left. */
  readonly isTail: boolean;
  readonly described: DescribedDevice | null;
  /** Every field by name; null when nobody can name the bytes. */
  readonly fields: DeviceFields | null;
}

export interface DescriptionRecord {
  readonly value: Description;
  readonly text: string;
  /** Of the type byte. */
  readonly offset: number;
  /** Of the JSON text, in bytes. */
  readonly length: number;
}

/** All that one pass over a stream finds. */
export interface ScanResult {
  readonly bytes: number;
  /** Version in the header. */
  readonly version: number;
  readonly configuration: ConfigurationRecord | null;
  readonly sections: readonly SectionRecord[];
  readonly commands: readonly CommandRecord[];
  readonly ram: {
    readonly pageSize: number;
    readonly blocks: readonly ScannedBlock[];
    readonly flushes: number;
  } | null;
  readonly devices: readonly ScannedDevice[];
  readonly description: DescriptionRecord | null;
  /** What is odd, and no reason to refuse the stream. */
  readonly warnings: readonly string[];
  /** What is wrong, and did not keep us from reading on. */
  readonly problems: readonly MigrationError[];
}
