//! Packet-out (OF 1.3.5 §7.3.7) and packet-in (§7.4.1).

use crate::action::Action;
use crate::error::{ErrorCode, Fault};
use crate::matching::Match;
use crate::wire::{Reader, Wire, open_enum, patch_length, wire_struct};

open_enum! {
    /// `ofp_packet_in_reason`.
    pub enum PacketInReason: u8 {
        /// No flow matched: the table-miss flow sent it.
        NoMatch = 0,
        /// An action sent it.
        Action = 1,
        /// The TTL is not valid.
        InvalidTtl = 2,
    }
}

wire_struct! {
    /// `OFPT_PACKET_IN`.
    pub struct PacketIn {
        /// Buffer that holds the packet, or [`crate::OFP_NO_BUFFER`].
        pub buffer_id: u32,
        /// Length of the whole packet.
        pub total_len: u16,
        /// Why.
        pub reason: PacketInReason,
        /// Table of the flow.
        pub table_id: u8,
        /// Cookie of the flow, all ones if there is none.
        pub cookie: u64,
        /// Pipeline fields: `in_port` and what is not zero of the others.
        pub match_: Match [pad 2],
        /// The packet, or its first bytes.
        pub data: Vec<u8>,
    }
}

/// `OFPT_PACKET_OUT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketOut {
    /// Buffered packet to send, or [`crate::OFP_NO_BUFFER`].
    pub buffer_id: u32,
    /// Port it counts as having come in by.
    pub in_port: u32,
    /// What to do with it.
    pub actions: Vec<Action>,
    /// The packet, if it is not buffered.
    pub data: Vec<u8>,
}

impl Wire for PacketOut {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let buffer_id = u32::read(r)?;
        let in_port = u32::read(r)?;
        let actions_len = usize::from(u16::read(r)?);
        r.skip(6)?;
        if actions_len > r.len() {
            let detail = format!(
                "{actions_len} bytes of actions do not fit the {} left",
                r.len()
            );
            return Err(r
                .fault(ErrorCode::BadRequestBadLen, detail)
                .within("actions"));
        }
        let actions =
            Action::read_list(&mut r.sub(actions_len)?).map_err(|fault| fault.within("actions"))?;
        Ok(PacketOut {
            buffer_id,
            in_port,
            actions,
            data: r.take_all().to_vec(),
        })
    }

    fn write(&self, w: &mut Vec<u8>) {
        self.buffer_id.write(w);
        self.in_port.write(w);
        let length_at = w.len();
        [0u8; 8].write(w);
        let start = w.len();
        self.actions.write(w);
        patch_length(w, start, length_at);
        self.data.write(w);
    }
}
