//! Generated rule sets, changes to them, and frames.

use proptest::prelude::*;
use weft_frame::{Checksum, Gso, GsoKind, Offload, Packet};
use weft_openflow::{
    Action, FlowMod, FlowModCommand, GroupModCommand, GroupType, Instruction, Match, MeterBand,
    MeterMod, MeterModCommand, NxAction, OxmField, OxmId, meter_flags, port_no,
};
use weft_pipeline::{Owner, Pipeline, PortState};

use crate::common::{apply, bucket, flow, frames, goto, group, ip, set, write};
use crate::lab::{Left, PORTS, Sent};

/// A rule, in numbers that mean something to [`field`] and [`action`].
#[derive(Clone, Debug)]
pub struct Rule {
    table: u8,
    priority: u16,
    matches: Vec<(u8, u8)>,
    apply: Vec<(u8, u8)>,
    write: Vec<(u8, u8)>,
    goto: u8,
    metadata: Option<u8>,
    /// Its meter, if there is one of that id.
    meter: u8,
}

/// Something that happens between frames.
#[derive(Clone, Debug)]
pub enum Change {
    Add(Rule),
    Modify(Rule),
    Delete(Rule),
    /// A group's buckets lead elsewhere.
    Group(u8, Vec<(u8, u8)>),
    /// A port's link goes down or comes up.
    Link(u32, bool),
    /// `OFPPC_*` of a port.
    Config(u32, u32),
    /// A meter is another one.
    Meter(u8, u8),
}

/// A frame to send.
#[derive(Clone, Debug)]
pub struct Choice {
    pub in_port: u32,
    kind: u8,
    value: u8,
    /// Service tag or not, VLAN id, the bits above it.
    pub tags: Vec<(bool, u16, u8)>,
    padding: u8,
}

fn field(choice: u8, value: u8) -> Match {
    let v = u128::from(value & 3);
    let any = Match::any;
    match choice {
        0 => any(),
        1 | 2 => any().with(OxmField::InPort, v + 1),
        3 => any().with(OxmField::VlanVid, 0u8),
        4 => any().with(OxmField::VlanVid, 0x1000 | v),
        5 => any().with_masked(OxmField::VlanVid, 0x1000u16, 0x1000u16),
        6 => any()
            .with(OxmField::VlanVid, 0x1000 | v)
            .with(OxmField::VlanPcp, v),
        7 => any().with(OxmField::EthDst, 0x0200_0000_00d4 + v),
        8 => any().with_masked(OxmField::EthSrc, 0x0200_0000_005cu64, 0xff00_0000_00ffu64),
        9 => ip().with_masked(OxmField::Ipv4Dst, 0x0a00_0000 | v, 0xff00_0003u32),
        10 => ip().with_masked(OxmField::Ipv4Src, 0x0a00_0000u32, 0xff00_0000u32),
        11 => ip().with(OxmField::IpProto, 6u8).with(OxmField::TcpDst, v),
        12 => ip().with(OxmField::IpProto, 17u8).with(OxmField::UdpDst, v),
        13 => ip()
            .with(OxmField::IpProto, 1u8)
            .with(OxmField::Icmpv4Type, v),
        14 => any().with(OxmField::Metadata, v),
        15 => any()
            .with(OxmField::EthType, 0x0806u16)
            .with(OxmField::ArpTpa, 0x0a00_0000 | v),
        16 => any()
            .with(OxmField::EthType, 0x86ddu16)
            .with(OxmField::IpProto, 6u8),
        17 => any()
            .with(OxmField::EthType, 0x86ddu16)
            .with(OxmField::Ipv6Flabel, 0xbcde - 1 + v),
        18 => any()
            .with(OxmField::EthType, 0x8847u16)
            .with(OxmField::MplsLabel, v),
        19 => any()
            .with(OxmField::EthType, 0x0806u16)
            .with(OxmField::ArpSha, v),
        _ => ip().with(OxmField::IpDscp, v),
    }
}
const FIELDS: u8 = 21;

