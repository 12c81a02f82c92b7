//! Which translations are kept where room or time is short.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use weft_openflow::{Action, OxmField};
use weft_pipeline::{Config, Pipeline};

/// A bridge with few places whose every UDP destination port is a flow of its own.
fn small_bridge(cache_limit: usize) -> Pipeline {
    let mut bridge = bridge_with(Config {
        cache_limit,
        ..Config::default()
    });
    let udp = ip().with(OxmField::IpProto, 17u8);
    let one = udp.clone().with(OxmField::UdpDst, 1u16);
    add(&mut bridge, flow(0, 2, one, vec![]));
    let all = vec![apply(vec![Action::output(2)])];
    add(&mut bridge, flow(0, 1, udp, all));
    bridge
}

fn udp_frame(port: u16) -> Vec<u8> {
    let mut udp = frames::udp(b"x");
    udp[2..4].copy_from_slice(&port.to_be_bytes());
    frames::ethernet(&[], 0x800, &frames::ipv4(17, 0, &[], &udp))
}

fn spray(bridge: &mut Pipeline, ports: std::ops::Range<u16>) {
    for port in ports {
        assert_eq!(send(bridge, 1, &udp_frame(port)).ports(), [2]);
    }
}

#[test]
fn flows_of_one_packet_throw_nobody_out_of_a_full_cache() {
    let mut bridge = small_bridge(100);
    spray(&mut bridge, 1000..1100);
    let before = bridge.cache_stats();
    assert_eq!((before.entries, before.turned_away), (100, 0));
    spray(&mut bridge, 2000..7000);
    let after = bridge.cache_stats();
    assert_eq!((after.entries, after.overflows), (100, 0));
    assert_eq!(after.turned_away, 5000);
    spray(&mut bridge, 1000..1100);
    assert_eq!(bridge.cache_stats().hits, after.hits + 100);
}

#[test]
fn who_comes_again_gets_in() {
    let mut bridge = small_bridge(100);
    spray(&mut bridge, 1000..1100);
    for _ in 0..3 {
        spray(&mut bridge, 2000..2001);
    }
    let stats = bridge.cache_stats();
    assert_eq!((stats.entries, stats.overflows), (100, 1));
    assert_eq!((stats.turned_away, stats.hits), (1, 1));
}

#[test]
fn in_a_hurry_only_what_comes_again_is_kept() {
    let mut bridge = small_bridge(1000);
    bridge.set_hurried(true);
    spray(&mut bridge, 1000..1100);
    assert_eq!(bridge.cache_stats().entries, 0);
    spray(&mut bridge, 1000..1100);
    assert!(bridge.cache_stats().entries >= 90);
    bridge.set_hurried(false);
    spray(&mut bridge, 2000..2100);
    assert!(bridge.cache_stats().entries >= 190);
}
