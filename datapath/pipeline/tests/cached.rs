//! Cached packets are treated as uncached ones, for generated rules and frames; counters too.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use proptest::prelude::*;
use weft_frame::Packet;
use weft_openflow::{
    Action, FlowModCommand, GroupType, Instruction, Match, NxAction, OxmField, OxmId, group_no,
    port_config, port_no,
};
use weft_pipeline::{FlowCursor, FlowFilter, Owner, Pipeline, PortState};

fn field(choice: u8, value: u8) -> Match {
    let v = u128::from(value & 3);
    let any = Match::any;
    match choice {
        0 => any(),
        1 => any().with(OxmField::InPort, v % 2 + 1),
        2 => any().with(OxmField::VlanVid, 0u8),
        3 => any().with(OxmField::VlanVid, 0x1000 | v),
        4 => any().with_masked(OxmField::VlanVid, 0x1000u16, 0x1000u16),
        5 => ip().with(OxmField::Ipv4Dst, 0x0a00_0000 | v),
        6 => ip().with_masked(OxmField::Ipv4Src, 0x0a00_0000u32, 0xff00_0000u32),
        7 => ip().with(OxmField::IpProto, 6u8).with(OxmField::TcpDst, v),
        8 => any().with(OxmField::Metadata, v),
        9 => any()
            .with(OxmField::EthType, 0x8847u16)
            .with(OxmField::MplsLabel, v),
        10 => any().with(OxmField::Reg1, v),
        11 => any().with(OxmField::EthDst, v),
        12 => any().with(OxmField::EthType, 0x86ddu16),
        _ => ip().with(OxmField::IpDscp, v),
    }
}

/// An action; those that a match does not allow are refused when the flow is added, which is fine.
fn action(choice: u8, value: u8) -> Action {
    let v = value & 3;
    let reg = OxmId::new(OxmField::Reg1);
    match choice {
        0 | 1 => Action::output(u32::from(v) + 1),
        2 => Action::PushVlan {
            ethertype: if v == 0 { 0x88a8 } else { 0x8100 },
        },
        3 => Action::PopVlan,
        4 => set(OxmField::VlanVid, 0x1000 | u128::from(v)),
        5 => set(OxmField::EthDst, v),
        6 => set(OxmField::Ipv4Dst, 0x0a00_0000 | u128::from(v)),
        7 => Action::DecNwTtl,
        8 => Action::PushMpls { ethertype: 0x8847 },
        9 => Action::PopMpls {
            ethertype: if v == 0 { 0x8847 } else { 0x0800 },
        },
        10 => Action::Nicira(NxAction::RegMove {
            n_bits: 2,
            src_ofs: 0,
            dst_ofs: 0,
            src: OxmId::new(OxmField::VlanVid),
            dst: reg,
        }),
        11 => Action::Nicira(NxAction::RegLoad {
            ofs_nbits: 31,
            dst: reg,
            value: v.into(),
        }),
        12 => Action::Nicira(NxAction::ResubmitTable {
            in_port: 0xfff8,
            table: v,
        }),
        13 => Action::output(port_no::FLOOD),
        14 => Action::Group {
            group_id: u32::from(v % 2) + 1,
        },
        15 => Action::output(port_no::CONTROLLER),
        16 => Action::CopyTtlOut,
        17 => Action::PushPbb { ethertype: 0x88e7 },
        18 => Action::PopPbb,
        19 => set(OxmField::TcpDst, v),
        20 => Action::Nicira(NxAction::Clone {
            actions: vec![Action::PopVlan, Action::output(u32::from(v))],
        }),
        _ => set(OxmField::MplsLabel, v),
    }
}

#[derive(Clone, Debug)]
struct Rule {
    table: u8,
    priority: u16,
    matches: Vec<(u8, u8)>,
    apply: Vec<(u8, u8)>,
    write: Vec<(u8, u8)>,
    goto: u8,
    metadata: Option<u8>,
}

