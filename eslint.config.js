import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const portable = "The portable core runs in browsers: only src/node.ts, src/node/** and src/cli/** may import node:*";

export default defineConfig(
  // AssemblyScript is not TypeScript (decorated functions, its own types), so the asc compiler is its only judge.
  // The consumer is compiled against the build, by check:package.
  globalIgnores(["dist/", "build/", "coverage/", "assembly/", "test/types/consumer/"]),
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // A generator that yields "nothing, or a promise" says so best with void.
      "@typescript-eslint/no-invalid-void-type": "off",
      // Index access is typed as always present (noUncheckedIndexedAccess is off), so this rule would forbid the very
      // checks that untrusted input needs.
      "@typescript-eslint/no-unnecessary-condition": "off",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      // Numbers and bigints in messages are the rule here: offsets, lengths, versions.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
      // An async method without await still turns a throw into a rejection, which is why it is async.
      "@typescript-eslint/require-await": "off",
      eqeqeq: "error",
      // Names and text from a stream are checked for control characters; that is what such patterns are for.
      "no-control-regex": "off",
      "no-warning-comments": "error",
    },
  },
  {
    files: ["**/*.{js,mjs}"],
    languageOptions: {
      globals: Object.fromEntries(
        "AbortController Buffer ReadableStream TextDecoder TextEncoder TransformStream URL WebAssembly WritableStream clearTimeout console fetch performance process queueMicrotask setImmediate setTimeout structuredClone"
          .split(" ")
          .map((name) => [name, "readonly"]),
      ),
    },
  },
  {
    files: ["src/**", "test/**", "bench/**", "examples/**"],
    rules: {
      "no-restricted-exports": [
        "error",
        {
          restrictDefaultExports: {
            direct: true,
            named: true,
            defaultFrom: true,
            namedFrom: true,
            namespaceFrom: true,
          },
        },
      ],
    },
  },
  {
    files: ["src/**"],
    rules: {
      "max-lines": ["error", { max: 450 }],
      "max-params": ["error", { max: 7 }],
      "no-console": "error",
    },
  },
  {
    files: ["src/**"],
    ignores: ["src/node.ts", "src/node/**", "src/cli/**"],
    rules: { "no-restricted-imports": ["error", { patterns: [{ regex: "^node:", message: portable }] }] },
  },
  // Kernels take raw numbers over the Wasm boundary, where an options object cannot go. The command prints.
  { files: ["src/kernels/**"], rules: { "max-params": "off" } },
  { files: ["src/cli/**"], rules: { "no-console": "off" } },
  {
    files: ["test/**/*.ts"],
    rules: {
      // In a test a missing value is a failure anyway, and a non-null assertion gives it the right line.
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    // Types about types: parameters that appear once and names that only the compiler sees are the point.
    files: ["test/types/**/*.ts"],
    rules: {
      "@typescript-eslint/no-unnecessary-type-parameters": "off",
      "@typescript-eslint/no-unused-vars": "off",
    },
  },
  {
    files: ["test/**"],
    rules: {
      // A test that did not run has not passed.
      "no-restricted-syntax": [
        "error",
        {
          selector:
            "MemberExpression[object.name=/^(it|test|describe|suite)$/][property.name=/^(skip|only|todo|fails)$/]",
          message: "Run every test, or delete it",
        },
      ],
    },
  },
);
