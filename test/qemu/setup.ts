/** Runs once before the suite: without QEMU there is nothing to test, and that is a failure, not a skip. */
import { qemuVersion } from "../kit/qemu.js";

export function setup(): void {
  console.log(`QEMU ${qemuVersion()}`);
}
