//! Nicira's extension actions: which are done here, and how they name bits of fields.

use crate::fields::place;
use crate::multipath::{Algorithm, HashFields};
use crate::tables::TABLES;
use crate::validate::Place;
use weft_frame::Field;
use weft_openflow::{
    ErrorCode, LearnSource, LearnSpec, LearnTarget, NxAction, OfError, OxmField, OxmId, port_no,
};

/// Bytes of an Ethernet header.
const ETHERNET_HEADER: u32 = 14;

fn fail(code: ErrorCode, detail: impl Into<String>) -> OfError {
    OfError::new(code, detail)
}

/// Offset and number of bits from `ofs_nbits`.
pub(crate) fn bits(ofs_nbits: u16) -> (u16, u16) {
    (ofs_nbits >> 6, (ofs_nbits & 0x3f) + 1)
}

/// Some bits of a field: where they lie in the key, and of which match field they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subfield {
    pub oxm: OxmField,
    /// The field as a whole.
    pub whole: Field,
    /// First bit.
    pub offset: u16,
    /// Number of bits.
    pub count: u16,
}

impl Subfield {
    pub fn new(id: &OxmId, offset: u16, count: u16) -> Option<Subfield> {
        let oxm = id.known()?;
        let whole = place(oxm)?.field;
        let fits = count > 0 && u32::from(offset) + u32::from(count) <= u32::from(whole.bits);
        fits.then_some(Subfield {
            oxm,
            whole,
            offset,
            count,
        })
    }

    /// Ones in the subfield's width.
    pub fn ones(&self) -> u128 {
        if self.count >= 128 {
            u128::MAX
        } else {
            (1 << self.count) - 1
        }
    }

    /// The bits within the whole field.
    pub fn mask(&self) -> u128 {
        self.ones() << self.offset
    }
}

/// Port number from the 16 bits of OpenFlow 1.0.
pub(crate) fn port_from_16(port: u16) -> u32 {
    if port >= 0xff00 {
        u32::from(port) | 0xffff_0000
    } else {
        u32::from(port)
    }
}

fn check_source(id: &OxmId, offset: u16, count: u16) -> Result<(), OfError> {
    match Subfield::new(id, offset, count) {
        Some(_) => Ok(()),
        None => Err(fail(ErrorCode::BadActionBadArgument, "no such bits")),
    }
}

fn check_target(id: &OxmId, offset: u16, count: u16) -> Result<(), OfError> {
    check_source(id, offset, count)?;
    match id.known() {
        Some(field) if field.info().settable || field == OxmField::Metadata => Ok(()),
        _ => Err(fail(
            ErrorCode::BadActionBadArgument,
            "the field is read-only",
        )),
    }
}

/// Whether a packet may be cut to that length for that port: as in Open vSwitch not for what stands for several ports.
fn check_cut(port: u32, max_len: u32) -> Result<(), OfError> {
    if !matches!(port, 1..=port_no::MAX | port_no::IN_PORT | port_no::LOCAL) {
        let detail = format!("output to port {port:#x} with max_len");
        return Err(fail(ErrorCode::BadActionBadOutPort, detail));
    }
    if max_len < ETHERNET_HEADER {
        let detail = format!("max_len {max_len} is less than an Ethernet header");
        return Err(fail(ErrorCode::BadActionBadArgument, detail));
    }
    Ok(())
}

fn check_table(table: u8) -> Result<(), OfError> {
    if table == 255 || usize::from(table) < TABLES {
        Ok(())
    } else {
        Err(fail(
            ErrorCode::BadActionBadArgument,
            format!("table {table}"),
        ))
    }
}

fn check_spec(spec: &LearnSpec) -> Result<(), OfError> {
    if let LearnSource::Field { field, offset } = &spec.source {
        check_source(field, *offset, spec.n_bits)?;
    }
    match &spec.target {
        LearnTarget::Match { field, offset } => check_source(field, *offset, spec.n_bits),
        LearnTarget::Load { field, offset } => check_target(field, *offset, spec.n_bits),
        LearnTarget::Output => Ok(()),
    }
}

