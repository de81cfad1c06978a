/**
 * Kinds of values that {@link Reader.integers} and {@link Writer.integers} handle a run at a time: one loop over a
 * table costs a third of one call a value, and device state is mostly such runs.
 */

export const U8 = 0;
export const I8 = 1;
export const U16 = 2;
export const I16 = 3;
export const U32 = 4;
export const I32 = 5;
/** A bigint. */
export const U64 = 6;
/** A bigint. */
export const I64 = 7;
/** One byte; any but zero is true. */
export const BOOL = 8;
/** Anything else: a run stops there. */
export const OTHER = 9;
