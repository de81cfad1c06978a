import { MAX_COUNTED_STRING } from "../stream/constants.js";
import type { AnyField, AnyVMState, DeviceOfFields, DeviceOfStates, VMState, VMStateOptions } from "./types.js";

/**
 * Describe a device's state: an ordered list of typed fields, optional subsections, hooks.
 *
 * Only field data goes on the wire, in the order given (VMState descriptions, "Save" and "Load"). The device type is
 * inferred from the fields and checked where the description is registered; a hook that needs more of the device says
 * so by the type of its parameter, which then becomes part of what is checked.
 *
 * @throws RangeError for an impossible description: bad version numbers, a subsection whose name does not begin with
 *   the description's, names over 255 bytes
 */
export function vmstate<
  const F extends readonly AnyField[],
  const S extends readonly AnyVMState[] = readonly [],
  H = unknown,
>(
  name: string,
  description: VMStateOptions<DeviceOfFields<F> & DeviceOfStates<S> & H> & {
    readonly fields: F;
    readonly subsections?: S;
  },
): VMState<DeviceOfFields<F> & DeviceOfStates<S> & H> {
  const { version, minimumVersion = 0, fields, subsections = null } = description;
  checkVersion(name, "version", version);
  checkVersion(name, "minimumVersion", minimumVersion);
  if (minimumVersion > version) {
    throw new RangeError(`Describe "${name}": minimumVersion ${minimumVersion} exceeds version ${version}`);
  }
  if (name.length === 0 || new TextEncoder().encode(name).length > MAX_COUNTED_STRING) {
    throw new RangeError(`Describe "${name}": a name takes 1 to 255 bytes`);
  }
  return Object.freeze({
    name,
    version,
    minimumVersion,
    priority: description.priority ?? 0,
    unmigratable: description.unmigratable ?? false,
    earlySetup: description.earlySetup ?? false,
    hooks: {
      needed: description.needed ?? null,
      unplugPending: description.unplugPending ?? null,
      preSave: description.preSave ?? null,
      postSave: description.postSave ?? null,
      preLoad: description.preLoad ?? null,
      postLoad: description.postLoad ?? null,
      loaded: description.loaded ?? null,
    },
    fields: Object.freeze([...fields]),
    subsections: subsections === null ? null : Object.freeze([...subsections]),
  });
}

function checkVersion(name: string, what: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > 0x7fffffff) {
    throw new RangeError(`Describe "${name}": ${what} is ${value}, it must be an integer from 0 to 2^31 - 1`);
  }
}

/**
 * The registration-time check (vmstate_check): subsection names begin with their parent's, recursively through
 * structs; no description contains itself.
 * @throws RangeError naming the description at fault
 */
export function checkVMState(description: AnyVMState, above: readonly AnyVMState[] = []): void {
  if (above.includes(description)) throw new RangeError(`Check "${description.name}": it contains itself`);
  const path = [...above, description];
  for (const { name, wire } of description.fields) {
    if (wire.kind === "struct" || wire.kind === "structs") {
      if (wire.version !== null && wire.version > wire.state.version) {
        throw new RangeError(
          `Check "${description.name}": field ${name} wants version ${wire.version} of ${wire.state.name}`,
        );
      }
    }
    if ("state" in wire) checkVMState(wire.state, path);
    if (wire.kind === "tree") {
      if (wire.key !== null) checkVMState(wire.key, path);
      checkVMState(wire.value, path);
    }
  }
  for (const subsection of description.subsections ?? []) {
    if (!subsection.name.startsWith(description.name) || subsection.name.length <= description.name.length) {
      throw new RangeError(`Check "${description.name}": the name of subsection "${subsection.name}" must continue it`);
    }
    checkVMState(subsection, path);
  }
}
