//! Numbers of the specification: reserved ids, flags, limits.

/// Wire version of OpenFlow 1.3.
pub const OFP_VERSION: u8 = 0x04;
/// Bytes of `ofp_header`.
pub const OFP_HEADER_SIZE: usize = 8;
/// Longest message: the length is 16 bits wide.
pub const OFP_MAX_MESSAGE: usize = 0xffff;
/// `OFP_NO_BUFFER`: the packet is not buffered.
pub const OFP_NO_BUFFER: u32 = 0xffff_ffff;
/// `OFPCML_MAX`: largest `max_len` or `miss_send_len` that names a number of bytes.
pub const OFPCML_MAX: u16 = 0xffe5;
/// `OFPCML_NO_BUFFER`: send the whole packet, unbuffered.
pub const OFPCML_NO_BUFFER: u16 = 0xffff;
/// `OFP_DEFAULT_PRIORITY`.
pub const OFP_DEFAULT_PRIORITY: u16 = 0x8000;

/// Experimenter id of Nicira, under which Open vSwitch's extensions go.
pub const NICIRA_EXPERIMENTER: u32 = 0x0000_2320;
/// Experimenter id of the Open Networking Foundation.
pub const ONF_EXPERIMENTER: u32 = 0x4f4e_4600;
/// Weft's own experimenter id: "WEFT".
pub const WEFT_EXPERIMENTER: u32 = 0x5745_4654;

/// Port numbers (§7.2.1, `ofp_port_no`).
pub mod port_no {
    /// Largest number of a physical or logical port.
    pub const MAX: u32 = 0xffff_ff00;
    /// Out of the port the packet came in by.
    pub const IN_PORT: u32 = 0xffff_fff8;
    /// To the first flow table (packet-out only).
    pub const TABLE: u32 = 0xffff_fff9;
    /// Process as a plain Ethernet switch does.
    pub const NORMAL: u32 = 0xffff_fffa;
    /// Every port of the VLAN except the input port and blocked ones.
    pub const FLOOD: u32 = 0xffff_fffb;
    /// Every port except the input port.
    pub const ALL: u32 = 0xffff_fffc;
    /// To the controller.
    pub const CONTROLLER: u32 = 0xffff_fffd;
    /// The switch's own interface.
    pub const LOCAL: u32 = 0xffff_fffe;
    /// Wildcard in requests.
    pub const ANY: u32 = 0xffff_ffff;
}

/// Group ids (§7.3.4.2, `ofp_group`).
pub mod group_no {
    /// Largest id of a group.
    pub const MAX: u32 = 0xffff_ff00;
    /// All groups, in delete commands and statistics requests.
    pub const ALL: u32 = 0xffff_fffc;
    /// Wildcard.
    pub const ANY: u32 = 0xffff_ffff;
}

/// Table ids (§7.3.4.1, `ofp_table`).
pub mod table_no {
    /// Largest id of a table.
    pub const MAX: u8 = 0xfe;
    /// All tables.
    pub const ALL: u8 = 0xff;
}

/// Meter ids (§7.3.4.4, `ofp_meter`).
pub mod meter_no {
    /// Largest id of a meter of a flow.
    pub const MAX: u32 = 0xffff_0000;
    /// Meter of the slow path.
    pub const SLOWPATH: u32 = 0xffff_fffd;
    /// Meter of the controller connection.
    pub const CONTROLLER: u32 = 0xffff_fffe;
    /// All meters, in statistics requests.
    pub const ALL: u32 = 0xffff_ffff;
}

/// Queue ids (§7.2.2).
pub mod queue_no {
    /// All queues of a port.
    pub const ALL: u32 = 0xffff_ffff;
}

/// `vlan_vid` values (§7.2.3.7, `ofp_vlan_id`).
pub mod vlan {
    /// Set in `vlan_vid` when there is a tag.
    pub const PRESENT: u16 = 0x1000;
    /// No tag.
    pub const NONE: u16 = 0;
}

/// `ofp_flow_mod_flags` (§7.3.4.1).
pub mod flow_mod_flags {
    /// Send a flow-removed message when the flow ends.
    pub const SEND_FLOW_REM: u16 = 1 << 0;
    /// Refuse to add a flow that overlaps another of the same priority.
    pub const CHECK_OVERLAP: u16 = 1 << 1;
    /// Reset counters on modify.
    pub const RESET_COUNTS: u16 = 1 << 2;
    /// Do not count packets.
    pub const NO_PKT_COUNTS: u16 = 1 << 3;
    /// Do not count bytes.
    pub const NO_BYT_COUNTS: u16 = 1 << 4;
    /// All flags of OpenFlow 1.3.
    pub const ALL: u16 = 0x1f;
}

