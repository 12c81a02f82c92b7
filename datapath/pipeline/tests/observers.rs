//! Sampling, accounting and cut outputs, by a walk and from the cache.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use weft_frame::{Checksum, Gso, GsoKind, Offload, Packet};
use weft_openflow::{
    Action, ErrorCode, FlowEndReason, FlowRecord, NxAction, ObserverCommand, ObserverKind,
    ObserverMod, ObserverStats, Sample, WeftMessage, port_no,
};
use weft_pipeline::{Config, DropReason, Owner, Pipeline};

const ID: u32 = 7;

fn sample() -> Action {
    Action::Nicira(NxAction::Sample {
        probability: 0xffff,
        collector_set_id: ID,
        obs_domain_id: 1,
        obs_point_id: 2,
    })
}

fn settings(kind: ObserverKind, interval: u32) -> ObserverMod {
    ObserverMod {
        command: ObserverCommand::Set,
        kind,
        observer_id: ID,
        interval,
        header_bytes: 40,
        active_timeout_ms: 60_000,
        idle_timeout_ms: 15_000,
        max_flows: 1000,
        max_records_per_second: 0,
    }
}

fn set(bridge: &mut Pipeline, settings: &ObserverMod) {
    assert_eq!(
        bridge.observer_mod(Owner::Program, settings, 0).unwrap(),
        []
    );
}

fn forwarding(actions: Vec<Action>) -> Pipeline {
    let mut bridge = bridge();
    add(&mut bridge, flow(0, 1, in_port(1), vec![apply(actions)]));
    bridge
}

fn records(messages: Vec<WeftMessage>) -> Vec<FlowRecord> {
    let each = messages.into_iter().flat_map(|message| match message {
        WeftMessage::FlowRecords(records) => records.entries,
        other => panic!("{other:?}"),
    });
    each.collect()
}

fn samples(bridge: &mut Pipeline) -> (u64, u32, Vec<Sample>) {
    let (mut pool, mut drops, mut entries) = (0, 0, Vec::new());
    for message in bridge
        .observer_flush(Owner::Program, ID, port_no::ANY, 0)
        .unwrap()
    {
        let WeftMessage::Samples(samples) = message else {
            panic!("{message:?}");
        };
        (pool, drops) = (samples.pool, samples.drops);
        entries.extend(samples.entries);
    }
    (pool, drops, entries)
}

fn stats(bridge: &mut Pipeline) -> ObserverStats {
    bridge.observer_stats(ID, 0).remove(0)
}

fn flush(bridge: &mut Pipeline) -> Vec<FlowRecord> {
    records(
        bridge
            .observer_flush(Owner::Program, ID, port_no::ANY, 0)
            .unwrap(),
    )
}

#[test]
fn a_sample_shows_the_frame_as_it_came_in_and_where_it_went() {
    let tag = vec![
        Action::PushVlan { ethertype: 0x8100 },
        common::set(weft_openflow::OxmField::VlanVid, 0x100au16),
        sample(),
        Action::output(2),
        Action::PopVlan,
        Action::output(3),
    ];
    let mut bridge = forwarding(tag);
    set(&mut bridge, &settings(ObserverKind::Sample, 1));
    let frame = tcp_frame(&[]);
    for _ in 0..3 {
        assert_eq!(send(&mut bridge, 1, &frame).ports(), [2, 3]);
    }
    assert_eq!(bridge.cache_stats().hits, 2);
    let (pool, drops, entries) = samples(&mut bridge);
    assert_eq!((pool, drops, entries.len()), (3, 0, 3));
    let expected = Sample {
        outputs: 2,
        in_port: 1,
        out_port: 2,
        domain_id: 1,
        point_id: 2,
        frame_length: frame.len() as u32,
        vlan_in: 0,
        vlan: 0x100a,
        vlan_out: 0x100a,
        stripped: 0,
        time_ms: 0,
        header: frame[..40].to_vec(),
    };
    assert!(
        entries.iter().all(|entry| *entry == expected),
        "{entries:?}"
    );
}

