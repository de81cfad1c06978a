// How fast does an emulator save and load, and did a change make it slower? `node examples/benchmark.mjs` measures the toy
// machine; with the name of a file it keeps the results there, and compares with what it finds: exit status 1 if the
// machine became slower than it may.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import {
  benchmarkMachine,
  compareResults,
  formatComparison,
  formatResults,
  parseResults,
  reportMarkdown,
} from "savevm/bench";
import { ToyMachine } from "./toy-machine.mjs";

const machine = new ToyMachine();
machine.run(100_000);

const results = await benchmarkMachine({
  name: "toy-1.0",
  save: () => machine.vm.saveSync(),
  load: (state) => machine.vm.loadSync(state),
  ramBytes: machine.ram.length,
});
console.log(reportMarkdown(results));

const file = process.argv[2];
if (file !== undefined && existsSync(file)) {
  const before = parseResults(readFileSync(file, "utf8"));
  const comparison = compareResults(before, results, { threshold: 0.2 });
  console.log(`\n${formatComparison(comparison)}`);
  if (comparison.regressions.length > 0) process.exitCode = 1;
} else if (file !== undefined) {
  writeFileSync(file, formatResults(results));
}
