//! The fast path is the pipeline: for generated rules, changes and frames the same leaves by the same ports, and the counters
//! agree. The frames go through the kernel's real program on real devices; what it leaves to user space, a pipeline treats
//! that hands its translations over. Needs root; says so and passes where there is none.
//!
//! `WEFT_FASTPATH_CASES` says how many rule sets; each gets some hundred frames.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../pipeline/tests/common/mod.rs"]
mod common;
mod lab;
mod rules;

use lab::{Lab, Left, Sent};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rules::{Change, Choice, OBSERVERS, Rule};
use std::collections::BTreeMap;
use weft_openflow::{
    ObserverCommand, ObserverKind, ObserverMod, WeftMessage, group_no, meter_no, port_no,
};
use weft_pipeline::{CachedFlowQuery, FlowCursor, FlowFilter, Owner, Pipeline};

/// Rule sets in an ordinary run.
const CASES: u32 = 40;
/// How often each frame is sent: the first time it is the pipeline's, then the kernel's.
const TIMES: usize = 3;

/// Packets and bytes of every flow, group, bucket, table, meter and band, and all drops.
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
    let meters: Vec<_> = bridge
        .meters(meter_no::ALL, 0)
        .unwrap()
        .iter()
        .map(|view| {
            (
                view.meter_id,
                view.packets,
                view.bytes,
                view.band_counters.clone(),
            )
        })
        .collect();
    let tables = bridge.table_stats();
    (flows, groups, meters, tables, *bridge.drops())
}

/// Sets the observers that rules name.
fn observe(bridge: &mut Pipeline) {
    for (observer_id, kind) in OBSERVERS
        .into_iter()
        .zip([ObserverKind::Sample, ObserverKind::Account])
    {
        let request = ObserverMod {
            command: ObserverCommand::Set,
            kind,
            observer_id,
            interval: 1,
            header_bytes: 64,
            active_timeout_ms: 0,
            idle_timeout_ms: 0,
            max_flows: 0,
            max_records_per_second: 0,
        };
        bridge.observer_mod(Owner::Program, &request, 0).unwrap();
    }
}

