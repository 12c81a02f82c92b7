//! Queues (OF 1.3.5 §7.2.2, §7.3.6).

use crate::wire::{wire_struct, wire_tlv, wire_union};

wire_union! {
    /// `ofp_queue_prop_header` and what follows. Rates are in 1/10 of a percent; above 1000: disabled.
    pub enum QueueProperty: u16 {
        /// Rate guaranteed.
        MinRate = 1 {
            [pad 4]
            /// The rate.
            rate: u16 [pad 6],
        },
        /// Rate allowed.
        MaxRate = 2 {
            [pad 4]
            /// The rate.
            rate: u16 [pad 6],
        },
        /// An experimenter's property.
        Experimenter = 0xffff {
            [pad 4]
            /// Whose.
            experimenter: u32 [pad 4],
            /// The rest.
            data: Vec<u8>,
        },
    }
    also {
        /// A property that is not known.
        Unknown {
            /// Its type.
            code: u16,
            /// All after type and length.
            data: Vec<u8>,
        },
    }
}

wire_tlv!(QueueProperty, unpadded);

wire_struct! {
    /// `ofp_packet_queue`.
    pub struct PacketQueue [sized at 8] {
        /// Id, unique in its port.
        pub queue_id: u32,
        /// Port it belongs to.
        pub port: u32 [length] [pad 6],
        /// Properties.
        pub properties: Vec<QueueProperty>,
    }
}

wire_struct! {
    /// `OFPT_QUEUE_GET_CONFIG_REPLY`.
    pub struct QueueGetConfigReply {
        /// Port asked for.
        pub port: u32 [pad 4],
        /// Its queues.
        pub queues: Vec<PacketQueue>,
    }
}
