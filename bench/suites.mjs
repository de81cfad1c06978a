// All suites there are, in Node.

import { readdirSync } from "node:fs";

/** The rows of every module in suites/. */
export async function allRows(bench) {
  const rows = [];
  for (const name of readdirSync(new URL("suites/", import.meta.url)).sort()) {
    const suite = await import(`./suites/${name}`);
    rows.push(...(await suite.rows(bench)));
  }
  return rows;
}
