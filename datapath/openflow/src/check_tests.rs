//! What is refused, with which error, and what is not.

use super::*;
use crate::asynchronous::RoleMessage;
use crate::bundle::BundleAdd;
use crate::consts::NICIRA_EXPERIMENTER;
use crate::tlv::UnknownOxm;
use OxmField as F;

fn code(result: Check) -> Option<E> {
    result.err().map(|error| error.code)
}

fn of_match(fields: Match) -> Option<E> {
    code(check_match(&fields))
}

fn of_flow(change: impl FnOnce(&mut FlowMod)) -> Option<E> {
    let mut flow_mod = FlowMod::new(FlowModCommand::Add, 3);
    change(&mut flow_mod);
    code(check(&Message::new(1, Body::FlowMod(flow_mod))))
}

fn of_action(action: Action) -> Option<E> {
    of_flow(|flow| {
        flow.instructions = vec![Instruction::ApplyActions {
            actions: vec![action],
        }]
    })
}

#[test]
fn every_basic_field_needs_its_prerequisites_first() {
    // Matches that are whole, by what they end in.
    let ip = |eth_type: u16, proto: u8| {
        Match::any()
            .with(F::EthType, eth_type)
            .with(F::IpProto, proto)
    };
    let nd = |kind: u8| ip(0x86dd, 58).with(F::Icmpv6Type, kind);
    let needs = |field: F| match field {
        F::InPhyPort => Match::any().with(F::InPort, 1u32),
        F::VlanPcp => Match::any().with(F::VlanVid, 0x1005u16),
        F::IpDscp | F::IpEcn | F::IpProto | F::Ipv4Src | F::Ipv4Dst => {
            Match::any().with(F::EthType, 0x0800u16)
        }
        F::TcpSrc | F::TcpDst => ip(0x0800, 6),
        F::UdpSrc | F::UdpDst => ip(0x86dd, 17),
        F::SctpSrc | F::SctpDst => ip(0x0800, 132),
        F::Icmpv4Type | F::Icmpv4Code => ip(0x0800, 1),
        F::ArpOp | F::ArpSpa | F::ArpTpa | F::ArpSha | F::ArpTha => {
            Match::any().with(F::EthType, 0x0806u16)
        }
        F::Ipv6Src | F::Ipv6Dst | F::Ipv6Flabel | F::Ipv6Exthdr => {
            Match::any().with(F::EthType, 0x86ddu16)
        }
        F::Icmpv6Type | F::Icmpv6Code => ip(0x86dd, 58),
        F::Ipv6NdTarget | F::Ipv6NdSll => nd(135),
        F::Ipv6NdTll => nd(136),
        F::MplsLabel | F::MplsTc | F::MplsBos => Match::any().with(F::EthType, 0x8848u16),
        F::PbbIsid => Match::any().with(F::EthType, 0x88e7u16),
        _ => Match::any(),
    };
    for &field in F::ALL
        .iter()
        .filter(|field| field.info().class == crate::oxm::CLASS_BASIC)
    {
        let before = needs(field);
        let free = before.is_empty();
        assert_eq!(
            of_match(before.clone().with(field, 0u8)),
            None,
            "{}",
            field.name()
        );
        if !free {
            let refused = Some(E::BadMatchBadPrereq);
            assert_eq!(
                of_match(Match::any().with(field, 0u8)),
                refused,
                "{}",
                field.name()
            );
            // The order counts (§7.2.3.6).
            let after: Match = [OxmTlv::new(field, 0)]
                .into_iter()
                .chain(before.fields)
                .collect();
            assert_eq!(of_match(after), refused, "{}", field.name());
        }
    }
}

#[test]
fn prerequisites_must_have_the_right_value() {
    let refused = Some(E::BadMatchBadPrereq);
    assert_eq!(
        of_match(
            Match::any()
                .with(F::EthType, 0x86ddu16)
                .with(F::Ipv4Src, 1u8)
        ),
        refused
    );
    assert_eq!(
        of_match(Match::any().with(F::VlanVid, 0u8).with(F::VlanPcp, 1u8)),
        refused
    );
    let any_tag = Match::any().with_masked(F::VlanVid, 0x1000u16, 0x1000u16);
    assert_eq!(of_match(any_tag.with(F::VlanPcp, 1u8)), None);
    // A Nicira twin counts as the standard's field.
    assert_eq!(
        of_match(
            Match::any()
                .with(F::NxmEthType, 0x0800u16)
                .with(F::Ipv4Src, 1u8)
        ),
        None
    );
}

