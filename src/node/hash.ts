import { createHash } from "node:crypto";
import type { ContentHash } from "../inspect/inspect.js";

/** SHA-256 in lower-case hex. */
export function sha256(): ContentHash {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest("hex") };
}
