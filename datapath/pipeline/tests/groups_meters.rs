//! Groups (OF 1.3.5 §5.6) and meters (§5.7).
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use weft_openflow::{
    Action, Bucket, ErrorCode, GroupModCommand, GroupType, Instruction, Match, MeterBand, MeterMod,
    MeterModCommand, OxmField, group_no, meter_flags,
};
use weft_pipeline::{Config, DropReason, Owner, PROGRAM_IDS, Pipeline, PortState};

fn out(port: u32) -> Action {
    Action::output(port)
}

fn to_group(bridge: &mut Pipeline, id: u32) {
    add(
        bridge,
        flow(
            0,
            1,
            Match::any(),
            vec![apply(vec![Action::Group { group_id: id }])],
        ),
    );
}

fn weighted(weight: u16, port: u32) -> Bucket {
    Bucket {
        weight,
        ..bucket(vec![out(port)])
    }
}

#[test]
fn all_copies_and_counts_each_bucket() {
    let mut bridge = bridge();
    let buckets = vec![
        bucket(vec![out(2), set(OxmField::EthDst, 2u8)]),
        bucket(vec![out(1)]),
        bucket(vec![out(3)]),
    ];
    bridge
        .group_mod(Owner::User, &group(7, GroupType::All, buckets), 0)
        .unwrap();
    to_group(&mut bridge, 7);
    for _ in 0..3 {
        let result = send(&mut bridge, 1, &tcp_frame(&[]));
        assert_eq!(result.ports(), [2, 3]);
        for (port, frame) in result.outputs {
            let expected = if port == 2 {
                [0, 0, 0, 0, 0, 2]
            } else {
                frames::DST
            };
            assert_eq!(
                frame[..6],
                expected,
                "sets come before outputs, and stay in their bucket"
            );
        }
    }
    let len = tcp_frame(&[]).len() as u64;
    let views = bridge.groups(7, 0);
    assert_eq!((views[0].packets, views[0].bytes), (3, 3 * len));
    assert_eq!(views[0].bucket_counters, [(3, 3 * len); 3]);
}

#[test]
fn select_spreads_by_weight_and_skips_the_dead() {
    let mut bridge = bridge();
    let buckets = vec![weighted(1, 2), weighted(3, 3), weighted(0, 4)];
    bridge
        .group_mod(Owner::User, &group(1, GroupType::Select, buckets), 0)
        .unwrap();
    to_group(&mut bridge, 1);
    let mut frame = tcp_frame(&[]);
    let mut hits = [0; 5];
    for i in 0..400u16 {
        frame[34..36].copy_from_slice(&i.to_be_bytes());
        let ports = send(&mut bridge, 1, &frame).ports();
        assert_eq!(
            ports,
            send(&mut bridge, 1, &frame).ports(),
            "a flow keeps its bucket"
        );
        hits[ports[0] as usize] += 1;
    }
    assert!((60..140).contains(&hits[2]) && hits[4] == 0, "{hits:?}");
}

#[test]
fn fast_failover_follows_liveness() {
    let mut bridge = bridge();
    let chained = group(9, GroupType::FastFailover, vec![watching(4, vec![out(4)])]);
    bridge.group_mod(Owner::User, &chained, 0).unwrap();
    let last = Bucket {
        watch_group: 9,
        ..bucket(vec![Action::Group { group_id: 9 }])
    };
    let buckets = vec![watching(2, vec![out(2)]), watching(3, vec![out(3)]), last];
    bridge
        .group_mod(Owner::User, &group(1, GroupType::FastFailover, buckets), 0)
        .unwrap();
    to_group(&mut bridge, 1);
    for (down, expected) in [(9, vec![2]), (2, vec![3]), (3, vec![4]), (4, vec![])] {
        if down < 9 {
            bridge.set_port(
                down,
                PortState {
                    config: 0,
                    live: false,
                },
            );
        }
        assert_eq!(send(&mut bridge, 1, &tcp_frame(&[])).ports(), expected);
    }
    assert_eq!(bridge.drops().get(DropReason::GroupEmpty), 1);
    bridge.set_port(
        2,
        PortState {
            config: 0,
            live: true,
        },
    );
    assert_eq!(send(&mut bridge, 1, &tcp_frame(&[])).ports(), [2]);
}

