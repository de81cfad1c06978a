// Machines full of devices, and the code that somebody would write by hand for exactly them.
//
// The mix is that of the descriptions in streams of real QEMU machines: of a hundred fields, eighty are scalars (u8
// before u32 before u64), the others arrays, buffers, nested structs and subsections; half the arrays have at most
// eight elements. Devices come in types, and each type in several instances.
//
// The code by hand is put together as text, as there are thousands of fields: for each type a class with all
// properties in its constructor and straight-line DataView code with constant offsets and names. It compares headers,
// footers and the end with what they must be, looks nothing up, checks no value, and a load stores at once: nothing can
// be taken back.

import { randomNumbers } from "../kit.mjs";

/** Kinds of scalars: constructor in the package, DataView's method, size, and how often of a hundred. */
const SCALARS = [
  { kind: "u8", method: "Uint8", size: 1, share: 38, list: "Uint8Array" },
  { kind: "u32", method: "Uint32", size: 4, share: 26, list: "Uint32Array" },
  { kind: "u64", method: "BigUint64", size: 8, share: 14, list: "BigUint64Array" },
  { kind: "i32", method: "Int32", size: 4, share: 9, list: "Int32Array" },
  { kind: "u16", method: "Uint16", size: 2, share: 5, list: "Uint16Array" },
  { kind: "i64", method: "BigInt64", size: 8, share: 3, list: "BigInt64Array" },
  { kind: "bool", method: "Uint8", size: 1, share: 3, list: null },
  { kind: "i16", method: "Int16", size: 2, share: 1, list: "Int16Array" },
  { kind: "i8", method: "Int8", size: 1, share: 1, list: "Int8Array" },
];
const [U8, U32, U64, I32, U16] = SCALARS;

const ARRAYS = [
  { of: U32, n: 8 },
  { of: U64, n: 8 },
  { of: U32, n: 16 },
  { of: U64, n: 2 },
  { of: I32, n: 4 },
  { of: U8, n: 8 },
  { of: U32, n: 128 },
  { of: U16, n: 32 },
];
const BUFFERS = [16, 100, 256];

/** The shape of one type: an object's fields in the order of the wire, nested. */
function scalarFields(n, prefix, random) {
  return Array.from({ length: n }, (_, i) => {
    let left = random() * 100;
    const scalar = SCALARS.find(({ share }) => (left -= share) < 0) ?? U8;
    return { name: `${prefix}${i}`, what: "scalar", scalar };
  });
}

function shuffled(list, random) {
  const mixed = [...list];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  return mixed;
}

const MIX_FIELDS = {
  scalars: (random) => ({ fields: scalarFields(100, "reg", random), subsection: null }),
  mixed(random, type) {
    const pick = (list, i) => list[(type * 3 + i) % list.length];
    const fields = shuffled(
      [
        ...scalarFields(24, "reg", random),
        ...Array.from({ length: 5 }, (_, i) => ({ name: `bank${i}`, what: "array", ...pick(ARRAYS, i) })),
        ...Array.from({ length: 2 }, (_, i) => ({ name: `fifo${i}`, what: "buffer", size: pick(BUFFERS, i) })),
        ...Array.from({ length: 5 }, (_, i) => ({
          name: `unit${i}`,
          what: "struct",
          fields: scalarFields(10, "val", random),
        })),
      ],
      random,
    );
    const extra = [...scalarFields(12, "ext", random), { name: "extBank", what: "array", ...pick(ARRAYS, 5) }];
    return { fields: [...fields, { name: "pad", what: "unused", size: 3 }], subsection: extra };
  },
};

function constructorLines(fields, random) {
  // A device has more than what is saved, in an order of its own.
  const own = fields.filter(({ what }) => what !== "unused").map((field) => `this.${field.name} = ${initial(field)};`);
  return ["this.bus = null;", ...shuffled(own, random), "this.listeners = [];"];
}

function initial(field) {
  switch (field.what) {
    case "array":
      return `new ${field.of.list}(${field.n})`;
    case "buffer":
      return `new Uint8Array(${field.size})`;
    case "struct":
      return `new ${field.class}()`;
    default:
      return field.scalar.kind === "bool" ? "false" : field.scalar.size === 8 ? "0n" : "0";
  }
}

