import { RamError } from "../errors.js";
import type { ScanResult } from "../inspect/scan-result.js";
import { warn } from "./run.js";

/**
 * Warn of what is odd in a stream that is to be used and not only looked at.
 * @param label what to put in front, where several streams are read
 * @throws RamError where the content of RAM cannot be trusted
 */
export function reportScan(verb: string, { warnings, problems, ram }: ScanResult, label = ""): void {
  const prefix = label === "" ? "" : `${label}: `;
  const distrust = problems.find((problem) => problem instanceof RamError);
  if (distrust !== undefined) throw distrust;
  if (ram !== null && ram.flushes > 0) {
    throw new RamError("PAGE_FLAGS", "Read RAM: pages went over multifd channels, which are not supported yet");
  }
  for (const message of warnings) warn(verb, `${prefix}${message}`);
  for (const problem of problems) warn(verb, `${prefix}${problem.message}`);
}
