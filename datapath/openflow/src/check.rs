//! What a switch refuses by looking at a message alone (OF 1.3.5 §7.4.4): numbers without a meaning, fields without
//! their prerequisites, masks and values that cannot be.
//!
//! Not looked at, as it takes the switch's state: whether tables, ports, groups, meters, queues exist; whether
//! actions suit the match (`OFPBAC_MATCH_INCONSISTENT`); what groups' buckets may watch; roles and permissions.

use crate::action::Action;
use crate::asynchronous::Role;
use crate::consts::{
    config_flags, flow_mod_flags, group_no, meter_flags, meter_no, multipart_flags, port_config,
    port_no, table_no, vlan,
};
use crate::error::{ErrorCode as E, OfError};
use crate::flow_mod::{FlowMod, FlowModCommand};
use crate::group::{GroupMod, GroupModCommand, GroupType};
use crate::instruction::Instruction;
use crate::matching::Match;
use crate::message::{Body, Message};
use crate::meter::{MeterBand, MeterMod, MeterModCommand};
use crate::multipart::{MultipartRequest, MultipartRequestBody};
use crate::nicira::NxAction;
use crate::observers::WeftMessage;
use crate::oxm::{OxmField, Prerequisite};
use crate::packet::PacketOut;
use crate::switch::SwitchConfig;
use crate::tlv::OxmTlv;

type Check = Result<(), OfError>;

#[cold]
fn refuse(code: E, detail: impl Into<String>) -> Check {
    Err(OfError::new(code, detail))
}

/// Checks what a controller asks of a switch. Messages that only a switch sends are refused.
pub fn check(message: &Message) -> Check {
    match &message.body {
        Body::FlowMod(flow_mod) => check_flow_mod(flow_mod),
        Body::PacketOut(packet_out) => check_packet_out(packet_out),
        Body::GroupMod(group_mod) => check_group_mod(group_mod),
        Body::MeterMod(meter_mod) => check_meter_mod(meter_mod),
        Body::MultipartRequest(request) => check_multipart_request(request),
        Body::SetConfig(config) => check_config(config),
        Body::PortMod(port_mod) if (port_mod.config | port_mod.mask) & !port_config::ALL != 0 => {
            refuse(
                E::PortModFailedBadConfig,
                format!("config {:#x} mask {:#x}", port_mod.config, port_mod.mask),
            )
        }
        Body::TableMod(table_mod) if table_mod.config & !TABLE_CONFIG_DEPRECATED != 0 => refuse(
            E::TableModFailedBadConfig,
            format!("config {:#x}", table_mod.config),
        ),
        Body::RoleRequest(request) => match request.role {
            Role::Unknown(role) => refuse(E::RoleRequestFailedBadRole, format!("role {role}")),
            _ => Ok(()),
        },
        Body::BundleAdd(add) if add.message.xid != message.xid => {
            let detail = format!("xid {:#x} within xid {:#x}", add.message.xid, message.xid);
            refuse(E::BundleFailedMsgBadXid, detail)
        }
        Body::BundleAdd(add) => check(&add.message),
        Body::FeaturesReply(_)
        | Body::GetConfigReply(_)
        | Body::PacketIn(_)
        | Body::FlowRemoved(_)
        | Body::PortStatus(_)
        | Body::MultipartReply(_)
        | Body::BarrierReply
        | Body::QueueGetConfigReply(_)
        | Body::RoleReply(_)
        | Body::GetAsyncReply(_)
        | Body::Weft(WeftMessage::Samples(_) | WeftMessage::FlowRecords(_)) => refuse(
            E::BadRequestBadType,
            format!(
                "message type {} comes from switches only",
                message.body.code()
            ),
        ),
        _ => Ok(()),
    }
}

/// `OFPTC_DEPRECATED_MASK`: bits of earlier versions, without effect.
const TABLE_CONFIG_DEPRECATED: u32 = 3;

fn check_config(config: &SwitchConfig) -> Check {
    if config.flags > config_flags::FRAG_REASM {
        return refuse(
            E::SwitchConfigFailedBadFlags,
            format!("flags {:#x}", config.flags),
        );
    }
    Ok(())
}