/** Straight-line code for fields whose object is `object`, from byte `at` behind `o` on. */
function loadLines(fields, object, at) {
  const lines = [];
  for (const field of fields) {
    const target = `${object}.${field.name}`;
    switch (field.what) {
      case "scalar": {
        const bool = field.scalar.kind === "bool" ? " !== 0" : "";
        lines.push(`${target} = view.get${field.scalar.method}(o + ${at})${bool};`);
        at += field.scalar.size;
        break;
      }
      case "array": {
        const { method, size } = field.of;
        const index = size === 1 ? "i" : `i * ${size}`;
        lines.push(`{ const list = ${target};
          for (let i = 0; i < ${field.n}; i++) list[i] = view.get${method}(o + ${at} + ${index}); }`);
        at += field.n * size;
        break;
      }
      case "buffer":
        lines.push(`${target}.set(bytes.subarray(o + ${at}, o + ${at + field.size}));`);
        at += field.size;
        break;
      case "struct": {
        const nested = loadLines(field.fields, "unit", at);
        lines.push(`{ const unit = ${target};`, ...nested.lines, "}");
        at = nested.at;
        break;
      }
      case "unused":
        at += field.size;
    }
  }
  return { lines, at };
}

function saveLines(fields, object, at) {
  const lines = [];
  for (const field of fields) {
    const source = `${object}.${field.name}`;
    switch (field.what) {
      case "scalar": {
        const bool = field.scalar.kind === "bool" ? " ? 1 : 0" : "";
        lines.push(`view.set${field.scalar.method}(o + ${at}, ${source}${bool});`);
        at += field.scalar.size;
        break;
      }
      case "array": {
        const { method, size } = field.of;
        const index = size === 1 ? "i" : `i * ${size}`;
        lines.push(`{ const list = ${source};
          for (let i = 0; i < ${field.n}; i++) view.set${method}(o + ${at} + ${index}, list[i]); }`);
        at += field.n * size;
        break;
      }
      case "buffer":
        lines.push(`bytes.set(${source}, o + ${at});`);
        at += field.size;
        break;
      case "struct": {
        const nested = saveLines(field.fields, "unit", at);
        lines.push(`{ const unit = ${source};`, ...nested.lines, "}");
        at = nested.at;
        break;
      }
      case "unused":
        lines.push(`bytes.fill(0, o + ${at}, o + ${at + field.size});`);
        at += field.size;
    }
  }
  return { lines, at };
}

const be32 = (value) => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
const counted = (text) => [text.length, ...new TextEncoder().encode(text)];

/** One type of device: class, description, and code by hand. */
function makeType(library, mix, type, random) {
  const name = `device${type}`;
  const { fields, subsection } = MIX_FIELDS[mix](random, type);
  const classes = [];
  for (const field of fields.filter(({ what }) => what === "struct")) {
    field.class = `Unit_${field.name}`;
    classes.push(`class ${field.class} { constructor() { ${constructorLines(field.fields, random).join("\n")} } }`);
  }
  const lines = constructorLines([...fields, ...(subsection ?? [])], random).join("\n");
  const Device = new Function(`${classes.join("\n")} return class Device { constructor() { ${lines} } };`)();

  const describe = ({ name, what, ...field }) => {
    switch (what) {
      case "scalar":
        return library[field.scalar.kind](name);
      case "array":
        return library.array(name, library[field.of.kind], field.n);
      case "buffer":
        return library.buffer(name, field.size);
      case "struct":
        return library.struct(name, library.vmstate(name, { version: 1, fields: field.fields.map(describe) }));
      default:
        return library.unused(field.size, { name });
    }
  };
  const extra =
    subsection === null
      ? []
      : [
          library.vmstate(`${name}/extra`, {
            version: 1,
            needed: (device) => device.bus === null,
            fields: subsection.map(describe),
          }),
        ];
  const state = library.vmstate(name, { version: 2, fields: fields.map(describe), subsections: extra });

  const extraHead = [5, ...counted(`${name}/extra`), ...be32(1)];
  const body = loadLines(fields, "device", 0);
  const bodySave = saveLines(fields, "device", 0);
  let size = body.at;
  const load = [...body.lines];
  const save = [...bodySave.lines];
  if (subsection !== null) {
    const at = size + extraHead.length;
    load.push(`check(bytes, o + ${size}, extraHead);`, ...loadLines(subsection, "device", at).lines);
    save.push(
      `if (device.bus !== null) throw new Error("bus");`,
      `put(bytes, o + ${size}, extraHead);`,
      ...saveLines(subsection, "device", at).lines,
    );
    size = loadLines(subsection, "device", at).at;
  }
  const code = new Function(
    "check",
    "put",
    "extraHead",
    `return {
      load(view, bytes, o, device) { ${load.join("\n")} },
      save(view, bytes, o, device) { ${save.join("\n")} },
    };`,
  )(check, put, Uint8Array.from(extraHead));
  return { name, Device, state, size, fields: [...fields, ...(subsection ?? [])], ...code };
}

