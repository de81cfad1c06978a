export { measure, sampleOnce, type MeasureOptions, type Operation, type Sampler } from "./measure.js";
export { median, quantile, summarise, type Summary } from "./statistics.js";
