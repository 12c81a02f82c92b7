//! One match field on the wire (OF 1.3.5 §7.2.3.2): with a value, without one, or unknown.

use crate::consts::ONF_EXPERIMENTER;
use crate::error::{ErrorCode, Fault};
use crate::oxm::{CLASS_EXPERIMENTER, OxmField};
use crate::wire::{Reader, Wire};

/// One match field with its value, as a number: addresses too are read as big-endian numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OxmTlv {
    /// Which field.
    pub field: OxmField,
    /// Its value.
    pub value: u128,
    /// Bits of it that count; `None`: all.
    pub mask: Option<u128>,
}

impl OxmTlv {
    /// An exact match.
    pub fn new(field: OxmField, value: u128) -> Self {
        OxmTlv {
            field,
            value,
            mask: None,
        }
    }

    /// A match of the bits in `mask`.
    pub fn masked(field: OxmField, value: u128, mask: u128) -> Self {
        OxmTlv {
            field,
            value,
            mask: Some(mask),
        }
    }

    /// The mask, all meaningful bits if there is none.
    pub fn mask_or_max(&self) -> u128 {
        self.mask.unwrap_or(self.field.info().max())
    }
}

/// An OXM that is not known, kept to be shown or sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownOxm {
    class_field_mask: u32,
    payload: Vec<u8>,
}

impl UnknownOxm {
    /// Class, field and has-mask bit from an OXM header, and what follows it; `None` if that is too long.
    pub fn new(header: u32, payload: Vec<u8>) -> Option<Self> {
        (payload.len() <= 0xff).then_some(UnknownOxm {
            class_field_mask: header & !0xff,
            payload,
        })
    }

    /// The OXM header.
    pub fn header(&self) -> u32 {
        self.class_field_mask | self.payload.len() as u32
    }

    /// Value, mask and experimenter id as they are on the wire.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

impl Wire for UnknownOxm {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let header = u32::read(r)?;
        let payload = r.take((header & 0xff) as usize)?.to_vec();
        Ok(UnknownOxm {
            class_field_mask: header & !0xff,
            payload,
        })
    }
    fn write(&self, w: &mut Vec<u8>) {
        self.header().write(w);
        w.extend_from_slice(&self.payload);
    }
}

/// A known or an unknown OXM.
pub(crate) enum AnyOxm {
    Known(OxmTlv),
    Unknown(UnknownOxm),
}

/// A big-endian number of at most 16 bytes.
#[inline]
fn read_number(bytes: &[u8]) -> u128 {
    // Whole words for the widths that match fields mostly have.
    match *bytes {
        [a] => u128::from(a),
        [a, b] => u128::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u128::from(u32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f] => u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f])),
        _ => bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | u128::from(byte)),
    }
}

fn write_number(w: &mut Vec<u8>, number: u128, bytes: u8) {
    let all = number.to_be_bytes();
    w.extend_from_slice(all.get(16 - usize::from(bytes)..).unwrap_or(&all));
}

/// Reads one OXM. A wrong length is answered with the reader's code.
pub(crate) fn read_oxm(r: &mut Reader<'_>) -> Result<AnyOxm, Fault> {
    let start = r.clone();
    let header = u32::read(r)?;
    let has_mask = header & 0x100 != 0;
    let length = (header & 0xff) as usize;
    let wrong_length = |what: &str| {
        Fault::new(
            start.bad_len,
            start.offset() + 3,
            format!("OXM {header:#010x}: {what}"),
        )
        .within("length")
    };
    if length > r.len() {
        return Err(wrong_length("longer than what holds it"));
    }
    let body = r.take(length)?;
    let (class, number) = ((header >> 16) as u16, (header >> 9 & 0x7f) as u8);
    let (field, body) = if class == CLASS_EXPERIMENTER {
        let Some((id, body)) = body.split_first_chunk::<4>() else {
            return Err(wrong_length("no room for the experimenter id"));
        };
        let known = u32::from_be_bytes(*id) == ONF_EXPERIMENTER;
        (
            OxmField::from_class_field(class, number).filter(|_| known),
            body,
        )
    } else {
        (OxmField::from_class_field(class, number), body)
    };
    let Some(field) = field else {
        if has_mask && body.len() % 2 != 0 {
            return Err(wrong_length("value and mask differ in length"));
        }
        let mut again = start;
        return UnknownOxm::read(&mut again).map(AnyOxm::Unknown);
    };
    let bytes = usize::from(field.info().bytes);
    if body.len() != if has_mask { bytes * 2 } else { bytes } {
        return Err(wrong_length("wrong for this field").within(field.name()));
    }
    let (value, mask) = body.split_at_checked(bytes).unwrap_or((body, &[]));
    let mask = has_mask.then(|| read_number(mask));
    Ok(AnyOxm::Known(OxmTlv {
        field,
        value: read_number(value),
        mask,
    }))
}

