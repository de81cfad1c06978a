import type { RamRecordReader } from "../ram/page-codec.js";
import type { SectionHeader, SectionType } from "../savevm/section.js";
import type { RamObserver, ScannedBlock } from "./ram-content.js";
import type { CommandRecord, ConfigurationRecord, DescriptionRecord, SectionRecord } from "./scan-result.js";

/**
 * Watches a scan, element by element in stream order. Offsets are absolute. RAM records come between the begin and the
 * end of their section; bodies of other sections are only passed over.
 */
export interface ScanObserver {
  /** RAM records are read by `reader`, which knows the offset and the flags of the record under way. */
  ramObserver(reader: () => RamRecordReader<ScannedBlock>): RamObserver;
  onHeader(version: number): void;
  onConfiguration(record: ConfigurationRecord): void;
  /** The header was read; `header` lacks everything but the id for a PART or END of an unknown section. */
  onSectionBegin(type: SectionType, header: SectionHeader | { readonly id: number }, offset: number): void;
  /** Bytes up to `offset` belong to a body that is not looked into. */
  onOpaque(offset: number): void;
  onSectionEnd(record: SectionRecord): void;
  onCommand(record: CommandRecord, end: number): void;
  onEof(offset: number): void;
  onDescription(record: DescriptionRecord): void;
  /** The stream is over. */
  onEnd(bytes: number): void;
}
