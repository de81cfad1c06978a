// What runs in the browser: the suites that need nothing of Node.

import "./benchmark-globals.mjs";
import Benchmark from "benchmark";
import * as savevm from "savevm:index";
import * as library from "savevm:bench/index";
import { createKernels } from "savevm:kernels/index";
import { Workbench } from "../kit.mjs";
import { microSampler } from "../sampler.mjs";
import { rowOptions, runRows, selectRows } from "../session.mjs";
import * as bitmap from "../suites/bitmap.mjs";
import * as compare from "../suites/compare.mjs";
import * as devices from "../suites/devices.mjs";
import * as hash from "../suites/hash.mjs";
import * as ram from "../suites/ram.mjs";
import * as twins from "../suites/twins.mjs";
import * as xbzrle from "../suites/xbzrle.mjs";
import * as zero from "../suites/zero.mjs";

globalThis.Benchmark = Benchmark;

const SUITES = [bitmap, compare, devices, hash, ram, twins, xbzrle, zero];

/** Called from outside with the options of the command. */
globalThis.runSuites = async (options) => {
  if (!globalThis.crossOriginIsolated) throw new Error("The page is not isolated, and its clock is coarse");
  const bench = new Workbench({ createKernels, library: async () => savevm });
  let rows;
  try {
    rows = selectRows((await Promise.all(SUITES.map((suite) => suite.rows(bench)))).flat(), options.only);
  } catch (error) {
    return { misuse: error.message };
  }
  if (options.list) {
    for (const { id, title } of rows) await globalThis.print(`${id.padEnd(30)} ${title}`);
    return {};
  }
  const sampling = rowOptions(options, library, microSampler(options));
  const { runtime } = library.describeEnvironment();
  return { runtime, ...(await runRows(rows, library, sampling, (text) => globalThis.print(text))) };
};
