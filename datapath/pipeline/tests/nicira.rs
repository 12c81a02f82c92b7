//! Nicira's extensions: learning, registers, resubmits; and what keeps walks short.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;
use common::*;
use weft_openflow::{
    Action, Learn, LearnSource, LearnSpec, LearnTarget, Match, NxAction, OxmField, OxmId, OxmTlv,
    port_no,
};
use weft_pipeline::{DropReason, Owner, Pipeline};

fn out(port: u32) -> Action {
    Action::output(port)
}

/// Sends the frame twice: the second time it comes from the cache, and must do the same.
fn twice(bridge: &mut Pipeline, in_port: u32, frame: &[u8]) -> Recorder {
    let first = send(bridge, in_port, frame);
    let hits = bridge.cache_stats().hits;
    assert_eq!(send(bridge, in_port, frame), first);
    assert_eq!(
        bridge.cache_stats().hits,
        hits + 1,
        "the translation was not cached"
    );
    first
}

fn learn(table_id: u8) -> Action {
    let eth = |field| OxmId::new(field);
    let specs = vec![
        LearnSpec {
            n_bits: 48,
            source: LearnSource::Field {
                field: eth(OxmField::NxmEthSrc),
                offset: 0,
            },
            target: LearnTarget::Match {
                field: eth(OxmField::NxmEthDst),
                offset: 0,
            },
        },
        LearnSpec {
            n_bits: 32,
            source: LearnSource::Field {
                field: eth(OxmField::InPort),
                offset: 0,
            },
            target: LearnTarget::Output,
        },
    ];
    let learn = Learn {
        idle_timeout: 0,
        hard_timeout: 10,
        priority: 3,
        cookie: 4,
        flags: 0,
        table_id,
        fin_idle_timeout: 0,
        fin_hard_timeout: 0,
        specs,
    };
    Action::Nicira(NxAction::Learn(Box::new(learn)))
}

#[test]
fn learning_switch() {
    let mut bridge = bridge();
    let resubmit = Action::Nicira(NxAction::ResubmitTable {
        in_port: 0xfff8,
        table: 1,
    });
    add(
        &mut bridge,
        flow(0, 1, Match::any(), vec![apply(vec![learn(1), resubmit])]),
    );
    add(
        &mut bridge,
        flow(1, 0, Match::any(), vec![apply(vec![out(port_no::FLOOD)])]),
    );
    let there = tcp_frame(&[]);
    let back = [&there[6..12], &there[..6], &there[12..]].concat();
    assert_eq!(send_at(&mut bridge, 1, &there, 0).ports(), [2, 3, 4]);
    assert_eq!(send_at(&mut bridge, 2, &back, 0).ports(), [1]);
    assert_eq!(send_at(&mut bridge, 1, &there, 0).ports(), [2]);
    assert_eq!(bridge.flow_count(), 4);
    // Known addresses are forwarded from the cache, and stay known while they talk.
    let hits = bridge.cache_stats().hits;
    for second in 1..30 {
        send_at(&mut bridge, 1, &there, second * SECOND);
        bridge.expire(second * SECOND);
    }
    assert!(bridge.cache_stats().hits > hits + 20);
    assert_eq!(
        bridge.table_flow_count(1),
        2,
        "the silent host is forgotten"
    );
}

#[test]
fn recursion_ends() {
    let mut bridge = bridge();
    let again = Action::Nicira(NxAction::ResubmitTable {
        in_port: 0xfff8,
        table: 0,
    });
    let bomb = vec![again.clone(), again.clone(), again];
    add(&mut bridge, flow(0, 1, Match::any(), vec![apply(bomb)]));
    assert_eq!(twice(&mut bridge, 1, &tcp_frame(&[])).ports(), []);
    assert_eq!(bridge.drops().get(DropReason::Recursion), 2);
}

#[test]
fn moves_stack_exit_and_output_by_register() {
    let mut bridge = bridge();
    let reg = |n| OxmId::new(OxmField::reg(n).unwrap());
    let actions = vec![
        // The last byte of the source address names the port.
        Action::Nicira(NxAction::RegMove {
            n_bits: 8,
            src_ofs: 0,
            dst_ofs: 0,
            src: OxmId::new(OxmField::EthSrc),
            dst: reg(1),
        }),
        Action::Nicira(NxAction::StackPush {
            offset: 0,
            field: reg(1),
            n_bits: 8,
        }),
        Action::Nicira(NxAction::RegLoad {
            ofs_nbits: 7,
            dst: reg(1),
            value: 0,
        }),
        Action::Nicira(NxAction::StackPop {
            offset: 0,
            field: reg(2),
            n_bits: 8,
        }),
        Action::Nicira(NxAction::OutputReg {
            ofs_nbits: 31,
            src: reg(2),
            max_len: 0,
        }),
        Action::Nicira(NxAction::Exit),
        out(4),
    ];
    add(&mut bridge, flow(0, 1, Match::any(), vec![apply(actions)]));
    for port in [2u8, 3] {
        let mut frame = tcp_frame(&[]);
        frame[11] = port;
        assert_eq!(twice(&mut bridge, 1, &frame).ports(), [u32::from(port)]);
    }
}

