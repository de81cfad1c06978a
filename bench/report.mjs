// `npm run bench:report`: the history as one HTML page, and the newest of it as tables in the README.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";
import { parseOptions, run, UsageError } from "./cli.mjs";
import { readResults, writeResults } from "./results.mjs";

const USAGE = "npm run bench:report -- [--add FILE]... [--html FILE] [--check]";
const HISTORY = fileURLToPath(new URL("history/", import.meta.url));
const README = fileURLToPath(new URL("../README.md", import.meta.url));
const PAGE = fileURLToPath(new URL("../build/bench-report.html", import.meta.url));
const BEGIN = "<!-- benchmarks: begin, written by npm run bench:report -->\n";
const END = "<!-- benchmarks: end -->";

/** Puts results into the history, without their rounds: a row that is there already is replaced. */
function addToHistory(library, file) {
  const [results] = readResults(library, [file]);
  const { commit, dirty, date, runtime, quick } = results;
  if (commit === null || dirty)
    throw new UsageError(`${file} is of code that is in no commit: measure a clean checkout`);
  if (quick) throw new UsageError(`${file} is of a quick run`);
  const engine = library.runtimeLabel(runtime).toLowerCase().replace(" ", "");
  const target = `${HISTORY}${date.slice(0, 10)}-${commit.slice(0, 7)}-${engine}.json`;
  const old = existsSync(target) ? readResults(library, [target])[0] : undefined;
  const added = new Map(results.rows.map((row) => [row.id, row]));
  const kept = (old?.rows ?? []).filter(({ id }) => !added.has(id));
  writeResults(library, target, library.compactResults({ ...(old ?? results), rows: [...kept, ...added.values()] }));
  console.log(`Added ${added.size} rows to ${target}`);
}

/** The README with the newest figures between its marks: the counts for everyone, the tables for who unfolds them. */
function updateReadme(library, readme, newest) {
  const [before, rest] = readme.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`README.md lacks the lines "${BEGIN.trim()}" and "${END}"`);
  if (newest.length === 0) return `${before}${BEGIN}\n${END}${after}`;
  const [counts, ...tables] = library.reportMarkdown(newest, { wantedOnly: true }).split("\n\n");
  const summary = "<summary>The figures</summary>";
  const details = ["<details>", summary, "", tables.join("\n\n"), "", "</details>"].join("\n");
  return `${before}${BEGIN}\n${counts}\n\n${details}\n\n${END}${after}`;
}

await run(USAGE, async () => {
  const { values: options } = parseOptions({
    add: { type: "string", multiple: true, default: [] },
    html: { type: "string", default: PAGE },
    check: { type: "boolean", default: false },
  });
  const files = await bundle(["bench/index"]);
  const library = await import(files["bench/index"]);
  for (const file of options.add) addToHistory(library, file);
  const all = existsSync(HISTORY) ? readResults(library, [HISTORY]) : [];
  const readme = readFileSync(README, "utf8");
  const updated = updateReadme(library, readme, library.historyOf(all).newest);
  if (options.check) {
    if (updated === readme) return 0;
    console.error("README.md does not show the newest results of bench/history: npm run bench:report");
    return 1;
  }
  if (updated !== readme) writeFileSync(README, updated);
  mkdirSync(dirname(options.html), { recursive: true });
  writeFileSync(options.html, library.reportHtml(all));
  console.log(`Wrote ${options.html}${updated === readme ? "" : " and the tables of README.md"}`);
  return 0;
});
