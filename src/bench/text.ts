import { reaches, type Better, type Figure, type RowResult } from "./result.js";

/** A row as lines of text, for a terminal. */
export function formatRow({ id, title, unit, better, values, ratios }: RowResult): string {
  const lines = [`${id.padEnd(30)} ${title}`];
  for (const [name, figure] of Object.entries(values)) {
    const spread = figure.floor === undefined ? "" : describe(figure, better);
    lines.push(`       ${name.padEnd(10)} ${figure.median.toPrecision(3)} ${unit}${spread}`);
  }
  for (const ratio of ratios) {
    lines.push(`       ${ratio.of} / ${ratio.to}: ${ratio.median.toFixed(2)}${describe(ratio, "higher")}`);
  }
  return lines.join("\n");
}

/**
 * The figures of a row that are below their floor, or below a share of it: with 0.5, those worse than half of what they
 * must reach. One line each.
 */
export function missedFloors({ id, better, values, ratios }: RowResult, share = 1): string[] {
  const figures: [string, Figure, Better][] = [
    ...Object.entries(values).map(([name, figure]): [string, Figure, Better] => [name, figure, better]),
    ...ratios.map((ratio): [string, Figure, Better] => [`${ratio.of} / ${ratio.to}`, ratio, "higher"]),
  ];
  return figures.flatMap(([name, { median, floor }, direction]) => {
    if (floor === undefined) return [];
    const wanted = direction === "higher" ? floor * share : floor / share;
    if (reaches(median, wanted, direction)) return [];
    const bound = share === 1 ? `floor ${floor}` : `${wanted}, for a floor of ${floor}`;
    return [`${id}: ${name} is ${median.toPrecision(3)}, worse than ${bound}`];
  });
}

function describe({ median, low, high, floor, goal }: Figure, better: Better): string {
  const spread = ` [${low.toPrecision(3)}, ${high.toPrecision(3)}]`;
  const wanted = [
    ...(floor === undefined ? [] : [`floor ${floor}`]),
    ...(goal === undefined ? [] : [`goal ${goal}`]),
  ].join(", ");
  const missed = floor !== undefined && !reaches(median, floor, better);
  return `${spread}${wanted && ` (${wanted})`}${missed ? " BELOW" : ""}`;
}
