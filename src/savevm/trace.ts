import type { CommandName } from "./commands.js";
import type { SectionType } from "./section.js";

/**
 * What a session does, step by step, for whoever wants to watch. Names are those of QEMU's trace events, so that one
 * search finds both sides. Without a hook nothing is built or called.
 */
export type TraceEvent =
  | { readonly event: "savevm_state_header" }
  /** Ours alone: QEMU 8.2 does not trace this step. */
  | { readonly event: "savevm_state_prepare" }
  | { readonly event: "savevm_state_setup" }
  | { readonly event: "savevm_state_resume_prepare" }
  | { readonly event: "savevm_state_iterate" }
  | { readonly event: "savevm_state_complete_precopy" }
  | { readonly event: "savevm_state_cleanup" }
  | { readonly event: "savevm_section_start"; readonly idstr: string; readonly sectionId: number }
  /** `result` is false when an iteration has more to send. */
  | {
      readonly event: "savevm_section_end";
      readonly idstr: string;
      readonly sectionId: number;
      readonly result: boolean;
    }
  | { readonly event: "savevm_section_skip"; readonly idstr: string; readonly sectionId: number }
  | { readonly event: "vmstate_save"; readonly idstr: string; readonly vmsd: string }
  /** `length`: bytes of payload. One event for all commands, where QEMU has a second one for each. */
  | { readonly event: "savevm_command_send"; readonly command: CommandName; readonly length: number }
  | { readonly event: "loadvm_state_setup" }
  | { readonly event: "loadvm_state_switchover_ack_needed"; readonly pending: number }
  | { readonly event: "loadvm_approve_switchover"; readonly pending: number }
  | { readonly event: "loadvm_state_cleanup" }
  | { readonly event: "qemu_loadvm_state_section"; readonly type: number; readonly offset: number }
  | {
      readonly event: "qemu_loadvm_state_section_startfull";
      readonly type: SectionType;
      readonly sectionId: number;
      readonly idstr: string;
      readonly instanceId: number;
      readonly version: number;
    }
  | {
      readonly event: "qemu_loadvm_state_section_partend";
      readonly type: SectionType;
      readonly sectionId: number;
    }
  | { readonly event: "vmstate_load"; readonly idstr: string; readonly vmsd: string }
  | {
      readonly event: "loadvm_process_command";
      readonly command: CommandName;
      readonly length: number;
      readonly offset: number;
    }
  | { readonly event: "loadvm_process_command_ping"; readonly value: number }
  | { readonly event: "loadvm_handle_cmd_packaged"; readonly length: number }
  | { readonly event: "loadvm_handle_cmd_packaged_main"; readonly quit: boolean }
  | { readonly event: "qemu_loadvm_state_post_main"; readonly quit: boolean }
  /** Odd, and no reason to fail: what QEMU only reports. */
  | { readonly event: "warning"; readonly message: string };

/** Called at every step of a session; what it throws fails the session. */
export type OnTrace = (event: TraceEvent) => void;