fn rule() -> impl Strategy<Value = Rule> {
    let pairs = |kinds: u8, most: usize| prop::collection::vec((0..kinds, any::<u8>()), 0..most);
    (
        0..4u8,
        0..4u16,
        pairs(14, 3),
        pairs(22, 5),
        pairs(10, 3),
        0..6u8,
        prop::option::of(any::<u8>()),
    )
        .prop_map(
            |(table, priority, matches, apply, write, goto, metadata)| Rule {
                table,
                priority,
                matches,
                apply,
                write,
                goto,
                metadata,
            },
        )
}

fn matching(rule: &Rule) -> Match {
    let mut matching = Match::any();
    for (choice, value) in &rule.matches {
        for tlv in field(*choice, *value).fields {
            if matching.get(tlv.field).is_none() {
                matching.fields.push(tlv);
            }
        }
    }
    matching
}

/// Rules of one priority that overlap have one mask: of others OpenFlow leaves open which one is it (§5.3).
fn priority(rule: &Rule) -> u16 {
    let fields = rule
        .matches
        .iter()
        .fold(0, |bits, (choice, _)| bits | 1 << choice.min(&13));
    rule.priority << 14 | fields
}

fn install(bridge: &mut Pipeline, rule: &Rule) {
    let matching = matching(rule);
    let mut rest = Vec::new();
    if rule.goto > rule.table && rule.goto < 5 {
        rest.push(goto(rule.goto));
    }
    if let Some(value) = rule.metadata {
        rest.push(Instruction::WriteMetadata {
            metadata: (value & 3).into(),
            metadata_mask: 3,
        });
    }
    // What the match does not allow is refused; of the actions those are kept that are not.
    let mut request = flow(rule.table, priority(rule), matching, Vec::new());
    let (mut applied, mut written) = (Vec::new(), Vec::new());
    let mut try_with = |applied: &[Action], written: &[Action]| {
        request.instructions = rest.clone();
        request.instructions.push(apply(applied.to_vec()));
        request.instructions.push(write(written.to_vec()));
        bridge.flow_mod(Owner::Program, &request, 0).is_ok()
    };
    try_with(&[], &[]);
    // (No resubmits from the table that resubmits lead to, or the walks get long.)
    for (choice, value) in rule
        .apply
        .iter()
        .filter(|(choice, _)| rule.table < 4 || *choice != 12)
    {
        applied.push(action(*choice, *value));
        if !try_with(&applied, &written) {
            applied.pop();
        }
    }
    for (choice, value) in &rule.write {
        written.push(action(*choice, *value));
        if !try_with(&applied, &written) {
            written.pop();
        }
    }
    try_with(&applied, &written);
}

fn frame(kind: u8, value: u8, tags: &[(u16, u16)]) -> Vec<u8> {
    let v = value & 3;
    let mut ip = frames::ipv4(6, 0, &[], &frames::tcp(b"data"));
    ip[19] = v;
    ip[1] = (value >> 2 & 3) << 2;
    ip[8] = 1 + (value >> 4 & 3);
    ip[23] = value >> 6;
    ip[22] = 0;
    ip[12] = 10 + (value >> 5 & 1);
    match kind {
        0 => frames::ethernet(tags, 0x0800, &ip),
        1 => frames::ethernet(tags, 0x8847, &[&[0, v << 4, 1, 9][..], &ip].concat()),
        2 => frames::ethernet(
            tags,
            0x8847,
            &[&[0, v << 4, 0, 9, 0, 0, 0x11, 5][..], &ip].concat(),
        ),
        3 => frames::ethernet(tags, 0x0806, &frames::arp()),
        4 => frames::ethernet(tags, 0x86dd, &frames::ipv6(6, &frames::tcp(&[v]))),
        5 => frames::ethernet(
            tags,
            0x88e7,
            &[&[0, 0, 0, v][..], &frames::ethernet(&[], 0x0800, &ip)].concat(),
        ),
        _ => frames::ethernet(tags, 0x0800, &ip[..usize::from(value % 44)]),
    }
}