/// What the fields of a match seen so far say about the packet.
#[derive(Default)]
struct Known {
    in_port: bool,
    vlan_present: bool,
    eth_type: Option<u128>,
    ip_proto: Option<u128>,
    icmpv6_type: Option<u128>,
}

impl Known {
    fn learn(&mut self, tlv: &OxmTlv) {
        match tlv.field.canonical() {
            OxmField::InPort | OxmField::NxmInPort => self.in_port = true,
            OxmField::VlanVid | OxmField::NxmVlanTci => {
                self.vlan_present = tlv.value & tlv.mask_or_max() & u128::from(vlan::PRESENT) != 0;
            }
            OxmField::EthType => self.eth_type = Some(tlv.value),
            OxmField::IpProto => self.ip_proto = Some(tlv.value),
            OxmField::Icmpv6Type => self.icmpv6_type = Some(tlv.value),
            _ => {}
        }
    }

    fn meets(&self, prerequisite: Prerequisite) -> bool {
        match prerequisite {
            Prerequisite::None => true,
            Prerequisite::InPort => self.in_port,
            Prerequisite::VlanPresent => self.vlan_present,
            Prerequisite::EthType(types) => {
                types.iter().any(|&t| self.eth_type == Some(u128::from(t)))
            }
            Prerequisite::IpProto(proto) => self.ip_proto == Some(u128::from(proto)),
            Prerequisite::Icmpv6Type(types) => types
                .iter()
                .any(|&t| self.icmpv6_type == Some(u128::from(t))),
        }
    }
}

/// Checks a match (§7.2.3): fields known, not twice, after their prerequisites, with values and masks that can be.
pub fn check_match(fields: &Match) -> Check {
    if let Some((_, oxm)) = fields.unknown.first() {
        return refuse(
            E::BadMatchBadField,
            format!("OXM {:#010x} is not known", oxm.header()),
        );
    }
    let mut known = Known::default();
    let mut seen = 0u128;
    for tlv in &fields.fields {
        let info = tlv.field.info();
        let bit = 1u128 << (tlv.field.canonical() as u8);
        if seen & bit != 0 {
            return refuse(E::BadMatchDupField, format!("{} comes twice", info.name));
        }
        seen |= bit;
        if !known.meets(info.prerequisite) {
            return refuse(
                E::BadMatchBadPrereq,
                format!("{} without what it needs before it", info.name),
            );
        }
        if tlv.value > info.max() {
            return refuse(
                E::BadMatchBadValue,
                format!("{} of {:#x}", info.name, tlv.value),
            );
        }
        match tlv.mask {
            Some(mask) if !info.maskable || mask > info.max() => {
                return refuse(
                    E::BadMatchBadMask,
                    format!("{} with mask {mask:#x}", info.name),
                );
            }
            // §7.2.3.5: bits of the value that the mask leaves out must be zero.
            Some(mask) if tlv.value & !mask != 0 => {
                let detail = format!("{} of {:#x} with mask {mask:#x}", info.name, tlv.value);
                return refuse(E::BadMatchBadWildcards, detail);
            }
            None if tlv.field == OxmField::VlanVid => {
                let vid = tlv.value;
                if vid != u128::from(vlan::NONE) && vid & u128::from(vlan::PRESENT) == 0 {
                    return refuse(
                        E::BadMatchBadValue,
                        format!("vlan_vid of {vid:#x} without OFPVID_PRESENT"),
                    );
                }
            }
            _ => {}
        }
        known.learn(tlv);
    }
    Ok(())
}

fn check_flow_mod(flow_mod: &FlowMod) -> Check {
    if let FlowModCommand::Unknown(command) = flow_mod.command {
        return refuse(E::FlowModFailedBadCommand, format!("command {command}"));
    }
    if flow_mod.flags & !flow_mod_flags::ALL != 0 {
        return refuse(
            E::FlowModFailedBadFlags,
            format!("flags {:#x}", flow_mod.flags),
        );
    }
    check_match(&flow_mod.match_)?;
    if matches!(
        flow_mod.command,
        FlowModCommand::Delete | FlowModCommand::DeleteStrict
    ) {
        // Instructions mean nothing when deleting (§6.4), and clients fill in the oddest ones.
        return Ok(());
    }
    if flow_mod.table_id > table_no::MAX {
        return refuse(
            E::FlowModFailedBadTableId,
            "all tables, in an add or modify",
        );
    }
    check_instructions(flow_mod.table_id, &flow_mod.instructions)
}