/// `ofp_port_config` (§7.2.1).
pub mod port_config {
    /// Administratively down.
    pub const PORT_DOWN: u32 = 1 << 0;
    /// Drop all packets received.
    pub const NO_RECV: u32 = 1 << 2;
    /// Drop all packets forwarded to the port.
    pub const NO_FWD: u32 = 1 << 5;
    /// No packet-ins for packets of the port.
    pub const NO_PACKET_IN: u32 = 1 << 6;
    /// All bits defined.
    pub const ALL: u32 = PORT_DOWN | NO_RECV | NO_FWD | NO_PACKET_IN;
}

/// `ofp_port_state` (§7.2.1).
pub mod port_state {
    /// No link.
    pub const LINK_DOWN: u32 = 1 << 0;
    /// Blocked by a protocol such as spanning tree.
    pub const BLOCKED: u32 = 1 << 1;
    /// Live, for fast failover groups.
    pub const LIVE: u32 = 1 << 2;
}

/// `ofp_port_features` (§7.2.1).
pub mod port_features {
    /// 10 Mbit/s half duplex.
    pub const HD_10MB: u32 = 1 << 0;
    /// 10 Mbit/s full duplex.
    pub const FD_10MB: u32 = 1 << 1;
    /// 100 Mbit/s half duplex.
    pub const HD_100MB: u32 = 1 << 2;
    /// 100 Mbit/s full duplex.
    pub const FD_100MB: u32 = 1 << 3;
    /// 1 Gbit/s half duplex.
    pub const HD_1GB: u32 = 1 << 4;
    /// 1 Gbit/s full duplex.
    pub const FD_1GB: u32 = 1 << 5;
    /// 10 Gbit/s full duplex.
    pub const FD_10GB: u32 = 1 << 6;
    /// 40 Gbit/s full duplex.
    pub const FD_40GB: u32 = 1 << 7;
    /// 100 Gbit/s full duplex.
    pub const FD_100GB: u32 = 1 << 8;
    /// 1 Tbit/s full duplex.
    pub const FD_1TB: u32 = 1 << 9;
    /// Another rate.
    pub const OTHER: u32 = 1 << 10;
    /// Copper.
    pub const COPPER: u32 = 1 << 11;
    /// Fibre.
    pub const FIBER: u32 = 1 << 12;
    /// Auto-negotiation.
    pub const AUTONEG: u32 = 1 << 13;
    /// Pause.
    pub const PAUSE: u32 = 1 << 14;
    /// Asymmetric pause.
    pub const PAUSE_ASYM: u32 = 1 << 15;
}

/// `ofp_capabilities` (§7.3.1).
pub mod capabilities {
    /// Flow statistics.
    pub const FLOW_STATS: u32 = 1 << 0;
    /// Table statistics.
    pub const TABLE_STATS: u32 = 1 << 1;
    /// Port statistics.
    pub const PORT_STATS: u32 = 1 << 2;
    /// Group statistics.
    pub const GROUP_STATS: u32 = 1 << 3;
    /// Can reassemble IP fragments.
    pub const IP_REASM: u32 = 1 << 5;
    /// Queue statistics.
    pub const QUEUE_STATS: u32 = 1 << 6;
    /// The switch blocks looping ports.
    pub const PORT_BLOCKED: u32 = 1 << 8;
}

/// `ofp_config_flags` (§7.3.2).
pub mod config_flags {
    /// No special handling of IP fragments.
    pub const FRAG_NORMAL: u16 = 0;
    /// Drop fragments.
    pub const FRAG_DROP: u16 = 1;
    /// Reassemble fragments.
    pub const FRAG_REASM: u16 = 2;
    /// Mask of the two bits.
    pub const FRAG_MASK: u16 = 3;
}

/// `ofp_group_capabilities` (§7.3.5.9).
pub mod group_capabilities {
    /// Weights of select groups.
    pub const SELECT_WEIGHT: u32 = 1 << 0;
    /// Liveness of select groups.
    pub const SELECT_LIVENESS: u32 = 1 << 1;
    /// Groups may point to groups.
    pub const CHAINING: u32 = 1 << 2;
    /// Loops are refused when chained.
    pub const CHAINING_CHECKS: u32 = 1 << 3;
}

/// `ofp_meter_flags` (§7.3.4.4).
pub mod meter_flags {
    /// Rates in kilobits per second.
    pub const KBPS: u16 = 1 << 0;
    /// Rates in packets per second.
    pub const PKTPS: u16 = 1 << 1;
    /// Use the burst size.
    pub const BURST: u16 = 1 << 2;
    /// Collect statistics.
    pub const STATS: u16 = 1 << 3;
    /// All flags.
    pub const ALL: u16 = 0xf;
}

/// `ofp_multipart_request_flags`, `ofp_multipart_reply_flags` (§7.3.5).
pub mod multipart_flags {
    /// More parts follow.
    pub const MORE: u16 = 1 << 0;
}

/// Flags of bundle messages (ONF EXT-230).
pub mod bundle_flags {
    /// All or nothing.
    pub const ATOMIC: u16 = 1 << 0;
    /// In the order given.
    pub const ORDERED: u16 = 1 << 1;
}