type FrameChoice = (u8, u8, Vec<(bool, u16)>, bool);

fn frame_choice() -> impl Strategy<Value = FrameChoice> {
    (
        0..7u8,
        any::<u8>(),
        prop::collection::vec((any::<bool>(), 0..4u16), 0..4),
        any::<bool>(),
    )
}

/// What becomes of a frame in the one, and in the other without its cache.
fn send_to_both(
    cached: &mut Pipeline,
    plain: &mut Pipeline,
    (kind, value, tags, second_port): &FrameChoice,
) -> (Recorder, Recorder) {
    let tag = |(is_service, vid): &(bool, u16)| (if *is_service { 0x88a8 } else { 0x8100 }, *vid);
    let tags: Vec<_> = tags.iter().map(tag).collect();
    let frame = frame(*kind, *value, &tags);
    let in_port = if *second_port { 2 } else { 1 };
    let mut expected = Recorder::default();
    plain.process_uncached(&mut Packet::from_frame(&frame), in_port, 0, &mut expected);
    (send(cached, in_port, &frame), expected)
}

/// Packets and bytes of every flow, group, bucket and table, and all drops.
fn counters(bridge: &mut Pipeline) -> impl PartialEq + std::fmt::Debug {
    let mut flows = Vec::new();
    let mut cursor = FlowCursor::default();
    let show = |view: &weft_pipeline::FlowView<'_>| {
        let stats = view.stats();
        flows.push((view.id, stats.packet_count, stats.byte_count));
    };
    bridge
        .flows(&FlowFilter::all(), &mut cursor, usize::MAX, 0, show)
        .unwrap();
    let groups: Vec<_> = bridge
        .groups(group_no::ALL, 0)
        .iter()
        .map(|view| {
            (
                view.group_id,
                view.packets,
                view.bytes,
                view.bucket_counters.to_vec(),
            )
        })
        .collect();
    (flows, groups, bridge.table_stats(), *bridge.drops())
}

/// A flow-mod: a rule that comes, or one whose like go (loosely or strictly).
#[derive(Clone, Debug)]
struct Change {
    rule: Rule,
    command: Option<FlowModCommand>,
}

fn change() -> impl Strategy<Value = Change> {
    let command = prop_oneof![
        2 => Just(None),
        1 => Just(Some(FlowModCommand::DeleteStrict)),
        1 => Just(Some(FlowModCommand::Delete)),
    ];
    (rule(), command).prop_map(|(rule, command)| Change { rule, command })
}

/// What happens to a port: its link comes or goes, an administrator sets it up or down, it goes, it comes.
fn change_port(bridge: &mut Pipeline, (port_no, change): (u32, u8)) {
    let before = bridge.ports().get(port_no);
    let state = before.unwrap_or(PortState {
        config: 0,
        live: true,
    });
    match (change, before) {
        (0, Some(_)) => bridge.remove_port(port_no),
        (1, Some(_)) => bridge.set_port(
            port_no,
            PortState {
                config: state.config ^ port_config::PORT_DOWN,
                ..state
            },
        ),
        (_, Some(_)) => bridge.set_port(
            port_no,
            PortState {
                live: !state.live,
                ..state
            },
        ),
        (_, None) => bridge.set_port(port_no, state),
    }
}

fn carry_out(bridge: &mut Pipeline, Change { rule, command }: &Change) {
    let Some(command) = command else {
        return install(bridge, rule);
    };
    let mut request = flow(rule.table, priority(rule), matching(rule), Vec::new());
    request.command = *command;
    // A match that contradicts itself is refused, by both bridges.
    let _ = bridge.flow_mod(Owner::Program, &request, 0);
}

