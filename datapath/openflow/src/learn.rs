//! The `learn` action (`nx_action_learn` of Open vSwitch): a flow made from the packet at hand.
//!
//! ```text
//!  15 14 13 12 11 10                  0
//! +-----+--+-----+--------------------+
//! | 0 0 |S | D   |  n_bits            |   S: 0 field, 1 immediate;  D: 0 match, 1 load, 2 output
//! +-----+--+-----+--------------------+
//!   source:       OXM header, offset u16 | immediate, n_bits rounded up to 16
//!   destination:  OXM header, offset u16 | nothing (output)
//! ```
//!
//! A header of zero ends the list.

use crate::error::{ErrorCode, Fault};
use crate::tlv::OxmId;
use crate::wire::{Reader, Wire, wire_struct};

/// Flags of [`Learn`].
pub mod learn_flags {
    /// The learned flow tells when it ends.
    pub const SEND_FLOW_REM: u16 = 1 << 0;
    /// Deleting the flow with this action deletes what it learned.
    pub const DELETE_LEARNED: u16 = 1 << 1;
    /// Store in a field whether a flow could be learned.
    pub const WRITE_RESULT: u16 = 1 << 2;
}

wire_struct! {
    /// Adds or changes a flow made from the packet.
    pub struct Learn {
        /// Idle timeout in seconds.
        pub idle_timeout: u16,
        /// Hard timeout in seconds.
        pub hard_timeout: u16,
        /// Priority.
        pub priority: u16,
        /// Cookie.
        pub cookie: u64,
        /// [`learn_flags`].
        pub flags: u16,
        /// Table to add to.
        pub table_id: u8 [pad 1],
        /// Idle timeout once TCP ends.
        pub fin_idle_timeout: u16,
        /// Hard timeout once TCP ends.
        pub fin_hard_timeout: u16,
        /// What the flow matches and does.
        pub specs: Vec<LearnSpec> [fill],
    }
}

/// Where the bits of a [`LearnSpec`] come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnSource {
    /// Bits of a field of the packet.
    Field {
        /// Field.
        field: OxmId,
        /// First bit.
        offset: u16,
    },
    /// A constant, big-endian, `n_bits` rounded up to 16.
    Immediate(Vec<u8>),
}

/// What the bits of a [`LearnSpec`] become in the new flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnTarget {
    /// A field to match.
    Match {
        /// Field.
        field: OxmId,
        /// First bit.
        offset: u16,
    },
    /// A field to load.
    Load {
        /// Field.
        field: OxmId,
        /// First bit.
        offset: u16,
    },
    /// The port to output to.
    Output,
}

/// One step of making the new flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnSpec {
    /// How many bits, at most 0x7ff.
    pub n_bits: u16,
    /// From where.
    pub source: LearnSource,
    /// For what.
    pub target: LearnTarget,
}

const IMMEDIATE: u16 = 1 << 13;
const N_BITS: u16 = 0x7ff;

fn read_place(r: &mut Reader<'_>) -> Result<(OxmId, u16), Fault> {
    Ok((OxmId::read(r)?, u16::read(r)?))
}

impl LearnSpec {
    fn read_after(header: u16, r: &mut Reader<'_>) -> Result<Self, Fault> {
        let n_bits = header & N_BITS;
        let source = if header & IMMEDIATE != 0 {
            LearnSource::Immediate(r.take(usize::from(n_bits.div_ceil(16)) * 2)?.to_vec())
        } else {
            let (field, offset) = read_place(r)?;
            LearnSource::Field { field, offset }
        };
        let target = match header >> 11 & 3 {
            0 => read_place(r).map(|(field, offset)| LearnTarget::Match { field, offset })?,
            1 => read_place(r).map(|(field, offset)| LearnTarget::Load { field, offset })?,
            _ => LearnTarget::Output,
        };
        Ok(LearnSpec {
            n_bits,
            source,
            target,
        })
    }
}

impl Wire for LearnSpec {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let at = r.offset();
        let header = u16::read(r)?;
        if header >> 14 != 0 || header >> 11 & 3 == 3 || header == 0 {
            let detail = format!("{header:#06x} is not a flow_mod_spec");
            return Err(Fault::new(ErrorCode::BadActionBadArgument, at, detail));
        }
        Self::read_after(header, r)
    }

    fn read_list(r: &mut Reader<'_>) -> Result<Vec<Self>, Fault> {
        let mut list = Vec::new();
        while r.len() >= 2 && r.peek_u16(0)? != 0 {
            let spec = LearnSpec::read(r).map_err(|fault| fault.at_index(list.len()))?;
            list.push(spec);
        }
        if r.len() >= 8 {
            return Err(r.fault(
                ErrorCode::BadActionBadArgument,
                "more than padding after the end of the specs",
            ));
        }
        Ok(list)
    }

    fn write(&self, w: &mut Vec<u8>) {
        let (kind, target) = match &self.target {
            LearnTarget::Match { field, offset } => (0, Some((field, offset))),
            LearnTarget::Load { field, offset } => (1, Some((field, offset))),
            LearnTarget::Output => (2, None),
        };
        let n_bits = self.n_bits & N_BITS;
        match &self.source {
            LearnSource::Field { field, offset } => {
                (kind << 11 | n_bits).write(w);
                field.write(w);
                offset.write(w);
            }
            LearnSource::Immediate(value) => {
                (IMMEDIATE | kind << 11 | n_bits).write(w);
                let size = usize::from(n_bits.div_ceil(16)) * 2;
                let skip = value.len().saturating_sub(size);
                w.resize(w.len() + size - (value.len() - skip), 0);
                w.extend_from_slice(value.get(skip..).unwrap_or(&[]));
            }
        }
        if let Some((field, offset)) = target {
            field.write(w);
            offset.write(w);
        }
    }
}
