import { ProtocolError } from "../errors.js";
import type { Decode } from "../stream/drive.js";
import { callHandler } from "../registry/hooks.js";
import { runHook } from "../vmstate/access.js";
import type { OnTrace } from "./trace.js";

/** The way back to the source. All its messages may be sent at any time after `open`. */
export interface ReturnPath {
  open(): void | PromiseLike<void>;
  pong(value: number): void | PromiseLike<void>;
  switchoverAck(): void | PromiseLike<void>;
}

/** Where answers go, and which are owed. */
export interface AnswersOptions {
  /** Null: answers go nowhere, as when a recorded stream is loaded. */
  readonly returnPath: ReturnPath | null;
  /** The source waits for an acknowledgement before it switches over (capability `switchover-ack`). */
  readonly switchoverAck: boolean;
  readonly onTrace: OnTrace | undefined;
}

/** What one load owes its source: PONGs, and an acknowledgement once every device that asked to has approved. */
export class Answers {
  readonly #options: AnswersOptions;
  #open = false;
  #pending = 0;

  constructor(options: AnswersOptions) {
    this.#options = options;
  }

  /** Devices that have yet to approve the switchover. */
  get pending(): number {
    return this.#pending;
  }

  /** One more device wants to approve. */
  expect(): void {
    this.#pending++;
  }

  /** OPEN_RETURN_PATH. A second one is odd and harmless. */
  *open(): Decode<void> {
    const { returnPath, switchoverAck, onTrace } = this.#options;
    if (this.#open) {
      onTrace?.({ event: "warning", message: "OPEN_RETURN_PATH is ignored: the return path is open" });
      return;
    }
    yield* runHook(() => returnPath?.open(), "Open the return path");
    this.#open = true;
    // Nobody here has to approve, so the source need not wait.
    if (switchoverAck && this.#pending === 0) {
      yield* runHook(() => returnPath?.switchoverAck(), "Acknowledge the switchover");
    }
  }

  /** PING, at absolute `offset`. @throws ProtocolError RETURN_PATH when it is not open */
  *pong(value: number, offset: number): Decode<void> {
    const { returnPath, onTrace } = this.#options;
    onTrace?.({ event: "loadvm_process_command_ping", value });
    if (!this.#open) {
      throw new ProtocolError("RETURN_PATH", `Answer PING ${value}: the return path is not open`, { offset });
    }
    yield* runHook(() => returnPath?.pong(value), `Answer PING ${value}`);
  }

  /** A device approves. @throws ProtocolError RETURN_PATH when none is waited for, or there is no way back */
  approve(): void | PromiseLike<void> {
    const { returnPath, onTrace } = this.#options;
    if (this.#pending === 0) {
      throw new ProtocolError("RETURN_PATH", "Approve the switchover: no device is waited for");
    }
    this.#pending--;
    onTrace?.({ event: "loadvm_approve_switchover", pending: this.#pending });
    if (this.#pending > 0) return;
    if (!this.#open) throw new ProtocolError("RETURN_PATH", "Approve the switchover: the return path is not open");
    return callHandler(() => returnPath?.switchoverAck(), "Acknowledge the switchover");
  }
}
