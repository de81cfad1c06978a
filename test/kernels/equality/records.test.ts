import type { RawKernels } from "../../../src/kernels/types.js";
import {
  RAM_SAVE_FLAG_CONTINUE as CONTINUE,
  RAM_SAVE_FLAG_PAGE as PAGE,
  RAM_SAVE_FLAG_ZERO as ZERO,
} from "../../../src/stream/constants.js";
import type { Rig } from "./rig.js";
import { testEquality, type Subject } from "./run.js";
import { divide, pickMark, pickPosition, place, placeAligned, type Zone } from "./zones.js";

const TWO_32 = 2 ** 32;
const HEADER = 8;
const RESULT_BYTES = 20;

/** A few pages of one size at one address for a batch, zero or not, of which one changes with every input. */
class GuestPages {
  pageSize = 256;
  ram = 0;
  /** For each page whether it is zero. */
  readonly zero: boolean[] = [];

  reset(rig: Rig, zone: Zone): void {
    this.pageSize = rig.size > 65536 ? 2048 << rig.below(6) : rig.oneIn(4) ? 512 << rig.below(2) : 256;
    const pages = Math.min(Math.floor((zone.end - zone.start) / this.pageSize) - 1, rig.oneIn(8) ? 40 : 12);
    this.ram = place(rig, zone, pages * this.pageSize);
    this.zero.length = pages;
    this.zero.fill(false);
    for (let i = 0; i < pages; i++) this.change(rig);
  }

  /** Makes a page zero, noise, or zero but for one byte. */
  change(rig: Rig): void {
    const page = rig.below(this.zero.length);
    const start = this.ram + page * this.pageSize;
    const kind = rig.below(3);
    this.zero[page] = kind === 0;
    if (kind === 2) rig.noise(start, start + this.pageSize);
    else rig.fill(start, start + this.pageSize, 0);
    if (kind === 1) rig.put(start + pickPosition(rig, this.pageSize), pickMark(rig));
  }

  /** The number of the first page in its block. */
  pickBlockPage(rig: Rig): number {
    const choice = rig.below(4);
    if (choice === 0) return 0;
    if (choice === 1) return rig.below(256);
    return choice === 2 ? TWO_32 - 1 - rig.below(64) : rig.random();
  }
}

/** Windows of which any pages are dirty, with room for all their records, or for some and nearly one more. */
class EncodePagesSubject implements Subject {
  readonly kernel = "encodePages";
  readonly parameters = "bitmap first end ram pageSize blockPage name out outEnd result".split(" ");
  readonly addresses = ["bitmap", "ram", "name?", "out", "outEnd", "result"];
  readonly sizes = [["end", "first"], ["outEnd", "out"], ["blockPage"]] as const;
  /** Alignments of the output, all sets of eight dirty pages, room that ends about each of the records, a name. */
  readonly edges = 64 * 256 * 5 * 2;
  readonly #guest = new GuestPages();
  #zones: Zone[] = [];

  reset(rig: Rig): void {
    this.#zones = divide(rig, [2, 24, 2, 34, 2]);
    this.#guest.reset(rig, this.#zones[1]);
  }

  draw(rig: Rig, edge: number): void {
    const guest = this.#guest;
    const [bitmaps, , names, outs, results] = this.#zones;
    guest.change(rig);
    const pages = guest.zero.length;
    const bytes = (pages + 7) >> 3;
    const bitmap = place(rig, bitmaps, bytes);
    const kind = rig.below(4);
    for (let i = 0; i < bytes; i++) rig.put(bitmap + i, kind === 0 ? 255 : rig.below(256));

    let first = rig.below(pages + 1);
    let end = first + rig.below(Math.min(pages + 1 - first, rig.oneIn(8) ? 64 : 9));
    let isNamed = rig.oneIn(3);
    let slack = rig.below(8) - 3;
    if (edge >= 0) {
      first = 0;
      end = Math.min(8, pages);
      rig.put(bitmap, (edge >> 6) & 255);
      slack = ((edge >> 14) % 5) - 2;
      isNamed = (edge >> 14) % 2 === 1;
    }
    const name = isNamed ? this.#putName(rig, names) : 0;
    const room = this.#room(rig, bitmap, first, end, name) + slack;
    const most = outs.end - outs.start - 256;
    const outBytes = Math.max(0, Math.min(rig.oneIn(4) ? rig.below(most) : room, most));
    const out = edge >= 0 ? placeAligned(rig, outs, outBytes, edge & 63) : place(rig, outs, outBytes);
    const result = place(rig, results, RESULT_BYTES);
    const { ram, pageSize } = guest;
    rig.args = [bitmap, first, end, ram, pageSize, guest.pickBlockPage(rig), name, out, out + outBytes, result];
  }

