//! Requests of the control channel that concern the switch.

use serde_json::{Value, json};
use weft_agent::BridgeConfig;
use weft_openflow::port_no;
use weft_pipeline::CachedFlowQuery;

use super::Switch;
use super::bridge::Bridge;
use super::port::Port;
use super::restore::settings;
use crate::rpc::{RpcError, SwitchRequest};
use crate::types::{BridgeSpec, DeviceType, FailMode, OFPP_LOCAL, PortSpec};

impl Switch {
    /// Carries out a request.
    pub(super) fn answer(&mut self, request: SwitchRequest) -> Result<Value, RpcError> {
        match request {
            SwitchRequest::EnsureBridge(spec) => self.ensure_bridge(spec),
            SwitchRequest::RemoveBridge(name) => {
                let Some(index) = self.bridge_index(&name) else {
                    return Ok(json!({ "removed": false }));
                };
                self.drop_bridge(index, false);
                tracing::info!(bridge = name, "bridge removed");
                Ok(json!({ "removed": true }))
            }
            SwitchRequest::ListBridges => {
                Ok(self.bridges.iter().flatten().map(describe_bridge).collect())
            }
            SwitchRequest::EnsurePort { bridge, port } => self.ensure_port(&bridge, port),
            SwitchRequest::RemovePort { bridge, name } => self.remove_port(&bridge, &name),
            SwitchRequest::ListPorts(bridge) => {
                let bridge = self.bridge(&bridge)?;
                let mut ports: Vec<_> = bridge.io.ports().map(|(_, port)| port.info()).collect();
                ports.sort_by_key(|port| port.ofport);
                serde_json::to_value(ports)
                    .map_err(|error| RpcError::new("internal", error.to_string()))
            }
            SwitchRequest::PortStats(bridge) => {
                let now = self.now();
                let bridge = self.bridge(&bridge)?;
                bridge.agent.update_counters(now);
                Ok(port_stats(bridge))
            }
            SwitchRequest::FastPathShow { bridge } => {
                if let Some(name) = &bridge {
                    self.bridge(name)?;
                }
                Ok(self.show_fast_path(bridge.as_deref()))
            }
            SwitchRequest::FastPathFlows { bridge, query } => {
                let now = self.now();
                let bridge = self.bridge(&bridge)?;
                bridge.agent.update_counters(now);
                Ok(cached_flows(bridge, &query, now))
            }
            SwitchRequest::Drops(bridge) => {
                let now = self.now();
                let bridge = self.bridge(&bridge)?;
                bridge.agent.update_counters(now);
                let mut drops = reasons(&bridge.agent.drops());
                if bridge.io.packet_in_drops > 0 {
                    drops["packet-in-queue-full"] = json!(bridge.io.packet_in_drops);
                }
                Ok(drops)
            }
            SwitchRequest::LastDropped(bridge) => {
                let now = self.now();
                Ok(last_dropped(self.bridge(&bridge)?, now))
            }
            SwitchRequest::Trace {
                bridge,
                in_port,
                frame,
            } => {
                let now = self.now();
                let bridge = self.bridge(&bridge)?;
                bridge.agent.settle(now, &mut bridge.io);
                let trace = bridge.agent.trace(in_port, &frame, now);
                serde_json::to_value(trace)
                    .map_err(|error| RpcError::new("internal", error.to_string()))
            }
        }
    }

    fn bridge(&mut self, name: &str) -> Result<&mut Bridge, RpcError> {
        self.find_bridge(name)
            .ok_or_else(|| RpcError::no_such_bridge(name))
    }

