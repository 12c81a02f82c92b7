//! What the switch is and how it is set up (OF 1.3.5 §7.3.1, §7.3.2).

use crate::wire::wire_struct;

wire_struct! {
    /// `OFPT_FEATURES_REPLY`.
    pub struct FeaturesReply {
        /// Datapath id.
        pub datapath_id: u64,
        /// Packets that can be buffered.
        pub n_buffers: u32,
        /// Flow tables.
        pub n_tables: u8,
        /// 0 for a main connection.
        pub auxiliary_id: u8 [pad 2],
        /// [`crate::capabilities`].
        pub capabilities: u32,
        /// Reserved.
        pub reserved: u32,
    }
}

wire_struct! {
    /// `OFPT_GET_CONFIG_REPLY`, `OFPT_SET_CONFIG`.
    pub struct SwitchConfig {
        /// [`crate::config_flags`].
        pub flags: u16,
        /// Bytes of a packet sent to the controller on a miss.
        pub miss_send_len: u16,
    }
}
