import type { AsyncSource } from "../stream/io.js";

const WIDTH = 30;
/** Milliseconds between two drawings. */
const PACE = 100;

/** Counts what passes and shows it on a terminal, and nowhere else. */
export class Progress {
  readonly #label: string;
  readonly #total: number | null;
  readonly #isShown = process.stderr.isTTY;
  #bytes = 0;
  #drawn = 0;

  constructor(label: string, total: number | null) {
    this.#label = label;
    this.#total = total;
  }

  /** The same source, watched. */
  watch(source: AsyncSource): AsyncSource {
    if (!this.#isShown) return source;
    const count = (chunk: Uint8Array | null): Uint8Array | null => {
      this.#bytes += chunk?.length ?? 0;
      this.#draw();
      return chunk;
    };
    return {
      read() {
        const chunk = source.read();
        return chunk === null || chunk instanceof Uint8Array ? count(chunk) : chunk.then(count);
      },
    };
  }

  /** Remove the bar. */
  done(): void {
    if (this.#isShown && this.#drawn > 0) process.stderr.write("\r\x1b[K");
  }

  #draw(): void {
    const now = Date.now();
    if (now - this.#drawn < PACE) return;
    this.#drawn = now;
    const mib = `${(this.#bytes / 2 ** 20).toFixed(1)} MiB`;
    if (this.#total === null || this.#total === 0) {
      process.stderr.write(`\r\x1b[K${this.#label} ${mib}`);
      return;
    }
    const share = Math.min(1, this.#bytes / this.#total);
    const bar = "#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, ".");
    process.stderr.write(`\r\x1b[K${this.#label} [${bar}] ${String(Math.floor(share * 100)).padStart(3)} % ${mib}`);
  }
}
