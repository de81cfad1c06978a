import { ChannelError } from "../errors.js";

/** What the system refused, as an error of ours; `cause` is what it threw, or says. */
export function channelFailed(action: string, cause: unknown): ChannelError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ChannelError("CHANNEL_FAILED", `${action}: ${reason}`, { cause });
}

/** Why a command that has ended did not succeed; null if it did. */
export function exitProblem(code: number | null, signal: string | null): string | null {
  if (code === 0) return null;
  return signal === null ? `the command ended with status ${String(code)}` : `the command was ended by ${signal}`;
}
