//! `ofp_match` (OF 1.3.5 §7.2.3.1): a list of match fields.

use crate::error::{ErrorCode, Fault};
use crate::oxm::OxmField;
use crate::tlv::{AnyOxm, OxmTlv, UnknownOxm, read_oxm};
use crate::wire::{Reader, Wire, pad8, padding8, patch_length};

/// A match: the fields in the order of the wire. Empty: matches every packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Fields known.
    pub fields: Vec<OxmTlv>,
    /// Fields not known, each with the number of known fields before it. A switch refuses a match with any
    /// ([`crate::check()`]).
    pub unknown: Vec<(u16, UnknownOxm)>,
}

impl Match {
    /// The match of every packet.
    pub fn any() -> Self {
        Match::default()
    }

    /// The same with one more exact field.
    #[must_use]
    pub fn with(mut self, field: OxmField, value: impl Into<u128>) -> Self {
        self.fields.push(OxmTlv::new(field, value.into()));
        self
    }

    /// The same with one more masked field.
    #[must_use]
    pub fn with_masked(
        mut self,
        field: OxmField,
        value: impl Into<u128>,
        mask: impl Into<u128>,
    ) -> Self {
        self.fields
            .push(OxmTlv::masked(field, value.into(), mask.into()));
        self
    }

    /// The entry for a field.
    pub fn get(&self, field: OxmField) -> Option<&OxmTlv> {
        self.fields.iter().find(|tlv| tlv.field == field)
    }

    /// The value of a field that is matched exactly.
    pub fn exact(&self, field: OxmField) -> Option<u128> {
        self.get(field)
            .filter(|tlv| tlv.mask.is_none())
            .map(|tlv| tlv.value)
    }

    /// Whether the match has no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.unknown.is_empty()
    }

    /// Reads OXMs until `r` is empty; a field that comes twice is refused (`OFPBMC_DUP_FIELD`).
    pub(crate) fn read_oxms(r: &mut Reader<'_>) -> Result<Match, Fault> {
        let mut list = Match {
            fields: Vec::with_capacity(count_oxms(r.peek())),
            unknown: Vec::new(),
        };
        let mut seen = 0u128;
        while !r.is_empty() {
            let at = r.offset();
            match read_oxm(r)? {
                AnyOxm::Known(tlv) => {
                    let bit = 1u128 << (tlv.field as u8);
                    if seen & bit != 0 {
                        let fault =
                            Fault::new(ErrorCode::BadMatchDupField, at, "the field comes twice");
                        return Err(fault.within(tlv.field.name()));
                    }
                    seen |= bit;
                    list.fields.push(tlv);
                }
                AnyOxm::Unknown(oxm) => {
                    let id = oxm.header() & !0x1ff;
                    if list
                        .unknown
                        .iter()
                        .any(|(_, other)| same_field(other, &oxm, id))
                    {
                        return Err(Fault::new(
                            ErrorCode::BadMatchDupField,
                            at,
                            "the field comes twice",
                        ));
                    }
                    list.unknown.push((list.fields.len() as u16, oxm));
                }
            }
        }
        Ok(list)
    }

    /// Appends the OXMs, without header and padding.
    pub(crate) fn write_oxms(&self, w: &mut Vec<u8>) {
        let mut unknown = self.unknown.iter().peekable();
        for (i, tlv) in self.fields.iter().enumerate() {
            while let Some((_, oxm)) = unknown.next_if(|(before, _)| usize::from(*before) <= i) {
                oxm.write(w);
            }
            tlv.write(w);
        }
        for (_, oxm) in unknown {
            oxm.write(w);
        }
    }
}

impl FromIterator<OxmTlv> for Match {
    fn from_iter<I: IntoIterator<Item = OxmTlv>>(fields: I) -> Self {
        Match {
            fields: fields.into_iter().collect(),
            unknown: Vec::new(),
        }
    }
}

/// Whether two unknown OXMs are of the same field: same class and number, for experimenters' the same id.
fn same_field(a: &UnknownOxm, b: &UnknownOxm, id: u32) -> bool {
    let experimenter = |oxm: &UnknownOxm| oxm.payload().first_chunk::<4>().copied();
    a.header() & !0x1ff == id && (id >> 16 != 0xffff || experimenter(a) == experimenter(b))
}

/// How many OXMs there are, so that they get a list of just that size.
fn count_oxms(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Some([_, _, _, length]) = bytes.first_chunk::<4>() {
        count += 1;
        bytes = bytes.get(4 + usize::from(*length)..).unwrap_or(&[]);
    }
    count
}

impl Wire for Match {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let outer_code = std::mem::replace(&mut r.bad_len, ErrorCode::BadMatchBadLen);
        let start = r.offset();
        let kind = u16::read(r)?;
        if kind != 1 {
            let fault = Fault::new(
                ErrorCode::BadMatchBadType,
                start,
                format!("match type {kind} is not OXM"),
            );
            return Err(fault.within("type"));
        }
        let length = usize::from(u16::read(r)?);
        let padding = padding8(length);
        if length < 4 || length + padding > r.len() + 4 {
            let detail = format!(
                "length {length} does not fit the {} bytes left",
                r.len() + 4
            );
            return Err(Fault::new(ErrorCode::BadMatchBadLen, start + 2, detail).within("length"));
        }
        let list = Match::read_oxms(&mut r.sub(length - 4)?)?;
        r.skip(padding)?;
        r.bad_len = outer_code;
        Ok(list)
    }

    fn write(&self, w: &mut Vec<u8>) {
        let start = w.len();
        w.extend_from_slice(&[0, 1, 0, 0]);
        self.write_oxms(w);
        patch_length(w, start, start + 2);
        pad8(w, start);
    }
}