#[test]
fn without_the_observer_the_action_does_nothing() {
    let mut bridge = forwarding(vec![sample(), Action::output(2)]);
    assert_eq!(send(&mut bridge, 1, &tcp_frame(&[])).ports(), [2]);
    assert_eq!(bridge.observer_stats(ID, 0), []);
    let mut bridge = forwarding(vec![sample()]);
    set(&mut bridge, &settings(ObserverKind::Sample, 1));
    send(&mut bridge, 1, &tcp_frame(&[]));
    // To be looked at is not to be forwarded.
    assert_eq!(bridge.drops().iter().next(), Some((DropReason::Rule, 1)));
    assert_eq!(samples(&mut bridge).2[0].out_port, port_no::ANY);
}

#[test]
fn one_in_a_hundred_is_picked_at_random() {
    let mut bridge = forwarding(vec![sample(), Action::output(2)]);
    bridge.seed(4711);
    set(&mut bridge, &settings(ObserverKind::Sample, 100));
    let frame = tcp_frame(&[]);
    let (mut picked, mut gaps, mut gap) = (0u32, Vec::new(), 0);
    for _ in 0..200_000 {
        send(&mut bridge, 1, &frame);
        let made = stats(&mut bridge).records as u32;
        gap += 1;
        if made > picked {
            gaps.push(gap);
            (picked, gap) = (made, 0);
            samples(&mut bridge);
        }
    }
    // Of a binomial distribution: 2000 ± 4 times 44.5. Gaps of all sizes, about a hundred on average, and not regular.
    assert!((1822..2178).contains(&picked), "{picked}");
    let short = gaps.iter().filter(|gap| **gap <= 69).count() as f64 / gaps.len() as f64;
    assert!((0.45..0.55).contains(&short), "{short}");
    assert_eq!(stats(&mut bridge).packets, 200_000);
}

#[test]
fn samples_beyond_the_rate_are_lost_and_counted() {
    let mut bridge = forwarding(vec![sample(), Action::output(2)]);
    let mut slow = settings(ObserverKind::Sample, 1);
    slow.max_records_per_second = 10;
    set(&mut bridge, &slow);
    (0..25).for_each(|_| drop(send(&mut bridge, 1, &tcp_frame(&[]))));
    send_at(&mut bridge, 1, &tcp_frame(&[]), SECOND / 2);
    let (pool, drops, entries) = samples(&mut bridge);
    assert_eq!((pool, drops, entries.len()), (26, 15, 11));
}

/// A TCP packet of `payload` bytes, its segmentation pending.
fn large(payload: usize, size: u16) -> Packet {
    let mut bytes = frames::ethernet(
        &[],
        0x0800,
        &frames::ipv4(6, 0, &[], &frames::tcp(&vec![1; payload])),
    );
    frames::finish(&mut bytes, 14, 34, 6);
    let mut packet = Packet::from_frame(&bytes);
    packet.offload = Offload {
        checksum: Checksum::Partial {
            start: 34,
            offset: 16,
        },
        gso: Some(Gso {
            kind: GsoKind::Tcp4,
            ecn: false,
            size,
            hdr_len: 0,
        }),
    };
    packet
}

#[test]
fn segments_count_as_packets_with_headers_of_their_own() {
    let mut bridge = forwarding(vec![sample(), Action::output(2)]);
    set(&mut bridge, &settings(ObserverKind::Account, 1));
    bridge.process(&mut large(2500, 1000), 1, 0, &mut Recorder::default());
    let records = flush(&mut bridge);
    let headers = frames::tcp(&[]).len() as u64 + 20;
    assert_eq!(
        (records[0].packets, records[0].octets),
        (3, 2500 + 3 * headers)
    );

    set(&mut bridge, &settings(ObserverKind::Account, 1));
    bridge
        .observer_mod(Owner::Program, &settings(ObserverKind::Sample, 1), 0)
        .unwrap();
    bridge.process(&mut large(2500, 1000), 1, 0, &mut Recorder::default());
    let (pool, _, entries) = samples(&mut bridge);
    let lengths: Vec<u32> = entries.iter().map(|entry| entry.frame_length).collect();
    let frame = 14 + headers as u32;
    assert_eq!(
        (pool, lengths),
        (3, vec![frame + 1000, frame + 1000, frame + 500])
    );
}