/// With so many tags the last one that is read is another one after each push, and its type is what a group goes by.
#[test]
fn a_tag_comes_to_light_when_others_are_pushed() {
    let mut cached = bridge();
    let mut plain = bridge();
    for bridge in [&mut cached, &mut plain] {
        let buckets = (2..5)
            .map(|port| bucket(vec![Action::output(port)]))
            .collect();
        let request = group(1, GroupType::Select, buckets);
        bridge.group_mod(Owner::Program, &request, 0).unwrap();
        let push = Action::PushVlan { ethertype: 0x88a8 };
        let actions = [vec![push; 12], vec![Action::Group { group_id: 1 }]].concat();
        let request = flow(0, 1, Match::any(), vec![apply(actions)]);
        bridge.flow_mod(Owner::Program, &request, 0).unwrap();
    }
    for vid in 0..16 {
        for last_is_service in [false, true] {
            let tags = vec![(true, vid), (false, 1), (last_is_service, 0)];
            let (found, expected) = send_to_both(&mut cached, &mut plain, &(0, 0, tags, false));
            assert_eq!(found, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn cached_equals_uncached(
        rules in prop::collection::vec(rule(), 4..24),
        frames in prop::collection::vec(frame_choice(), 1..60),
    ) {
        let mut cached = bridge();
        let mut plain = bridge();
        for bridge in [&mut cached, &mut plain] {
            let buckets = vec![
                bucket(vec![Action::output(2), Action::PopVlan]),
                bucket(vec![Action::output(3), set(OxmField::EthDst, 1u8)]),
            ];
            let request = group(1, GroupType::All, buckets.clone());
            bridge.group_mod(Owner::Program, &request, 0).unwrap();
            bridge.group_mod(Owner::Program, &group(2, GroupType::Select, buckets), 0).unwrap();
            rules.iter().for_each(|rule| install(bridge, rule));
        }
        for choice in &frames {
            let (found, expected) = send_to_both(&mut cached, &mut plain, choice);
            prop_assert_eq!(found, expected);
        }
        if std::env::var_os("CACHED_STATS").is_some() {
            println!("{:?} drops {:?}", cached.cache_stats(), cached.drops().total());
        }
        prop_assert_eq!(counters(&mut cached), counters(&mut plain));
    }

    /// Of what is cached, changes take what they concern: of few translations and of many, one by one and in bundles.
    #[test]
    fn cached_equals_uncached_after_changes(
        rules in prop::collection::vec(rule(), 4..16),
        rounds in prop::collection::vec(
            (
                prop::collection::vec(frame_choice(), 1..60),
                prop::collection::vec(change(), 0..8),
                prop::collection::vec((1..=4u32, 0..8u8), 0..3),
                any::<bool>(),
            ),
            1..8,
        ),
    ) {
        let mut cached = bridge();
        let mut plain = bridge();
        for bridge in [&mut cached, &mut plain] {
            let buckets: Vec<_> = (2..5).map(|port| watching(port, vec![Action::output(port)])).collect();
            let request = group(1, GroupType::FastFailover, buckets.clone());
            bridge.group_mod(Owner::Program, &request, 0).unwrap();
            bridge.group_mod(Owner::Program, &group(2, GroupType::Select, buckets), 0).unwrap();
            rules.iter().for_each(|rule| install(bridge, rule));
        }
        for (frames, changes, ports, bundled) in &rounds {
            // Twice, as what a change has spared has to be found again.
            for choice in frames.iter().chain(frames) {
                let (found, expected) = send_to_both(&mut cached, &mut plain, choice);
                prop_assert_eq!(found, expected);
            }
            for bridge in [&mut cached, &mut plain] {
                if *bundled {
                    bridge.begin_open();
                }
                changes.iter().for_each(|change| carry_out(bridge, change));
                if *bundled {
                    bridge.commit();
                }
                ports.iter().for_each(|change| change_port(bridge, *change));
            }
        }
        prop_assert_eq!(counters(&mut cached), counters(&mut plain));
    }
}