    fn ensure_bridge(&mut self, spec: BridgeSpec) -> Result<Value, RpcError> {
        let other = self.bridges.iter().flatten().find(|bridge| {
            bridge.spec.datapath_id == spec.datapath_id && bridge.spec.name != spec.name
        });
        if let Some(other) = other {
            let message = format!(
                "datapath id {:016x} is used by bridge {}",
                spec.datapath_id, other.spec.name
            );
            return Err(RpcError::new("in-use", message));
        }
        let now = self.now();
        let answer = |created: bool| json!({ "name": spec.name, "datapathId": format!("{:016x}", spec.datapath_id), "created": created });
        if let Some(index) = self.bridge_index(&spec.name) {
            if let Some(bridge) = &mut self.bridges[index] {
                let changed_id = bridge.spec.datapath_id != spec.datapath_id;
                bridge
                    .agent
                    .configure(agent_config(&spec), now, &mut bridge.io);
                if let Some(log) = &mut bridge.io.log {
                    log.configure(settings(&spec), now);
                    log.flush();
                }
                if changed_id {
                    // Peers know the bridge by its datapath id: they have to meet it anew.
                    for outbox in bridge.io.outboxes.values() {
                        outbox.finish();
                    }
                }
                bridge.spec = spec.clone();
            }
            return Ok(answer(false));
        }
        let mut bridge = self.new_bridge(&spec, now);
        self.next_bridge += 1;
        bridge.io.id = self.next_bridge;
        if let Some(fast) = &self.fast {
            bridge.io.fast = Some(fast.path.clone());
            bridge
                .agent
                .set_fast_path(Some(fast.path.of_bridge(bridge.io.id)));
            self.begin_adoption(&mut bridge, now);
        }
        let bridge = Some(bridge);
        match self.bridges.iter().position(Option::is_none) {
            Some(free) => self.bridges[free] = bridge,
            None => self.bridges.push(bridge),
        }
        tracing::info!(
            bridge = spec.name,
            dpid = format!("{:016x}", spec.datapath_id),
            "bridge created"
        );
        Ok(answer(true))
    }

    /// Ends a bridge: its ports go, its connections are closed. If `keep`, internal interfaces stay for a next life, and so
    /// does what users had installed.
    pub(super) fn drop_bridge(&mut self, index: usize, keep: bool) {
        if !keep {
            self.settle(index);
        }
        let Some(mut bridge) = self.bridges[index].take() else {
            return;
        };
        self.conns.retain(|_, owner| *owner != index);
        self.names.retain(|_, (owner, _)| *owner != index);
        self.devices.retain(|_, (owner, _)| *owner != index);
        let now = self.now();
        bridge
            .agent
            .flush_observers(port_no::ANY, now, &mut bridge.io);
        for outbox in bridge.io.outboxes.values() {
            outbox.finish();
        }
        // Kept, it goes on in the kernel without us.
        let fast = self.fast.as_ref().filter(|_| !keep).map(|fast| &fast.path);
        if !keep {
            bridge.agent.set_fast_path(None);
        }
        let id = bridge.io.id;
        let slots: Vec<_> = bridge.io.ports().map(|(slot, _)| slot).collect();
        for port in slots.into_iter().filter_map(|slot| bridge.io.remove(slot)) {
            fast.map(|fast| fast.set_target(id, port.ofport, None));
            port.unwatch(&self.epoll);
            port.remove(&mut self.rtnl, fast, &bridge.spec.name, keep);
        }
        if let Some(mut log) = bridge.io.log.take() {
            if keep {
                log.flush();
            } else {
                log.remove();
            }
        }
    }

    fn ensure_port(&mut self, bridge: &str, spec: PortSpec) -> Result<Value, RpcError> {
        let index = self
            .bridge_index(bridge)
            .ok_or_else(|| RpcError::no_such_bridge(bridge))?;
        if let Some((owner, slot)) = self.port_named(&spec.name) {
            if owner != index {
                let owner = self.bridges[owner]
                    .as_ref()
                    .map_or("?", |bridge| bridge.spec.name.as_str());
                return Err(RpcError::new(
                    "in-use",
                    format!("{} is a port of bridge {owner}", spec.name),
                ));
            }
            if let Some(info) = self.change_port(index, slot, &spec)? {
                return Ok(info);
            }
        }
        let Some(bridge) = &mut self.bridges[index] else {
            return Err(RpcError::no_such_bridge(bridge));
        };
        let is_local = spec.name == bridge.spec.name && spec.device_type == DeviceType::Internal;
        let ofport = match spec.ofport {
            Some(number) => number,
            None if is_local => OFPP_LOCAL,
            None => bridge
                .io
                .free_number()
                .ok_or_else(|| RpcError::new("full", "no port number is free"))?,
        };
        if let Some(port) = bridge.io.slot(ofport).and_then(|slot| bridge.io.port(slot)) {
            let message = format!("port number {ofport} is that of {}", port.spec.name);
            return Err(RpcError::new("in-use", message));
        }
        let mut port = Port::new(spec, ofport);
        if let Some(config) = bridge.io.restored_config.remove(&ofport) {
            port.set_config(config);
        }
        let name = port.spec.name.clone();
        let slot = bridge
            .io
            .insert(port)
            .ok_or_else(|| RpcError::new("full", "too many ports"))?;
        self.names.insert(name, (index, slot));
        self.attach(index, slot);
        self.port_info(index, slot, "added")
    }

