//! Bridges that come back as their users had left them.

use std::hash::{BuildHasher, Hasher, RandomState};

use weft_agent::{Agent, Nanos};
use weft_openflow::{Body, PortMod, port_config};

use super::Switch;
use super::bridge::{Bridge, BridgeIo};
use super::port::Port;
use super::requests::agent_config;
use crate::survival::{Entry, FlowLog, Left, Settings, path_of};
use crate::types::BridgeSpec;

impl Switch {
    /// Makes a bridge; if one of that name and datapath id ended with a process that died, then as that one was.
    pub(super) fn new_bridge(&self, spec: &BridgeSpec, now: Nanos) -> Bridge {
        let path = path_of(&self.rundir, &spec.name);
        let left = Left::find(&path).filter(|left| left.last.datapath_id == spec.datapath_id);
        let restored = left.and_then(|left| match restore(left, spec, now) {
            Ok(bridge) => Some(bridge),
            Err(error) => {
                tracing::error!(bridge = spec.name, %error, "what users had installed is lost");
                None
            }
        });
        let mut bridge = restored.unwrap_or_else(|| {
            let mut io = BridgeIo::default();
            io.log = Some(FlowLog::create(&path, settings(spec), now));
            let agent = Agent::new(agent_config(spec), now);
            Bridge {
                spec: spec.clone(),
                agent,
                io,
            }
        });
        bridge
            .agent
            .seed(RandomState::new().build_hasher().finish());
        bridge
    }

    /// Writes down what has changed in this round, and does a piece of rewriting where it is due.
    pub(super) fn keep_logs(&mut self) {
        let now = self.now();
        for bridge in self.bridges.iter_mut().flatten() {
            let Some(log) = &mut bridge.io.log else {
                continue;
            };
            log.flush();
            // What a half committed bundle makes of the tables is not to be kept.
            if bridge.agent.is_committing() || !log.wants_rewrite(bridge.agent.flow_count()) {
                continue;
            }
            if let Some(mut log) = bridge.io.log.take() {
                log.step(&mut bridge.agent, &bridge.io.port_changes(), now);
                bridge.io.log = Some(log);
            }
        }
    }

    /// Whether some log is being rewritten, a piece in each round.
    pub(super) fn rewriting(&self) -> bool {
        self.bridges.iter().flatten().any(|bridge| {
            let log = bridge.io.log.as_ref();
            log.is_some_and(|log| log.wants_rewrite(bridge.agent.flow_count()))
        })
    }
}

/// What the log must know of a bridge's settings.
pub(super) fn settings(spec: &BridgeSpec) -> Settings {
    Settings {
        datapath_id: spec.datapath_id,
        fail_mode: spec.fail_mode,
        controllers: u32::try_from(spec.controllers.len()).unwrap_or(u32::MAX),
        program_table: spec.program_table,
    }
}

/// The spec, with those settings.
fn with_settings(spec: &BridgeSpec, settings: &Settings) -> weft_agent::BridgeConfig {
    weft_agent::BridgeConfig {
        datapath_id: settings.datapath_id,
        fail_mode: settings.fail_mode,
        controllers: settings.controllers as usize,
        program_table: settings.program_table,
        learning: settings.program_table.is_none(),
        ..agent_config(spec)
    }
}

fn restore(left: Left, spec: &BridgeSpec, now: Nanos) -> std::io::Result<Bridge> {
    let mut io = BridgeIo::default();
    let mut agent = Agent::new(with_settings(spec, &left.first), now);
    let (mut changes, mut refused) = (0u64, 0u64);
    let mut log = left.replay(|entry, at| match entry {
        // Also what the change of settings did to the flows is done again.
        Entry::Settings(settings) => agent.configure(with_settings(spec, &settings), at, &mut io),
        Entry::Change(Body::PortMod(port_mod)) => io.restore_port_config(&port_mod),
        Entry::Change(change) => {
            changes += 1;
            if let Err(error) = agent.restore(&change, at) {
                refused += 1;
                tracing::debug!(bridge = spec.name, %error, "not brought back");
            }
        }
    })?;
    agent.configure(agent_config(spec), now, &mut io);
    agent.restored(now);
    log.configure(settings(spec), now);
    log.flush();
    io.log = Some(log);
    tracing::info!(
        bridge = spec.name,
        flows = agent.flow_count(),
        changes,
        refused,
        "users' flows are back"
    );
    Ok(Bridge {
        spec: spec.clone(),
        agent,
        io,
    })
}

impl BridgeIo {
    fn restore_port_config(&mut self, port_mod: &PortMod) {
        let config = self.restored_config.entry(port_mod.port_no).or_default();
        *config = (*config & !port_mod.mask) | (port_mod.config & port_mod.mask);
        // Up and down are the device's own, which has kept it.
        *config &= !port_config::PORT_DOWN;
        if *config == 0 {
            self.restored_config.remove(&port_mod.port_no);
        }
    }

    /// The changes that give the ports the configuration they have.
    fn port_changes(&self) -> Vec<Body> {
        let present = self.ports().map(|(_, port)| (port.ofport, port.config()));
        let absent = self
            .restored_config
            .iter()
            .map(|(port, config)| (*port, *config));
        present
            .chain(absent)
            .filter(|(_, config)| *config != 0)
            .map(|(port_no, config)| Body::PortMod(port_mod(port_no, config)))
            .collect()
    }

    /// A port ends: another one of its number starts without its configuration.
    pub(super) fn forget_port_config(&mut self, port: &Port, now: Nanos) {
        if let Some(log) = &mut self.log
            && port.config() != 0
        {
            log.append(&[&Body::PortMod(port_mod(port.ofport, 0))], false, now);
        }
    }
}

/// As it is kept; whose address it was is checked no more.
fn port_mod(port_no: u32, config: u32) -> PortMod {
    PortMod {
        port_no,
        hw_addr: [0; 6],
        config,
        mask: port_config::ALL,
        advertise: 0,
    }
}
