import { Reader } from "../../src/stream/reader.js";
import type { AnyField, AnyVMState, Codec, Count, DeviceOf } from "../../src/vmstate/types.js";

/**
 * A device as a plain object: every property that `state` and its subsections name, zero unless `init` has it. What a
 * lens finds, a temporary object's parent and what hooks ask for must be in `init`.
 */
export function blank<T extends AnyVMState>(state: T, init: Partial<DeviceOf<T>> = {}): DeviceOf<T> & object {
  const device: Properties = { ...init };
  fill(state, device);
  return device as DeviceOf<T> & object;
}

type Properties = Record<string, unknown>;

function fill(state: AnyVMState, device: Properties): void {
  for (const field of state.fields) {
    if (field.get === null) device[field.name] = filled(field, device[field.name]);
  }
  for (const subsection of state.subsections ?? []) fill(subsection, device);
}

/** The value that the field wants; `held` where there is one, completed where it is a struct. */
function filled(field: AnyField, held: unknown): unknown {
  const { wire } = field;
  switch (wire.kind) {
    case "scalar":
      // Null is a value: a timer that is not armed.
      return held === undefined ? zero(wire.codec) : held;
    case "array":
      return held ?? zeros(wire.codec, wire.start + lengthOf(wire.count));
    case "buffer":
      return held ?? new Uint8Array(wire.start + lengthOf(wire.size));
    case "bitmap":
      return held ?? new Uint8Array(Math.ceil(lengthOf(wire.bits) / 8));
    case "struct":
      return completed(wire.state, held);
    case "structs": {
      const list = (held ?? []) as unknown[];
      for (let i = wire.start; i < wire.start + lengthOf(wire.count); i++) list[i] = completed(wire.state, list[i]);
      return list;
    }
    case "list":
      return held ?? [];
    case "tree":
      return held ?? new Map();
    default:
      return held;
  }
}

function completed(state: AnyVMState, held: unknown): Properties {
  const device = (held ?? {}) as Properties;
  fill(state, device);
  return device;
}

function zero(codec: Codec<unknown>): unknown {
  return codec.get(Reader.of(new Uint8Array(codec.size)), () => 0);
}

function zeros(codec: Codec<unknown>, n: number): unknown {
  return codec.list?.(n) ?? Array.from({ length: n }, () => zero(codec));
}

/** What is counted by a property starts empty. */
function lengthOf(count: Count): number {
  return count.fixed ?? 0;
}
