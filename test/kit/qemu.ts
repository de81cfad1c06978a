/**
 * A real QEMU as a test fixture: started, driven through QMP, and always stopped.
 *
 * ```ts
 * await using qemu = await Qemu.start({ args: guestArgs({ machine: "pc", rom }), paused: true, incoming: stream });
 * await qemu.waitForMigration();
 * await qemu.cont();
 * await qemu.expectGuestRuns();
 * ```
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { HEADER_ADDRESS, PAGE_SIZE, readHeader, windowProblems, type GuestHeader } from "../guest/model.js";
import { QmpClient, QmpError } from "./qmp.js";

export const INSTALL_HINT = "QEMU is missing: apt-get install qemu-system-x86 qemu-utils (or set QEMU to its path)";

/** The x86 program: `$QEMU`, or `qemu-system-x86_64` as found in the path. */
export function qemuProgram(): string {
  return process.env["QEMU"] ?? "qemu-system-x86_64";
}

/** First line of `--version`; throws with {@link INSTALL_HINT} when the program cannot be run. */
export function qemuVersion(program = qemuProgram()): string {
  const result = spawnSync(program, ["--version"], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(program === qemuProgram() ? INSTALL_HINT : `Cannot run ${program}`);
  return result.stdout.split("\n")[0].replace("QEMU emulator version ", "");
}

export interface GuestArgs {
  /** Machine with its properties; acpi=off is added where the machine has it, as ACPI tables are not our bytes. */
  readonly machine: string;
  /** Path of the ROM image. */
  readonly rom: string;
  /** Default 8. */
  readonly megabytes?: number;
  readonly cpus?: number;
  readonly extra?: readonly string[];
}

/** Command line for a PC-like machine whose RAM blocks hold nothing but our ROM and what it wrote. */
export function guestArgs(options: GuestArgs): string[] {
  const { machine, rom, megabytes = 8, cpus = 1, extra = [] } = options;
  const acpi = machine.startsWith("isapc") ? "" : ",acpi=off";
  return [
    ...["-machine", machine + acpi, "-m", String(megabytes), "-smp", String(cpus)],
    ...["-nodefaults", "-vga", "none", "-serial", "null", "-bios", rom],
    // The APIC would copy a small option ROM into RAM to speed up guests under KVM.
    ...["-global", "apic-common.vapic=off"],
    ...extra,
  ];
}

export interface QemuOptions {
  /** Command line without monitor, display and incoming. */
  readonly args: readonly string[];
  /** Default {@link qemuProgram}. */
  readonly program?: string;
  /** Do not let the CPUs run yet. */
  readonly paused?: boolean;
  /** URI to load from, or the stream itself; the machine stays paused afterwards when `paused` is set. */
  readonly incoming?: string | Uint8Array;
  /** Migration capabilities to switch on, before an incoming URI is opened. */
  readonly capabilities?: readonly string[];
  readonly parameters?: Readonly<Record<string, unknown>>;
}

export interface MigrationInfo {
  readonly status?: string;
  readonly "error-desc"?: string;
  readonly ram?: Readonly<Record<string, number>>;
  readonly "xbzrle-cache"?: Readonly<Record<string, number>>;
}

/** A range of guest-physical memory that shows a RAM region. */
export interface MappedRegion {
  readonly region: string;
  /** Offset in the region. */
  readonly offset: number;
  readonly address: number;
  readonly length: number;
}

const POLL_MS = 10;
const DEATH_MS = 2000;

export class Qemu implements AsyncDisposable {
  readonly directory: string;
  readonly #child: ChildProcess;
  #monitor: QmpClient | undefined;
  #stderr = "";
  /** Resolves when the process is gone, with its exit status (null after a signal). */
  readonly exited: Promise<number | null>;

  private constructor(options: QemuOptions) {
    this.directory = mkdtempSync(join(tmpdir(), "savevm-qemu-"));
    const args = [...options.args, "-display", "none", "-qmp", `unix:${this.#socketPath},server=on,wait=off`];
    if (options.paused) args.push("-S");
    if (options.incoming !== undefined) args.push("-incoming", "defer");
    const child = spawn(options.program ?? qemuProgram(), args, { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#stderr += error.message;
        resolve(null);
      });
      child.once("close", (code) => resolve(code));
    });
    void this.exited.then((code) => this.#monitor?.fail(this.#deathReport(code)));
  }

  /** Starts QEMU, connects the monitor, sets capabilities, and opens the incoming URI if there is one. */
  static async start(options: QemuOptions): Promise<Qemu> {
    const qemu = new Qemu(options);
    try {
      const death = qemu.exited.then((code): never => {
        throw qemu.#deathReport(code);
      });
      qemu.#monitor = await Promise.race([QmpClient.connect(qemu.#socketPath), death]);
      await qemu.configure(options.capabilities ?? [], options.parameters ?? {});
      if (options.incoming !== undefined) await qemu.#open(options.incoming);
      return qemu;
    } catch (error) {
      await qemu[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What QEMU wrote on standard error so far. */
  get stderr(): string {
    return this.#stderr;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get monitor(): QmpClient {
    if (!this.#monitor) throw new Error("QEMU has no monitor yet");
    return this.#monitor;
  }

  /** Runs one monitor command; when QEMU died of it (or before), the error says what QEMU said. */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    try {
      return await this.monitor.execute(command, args);
    } catch (error) {
      if (error instanceof QmpError) throw error;
      // The connection breaks a moment before the process is gone.
      const code = await Promise.race([this.exited, sleep(DEATH_MS, undefined)]);
      throw code === undefined ? error : this.#deathReport(code);
    }
  }

  /** Switches migration capabilities on and sets migration parameters. */
  async configure(capabilities: readonly string[], parameters: Readonly<Record<string, unknown>> = {}): Promise<void> {
    if (capabilities.length > 0) {
      const list = capabilities.map((capability) => ({ capability, state: true }));
      await this.execute("migrate-set-capabilities", { capabilities: list });
    }
    if (Object.keys(parameters).length > 0) await this.execute("migrate-set-parameters", parameters);
  }

  async migrationInfo(): Promise<MigrationInfo> {
    return (await this.execute("query-migrate")) as MigrationInfo;
  }

  /** Sends the machine to `uri` and waits for the end. */
  async migrate(uri: string): Promise<MigrationInfo> {
    await this.execute("migrate", { uri });
    return this.waitForMigration();
  }

  /**
   * Sends the machine to the file `path` and returns its bytes. `meanwhile` may turn knobs while it is under way.
   * The migration counts as completed before the last bytes have passed the pipe, hence the renamed file.
   */
  async migrateToFile(path: string, meanwhile?: () => Promise<void>): Promise<Uint8Array> {
    await this.execute("migrate", { uri: `exec:cat > '${path}.part' && mv '${path}.part' '${path}'` });
    await meanwhile?.();
    await this.waitForMigration();
    await this.poll(`the file ${path}`, 10_000, () => Promise.resolve(existsSync(path) || undefined));
    return new Uint8Array(await readFile(path));
  }

  /**
   * Waits until the migration (in or out) is in `wanted`, by default completed. Failing, being cancelled or a dead
   * QEMU is an error that quotes QEMU's own words.
   */
  async waitForMigration(wanted = "completed", timeoutMs = 60_000): Promise<MigrationInfo> {
    return this.poll(`migration status ${wanted}`, timeoutMs, async () => {
      const info = await this.migrationInfo();
      if (info.status === wanted) return info;
      if (["failed", "cancelled", "completed"].includes(info.status ?? "")) {
        throw new Error(`Migration ended as ${info.status}: ${info["error-desc"] ?? ""} ${this.#stderr}`);
      }
      return undefined;
    });
  }

  /** Run state as `query-status` names it: running, paused, inmigrate, postmigrate ... */
  async runState(): Promise<string> {
    return ((await this.execute("query-status")) as { status: string }).status;
  }

  async cont(): Promise<void> {
    await this.execute("cont");
  }

  async stop(): Promise<void> {
    await this.execute("stop");
  }

  /** Guest-physical memory, also while the guest runs. */
  async readMemory(address: number, length: number): Promise<Uint8Array> {
    const path = join(this.directory, "memory");
    await this.execute("pmemsave", { val: address, size: length, filename: path });
    const bytes = new Uint8Array(await readFile(path));
    await rm(path);
    return bytes;
  }

  /** Where RAM shows in the address space of the CPUs; aliases appear as often as they exist. */
  async mappedRegions(): Promise<MappedRegion[]> {
    const text = await this.monitor.human("info mtree -f");
    // One flat view per address space; the monitor's physical addresses are those of "memory".
    const view = text.split("FlatView #").find((part) => part.includes(' AS "memory",')) ?? "";
    const lines = view.matchAll(
      /^ *([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:ram|rom|romd|nv-ram)\): (\S+)(?: @([0-9a-f]{16}))?/gm,
    );
    return Array.from(lines, ([, first, last, region, offset]) => {
      const address = Number.parseInt(first, 16);
      const length = Number.parseInt(last, 16) - address + 1;
      return { region: region, offset: Number.parseInt(offset ?? "0", 16), address, length };
    });
  }

  /** The header page of the test guest (guest/model.ts). */
  async guestHeader(): Promise<GuestHeader> {
    return readHeader(await this.readMemory(HEADER_ADDRESS, PAGE_SIZE));
  }

  /** Waits until the test guest runs and has rewritten at least `steps` pages and seen `ticks` timer interrupts. */
  async waitForGuest(steps = 0, ticks = 0): Promise<GuestHeader> {
    return this.poll("the guest", 20_000, async () => {
      // Before the guest's first instructions its memory is empty.
      const header = await this.guestHeader().catch(() => undefined);
      const there = header?.state === "running" && header.steps >= steps && header.ticks >= ticks;
      return there ? header : undefined;
    });
  }

  /** Stops the guest, compares its whole window with the model, and lets it run on if it ran before. */
  async guestProblems(): Promise<string[]> {
    const wasRunning = (await this.runState()) === "running";
    if (wasRunning) await this.stop();
    const header = await this.guestHeader();
    const problems = windowProblems(header, await this.readMemory(header.window, header.pages * PAGE_SIZE));
    if (wasRunning) await this.cont();
    return problems;
  }

  /**
   * Checks that the guest makes progress: timer interrupts arrive and every page of its window is rewritten `passes`
   * times, hence also checked by the guest itself; then compares the window with the model.
   */
  async expectGuestRuns(passes = 1): Promise<GuestHeader> {
    const before = await this.guestHeader();
    const after = await this.waitForGuest(before.steps + passes * before.pages, before.ticks + 1);
    const problems = await this.guestProblems();
    if (problems.length > 0) throw new Error(`The guest is damaged: ${problems.slice(0, 5).join("; ")}`);
    return after;
  }

  /** Calls `probe` until it returns something; a dead QEMU or `timeoutMs` without a result is an error. */
  async poll<T>(what: string, timeoutMs: number, probe: () => Promise<T | undefined>): Promise<T> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const result = await probe();
      if (result !== undefined) return result;
      if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms for ${what}: ${this.#stderr}`);
      await sleep(POLL_MS);
    }
  }

  /** Ends the process and removes its directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
    this.#monitor?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #open(incoming: string | Uint8Array): Promise<void> {
    const path = join(this.directory, "incoming");
    if (typeof incoming !== "string") writeFileSync(path, incoming);
    await this.execute("migrate-incoming", { uri: typeof incoming === "string" ? incoming : `exec:cat '${path}'` });
  }

  get #socketPath(): string {
    return join(this.directory, "qmp");
  }

  #deathReport(code: number | null): Error {
    return new Error(`QEMU ended with status ${code}: ${this.#stderr.trim()}`);
  }
}

/** A directory for ROMs and streams that is removed at the end of the block that holds it. */
export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "savevm-scratch-"));

  /** Absolute path of `name`, after writing `bytes` there if given. */
  file(name: string, bytes?: Uint8Array): string {
    const path = join(this.path, name);
    if (bytes) writeFileSync(path, bytes);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