/// All that observers have seen since the last call, in an order of its own.
fn observed(bridge: &mut Pipeline) -> impl PartialEq + std::fmt::Debug {
    let mut samples = Vec::new();
    let mut flows: BTreeMap<_, (u64, u64, u16)> = BTreeMap::new();
    for id in OBSERVERS {
        let reports = bridge.observer_flush(Owner::Program, id, port_no::ANY, 0);
        for report in reports.unwrap() {
            match report {
                WeftMessage::Samples(report) => {
                    for s in report.entries {
                        let tags = (s.vlan_in, s.vlan, s.vlan_out);
                        let ports = (s.in_port, s.out_port, s.outputs);
                        samples.push((s.header, ports, tags, s.domain_id));
                    }
                }
                WeftMessage::FlowRecords(report) => {
                    for r in report.entries {
                        let tuple = (r.source, r.destination, r.source_port, r.destination_port);
                        let place = (r.in_port, r.vlan, r.domain_id);
                        let key = (tuple, r.eth_type, r.protocol, r.tos, place);
                        let sum = flows.entry(key).or_default();
                        (sum.0, sum.1) = (sum.0 + r.packets, sum.1 + r.octets);
                        sum.2 |= r.tcp_flags;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    samples.sort();
    let totals: Vec<_> = OBSERVERS
        .into_iter()
        .flat_map(|id| bridge.observer_stats(id, 0))
        .map(|stats| (stats.packets, stats.octets, stats.lost))
        .collect();
    (samples, flows, totals)
}

fn sorted(mut left: Left) -> Left {
    left.retain(|_, frames| !frames.is_empty());
    // A port's copies of one frame have no order among themselves that anybody was promised.
    left.values_mut().for_each(|frames| frames.sort());
    left
}

type Stage = (Option<Change>, Vec<Choice>);
type Case = (Vec<Rule>, Vec<Stage>);

fn cases() -> impl Strategy<Value = Case> {
    let stage = (
        prop::option::weighted(0.8, rules::change()),
        prop::collection::vec(rules::choice(), 4..16),
    );
    (rules::rules(), prop::collection::vec(stage, 4..12))
}

fn check(lab: &mut Lab, (rules, stages): &Case) -> Result<(), TestCaseError> {
    let mut plain = Pipeline::new(Default::default());
    let mut fast = Pipeline::new(Default::default());
    fast.set_fast_path(Some(lab.path()));
    for bridge in [&mut plain, &mut fast] {
        rules::prepare(bridge);
        observe(bridge);
        rules.iter().for_each(|rule| rule.add(bridge));
    }
    let result = compare(lab, &mut plain, &mut fast, stages);
    // Nothing of it stays in the kernel for the next case.
    fast.set_fast_path(None);
    result?;
    let [captured, counted] = lab.transmitted();
    prop_assert_eq!(counted, captured);
    Ok(())
}

fn compare(
    lab: &mut Lab,
    plain: &mut Pipeline,
    fast: &mut Pipeline,
    stages: &[Stage],
) -> Result<(), TestCaseError> {
    for (change, choices) in stages {
        for bridge in [&mut *plain, &mut *fast] {
            change.iter().for_each(|change| change.make(bridge));
        }
        for time in 1..=TIMES {
            for choice in choices {
                let packet = choice.packet();
                let mut expected = Left::default();
                let mut sink = Sent(&mut expected);
                let now = rules::now();
                plain.process_uncached(&mut packet.clone(), choice.in_port, now, &mut sink);
                let count = expected.values().map(Vec::len).sum();
                let trace = fast.trace(packet.bytes(), choice.in_port, now);
                let foretold = trace.why_not;
                let by_user = lab.by_user;
                let found = lab.pass(fast, choice.in_port, &packet, now, count);
                let (found, expected) = (sorted(found), sorted(expected));
                if found != expected {
                    let trace = plain.trace(packet.bytes(), choice.in_port, now);
                    let flows = fast.cached_flows(&CachedFlowQuery {
                        limit: 100,
                        ..Default::default()
                    });
                    let told = format!("{choice:?}\n{trace:#?}\n{flows:#?}");
                    prop_assert_eq!(found, expected, "{}", told);
                }
                // Masks may have been too many when the flow came, and not be so any more.
                let has_room = fast.refused_flows().all(|(why, _)| why != "too many masks");
                // A tag that a packet socket sends into an internal interface is in the frame, where no host puts it.
                let is_usual = choice.in_port != lab::INTERNAL || choice.tags.is_empty();
                // Of what is observed some frames are shown to user space, which no trace can tell.
                let is_observed = trace.actions.iter().any(|each| each.contains("observe:"));
                if time == TIMES && has_room && is_usual && !is_observed {
                    let in_kernel = lab.by_user == by_user;
                    prop_assert_eq!(foretold.is_none(), in_kernel, "{:?} {:?}", foretold, choice);
                }
            }
        }
        prop_assert_eq!(counters(fast), counters(plain));
        prop_assert_eq!(observed(fast), observed(plain));
    }
    Ok(())
}

#[test]
fn kernel_equals_pipeline() {
    if !lab::may_run() {
        return;
    }
    let Some(mut lab) = Lab::new() else {
        return;
    };
    let cases_wanted = std::env::var("WEFT_FASTPATH_CASES").ok();
    // Each step towards a smaller case costs the time that frames are waited for.
    let shrinking = if cases_wanted.is_some() { 60 } else { 0 };
    let config = Config {
        cases: cases_wanted.and_then(|n| n.parse().ok()).unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: shrinking,
        ..Config::default()
    };
    let lab = std::cell::RefCell::new(&mut lab);
    let result = TestRunner::new(config).run(&cases(), |case| {
        let mut lab = lab.borrow_mut();
        lab.rest();
        check(&mut lab, &case)
    });
    let lab = lab.into_inner();
    let by_kernel = lab.sent - lab.by_user;
    println!("{} frames, {by_kernel} by the kernel", lab.sent);
    {
        let kernel = lab.kernel();
        println!("{:?} {:?}", kernel.statistics(), kernel.refused());
    }
    result.unwrap();
    assert!(by_kernel > lab.sent / 5, "the kernel did next to nothing");
}