#[test]
fn totals_are_exact_whatever_ends_a_record() {
    let mut bridge = forwarding(vec![sample(), Action::output(2)]);
    let mut small = settings(ObserverKind::Account, 1);
    small.max_flows = 5;
    small.active_timeout_ms = 3_000;
    set(&mut bridge, &small);
    let (mut sent, mut seen, mut octets, mut reasons) = (0u64, 0, 0, Vec::new());
    let mut take = |records: Vec<FlowRecord>| {
        for record in records {
            seen += record.packets;
            octets += record.octets;
            reasons.push(u8::from(record.end_reason));
            assert!(record.first_ms <= record.last_ms && record.out_port == 2);
            assert_eq!((record.domain_id, record.point_id), (1, 2));
        }
    };
    for round in 0..400u64 {
        let now = round * SECOND;
        for host in 0..1 + round % 8 {
            let mut frame = tcp_frame(&[]);
            frame[29] = host as u8;
            send_at(&mut bridge, 1, &frame, now);
            sent += 1;
        }
        let reports = bridge.observer_reports(now, |_| true);
        take(records(reports.into_iter().map(|(_, body)| body).collect()));
    }
    take(flush(&mut bridge));
    let each = u64::from(u16::from_be_bytes([tcp_frame(&[])[16], tcp_frame(&[])[17]]));
    assert_eq!((seen, octets), (sent, sent * each));
    for reason in [
        FlowEndReason::ActiveTimeout,
        FlowEndReason::ForcedEnd,
        FlowEndReason::LackOfResources,
    ] {
        assert!(reasons.contains(&reason.into()), "{reason:?}");
    }
    assert_eq!(stats(&mut bridge).packets, sent);
}

#[test]
fn a_quiet_flow_is_reported_once_with_what_it_was() {
    let mut bridge = forwarding(vec![sample(), Action::output(2)]);
    set(&mut bridge, &settings(ObserverKind::Account, 1));
    bridge.set_clock(1_000_000, 0);
    let frame = tcp_frame(&[(0x8100, 0xa00a)]);
    send_at(&mut bridge, 1, &frame, SECOND);
    send_at(&mut bridge, 1, &frame, 3 * SECOND);
    assert_eq!(bridge.observer_reports(17 * SECOND, |_| true), []);
    let reports = bridge.observer_reports(18 * SECOND, |_| true);
    let found = records(reports.into_iter().map(|(_, body)| body).collect());
    assert_eq!(found.len(), 1);
    let record = &found[0];
    assert_eq!((record.first_ms, record.last_ms), (1_001_000, 1_003_000));
    assert_eq!(
        (record.vlan, record.eth_type, record.protocol),
        (0x100a, 0x0800, 6)
    );
    assert_eq!(record.source[12..], frame[30..34]);
    assert_eq!(
        record.source_port,
        u16::from_be_bytes([frame[38], frame[39]])
    );
    assert_eq!(record.eth_dst[..], frame[..6]);
    assert_eq!(record.tcp_flags & 0xff, u16::from(frame[51]));
    assert_eq!(record.end_reason, FlowEndReason::IdleTimeout);
    assert_eq!(stats(&mut bridge).open_flows, 0);
}