/// An action; those that a match does not allow are refused when the flow is added, which is fine.
fn action(choice: u8, value: u8) -> Action {
    let v = value & 3;
    match choice {
        0..6 => Action::output(u32::from(value) % PORTS + 1),
        6 => Action::output(port_no::FLOOD),
        7 => Action::PushVlan {
            ethertype: if v == 0 { 0x88a8 } else { 0x8100 },
        },
        8 | 9 => Action::PopVlan,
        10 => set(OxmField::VlanVid, 0x1000 | u128::from(v)),
        11 => set(OxmField::VlanPcp, v),
        12 => set(OxmField::EthDst, 0x0200_0000_00d4 + u128::from(v)),
        13 => set(OxmField::EthSrc, 0x0200_0000_0010 + u128::from(v)),
        14 => set(OxmField::Ipv4Dst, 0x0a00_0000 | u128::from(v)),
        15 => set(OxmField::Ipv4Src, 0x0b00_0000 | u128::from(v)),
        16 => set(OxmField::TcpDst, v),
        17 => set(OxmField::UdpSrc, v),
        18 => set(OxmField::IpDscp, v),
        19 => set(OxmField::IpEcn, v),
        20 => Action::DecNwTtl,
        21 => Action::SetNwTtl { nw_ttl: v + 1 },
        22 | 23 => Action::Group {
            group_id: u32::from(v % 3) + 1,
        },
        24 => Action::output(port_no::IN_PORT),
        25 => Action::Nicira(NxAction::ResubmitTable {
            in_port: 0xfff8,
            table: 4,
        }),
        26 => Action::Nicira(NxAction::RegLoad {
            ofs_nbits: 31,
            dst: OxmId::new(OxmField::Reg1),
            value: v.into(),
        }),
        27 => Action::PushMpls { ethertype: 0x8847 },
        28 => set(OxmField::Icmpv4Code, v),
        29 => set(OxmField::Ipv6Flabel, v),
        30 => set(OxmField::Ipv6Src, 0x2001_0db8 + u128::from(v)),
        31 => set(OxmField::ArpSpa, v),
        33..36 => Action::Nicira(NxAction::Sample {
            probability: u16::MAX,
            collector_set_id: OBSERVERS[usize::from(v & 1)],
            obs_domain_id: v.into(),
            obs_point_id: 0,
        }),
        _ => Action::output(port_no::CONTROLLER),
    }
}
const ACTIONS: u8 = 36;

/// One that samples all it is shown, and one that accounts for it.
pub const OBSERVERS: [u32; 2] = [1, 2];

fn pairs(kinds: u8, most: usize) -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec((0..kinds, any::<u8>()), 0..most)
}

fn rule() -> impl Strategy<Value = Rule> {
    (
        0..4u8,
        0..4u16,
        pairs(FIELDS, 3),
        pairs(ACTIONS, 5),
        pairs(8, 3),
        0..6u8,
        prop::option::of(any::<u8>()),
        prop_oneof![3 => Just(0u8), 1 => 1..=METERS],
    )
        .prop_map(
            |(table, priority, matches, apply, write, goto, metadata, meter)| Rule {
                table,
                priority,
                matches,
                apply,
                write,
                goto,
                metadata,
                meter,
            },
        )
}

pub fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 3..14)
}

pub fn change() -> impl Strategy<Value = Change> {
    let buckets = prop::collection::vec((0..24u8, any::<u8>()), 1..4);
    let port = 1..=PORTS;
    prop_oneof![
        4 => rule().prop_map(Change::Add),
        2 => rule().prop_map(Change::Modify),
        2 => rule().prop_map(Change::Delete),
        1 => (0..3u8, buckets).prop_map(|(id, actions)| Change::Group(id, actions)),
        1 => (port.clone(), any::<bool>()).prop_map(|(port, up)| Change::Link(port, up)),
        1 => (port, 0..4u8).prop_map(|(port, choice)| {
            // Nothing, OFPPC_NO_RECV, OFPPC_NO_FWD.
            Change::Config(port, [0, 0, 1 << 2, 1 << 5][usize::from(choice)])
        }),
        1 => (1..=METERS, any::<u8>()).prop_map(|(id, kind)| Change::Meter(id, kind)),
    ]
}

