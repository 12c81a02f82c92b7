//! Tables with limits, and what makes room in them (Open vSwitch's `Flow_Table`).

mod common;

use common::{Bridge, SECOND, flow};
use weft_agent::{BridgeConfig, ConnectionKind, TableLimit};
use weft_openflow::{
    Action, Body, ErrorCode, FlowMod, FlowRemovedReason, Match, OxmField, flow_mod_flags,
};

fn limited(max_flows: usize, evicts: bool) -> BridgeConfig {
    let limit = TableLimit {
        max_flows: Some(max_flows),
        evicts,
    };
    BridgeConfig {
        controllers: 1,
        table_limits: [(1, limit)].into(),
        ..BridgeConfig::new("br0", 1)
    }
}

/// A flow of table 1, with a timeout.
fn timed(number: u32, idle_timeout: u16) -> Body {
    Body::FlowMod(FlowMod {
        match_: Match::any().with(OxmField::EthDst, number),
        cookie: u64::from(number),
        idle_timeout,
        flags: flow_mod_flags::SEND_FLOW_REM,
        ..flow(1, 1, vec![Action::output(2)])
    })
}

fn evicted(bodies: Vec<Body>) -> Vec<u64> {
    bodies
        .into_iter()
        .map(|body| match body {
            Body::FlowRemoved(removed) if removed.reason == FlowRemovedReason::Eviction => {
                removed.cookie
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_full_table_refuses_what_is_new() {
    let mut bridge = Bridge::new(limited(2, false));
    let conn = bridge.connect(ConnectionKind::Controller);
    for number in [1, 2] {
        assert_eq!(bridge.ask(conn, timed(number, 60)), []);
    }
    bridge.fails(conn, timed(3, 60), ErrorCode::FlowModFailedTableFull);
    // What takes the place of another is not new, and other tables have no such limit.
    assert_eq!(bridge.ask(conn, timed(2, 30)), []);
    assert_eq!(bridge.ask(conn, Body::FlowMod(flow(2, 1, vec![]))), []);
    assert_eq!(bridge.agent.flow_count(), 3);
}

#[test]
fn what_would_end_soonest_makes_room() {
    let mut bridge = Bridge::new(limited(3, true));
    let conn = bridge.connect(ConnectionKind::Controller);
    for (number, idle_timeout) in [(1, 50), (2, 0), (3, 40)] {
        assert_eq!(bridge.ask(conn, timed(number, idle_timeout)), []);
    }
    bridge.now += 20 * SECOND;
    bridge.send(conn, timed(4, 25));
    assert_eq!(evicted(bridge.received(conn)), [3]);
    bridge.send(conn, timed(5, 0));
    assert_eq!(evicted(bridge.received(conn)), [4]);
    bridge.send(conn, timed(6, 0));
    assert_eq!(evicted(bridge.received(conn)), [1]);
    // Those without timeouts stay.
    bridge.fails(conn, timed(7, 5), ErrorCode::FlowModFailedTableFull);
}

#[test]
fn a_limit_that_comes_later_is_kept_by_eviction_only() {
    let mut bridge = Bridge::new(limited(100, false));
    let conn = bridge.connect(ConnectionKind::Controller);
    for number in 0..100 {
        assert_eq!(bridge.ask(conn, timed(number, 1000 - number as u16)), []);
    }
    let mut configure = |max_flows, evicts| {
        let config = limited(max_flows, evicts);
        bridge.agent.configure(config, bridge.now, &mut bridge.log);
        bridge.received(conn)
    };
    assert_eq!(configure(10, false), []);
    let gone = evicted(configure(10, true));
    assert!(gone.into_iter().eq((10..100).rev()));
    assert_eq!(bridge.agent.flow_count(), 10);
}