#[test]
fn setting_an_observer_as_it_is_keeps_what_it_has_and_otherwise_reports_it() {
    let mut bridge = forwarding(vec![sample(), Action::output(2)]);
    set(&mut bridge, &settings(ObserverKind::Account, 1));
    send(&mut bridge, 1, &tcp_frame(&[]));
    set(&mut bridge, &settings(ObserverKind::Account, 1));
    assert_eq!(stats(&mut bridge).packets, 1);
    let mut other = settings(ObserverKind::Account, 1);
    other.idle_timeout_ms = 1;
    let reported = bridge.observer_mod(Owner::Program, &other, 0).unwrap();
    assert_eq!(records(reported).len(), 1);
    send(&mut bridge, 1, &tcp_frame(&[]));
    other.command = ObserverCommand::Delete;
    let reported = bridge.observer_mod(Owner::Program, &other, 0).unwrap();
    assert_eq!(records(reported)[0].end_reason, FlowEndReason::ForcedEnd);
    assert_eq!(bridge.observer_mod(Owner::Program, &other, 0).unwrap(), []);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut bridge = bridge();
    let refused = |bridge: &mut Pipeline, owner, change: &dyn Fn(&mut ObserverMod)| {
        let mut request = settings(ObserverKind::Account, 1);
        change(&mut request);
        bridge.observer_mod(owner, &request, 0).unwrap_err().code
    };
    let program = Owner::Program;
    let bad = ErrorCode::ObserverBadArgument;
    assert_eq!(refused(&mut bridge, program, &|r| r.interval = 0), bad);
    assert_eq!(refused(&mut bridge, program, &|r| r.kind = 3.into()), bad);
    assert_eq!(
        refused(&mut bridge, program, &|r| r.command = 9.into()),
        bad
    );
    let eperm = ErrorCode::BadRequestEperm;
    assert_eq!(
        refused(&mut bridge, Owner::User, &|r| r.observer_id = 0x5700_0000),
        eperm
    );
    for id in 0..64 {
        let mut request = settings(ObserverKind::Sample, 9);
        request.observer_id = id;
        bridge.observer_mod(program, &request, 0).unwrap();
    }
    let many = ErrorCode::ObserverTooMany;
    assert_eq!(refused(&mut bridge, program, &|r| r.observer_id = 64), many);
}

#[test]
fn copies_for_mirrors_are_no_outputs() {
    let mut bridge = bridge_with(Config {
        program_table: Some(64),
        ..Config::default()
    });
    let resubmit = Action::Nicira(NxAction::ResubmitTable {
        in_port: 0xfff8,
        table: 72,
    });
    add(
        &mut bridge,
        flow(
            0,
            1,
            in_port(1),
            vec![apply(vec![sample(), resubmit, Action::output(2)])],
        ),
    );
    add(
        &mut bridge,
        flow(72, 1, in_port(1), vec![apply(vec![Action::output(3)])]),
    );
    set(&mut bridge, &settings(ObserverKind::Sample, 1));
    assert_eq!(send(&mut bridge, 1, &tcp_frame(&[])).ports(), [2, 3]);
    let entry = samples(&mut bridge).2.remove(0);
    assert_eq!((entry.out_port, entry.outputs), (2, 1));
}

#[test]
fn an_output_may_be_cut() {
    let cut = |port, max_len| Action::Nicira(NxAction::OutputTrunc { port, max_len });
    let mut bridge = forwarding(vec![cut(2, 20), Action::output(3)]);
    let frame = tcp_frame(&[]);
    for _ in 0..2 {
        let sent = send(&mut bridge, 1, &frame);
        assert_eq!(
            sent.outputs,
            [(2, frame[..20].to_vec()), (3, frame.clone())]
        );
    }
    for (action, code) in [
        (cut(2, 13), ErrorCode::BadActionBadArgument),
        (cut(0xfffb, 60), ErrorCode::BadActionBadOutPort),
    ] {
        let request = flow(0, 2, in_port(1), vec![apply(vec![action])]);
        let error = bridge.flow_mod(Owner::Program, &request, 0).unwrap_err();
        assert_eq!(error.code, code);
    }
}

#[test]
fn each_segment_of_a_large_frame_is_cut() {
    let cut = |port, max_len| Action::Nicira(NxAction::OutputTrunc { port, max_len });
    let mut bridge = forwarding(vec![cut(2, 60), Action::output(3)]);
    let mut large = large(250, 100);
    let frame = large.bytes().to_vec();
    let mut sent = Recorder::default();
    bridge.process(&mut large, 1, 0, &mut sent);
    let outputs: Vec<(u32, usize)> = sent
        .outputs
        .iter()
        .map(|(port, bytes)| (*port, bytes.len()))
        .collect();
    assert_eq!(outputs, [(2, 60), (2, 60), (2, 60), (3, frame.len())]);
    assert_eq!(sent.outputs[3].1, frame);
}
