import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const examples = new URL("../../examples/", import.meta.url);

it.each(readdirSync(examples).filter((name) => name.endsWith(".mjs")))("examples/%s runs to its end", (name) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(new URL(name, examples))], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 120_000,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).not.toBe("");
});