pub fn choice() -> impl Strategy<Value = Choice> {
    let tag = (any::<bool>(), 0..4u16, any::<u8>());
    let tags = prop_oneof![
        3 => Just(0usize),
        3 => Just(1),
        2 => Just(2),
        1 => Just(3),
    ];
    let tags = tags.prop_flat_map(move |n| prop::collection::vec(tag.clone(), n));
    (1..=PORTS, 0..20u8, any::<u8>(), tags, any::<u8>()).prop_map(
        |(in_port, kind, value, tags, padding)| Choice {
            in_port,
            kind,
            value,
            tags,
            padding,
        },
    )
}

/// The groups that rules speak of: all, select, fast failover.
pub fn prepare(bridge: &mut Pipeline) {
    for port in 1..=PORTS {
        set_port(bridge, port, 0, true);
    }
    for id in 0..3 {
        regroup(bridge, GroupModCommand::Add, id, &[(0, 1), (2, 2), (9, 0)]);
    }
    for id in 1..=METERS {
        set_meter(bridge, MeterModCommand::Add, id, id);
        let meter = Instruction::Meter {
            meter_id: id.into(),
        };
        let draining = flow(DRAINING + id, 0, Match::any(), vec![meter]);
        bridge.flow_mod(Owner::Program, &draining, 0).unwrap();
        set_meter(bridge, MeterModCommand::Modify, id, id);
    }
}

/// Makes a meter whose verdict is the same however long the frames take: its bands have all or nothing left for minutes.
fn set_meter(bridge: &mut Pipeline, command: MeterModCommand, id: u8, kind: u8) {
    let drop = |rate, burst_size| MeterBand::Drop { rate, burst_size };
    let remark = |rate| MeterBand::DscpRemark {
        rate,
        burst_size: 1,
        prec_level: 1,
    };
    let much = drop(1, u32::MAX);
    let bands = match kind % 8 {
        0 => vec![much],
        1 | 2 => vec![drop(1, 1)],
        3 => vec![drop(1, 1), drop(2, 1), much],
        4 => vec![drop(3, u32::MAX), much, drop(1, 1), drop(1, 1)],
        5 => vec![],
        6 => vec![remark(1), drop(2, u32::MAX)],
        _ => vec![much; 5],
    };
    let request = MeterMod {
        command,
        flags: meter_flags::KBPS | meter_flags::BURST,
        meter_id: id.into(),
        bands,
    };
    let now = now();
    bridge.meter_mod(Owner::Program, &request, now).unwrap();
    // A debt of half a megabit.
    let drain = Action::Nicira(NxAction::ResubmitTable {
        in_port: 0xfff8,
        table: DRAINING + id,
    });
    let mut packet = Packet::from_frame(&[0x5a; 65_000]);
    let mut left = Left::default();
    let sent = bridge.packet_out(
        Owner::Program,
        &mut packet,
        1,
        &[drain],
        now,
        &mut Sent(&mut left),
    );
    sent.unwrap();
    assert!(left.is_empty());
}

/// Nanoseconds of the clock that the program goes by.
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// How many meters there are, and the table before those whose only rule passes one.
const METERS: u8 = 4;
const DRAINING: u8 = 200;

fn set_port(bridge: &mut Pipeline, port: u32, config: u32, live: bool) {
    bridge.set_port(port, PortState { config, live });
}

fn regroup(bridge: &mut Pipeline, command: GroupModCommand, id: u8, actions: &[(u8, u8)]) {
    let buckets = actions.iter().enumerate().map(|(n, (choice, value))| {
        let last = Action::output((n as u32 + u32::from(*value)) % PORTS + 1);
        // No group within a group: they would have to be there first.
        let first = Some(action(*choice, *value)).filter(|_| !(22..24).contains(choice));
        let mut bucket = bucket(first.into_iter().chain([last]).collect());
        bucket.watch_port = n as u32 + 1;
        bucket
    });
    let kind = [GroupType::All, GroupType::Select, GroupType::FastFailover][usize::from(id)];
    let mut request = group(u32::from(id) + 1, kind, buckets.collect());
    request.command = command;
    // A bucket whose actions do not go together is refused, and the group stays as it was.
    let _ = bridge.group_mod(Owner::Program, &request, 0);
}

