//! Whether instructions and actions make sense here (OF 1.3.5 §7.4.4): the checks that need the switch's state or
//! the flow's match. What a message shows by itself the decoder has refused already; what would do harm is refused
//! here once more.

use crate::fields::place;
use crate::group::Groups;
use crate::meter::Meters;
use crate::nicira::check_nicira;
use crate::tables::TABLES;
use weft_openflow::{
    Action, ErrorCode, Instruction, Match, OfError, OxmField, OxmTlv, Prerequisite, group_no,
    meter_no, port_no,
};

/// Where actions stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A flow's apply-actions.
    Apply,
    /// A flow's write-actions.
    Write,
    /// A bucket.
    Bucket,
    /// A packet-out.
    PacketOut,
}

/// What is known of the packets that actions will meet.
#[derive(Clone, Copy, Debug)]
enum Known<T> {
    /// Matched, or set by an action.
    Is(T),
    /// Not matched: anything.
    Unmatched,
    /// Depends on the packet in a way no match can tell: nothing is refused.
    Open,
}

impl<T: PartialEq> Known<T> {
    fn may_be(&self, one_of: impl Fn(&T) -> bool) -> bool {
        match self {
            Known::Is(value) => one_of(value),
            Known::Unmatched => false,
            Known::Open => true,
        }
    }
}

/// The headers that actions can count on.
#[derive(Clone, Copy, Debug)]
struct Headers {
    eth_type: Known<u16>,
    vlan: Known<bool>,
    ip_proto: Known<u8>,
    icmpv6_type: Known<u8>,
}

impl Headers {
    const OPEN: Headers = Headers {
        eth_type: Known::Open,
        vlan: Known::Open,
        ip_proto: Known::Open,
        icmpv6_type: Known::Open,
    };

    fn of(matching: &Match) -> Headers {
        let mut headers = Headers {
            eth_type: Known::Unmatched,
            vlan: Known::Unmatched,
            ip_proto: Known::Unmatched,
            icmpv6_type: Known::Unmatched,
        };
        for tlv in &matching.fields {
            match tlv.field.canonical() {
                OxmField::EthType => headers.eth_type = Known::Is(tlv.value as u16),
                OxmField::IpProto => headers.ip_proto = Known::Is(tlv.value as u8),
                OxmField::Icmpv6Type => headers.icmpv6_type = Known::Is(tlv.value as u8),
                OxmField::VlanVid | OxmField::NxmVlanTci if tlv.mask_or_max() & 0x1000 != 0 => {
                    headers.vlan = Known::Is(tlv.value & 0x1000 != 0);
                }
                _ => {}
            }
        }
        headers
    }

    fn is_ip(&self) -> bool {
        self.eth_type.may_be(|kind| matches!(kind, 0x0800 | 0x86dd))
    }

    fn is_mpls(&self) -> bool {
        self.eth_type.may_be(|kind| matches!(kind, 0x8847 | 0x8848))
    }

    fn meets(&self, prerequisite: Prerequisite) -> bool {
        match prerequisite {
            Prerequisite::None | Prerequisite::InPort => true,
            Prerequisite::VlanPresent => self.vlan.may_be(|present| *present),
            Prerequisite::EthType(kinds) => self.eth_type.may_be(|kind| kinds.contains(kind)),
            Prerequisite::IpProto(proto) => self.is_ip() && self.ip_proto.may_be(|p| *p == proto),
            Prerequisite::Icmpv6Type(types) => {
                self.ip_proto.may_be(|p| *p == 58) && self.icmpv6_type.may_be(|t| types.contains(t))
            }
        }
    }

    /// After an action that brings another EtherType to light.
    fn reveal(&mut self, eth_type: Known<u16>) {
        self.eth_type = eth_type;
        self.ip_proto = Known::Open;
        self.icmpv6_type = Known::Open;
    }
}

/// The state that references are checked against.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub groups: &'a Groups,
    pub meters: &'a Meters,
    /// Tables that the asker may change, for `learn`.
    pub own_tables: usize,
}

