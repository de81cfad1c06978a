/** Measuring saves and loads, side by side with a reference, and telling whether a change made them slower. */
export { compareResults, formatComparison, type Comparison, type CompareOptions, type Movement } from "./compare.js";
export { historyOf, type History, type Point, type Track, type Version } from "./history.js";
export { reportHtml } from "./html.js";
export { reportMarkdown, type MarkdownOptions } from "./markdown.js";
export { describeEnvironment } from "./environment.js";
export { benchmarkMachine, type BenchmarkMachineOptions, type SavedState } from "./machine.js";
export { measure, sampleFor, sampleOnce, type MeasureOptions, type Operation, type Sampler } from "./measure.js";
export { mergeResults } from "./merge.js";
export {
  SCHEMA,
  compactResults,
  formatResults,
  parseResults,
  reaches,
  runtimeLabel,
  type BenchmarkResults,
  type Better,
  type Figure,
  type Machine,
  type Ratio,
  type RowResult,
  type Runtime,
} from "./result.js";
export {
  measureRow,
  type Limits,
  type MeasuredRow,
  type MeasuredValues,
  type Prepared,
  type Row,
  type RowOptions,
  type TimedRow,
  type WantedRatio,
} from "./row.js";
export { formatRow, missedFloors } from "./text.js";
export { median, quantile, summarise, type Summary } from "./statistics.js";
