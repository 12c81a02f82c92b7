//! Queues (OF 1.3.5 §7.2.2, §7.3.6).

use crate::error::Fault;
use crate::wire::{Reader, Wire, patch_length, wire_struct, wire_union};

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

impl Wire for QueueProperty {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut own = r.sized(2)?;
        let code = u16::read(&mut own)?;
        own.skip(2)?;
        let property = match Self::read_known(code, &mut own)? {
            Some(property) => property,
            None => QueueProperty::Unknown {
                code,
                data: own.take_all().to_vec(),
            },
        };
        own.finish()?;
        Ok(property)
    }

    fn write(&self, w: &mut Vec<u8>) {
        let start = w.len();
        let code = match self {
            QueueProperty::Unknown { code, .. } => *code,
            _ => self.known_code().unwrap_or_default(),
        };
        code.write(w);
        0u16.write(w);
        match self {
            QueueProperty::Unknown { data, .. } => data.write(w),
            _ => self.write_known(w),
        }
        patch_length(w, start, start + 2);
    }
}

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
