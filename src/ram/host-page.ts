import { RamError } from "../errors.js";

/** Where whole host pages go once they are complete. */
export type PlacePage<B> = (block: B, offset: number, bytes: Uint8Array | null, length: number) => void;

/** What must be known of a block to assemble its host pages. */
export interface HostPaged {
  readonly name: string;
  readonly pageSize: number;
}

/**
 * Collects the target pages of one host page, so that it can be placed at once (RAM section, Postcopy page rules).
 * One per channel: senders finish a host page before they begin another.
 */
export class HostPageAssembler<B extends HostPaged> {
  readonly #targetPageSize: number;
  readonly #place: PlacePage<B>;
  #buffer = new Uint8Array(0);
  #block: B | null = null;
  #start = 0;
  #received = 0;
  #allZero = true;

  /** @param place told of each complete host page; bytes null means all zero, valid during the call only */
  constructor(targetPageSize: number, place: PlacePage<B>) {
    this.#targetPageSize = targetPageSize;
    this.#place = place;
  }

  /** True while a host page has begun and is not complete. */
  get incomplete(): boolean {
    return this.#received > 0;
  }

  /**
   * One target page; null is a page of zeros.
   * @throws RamError for a page of another host page than the one begun
   */
  add(block: B, offset: number, bytes: Uint8Array | null): void {
    const hostPage = block.pageSize;
    const size = this.#targetPageSize;
    if (hostPage < size) {
      throw new RamError("PAGE_SIZE", `Place a page of "${block.name}": its host pages have ${hostPage} bytes only`);
    }
    const start = Math.floor(offset / hostPage) * hostPage;
    if (this.#received === 0) this.#begin(block, start);
    else if (block !== this.#block || start !== this.#start) {
      const message = `Place a page of "${block.name}" at ${offset}: the host page at ${this.#start} of "${this.#block?.name ?? ""}" is incomplete`;
      throw new RamError("PAGE_OFFSET", message);
    }
    if (bytes !== null && this.#allZero) {
      this.#allZero = false;
      // Grows to the largest host page that the machine registered.
      if (this.#buffer.length < hostPage) this.#buffer = new Uint8Array(hostPage);
      else this.#buffer.fill(0, 0, hostPage);
    }
    if (bytes !== null) this.#buffer.set(bytes, offset - start);
    else if (!this.#allZero) this.#buffer.fill(0, offset - start, offset - start + size);
    this.#received++;
    if (this.#received * size < hostPage) return;
    this.#received = 0;
    this.#place(block, start, this.#allZero ? null : this.#buffer.subarray(0, hostPage), hostPage);
  }

  /** Forget an incomplete host page: it was never marked received, so it will be asked for again. */
  drop(): void {
    this.#received = 0;
  }

  #begin(block: B, start: number): void {
    this.#block = block;
    this.#start = start;
    this.#allZero = true;
  }
}
