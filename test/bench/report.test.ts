import { describe, expect, it } from "vitest";
import { historyOf, reportHtml, reportMarkdown, type BenchmarkResults, type RowResult } from "../../src/bench/index.js";
import { figureOf, ratioRow, resultsOf, valueRow } from "./kit.js";

const NODE_24 = { name: "node", version: "24.0.0" };
const CHROMIUM = { name: "chromium", version: "141.0.1" };

function version(day: number, rows: readonly RowResult[], over: Partial<BenchmarkResults> = {}): BenchmarkResults {
  return resultsOf(rows, { date: `2026-01-0${day}T00:00:00.000Z`, commit: `${day}`.repeat(40), ...over });
}

describe("historyOf", () => {
  it("sorts by version and engine whatever order results come in, and merges those of one", () => {
    const history = historyOf([
      version(2, [ratioRow("a", [3])], { runtime: CHROMIUM }),
      version(2, [ratioRow("a", [2], { floor: 2 })], { runtime: NODE_24 }),
      version(1, [ratioRow("a", [1], { floor: 1 }), ratioRow("old", [1])]),
      version(2, [ratioRow("b", [4])], { runtime: NODE_24 }),
    ]);
    expect(history.versions.map(({ label }) => label)).toEqual(["1111111", "2222222"]);
    expect(history.runtimes).toEqual(["Node 20", "Node 24", "Chromium 141"]);
    expect(history.newest.map(({ rows }) => rows.map(({ id }) => id))).toEqual([["a", "old"], ["a", "b"], ["a"]]);
    const [a] = history.tracks;
    expect(a).toMatchObject({ row: "a", name: "wasm / native", floor: 2 });
    expect(a.points.map(({ version: at, runtime, figure }) => [at, runtime, figure.median])).toEqual([
      [0, 0, 1],
      [1, 2, 3],
      [1, 1, 2],
    ]);
    expect(history.tracks.map(({ row }) => row)).toEqual(["a", "b", "old"]);
  });

  it("code in no commit is named by its time, changed code by its commit and a plus", () => {
    const { versions } = historyOf([
      version(1, [], { commit: null, date: "2026-01-01T12:34:56.000Z" }),
      version(2, [], { dirty: true }),
    ]);
    expect(versions.map(({ label }) => label)).toEqual(["2026-01-01 12:34", "2222222+"]);
  });

  it("a value is a figure of its own if the row has no ratio, or the value a floor", () => {
    const limited = { ...ratioRow("a", [1]), values: { wasm: figureOf([1]), kept: figureOf([1], { floor: 1 }) } };
    const { tracks } = historyOf([version(1, [limited, valueRow("m", [1])])]);
    expect(tracks.map(({ row, name, unit }) => [row, name, unit])).toEqual([
      ["a", "wasm / native", ""],
      ["a", "kept", "GB/s"],
      ["m", "peak", "MiB"],
    ]);
  });
});

