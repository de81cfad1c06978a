/** Files, pipes, sockets and commands as sources and sinks, under QEMU's URIs. Everything else is in `savevm`. */
export { openInput } from "./node/input.js";
export { openOutput, type Output } from "./node/output.js";
export type { Input } from "./node/stream-input.js";
export { unwrap } from "./node/unpack.js";
export { isPeer, parseUri, UriError, type Uri } from "./node/uri.js";
