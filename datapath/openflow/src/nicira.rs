//! Nicira's extension actions, in Open vSwitch's wire format: type 0xffff, id 0x2320, a subtype of 16 bits.
//!
//! `ofs_nbits` names bits of a field: `offset << 6 | (bits - 1)`.

use crate::action::Action;
use crate::error::{ErrorCode, Fault};
use crate::learn::Learn;
use crate::tlv::{AnyOxm, BAD_SET_LEN, OxmId, OxmTlv, read_oxm};
use crate::wire::{Reader, Wire, padding8, wire_tlv, wire_union};

/// Deepest nesting of `clone` actions.
const MAX_DEPTH: u8 = 16;

wire_union! {
    /// A Nicira extension action.
    pub enum NxAction: u16 {
        /// Searches the same table again, as if the packet came in by another port.
        Resubmit = 1 {
            /// Port, 16 bits wide as in OpenFlow 1.0 (0xfff8: the one it came in by).
            in_port: u16 [pad 4],
        },
        /// Sets the tunnel id.
        SetTunnel = 2 {
            [pad 2]
            /// The id.
            tun_id: u32,
        },
        /// Restores the queue.
        PopQueue = 5 [pad 6],
        /// Copies bits from one field to another.
        RegMove = 6 {
            /// How many.
            n_bits: u16,
            /// First bit of the source.
            src_ofs: u16,
            /// First bit of the destination.
            dst_ofs: u16,
            /// Source.
            src: OxmId,
            /// Destination.
            dst: OxmId [fill],
        },
        /// Loads a value into bits of a field.
        RegLoad = 7 {
            /// Which bits.
            ofs_nbits: u16,
            /// Destination.
            dst: OxmId,
            /// The value.
            value: u64,
        },
        /// Nothing; carries bytes, padding included.
        Note = 8 {
            /// The bytes.
            data: Vec<u8>,
        },
        /// Sets the tunnel id.
        SetTunnel64 = 9 {
            [pad 6]
            /// The id.
            tun_id: u64,
        },
        /// Hashes fields into a link number and stores it.
        Multipath = 10 {
            /// Which fields to hash.
            fields: u16,
            /// Start of the hash.
            basis: u16 [pad 2],
            /// How a link is chosen.
            algorithm: u16,
            /// Links minus one.
            max_link: u16,
            /// Argument of the algorithm.
            arg: u32 [pad 2],
            /// Which bits.
            ofs_nbits: u16,
            /// Destination.
            dst: OxmId,
        },
        /// Searches a table.
        ResubmitTable = 14 {
            /// Port, 16 bits wide (0xfff8: the one it came in by).
            in_port: u16,
            /// Table (255: the same).
            table: u8 [pad 3],
        },
        /// Outputs to the port whose number is in a field.
        OutputReg = 15 {
            /// Which bits.
            ofs_nbits: u16,
            /// Source.
            src: OxmId,
            /// For the controller: bytes to send.
            max_len: u16 [pad 6],
        },
        /// Adds or changes a flow made from the packet.
        Learn = 16 (Box<Learn>),
        /// Ends all processing of the packet.
        Exit = 17 [pad 6],
        /// Decrements the IP TTL.
        DecTtl = 18 [pad 6],
        /// Shortens the flow's timeouts when TCP ends.
        FinTimeout = 19 {
            /// New idle timeout in seconds, if that is less.
            fin_idle_timeout: u16,
            /// New hard timeout in seconds, if that is less.
            fin_hard_timeout: u16 [pad 2],
        },
        /// To the controllers with an id.
        Controller = 20 {
            /// Bytes of the packet to send.
            max_len: u16,
            /// Which controllers.
            controller_id: u16,
            /// `OFPR_*`.
            reason: u8 [pad 1],
        },
        /// Decrements the IP TTL; tells these controllers when it runs out.
        DecTtlCntIds = 21 {
            /// How many of `ids` count; the rest is padding.
            n_controllers: u16 [pad 4],
            /// Controller ids.
            ids: Vec<u16>,
        },
        /// Writes metadata.
        WriteMetadata = 22 {
            [pad 6]
            /// Value.
            metadata: u64,
            /// Bits that change.
            metadata_mask: u64,
        },
        /// Pushes bits of a field.
        StackPush = 27 {
            /// First bit.
            offset: u16,
            /// Field.
            field: OxmId,
            /// How many bits.
            n_bits: u16 [fill],
        },
        /// Pops into bits of a field.
        StackPop = 28 {
            /// First bit.
            offset: u16,
            /// Field.
            field: OxmId,
            /// How many bits.
            n_bits: u16 [fill],
        },
        /// Shows the packet to an observer ([`crate::observers`]).
        Sample = 29 {
            /// So many packets in 65,536 are shown, 65535: all. Not 0.
            probability: u16,
            /// The observer's id.
            collector_set_id: u32,
            /// Observation domain to report.
            obs_domain_id: u32,
            /// Observation point to report.
            obs_point_id: u32,
        },
        /// Outputs to the port whose number is in a field.
        OutputReg2 = 32 {
            /// Which bits.
            ofs_nbits: u16,
            /// For the controller: bytes to send.
            max_len: u16,
            /// Source.
            src: OxmId [fill],
        },
        /// Adds to a conjunction.
        Conjunction = 34 {
            /// Which of its dimensions, from 0.
            clause: u8,
            /// How many it has.
            n_clauses: u8,
            /// Its id, to be matched as `conj_id`.
            id: u32,
        },
        /// To controllers, with more to say than [`NxAction::Controller`].
        Controller2 = 37 {
            [pad 6]
            /// What.
            properties: Vec<ControllerProperty>,
        },
        /// As [`NxAction::Sample`], with the port that stands for the tunnel of the packet.
        Sample2 = 38 {
            /// So many packets in 65,536 are shown, 65535: all. Not 0.
            probability: u16,
            /// The observer's id.
            collector_set_id: u32,
            /// Observation domain to report.
            obs_domain_id: u32,
            /// Observation point to report.
            obs_point_id: u32,
            /// Port, 16 bits wide.
            sampling_port: u16 [pad 6],
        },
        /// Outputs at most so many bytes.
        OutputTrunc = 39 {
            /// Port, 16 bits wide.
            port: u16,
            /// Bytes.
            max_len: u32,
        },
        /// As [`NxAction::Sample2`], with a direction.
        Sample3 = 41 {
            /// So many packets in 65,536 are shown, 65535: all. Not 0.
            probability: u16,
            /// The observer's id.
            collector_set_id: u32,
            /// Observation domain to report.
            obs_domain_id: u32,
            /// Observation point to report.
            obs_point_id: u32,
            /// Port, 16 bits wide.
            sampling_port: u16,
            /// 0: not said, 1: on its way in, 2: on its way out.
            direction: u8 [pad 5],
        },
        /// Forgets the connection-tracking state.
        CtClear = 43 [pad 6],
        /// As [`NxAction::ResubmitTable`], with the addresses of the connection's first direction.
        ResubmitTableCt = 44 {
            /// Port, 16 bits wide.
            in_port: u16,
            /// Table.
            table: u8 [pad 3],
        },
    }
    also {
        /// Sets bits of a field.
        RegLoad2 {
            /// Field, value and mask.
            field: OxmTlv,
        },
        /// Runs actions on a copy of the packet.
        Clone {
            /// What to do.
            actions: Vec<Action>,
        },
    }
}

