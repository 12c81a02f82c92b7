//! The ports of the bridge as controllers see them, and what they may change (OF 1.3.5 §7.2.1, §7.3.4.3).

use std::collections::BTreeMap;

use weft_openflow::{ErrorCode, OfError, Port, PortMod, port_config, port_no, port_state};

use crate::host::Nanos;

/// One port and since when it is there.
#[derive(Clone, Debug)]
pub struct PortEntry {
    /// As described to controllers.
    pub port: Port,
    /// When it was added.
    pub since: Nanos,
}

impl PortEntry {
    /// Whether fast-failover groups may use it: link up and not taken down.
    pub fn is_live(&self) -> bool {
        self.port.config & port_config::PORT_DOWN == 0
            && self.port.state & port_state::LINK_DOWN == 0
    }
}

/// The ports by number.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    by_number: BTreeMap<u32, PortEntry>,
}

impl Ports {
    /// Adds a port or replaces its description; returns the old one.
    pub fn insert(&mut self, mut port: Port, now: Nanos) -> Option<Port> {
        mark_live(&mut port);
        let since = self
            .by_number
            .get(&port.port_no)
            .map_or(now, |old| old.since);
        self.by_number
            .insert(port.port_no, PortEntry { port, since })
            .map(|old| old.port)
    }

    /// Removes a port and returns its last description.
    pub fn remove(&mut self, number: u32) -> Option<Port> {
        self.by_number.remove(&number).map(|entry| entry.port)
    }

    /// The port of that number.
    pub fn get(&self, number: u32) -> Option<&PortEntry> {
        self.by_number.get(&number)
    }

    /// All ports, or the one asked for; `OFPBRC_BAD_PORT` if there is none of that number.
    pub fn select(&self, number: u32) -> Result<Vec<&PortEntry>, OfError> {
        if number == port_no::ANY {
            return Ok(self.by_number.values().collect());
        }
        match self.by_number.get(&number) {
            Some(entry) => Ok(vec![entry]),
            None => Err(OfError::new(
                ErrorCode::BadRequestBadPort,
                format!("no port {number}"),
            )),
        }
    }

    /// All ports in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &PortEntry> {
        self.by_number.values()
    }

    /// What a port-mod would change: the port's configuration after it and the bits that differ.
    pub fn check_mod(&self, port_mod: &PortMod) -> Result<(u32, u32), OfError> {
        let Some(entry) = self.by_number.get(&port_mod.port_no) else {
            return Err(OfError::new(
                ErrorCode::PortModFailedBadPort,
                format!("no port {}", port_mod.port_no),
            ));
        };
        let port = &entry.port;
        if port.hw_addr != port_mod.hw_addr {
            return Err(OfError::new(
                ErrorCode::PortModFailedBadHwAddr,
                "the address is not the port's",
            ));
        }
        if (port_mod.config | port_mod.mask) & !port_config::ALL != 0 {
            return Err(OfError::new(
                ErrorCode::PortModFailedBadConfig,
                "unknown configuration bits",
            ));
        }
        // Zero leaves the advertised features as they are. What the device cannot do, it cannot advertise.
        if port_mod.advertise & !port.supported != 0 {
            return Err(OfError::new(
                ErrorCode::PortModFailedBadAdvertise,
                "features the port does not support",
            ));
        }
        let config = (port.config & !port_mod.mask) | (port_mod.config & port_mod.mask);
        Ok((config, config ^ port.config))
    }

    /// Sets a port's configuration and returns its new description.
    pub fn set_config(&mut self, number: u32, config: u32) -> Option<Port> {
        let entry = self.by_number.get_mut(&number)?;
        entry.port.config = config;
        mark_live(&mut entry.port);
        Some(entry.port.clone())
    }
}

/// `OFPPS_LIVE` follows from the rest.
fn mark_live(port: &mut Port) {
    let live = port.config & port_config::PORT_DOWN == 0 && port.state & port_state::LINK_DOWN == 0;
    port.state = if live {
        port.state | port_state::LIVE
    } else {
        port.state & !port_state::LIVE
    };
}