#[test]
fn values_and_masks_that_cannot_be() {
    let table = [
        (
            Match::any().with(F::VlanVid, 0x2000u16),
            E::BadMatchBadValue,
        ),
        (Match::any().with(F::VlanVid, 5u8), E::BadMatchBadValue),
        (
            Match::any()
                .with(F::EthType, 0x0800u16)
                .with(F::IpDscp, 64u8),
            E::BadMatchBadValue,
        ),
        (
            Match::any().with_masked(F::InPort, 1u8, 1u8),
            E::BadMatchBadMask,
        ),
        (
            Match::any().with_masked(F::VlanVid, 0u8, 0x3000u16),
            E::BadMatchBadMask,
        ),
        (
            Match::any().with_masked(F::EthDst, 3u8, 1u8),
            E::BadMatchBadWildcards,
        ),
        (
            Match::any().with(F::EthDst, 3u8).with(F::NxmEthDst, 3u8),
            E::BadMatchDupField,
        ),
    ];
    for (fields, wanted) in table {
        assert_eq!(of_match(fields.clone()), Some(wanted), "{fields:?}");
    }
    let unknown = UnknownOxm::new(0x8000_fe02, vec![1, 2]).unwrap();
    assert_eq!(
        of_match(Match {
            fields: vec![],
            unknown: vec![(0, unknown)]
        }),
        Some(E::BadMatchBadField)
    );
}

#[test]
fn flow_mods() {
    assert_eq!(of_flow(|_| {}), None);
    assert_eq!(
        of_flow(|f| f.command = FlowModCommand::Unknown(5)),
        Some(E::FlowModFailedBadCommand)
    );
    assert_eq!(of_flow(|f| f.flags = 0x20), Some(E::FlowModFailedBadFlags));
    assert_eq!(
        of_flow(|f| f.table_id = 255),
        Some(E::FlowModFailedBadTableId)
    );
    let delete_all = |f: &mut FlowMod| (f.table_id, f.command) = (255, FlowModCommand::Delete);
    assert_eq!(of_flow(delete_all), None);
}

#[test]
fn instructions() {
    let of = |list: Vec<Instruction>| of_flow(|flow| flow.instructions = list);
    let goto = |table_id| Instruction::GotoTable { table_id };
    assert_eq!(of(vec![goto(4)]), None);
    assert_eq!(of(vec![goto(3)]), Some(E::BadInstructionBadTableId));
    assert_eq!(of(vec![goto(255)]), Some(E::BadInstructionBadTableId));
    assert_eq!(of(vec![goto(4), goto(5)]), Some(E::BadInstructionDupInst));
    assert_eq!(
        of(vec![Instruction::Unknown {
            code: 7,
            data: vec![]
        }]),
        Some(E::BadInstructionUnknownInst)
    );
    let experimenter = Instruction::Experimenter {
        experimenter: 1,
        data: vec![],
    };
    assert_eq!(
        of(vec![experimenter]),
        Some(E::BadInstructionBadExperimenter)
    );
}

#[test]
fn actions() {
    let set = |field, value: u32| Action::SetField {
        field: OxmTlv::new(field, value.into()),
    };
    let masked = OxmTlv::masked(F::Reg0, 1, 0xff);
    let nicira = Action::Experimenter {
        experimenter: NICIRA_EXPERIMENTER,
        data: vec![0, 99],
    };
    let clone = Action::Nicira(NxAction::Clone {
        actions: vec![Action::output(0)],
    });
    let table = [
        (Action::output(1), None),
        (Action::output(port_no::NORMAL), None),
        (Action::output(0), Some(E::BadActionBadOutPort)),
        (Action::output(port_no::ANY), Some(E::BadActionBadOutPort)),
        (Action::output(port_no::TABLE), Some(E::BadActionBadOutPort)),
        (Action::output(0xffff_ff01), Some(E::BadActionBadOutPort)),
        (
            Action::Group {
                group_id: group_no::ANY,
            },
            Some(E::BadActionBadOutGroup),
        ),
        (Action::PushVlan { ethertype: 0x88a8 }, None),
        (
            Action::PushVlan { ethertype: 0x0800 },
            Some(E::BadActionBadArgument),
        ),
        (
            Action::PushMpls { ethertype: 0x8100 },
            Some(E::BadActionBadArgument),
        ),
        (
            Action::PushPbb { ethertype: 0x8847 },
            Some(E::BadActionBadArgument),
        ),
        (set(F::EthType, 1), None),
        (set(F::InPort, 1), Some(E::BadActionBadSetType)),
        (set(F::IpDscp, 64), Some(E::BadActionBadSetArgument)),
        (
            Action::SetField { field: masked },
            Some(E::BadActionBadSetType),
        ),
        (Action::Nicira(NxAction::RegLoad2 { field: masked }), None),
        (
            Action::Unknown {
                code: 25,
                data: vec![],
            },
            Some(E::BadActionBadSetType),
        ),
        (
            Action::Unknown {
                code: 1,
                data: vec![],
            },
            Some(E::BadActionBadType),
        ),
        (nicira, Some(E::BadActionBadExpType)),
        (
            Action::Experimenter {
                experimenter: 1,
                data: vec![],
            },
            Some(E::BadActionBadExperimenter),
        ),
        (clone, Some(E::BadActionBadOutPort)),
    ];
    for (action, wanted) in table {
        assert_eq!(of_action(action.clone()), wanted, "{action:?}");
    }
}

