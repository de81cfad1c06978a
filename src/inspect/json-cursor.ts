import { StreamError } from "../errors.js";

/** Objects inside objects; QEMU's deepest descriptions have about a dozen. */
const MAX_DEPTH = 64;
/** Objects in one description; QEMU's largest have a few thousand. Bounds what is built from 16 MiB of `{}`. */
const MAX_OBJECTS = 1 << 17;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const INTEGER = /-?\d+/y;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;
const BLANK = /[ \t\r\n]*/y;

/**
 * JSON read key by key. `JSON.parse` keeps only the last of several equal keys, and the description of a device has
 * them on purpose: containers put the keys of each element into the object of the container.
 */
export class JsonCursor {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #objects = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** True once nothing but blanks is left. */
  get done(): boolean {
    this.#match(BLANK);
    return this.#at === this.#text.length;
  }

  /** Read an object; `onKey` must read the value, or {@link skip} it. */
  object(onKey: (key: string) => void): void {
    if (++this.#objects > MAX_OBJECTS) throw this.error(`it has more than ${MAX_OBJECTS} objects`);
    this.#list("{", "}", () => {
      const key = this.string();
      if (!this.#take(":")) throw this.error("a colon was expected");
      onKey(key);
    });
  }

  /** Read an array; `onItem` must read the item, or {@link skip} it. */
  array(onItem: () => void): void {
    this.#list("[", "]", onItem);
  }

  string(): string {
    this.#match(BLANK);
    const text = this.#match(STRING);
    if (text === null) throw this.error("a string was expected");
    return text.includes("\\") ? (JSON.parse(text) as string) : text.slice(1, -1);
  }

  /** An integer that JavaScript holds exactly. */
  integer(): number {
    this.#match(BLANK);
    const text = this.#match(INTEGER);
    const value = Number(text);
    if (text === null || !Number.isSafeInteger(value)) throw this.error("an integer was expected");
    return value;
  }

  /** Read one value of any kind and forget it. */
  skip(): void {
    this.#match(BLANK);
    const next = this.#text[this.#at];
    if (next === "{") this.object(() => this.skip());
    else if (next === "[") this.array(() => this.skip());
    else if (next === '"') this.string();
    else if (this.#match(LITERAL) === null && this.#match(NUMBER) === null) throw this.error("a value was expected");
  }

  /** An error at the present place. */
  error(problem: string): StreamError {
    return new StreamError("DESCRIPTION_INVALID", `Read the JSON description: ${problem} at character ${this.#at}`);
  }

  #list(open: string, close: string, item: () => void): void {
    if (!this.#take(open)) throw this.error(`"${open}" was expected`);
    if (++this.#depth > MAX_DEPTH) throw this.error(`it is nested deeper than ${MAX_DEPTH} levels`);
    if (!this.#take(close)) {
      do item();
      while (this.#take(","));
      if (!this.#take(close)) throw this.error(`"${close}" was expected`);
    }
    this.#depth--;
  }

  #take(char: string): boolean {
    this.#match(BLANK);
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) return null;
    this.#at = pattern.lastIndex;
    return match[0];
  }
}
