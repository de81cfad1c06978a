/** Colours of engines, on light and on dark; told apart by most colour-blind eyes. Beyond these all are grey. */
const COLOURS: readonly (readonly [string, string])[] = [
  ["#1f6fd6", "#6aa9ff"],
  ["#c2570c", "#f59a55"],
  ["#12805c", "#45c79a"],
  ["#8146c4", "#bd93f5"],
  ["#b8306f", "#f07fb2"],
  ["#7a6a00", "#d3bf3d"],
];

const engines = COLOURS.map((_, i) => `.s${i}{--engine:var(--engine-${i})}`).join("");
const palette = (which: 0 | 1): string => COLOURS.map((pair, i) => `--engine-${i}:${pair[which]};`).join("");

/** The style sheet of the page. */
export const STYLE = `
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1b1f24;--soft:#5a636e;--grid:#e4e7eb;--floor:#a3222b;--goal:#0f7040;--engine:#888;${palette(0)}}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--card:#1d2126;--text:#e7eaee;--soft:#a0a9b4;--grid:#333a42;--floor:#ff8d8d;--goal:#69d49b;${palette(1)}}}
${engines}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1500px;padding:16px;background:var(--page);color:var(--text);font:16px/1.45 system-ui,sans-serif}
h1{font-size:1.6rem;margin:.3em 0}
h2{font-size:1.2rem;margin:1.6em 0 .6em}
h3{font-size:1rem;line-height:1.3;margin:0 0 4px;overflow-wrap:anywhere}
p{margin:.4em 0;max-width:75ch}
ul{list-style:none;margin:0;padding:0}
.engines{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr));gap:12px;margin:14px 0;align-items:start}
.engines p,.engines details{margin:0 0 0 18px}
.engines .key{margin-left:-18px}
.engines small{display:block;color:var(--soft)}
.links{display:flex;flex-wrap:wrap;gap:2px 12px;font-size:.9rem}
nav{display:flex;flex-wrap:wrap;gap:8px 14px;margin-top:12px}
a{color:inherit}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr));gap:12px}
article:target{outline:2px solid var(--soft)}
article{background:var(--card);border:1px solid var(--grid);border-radius:8px;padding:12px;display:flex;flex-direction:column}
article p{color:var(--soft);font-size:.85rem;margin:0 0 6px}
article svg{margin-top:auto}
article ul{font-size:.9rem;font-variant-numeric:tabular-nums;margin-top:4px}
article li span{display:inline-block;min-width:7em}
em{font-style:normal;color:var(--floor)}
code{font-size:.95em;overflow-wrap:anywhere}
details{margin-top:12px}
summary{cursor:pointer;color:var(--soft);padding:6px 0}
.key{display:inline-block;width:10px;height:10px;border-radius:5px;margin-right:8px;background:var(--engine)}
svg{display:block;width:100%;height:auto;font:10.5px system-ui,sans-serif}
text{fill:var(--soft);stroke:var(--card);stroke-width:3px;paint-order:stroke}
.tick{text-anchor:end}
.version{text-anchor:middle}
.grid{stroke:var(--grid)}
.floor{stroke:var(--floor);stroke-dasharray:5 3}
.goal{stroke:var(--goal);stroke-dasharray:2 3}
.line{fill:none;stroke:var(--engine);stroke-width:1.5;opacity:.6}
.spread{stroke:var(--engine);stroke-width:1.5}
circle{fill:var(--engine);stroke:var(--card);stroke-width:1}
.hit{fill:transparent}
.point:hover circle{stroke:var(--text);stroke-width:1.5}
`;
