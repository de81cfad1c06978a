import { StreamError } from "../errors.js";
import type { Limits } from "../limits.js";
import { sectionTypeOf } from "../savevm/section.js";
import { QEMU_VM_EOF, QEMU_VM_VMDESCRIPTION } from "../stream/constants.js";
import type { Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import {
  delimitAhead,
  delimitTail,
  stepAt,
  type DelimitContext,
  type DelimitedSection,
  type KnownSection,
} from "./delimit.js";
import type { DescriptionReader } from "./description-reader.js";
import { lookahead } from "./lookahead.js";

/** What the scan so far knows. */
export interface RunContext {
  footers(): boolean | null;
  readonly seen: ReadonlyMap<number, KnownSection>;
  isExact(idstr: string): boolean;
  isOpen(id: number): boolean;
}

export interface DeviceRun {
  /** Offsets are relative to where the reader stands. */
  readonly sections: readonly DelimitedSection[];
  /** Nothing delimits: the one section is all that is left of the stream. */
  readonly isTail: boolean;
}

/** First window; the sections of most machines fit the second. */
const FIRST_LOOK = 64 << 10;

/** Delimits runs of sections that are not decoded exactly: by description and footers, whichever there are. */
export class DeviceRuns {
  readonly #limits: Limits;
  readonly #description: DescriptionReader;
  readonly #context: RunContext;

  constructor(limits: Limits, description: DescriptionReader, context: RunContext) {
    this.#limits = limits;
    this.#description = description;
    this.#context = context;
  }

  /**
   * The sections from the reader's position up to something else. They are left unread, and are at hand.
   * @throws MigrationError when no reading of the bytes leads on
   */
  *next(reader: Reader, packaged: boolean): Decode<DeviceRun> {
    const { offset } = reader;
    const context: DelimitContext = {
      offset,
      footers: this.#context.footers(),
      seen: this.#context.seen,
      isExact: (idstr) => this.#context.isExact(idstr),
      isOpen: (id) => this.#context.isOpen(id),
      describe: (idstr, instance) => this.#description.lookUp(idstr, instance),
    };
    const ceiling = this.#limits.deviceBytes + this.#limits.descriptionBytes;
    for (let size = FIRST_LOOK; ; size = Math.min(2 * size, ceiling)) {
      const { window, ended } = yield* lookahead(reader, size);
      if (ended) return this.#tail(window, context, packaged);
      const sections = delimitAhead(window, context);
      if (sections !== null) return { sections, isTail: false };
      if (size === ceiling) {
        const message = `Find the end of a device section: nothing shows it within ${ceiling} bytes`;
        throw new StreamError("LIMIT_EXCEEDED", message, {
          offset,
          hint: `The ceiling deviceBytes is ${this.#limits.deviceBytes}`,
        });
      }
    }
  }

  #tail(window: Uint8Array, context: DelimitContext, packaged: boolean): DeviceRun {
    if (packaged) {
      // Bytes behind the end of a package are the last thing to believe.
      const whole = delimitTail(window, context, (at) => at >= window.length - 1);
      return this.#accept(whole.error === null ? whole : delimitTail(window, context, () => true));
    }
    const description = this.#description.findAhead(window, context.offset);
    if (description !== null) {
      return this.#accept(delimitTail(window, context, (at) => at === description - 1));
    }
    const exact = delimitTail(window, context, (at) => isCleanEnd(window, at));
    if (exact.error === null) return { sections: exact.sections, isTail: false };
    // Bytes may follow the end of a stream; that is the last thing to believe.
    const loose = delimitTail(window, context, (at) => window[at] === QEMU_VM_EOF);
    if (loose.error === null) return { sections: loose.sections, isTail: false };
    if (context.footers === true) throw exact.error;
    return rawTail(window, context) ?? this.#accept(exact);
  }

  #accept(tail: ReturnType<typeof delimitTail>): DeviceRun {
    if (tail.error !== null) throw tail.error;
    return { sections: tail.sections, isTail: false };
  }
}

/** EOF, and then the end of the stream or what looks like a description (one cut short included). */
function isCleanEnd(window: Uint8Array, at: number): boolean {
  if (window[at] !== QEMU_VM_EOF) return false;
  if (at + 1 === window.length) return true;
  if (window[at + 1] !== QEMU_VM_VMDESCRIPTION) return false;
  return at + 6 >= window.length || window[at + 6] === 0x7b;
}

/** Everything as the body of the section that begins there. */
function rawTail(window: Uint8Array, context: DelimitContext): DeviceRun | null {
  const step = stepAt(window, 0, context);
  if (step.kind !== "section" || sectionTypeOf(window[0]) === null) return null;
  return { sections: [{ ...step.section, bodyEnd: window.length, footer: false }], isTail: true };
}