#[test]
fn packet_outs() {
    let of = |in_port, port| {
        let packet = PacketOut {
            buffer_id: u32::MAX,
            in_port,
            actions: vec![Action::output(port)],
            data: vec![],
        };
        code(check(&Message::new(1, Body::PacketOut(packet))))
    };
    assert_eq!(of(port_no::CONTROLLER, port_no::TABLE), None);
    assert_eq!(of(port_no::FLOOD, 1), Some(E::BadRequestBadPort));
    assert_eq!(of(1, 0), Some(E::BadActionBadOutPort));
}

#[test]
fn groups_and_meters() {
    let group = |command, group_type, group_id| {
        let group = GroupMod {
            command,
            group_type,
            group_id,
            buckets: vec![],
        };
        code(check(&Message::new(1, Body::GroupMod(group))))
    };
    use GroupModCommand as C;
    assert_eq!(group(C::Add, GroupType::All, 1), None);
    assert_eq!(
        group(C::Unknown(9), GroupType::All, 1),
        Some(E::GroupModFailedBadCommand)
    );
    assert_eq!(
        group(C::Add, GroupType::Unknown(9), 1),
        Some(E::GroupModFailedBadType)
    );
    assert_eq!(
        group(C::Add, GroupType::All, group_no::ALL),
        Some(E::GroupModFailedInvalidGroup)
    );
    assert_eq!(group(C::Delete, GroupType::All, group_no::ALL), None);

    let meter = |command, flags, meter_id, band| {
        let meter = MeterMod {
            command,
            flags,
            meter_id,
            bands: vec![band],
        };
        code(check(&Message::new(1, Body::MeterMod(meter))))
    };
    use MeterModCommand as M;
    let drop = MeterBand::Drop {
        rate: 1,
        burst_size: 0,
    };
    let remark = MeterBand::DscpRemark {
        rate: 1,
        burst_size: 0,
        prec_level: 0,
    };
    assert_eq!(meter(M::Add, 1, 1, drop.clone()), None);
    assert_eq!(
        meter(M::Unknown(3), 1, 1, drop.clone()),
        Some(E::MeterModFailedBadCommand)
    );
    assert_eq!(
        meter(M::Add, 3, 1, drop.clone()),
        Some(E::MeterModFailedBadFlags)
    );
    assert_eq!(
        meter(M::Add, 1, 0, drop.clone()),
        Some(E::MeterModFailedInvalidMeter)
    );
    assert_eq!(meter(M::Delete, 0, meter_no::ALL, drop), None);
    assert_eq!(
        meter(M::Add, 1, 1, remark),
        Some(E::MeterModFailedBadBandValue)
    );
    let unknown = MeterBand::Unknown {
        code: 7,
        data: vec![],
    };
    assert_eq!(meter(M::Add, 1, 1, unknown), Some(E::MeterModFailedBadBand));
}

#[test]
fn other_messages() {
    let of = |body| code(check(&Message::new(1, body)));
    let role = RoleMessage {
        role: Role::Unknown(4),
        generation_id: 0,
    };
    assert_eq!(
        of(Body::RoleRequest(role)),
        Some(E::RoleRequestFailedBadRole)
    );
    let config = SwitchConfig {
        flags: 3,
        miss_send_len: 0,
    };
    assert_eq!(
        of(Body::SetConfig(config)),
        Some(E::SwitchConfigFailedBadFlags)
    );
    assert_eq!(of(Body::BarrierReply), Some(E::BadRequestBadType));
    let unknown = MultipartRequestBody::Unknown {
        code: 14,
        data: vec![],
    };
    assert_eq!(
        of(Body::MultipartRequest(MultipartRequest::new(unknown))),
        Some(E::BadRequestBadMultipart)
    );
    let bundled = |xid, body| {
        let message = Box::new(Message::new(xid, body));
        of(Body::BundleAdd(BundleAdd {
            bundle_id: 1,
            flags: 0,
            message,
            properties: vec![],
        }))
    };
    assert_eq!(bundled(1, Body::BarrierRequest), None);
    assert_eq!(
        bundled(2, Body::BarrierRequest),
        Some(E::BundleFailedMsgBadXid)
    );
    assert_eq!(bundled(1, Body::BarrierReply), Some(E::BadRequestBadType));
}
