// Makes parity.jsonl: pairs of small invented schemas, and how many errors QEMU's own checker counts in each.
//
//   node test/data/schemas/record.mjs PATH/TO/qemu/scripts/vmstate-static-checker.py
//
// Use a recent checker: that of QEMU 5.0 still forgets the array length of a field that unused bytes replace.
// The checker ends with the number of errors as its exit status. Same seed, same pairs.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PAIRS = 160;
const checker = process.argv[2];
if (checker === undefined) throw new Error("usage: record.mjs PATH/TO/vmstate-static-checker.py");

let seed = 20241122;
/** Linear congruential: nothing depends on its quality, only on its sameness. */
const below = (n) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};
const pick = (list) => list[below(list.length)];

const field = (name, size = pick([1, 2, 4, 8])) => ({ field: name, version_id: 0, size });
const description = (name, version = 1 + below(3)) => ({ name, version_id: version, minimum_version_id: 1 });
const clone = (value) => JSON.parse(JSON.stringify(value));

function baseDevice(type, name, depth = 0) {
  const Description = description(name);
  Description.Fields = Array.from({ length: 2 + below(3) }, (_, i) => {
    const f = field(pick(["dev", "timer", "regs", "hw_cursor_x", "count", "unused", `f${i}`]));
    if (below(4) === 0) f.num = 1 + below(4);
    if (depth < 2 && below(5) === 0)
      f.Description = baseDevice(type, pick(["PCIDevice", "fifo"]), depth + 1).Description;
    return f;
  });
  if (below(3) === 0) Description.Subsections = [description(`${name}/a`), description(`${name}/b`)];
  return { Name: type, version_id: Description.version_id, minimum_version_id: 1, Description };
}

const TYPES = [
  ["rtl8139", "rtl8139"],
  ["apic", "apic"],
  ["ioh3420", "ioh3420"],
  ["e1000", "e1000"],
  ["toy-uart", "serial"],
];
function baseMachine() {
  const [type, name] = pick(TYPES);
  return { vmschkmachine: { Name: "toy-1.0" }, [type]: baseDevice(type, name) };
}

function descriptionsIn(root, all = []) {
  all.push(root);
  for (const { Description } of root.Fields ?? []) if (Description !== undefined) descriptionsIn(Description, all);
  for (const subsection of root.Subsections ?? []) descriptionsIn(subsection, all);
  return all;
}

const total = (run) => run.reduce((sum, f, i) => sum + f.size * (i === 0 ? (f.num ?? 1) : 1), 0);

/** Each edit gets the machine, a device type, one of its descriptions and that one's fields (at least one). */
const EDITS = [
  (machine, type) => delete machine[type],
  (machine, type) => (machine[type].version_id += pick([-1, 1])),
  (machine, type) => (machine[type].minimum_version_id += 2),
  (machine, type) => delete machine[type][pick(["Name", "Description", "minimum_version_id"])],
  (machine) => (machine.vmschkmachine.Name = "toy-2.0"),
  (machine) => below(4) === 0 && delete machine.vmschkmachine,
  (machine) => {
    if (machine.e1000 === undefined) return;
    machine["e1000-82540em"] = machine.e1000;
    delete machine.e1000;
  },
  (_m, _t, target) => (target.version_id += pick([-1, 1, 2])),
  (_m, _t, target) => (target.minimum_version_id += pick([1, 3])),
  (_m, _t, target) => delete target[pick(["Fields", "Subsections"])],
  (_m, _t, target) => (target.Extra = 1),
  (_m, _t, target) => (target.name = pick(["PCIEDevice", "other"])),
  (_m, _t, target) => target.Subsections?.pop(),
  (_m, _t, target) => (target.Subsections ??= []).unshift(description(`${target.name}/${below(9)}`)),
  (_m, _t, _d, fields) => fields.splice(below(fields.length), 1),
  (_m, _t, _d, fields) => fields.splice(below(fields.length + 1), 0, field(pick(["unused", "added"]))),
  (_m, _t, _d, fields) => fields.unshift(fields.pop()),
  (_m, _t, _d, fields) => (pick(fields).size *= 2),
  (_m, _t, _d, fields) => (pick(fields).version_id += pick([-1, 1])),
  (_m, _t, _d, fields) => (pick(fields).field = pick(["parent_obj", "timer_expiry", "unused", "x"])),
  (_m, _t, _d, fields) => delete pick(fields).Description,
  (_m, _t, _d, fields) => (pick(fields).Description = description("fifo")),
  (_m, _t, _d, fields) => {
    const at = below(fields.length);
    const run = fields.splice(at, 1 + below(3));
    fields.splice(at, 0, field("unused", total(run) + pick([0, 0, 0, 1])));
  },
  (_m, _t, _d, fields) => {
    const at = below(fields.length);
    const run = fields.splice(at, 1 + below(3));
    fields.splice(at, 0, { ...field("wrapped"), Description: { ...description("wrap"), Fields: run } });
  },
];

function edit(machine) {
  const types = Object.keys(machine).filter((type) => machine[type].Description !== undefined);
  if (types.length === 0) return;
  const type = pick(types);
  const targets = descriptionsIn(machine[type].Description).filter(({ Fields }) => Fields?.length > 0);
  if (targets.length === 0) return;
  const target = pick(targets);
  pick(EDITS)(machine, type, target, target.Fields);
}

const scratch = mkdtempSync(join(tmpdir(), "schemas-"));
function errorsBetween(old, now) {
  const [s, d] = [join(scratch, "s.json"), join(scratch, "d.json")];
  writeFileSync(s, JSON.stringify(old));
  writeFileSync(d, JSON.stringify(now));
  const { status, stderr } = spawnSync("python3", [checker, "-s", s, "-d", d], { encoding: "utf8" });
  if (status === null || stderr !== "") throw new Error(stderr);
  return status;
}

const lines = [];
while (lines.length < PAIRS) {
  const old = baseMachine();
  const now = clone(old);
  for (let edits = 1 + below(4); edits > 0; edits--) edit(below(4) === 0 ? old : now);
  lines.push(JSON.stringify({ old, new: now, errors: errorsBetween(old, now), reverse: errorsBetween(now, old) }));
}
rmSync(scratch, { recursive: true });
writeFileSync(new URL("parity.jsonl", import.meta.url), lines.join("\n") + "\n");
