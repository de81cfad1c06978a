// One thread of a team: waits for orders and carries them out, until it is terminated.

import { workerData } from "node:worker_threads";
import { loadNative } from "../native/build.mjs";
import { JOBS } from "./jobs.mjs";
import { ANSWERS, END, FIRST, JOB, ORDERS, RESULT, TIMES } from "./team.mjs";

const { guest, place, control } = workerData;
const { createKernels } = await import(guest.kernels);
const kernels = createKernels(guest.memory, { implementation: "wasm", modules: guest.modules });
// The addon works on the memory that the main thread bound, which is the same.
const native = loadNative();
const own = { ...guest, ...place, kernels, native, bytes: new Uint8Array(guest.memory.buffer) };
const jobs = Object.values(JOBS);

for (let done = 0; ; done++) {
  Atomics.wait(control, ORDERS, done);
  const job = jobs[control[JOB]];
  for (let times = control[TIMES]; times > 0; times--) control[RESULT] = job(own, control[FIRST], control[END]);
  Atomics.add(control, ANSWERS, 1);
  Atomics.notify(control, ANSWERS);
}
