import { ProtocolError } from "../errors.js";
import type { Decode } from "../stream/drive.js";
import type { Reader } from "../stream/reader.js";
import type { Command, CommandName } from "./commands.js";

const OWN = ["OPEN_RETURN_PATH", "PING", "PACKAGED", "SWITCHOVER_START"] as const;

/** Commands that a load does not carry out itself, because they concern postcopy or COLO. */
export type DelegatedCommand = Exclude<Command, { readonly name: (typeof OWN)[number] }>;

/** True for a command that goes to the {@link CommandHandler}. */
export function isDelegated(name: CommandName): name is DelegatedCommand["name"] {
  return !(OWN as readonly CommandName[]).includes(name);
}

/** How a loop over sections ended: at EOF, or because a command handler took over the stream. */
export type LoadEnd = "eof" | "quit";

/** What a handler that takes over the stream needs of the load. */
export interface LoadLoop {
  /** Sections and commands up to EOF or "quit"; what was announced before stays known. */
  loadMain(reader: Reader): Decode<LoadEnd>;
  /** To be called by whoever answered "quit", once the stream has ended. */
  cleanup(): void;
}

/** What a handler gets to know of a command besides its payload. */
export interface CommandContext {
  readonly load: LoadLoop;
  /** Where the command was read from: the stream, or the package it came in. */
  readonly reader: Reader;
  /** True inside a PACKAGED command, whose bytes are all in memory. */
  readonly packaged: boolean;
  /** Absolute offset of the command. */
  readonly offset: number;
  /** Report what is odd but no reason to fail. */
  readonly warn: (message: string) => void;
}

/**
 * Acts on commands. "quit" ends the loop in which the command was read and all loops around it, without another byte
 * being read: whoever answers it has taken over the stream (LOADVM_QUIT).
 */
export interface CommandHandler {
  /**
   * Called before the payload is read: throw if the command comes out of turn, whatever is in it.
   * @throws ProtocolError POSTCOPY_ORDER, POSTCOPY_UNSUPPORTED
   */
  admit(name: DelegatedCommand["name"], context: CommandContext): void;
  handle(command: DelegatedCommand, context: CommandContext): Decode<"continue" | "quit">;
}

/** What a destination without postcopy, dirty bitmaps or COLO answers: QEMU's verdict with those capabilities off. */
export class PrecopyCommands implements CommandHandler {
  #advised = false;
  readonly #hasBlock: (name: string) => boolean;

  /** @param hasBlock which RAMBlocks exist; a bitmap of any other is refused */
  constructor(hasBlock: (name: string) => boolean = () => false) {
    this.#hasBlock = hasBlock;
  }

  admit(name: DelegatedCommand["name"], { offset }: CommandContext): void {
    switch (name) {
      case "POSTCOPY_ADVISE": {
        const again = this.#advised;
        // As in QEMU the state changes even if the command is then refused.
        this.#advised = true;
        if (again) throw refused("POSTCOPY_ORDER", name, offset, "it was given before");
        return;
      }
      case "POSTCOPY_LISTEN":
      case "POSTCOPY_RAM_DISCARD":
        if (!this.#advised) throw refused("POSTCOPY_ORDER", name, offset, "no POSTCOPY_ADVISE was given before");
        throw refused("POSTCOPY_UNSUPPORTED", name, offset, "postcopy is off here");
      case "POSTCOPY_RUN":
        throw refused("POSTCOPY_ORDER", name, offset, "no POSTCOPY_LISTEN was given before");
      case "ENABLE_COLO":
        throw refused("CAPABILITY", name, offset, "x-colo is off here");
      default:
        return;
    }
  }

  // eslint-disable-next-line require-yield -- other handlers wait here, this one never does
  *handle(command: DelegatedCommand, { offset, warn }: CommandContext): Decode<"continue" | "quit"> {
    const { name } = command;
    switch (name) {
      case "POSTCOPY_ADVISE":
        if (command.ram !== null) throw refused("POSTCOPY_UNSUPPORTED", name, offset, "postcopy-ram is off here");
        break;
      case "RECV_BITMAP":
        if (!this.#hasBlock(command.block)) {
          throw refused("POSTCOPY_UNSUPPORTED", name, offset, `no block "${command.block}" is known`);
        }
        warn("RECV_BITMAP is ignored: no postcopy is being recovered");
        break;
      case "POSTCOPY_RESUME":
        warn("POSTCOPY_RESUME is ignored: no postcopy is being recovered");
        break;
      default:
        break;
    }
    return "continue";
  }
}

function refused(
  code: "POSTCOPY_ORDER" | "POSTCOPY_UNSUPPORTED" | "CAPABILITY",
  name: string,
  offset: number,
  problem: string,
): ProtocolError {
  return new ProtocolError(code, `Handle ${name}: ${problem}`, { offset });
}