function check(bytes, at, wanted) {
  for (let i = 0; i < wanted.length; i++) {
    if (bytes[at + i] !== wanted[i]) throw new Error(`Byte ${at + i} is ${bytes[at + i]}, not ${wanted[i]}`);
  }
}

function put(bytes, at, constant) {
  for (let i = 0; i < constant.length; i++) bytes[at + i] = constant[i];
}

/** Gives every field another value. */
function randomise(object, fields, random) {
  for (const field of fields) {
    if (field.what === "scalar") object[field.name] = randomValue(field.scalar, random);
    else if (field.what === "array")
      object[field.name].forEach((_, i, list) => (list[i] = randomValue(field.of, random)));
    else if (field.what === "buffer") object[field.name].forEach((_, i, list) => (list[i] = random() * 256));
    else if (field.what === "struct") randomise(object[field.name], field.fields, random);
  }
}

function randomValue({ kind, size }, random) {
  const word = () => BigInt(Math.floor(random() * 2 ** 32));
  const bits = (word() << 32n) | word();
  if (kind === "bool") return (bits & 1n) === 1n;
  if (kind === "u64") return bits;
  if (kind === "i64") return BigInt.asIntN(64, bits);
  const value = kind.startsWith("i") ? BigInt.asIntN(size * 8, bits) : BigInt.asUintN(size * 8, bits);
  return Number(value);
}

export const MACHINE = { machine: "bench", description: false };

/**
 * A machine of `count` devices in `types` types, with random values: registered, and with `save` and `load` by hand for
 * the same bytes.
 */
export function makeMachine(library, { mix, count, types, seed = 1 }) {
  const random = randomNumbers(seed);
  const kinds = Array.from({ length: types }, (_, type) => makeType(library, mix, type, random));
  const registry = new library.StateRegistry();
  const head = [...be32(0x5145564d), ...be32(3), 7, ...be32(MACHINE.machine.length)];
  head.push(...new TextEncoder().encode(MACHINE.machine));
  const prefix = Uint8Array.from(head);
  let at = prefix.length;
  const devices = Array.from({ length: count }, (_, i) => {
    const type = kinds[i % types];
    const device = new type.Device();
    const instanceId = Math.floor(i / types);
    registry.register(type.state, device, { instanceId });
    const header = Uint8Array.from([4, ...be32(i), ...counted(type.name), ...be32(instanceId), ...be32(2)]);
    const footer = Uint8Array.from([0x7e, ...be32(i)]);
    const start = at + header.length;
    at = start + type.size + footer.length;
    return { type, device, header, footer, start };
  });
  const bytes = at + 1;
  return {
    registry,
    bytes,
    randomise() {
      for (const { type, device } of devices) randomise(device, type.fields, random);
    },
    saveByHand(view, target) {
      put(target, 0, prefix);
      for (const { type, device, header, footer, start } of devices) {
        put(target, start - header.length, header);
        type.save(view, target, start, device);
        put(target, start + type.size, footer);
      }
      target[bytes - 1] = 0;
    },
    loadByHand(view, source) {
      check(source, 0, prefix);
      for (const { type, device, header, footer, start } of devices) {
        check(source, start - header.length, header);
        type.load(view, source, start, device);
        check(source, start + type.size, footer);
      }
      if (source[bytes - 1] !== 0) throw new Error("The end is missing");
    },
  };
}