    /// Changes a port that exists; `None` if it had to be taken away, to be made anew.
    fn change_port(
        &mut self,
        index: usize,
        slot: usize,
        spec: &PortSpec,
    ) -> Result<Option<Value>, RpcError> {
        let now = self.now();
        let Some(port) = self.bridges[index]
            .as_mut()
            .and_then(|bridge| bridge.io.port(slot))
        else {
            return Ok(None);
        };
        let other_number = spec.ofport.is_some_and(|number| number != port.ofport);
        let same_device = spec.device_type == port.spec.device_type && spec.peer == port.spec.peer;
        if other_number || !same_device {
            let taken = spec.ofport.filter(|_| other_number).is_some_and(|number| {
                self.bridges[index]
                    .as_ref()
                    .is_some_and(|bridge| bridge.io.slot(number).is_some())
            });
            if taken {
                let number = spec.ofport.unwrap_or_default();
                return Err(RpcError::new(
                    "in-use",
                    format!("port number {number} is that of another port"),
                ));
            }
            self.drop_port(index, slot, same_device);
            return Ok(None);
        }
        port.spec.mac = spec.mac;
        port.spec.mtu = spec.mtu;
        port.spec.qos.clone_from(&spec.qos);
        port.spec.policing = spec.policing;
        if port.attached.is_none() {
            self.attach(index, slot);
        } else {
            port.apply_qos(&mut self.rtnl, now);
            if let Err(error) = port.apply_settings(&mut self.rtnl) {
                return Err(RpcError::new(
                    "refused",
                    format!("mac or mtu of {} cannot be set: {error}", spec.name),
                ));
            }
        }
        self.retarget(index, slot);
        self.drain_links();
        let port = self.bridges[index]
            .as_ref()
            .and_then(|bridge| Some(bridge.io.ports().find(|(s, _)| *s == slot)?.1));
        Ok(port.and_then(|port| serde_json::to_value(port.info()).ok()))
    }

    fn port_info(
        &mut self,
        index: usize,
        slot: usize,
        change: &'static str,
    ) -> Result<Value, RpcError> {
        let port = self.bridges[index]
            .as_mut()
            .and_then(|bridge| bridge.io.port(slot));
        let info = port
            .map(|port| port.info())
            .ok_or_else(|| RpcError::new("internal", "the port is gone"))?;
        let value = serde_json::to_value(&info)
            .map_err(|error| RpcError::new("internal", error.to_string()))?;
        self.publish(index, info, change);
        Ok(value)
    }

    fn remove_port(&mut self, bridge: &str, name: &str) -> Result<Value, RpcError> {
        let index = self
            .bridge_index(bridge)
            .ok_or_else(|| RpcError::no_such_bridge(bridge))?;
        let slot = self.bridges[index]
            .as_ref()
            .and_then(|bridge| bridge.io.find(name));
        let Some(slot) = slot else {
            return Ok(json!({ "removed": false }));
        };
        self.drop_port(index, slot, false);
        Ok(json!({ "removed": true }))
    }

