// Runs the rows of suites one after the other, in Node and in browsers alike.

import { UsageError } from "./usage.mjs";

/** How many rounds and seconds a row takes; `rounds`, where given, goes before what the row wants. */
export function rowOptions({ quick, rounds }, { sampleOnce }, sample) {
  return { quick, rounds: rounds ?? (quick ? 3 : undefined), warmUp: quick ? 0.1 : 0.3, sample, sampleOnce };
}

/** The rows whose id has one of the texts, or all. */
export function selectRows(rows, only) {
  const unused = only.filter((text) => !rows.some(({ id }) => id.includes(text)));
  if (unused.length > 0) throw new UsageError(`No row has "${unused.join('" or "')}" in its id; --list shows all`);
  return rows.filter(({ id }) => only.length === 0 || only.some((text) => id.includes(text)));
}

/**
 * Measures rows, printing each. A row that fails, above all because its variants do not agree, does not stop the others:
 * returns the results of those that went well, and what went wrong with the others.
 */
export async function runRows(rows, library, options, print) {
  const results = [];
  const failures = [];
  for (const row of rows) {
    try {
      const result = await library.measureRow(row, options);
      results.push(result);
      print(library.formatRow(result));
    } catch (error) {
      failures.push(`${row.id}: ${error.message}`);
      print(`FAILED ${row.id}: ${error.stack}`);
    }
  }
  return { results, failures };
}