const REG_LOAD2: u16 = 33;
const CLONE: u16 = 42;

impl NxAction {
    /// Reads subtype and body; `None`, nothing read: not known.
    pub(crate) fn read_body(r: &mut Reader<'_>) -> Result<Option<NxAction>, Fault> {
        let before = r.clone();
        let action = match u16::read(r)? {
            REG_LOAD2 => Self::read_reg_load2(r)?,
            CLONE => {
                r.skip(6)?;
                let mut inner = r.sub(r.len())?;
                inner.depth += 1;
                if inner.depth > MAX_DEPTH {
                    return Err(r.fault(ErrorCode::BadActionTooMany, "actions nested too deeply"));
                }
                let actions =
                    Action::read_list(&mut inner).map_err(|fault| fault.within("actions"))?;
                Some(NxAction::Clone { actions })
            }
            subtype => Self::read_known(subtype, r)?,
        };
        if action.is_none() {
            *r = before;
        }
        Ok(action)
    }

    fn read_reg_load2(r: &mut Reader<'_>) -> Result<Option<NxAction>, Fault> {
        // The OXM follows the subtype directly, unlike what else follows a header of Nicira's.
        let size = 10 + r.len();
        let outer_code = std::mem::replace(&mut r.bad_len, BAD_SET_LEN);
        let field = read_oxm(r).map_err(|fault| fault.within("field"))?;
        r.bad_len = outer_code;
        r.skip(padding8(size - r.len()))?;
        Ok(match field {
            AnyOxm::Known(field) => Some(NxAction::RegLoad2 { field }),
            AnyOxm::Unknown(_) => None,
        })
    }

    /// Appends subtype and body; the caller fills up to a multiple of 8.
    pub(crate) fn write_body(&self, w: &mut Vec<u8>) {
        match self {
            NxAction::RegLoad2 { field } => {
                REG_LOAD2.write(w);
                field.write(w);
            }
            NxAction::Clone { actions } => {
                CLONE.write(w);
                [0u8; 6].write(w);
                actions.write(w);
            }
            _ => {
                self.known_code().unwrap_or_default().write(w);
                self.write_known(w);
            }
        }
    }
}

wire_union! {
    /// A property of [`NxAction::Controller2`].
    pub enum ControllerProperty: u16 {
        /// Bytes of the packet to send.
        MaxLen = 0 {
            /// Bytes.
            max_len: u16 [pad 2],
        },
        /// Which controllers.
        ControllerId = 1 {
            /// Their id.
            controller_id: u16 [pad 2],
        },
        /// Reason to give.
        Reason = 2 {
            /// `OFPR_*`.
            reason: u8 [pad 3],
        },
        /// Bytes to hand back.
        Userdata = 3 {
            /// The bytes.
            data: Vec<u8>,
        },
        /// Stop until resumed.
        Pause = 4,
        /// Meter to pass first.
        MeterId = 5 {
            /// The meter.
            meter_id: u32,
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

wire_tlv!(ControllerProperty, padded);
