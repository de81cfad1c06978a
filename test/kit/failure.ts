import { isMigrationError, type MigrationError } from "../../src/errors.js";

/** The typed error that `action` ends in; anything else, success included, is thrown. */
export function failure(action: () => unknown): MigrationError {
  try {
    action();
  } catch (error) {
    if (isMigrationError(error)) return error;
    throw error;
  }
  throw new Error("It did not fail");
}
