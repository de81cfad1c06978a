/** Machines whose devices we do not know: each is as many bytes as the description behind a stream says. */
import { RAMBlockList } from "../../src/ram/block.js";
import { RAM_IDSTR, RAM_VERSION, RamHandler } from "../../src/ram/handler.js";
import type { LoadContext, SaveVMHandlers } from "../../src/registry/handlers.js";
import { StateRegistry } from "../../src/registry/registry.js";
import type { Decode } from "../../src/stream/drive.js";
import type { Writer } from "../../src/stream/writer.js";
import type { Description } from "../record/description.js";
import { readStream } from "../record/second-opinion.js";
import type { OurMachine } from "./between.js";

/** Old-style state of a fixed length. */
class OpaqueDevice implements SaveVMHandlers {
  bytes: Uint8Array;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
  }

  saveState(writer: Writer): void {
    writer.bytes(this.bytes);
  }

  *loadState({ reader }: LoadContext): Decode<() => void> {
    const { length } = this.bytes;
    if (!reader.has(length)) yield length;
    const bytes = new Uint8Array(reader.bytes(length));
    return () => void (this.bytes = bytes);
  }
}

/**
 * A machine with the devices and RAM blocks of `stream`, still empty, whatever kind of machine it is of, in the order
 * of the stream and with section ids of our own. A stream without a description borrows one of the same machine.
 */
export function opaqueMachine(
  stream: Uint8Array,
  { borrowed, pageSize = 4096 }: { readonly borrowed?: Description | null; readonly pageSize?: number } = {},
): OurMachine {
  const { sections, configuration, ram } = readStream(stream, borrowed ? { borrowed } : {}).contents;
  const registry = new StateRegistry();
  const blocks = new RAMBlockList();
  for (const { name, length } of ram.blocks) blocks.addGlobal(name, new Uint8Array(length));
  // Never 0 for RAM: QEMU takes it for the id of every entry that it has seen no section of.
  let sectionId = 0;
  for (const { type, idstr, instance, version, length, footer } of sections) {
    if (type === "start" || type === "full") sectionId++;
    if (type === "start" && idstr === RAM_IDSTR) {
      registry.registerLive(idstr, new RamHandler(blocks, { pageSize }), { version: RAM_VERSION, sectionId });
    }
    if (type !== "full") continue;
    const around = 1 + 4 + 1 + idstr.length + 4 + 4 + (footer ? 5 : 0);
    registry.registerLive(idstr, new OpaqueDevice(length - around), { instanceId: instance, version, sectionId });
  }
  return { machine: configuration?.machine ?? "", registry, blocks };
}
