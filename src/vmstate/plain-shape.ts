/** What plain.ts finds in a description and plain-code.ts makes code of. */

/** One field of a {@link Shape}, `at` bytes behind its beginning. */
export type PlainField = { readonly name: string; readonly at: number; readonly size: number } & (
  | { readonly what: "scalar"; readonly kind: number }
  | {
      readonly what: "array";
      readonly kind: number;
      readonly start: number;
      readonly length: number;
      /** 2 if the elements may be of either sign. */
      readonly signs: 1 | 2;
    }
  | { readonly what: "struct"; readonly shape: Shape }
  | { readonly what: "unused" }
);

/** What a plain description says of an object. */
export interface Shape {
  readonly wireName: Uint8Array;
  readonly fields: readonly PlainField[];
  readonly size: number;
}
