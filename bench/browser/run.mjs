// `npm run bench:browser`: the suites of the kernels in Chromium. The same rows with the same ids; without the native
// references, which no page can load.

import { createServer } from "node:http";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright";
import { bundle } from "../bundle.mjs";
import { parseRunOptions, run, RUN_USAGE, UsageError } from "../cli.mjs";
import { describeRun, writeResults } from "../results.mjs";

const PAGE = fileURLToPath(new URL("page.mjs", import.meta.url));

/** Bundles page.mjs, with the package's own modules in the place of "savevm:…" and nothing in that of the addon. */
async function bundlePage(files) {
  const { outputFiles } = await build({
    entryPoints: [PAGE],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    logLevel: "error",
    // The package says that no module of it has side effects; these have.
    ignoreAnnotations: true,
    plugins: [
      {
        name: "savevm-bench",
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^savevm:/ }, ({ path }) => ({ path: files[path.slice("savevm:".length)] }));
          onResolve({ filter: /native\/build\.mjs$/ }, () => ({ path: "native", namespace: "none" }));
          onLoad({ filter: /.*/, namespace: "none" }, () => ({ contents: "export const loadNative = () => null;" }));
        },
      },
    ],
  });
  return outputFiles[0].text;
}

/** Serves the page. Its headers are what a browser asks for before it gives a page shared memory and an exact clock. */
async function serve(script) {
  const server = createServer((request, response) => {
    const type = request.url === "/page.js" ? "text/javascript" : "text/html";
    response.writeHead(200, {
      "content-type": type,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(type === "text/html" ? `<!doctype html><script type="module" src="/page.js"></script>` : script);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** One run: a browser of its own, for processes differ. */
async function runOnce(url, options) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) {
    throw new UsageError(`Start Chromium: nothing at ${executablePath}; install it, or set CHROMIUM to its path`);
  }
  // Chromium's sandbox needs rights that a container does not give; the page is our own.
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.exposeFunction("print", (text) => console.log(text));
    await page.goto(url);
    await page.waitForFunction(() => globalThis.runSuites !== undefined);
    return await page.evaluate((given) => globalThis.runSuites(given), options);
  } finally {
    await browser.close();
  }
}

await run(`npm run bench:browser -- ${RUN_USAGE}`, async () => {
  const options = parseRunOptions();
  const files = await bundle(["index", "kernels/index", "bench/index"]);
  const library = await import(files["bench/index"]);
  const server = await serve(await bundlePage(files));
  const runs = [];
  const failures = [];
  try {
    for (let i = 0; i < (options.list ? 1 : options.runs); i++) {
      const head = describeRun(library, { quick: options.quick });
      const { misuse, runtime, results, failures: failed } = await runOnce(server.url, options);
      if (misuse !== undefined) throw new UsageError(misuse);
      if (options.list) return 0;
      runs.push({ ...head, runtime, rows: results });
      failures.push(...failed);
    }
  } finally {
    server.close();
  }
  const merged = library.mergeResults(runs);
  if (runs.length > 1) for (const row of merged.rows) console.log(library.formatRow(row));
  if (options.json !== undefined) writeResults(library, options.json, merged);
  for (const failure of failures) console.error(`Failed: ${failure}`);
  return failures.length > 0 ? 1 : 0;
});
