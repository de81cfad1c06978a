import { chart, escape } from "./chart.js";
import { figuresOf, historyOf, type History, type Track } from "./history.js";
import { describeMachine, standing, withSpread } from "./markdown.js";
import { reaches, type BenchmarkResults } from "./result.js";
import { STYLE } from "./style.js";

/**
 * One HTML page that needs nothing else, of results over time: for each figure what it is in the newest results, and a
 * drawing of how it came there. Results may come in any order; those of one version and engine are merged.
 */
export function reportHtml(all: readonly BenchmarkResults[]): string {
  const history = historyOf(all);
  const name = history.newest[0]?.name ?? "";
  const groups = new Map<string, Track[]>();
  for (const track of history.tracks) {
    const group = track.row.split("/", 1)[0];
    groups.set(group, [...(groups.get(group) ?? []), track]);
  }
  const main = [...groups].map(([group, tracks]) => section(group, tracks, history));
  const links = [...groups.keys()].map((group) => `<a href="#${escape(group)}">${escape(group)}</a>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(name)} benchmarks</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escape(name)} benchmarks</h1>
<p>Each figure is a ratio to a reference that ran in the same rounds, unless it has a unit: median ± half the distance between the quartiles. More is better, unless said otherwise. <em>↓</em> is worse than the floor.</p>
${summary(history)}
<nav>${links.join(" ")}</nav>
</header>
<main>
${main.join("\n")}
</main>
</body>
</html>
`;
}

/** What each engine is, how it stands, and where it falls short; the list is the legend of the drawings as well. */
function summary({ newest, runtimes, versions }: History): string {
  const items = newest.map((results, i) => {
    const { machine, commit, date } = results;
    const code = commit === null ? "" : ` · ${commit.slice(0, 7)}`;
    const where = `${describeMachine(machine)}${code} · ${date.slice(0, 10)}`;
    return `<li><p>${key(i)}<b>${escape(runtimes[i])}</b><small>${escape(where)}</small></p>${counts(results)}</li>`;
  });
  const span = versions.length > 1 ? `<p>${versions.length} versions, the newest to the right.</p>` : "";
  return `<ul class="engines">${items.join("")}</ul>${span}`;
}

function counts(results: BenchmarkResults): string {
  const { judged, goal, floor } = standing(results);
  if (judged === 0) return "";
  const below = figuresOf(results).filter(
    (each) => each.floor !== undefined && !reaches(each.figure.median, each.floor, each.better),
  );
  const links = below.map((each) => `<a href="#${escape(anchor(each))}">${escape(each.row)}</a>`);
  const list =
    below.length === 0
      ? ""
      : `<details><summary>${below.length} below their floor</summary><p class="links">${links.join(" ")}</p></details>`;
  return `<p><b>${floor}</b> of ${judged} reach their floor, <b>${goal}</b> their goal</p>${list}`;
}

function section(group: string, tracks: readonly Track[], history: History): string {
  // What must reach something first; the rest is there for whoever wants to know.
  const wanted = tracks.filter(({ floor }) => floor !== undefined);
  const others = tracks.filter(({ floor }) => floor === undefined);
  const cards = (some: readonly Track[]): string =>
    `<div class="cards">${some.map((track) => card(track, history)).join("\n")}</div>`;
  const rest =
    wanted.length === 0
      ? cards(others)
      : `<details><summary>${others.length} more ${others.length === 1 ? "figure" : "figures"} of ${escape(group)}</summary>${cards(others)}</details>`;
  return `<section id="${escape(group)}"><h2>${escape(group)}</h2>${wanted.length > 0 ? cards(wanted) : ""}${others.length > 0 ? rest : ""}</section>`;
}

function card(track: Track, history: History): string {
  const { row, title, name, unit, better, floor, points } = track;
  const values = history.runtimes.flatMap((runtime, i) => {
    const last = points.filter((point) => point.runtime === i).at(-1);
    if (last === undefined) return [];
    const missed = floor !== undefined && !reaches(last.figure.median, floor, better);
    const text = withSpread(last.figure);
    return [`<li>${key(i)}<span>${escape(runtime)}</span> <b>${missed ? `<em>${text} ↓</em>` : text}</b></li>`];
  });
  const what = [unit === "" ? name : `${name}, ${unit}`, ...(better === "lower" ? ["less is better"] : [])].join(" · ");
  return `<article id="${escape(anchor(track))}"><h3>${escape(title)}</h3><p><code>${escape(row)}</code> ${escape(what)}</p>${chart(track, history)}<ul>${values.join("")}</ul></article>`;
}

/** The place of a figure in the page. */
function anchor({ row, name }: Pick<Track, "row" | "name">): string {
  return `${row}:${name}`.replace(/\s+/g, "");
}

/** The mark that stands for an engine in drawings. */
function key(runtime: number): string {
  return `<i class="key s${runtime}"></i>`;
}
