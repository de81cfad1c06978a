/** A user of the built package. Compiled by the oldest TypeScript that the package promises, with library checks on. */
import * as core from "savevm";
import * as node from "savevm/node";

export { core, node };