#[test]
fn bombs_are_bounded() {
    let mut bridge = bridge();
    // Groups that multiply: 8 buckets to the power of 20.
    for id in 1..=20 {
        let action = if id == 1 {
            out(2)
        } else {
            Action::Group { group_id: id - 1 }
        };
        let buckets = vec![bucket(vec![action]); 8];
        let request = group(id, weft_openflow::GroupType::All, buckets);
        bridge.group_mod(Owner::User, &request, 0).unwrap();
    }
    // Fast-failover groups whose buckets watch the next group, none of them live.
    for id in 101..=130u32 {
        let watch = if id == 101 {
            weft_openflow::group_no::ANY
        } else {
            id - 1
        };
        let one = weft_openflow::Bucket {
            watch_port: 99,
            watch_group: watch,
            ..bucket(vec![out(2)])
        };
        let request = group(id, weft_openflow::GroupType::FastFailover, vec![one; 8]);
        bridge.group_mod(Owner::User, &request, 0).unwrap();
    }
    let tags = vec![Action::PushVlan { ethertype: 0x8100 }; 4000];
    let again = Action::Nicira(NxAction::ResubmitTable {
        in_port: 0xfff8,
        table: 1,
    });
    add(
        &mut bridge,
        flow(
            0,
            2,
            in_port(1),
            vec![apply(vec![Action::Group { group_id: 20 }])],
        ),
    );
    add(
        &mut bridge,
        flow(
            0,
            2,
            in_port(2),
            vec![apply(vec![Action::Group { group_id: 130 }])],
        ),
    );
    add(
        &mut bridge,
        flow(0, 2, in_port(3), vec![apply(vec![again.clone()])]),
    );
    add(
        &mut bridge,
        flow(
            1,
            2,
            Match::any(),
            vec![apply([tags, vec![again, out(2)]].concat())],
        ),
    );
    assert!(send(&mut bridge, 1, &tcp_frame(&[])).outputs.len() <= 65_536);
    assert_eq!(send(&mut bridge, 2, &tcp_frame(&[])).outputs.len(), 0);
    assert!(
        send(&mut bridge, 3, &tcp_frame(&[]))
            .outputs
            .iter()
            .all(|output| output.1.len() < 4000)
    );
}

/// How bonds leave: a flood bucket hands its copy to a table that hashes it, and rules on the hash send it on.
#[test]
fn a_bucket_hands_its_copy_to_a_table_that_spreads_by_hash() {
    let mut bridge = bridge();
    let metadata = OxmId::new(OxmField::Metadata);
    let resubmit = |table| {
        Action::Nicira(NxAction::ResubmitTable {
            in_port: 0xfff8,
            table,
        })
    };
    let load = Action::Nicira(NxAction::RegLoad {
        ofs_nbits: 23,
        dst: metadata,
        value: 9,
    });
    let buckets = vec![bucket(vec![load, resubmit(1)]), bucket(vec![out(4)])];
    let flood = group(1, weft_openflow::GroupType::All, buckets);
    bridge.group_mod(Owner::User, &flood, 0).unwrap();
    let multipath = |max_link| {
        Action::Nicira(NxAction::Multipath {
            fields: 0x5701,
            basis: 0,
            algorithm: 0,
            max_link,
            arg: 0,
            ofs_nbits: 49 << 6 | 7,
            dst: metadata,
        })
    };
    let hashed = |bit: u128| {
        let mask = 0xff_ffff | 1 << 49;
        Match::from_iter([OxmTlv::masked(OxmField::Metadata, 9 | bit << 49, mask)])
    };
    let to_group = vec![apply(vec![Action::Group { group_id: 1 }])];
    add(&mut bridge, flow(0, 1, Match::any(), to_group));
    let spread = vec![apply(vec![multipath(255), Action::PopVlan, resubmit(2)])];
    let tagged = Match::any().with(OxmField::VlanVid, 0x1001u16);
    add(&mut bridge, flow(1, 1, tagged, spread));
    for bit in 0..2u8 {
        let sent = vec![apply(vec![out(2 + u32::from(bit))])];
        add(&mut bridge, flow(2, 1, hashed(bit.into()), sent));
    }

    let mut used = std::collections::BTreeSet::new();
    for station in 0..32u8 {
        let mut frame = tcp_frame(&[(0x8100, 1)]);
        frame[11] = station;
        let ports = twice(&mut bridge, 1, &frame).ports();
        assert_eq!((ports.len(), ports[1]), (2, 4));
        used.insert(ports[0]);
        // Whatever else is in it, the station's frames go the same way.
        let last = frame.len() - 1;
        frame[last] ^= 0xff;
        frame[5] ^= 0xff;
        assert_eq!(send(&mut bridge, 1, &frame).ports(), ports);
    }
    assert_eq!(used.into_iter().collect::<Vec<_>>(), [2, 3]);

    // Not in a bucket, and not more links than the bits can name.
    let refused = group(
        2,
        weft_openflow::GroupType::All,
        vec![bucket(vec![multipath(255)])],
    );
    assert!(bridge.group_mod(Owner::User, &refused, 0).is_err());
    let request = flow(3, 1, Match::any(), vec![apply(vec![multipath(256)])]);
    assert!(bridge.flow_mod(Owner::User, &request, 0).is_err());
}
