import type { History, Track } from "./history.js";
import { digits, withSpread } from "./markdown.js";

// The drawing is as wide as a card on a phone, so that its text is read at the size it is given here.
const WIDTH = 320;
const HEIGHT = 150;
const LEFT = 38;
const RIGHT = 8;
const TOP = 14;
const BOTTOM = 20;
/** Engines at one version stand side by side, this far apart at most. */
const APART = 12;
const LABELS = 4;
/** Half the width of a version's label. */
const VERSION_ROOM = 22;

/** One figure over the versions, an SVG: a line for each engine, a bar for the spread, lines for floor and goal. */
export function chart(track: Track, { versions, runtimes }: History): string {
  const scale = scaleOf(track);
  const y = (value: number): number =>
    TOP + ((scale.high - value) / (scale.high - scale.low)) * (HEIGHT - TOP - BOTTOM);
  const step = (WIDTH - LEFT - RIGHT) / versions.length;
  const apart = Math.min(APART, step / (runtimes.length + 1));
  const x = (version: number, runtime: number): number =>
    LEFT + step * (version + 0.5) + apart * (runtime - (runtimes.length - 1) / 2);
  const parts = [
    ...axis(scale, y),
    ...limits(track, y).map(({ line }) => line),
    ...versionLabels(versions, (version) => LEFT + step * (version + 0.5)),
  ];
  for (const [runtime, label] of runtimes.entries()) {
    const points = track.points.filter((point) => point.runtime === runtime);
    if (points.length === 0) continue;
    const line = points.map(({ version, figure }) => `${at(x(version, runtime))},${at(y(figure.median))}`);
    parts.push(`<g class="s${runtime}">`);
    if (points.length > 1) parts.push(`<polyline class="line" points="${line.join(" ")}"/>`);
    for (const { version, figure } of points) {
      const [across, low, high] = [at(x(version, runtime)), at(y(figure.low)), at(y(figure.high))];
      const told = `${label}, ${versions[version].label} (${versions[version].date.slice(0, 10)}): ${withSpread(figure)}`;
      parts.push(
        `<g class="point"><title>${escape(told)}</title>`,
        // What is to be pointed at is larger than what is seen.
        `<rect class="hit" x="${at(x(version, runtime) - apart / 2)}" y="${TOP}" width="${at(apart)}" height="${HEIGHT - TOP - BOTTOM}"/>`,
        `<line class="spread" x1="${across}" x2="${across}" y1="${low}" y2="${high}"/>`,
        `<circle cx="${across}" cy="${at(y(figure.median))}" r="3.5"/></g>`,
      );
    }
    parts.push("</g>");
  }
  // Last, so that no point hides it.
  parts.push(...limits(track, y).map(({ text }) => text));
  const name = `${track.title}, ${track.name}`;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(name)}">${parts.join("")}</svg>`;
}

/** Text that stands for itself in HTML. */
export function escape(text: string): string {
  const names: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
  return text.replace(/[&<>"]/g, (char) => names[char]);
}

interface Scale {
  readonly low: number;
  readonly high: number;
  readonly tick: number;
}

/** Round ends and ticks around all that is drawn. */
function scaleOf({ points, floor, goal }: Track): Scale {
  const values = points.flatMap(({ figure }) => [figure.low, figure.high]);
  for (const limit of [floor, goal]) if (limit !== undefined) values.push(limit);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  // At least a tenth of the value high: noise shall not look like a change.
  const room = Math.max(most - least, Math.abs(most) * 0.1, 1e-9);
  const rough = (room * 1.2) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const tick = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const middle = (least + most) / 2;
  const low = Math.floor((middle - room * 0.6) / tick) * tick;
  return { low: least >= 0 ? Math.max(low, 0) : low, high: Math.ceil((middle + room * 0.6) / tick) * tick, tick };
}

function axis({ low, high, tick }: Scale, y: (value: number) => number): string[] {
  const parts: string[] = [];
  const places = Math.max(0, -Math.floor(Math.log10(tick) + 1e-9));
  for (let i = 0; low + i * tick <= high + tick / 2; i++) {
    const value = low + i * tick;
    const height = at(y(value));
    parts.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${height}" y2="${height}"/>`);
    parts.push(`<text class="tick" x="${LEFT - 6}" y="${at(y(value) + 3.5)}">${value.toFixed(places)}</text>`);
  }
  return parts;
}

function limits({ floor, goal }: Track, y: (value: number) => number): { line: string; text: string }[] {
  const wanted = [
    { name: "floor", value: floor },
    { name: "goal", value: goal },
  ].filter((limit): limit is { name: string; value: number } => limit.value !== undefined);
  // Of two lines the upper has its text above it, the lower below, where there is room.
  const top = Math.max(...wanted.map(({ value }) => value));
  return wanted.map(({ name, value }) => {
    const height = y(value);
    const below = height < TOP + 4 || (value !== top && height < HEIGHT - BOTTOM - 12);
    return {
      line: `<line class="${name}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(height)}" y2="${at(height)}"/>`,
      text: `<text class="limit" x="${LEFT + 3}" y="${at(height + (below ? 11 : -3))}">${name} ${digits(value)}</text>`,
    };
  });
}

function versionLabels(versions: History["versions"], x: (version: number) => number): string[] {
  const every = Math.ceil(versions.length / LABELS);
  return versions.flatMap(({ label }, i) =>
    // Counted from the end, because the newest is what one looks for.
    (versions.length - 1 - i) % every === 0
      ? [
          `<text class="version" x="${at(Math.min(x(i), WIDTH - VERSION_ROOM))}" y="${HEIGHT - 5}">${escape(label)}</text>`,
        ]
      : [],
  );
}

function at(coordinate: number): string {
  return String(Math.round(coordinate * 10) / 10);
}
