//! Instructions (OF 1.3.5 §7.2.4).

use crate::action::{Action, count_tlvs};
use crate::error::{ErrorCode, Fault};
use crate::wire::{Reader, Wire, patch_length, wire_union};

wire_union! {
    /// An instruction of a flow.
    pub enum Instruction: u16 {
        /// Go on in another table.
        GotoTable = 1 {
            /// Which; greater than the flow's.
            table_id: u8 [pad 3],
        },
        /// Changes the metadata for the following tables.
        WriteMetadata = 2 {
            [pad 4]
            /// Value.
            metadata: u64,
            /// Bits that change.
            metadata_mask: u64,
        },
        /// Adds to the action set.
        WriteActions = 3 {
            [pad 4]
            /// The actions.
            actions: Vec<Action>,
        },
        /// Does at once, in order.
        ApplyActions = 4 {
            [pad 4]
            /// The actions.
            actions: Vec<Action>,
        },
        /// Empties the action set.
        ClearActions = 5 [pad 4],
        /// Sends the packet through a meter.
        Meter = 6 {
            /// Which.
            meter_id: u32,
        },
    }
    also {
        /// An experimenter's instruction.
        Experimenter {
            /// Whose.
            experimenter: u32,
            /// All after the id.
            data: Vec<u8>,
        },
        /// An instruction of a type that is not known.
        Unknown {
            /// Its type.
            code: u16,
            /// All after type and length.
            data: Vec<u8>,
        },
    }
}

const EXPERIMENTER: u16 = 0xffff;

impl Instruction {
    /// The type on the wire (`OFPIT_*`).
    pub fn code(&self) -> u16 {
        match self {
            Instruction::Experimenter { .. } => EXPERIMENTER,
            Instruction::Unknown { code, .. } => *code,
            _ => self.known_code().unwrap_or_default(),
        }
    }
}

impl Wire for Instruction {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        r.bad_len = ErrorCode::BadInstructionBadLen;
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
        let instruction = if code == EXPERIMENTER {
            Instruction::Experimenter {
                experimenter: u32::read(&mut own)?,
                data: own.take_all().to_vec(),
            }
        } else {
            match Self::read_known(code, &mut own)? {
                Some(instruction) => instruction,
                None => Instruction::Unknown {
                    code,
                    data: own.take_all().to_vec(),
                },
            }
        };
        own.finish()?;
        Ok(instruction)
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
        self.code().write(w);
        0u16.write(w);
        match self {
            Instruction::Experimenter { experimenter, data } => {
                experimenter.write(w);
                data.write(w);
            }
            Instruction::Unknown { data, .. } => data.write(w),
            _ => self.write_known(w),
        }
        crate::wire::pad8(w, start);
        patch_length(w, start, start + 2);
    }
}