impl Rule {
    /// Adds the rule, as far as it makes sense.
    pub fn add(&self, bridge: &mut Pipeline) {
        self.send(bridge, FlowModCommand::Add);
    }

    fn matching(&self) -> Match {
        let mut matching = Match::any();
        for (choice, value) in &self.matches {
            for tlv in field(*choice, *value).fields {
                if matching.get(tlv.field).is_none() {
                    matching.fields.push(tlv);
                }
            }
        }
        matching
    }

    fn send(&self, bridge: &mut Pipeline, command: FlowModCommand) {
        let mut rest = Vec::new();
        if self.meter != 0 {
            rest.push(Instruction::Meter {
                meter_id: self.meter.into(),
            });
        }
        if self.goto > self.table && self.goto < 5 {
            rest.push(goto(self.goto));
        }
        if let Some(value) = self.metadata {
            rest.push(Instruction::WriteMetadata {
                metadata: (value & 3).into(),
                metadata_mask: 3,
            });
        }
        let mut request: FlowMod = flow(self.table, self.priority, self.matching(), Vec::new());
        request.command = command;
        let (mut applied, mut written) = (Vec::new(), Vec::new());
        let mut try_with = |applied: &[Action], written: &[Action]| {
            request.instructions = rest.clone();
            request.instructions.push(apply(applied.to_vec()));
            request.instructions.push(write(written.to_vec()));
            bridge.flow_mod(Owner::Program, &request, 0).is_ok()
        };
        if !try_with(&[], &[]) {
            return;
        }
        for (choice, value) in &self.apply {
            applied.push(action(*choice, *value));
            if !try_with(&applied, &written) {
                applied.pop();
            }
        }
        for (choice, value) in &self.write {
            written.push(action(*choice, *value));
            if !try_with(&applied, &written) {
                written.pop();
            }
        }
        try_with(&applied, &written);
    }
}

impl Change {
    /// Makes the change.
    pub fn make(&self, bridge: &mut Pipeline) {
        match self {
            Change::Add(rule) => rule.add(bridge),
            Change::Modify(rule) => rule.send(bridge, FlowModCommand::Modify),
            Change::Delete(rule) => {
                let mut request = flow(rule.table, rule.priority, rule.matching(), Vec::new());
                request.command = FlowModCommand::Delete;
                let _ = bridge.flow_mod(Owner::Program, &request, 0);
            }
            Change::Group(id, actions) => regroup(bridge, GroupModCommand::Modify, *id, actions),
            Change::Link(port, live) => {
                let config = bridge.ports().get(*port).map_or(0, |port| port.config);
                set_port(bridge, *port, config, *live);
            }
            Change::Config(port, config) => {
                let live = bridge.ports().get(*port).is_none_or(|port| port.live);
                set_port(bridge, *port, *config, live);
            }
            Change::Meter(id, kind) => set_meter(bridge, MeterModCommand::Modify, *id, *kind),
        }
    }
}

