// How the micro suites time a turn: Benchmark.js finds out how many calls a sample needs.

import Benchmark from "benchmark";

/** A sampler of seconds per call, for `measure` of src/bench. */
export function microSampler({ quick }) {
  const times = quick
    ? { minTime: 0.01, maxTime: 0.02, minSamples: 2 }
    : { minTime: 0.02, maxTime: 0.1, minSamples: 5 };
  return (operation) => {
    const run = new Benchmark("variant", operation, times);
    run.run();
    if (run.error) throw run.error;
    return run.stats.sample;
  };
}