fn fail(code: ErrorCode, detail: impl Into<String>) -> OfError {
    OfError::new(code, detail)
}

impl Context<'_> {
    /// Checks the instructions of a flow in `table_id`.
    pub fn instructions(
        &self,
        instructions: &[Instruction],
        matching: &Match,
        table_id: u8,
    ) -> Result<(), OfError> {
        let mut seen = 0u32;
        for instruction in instructions {
            let bit = 1u32 << instruction.code().min(31);
            if seen & bit != 0 {
                return Err(fail(
                    ErrorCode::BadInstructionDupInst,
                    "an instruction comes twice",
                ));
            }
            seen |= bit;
            match instruction {
                Instruction::GotoTable { table_id: next } => {
                    if *next <= table_id || usize::from(*next) >= TABLES {
                        let detail = format!("from table {table_id} to {next}");
                        return Err(fail(ErrorCode::BadInstructionBadTableId, detail));
                    }
                }
                Instruction::Meter { meter_id } => {
                    if *meter_id == 0 || *meter_id > meter_no::MAX {
                        return Err(fail(
                            ErrorCode::MeterModFailedInvalidMeter,
                            format!("{meter_id:#x}"),
                        ));
                    }
                    if !self.meters.exists(*meter_id) {
                        return Err(fail(
                            ErrorCode::MeterModFailedUnknownMeter,
                            format!("{meter_id}"),
                        ));
                    }
                }
                Instruction::ApplyActions { actions } => {
                    self.matched(actions, matching, Place::Apply)?
                }
                Instruction::WriteActions { actions } => {
                    // They will be done in the order of the action set (§5.10).
                    let mut actions = actions.clone();
                    actions.sort_by_key(crate::action_set::rank);
                    self.matched(&actions, matching, Place::Write)?;
                }
                Instruction::WriteMetadata { .. } | Instruction::ClearActions => {}
                Instruction::Experimenter { .. } => {
                    return Err(fail(
                        ErrorCode::BadInstructionBadExperimenter,
                        "unknown experimenter",
                    ));
                }
                Instruction::Unknown { code, .. } => {
                    return Err(fail(
                        ErrorCode::BadInstructionUnknownInst,
                        format!("type {code}"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Checks actions of a flow with this match.
    fn matched(&self, actions: &[Action], matching: &Match, place: Place) -> Result<(), OfError> {
        self.list(actions, &mut Headers::of(matching), place, 0)
    }

    /// Checks actions that meet any packet.
    pub fn unmatched(&self, actions: &[Action], place: Place) -> Result<(), OfError> {
        self.list(actions, &mut Headers::OPEN.clone(), place, 0)
    }

    fn list(
        &self,
        actions: &[Action],
        headers: &mut Headers,
        place: Place,
        depth: u8,
    ) -> Result<(), OfError> {
        if depth > 8 {
            return Err(fail(
                ErrorCode::BadActionTooMany,
                "clones nested too deeply",
            ));
        }
        actions
            .iter()
            .try_for_each(|action| self.action(action, headers, place, depth))
    }

    fn action(
        &self,
        action: &Action,
        headers: &mut Headers,
        at: Place,
        depth: u8,
    ) -> Result<(), OfError> {
        let need = |met: bool, what: &str| {
            let detail = || format!("{what}: the match does not say that the packet has it");
            if met {
                Ok(())
            } else {
                Err(fail(ErrorCode::BadActionMatchInconsistent, detail()))
            }
        };
        let argument = |good: bool, kind: u16| {
            let detail = || format!("Ethernet type {kind:#06x}");
            if good {
                Ok(())
            } else {
                Err(fail(ErrorCode::BadActionBadArgument, detail()))
            }
        };
        match action {
            Action::Output { port, .. } => check_port(*port, at),
            Action::Group { group_id } => {
                let known = *group_id <= group_no::MAX && self.groups.exists(*group_id);
                let error = || fail(ErrorCode::BadActionBadOutGroup, format!("group {group_id}"));
                if known { Ok(()) } else { Err(error()) }
            }
            Action::SetQueue { .. } => Ok(()),
            Action::PushVlan { ethertype } => {
                argument(matches!(ethertype, 0x8100 | 0x88a8), *ethertype)?;
                headers.vlan = Known::Is(true);
                Ok(())
            }
            Action::PopVlan => {
                need(headers.vlan.may_be(|present| *present), "VLAN tag")?;
                headers.vlan = Known::Open;
                Ok(())
            }
            Action::PushMpls { ethertype } => {
                argument(matches!(ethertype, 0x8847 | 0x8848), *ethertype)?;
                headers.reveal(Known::Is(*ethertype));
                Ok(())
            }
            Action::PopMpls { ethertype } => {
                need(headers.is_mpls(), "MPLS label")?;
                headers.reveal(Known::Is(*ethertype));
                Ok(())
            }
            Action::PushPbb { ethertype } => {
                argument(*ethertype == 0x88e7, *ethertype)?;
                headers.reveal(Known::Is(*ethertype));
                headers.vlan = Known::Is(false);
                Ok(())
            }
            Action::PopPbb => {
                need(headers.eth_type.may_be(|kind| *kind == 0x88e7), "PBB tag")?;
                headers.reveal(Known::Open);
                headers.vlan = Known::Open;
                Ok(())
            }
            Action::SetMplsTtl { .. } | Action::DecMplsTtl => need(headers.is_mpls(), "MPLS label"),
            Action::CopyTtlOut | Action::CopyTtlIn => need(headers.is_mpls(), "MPLS label"),
            Action::SetNwTtl { .. } | Action::DecNwTtl => need(headers.is_ip(), "IP header"),
            Action::SetField { field } => check_set_field(field, headers),
            Action::Nicira(nicira) => {
                check_nicira(nicira, at, self.own_tables)?;
                match nicira {
                    weft_openflow::NxAction::Clone { actions } => {
                        self.list(actions, &mut headers.clone(), at, depth + 1)
                    }
                    _ => Ok(()),
                }
            }
            Action::Experimenter { experimenter, .. } => Err(fail(
                ErrorCode::BadActionBadExperimenter,
                format!("{experimenter:#010x}"),
            )),
            Action::Unknown { code, .. } => {
                Err(fail(ErrorCode::BadActionBadType, format!("type {code}")))
            }
        }
    }
}

fn check_port(port: u32, at: Place) -> Result<(), OfError> {
    let good = match port {
        0 | port_no::ANY => false,
        port_no::TABLE => at == Place::PacketOut,
        1..=port_no::MAX | port_no::IN_PORT.. => true,
        _ => false,
    };
    if good {
        Ok(())
    } else {
        Err(fail(
            ErrorCode::BadActionBadOutPort,
            format!("port {port:#x}"),
        ))
    }
}

fn check_set_field(tlv: &OxmTlv, headers: &mut Headers) -> Result<(), OfError> {
    let info = tlv.field.info();
    if !info.settable || place(tlv.field).is_none() {
        return Err(fail(
            ErrorCode::BadActionBadSetType,
            format!("{} cannot be set", info.name),
        ));
    }
    if tlv.value & !info.max() != 0 {
        let detail = format!("{}: value of more than {} bits", info.name, info.bits);
        return Err(fail(ErrorCode::BadActionBadSetArgument, detail));
    }
    // There must be a tag whose VID can be set, though a match on it has no prerequisite.
    let prerequisite = match tlv.field {
        OxmField::VlanVid => Prerequisite::VlanPresent,
        _ => info.prerequisite,
    };
    if !headers.meets(prerequisite) {
        let detail = format!(
            "{}: the match does not say that the packet has it",
            info.name
        );
        return Err(fail(ErrorCode::BadActionMatchInconsistent, detail));
    }
    match tlv.field.canonical() {
        OxmField::EthType => headers.reveal(Known::Is(tlv.value as u16)),
        OxmField::IpProto => headers.ip_proto = Known::Is(tlv.value as u8),
        OxmField::Icmpv6Type => headers.icmpv6_type = Known::Is(tlv.value as u8),
        _ => {}
    }
    Ok(())
}
