//! Experimenter messages (OF 1.3.5 §7.5.4): Nicira's that are known, and all others raw.

use crate::consts::NICIRA_EXPERIMENTER;
use crate::wire::{open_enum, wire_struct, wire_union};

wire_struct! {
    /// `OFPT_EXPERIMENTER` of a kind that is not known.
    pub struct Experimenter {
        /// Whose.
        pub experimenter: u32,
        /// Its type.
        pub exp_type: u32,
        /// The rest.
        pub data: Vec<u8>,
    }
}

open_enum! {
    /// How packet-ins look.
    pub enum PacketInFormat: u32 {
        /// `OFPT_PACKET_IN`.
        Standard = 0,
        /// `NXT_PACKET_IN`.
        Nxt = 1,
        /// `NXT_PACKET_IN2`.
        Nxt2 = 2,
    }
}

wire_union! {
    /// A Nicira extension message.
    pub enum NxMessage: u32 {
        /// Which form of flow-mod is spoken; of no effect in OpenFlow 1.3.
        SetFlowFormat = 12 {
            /// Format.
            format: u32,
        },
        /// Whether flow-mods name tables; of no effect in OpenFlow 1.3.
        FlowModTableId = 15 {
            /// 0 or 1.
            set: u8 [pad 7],
        },
        /// Which form of packet-in to send.
        SetPacketInFormat = 16 {
            /// Format.
            format: PacketInFormat,
        },
        /// Gives this connection the id that [`crate::NxAction::Controller`] names.
        SetControllerId = 20 {
            [pad 6]
            /// The id.
            controller_id: u16,
        },
    }
    also {}
}

impl NxMessage {
    pub(crate) const EXPERIMENTER: u32 = NICIRA_EXPERIMENTER;

    pub(crate) fn read_body(
        subtype: u32,
        r: &mut crate::wire::Reader<'_>,
    ) -> Result<Option<Self>, crate::error::Fault> {
        Self::read_known(subtype, r)
    }

    pub(crate) fn write_body(&self, w: &mut Vec<u8>) {
        self.write_known(w);
    }
}
