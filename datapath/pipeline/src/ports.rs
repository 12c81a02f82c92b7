//! What the pipeline knows of the bridge's ports.

use crate::drops::{DropCounters, DropReason, Dropped, Head, LastDropped};
use std::collections::BTreeMap;
use weft_openflow::port_config;

/// State of a port, as far as forwarding needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortState {
    /// `OFPPC_*`.
    pub config: u32,
    /// Link up and not blocked: what `watch_port` of a fast-failover bucket asks.
    pub live: bool,
}

#[derive(Debug, Default)]
struct Port {
    state: PortState,
    drops: DropCounters,
    last_dropped: LastDropped,
}

/// The ports of a bridge, by number. `OFPP_LOCAL` is one of them.
#[derive(Debug, Default)]
pub struct Ports {
    ports: BTreeMap<u32, Port>,
    drops: DropCounters,
}

impl Ports {
    /// Adds or changes a port; returns whether anything is different now.
    pub(crate) fn set(&mut self, port_no: u32, state: PortState) -> bool {
        match self.ports.get_mut(&port_no) {
            Some(port) => std::mem::replace(&mut port.state, state) != state,
            None => {
                self.ports.insert(
                    port_no,
                    Port {
                        state,
                        ..Port::default()
                    },
                );
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, port_no: u32) -> bool {
        self.ports.remove(&port_no).is_some()
    }

    /// State of a port, `None` if there is no such port.
    pub fn get(&self, port_no: u32) -> Option<PortState> {
        self.ports.get(&port_no).map(|port| port.state)
    }

    /// Numbers of all ports, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.ports.keys().copied()
    }

    /// Whether a group may use the port as live (OF 1.3.5 §6.5).
    pub fn is_live(&self, port_no: u32) -> bool {
        self.get(port_no)
            .is_some_and(|state| state.live && state.config & port_config::PORT_DOWN == 0)
    }

    /// Why nothing can leave by the port, if so.
    pub fn output_blocked(&self, port_no: u32) -> Option<DropReason> {
        match self.get(port_no) {
            None => Some(DropReason::NoSuchPort),
            Some(state) if state.config & port_config::PORT_DOWN != 0 => Some(DropReason::PortDown),
            Some(state) if state.config & port_config::NO_FWD != 0 => Some(DropReason::NoForward),
            Some(_) => None,
        }
    }

    /// Counts a packet that is dropped, and keeps its beginning as it came in.
    pub(crate) fn count_drop(&mut self, in_port: u32, reason: DropReason, head: Head, at: u64) {
        self.drops.add(reason, 1);
        if let Some(port) = self.ports.get_mut(&in_port) {
            port.drops.add(reason, 1);
            port.last_dropped.keep(reason, Dropped { head, at });
        }
    }

    /// Counts packets that were dropped without us.
    pub(crate) fn count_drops(&mut self, in_port: u32, reason: DropReason, packets: u64) {
        self.drops.add(reason, packets);
        if let Some(port) = self.ports.get_mut(&in_port) {
            port.drops.add(reason, packets);
        }
    }

    /// The last frames received on a port that were dropped, by reason.
    pub fn last_dropped(&self, port_no: u32) -> impl Iterator<Item = (DropReason, &Dropped)> + '_ {
        self.ports
            .get(&port_no)
            .into_iter()
            .flat_map(|port| port.last_dropped.iter())
    }

    /// Drops of the bridge.
    pub fn drops(&self) -> &DropCounters {
        &self.drops
    }

    /// Drops of packets received on a port.
    pub fn port_drops(&self, port_no: u32) -> Option<&DropCounters> {
        self.ports.get(&port_no).map(|port| &port.drops)
    }
}