impl Choice {
    /// The frame.
    pub fn packet(&self) -> Packet {
        let Choice { kind, value, .. } = *self;
        let v = value & 3;
        let tags: Vec<(u16, u16)> = self
            .tags
            .iter()
            .map(|(service, vid, upper)| {
                // Priority and drop eligible indicator, too.
                (
                    if *service { 0x88a8 } else { 0x8100 },
                    vid | u16::from(*upper) << 12,
                )
            })
            .collect();
        let padding = vec![0x5a; usize::from(self.padding) * usize::from(kind & 1)];
        let l3 = 14 + 4 * tags.len();
        let v4 = |proto: u8, segment: &[u8], options: &[u8], fragment: u16| {
            let mut ip = frames::ipv4(proto, fragment, options, segment);
            ip[19] = v;
            ip[1] = (value >> 2 & 3) << 2 | value >> 6;
            ip[8] = 1 + (value >> 4 & 3);
            ip[12] = 10 + (value >> 5 & 1);
            let header = 20 + options.len();
            ip[10..12].fill(0);
            let sum = weft_frame::checksum::internet(&ip[..header]);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            let mut frame = frames::ethernet(&tags, 0x0800, &ip);
            if fragment & 0x1fff == 0 {
                frames::finish(&mut frame, l3, l3 + header, proto);
            }
            frame
        };
        let v6 = |proto: u8, segment: &[u8]| {
            let mut frame = frames::ethernet(&tags, 0x86dd, &frames::ipv6(proto, segment));
            frames::finish(&mut frame, l3, l3 + 40, proto);
            frame
        };
        let with_port = |mut segment: Vec<u8>| {
            segment[3] = v;
            segment[2] = 0;
            segment
        };
        let tcp = with_port(frames::tcp(&padding));
        let udp = with_port(frames::udp(&padding));
        let mut frame = match kind {
            0..4 => v4(6, &tcp, &[], 0),
            4 | 5 => v4(17, &udp, &[], 0),
            6 => v4(1, &[v, 0, 0, 0, 0, 1, 0, 2, 9, 9], &[], 0),
            7 => v4(132, &with_port(frames::sctp(&padding)), &[], 0),
            8 => v4(6, &tcp, &[1, 1, 1, 1], 0),
            9 => v4(17, &udp, &[], 0x2000),
            10 => v4(17, &padding, &[], 0x2005),
            11 => frames::ethernet(&tags, 0x0806, &frames::arp()),
            12 | 13 => v6(6, &tcp),
            14 => v6(17, &udp),
            15 => frames::ethernet(&tags, 0x86dd, &frames::ipv6(58, &frames::neighbour(135))),
            16 => frames::ethernet(&tags, 0x86dd, &frames::ipv6(0, &[59, 0, 0, 0, 0, 0, 0, 0])),
            17 => {
                let ip = v4(6, &tcp, &[], 0);
                frames::ethernet(&tags, 0x8847, &[&[0, v << 4, 1, 9][..], &ip[l3..]].concat())
            }
            18 => {
                // Cut short somewhere behind the Ethernet header.
                let mut whole = v4(6, &tcp, &[], 0);
                // (The kernel itself drops what ends with its tag.)
                whole.truncate(l3 + 2 + usize::from(value) % 42);
                whole
            }
            _ => {
                let payload = [&[0x5a; 2][..], &padding].concat();
                frames::ethernet(&tags, u16::from(value) << 4, &payload)
            }
        };
        frame[5] = 0xd4 + (value >> 3 & 3);
        if kind == 2 && tags.len() < 2 {
            return segment(frame, l3);
        }
        Packet::from_frame(&frame)
    }
}

/// A TCP segment that waits for its checksum and for being cut into pieces.
fn segment(mut frame: Vec<u8>, l3: usize) -> Packet {
    frame.resize(l3 + 40 + 5_000, 0x77);
    let total = (frame.len() - l3) as u16;
    frame[l3 + 2..l3 + 4].copy_from_slice(&total.to_be_bytes());
    frame[l3 + 10..l3 + 12].fill(0);
    let sum = weft_frame::checksum::internet(&frame[l3..l3 + 20]);
    frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
    let pseudo = frames::pseudo_sum(&frame, l3, l3 + 20, 6);
    let pseudo = weft_frame::checksum::fold(pseudo);
    frame[l3 + 36..l3 + 38].copy_from_slice(&pseudo.to_be_bytes());
    let offload = Offload {
        checksum: Checksum::Partial {
            start: l3 as u16 + 20,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::Tcp4,
            ecn: false,
            size: 1000,
            hdr_len: l3 as u16 + 40,
        }),
    };
    let mut packet = Packet::with_capacity(0);
    packet.assign(&frame, offload);
    packet
}
