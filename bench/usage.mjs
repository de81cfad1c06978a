// Errors that are the user's to mend; their messages are printed without a stack. Nothing of Node: pages import this.

/** A wrong use of a command. */
export class UsageError extends Error {}

/** A file that is not what it should be, or is not there. */
export class FileError extends Error {}