  /** A counted string of noise; not at address 0, which means no name. */
  #putName(rig: Rig, zone: Zone): number {
    const length = rig.oneIn(4) ? rig.below(256) : rig.below(12);
    const name = Math.max(place(rig, zone, length + 1), 1);
    rig.put(name, Math.min(length, rig.size - name - 1));
    return name;
  }

  /** Bytes of the records up to some page. */
  #room(rig: Rig, bitmap: number, first: number, end: number, name: number): number {
    const { zero, pageSize } = this.#guest;
    const stop = rig.oneIn(3) ? end : first + rig.below(end - first + 1);
    let room = 0;
    for (let page = first; page < stop; page++) {
      if (((rig.before[bitmap + (page >> 3)] >> (page & 7)) & 1) === 0) continue;
      room += HEADER + (room === 0 && name !== 0 ? rig.before[name] + 1 : 0) + (zero[page] ? 1 : pageSize);
    }
    return room;
  }

  call(kernels: RawKernels, args: readonly number[]): number {
    const [bitmap, first, end, ram, pageSize, blockPage, name, out, outEnd, result] = args;
    kernels.encodePages(bitmap, first, end, ram, pageSize, blockPage, name, out, outEnd, result);
    return 0;
  }

  outputs(rig: Rig): void {
    const [bitmap, first, end, , , , , out, outEnd, result] = rig.args;
    rig.output(out, out + Math.min(rig.wordAt(result), outEnd - out), outEnd);
    rig.output(result, result + RESULT_BYTES);
    rig.outputBits(bitmap, first, end);
  }

  inputs([bitmap, first, end, ram, pageSize, , name]: readonly number[]): ReturnType<Subject["inputs"]> {
    const regions = {
      bitmap: [bitmap + (first >>> 3), bitmap + ((end + 7) >>> 3)],
      ram: [ram + first * pageSize, ram + end * pageSize],
    } as const;
    // Of a name the length is kept as it is: a reproducer with another one may reach over the end of the memory.
    return name === 0 ? regions : { ...regions, name: [name, name + 1] };
  }
}

/** Streams of a few records, of which the last may be of any kind, cut off anywhere. */
class DecodePagesSubject implements Subject {
  readonly kernel = "decodePages";
  readonly parameters = "input inputEnd ram pageSize blockPage pages received result".split(" ");
  readonly addresses = ["input", "inputEnd", "ram", "received?", "result"];
  readonly sizes = [["inputEnd", "input"], ["pages"]] as const;
  /** Alignments of the input; a zero page and a page in either order, cut off after each byte; all flags. */
  readonly edges = 64 * (2 * 275 + 2 * 256);
  readonly #guest = new GuestPages();
  #zones: Zone[] = [];
  #at = 0;

  reset(rig: Rig): void {
    this.#zones = divide(rig, [36, 24, 2, 2]);
    this.#guest.reset(rig, this.#zones[1]);
  }

