import { DRAFT } from "./part.js";

/** What the state of a draft asks of it; see draft.ts. */
export interface Looked {
  readonly device: object;
  readonly added: readonly string[];
  look(name: string): unknown;
  assign(name: string, value: unknown): void;
  has(name: string): boolean;
}

/**
 * The object that hooks get for a draft. It stands on an empty target with the device's prototype, not on the device:
 * a proxy may not give another value for a property that its target has frozen.
 */
export function draftState(draft: Looked): object {
  const { device } = draft;
  const target = Object.create(Object.getPrototypeOf(device) as object | null) as object;
  return new Proxy(target, {
    get(_, key) {
      if (key === DRAFT) return draft;
      return typeof key === "string" ? draft.look(key) : (Reflect.get(device, key) as unknown);
    },
    set(_, key, value) {
      if (typeof key !== "string") return false;
      draft.assign(key, value);
      return true;
    },
    has: (_, key) => (typeof key === "string" ? draft.has(key) : key in device),
    ownKeys: () => [...new Set([...Reflect.ownKeys(device), ...draft.added])],
    getOwnPropertyDescriptor(_, key) {
      const own = Reflect.getOwnPropertyDescriptor(device, key);
      if (typeof key !== "string") return own === undefined ? own : { ...own, configurable: true };
      if (own === undefined && !draft.added.includes(key)) return undefined;
      return { value: draft.look(key), writable: true, enumerable: own?.enumerable ?? true, configurable: true };
    },
    defineProperty(_, key, { value }) {
      if (typeof key !== "string" || value === undefined) return false;
      draft.assign(key, value);
      return true;
    },
    deleteProperty: () => false,
    setPrototypeOf: () => false,
    preventExtensions: () => false,
  });
}
