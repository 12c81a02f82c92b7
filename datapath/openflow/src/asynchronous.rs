//! Roles (OF 1.3.5 §7.3.9) and asynchronous configuration (§7.3.10).

use crate::wire::{open_enum, wire_struct};

open_enum! {
    /// `ofp_controller_role`.
    pub enum Role: u32 {
        /// Ask, don't change.
        NoChange = 0,
        /// Full access, shared.
        Equal = 1,
        /// Full access, at most one.
        Master = 2,
        /// Read only.
        Slave = 3,
    }
}

wire_struct! {
    /// `OFPT_ROLE_REQUEST`, `OFPT_ROLE_REPLY`.
    pub struct RoleMessage {
        /// The role.
        pub role: Role [pad 4],
        /// Which election it comes from.
        pub generation_id: u64,
    }
}

wire_struct! {
    /// `OFPT_GET_ASYNC_REPLY`, `OFPT_SET_ASYNC`: bit *n* means reason *n*; first as master or equal, then as slave.
    pub struct AsyncConfig {
        /// `OFPR_*`.
        pub packet_in_mask: [u32; 2],
        /// `OFPPR_*`.
        pub port_status_mask: [u32; 2],
        /// `OFPRR_*`.
        pub flow_removed_mask: [u32; 2],
    }
}
