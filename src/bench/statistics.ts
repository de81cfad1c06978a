/** The value that `fraction` of the sorted values lie below, interpolated. NaN for no values. */
export function quantile(values: readonly number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * fraction;
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) return NaN;
  // Equal ones may be infinite, which has no distance to itself.
  if (below === above) return below;
  return below + (above - below) * (position - Math.floor(position));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Median and quartiles: what a run of a noisy machine can say about a figure. */
export interface Summary {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Median, and as spread the quartiles. */
export function summarise(values: readonly number[]): Summary {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75) };
}
