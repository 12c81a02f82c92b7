//! What a bridge does by itself: the flows it starts with, those while its controllers are out of reach, and
//! NORMAL on a bridge without a bridge program.

use weft_openflow::{
    Action, FlowMod, FlowModCommand, Instruction, Learn, LearnSource, LearnSpec, LearnTarget,
    Match, NxAction, OxmField, OxmId, port_no, table_no,
};
use weft_pipeline::{Owner, Pipeline};

use crate::host::Nanos;

/// First of the two tables in which NORMAL learns when there is no bridge program. Users' tables end before.
pub(crate) const LEARNING_TABLE: u8 = 252;
/// Where the learned flows are.
const LEARNED_TABLE: u8 = 253;
/// Seconds until an address is forgotten (`mac-aging-time` of Open vSwitch).
const AGEING_SECONDS: u16 = 300;
/// Cookie of the flow that forwards while no controller can be reached.
pub(crate) const FAIL_OPEN_COOKIE: u64 = 0x5745_4654_4f50_454e;
/// `in_port` of a resubmit that keeps it (`OFPP_IN_PORT` in 16 bits).
const SAME_IN_PORT: u16 = 0xfff8;
/// 01:80:C2:00:00:00 to 0F, never forwarded by a bridge (IEEE 802.1Q §8.6.3).
const RESERVED_GROUP: u64 = 0x0180_c200_0000;
const RESERVED_GROUP_MASK: u64 = 0xffff_ffff_fff0;
/// The bit of an Ethernet address that says that it is a group's.
const GROUP_BIT: u64 = 0x0100_0000_0000;

/// Applies a flow-mod of our own. It is well-formed and its table has room, so it is not refused; were it, the flow
/// would be missing from the dump, which is what an operator looks at.
fn apply(pipeline: &mut Pipeline, owner: Owner, flow_mod: &FlowMod, now: Nanos) {
    let outcome = pipeline.flow_mod(owner, flow_mod, now);
    debug_assert!(outcome.is_ok(), "{outcome:?}");
}

fn add(table_id: u8, priority: u16, match_: Match, actions: Vec<Action>) -> FlowMod {
    let instructions = if actions.is_empty() {
        Vec::new()
    } else {
        vec![Instruction::ApplyActions { actions }]
    };
    FlowMod {
        priority,
        match_,
        instructions,
        ..FlowMod::new(FlowModCommand::Add, table_id)
    }
}

/// `table=0, priority=0, actions=NORMAL`: how a bridge without controllers starts. Users may delete it, as in Open
/// vSwitch.
pub(crate) fn install_normal(pipeline: &mut Pipeline, now: Nanos) {
    let flow = add(0, 0, Match::any(), vec![Action::output(port_no::NORMAL)]);
    apply(pipeline, Owner::User, &flow, now);
}

/// Removes all flows that are the users'.
pub(crate) fn flush(pipeline: &mut Pipeline, now: Nanos) {
    apply(
        pipeline,
        Owner::User,
        &FlowMod::new(FlowModCommand::Delete, table_no::ALL),
        now,
    );
}

/// Puts in or takes out the flow that forwards everything as NORMAL while no controller can be reached. It
/// goes before the flows that controllers left behind, as in Open vSwitch.
pub(crate) fn set_fail_open(pipeline: &mut Pipeline, fail_open: bool, now: Nanos) {
    let flow = add(
        0,
        u16::MAX,
        Match::any(),
        vec![Action::output(port_no::NORMAL)],
    );
    let flow = FlowMod {
        cookie: FAIL_OPEN_COOKIE,
        ..flow
    };
    let flow = if fail_open {
        flow
    } else {
        FlowMod {
            command: FlowModCommand::DeleteStrict,
            cookie_mask: u64::MAX,
            ..flow
        }
    };
    apply(pipeline, Owner::User, &flow, now);
}

/// NORMAL as two tables: the first learns where the source is and goes on in the second, where learned flows forward
/// and the miss floods.
pub(crate) fn install_learning(pipeline: &mut Pipeline, now: Nanos) {
    let reserved = Match::any().with_masked(OxmField::EthDst, RESERVED_GROUP, RESERVED_GROUP_MASK);
    let group_source = Match::any().with_masked(OxmField::EthSrc, GROUP_BIT, GROUP_BIT);
    let resubmit = Action::Nicira(NxAction::ResubmitTable {
        in_port: SAME_IN_PORT,
        table: LEARNED_TABLE,
    });
    let flows = [
        add(LEARNING_TABLE, 2, reserved, Vec::new()),
        add(LEARNING_TABLE, 1, group_source, Vec::new()),
        add(LEARNING_TABLE, 0, Match::any(), vec![learn(), resubmit]),
        add(
            LEARNED_TABLE,
            0,
            Match::any(),
            vec![Action::output(port_no::FLOOD)],
        ),
    ];
    for flow in &flows {
        apply(pipeline, Owner::Program, flow, now);
    }
}

/// Removes what [`install_learning`] put in and what was learned.
pub(crate) fn remove_learning(pipeline: &mut Pipeline, now: Nanos) {
    for table_id in [LEARNING_TABLE, LEARNED_TABLE] {
        apply(
            pipeline,
            Owner::Program,
            &FlowMod::new(FlowModCommand::Delete, table_id),
            now,
        );
    }
}

/// `learn(table=253, hard_timeout=300, priority=1, vlan_tci[0..11], eth_dst=eth_src, output:in_port)`.
fn learn() -> Action {
    let spec = |n_bits, from: OxmField, target| LearnSpec {
        n_bits,
        source: LearnSource::Field {
            field: OxmId::new(from),
            offset: 0,
        },
        target,
    };
    let matching = |field| LearnTarget::Match {
        field: OxmId::new(field),
        offset: 0,
    };
    Action::Nicira(NxAction::Learn(Box::new(Learn {
        idle_timeout: 0,
        hard_timeout: AGEING_SECONDS,
        priority: 1,
        cookie: 0,
        flags: 0,
        table_id: LEARNED_TABLE,
        fin_idle_timeout: 0,
        fin_hard_timeout: 0,
        specs: vec![
            spec(12, OxmField::NxmVlanTci, matching(OxmField::NxmVlanTci)),
            spec(48, OxmField::EthSrc, matching(OxmField::EthDst)),
            spec(32, OxmField::InPort, LearnTarget::Output),
        ],
    })))
}