/// Checks the instructions of a flow in `table_id` (§7.2.4).
pub fn check_instructions(table_id: u8, instructions: &[Instruction]) -> Check {
    let mut seen = 0u8;
    for instruction in instructions {
        match instruction {
            Instruction::Unknown { code, .. } => {
                return refuse(
                    E::BadInstructionUnknownInst,
                    format!("instruction {code} is not known"),
                );
            }
            Instruction::Experimenter { experimenter, .. } => {
                return refuse(
                    E::BadInstructionBadExperimenter,
                    format!("experimenter {experimenter:#x}"),
                );
            }
            Instruction::GotoTable { table_id: next }
                if *next > table_no::MAX || *next <= table_id =>
            {
                return refuse(
                    E::BadInstructionBadTableId,
                    format!("goto {next} in table {table_id}"),
                );
            }
            Instruction::WriteActions { actions } | Instruction::ApplyActions { actions } => {
                check_actions(actions, false)?;
            }
            _ => {}
        }
        let bit = 1u8 << instruction.code().min(7);
        if seen & bit != 0 {
            return refuse(
                E::BadInstructionDupInst,
                format!("instruction {} comes twice", instruction.code()),
            );
        }
        seen |= bit;
    }
    Ok(())
}

/// Checks a list of actions (§7.2.5); `packet_out`: output to the flow tables is allowed.
pub fn check_actions(actions: &[Action], packet_out: bool) -> Check {
    actions
        .iter()
        .try_for_each(|action| check_action(action, packet_out))
}

/// The code of a set-field, as [`Action::Unknown`] keeps those of fields that are not known.
const SET_FIELD: u16 = 25;

fn check_action(action: &Action, packet_out: bool) -> Check {
    match action {
        Action::Output { port, .. } => check_out_port(*port, packet_out),
        Action::Group { group_id } if *group_id > group_no::MAX => {
            refuse(E::BadActionBadOutGroup, format!("group {group_id:#x}"))
        }
        Action::PushVlan { ethertype } if !matches!(ethertype, 0x8100 | 0x88a8) => refuse(
            E::BadActionBadArgument,
            format!("push_vlan of {ethertype:#06x}"),
        ),
        Action::PushMpls { ethertype } if !matches!(ethertype, 0x8847 | 0x8848) => refuse(
            E::BadActionBadArgument,
            format!("push_mpls of {ethertype:#06x}"),
        ),
        Action::PushPbb { ethertype } if *ethertype != 0x88e7 => refuse(
            E::BadActionBadArgument,
            format!("push_pbb of {ethertype:#06x}"),
        ),
        Action::SetField { field } => check_set_field(field, false),
        Action::Nicira(NxAction::RegLoad2 { field }) => check_set_field(field, true),
        Action::Nicira(NxAction::Clone { actions }) => check_actions(actions, packet_out),
        Action::Nicira(
            NxAction::Sample { probability: 0, .. }
            | NxAction::Sample2 { probability: 0, .. }
            | NxAction::Sample3 { probability: 0, .. },
        ) => refuse(E::BadActionBadArgument, "sample with a probability of 0"),
        Action::Unknown {
            code: SET_FIELD, ..
        } => refuse(
            E::BadActionBadSetType,
            "set_field of a field that is not known",
        ),
        Action::Unknown { code, .. } => {
            refuse(E::BadActionBadType, format!("action {code} is not known"))
        }
        Action::Experimenter { experimenter, .. } => {
            // Nicira is known, but not this action of theirs.
            let known = *experimenter == crate::consts::NICIRA_EXPERIMENTER;
            let code = if known {
                E::BadActionBadExpType
            } else {
                E::BadActionBadExperimenter
            };
            refuse(
                code,
                format!("action of experimenter {experimenter:#x} is not known"),
            )
        }
        _ => Ok(()),
    }
}

