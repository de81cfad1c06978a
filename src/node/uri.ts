/** Where a stream comes from or goes to, in QEMU's spelling. */
export type Uri =
  | { readonly kind: "file"; readonly path: string; readonly offset: number }
  | { readonly kind: "stdio" }
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "exec"; readonly command: string };

/** The text cannot be a URI: wrong usage, not a bad input. */
export class UriError extends TypeError {
  override readonly name = "UriError";
}

/**
 * Parse `file:PATH`, `file:PATH,offset=N`, `unix:PATH`, `tcp:HOST:PORT`, `exec:COMMAND`, `-`, or a bare path.
 * @throws UriError
 */
export function parseUri(text: string): Uri {
  if (text === "") throw new UriError("Parse a URI: it is empty");
  if (text === "-") return { kind: "stdio" };
  const [, scheme, rest] = /^(file|unix|tcp|exec):(.*)$/s.exec(text) ?? [];
  switch (scheme) {
    case "file":
      return parseFile(rest);
    case "unix":
      if (rest === "") throw new UriError('Parse a URI: "unix:" lacks a path');
      return { kind: "unix", path: rest };
    case "tcp":
      return parseTcp(rest);
    case "exec":
      if (rest.trim() === "") throw new UriError('Parse a URI: "exec:" lacks a command');
      return { kind: "exec", command: rest };
    default:
      return { kind: "file", path: text, offset: 0 };
  }
}

function parseFile(rest: string): Uri {
  const [, path, digits] = /^(.*?)(?:,offset=(0[xX][0-9a-fA-F]+|\d+))?$/s.exec(rest) ?? ["", "", undefined];
  if (path === "") throw new UriError('Parse a URI: "file:" lacks a path');
  const offset = digits === undefined ? 0 : Number(digits);
  if (!Number.isSafeInteger(offset)) throw new UriError(`Parse a URI: offset ${String(digits)} is too large`);
  return { kind: "file", path, offset };
}

function parseTcp(rest: string): Uri {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(rest) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535) {
    throw new UriError(`Parse a URI: "tcp:${rest}" is not tcp:HOST:PORT`);
  }
  return { kind: "tcp", host: bracketed ?? plain, port };
}

/** True if another process is at the other end, so that a failure is the peer's. */
export function isPeer({ kind }: Uri): boolean {
  return kind === "unix" || kind === "tcp" || kind === "exec";
}
