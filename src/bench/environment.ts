import type { Machine, Runtime } from "./result.js";

interface OperatingSystem {
  cpus(): readonly { readonly model: string }[];
  totalmem(): number;
}

/** What engines tell of themselves; each tells something else. */
interface Global {
  readonly process?: {
    readonly versions?: Readonly<Record<string, string | undefined>>;
    readonly platform?: string;
    readonly arch?: string;
    /** In Node, and engines that follow it: how a module that knows nothing of Node asks it about the computer. */
    readonly getBuiltinModule?: (name: "node:os") => OperatingSystem;
  };
  readonly navigator?: {
    readonly userAgent?: string;
    readonly hardwareConcurrency?: number;
    readonly platform?: string;
  };
}

/** Engines that name themselves in `process.versions`, those that also pretend to be Node first. */
const ENGINES = ["bun", "deno", "electron", "node"];

/** Browsers by what their user agent says; nearly all say several, the first of these is the truest. */
const BROWSERS: readonly (readonly [string, RegExp])[] = [
  ["firefox", /Firefox\/([\d.]+)/],
  ["chromium", /(?:Headless)?Chrom(?:e|ium)\/([\d.]+)/],
  ["safari", /Version\/([\d.]+).*Safari/],
];

/** Engine and machine as far as this engine tells; a browser tells little. */
export function describeEnvironment(global: Global = globalThis): { runtime: Runtime; machine: Machine } {
  const { process, navigator } = global;
  const system = process?.getBuiltinModule?.("node:os");
  const cpus = system?.cpus() ?? [];
  return {
    runtime: describeRuntime(global),
    machine: {
      platform: process?.platform ?? navigator?.platform ?? "unknown",
      arch: process?.arch ?? "unknown",
      cpu: cpus[0]?.model.trim() ?? "unknown processor",
      cores: cpus.length || (navigator?.hardwareConcurrency ?? 0),
      ...(system !== undefined && { memoryGiB: Math.round(system.totalmem() / 2 ** 30) }),
    },
  };
}

function describeRuntime({ process, navigator }: Global): Runtime {
  for (const name of ENGINES) {
    const version = process?.versions?.[name];
    if (version !== undefined) return { name, version };
  }
  for (const [name, pattern] of BROWSERS) {
    const version = pattern.exec(navigator?.userAgent ?? "")?.[1];
    if (version !== undefined) return { name, version };
  }
  return { name: "unknown", version: "0" };
}
