// Benchmark.js looks for lodash, and in browsers for itself, among the globals: a bundle does not put them there.

import lodash from "lodash";

globalThis._ = lodash;
