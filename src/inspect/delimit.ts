import { SectionError, StreamError, type MigrationError, type SectionRef } from "../errors.js";
import { COMMANDS } from "../savevm/commands.js";
import { sectionTypeOf, type SectionType } from "../savevm/section.js";
import { QEMU_VM_COMMAND, QEMU_VM_EOF, QEMU_VM_SECTION_FOOTER, QEMU_VM_VMDESCRIPTION } from "../stream/constants.js";
import { decodeName } from "../stream/names.js";
import { deviceSize, type DescribedDevice } from "./description.js";
import { refOf } from "./scan-result.js";

/**
 * Finding the ends of sections whose bodies we cannot decode, on bytes that were looked at ahead. A body has no length:
 * its end is where the description says it is, or in front of a footer (7e, be32 id). Since a body may contain those
 * five bytes as well, a footer counts only if what follows it can be the next element, and so on to the end.
 */

/** A section found in a window. Offsets are in the window. */
export interface DelimitedSection {
  readonly type: SectionType;
  readonly id: number;
  /** What START or FULL says, or said for a PART or END; null if that was never seen. */
  readonly idstr: string | null;
  readonly instance: number | null;
  readonly version: number | null;
  readonly start: number;
  readonly bodyStart: number;
  /** Behind the body. */
  readonly bodyEnd: number;
  readonly footer: boolean;
}

/** A section whose end is not known yet. */
type Opened = Omit<DelimitedSection, "bodyEnd" | "footer">;

/** A START or FULL section seen before. */
export interface KnownSection {
  readonly idstr: string;
  readonly instance: number;
  readonly version: number;
}

/** What the bytes in front of the window told. */
export interface DelimitContext {
  /** Absolute offset of the window, for errors. */
  readonly offset: number;
  /** Null as long as no section has shown it. */
  readonly footers: boolean | null;
  readonly seen: ReadonlyMap<number, KnownSection>;
  /** True for sections that are decoded exactly; the search stops in front of them. */
  isExact(idstr: string): boolean;
  /** False for an iterative section that has ended: no PART or END of it is expected. */
  isOpen(id: number): boolean;
  /** Several devices may bear one name. */
  describe(idstr: string, instance: number): readonly DescribedDevice[];
}

type Step =
  | { readonly kind: "section"; readonly section: Opened }
  | { readonly kind: "command"; readonly end: number }
  | { readonly kind: "exact" | "eof" | "more" | "illegal" };

const MORE: Step = { kind: "more" };
const ILLEGAL: Step = { kind: "illegal" };
/** QEMU keeps versions in an int. Most are small, but the eeprom of some network cards has 20061113. */
const MAX_VERSION = 0x7fff_ffff;
const LENGTHS = new Map(Object.values(COMMANDS).map(({ number, length }) => [number, length]));

/** What stands at `at`, judged by itself. */
export function stepAt(window: Uint8Array, at: number, context: DelimitContext): Step {
  if (at >= window.length) return MORE;
  const view = new DataView(window.buffer, window.byteOffset, window.byteLength);
  const left = window.length - at;
  const type = sectionTypeOf(window[at]);
  if (window[at] === QEMU_VM_EOF) return { kind: "eof" };
  if (window[at] === QEMU_VM_COMMAND) {
    if (left < 5) return MORE;
    const length = view.getUint16(at + 3);
    const wanted = LENGTHS.get(view.getUint16(at + 1));
    return wanted === undefined || (wanted !== null && wanted !== length)
      ? ILLEGAL
      : { kind: "command", end: at + 5 + length };
  }
  if (type === null) return ILLEGAL;
  if (left < 6) return MORE;
  const id = view.getUint32(at + 1);
  const known = context.seen.get(id);
  if (type === "part" || type === "end") {
    if (known === undefined) {
      // Only where the search begins: there, a section that was never announced is a fact to report.
      if (at > 0) return ILLEGAL;
      const section = { type, id, idstr: null, instance: null, version: null, start: at, bodyStart: at + 5 };
      return { kind: "section", section };
    }
    if (!context.isOpen(id)) return ILLEGAL;
    if (context.isExact(known.idstr)) return { kind: "exact" };
    return { kind: "section", section: { type, id, ...known, start: at, bodyStart: at + 5 } };
  }
  const length = window[at + 5];
  if (length === 0) return ILLEGAL;
  if (left < 14 + length) return MORE;
  const name = window.subarray(at + 6, at + 6 + length);
  const version = view.getUint32(at + 10 + length);
  if (version > MAX_VERSION || name.some((byte) => byte < 0x20 || byte === 0x7f)) return ILLEGAL;
  const idstr = decodeName(name);
  if (known !== undefined && known.idstr !== idstr) return ILLEGAL;
  if (context.isExact(idstr)) return { kind: "exact" };
  const instance = view.getUint32(at + 6 + length);
  return { kind: "section", section: { type, id, idstr, instance, version, start: at, bodyStart: at + 14 + length } };
}

interface End {
  readonly bodyEnd: number;
  readonly footer: boolean;
}