/// Checks an extension action; actions within a clone are the caller's. `own_tables`: tables that may be learned into.
pub(crate) fn check_nicira(action: &NxAction, at: Place, own_tables: usize) -> Result<(), OfError> {
    let unknown = || {
        Err(fail(
            ErrorCode::BadActionBadExpType,
            "extension action not supported",
        ))
    };
    if matches!(at, Place::Write | Place::Bucket)
        && matches!(
            action,
            NxAction::Learn(_)
                | NxAction::Exit
                | NxAction::Clone { .. }
                | NxAction::Multipath { .. }
                | NxAction::Sample { .. }
                | NxAction::Sample2 { .. }
                | NxAction::Sample3 { .. }
        )
    {
        return Err(fail(
            ErrorCode::BadActionUnsupportedOrder,
            "not in an action set",
        ));
    }
    match action {
        NxAction::Sample { .. } | NxAction::Sample2 { .. } | NxAction::Sample3 { .. } => Ok(()),
        NxAction::OutputTrunc { port, max_len } => check_cut(port_from_16(*port), *max_len),
        NxAction::Resubmit { .. } => Ok(()),
        NxAction::ResubmitTable { table, .. } => check_table(*table),
        NxAction::SetTunnel { .. } | NxAction::SetTunnel64 { .. } => Ok(()),
        NxAction::PopQueue | NxAction::Note { .. } | NxAction::Exit => Ok(()),
        NxAction::DecTtl | NxAction::DecTtlCntIds { .. } => Ok(()),
        NxAction::Controller { .. } | NxAction::WriteMetadata { .. } | NxAction::Clone { .. } => {
            Ok(())
        }
        NxAction::Controller2 { properties } => {
            use weft_openflow::ControllerProperty as P;
            let known = |p: &P| {
                matches!(
                    p,
                    P::MaxLen { .. }
                        | P::ControllerId { .. }
                        | P::Reason { .. }
                        | P::Userdata { .. }
                )
            };
            if properties.iter().all(known) {
                Ok(())
            } else {
                unknown()
            }
        }
        NxAction::RegMove {
            n_bits,
            src_ofs,
            dst_ofs,
            src,
            dst,
        } => {
            check_source(src, *src_ofs, *n_bits)?;
            check_target(dst, *dst_ofs, *n_bits)
        }
        NxAction::RegLoad {
            ofs_nbits,
            dst,
            value,
        } => {
            let (offset, count) = bits(*ofs_nbits);
            if count < 64 && value >> count != 0 {
                return Err(fail(
                    ErrorCode::BadActionBadArgument,
                    "the value does not fit",
                ));
            }
            check_target(dst, offset, count)
        }
        NxAction::RegLoad2 { field } => {
            check_target(&OxmId::new(field.field), 0, field.field.info().bits.into())
        }
        NxAction::OutputReg { ofs_nbits, src, .. }
        | NxAction::OutputReg2 { ofs_nbits, src, .. } => {
            let (offset, count) = bits(*ofs_nbits);
            check_source(src, offset, count)
        }
        NxAction::Multipath {
            fields,
            algorithm,
            max_link,
            ofs_nbits,
            dst,
            ..
        } => {
            let (offset, count) = bits(*ofs_nbits);
            if HashFields::from_number(*fields).is_none()
                || Algorithm::from_number(*algorithm).is_none()
            {
                let detail = "no such hash or way to choose a link";
                return Err(fail(ErrorCode::BadActionBadArgument, detail));
            }
            if count < 16 && max_link >> count != 0 {
                let detail = "the links do not fit into the field";
                return Err(fail(ErrorCode::BadActionBadArgument, detail));
            }
            check_target(dst, offset, count)
        }
        NxAction::StackPush {
            offset,
            field,
            n_bits,
        } => check_source(field, *offset, *n_bits),
        NxAction::StackPop {
            offset,
            field,
            n_bits,
        } => check_target(field, *offset, *n_bits),
        NxAction::Learn(learn) => {
            if usize::from(learn.table_id) >= TABLES {
                return Err(fail(
                    ErrorCode::BadActionBadArgument,
                    format!("table {}", learn.table_id),
                ));
            }
            if usize::from(learn.table_id) >= own_tables {
                return Err(fail(
                    ErrorCode::BadRequestEperm,
                    "the table belongs to the bridge program",
                ));
            }
            learn.specs.iter().try_for_each(check_spec)
        }
        _ => unknown(),
    }
}