fn check_out_port(port: u32, packet_out: bool) -> Check {
    match port {
        0 | port_no::ANY => refuse(E::BadActionBadOutPort, format!("output to port {port:#x}")),
        port_no::TABLE if !packet_out => {
            refuse(E::BadActionBadOutPort, "output to TABLE in a flow")
        }
        1..=port_no::MAX | port_no::IN_PORT.. => Ok(()),
        _ => refuse(
            E::BadActionBadOutPort,
            format!("output to reserved port {port:#x}"),
        ),
    }
}

fn check_set_field(tlv: &OxmTlv, maskable: bool) -> Check {
    let info = tlv.field.info();
    if !info.settable || (tlv.mask.is_some() && !maskable) {
        return refuse(
            E::BadActionBadSetType,
            format!("set_field of {}", info.name),
        );
    }
    if tlv.value > info.max() || tlv.mask.is_some_and(|mask| mask > info.max()) {
        return refuse(
            E::BadActionBadSetArgument,
            format!("set_field of {} to {:#x}", info.name, tlv.value),
        );
    }
    Ok(())
}

fn check_packet_out(packet_out: &PacketOut) -> Check {
    match packet_out.in_port {
        port_no::CONTROLLER | port_no::LOCAL | port_no::ANY | 0..=port_no::MAX => {}
        port => return refuse(E::BadRequestBadPort, format!("in_port {port:#x}")),
    }
    check_actions(&packet_out.actions, true)
}

fn check_group_mod(group_mod: &GroupMod) -> Check {
    if let GroupModCommand::Unknown(command) = group_mod.command {
        return refuse(E::GroupModFailedBadCommand, format!("command {command}"));
    }
    let delete = group_mod.command == GroupModCommand::Delete;
    if group_mod.group_id > group_no::MAX && !(delete && group_mod.group_id == group_no::ALL) {
        return refuse(
            E::GroupModFailedInvalidGroup,
            format!("group {:#x}", group_mod.group_id),
        );
    }
    if delete {
        return Ok(());
    }
    if let GroupType::Unknown(group_type) = group_mod.group_type {
        return refuse(E::GroupModFailedBadType, format!("group type {group_type}"));
    }
    group_mod
        .buckets
        .iter()
        .try_for_each(|bucket| check_actions(&bucket.actions, false))
}

fn check_meter_mod(meter_mod: &MeterMod) -> Check {
    if let MeterModCommand::Unknown(command) = meter_mod.command {
        return refuse(E::MeterModFailedBadCommand, format!("command {command}"));
    }
    let delete = meter_mod.command == MeterModCommand::Delete;
    match meter_mod.meter_id {
        1..=meter_no::MAX | meter_no::SLOWPATH | meter_no::CONTROLLER => {}
        meter_no::ALL if delete => {}
        id => return refuse(E::MeterModFailedInvalidMeter, format!("meter {id:#x}")),
    }
    if delete {
        return Ok(());
    }
    let units = meter_flags::KBPS | meter_flags::PKTPS;
    if meter_mod.flags & !meter_flags::ALL != 0 || meter_mod.flags & units == units {
        return refuse(
            E::MeterModFailedBadFlags,
            format!("flags {:#x}", meter_mod.flags),
        );
    }
    for band in &meter_mod.bands {
        match band {
            MeterBand::Unknown { code, .. } => {
                return refuse(
                    E::MeterModFailedBadBand,
                    format!("band type {code} is not known"),
                );
            }
            MeterBand::Experimenter { experimenter, .. } => {
                return refuse(
                    E::MeterModFailedBadBand,
                    format!("band of experimenter {experimenter:#x}"),
                );
            }
            MeterBand::DscpRemark { prec_level: 0, .. } => {
                return refuse(E::MeterModFailedBadBandValue, "dscp_remark by no level");
            }
            MeterBand::Drop { .. } | MeterBand::DscpRemark { .. } => {}
        }
    }
    Ok(())
}

fn check_multipart_request(request: &MultipartRequest) -> Check {
    if request.flags & !multipart_flags::MORE != 0 {
        return refuse(
            E::BadRequestBadMultipart,
            format!("flags {:#x}", request.flags),
        );
    }
    match &request.body {
        MultipartRequestBody::Unknown { code, .. } => refuse(
            E::BadRequestBadMultipart,
            format!("multipart type {code} is not known"),
        ),
        MultipartRequestBody::Flow(flows) | MultipartRequestBody::Aggregate(flows) => {
            check_match(&flows.match_)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
