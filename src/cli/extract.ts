import type { Command } from "commander";
import { RamError } from "../errors.js";
import { isZero } from "../inspect/byte-comparer.js";
import { elfCore } from "../inspect/elf.js";
import { ARCHITECTURES, mapGuest, type GuestMap } from "../inspect/guest-map.js";
import type { StoredBlock } from "../inspect/page-store.js";
import type { ScannedBlock } from "../inspect/ram-content.js";
import type { ScanResult } from "../inspect/scan-result.js";
import { openSparse, type SparseOutput } from "../node/sparse-output.js";
import { readStream } from "./read-stream.js";
import { reportScan } from "./report-scan.js";
import { addInputOptions, print, runVerb, UsageError, warn, type ExitStatus, type InputOptions } from "./run.js";

interface ExtractOptions extends InputOptions {
  readonly output: string;
  readonly elf?: boolean;
  readonly arch?: string;
  readonly allowMissing?: boolean;
}

/** `savevm extract IN BLOCK -o OUT`: what is in RAM at the end. */
export function registerExtract(program: Command): void {
  const command = program.command("extract").argument("<in>", "the stream: a path or a URI");
  addInputOptions(command.argument("[block]", "name of the RAMBlock; not with --elf"))
    .description("write the final content of one RAMBlock as a sparse file, or all of RAM as an ELF core")
    .requiredOption("-o, --output <out>", "file to write, or - for standard output")
    .option("--elf", "all of RAM, as an ELF core file for debuggers")
    .option("--arch <name>", "CPU of the core file, as in qemu-system-NAME, where the names of blocks do not tell")
    .option("--allow-missing", "take pages that are not in the stream for zeros")
    .action((uri: string, block: string | undefined, options: ExtractOptions) =>
      runVerb("extract", [uri], () => extract(uri, block, options)),
    );
}

interface Extracted {
  readonly block: string;
  readonly length: number;
  readonly address: string | null;
}

async function extract(uri: string, name: string | undefined, options: ExtractOptions): Promise<ExitStatus> {
  if ((name === undefined) !== (options.elf === true)) {
    throw new UsageError("Extract RAM: name one block, or ask for all with --elf");
  }
  checkArchitecture(options);
  const { scan, close } = await readStream(uri, options, { content: true });
  try {
    reportScan("extract", scan);
    const blocks = name === undefined ? (scan.ram?.blocks ?? []) : [find(scan, name)];
    if (options.allowMissing !== true) for (const block of blocks) checkComplete(block);
    const written =
      name === undefined
        ? writeElf(mapGuest(scan, options.arch ?? null), options.output)
        : writeRaw(blocks[0], options.output);
    if (options.json === true && options.output !== "-") {
      await print([`${JSON.stringify({ output: options.output, blocks: written }, null, 2)}\n`]);
    }
  } finally {
    close();
  }
  return 0;
}

function checkArchitecture({ arch, elf }: ExtractOptions): void {
  if (arch === undefined) return;
  if (elf !== true) throw new UsageError("Extract RAM: --arch needs --elf");
  if (!ARCHITECTURES.has(arch)) {
    throw new UsageError(`Use --arch ${arch}: want one of ${[...ARCHITECTURES.keys()].join(", ")}`);
  }
}

function find({ ram }: ScanResult, name: string): ScannedBlock {
  const blocks = ram?.blocks ?? [];
  const block = blocks.find((candidate) => candidate.name === name);
  if (block !== undefined) return block;
  const hint = blocks.length === 0 ? "The stream has no RAM" : `There are: ${blocks.map((one) => one.name).join(", ")}`;
  throw new RamError("BLOCK_UNKNOWN", `Extract "${name}": no such block`, { hint });
}

function checkComplete({ name, content }: ScannedBlock): void {
  const missing = (content?.pages ?? 0) - (content?.received ?? 0);
  if (missing === 0) return;
  throw new RamError("BLOCK_IGNORED", `Extract "${name}": ${missing} of its pages are not in the stream`, {
    hint: "They are shared memory, or travelled on another connection; --allow-missing takes them for zeros",
  });
}

function writeRaw(block: ScannedBlock, uri: string): Extracted[] {
  writeWhole(uri, block.usedLength, (output) => {
    writeRange(output, block.content as StoredBlock, 0, block.usedLength, 0);
  });
  return [{ block: block.name, length: block.usedLength, address: null }];
}

function writeElf(map: GuestMap, uri: string): Extracted[] {
  const { architecture, segments } = map;
  const { header, positions, length } = elfCore(map);
  writeWhole(uri, length, (output) => {
    output.write(0, header);
    for (const [i, { block, start, length: size }] of segments.entries()) {
      writeRange(output, block.content as StoredBlock, start, size, positions[i]);
    }
  });
  if (architecture.elf === 0) warn("extract", "The CPU is not known: give --arch if the debugger asks for it");
  for (const { block, address, isKnown } of segments) {
    if (!isKnown)
      warn("extract", `The address of "${block.name}" is not known: it is put at 0x${address.toString(16)}`);
  }
  return segments.map(({ block, length: size, address }) => ({
    block: block.name,
    length: size,
    address: `0x${address.toString(16)}`,
  }));
}

/** Either all of the output, or nothing. */
function writeWhole(uri: string, length: number, write: (output: SparseOutput) => void): void {
  const output = openSparse(uri);
  try {
    write(output);
  } catch (error) {
    output.discard();
    throw error;
  }
  output.finish(length);
}

/** Copy `length` bytes of the block from `start` on to `position`, leaving holes for zeros. */
function writeRange(output: SparseOutput, content: StoredBlock, start: number, length: number, position: number): void {
  for (const { offset, bytes } of content.parts(start, start + length)) {
    if (bytes !== null && !isZero(bytes)) output.write(position + offset - start, bytes);
  }
}