  draw(rig: Rig, edge: number): void {
    const guest = this.#guest;
    const [inputs, , bitmaps, results] = this.#zones;
    guest.change(rig);
    const pages = guest.zero.length;
    const blockPage = guest.pickBlockPage(rig);
    const room = Math.min(8 * (HEADER + guest.pageSize), inputs.end - inputs.start - 256);
    let input = edge >= 0 ? placeAligned(rig, inputs, room, edge & 63) : place(rig, inputs, room);
    this.#at = input;
    let inputEnd: number;
    if (edge >= 0) {
      const combination = edge >> 6;
      if (combination < 550) {
        this.#putRecord(rig, blockPage + rig.below(pages), (combination & 1 ? ZERO : PAGE) | CONTINUE);
        this.#putRecord(rig, blockPage + rig.below(pages), (combination & 1 ? PAGE : ZERO) | CONTINUE);
        inputEnd = Math.min(input + (combination >> 1), this.#at);
      } else {
        this.#putRecord(rig, blockPage + rig.below(pages), (combination - 550) >> 1, combination & 1);
        inputEnd = this.#at;
      }
    } else {
      const records = rig.below(6);
      for (let i = 0; i < records && this.#at + HEADER + guest.pageSize <= input + room; i++) {
        const flags = (rig.oneIn(2) ? ZERO : PAGE) | CONTINUE;
        this.#putRecord(rig, blockPage + rig.below(pages), flags);
      }
      if (rig.oneIn(3)) this.#putOther(rig, blockPage, pages);
      inputEnd = Math.min(this.#at, input + room);
      const choice = rig.below(8);
      if (choice === 0) inputEnd = input + rig.below(inputEnd - input + 1);
      if (choice === 1) inputEnd = Math.max(inputEnd - 1 - rig.below(9), input);
      if (choice === 2) inputEnd = Math.min(inputEnd + rig.below(10), inputs.end);
      if (inputs.end === rig.size && rig.oneIn(4)) {
        const last = rig.size - (inputEnd - input);
        rig.copy(last, input, inputEnd - input);
        input = last;
        inputEnd = rig.size;
      }
    }
    const received = rig.oneIn(3) ? 0 : Math.max(place(rig, bitmaps, (pages + 7) >> 3), 1);
    for (let i = 0; i < 2 && received > 0; i++) rig.put(received, rig.below(256));
    const result = place(rig, results, RESULT_BYTES);
    rig.args = [input, inputEnd, guest.ram, guest.pageSize, blockPage, pages, received, result];
  }

  /** Puts a record; the bytes of a page are what is there. `page` is its number in the block. */
  #putRecord(rig: Rig, page: number, flags: number, fill = 0, high = 0): void {
    const offset = page * this.#guest.pageSize;
    putWord(rig, this.#at, Math.floor(offset / TWO_32) + high);
    putWord(rig, this.#at + 4, (offset % TWO_32) + flags);
    if ((flags & PAGE) === 0) rig.put(this.#at + HEADER, fill);
    this.#at += HEADER + (flags & PAGE ? this.#guest.pageSize : 1);
  }

  /** Puts a record that is for somebody else, and one behind it that is not to be read. */
  #putOther(rig: Rig, blockPage: number, pages: number): void {
    const here = blockPage + rig.below(pages);
    const choice = rig.below(6);
    if (choice === 0) this.#putRecord(rig, here, rig.below(256));
    if (choice === 1) this.#putRecord(rig, here, ZERO | CONTINUE, pickMark(rig));
    if (choice === 2) this.#putRecord(rig, blockPage + pages, PAGE | CONTINUE);
    if (choice === 3) this.#putRecord(rig, Math.max(blockPage - 1, 0), ZERO | CONTINUE);
    if (choice === 4) this.#putRecord(rig, here, ZERO | CONTINUE, 0, rig.oneIn(2) ? 1 << rig.below(31) : 0x7f000000);
    this.#putRecord(rig, here, ZERO | CONTINUE);
  }

  call(kernels: RawKernels, args: readonly number[]): number {
    const [input, inputEnd, ram, pageSize, blockPage, pages, received, result] = args;
    kernels.decodePages(input, inputEnd, ram, pageSize, blockPage, pages, received, result);
    return 0;
  }

  outputs(rig: Rig): void {
    const [, , ram, pageSize, , pages, received, result] = rig.args;
    rig.output(ram, ram + pages * pageSize);
    rig.output(result, result + 12, result + RESULT_BYTES);
    if (received !== 0) rig.outputBits(received, 0, pages);
  }

  inputs([input, inputEnd, ram, pageSize, , pages]: readonly number[]): ReturnType<Subject["inputs"]> {
    return { input: [input, inputEnd], ram: [ram, ram + pages * pageSize] };
  }
}

function putWord(rig: Rig, at: number, word: number): void {
  rig.put(at, word >>> 24);
  rig.put(at + 1, (word >>> 16) & 255);
  rig.put(at + 2, (word >>> 8) & 255);
  rig.put(at + 3, word & 255);
}

testEquality(new EncodePagesSubject());
testEquality(new DecodePagesSubject());