    fn drop_port(&mut self, index: usize, slot: usize, keep_interface: bool) {
        let now = self.now();
        self.settle(index);
        let Some(bridge) = &mut self.bridges[index] else {
            return;
        };
        bridge.agent.settle(now, &mut bridge.io);
        let Some(port) = bridge.io.remove(slot) else {
            return;
        };
        self.names.remove(&port.spec.name);
        if let Some(attached) = &port.attached {
            self.devices.remove(&attached.link.ifindex);
        }
        bridge.io.forget_port_config(&port, now);
        if port.announced.is_some() {
            bridge.agent.port_removed(port.ofport, now, &mut bridge.io);
        }
        let mut info = port.info();
        info.present = false;
        tracing::info!(
            bridge = bridge.spec.name,
            port = info.name,
            ofport = info.ofport,
            "port removed"
        );
        let fast = self.fast.as_ref().map(|fast| &fast.path);
        if fast.is_some_and(|fast| fast.set_target(bridge.io.id, port.ofport, None)) {
            bridge.agent.forget_port_translations(port.ofport);
        }
        port.unwatch(&self.epoll);
        port.remove(&mut self.rtnl, fast, &bridge.spec.name, keep_interface);
        self.publish(index, info, "removed");
    }
}

pub(super) fn agent_config(spec: &BridgeSpec) -> BridgeConfig {
    BridgeConfig {
        fail_mode: spec.fail_mode,
        controllers: spec.controllers.len(),
        program_table: spec.program_table,
        learning: spec.program_table.is_none(),
        description: spec.description.clone(),
        table_limits: spec.table_limits.clone(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
        ..BridgeConfig::new(spec.name.clone(), spec.datapath_id)
    }
}

fn describe_bridge(bridge: &Bridge) -> Value {
    let roles: serde_json::Map<String, Value> = bridge
        .io
        .outboxes
        .keys()
        .filter_map(|conn| Some((conn.0.to_string(), json!(bridge.agent.role(*conn)?.name()))))
        .collect();
    json!({
        "name": bridge.spec.name,
        "datapathId": format!("{:016x}", bridge.spec.datapath_id),
        "failMode": match bridge.spec.fail_mode {
            FailMode::Standalone => "standalone",
            FailMode::Secure => "secure",
        },
        "programTable": bridge.spec.program_table,
        "flows": bridge.agent.flow_count(),
        "ports": bridge.io.ports().count(),
        "roles": roles,
    })
}

fn reasons(drops: &weft_pipeline::DropCounters) -> Value {
    drops
        .iter()
        .map(|(reason, count)| (reason.name().to_owned(), json!(count)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn last_dropped(bridge: &Bridge, now: u64) -> Value {
    let ports = bridge.io.ports().map(|(_, port)| port);
    ports
        .flat_map(|port| {
            bridge
                .agent
                .last_dropped(port.ofport)
                .map(move |(reason, dropped)| {
                    json!({
                        "port": port.spec.name,
                        "ofport": port.ofport,
                        "reason": reason.name(),
                        "frame": hex(dropped.head.bytes()),
                        "length": dropped.head.len(),
                        "agoMs": now.saturating_sub(dropped.at) / 1_000_000,
                    })
                })
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cached_flows(bridge: &Bridge, query: &CachedFlowQuery, now: u64) -> Value {
    let flows = bridge.agent.cached_flows(query);
    let show = |mut flow: weft_pipeline::CachedFlow| {
        // As an age: the clock is nobody else's.
        flow.used = now.saturating_sub(flow.used) / 1_000_000;
        let mut value = json!(flow);
        if let Some(object) = value.as_object_mut()
            && let Some(age) = object.remove("used")
        {
            object.insert("usedMsAgo".to_owned(), age);
        }
        value
    };
    flows.into_iter().map(show).collect()
}

fn port_stats(bridge: &Bridge) -> Value {
    let agent = &bridge.agent;
    bridge
        .io
        .ports()
        .map(|(_, port)| {
            let counters = port.counters(bridge.io.fast.as_ref());
            json!({
                "name": port.spec.name,
                "ofport": port.ofport,
                "rxPackets": counters.rx_packets,
                "txPackets": counters.tx_packets,
                "rxBytes": counters.rx_bytes,
                "txBytes": counters.tx_bytes,
                "rxDropped": counters.rx_dropped,
                "txDropped": counters.tx_dropped,
                "rxErrors": counters.rx_errors,
                "txErrors": counters.tx_errors,
                "drops": reasons(&agent.port_drops(port.ofport)),
            })
        })
        .collect()
}