impl OxmTlv {
    /// Appends the OXM. Bits of value and mask beyond the field's bytes are lost.
    pub(crate) fn write(&self, w: &mut Vec<u8>) {
        OxmId {
            field: Ok(self.field),
            has_mask: self.mask.is_some(),
        }
        .write(w);
        let bytes = self.field.info().bytes;
        write_number(w, self.value, bytes);
        if let Some(mask) = self.mask {
            write_number(w, mask, bytes);
        }
    }
}

/// A field without value, as Nicira's actions and table features name it: an OXM header, for experimenters'
/// fields followed by the experimenter id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OxmId {
    /// The field, or header and experimenter id (0 for other classes) of one that is not known.
    pub field: Result<OxmField, (u32, u32)>,
    /// The has-mask bit (for fields known).
    pub has_mask: bool,
}

impl OxmId {
    /// A field without the has-mask bit.
    pub fn new(field: OxmField) -> Self {
        OxmId {
            field: Ok(field),
            has_mask: false,
        }
    }

    /// The field, if it is known.
    pub fn known(&self) -> Option<OxmField> {
        self.field.ok()
    }

    /// The same with its field known if only the length in the header is 0. That an id without value has its field's
    /// length all the same is said since OF 1.3.4 (§7.3.5.5.2); os-ken, and so FAUCET, send 0 in table features.
    pub fn of_any_length(&self) -> OxmId {
        let Err((header, experimenter)) = self.field else {
            return *self;
        };
        let (class, number) = ((header >> 16) as u16, (header >> 9 & 0x7f) as u8);
        OxmField::from_class_field(class, number)
            .filter(|_| header & 0xff == 0)
            .filter(|_| class != CLASS_EXPERIMENTER || experimenter == ONF_EXPERIMENTER)
            .map_or(*self, |field| OxmId {
                field: Ok(field),
                has_mask: header & 0x100 != 0,
            })
    }
}

impl Wire for OxmId {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let header = u32::read(r)?;
        let (class, number) = ((header >> 16) as u16, (header >> 9 & 0x7f) as u8);
        let has_mask = header & 0x100 != 0;
        let experimenter = if class == CLASS_EXPERIMENTER {
            u32::read(r)?
        } else {
            0
        };
        let known = OxmField::from_class_field(class, number)
            .filter(|_| class != CLASS_EXPERIMENTER || experimenter == ONF_EXPERIMENTER)
            .filter(|field| field.header(has_mask) == header);
        Ok(match known {
            Some(field) => OxmId {
                field: Ok(field),
                has_mask,
            },
            None => OxmId {
                field: Err((header, experimenter)),
                has_mask: false,
            },
        })
    }

    fn write(&self, w: &mut Vec<u8>) {
        let (header, experimenter) = match self.field {
            Ok(field) => (field.header(self.has_mask), ONF_EXPERIMENTER),
            Err(unknown) => unknown,
        };
        header.write(w);
        if header >> 16 == u32::from(CLASS_EXPERIMENTER) {
            experimenter.write(w);
        }
    }
}

/// What a set-field or the like answers when its OXM is of the wrong length.
pub(crate) const BAD_SET_LEN: ErrorCode = ErrorCode::BadActionBadSetLen;
