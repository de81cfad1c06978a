import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { compareSchemas } from "../../src/vmstate/schema-check.js";
import { parseSchema, schemaFromJson, type StateSchema } from "../../src/vmstate/schema.js";

const data = (name: string): Buffer => readFileSync(new URL(`../data/schemas/${name}`, import.meta.url));
const errors = (old: StateSchema, now: StateSchema): number => compareSchemas(old, now).errors;

describe("compareSchemas counts what QEMU's vmstate-static-checker.py counts", () => {
  interface Pair {
    readonly old: unknown;
    readonly new: unknown;
    readonly errors: number;
    readonly reverse: number;
  }
  const pairs = data("parity.jsonl").toString().trim().split("\n");

  test.each(pairs.map((line, index) => ({ index, pair: JSON.parse(line) as Pair })))(
    "invented pair $index: same count both ways",
    ({ pair }) => {
      const [old, now] = [schemaFromJson(pair.old), schemaFromJson(pair.new)];
      expect([errors(old, now), errors(now, old)]).toEqual([pair.errors, pair.reverse]);
    },
  );

  test("dumps of QEMU 7.2 (pc) and 10.0 (q35): same count both ways", () => {
    const [pc, q35] = ["pc-i440fx-7.2.json.gz", "pc-q35-10.0.json.gz"].map((name) =>
      parseSchema(gunzipSync(data(name)).toString()),
    );
    expect([errors(pc, q35), errors(q35, pc), errors(pc, pc), errors(q35, q35)]).toEqual([18, 37, 0, 0]);
  });
});
