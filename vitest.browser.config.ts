/** Tests in a real browser, Debian's Chromium: `npm run test:browser`. */
import { existsSync } from "node:fs";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { kernels } from "./rollup.config.mjs";
import { reporting } from "./test/kit/reporting.js";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
if (!existsSync(executablePath)) {
  throw new Error(
    `Start Chromium: nothing at ${executablePath}; on Debian, "apt-get install chromium", or set CHROMIUM to its path`,
  );
}

export default defineConfig({
  plugins: [kernels()],
  // Named beforehand, because a dependency that the server meets during the run makes it reload the page under a test.
  optimizeDeps: { include: ["@assemblyscript/loader", "fflate"] },
  test: {
    ...reporting(),
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      // Chromium's sandbox needs rights that a container does not give; the pages are our own.
      provider: playwright({ launchOptions: { executablePath, args: ["--no-sandbox"] } }),
      instances: [
        { browser: "chromium", name: "chromium", include: suite("any", "wasm") },
        {
          // The policy of a strict page: own scripts only, and no compiling of WebAssembly.
          browser: "chromium",
          name: "chromium, strict page",
          include: suite("any", "strict"),
          testerHtmlPath: "test/browser/strict-page.html",
        },
      ],
    },
  },
});

function suite(...pages: string[]): string[] {
  return pages.map((page) => `test/browser/${page}/*.browser.test.ts`);
}