#[test]
fn group_refusals() {
    let mut bridge = bridge_with(Config {
        program_table: Some(64),
        ..Config::default()
    });
    let chain = |to: u32| vec![bucket(vec![Action::Group { group_id: to }])];
    let one = || vec![bucket(vec![out(1)])];
    let mut ok = |request| bridge.group_mod(Owner::User, &request, 0).unwrap();
    ok(group(1, GroupType::All, one()));
    ok(group(2, GroupType::All, chain(1)));
    ok(group(3, GroupType::All, chain(2)));
    let modify = |id, buckets| {
        let mut request = group(id, GroupType::All, buckets);
        request.command = GroupModCommand::Modify;
        request
    };
    let mut delete = group(1, GroupType::All, vec![]);
    delete.command = GroupModCommand::Delete;
    let cases = [
        (
            group(1, GroupType::All, one()),
            ErrorCode::GroupModFailedGroupExists,
        ),
        (modify(8, one()), ErrorCode::GroupModFailedUnknownGroup),
        (modify(1, chain(3)), ErrorCode::GroupModFailedLoop),
        (modify(1, chain(1)), ErrorCode::GroupModFailedLoop),
        (
            group(4, GroupType::All, chain(99)),
            ErrorCode::BadActionBadOutGroup,
        ),
        (
            group(4, GroupType::Indirect, vec![]),
            ErrorCode::GroupModFailedInvalidGroup,
        ),
        (
            group(4, GroupType::FastFailover, one()),
            ErrorCode::GroupModFailedBadWatch,
        ),
        (
            group(4, GroupType::Unknown(9), one()),
            ErrorCode::GroupModFailedBadType,
        ),
        (
            group(4, GroupType::All, vec![bucket(vec![out(0)])]),
            ErrorCode::BadActionBadOutPort,
        ),
        (
            group(group_no::ALL, GroupType::All, one()),
            ErrorCode::GroupModFailedInvalidGroup,
        ),
        (
            group(PROGRAM_IDS, GroupType::All, one()),
            ErrorCode::BadRequestEperm,
        ),
        (delete, ErrorCode::GroupModFailedChainedGroup),
    ];
    for (request, expected) in cases {
        let before = bridge.groups(group_no::ALL, 0).len();
        let error = bridge.group_mod(Owner::User, &request, 0).unwrap_err();
        assert_eq!(error.code, expected, "{request:?}");
        assert_eq!(bridge.groups(group_no::ALL, 0).len(), before);
    }
    bridge
        .group_mod(
            Owner::Program,
            &group(PROGRAM_IDS, GroupType::All, one()),
            0,
        )
        .unwrap();
    let mut all = group(group_no::ALL, GroupType::All, vec![]);
    all.command = GroupModCommand::Delete;
    bridge.group_mod(Owner::User, &all, 0).unwrap();
    assert_eq!(
        bridge.groups(group_no::ALL, 0).len(),
        1,
        "the program's group stays"
    );
}

fn meter(id: u32, flags: u16, bands: Vec<MeterBand>) -> MeterMod {
    MeterMod {
        command: MeterModCommand::Add,
        flags,
        meter_id: id,
        bands,
    }
}

fn metered(bridge: &mut Pipeline, id: u32) {
    let instructions = vec![Instruction::Meter { meter_id: id }, apply(vec![out(2)])];
    add(bridge, flow(0, 1, Match::any(), instructions));
}

/// Packets of `count` that pass when sent at even distances over 10 seconds.
fn passing(bridge: &mut Pipeline, count: u64, frame: &[u8]) -> u64 {
    let pass = |n| {
        send_at(bridge, 1, frame, n * 10 * SECOND / count)
            .outputs
            .len() as u64
    };
    (0..count).map(pass).sum()
}

#[test]
fn rates_are_kept_within_two_percent() {
    let mut frame = tcp_frame(&[]);
    frame.resize(1250, 0);
    for (flags, rate, expected) in [
        (meter_flags::PKTPS, 100, 1000),
        (meter_flags::KBPS, 1000, 1000),
        (meter_flags::KBPS | meter_flags::STATS, 4000, 4000),
    ] {
        let mut bridge = bridge();
        let request = meter(
            1,
            flags,
            vec![MeterBand::Drop {
                rate,
                burst_size: 0,
            }],
        );
        bridge.meter_mod(Owner::User, &request, 0).unwrap();
        metered(&mut bridge, 1);
        let passed = passing(&mut bridge, 10_000, &frame);
        let wrong = (passed as f64 - f64::from(expected)).abs() / f64::from(expected);
        assert!(wrong < 0.02, "{passed} of {expected}");
        let views = bridge.meters(1, 10 * SECOND).unwrap();
        assert_eq!((views[0].packets, views[0].flow_count), (10_000, 1));
        assert_eq!(views[0].band_counters[0].0, 10_000 - passed);
        assert_eq!(bridge.drops().get(DropReason::Meter), 10_000 - passed);
        assert_eq!(bridge.cache_stats().misses, 1);
    }
}

