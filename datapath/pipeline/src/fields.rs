//! From OpenFlow's match fields to the flow key's.

use weft_frame::field::{self, Field, present};
use weft_frame::{FlowKey, FlowMask};
use weft_openflow::{ErrorCode, Match, OfError, OxmField, OxmTlv};

/// Where a match field lies in the key, and which header must be there for it to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub field: Field,
    /// Bits of [`field::PRESENT`].
    pub present: u64,
}

/// Whether this switch has the field: it can be matched, and set if it is a settable one.
pub fn has_field(field: OxmField) -> bool {
    place(field).is_some()
}

/// The place of a field; `None` for fields this switch does not have.
pub(crate) fn place(oxm: OxmField) -> Option<Place> {
    use OxmField as F;
    let at = |field, present| Some(Place { field, present });
    match oxm.canonical() {
        F::InPort | F::NxmInPort => at(field::IN_PORT, 0),
        F::InPhyPort => at(field::IN_PHY_PORT, 0),
        F::Metadata => at(field::METADATA, 0),
        F::EthDst => at(field::ETH_DST, 0),
        F::EthSrc => at(field::ETH_SRC, 0),
        F::EthType => at(field::ETH_TYPE, 0),
        F::VlanVid => at(field::VLAN_VID, 0),
        F::NxmVlanTci => at(field::VLAN_TCI, 0),
        F::VlanPcp => at(field::VLAN_PCP, 0),
        F::IpDscp | F::NxmIpTos => at(field::IP_DSCP, present::L3),
        F::IpEcn => at(field::IP_ECN, present::L3),
        F::IpProto => at(field::IP_PROTO, present::L3),
        F::IpTtl => at(field::IP_TTL, present::L3),
        F::IpFrag => at(field::IP_FRAG, present::L3),
        F::Ipv4Src => at(field::IPV4_SRC, present::L3),
        F::Ipv4Dst => at(field::IPV4_DST, present::L3),
        F::TcpSrc | F::UdpSrc | F::SctpSrc => at(field::L4_SRC, present::L4),
        F::TcpDst | F::UdpDst | F::SctpDst => at(field::L4_DST, present::L4),
        F::TcpFlags => at(field::TCP_FLAGS, present::L4),
        F::Icmpv4Type | F::Icmpv6Type => at(field::ICMP_TYPE, present::L4),
        F::Icmpv4Code | F::Icmpv6Code => at(field::ICMP_CODE, present::L4),
        F::ArpOp => at(field::ARP_OP, present::L3),
        F::ArpSpa => at(field::ARP_SPA, present::L3),
        F::ArpTpa => at(field::ARP_TPA, present::L3),
        F::ArpSha => at(field::ARP_SHA, present::L3),
        F::ArpTha => at(field::ARP_THA, present::L3),
        F::Ipv6Src => at(field::IPV6_SRC, present::L3),
        F::Ipv6Dst => at(field::IPV6_DST, present::L3),
        F::Ipv6Flabel => at(field::IPV6_FLABEL, present::L3),
        F::Ipv6Exthdr => at(field::IPV6_EXTHDR, present::L3),
        F::Ipv6NdTarget => at(field::ND_TARGET, present::ND_TARGET),
        F::Ipv6NdSll => at(field::ND_SLL, present::ND_SLL),
        F::Ipv6NdTll => at(field::ND_TLL, present::ND_TLL),
        F::MplsLabel => at(field::MPLS_LABEL, present::SHIM),
        F::MplsTc => at(field::MPLS_TC, present::SHIM),
        F::MplsBos => at(field::MPLS_BOS, present::SHIM),
        F::MplsTtl => at(field::MPLS_TTL, present::SHIM),
        F::PbbIsid => at(field::PBB_ISID, present::SHIM),
        F::TunnelId => at(field::TUNNEL_ID, 0),
        F::TunIpv4Src => at(field::TUN_SRC, 0),
        F::TunIpv4Dst => at(field::TUN_DST, 0),
        F::PktMark => at(field::PKT_MARK, 0),
        F::ConjId => at(field::CONJ_ID, 0),
        register => {
            let n = register as u8;
            let from = |first: OxmField| n.wrapping_sub(first as u8);
            if from(F::Reg0) < 16 {
                at(field::reg(from(F::Reg0)), 0)
            } else if from(F::Xreg0) < 8 {
                at(field::xreg(from(F::Xreg0)), 0)
            } else if from(F::Xxreg0) < 4 {
                let first = field::xreg(2 * from(F::Xxreg0));
                at(Field { bits: 128, ..first }, 0)
            } else {
                None
            }
        }
    }
}

/// Value and mask of a field as they stand in the key, where Nicira's form differs from the standard's.
pub(crate) fn to_key(tlv: &OxmTlv) -> (u128, u128) {
    let (value, mask) = (tlv.value, tlv.mask_or_max());
    match tlv.field {
        // The six bits of the DSCP, written as the byte they lie in.
        OxmField::NxmIpTos => (value >> 2, mask >> 2),
        // OpenFlow 1.0's 16-bit reserved ports.
        OxmField::NxmInPort if value >= 0xff00 => (value | 0xffff_0000, u128::from(u32::MAX)),
        OxmField::NxmInPort => (value, u128::from(u32::MAX)),
        _ => (value, mask),
    }
}

/// A match as key and mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compiled {
    pub key: FlowKey,
    pub mask: FlowMask,
}

impl Compiled {
    /// Whether every packet that meets this meets `other` too.
    pub fn is_within(&self, other: &Compiled) -> bool {
        self.mask.covers(&other.mask) && self.key.matches(&other.mask, &other.key)
    }
}

