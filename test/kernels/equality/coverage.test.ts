import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createJsKernels } from "../../../src/kernels/js.js";

test("kernels, each of them, are compared with their twins in this folder", () => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.ts"));
  const text = files.map((name) => readFileSync(`${import.meta.dirname}/${name}`, "utf8")).join("");
  const kernels = Object.keys(createJsKernels({ buffer: new ArrayBuffer(0) }));
  expect(kernels.filter((name) => !text.includes(`"${name}"`))).toEqual([]);
});