/** Bytes 7e looked at before a hostile window is given up: about a second. */
const MAX_LOOKS = 1 << 27;

/** Where a section may end, most trustworthy first. */
function* endsOf(
  window: Uint8Array,
  section: Opened,
  context: DelimitContext,
  looks: { left: number },
): Generator<End> {
  const described = describedEnds(section, context);
  for (const at of described) {
    if (at > window.length) continue;
    if (context.footers !== false && isFooter(window, at, section.id)) yield { bodyEnd: at, footer: true };
    else if (context.footers !== true) yield { bodyEnd: at, footer: false };
  }
  if (context.footers === false) return;
  for (let at = window.indexOf(QEMU_VM_SECTION_FOOTER, section.bodyStart); at >= 0;) {
    if (--looks.left < 0) return;
    if (!described.includes(at) && isFooter(window, at, section.id)) yield { bodyEnd: at, footer: true };
    at = window.indexOf(QEMU_VM_SECTION_FOOTER, at + 1);
  }
}

function describedEnds({ type, idstr, instance, bodyStart }: Opened, context: DelimitContext): number[] {
  if (type !== "full" || idstr === null || instance === null) return [];
  return context.describe(idstr, instance).map((device) => bodyStart + deviceSize(device));
}

function isFooter(window: Uint8Array, at: number, id: number): boolean {
  return (
    at + 5 <= window.length &&
    window[at] === QEMU_VM_SECTION_FOOTER &&
    window[at + 4] === (id & 0xff) &&
    window[at + 3] === ((id >>> 8) & 0xff) &&
    window[at + 2] === ((id >>> 16) & 0xff) &&
    window[at + 1] === id >>> 24
  );
}

/**
 * The sections from the start of the window up to something that is decoded exactly, taking the first likely end of
 * each; null when the window does not reach that far. For bytes that go on: no more is looked at than needed.
 */
export function delimitAhead(window: Uint8Array, context: DelimitContext): DelimitedSection[] | null {
  const seen = new Map(context.seen);
  const now = { ...context, seen };
  const found: DelimitedSection[] = [];
  const looks = { left: MAX_LOOKS };
  for (let at = 0; ;) {
    const step = stepAt(window, at, now);
    if (step.kind === "exact" || step.kind === "command") return found.length > 0 ? found : null;
    if (step.kind !== "section") return null;
    announce(seen, step.section);
    const end = likelyEnd(window, step.section, now, looks);
    if (end === null) return null;
    found.push({ ...step.section, ...end });
    at = behind(end);
  }
}

function likelyEnd(window: Uint8Array, section: Opened, context: DelimitContext, looks: { left: number }): End | null {
  for (const end of endsOf(window, section, context, looks)) {
    const next = stepAt(window, behind(end), context);
    if (next.kind === "more") return null;
    if (next.kind !== "illegal") return end;
  }
  return null;
}

function behind({ bodyEnd, footer }: End): number {
  return footer ? bodyEnd + 5 : bodyEnd;
}

/** Note what a START or FULL section says of its id; returns what undoes it. */
function announce(seen: Map<number, KnownSection>, { id, idstr, instance, version }: Opened): () => void {
  if (seen.has(id) || idstr === null || instance === null || version === null) return () => undefined;
  seen.set(id, { idstr, instance, version });
  return () => seen.delete(id);
}

/** Candidate ends tried before a hostile tail is given up. */
const MAX_TRIES = 1 << 20;

export type Tail =
  | { readonly sections: readonly DelimitedSection[]; readonly error: null }
  | { readonly sections: null; readonly error: MigrationError };

/**
 * The sections from the start of the window on when the window holds all that is left, going back to other ends when
 * one leads nowhere.
 *
 * @param isEnd whether the EOF byte at that place (or the end of the window) may be the end of the elements
 */
export function delimitTail(window: Uint8Array, context: DelimitContext, isEnd: (at: number) => boolean): Tail {
  interface Frame {
    readonly at: number;
    readonly section: Opened | null;
    readonly ends: Iterator<End>;
    readonly undo: () => void;
    end: End;
  }
  const seen = new Map(context.seen);
  const now = { ...context, seen };
  const looks = { left: MAX_LOOKS };
  const dead = new Set<number>();
  const stack: Frame[] = [];
  const failure = new Failure(window, context);
  let at = 0;
  for (let tries = 0; tries < MAX_TRIES && looks.left > 0; tries++) {
    const step = dead.has(at) ? ILLEGAL : stepAt(window, at, now);
    const arrived = step.kind === "exact" || ((step.kind === "eof" || at === window.length) && isEnd(at));
    if (arrived) {
      const sections: DelimitedSection[] = [];
      for (const { section, end } of stack) {
        if (section === null) break;
        sections.push({ ...section, ...end });
      }
      return { sections, error: null };
    }
    if (step.kind === "section") {
      const { section } = step;
      const undo = announce(seen, section);
      stack.push({ at, section, ends: endsOf(window, section, now, looks), undo, end: NOWHERE });
    } else if (step.kind === "command" && step.end <= window.length) {
      const ends = [{ bodyEnd: step.end, footer: false }].values();
      stack.push({ at, section: null, ends, undo: () => undefined, end: NOWHERE });
    } else failure.reached(at, step.kind, stack.at(-1)?.section ?? null);
    // Go to the next end of the innermost element that has one left.
    for (;;) {
      const frame = stack.at(-1);
      if (frame === undefined) return { sections: null, error: failure.error() };
      const { done, value } = frame.ends.next() as IteratorResult<End, undefined>;
      if (done !== true) {
        frame.end = value;
        at = behind(value);
        break;
      }
      if (frame.section !== null) failure.exhausted(frame.section);
      dead.add(frame.at);
      frame.undo();
      stack.pop();
    }
  }
  const message = "Find the ends of the device sections: too many places look like one";
  return { sections: null, error: new StreamError("UNDELIMITED", message, { offset: context.offset }) };
}
const NOWHERE: End = { bodyEnd: 0, footer: false };

