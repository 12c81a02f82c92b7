//! What a bridge does without controllers, or without those it should have.

mod common;

use common::{Bridge, all_flows, flow, flows_of, frame, multipart};
use weft_agent::{BridgeConfig, ConnectionKind, FailMode};
use weft_openflow::{
    Action, Body, FlowMod, FlowModCommand, MultipartRequestBody, port_no, table_no,
};

#[test]
fn a_bridge_alone_forwards_as_normal_and_one_with_controllers_is_empty() {
    // (fail mode, controllers, flows at the start)
    let table = [
        (FailMode::Standalone, 0, 1),
        (FailMode::Standalone, 1, 0),
        (FailMode::Secure, 0, 0),
        (FailMode::Secure, 1, 0),
    ];
    for (fail_mode, controllers, flows) in table {
        let bridge = Bridge::new(BridgeConfig {
            fail_mode,
            controllers,
            ..BridgeConfig::new("br0", 1)
        });
        assert_eq!(
            bridge.agent.flow_count(),
            flows,
            "{fail_mode:?} with {controllers} controllers"
        );
    }
}

#[test]
fn gaining_the_first_controller_empties_the_tables() {
    let mut bridge = Bridge::new(BridgeConfig::new("br0", 1));
    assert_eq!(bridge.agent.flow_count(), 1);
    let with = BridgeConfig {
        controllers: 1,
        ..BridgeConfig::new("br0", 1)
    };
    bridge.agent.configure(with, 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 0);
    bridge
        .agent
        .configure(BridgeConfig::new("br0", 1), 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 1);
}

#[test]
fn a_standalone_bridge_forwards_while_no_controller_can_be_reached() {
    let (mut bridge, conn) = Bridge::plain();
    bridge
        .agent
        .connection_closed(conn, bridge.now, &mut bridge.log);
    bridge
        .agent
        .controllers_unreachable(true, 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 1);
    bridge.connect(ConnectionKind::Controller);
    assert_eq!(bridge.agent.flow_count(), 0);
    let secure = BridgeConfig {
        fail_mode: FailMode::Secure,
        ..bridge.agent.config().clone()
    };
    bridge.agent.configure(secure, 0, &mut bridge.log);
    bridge
        .agent
        .controllers_unreachable(true, 0, &mut bridge.log);
    assert_eq!(bridge.agent.flow_count(), 0);
}

#[test]
fn normal_learns_by_itself_without_a_program() {
    let mut bridge = Bridge::new(BridgeConfig {
        learning: true,
        ..BridgeConfig::new("br0", 1)
    });
    for number in 1..=3 {
        bridge.add_port(number);
    }
    let ports = |bridge: &mut Bridge| {
        let mut ports: Vec<u32> = std::mem::take(&mut bridge.log.frames)
            .into_iter()
            .map(|f| f.0)
            .collect();
        ports.sort_unstable();
        ports
    };
    bridge.packet(1, &frame(1, 2));
    assert_eq!(ports(&mut bridge), [2, 3]);
    bridge.packet(2, &frame(2, 1));
    assert_eq!(ports(&mut bridge), [1]);
    bridge.packet(1, &frame(1, 2));
    assert_eq!(ports(&mut bridge), [2]);
    // Users see their tables only, cannot break NORMAL, but can look at it.
    let tool = bridge.connect(ConnectionKind::Management);
    bridge.tell(
        tool,
        Body::FlowMod(FlowMod::new(FlowModCommand::Delete, table_no::ALL)),
    );
    let dump = |table_id| multipart(MultipartRequestBody::Flow(all_flows(table_id)));
    assert_eq!(flows_of(bridge.ask(tool, dump(table_no::ALL))), []);
    assert_eq!(flows_of(bridge.ask(tool, dump(253))).len(), 3);
    bridge.tell(
        tool,
        Body::FlowMod(flow(0, 1, vec![Action::output(port_no::NORMAL)])),
    );
    bridge.packet(1, &frame(1, 2));
    assert_eq!(ports(&mut bridge), [2]);
}
