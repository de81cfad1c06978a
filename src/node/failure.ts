import { ChannelError } from "../errors.js";

/** What the system refused, as an error of ours; `cause` is what it threw, or says. */
export function channelFailed(action: string, cause: unknown): ChannelError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ChannelError("CHANNEL_FAILED", `${action}: ${reason}`, { cause });
}
