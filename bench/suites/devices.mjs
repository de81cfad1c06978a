// Device sections: a whole machine of devices saved and loaded, against code by hand for the same bytes.

import { MACHINE, makeMachine } from "../whole/devices.mjs";

const DEVICES = 200;
const TYPES = 40;
const MIXES = { mixed: "fields as in QEMU's devices", scalars: "nothing but scalars" };
/** Calls before anything is timed: code by hand is forty functions for each direction, and each must get hot alone. */
const WARM_UP = 2000;

/** Takes what is saved into one array. */
function arraySink(target) {
  let at = 0;
  return {
    write(chunk) {
      target.set(chunk, at);
      at += chunk.length;
    },
    take() {
      const length = at;
      at = 0;
      return length;
    },
  };
}

function sameBytes(what, a, b) {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) throw new Error(`${what}: byte ${i} differs`);
}

function saver(library, machine) {
  const target = new Uint8Array(machine.bytes);
  const sink = arraySink(target);
  return () => {
    library.saveStateSync(machine.registry, sink, MACHINE);
    if (sink.take() !== machine.bytes) throw new Error("Saved another number of bytes");
    return target;
  };
}

function handSaver(machine) {
  const target = new Uint8Array(machine.bytes);
  const view = new DataView(target.buffer);
  return () => {
    machine.saveByHand(view, target);
    return target;
  };
}

async function prepareSave(bench, mix, count) {
  const library = await bench.library();
  const machine = makeMachine(library, { mix, count, types: Math.min(TYPES, count) });
  machine.randomise();
  const variants = { savevm: saver(library, machine), hand: handSaver(machine) };
  sameBytes(`Saved (${mix})`, variants.savevm(), variants.hand());
  warmUp(variants, count);
  return { variants };
}

async function prepareLoad(bench, mix, count) {
  const library = await bench.library();
  const machine = makeMachine(library, { mix, count, types: Math.min(TYPES, count) });
  const save = handSaver(machine);
  // Two states in turn: values that are there already would be too easy.
  const streams = [0, 1].map(() => {
    machine.randomise();
    return save().slice();
  });
  const views = streams.map(({ buffer }) => new DataView(buffer));
  let turn = 0;
  const variants = {
    savevm() {
      library.loadStateSync(machine.registry, streams[(turn ^= 1)], MACHINE);
    },
    hand() {
      turn ^= 1;
      machine.loadByHand(views[turn], streams[turn]);
    },
  };
  for (const [name, variant] of Object.entries(variants)) {
    for (let i = 0; i < 2; i++) {
      variant();
      sameBytes(`Loaded (${mix}, ${name})`, save(), streams[turn]);
    }
  }
  warmUp(variants, count);
  return { variants };
}

function warmUp(variants, count) {
  const calls = Math.ceil((WARM_UP * DEVICES) / count);
  for (const variant of Object.values(variants)) for (let i = 0; i < calls; i++) variant();
}

const OPERATIONS = {
  save: { prepare: prepareSave, title: "saved" },
  load: { prepare: prepareLoad, title: "loaded" },
};

export async function rows(bench) {
  const library = await bench.library();
  const bytes = (mix) => makeMachine(library, { mix, count: DEVICES, types: TYPES }).bytes;
  return Object.entries(MIXES).flatMap(([mix, fields]) => {
    const length = bytes(mix);
    return Object.entries(OPERATIONS).map(([operation, { prepare, title }]) => ({
      id: `devices/${operation}/${mix}`,
      title: `${DEVICES} devices of 100 fields, ${fields}, ${title}`,
      bytes: length,
      prepare: () => prepare(bench, mix, DEVICES),
      ratios: [{ of: "savevm", to: "hand", floor: 0.5, goal: 0.8 }],
    }));
  });
}