describe("reportMarkdown", () => {
  it("is counts, then a table whose columns line up, with what is below its floor in bold", () => {
    const rows = [
      ratioRow("zero/hot", [0.5, 0.6, 0.7], { floor: 0.9, goal: 1 }),
      ratioRow("zero/cold", [12], { floor: 0.9, goal: 1 }),
      valueRow("memory", [0.5], { goal: 1 }),
    ];
    expect(reportMarkdown(resultsOf(rows)).split("\n")).toEqual([
      "- Node 20: of 2 figures 1 reach their floor, 1 their goal (A processor, 2 cores, commit 0123456, 2026-01-02)",
      "",
      "Median ± half the distance between the quartiles; **bold** is worse than the floor.",
      "",
      "| row         | what               | of / to       | floor | goal |                     Node 20 |",
      "| ----------- | ------------------ | ------------- | ----: | ---: | --------------------------: |",
      "| `zero/hot`  | title of zero/hot  | wasm / native |   0.9 |    1 | **0.60 ± 0.05** (6.00 GB/s) |",
      "| `zero/cold` | title of zero/cold | wasm / native |   0.9 |    1 |       12.0 ± 0.0 (120 GB/s) |",
      "| `memory`    | title of memory    | peak, MiB     |       |  ≤ 1 |                 0.50 ± 0.00 |",
    ]);
  });

  it("with wantedOnly leaves out what has no floor", () => {
    const rows = [ratioRow("a", [1]), ratioRow("b", [1], { floor: 1 })];
    const text = reportMarkdown(resultsOf(rows), { wantedOnly: true });
    expect(text).toContain("`b`");
    expect(text).not.toContain("`a`");
    expect(reportMarkdown(resultsOf([ratioRow("a", [1])]), { wantedOnly: true })).not.toContain("|");
  });

  it("of several engines also says where their rates differ", () => {
    const fast = [
      ratioRow("same", [1, 1.01, 1.02]),
      ratioRow("faster", [2, 2.01, 2.02]),
      ratioRow("noisy", [0.1, 1.3, 5]),
    ];
    const text = reportMarkdown([
      resultsOf(["same", "faster", "noisy"].map((id) => ratioRow(id, [1, 1.01, 1.02]))),
      resultsOf(fast, { runtime: CHROMIUM }),
    ]);
    const table = text.slice(text.indexOf("Rates in GB/s")).split("\n");
    expect(table).toEqual([
      "Rates in GB/s where an engine differs from Node 20 by more than 15 % and by more than both spread: 1 of 3.",
      "",
      "| row      | variant | Node 20 | Chromium 141 |",
      "| -------- | ------- | ------: | -----------: |",
      "| `faster` | wasm    |    10.1 |     **20.1** |",
    ]);
  });
});

describe("reportHtml", () => {
  const page = reportHtml([
    version(1, [ratioRow("zero/hot", [1, 2], { floor: 0.9, goal: 1 })]),
    version(2, [
      ratioRow("zero/hot", [0.5], { floor: 0.9, goal: 1 }),
      { ...valueRow("<b>/x", [1]), title: 'a "b" & <i>' },
    ]),
  ]);

  it("has a drawing for each figure, with a point for each version, and floor and goal", () => {
    expect(page.match(/<svg /g)).toHaveLength(2);
    expect(page.match(/<circle /g)).toHaveLength(3);
    expect(page.match(/class="(floor|goal)"/g)).toHaveLength(2);
    expect(page).toContain("<title>Node 20, 1111111 (2026-01-01): 1.50 ± 0.25</title>");
  });

  it("says what is below its floor, and leads there", () => {
    expect(page).toContain("<b>0</b> of 1 reach their floor");
    expect(page).toContain('<a href="#zero/hot:wasm/native">zero/hot</a>');
    expect(page).toContain('<article id="zero/hot:wasm/native">');
  });

  it("loads nothing, runs nothing, and takes text from results as text", () => {
    expect(page).not.toMatch(/<script|<link|src=|url\(|@import|https?:/);
    expect(page).toContain("a &quot;b&quot; &amp; &lt;i&gt;");
    expect(page).not.toContain("<i>&");
  });

  it("no drawing leaves its frame, whatever the figures", () => {
    const wild = [[0], [1e-9], [1e9, -3], [5, 5, 5]].map((runs, i) => ratioRow(`g/${i}`, runs, { floor: 2 }));
    const numbers = [...reportHtml([version(1, wild)]).matchAll(/ (?:c|x1?|x2|y1?|y2)y?="([^"]*)"/g)].map(([, n]) =>
      Number(n),
    );
    expect(numbers.length).toBeGreaterThan(50);
    expect(numbers.filter((n) => !(n >= 0 && n <= 320))).toEqual([]);
  });

  it("of nothing is a page, too", () => {
    expect(reportHtml([])).toContain("</html>");
  });
});