/** Keeps the problem that lies farthest behind: the search got there by what looked right. */
class Failure {
  readonly #window: Uint8Array;
  readonly #context: DelimitContext;
  #at = -1;
  #make: () => MigrationError = () => new StreamError("UNDELIMITED", "Find the ends of the device sections: none fits");

  constructor(window: Uint8Array, context: DelimitContext) {
    this.#window = window;
    this.#context = context;
  }

  error(): MigrationError {
    return this.#make();
  }

  /** Something that cannot be an element stands at `at`. */
  reached(at: number, kind: Step["kind"], before: Opened | null): void {
    if (at <= this.#at) return;
    this.#at = at;
    const offset = this.#context.offset + at;
    const section = before === null ? undefined : refOf(before);
    const byte = this.#window[at];
    this.#make = () => {
      if (kind === "more" || kind === "command") {
        const end = this.#context.offset + this.#window.length;
        return new StreamError("TRUNCATED", `Read the next section: the stream ends at ${end}`, {
          offset: end,
          section,
        });
      }
      if (kind === "illegal" && (byte === 2 || byte === 3)) {
        return new SectionError("SECTION_ID_UNKNOWN", "Read the next section: its id was never announced", { offset });
      }
      const name = `0x${byte.toString(16).padStart(2, "0")}`;
      const message =
        kind === "eof"
          ? "Read the next section: an EOF byte stands where the stream does not end"
          : `Read the next section: ${name} cannot begin one`;
      return new StreamError("UNKNOWN_SECTION_TYPE", message, { offset, section });
    };
  }

  /** No end of `section` led on. */
  exhausted(section: Opened): void {
    const described = describedEnds(section, this.#context).at(0) ?? null;
    const at = Math.min(described ?? section.bodyStart, this.#window.length);
    if (at <= this.#at) return;
    this.#at = at;
    const details = { offset: this.#context.offset + at, section: refOf(section) };
    this.#make = () => footerError(this.#window, section, described, details);
  }
}

function footerError(
  window: Uint8Array,
  { id, idstr }: Opened,
  described: number | null,
  details: { offset: number; section: SectionRef },
): MigrationError {
  const read = `Read the footer of "${idstr ?? id}"`;
  if (described === null) {
    return new StreamError("FOOTER_MISSING", `${read}: none is found before the end of the stream`, details);
  }
  if (described + 5 > window.length) {
    const message = `${read}: the stream ends before byte ${details.offset + 5}`;
    return new StreamError("TRUNCATED", message, details);
  }
  if (window[described] !== QEMU_VM_SECTION_FOOTER) {
    const byte = window[described].toString(16).padStart(2, "0");
    return new StreamError("FOOTER_MISSING", `${read}: the byte is 0x${byte}, it must be 0x7e`, {
      ...details,
      hint: "The section is longer or shorter than its description says",
    });
  }
  const found = new DataView(window.buffer, window.byteOffset + described, 5).getUint32(1);
  return new StreamError("FOOTER_MISMATCH", `${read}: it names section ${found}, not ${id}`, details);
}

/** Places in `window` where a description (00, 06, be32 length, JSON object) may begin, the likeliest first. */
export function descriptionCandidates(window: Uint8Array): { at: number; length: number }[] {
  const view = new DataView(window.buffer, window.byteOffset, window.byteLength);
  const found: { at: number; length: number }[] = [];
  for (let at = window.indexOf(QEMU_VM_VMDESCRIPTION); at >= 0; at = window.indexOf(QEMU_VM_VMDESCRIPTION, at + 1)) {
    if (at + 7 > window.length) break;
    if (at > 0 && window[at - 1] !== QEMU_VM_EOF) continue;
    if (window[at + 5] !== 0x7b || window[at + 6] !== 0x22) continue;
    const length = view.getUint32(at + 1);
    if (at + 5 + length <= window.length && window[at + 4 + length] === 0x7d) found.push({ at, length });
  }
  const toTheEnd = ({ at, length }: { at: number; length: number }): boolean => at + 5 + length === window.length;
  return [...found.filter(toTheEnd), ...found.filter((candidate) => !toTheEnd(candidate))];
}