/// Compiles a match whose fields stand for themselves (prerequisites and masks were checked by the decoder).
pub(crate) fn compile(matching: &Match) -> Result<Compiled, OfError> {
    if !matching.unknown.is_empty() {
        return Err(OfError::new(
            ErrorCode::BadMatchBadField,
            "unknown match field",
        ));
    }
    compile_fields(matching.fields.iter().copied())
}

pub(crate) fn compile_fields(fields: impl Iterator<Item = OxmTlv>) -> Result<Compiled, OfError> {
    let mut compiled = Compiled {
        key: FlowKey::ZERO,
        mask: FlowMask::ZERO,
    };
    for tlv in fields {
        let Some(place) = place(tlv.field) else {
            let detail = format!("{} cannot be matched here", tlv.field.name());
            return Err(OfError::new(ErrorCode::BadMatchBadField, detail));
        };
        let (value, mask) = to_key(&tlv);
        if value & !mask != 0 {
            let detail = format!("{}: value bits outside the mask", tlv.field.name());
            return Err(OfError::new(ErrorCode::BadMatchBadWildcards, detail));
        }
        let (was, bits) = (
            compiled.key.get(place.field),
            compiled.mask.get(place.field),
        );
        if (was ^ value) & bits & mask != 0 {
            let detail = format!("{} contradicts another field", tlv.field.name());
            return Err(OfError::new(ErrorCode::BadMatchDupField, detail));
        }
        if mask == 0 {
            continue; // As if it were not there (§7.2.3.5); needs no header either.
        }
        compiled.key.set(place.field, was | value);
        compiled.mask.set(place.field, bits | mask);
        let present = u128::from(place.present);
        compiled
            .key
            .set(field::PRESENT, compiled.key.get(field::PRESENT) | present);
        compiled
            .mask
            .set(field::PRESENT, compiled.mask.get(field::PRESENT) | present);
    }
    Ok(compiled)
}

/// A match, packed: for each field its number, whether it is masked, and the bytes of value and mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackedMatch(Box<[u8]>);

impl PackedMatch {
    pub fn new(matching: &Match) -> PackedMatch {
        let mut bytes = Vec::with_capacity(64);
        for tlv in &matching.fields {
            let len = usize::from(tlv.field.info().bytes);
            bytes.extend_from_slice(&[tlv.field as u8, u8::from(tlv.mask.is_some())]);
            bytes.extend_from_slice(&tlv.value.to_be_bytes()[16 - len..]);
            if let Some(mask) = tlv.mask {
                bytes.extend_from_slice(&mask.to_be_bytes()[16 - len..]);
            }
        }
        PackedMatch(bytes.into())
    }

    pub fn fields(&self) -> impl Iterator<Item = OxmTlv> + '_ {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let [id, masked, bytes @ ..] = rest else {
                return None;
            };
            let field = *OxmField::ALL.get(usize::from(*id))?;
            let len = usize::from(field.info().bytes);
            let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | u128::from(*b));
            let value = number(bytes.get(..len)?);
            let used = if *masked != 0 { 2 * len } else { len };
            let mask = if *masked != 0 {
                Some(number(bytes.get(len..used)?))
            } else {
                None
            };
            rest = bytes.get(used..)?;
            Some(OxmTlv { field, value, mask })
        })
    }

    pub fn unpack(&self) -> Match {
        self.fields().collect()
    }

    /// Key and mask; empty if what was packed did not compile, which the caller has ruled out.
    pub fn compile(&self) -> Compiled {
        compile_fields(self.fields()).unwrap_or(Compiled {
            key: FlowKey::ZERO,
            mask: FlowMask::ZERO,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_every_field() {
        let matching = Match::any()
            .with(OxmField::EthType, 0x86ddu16)
            .with_masked(OxmField::Ipv6Src, 0x2001u128 << 112, 0xffffu128 << 112)
            .with(OxmField::VlanVid, 0x1005u16)
            .with(OxmField::Reg3, 7u32);
        let packed = PackedMatch::new(&matching);
        assert_eq!(packed.unpack(), matching);
        assert_eq!(packed.compile(), compile(&matching).unwrap());
    }

    #[test]
    fn every_standard_field_has_a_place_as_wide_as_itself() {
        for field in OxmField::ALL {
            let Some(place) = place(*field) else {
                assert!(
                    field.info().class != weft_openflow::oxm::CLASS_BASIC,
                    "{field:?}"
                );
                continue;
            };
            if !matches!(field, OxmField::NxmInPort | OxmField::NxmIpTos) {
                assert_eq!(place.field.bits, field.info().bits, "{field:?}");
            }
        }
    }

    #[test]
    fn l4_matches_need_the_header() {
        let matching = Match::any()
            .with(OxmField::EthType, 0x0800u16)
            .with(OxmField::IpProto, 6u8)
            .with(OxmField::TcpSrc, 0u16);
        let compiled = compile(&matching).unwrap();
        let fragment = FlowKey::ZERO;
        assert!(!compiled.key.matches(&compiled.mask, &fragment));
        assert_eq!(
            compiled.key.get64(field::PRESENT),
            present::L3 | present::L4
        );
    }

    #[test]
    fn contradictions_are_refused() {
        let matching = Match::any()
            .with(OxmField::InPort, 1u8)
            .with(OxmField::NxmInPort, 2u8);
        assert_eq!(
            compile(&matching).unwrap_err().code,
            ErrorCode::BadMatchDupField
        );
    }
}
