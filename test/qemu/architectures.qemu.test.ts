/**
 * Other processors, byte orders and page sizes: machines of the recorder's recipes, their devices unknown to us. Those
 * whose QEMU is not installed are left out; the x86 ones with many devices are always there.
 */
import { describe, expect, it } from "vitest";
import { bytesOf, loaded, noise, saved } from "../kit/between.js";
import { opaqueMachine } from "../kit/opaque.js";
import { Qemu, qemuVersion, Scratch } from "../kit/qemu.js";
import { argsOf, capture, makeFiles, programOf } from "../record/capture.js";
import { findDescription } from "../record/description.js";
import { RECIPES } from "../record/recipes.js";
import { readStream } from "../record/second-opinion.js";

const NAMES = [
  ...["pc-devices", "q35-devices", "arm-musicpal", "arm-microbit", "aarch64-virt", "avr-uno", "m68k-q800"],
  ...["m68k-virt", "mips-malta", "ppc-g3beige", "sparc-ss5", "rx-gdbsim"],
];
/** The smallest page of an Arm processor, whose machines say which one they use. */
const ARM_MINIMUM = 1024;

function isInstalled(program: string): boolean {
  try {
    return qemuVersion(program) !== "";
  } catch {
    return false;
  }
}

const recipes = RECIPES.filter((recipe) => NAMES.includes(recipe.name) && isInstalled(programOf(recipe)));

describe("a machine of unknown devices, loaded and saved by us", () => {
  it.each(recipes)("$name ($note): QEMU loads it, and has our RAM in every block", async (recipe) => {
    using scratch = new Scratch();
    makeFiles(recipe, scratch);
    const options = { program: programOf(recipe), args: argsOf(recipe, scratch) };
    const sent = await send({ ...options, paused: recipe.guest === undefined });
    const pageSize = findDescription(sent)?.pageSize ?? 0;
    const saysPageSize = readStream(sent).contents.configuration?.targetPageBits !== null;
    const form = { pageSize, minimumPageSize: saysPageSize ? ARM_MINIMUM : pageSize };
    const machine = loaded(opaqueMachine(sent, { pageSize }), sent, form);
    const [{ name, usedLength }] = machine.blocks;
    const changed = Math.min(usedLength, 40 * pageSize);
    bytesOf(machine, name).set(noise(changed, 8), usedLength - changed);

    await using destination = await Qemu.start({ ...options, paused: true, incoming: saved(machine, form) });
    await destination.waitForMigration();

    const again = readStream(await destination.migrateToFile(scratch.file("again")));
    for (const block of machine.blocks) {
      const theirs = again.memory.get(block.name) ?? new Uint8Array(0);
      expect([block.name, Buffer.compare(theirs, bytesOf(machine, block.name))]).toEqual([block.name, 0]);
    }

    async function send(start: { program: string; args: string[]; paused: boolean }): Promise<Uint8Array> {
      await using source = await Qemu.start(start);
      return (await capture(recipe, source, scratch)).stream;
    }
  });
});
