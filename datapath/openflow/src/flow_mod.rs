//! Flow-mod (OF 1.3.5 §7.3.4.1) and flow-removed (§7.4.2).

use crate::consts::{OFP_DEFAULT_PRIORITY, OFP_NO_BUFFER, group_no, port_no};
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::wire::{open_enum, wire_struct};

open_enum! {
    /// `ofp_flow_mod_command`.
    pub enum FlowModCommand: u8 {
        /// New flow.
        Add = 0,
        /// Modify all matching flows.
        Modify = 1,
        /// Modify the flow with just this match and priority.
        ModifyStrict = 2,
        /// Delete all matching flows.
        Delete = 3,
        /// Delete the flow with just this match and priority.
        DeleteStrict = 4,
    }
}

wire_struct! {
    /// `OFPT_FLOW_MOD`.
    pub struct FlowMod {
        /// Opaque id from the controller.
        pub cookie: u64,
        /// For modify and delete: bits of the cookie that must match; 0: any.
        pub cookie_mask: u64,
        /// Table; for delete also [`crate::table_no::ALL`].
        pub table_id: u8,
        /// What to do.
        pub command: FlowModCommand,
        /// Seconds without packets until the flow ends; 0: never.
        pub idle_timeout: u16,
        /// Seconds until the flow ends; 0: never.
        pub hard_timeout: u16,
        /// Greater goes first.
        pub priority: u16,
        /// Buffered packet to apply to, or [`OFP_NO_BUFFER`].
        pub buffer_id: u32,
        /// For delete: only flows that output here; [`port_no::ANY`]: all.
        pub out_port: u32,
        /// For delete: only flows that use this group; [`group_no::ANY`]: all.
        pub out_group: u32,
        /// [`crate::flow_mod_flags`].
        pub flags: u16 [pad 2],
        /// Match.
        pub match_: Match,
        /// Instructions.
        pub instructions: Vec<Instruction>,
    }
}

impl FlowMod {
    /// A flow-mod of everything in a table, to fill in.
    pub fn new(command: FlowModCommand, table_id: u8) -> Self {
        FlowMod {
            cookie: 0,
            cookie_mask: 0,
            table_id,
            command,
            idle_timeout: 0,
            hard_timeout: 0,
            priority: OFP_DEFAULT_PRIORITY,
            buffer_id: OFP_NO_BUFFER,
            out_port: port_no::ANY,
            out_group: group_no::ANY,
            flags: 0,
            match_: Match::any(),
            instructions: Vec::new(),
        }
    }
}

open_enum! {
    /// `ofp_flow_removed_reason`.
    pub enum FlowRemovedReason: u8 {
        /// Idle timeout.
        IdleTimeout = 0,
        /// Hard timeout.
        HardTimeout = 1,
        /// Deleted by a flow-mod.
        Delete = 2,
        /// Its group was deleted.
        GroupDelete = 3,
        /// Another flow took its place in a full table. OpenFlow 1.4's number (§7.4.2 there), as Open vSwitch uses it in 1.3.
        Eviction = 5,
    }
}

wire_struct! {
    /// `OFPT_FLOW_REMOVED`.
    pub struct FlowRemoved {
        /// Cookie of the flow.
        pub cookie: u64,
        /// Its priority.
        pub priority: u16,
        /// Why.
        pub reason: FlowRemovedReason,
        /// Its table.
        pub table_id: u8,
        /// Whole seconds it was there.
        pub duration_sec: u32,
        /// Nanoseconds beyond.
        pub duration_nsec: u32,
        /// Its idle timeout.
        pub idle_timeout: u16,
        /// Its hard timeout.
        pub hard_timeout: u16,
        /// Packets.
        pub packet_count: u64,
        /// Bytes.
        pub byte_count: u64,
        /// Its match.
        pub match_: Match,
    }
}
