import type { Properties } from "./access.js";

/**
 * Reading many properties of an object at once. A property whose name is known only at run time costs 10 to 20 ns, as
 * the engine searches the object's shape for it; Object.keys and Object.values take 5 ns for one, as the shape has them
 * in order. So that order is remembered, one a description, and the names are compared with those of last time. (A
 * for-in loop was as fast in one benchmark and half as fast in another, for reasons not found.)
 */

/** Objects with many more properties than the description are better asked for each one. */
const MOST_OTHERS = 3;
/** Objects of one description that keep having other properties than the one before are, too. */
const MOST_ORDERS = 8;

/** The properties that a description names, in the order in which its objects have them. */
export class PropertyOrder {
  readonly #properties: readonly (string | null)[];
  readonly #wanted: readonly number[];
  /** Own enumerable properties of the object last learnt from, in order, and the slot of each or -1. */
  #names: readonly string[] = [];
  #slots = new Int32Array(0);
  /** Slots that enumerating does not reach: accessors of a class, what is missing. */
  #others: readonly number[];
  #orders = 0;

  /** @param properties for each slot its property, null where it has none */
  constructor(properties: readonly (string | null)[]) {
    this.#properties = properties;
    this.#wanted = properties.flatMap((property, slot) => (property === null ? [] : [slot]));
    this.#others = this.#wanted;
  }

  /** Put the value of each property into its slot; `missing` where the object has no such property. */
  read(object: Properties, values: unknown[], missing: unknown): void {
    if (this.#orders === 0) this.#learn(object);
    const left = this.#enumerate(object, values) ? this.#others : this.#wanted;
    for (const slot of left) {
      const property = this.#properties[slot] ?? "";
      const value = object[property];
      values[slot] = value === undefined && !(property in object) ? missing : value;
    }
    if (left !== this.#others) this.#learn(object);
  }

  /** False if the object has other properties than the one that the order was learnt from. */
  #enumerate(object: Properties, values: unknown[]): boolean {
    const names = this.#names;
    const slots = this.#slots;
    const n = names.length;
    if (n === 0) return true;
    const found = Object.keys(object);
    if (found.length !== n) return false;
    for (let i = 0; i < n; i++) if (found[i] !== names[i]) return false;
    const held = Object.values(object);
    for (let i = 0; i < n; i++) {
      const slot = slots[i];
      if (slot >= 0) values[slot] = held[i];
    }
    return held.length === n;
  }

  #learn(object: Properties): void {
    this.#orders++;
    const found = new Map(this.#wanted.map((slot) => [this.#properties[slot] ?? "", slot]));
    const names = Object.keys(object);
    const few = this.#orders <= MOST_ORDERS && names.length <= found.size * (1 + MOST_OTHERS);
    // Nobody has asked for what an accessor that is not described would do.
    const worthIt =
      few && names.every((name) => found.has(name) || Object.getOwnPropertyDescriptor(object, name)?.get === undefined);
    this.#names = worthIt ? names : [];
    this.#slots = Int32Array.from(this.#names, (name) => found.get(name) ?? -1);
    for (const name of this.#names) found.delete(name);
    this.#others = [...found.values()];
  }
}
