//! Actions (OF 1.3.5 §7.2.5).

use crate::consts::NICIRA_EXPERIMENTER;
use crate::error::{ErrorCode, Fault};
use crate::nicira::NxAction;
use crate::tlv::{AnyOxm, BAD_SET_LEN, OxmTlv, read_oxm};
use crate::wire::{Reader, Wire, pad8, padding8, patch_length, wire_union};

const SET_FIELD: u16 = 25;
const EXPERIMENTER: u16 = 0xffff;

wire_union! {
    /// An action.
    pub enum Action: u16 {
        /// To a port.
        Output = 0 {
            /// Port number ([`crate::port_no`]).
            port: u32,
            /// For [`crate::port_no::CONTROLLER`]: bytes of the packet to send.
            max_len: u16 [pad 6],
        },
        /// Copies the TTL from the next to the outermost header.
        CopyTtlOut = 11 [pad 4],
        /// Copies the TTL from the outermost to the next header.
        CopyTtlIn = 12 [pad 4],
        /// Replaces the MPLS TTL.
        SetMplsTtl = 15 {
            /// The TTL.
            mpls_ttl: u8 [pad 3],
        },
        /// Decrements the MPLS TTL.
        DecMplsTtl = 16 [pad 4],
        /// Pushes a VLAN tag.
        PushVlan = 17 {
            /// 0x8100 or 0x88a8.
            ethertype: u16 [pad 2],
        },
        /// Pops the outermost VLAN tag.
        PopVlan = 18 [pad 4],
        /// Pushes an MPLS shim.
        PushMpls = 19 {
            /// 0x8847 or 0x8848.
            ethertype: u16 [pad 2],
        },
        /// Pops the outermost MPLS shim.
        PopMpls = 20 {
            /// Ethernet type of what remains.
            ethertype: u16 [pad 2],
        },
        /// Chooses the queue for output.
        SetQueue = 21 {
            /// The queue.
            queue_id: u32,
        },
        /// Hands the packet to a group.
        Group = 22 {
            /// The group.
            group_id: u32,
        },
        /// Replaces the IP TTL or hop limit.
        SetNwTtl = 23 {
            /// The TTL.
            nw_ttl: u8 [pad 3],
        },
        /// Decrements the IP TTL or hop limit.
        DecNwTtl = 24 [pad 4],
        /// Pushes a PBB I-TAG.
        PushPbb = 26 {
            /// 0x88e7.
            ethertype: u16 [pad 2],
        },
        /// Pops the outermost PBB I-TAG.
        PopPbb = 27 [pad 4],
    }
    also {
        /// Writes a field of the packet.
        SetField {
            /// Field and value. With a mask it is not OpenFlow 1.3, and refused by [`crate::check()`].
            field: OxmTlv,
        },
        /// A Nicira extension.
        Nicira(NxAction),
        /// An experimenter's action that is not known.
        Experimenter {
            /// Whose.
            experimenter: u32,
            /// All after the id.
            data: Vec<u8>,
        },
        /// An action of a type that is not known, or a set-field (25) of a field that is not.
        Unknown {
            /// Its type.
            code: u16,
            /// All after type and length.
            data: Vec<u8>,
        },
    }
}

impl Action {
    /// The structure as on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        Wire::write(self, &mut bytes);
        bytes
    }

    /// Output to a port; to the controller: of the whole packet.
    pub fn output(port: u32) -> Self {
        Action::Output {
            port,
            max_len: crate::consts::OFPCML_NO_BUFFER,
        }
    }

    fn read_body(code: u16, r: &mut Reader<'_>) -> Result<Action, Fault> {
        match code {
            SET_FIELD => Self::read_set_field(r),
            EXPERIMENTER => {
                let experimenter = u32::read(r)?;
                if experimenter == NICIRA_EXPERIMENTER
                    && let Some(action) = NxAction::read_body(r)?
                {
                    return Ok(Action::Nicira(action));
                }
                Ok(Action::Experimenter {
                    experimenter,
                    data: r.take_all().to_vec(),
                })
            }
            _ => match Self::read_known(code, r)? {
                Some(action) => Ok(action),
                None => Ok(Action::Unknown {
                    code,
                    data: r.take_all().to_vec(),
                }),
            },
        }
    }

    fn read_set_field(r: &mut Reader<'_>) -> Result<Action, Fault> {
        let data = r.peek();
        let mut oxm = r.clone();
        oxm.bad_len = BAD_SET_LEN;
        let field = read_oxm(&mut oxm).map_err(|fault| fault.within("field"))?;
        r.skip(data.len() - oxm.len())?;
        r.skip(padding8(4 + data.len() - oxm.len()))?;
        match field {
            AnyOxm::Known(field) => Ok(Action::SetField { field }),
            AnyOxm::Unknown(_) => {
                r.finish()?;
                Ok(Action::Unknown {
                    code: SET_FIELD,
                    data: data.to_vec(),
                })
            }
        }
    }
}

/// How many type-length-values there are, so that they get a list of just that size.
pub(crate) fn count_tlvs(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some([_, _, high, low]) = bytes.first_chunk::<4>() {
        count += 1;
        let length = usize::from(u16::from_be_bytes([*high, *low])).max(4);
        bytes = bytes.get(length..).unwrap_or(&[]);
    }
    count
}

impl Wire for Action {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.bad_len = ErrorCode::BadActionBadLen;
        let length = r.peek_u16(2)?;
        if length % 8 != 0 || length == 0 {
            let fault = Fault::new(
                r.bad_len,
                r.offset() + 2,
                format!("length {length} is not a multiple of 8"),
            );
            return Err(fault.within("length"));
        }
        let mut own = r.sized(2)?;
        let code = u16::read(&mut own)?;
        own.skip(2)?;
        let action = Self::read_body(code, &mut own)?;
        own.finish()?;
        Ok(action)
    }

    fn read_list(r: &mut Reader<'_>) -> Result<Vec<Self>, Fault> {
        let mut list = Vec::with_capacity(count_tlvs(r.peek()));
        while !r.is_empty() {
            let item = Self::read(r).map_err(|fault| fault.at_index(list.len()))?;
            list.push(item);
        }
        Ok(list)
    }

    fn write(&self, w: &mut Vec<u8>) {
        let start = w.len();
        let code = match self {
            Action::SetField { .. } => SET_FIELD,
            Action::Nicira(_) | Action::Experimenter { .. } => EXPERIMENTER,
            Action::Unknown { code, .. } => *code,
            _ => self.known_code().unwrap_or_default(),
        };
        code.write(w);
        0u16.write(w);
        match self {
            Action::SetField { field } => field.write(w),
            Action::Nicira(action) => {
                NICIRA_EXPERIMENTER.write(w);
                action.write_body(w);
            }
            Action::Experimenter { experimenter, data } => {
                experimenter.write(w);
                data.write(w);
            }
            Action::Unknown { data, .. } => data.write(w),
            _ => self.write_known(w),
        }
        pad8(w, start);
        patch_length(w, start, start + 2);
    }
}
