// Threads that work on one shared memory, started and awaited by Atomics: a message would cost more than some rows.

import { Worker } from "node:worker_threads";
import { JOBS } from "./jobs.mjs";

/** Words of the control block: one line of 64 bytes per worker, so that no two workers write to the same. */
export const LINE = 16;
export const ORDERS = 0; // how many orders the worker was given
export const ANSWERS = 1; // how many it has carried out
export const JOB = 2; // which job, an index of JOBS
export const FIRST = 3; // pages [first, end)
export const END = 4;
export const TIMES = 5; // how often in a row
export const RESULT = 6;

const JOB_NAMES = Object.keys(JOBS);

/** Workers with kernels bound to one memory. */
export class Team {
  #control;
  #workers;

  /**
   * One worker per entry of `places`, which tell each where its own output goes. `guest` is for all: the memory,
   * compiled modules, the module of the façade, addresses.
   */
  constructor(guest, places) {
    this.#control = new Int32Array(new SharedArrayBuffer(places.length * LINE * 4));
    this.#workers = places.map(
      (place, index) =>
        new Worker(new URL("worker.mjs", import.meta.url), {
          workerData: { guest, place, control: this.#control.subarray(index * LINE, (index + 1) * LINE) },
        }),
    );
  }

  /** Has `count` workers do a job `times` times on equal parts of `pages` pages; returns the sum of their results. */
  run(name, pages, times, count) {
    const control = this.#control;
    const job = JOB_NAMES.indexOf(name);
    for (let worker = 0; worker < count; worker++) {
      const line = worker * LINE;
      control[line + JOB] = job;
      control[line + FIRST] = (pages / count) * worker;
      control[line + END] = (pages / count) * (worker + 1);
      control[line + TIMES] = times;
      Atomics.add(control, line + ORDERS, 1);
      Atomics.notify(control, line + ORDERS);
    }
    let sum = 0;
    for (let line = 0; line < count * LINE; line += LINE) {
      const orders = control[line + ORDERS];
      for (let answers; (answers = Atomics.load(control, line + ANSWERS)) !== orders;) {
        Atomics.wait(control, line + ANSWERS, answers);
      }
      sum += control[line + RESULT];
    }
    return sum;
  }

  async stop() {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}