#[test]
fn bursts_pass_as_configured() {
    let mut bridge = bridge();
    let flags = meter_flags::PKTPS | meter_flags::BURST;
    let request = meter(
        1,
        flags,
        vec![MeterBand::Drop {
            rate: 10,
            burst_size: 50,
        }],
    );
    bridge.meter_mod(Owner::User, &request, 0).unwrap();
    metered(&mut bridge, 1);
    let at_once = |bridge: &mut Pipeline, now| {
        (0..100)
            .filter(|_| !send_at(bridge, 1, &tcp_frame(&[]), now).outputs.is_empty())
            .count()
    };
    assert_eq!(at_once(&mut bridge, 0), 50);
    assert_eq!(at_once(&mut bridge, SECOND), 10);
}

#[test]
fn remarking_shows_in_later_tables() {
    let mut bridge = bridge();
    let band = MeterBand::DscpRemark {
        rate: 1,
        burst_size: 1,
        prec_level: 1,
    };
    let flags = meter_flags::PKTPS | meter_flags::BURST;
    bridge
        .meter_mod(Owner::User, &meter(1, flags, vec![band]), 0)
        .unwrap();
    add(
        &mut bridge,
        flow(
            0,
            1,
            ip(),
            vec![Instruction::Meter { meter_id: 1 }, goto(1)],
        ),
    );
    for (dscp, port) in [(10u8, 2), (12, 3)] {
        let matching = ip().with(OxmField::IpDscp, dscp);
        add(
            &mut bridge,
            flow(1, 1, matching, vec![apply(vec![out(port)])]),
        );
    }
    // AF11 becomes AF12 beyond the rate.
    let mut bytes = frames::ipv4(6, 0, &[], &frames::tcp(b""));
    bytes[1] = 10 << 2;
    bytes[10..12].fill(0);
    let sum = weft_frame::checksum::internet(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    let frame = frames::ethernet(&[], 0x0800, &bytes);
    assert_eq!(send(&mut bridge, 1, &frame).ports(), [2]);
    let second = send(&mut bridge, 1, &frame);
    assert_eq!(second.ports(), [3]);
    assert_eq!(second.outputs[0].1[15] >> 2, 12);
    assert_eq!(
        weft_frame::checksum::internet(&second.outputs[0].1[14..34]),
        0
    );
}

#[test]
fn meter_refusals() {
    let mut bridge = bridge();
    let drop = |rate| {
        vec![MeterBand::Drop {
            rate,
            burst_size: 0,
        }]
    };
    let kbps = meter_flags::KBPS;
    bridge
        .meter_mod(Owner::User, &meter(1, kbps, drop(1)), 0)
        .unwrap();
    let remark = vec![MeterBand::DscpRemark {
        rate: 1,
        burst_size: 0,
        prec_level: 0,
    }];
    let unknown = vec![MeterBand::Unknown {
        code: 9,
        data: vec![],
    }];
    let cases = [
        (
            meter(1, kbps, drop(1)),
            ErrorCode::MeterModFailedMeterExists,
        ),
        (
            meter(0, kbps, drop(1)),
            ErrorCode::MeterModFailedInvalidMeter,
        ),
        (meter(2, 0x10, drop(1)), ErrorCode::MeterModFailedBadFlags),
        (meter(2, 3, drop(1)), ErrorCode::MeterModFailedBadFlags),
        (meter(2, kbps, drop(0)), ErrorCode::MeterModFailedBadRate),
        (
            meter(2, kbps, remark),
            ErrorCode::MeterModFailedBadBandValue,
        ),
        (meter(2, kbps, unknown), ErrorCode::MeterModFailedBadBand),
        (
            MeterMod {
                command: MeterModCommand::Modify,
                ..meter(2, kbps, drop(1))
            },
            ErrorCode::MeterModFailedUnknownMeter,
        ),
    ];
    for (request, expected) in cases {
        assert_eq!(
            bridge.meter_mod(Owner::User, &request, 0).unwrap_err().code,
            expected
        );
    }
    metered(&mut bridge, 1);
    let delete = MeterMod {
        command: MeterModCommand::Delete,
        ..meter(1, kbps, vec![])
    };
    bridge.meter_mod(Owner::User, &delete, 0).unwrap();
    assert_eq!(bridge.flow_count(), 0, "flows go with their meter");
}
