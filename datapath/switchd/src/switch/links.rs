//! Devices that come, go, change and are renamed, and what that means to ports.

use std::collections::HashSet;
use std::time::Instant;

use rustix::event::epoll;
use weft_netdev::{LinkEvent, LinkInfo};

use super::{RETRY, Switch, token};
use crate::command::Event;
use crate::types::DeviceType;

impl Switch {
    /// Takes up what the kernel has said.
    pub(super) fn drain_links(&mut self) {
        let mut events = Vec::new();
        if let Err(error) = self.monitor.drain(|event| events.push(event)) {
            tracing::error!(%error, "rtnetlink");
        }
        for event in events {
            match event {
                LinkEvent::Changed(link) => self.link_changed(link),
                LinkEvent::Requeued { ifindex } => self.look_again(ifindex),
                LinkEvent::Removed { ifindex, .. } => self.link_removed(ifindex, "No such device"),
                LinkEvent::Lost => self.compare_links(),
            }
        }
    }

    fn link_changed(&mut self, link: LinkInfo) {
        if let Some((index, slot)) = self.port_of_device(link.ifindex) {
            let renamed = self.bridges[index]
                .as_mut()
                .and_then(|bridge| bridge.io.port(slot))
                .is_some_and(|port| port.spec.name != link.name);
            if renamed {
                self.detach(
                    index,
                    slot,
                    &format!("the device was renamed to {}", link.name),
                );
            }
        }
        let Some((index, slot)) = self.port_named(&link.name) else {
            return;
        };
        let Some(port) = self.bridges[index]
            .as_mut()
            .and_then(|bridge| bridge.io.port(slot))
        else {
            return;
        };
        match &port.attached {
            Some(attached) if attached.link.ifindex == link.ifindex => {
                port.link_changed(link, &mut self.rtnl);
                self.retarget(index, slot);
                self.refresh(index, slot);
            }
            Some(_) => {
                // Another device has the name now; that the old one left was lost.
                self.detach(index, slot, "No such device");
                self.attach(index, slot);
            }
            // One of our own that appears is us at work, or not ours to take.
            None if !port.spec.device_type.is_own() => self.attach(index, slot),
            None => {}
        }
    }

    /// Something about a device has changed of which the kernel has not said how it is now.
    fn look_again(&mut self, ifindex: u32) {
        if self.port_of_device(ifindex).is_none() {
            return;
        }
        match self.rtnl.link_at(ifindex) {
            Ok(Some(link)) => self.link_changed(link),
            // That it has gone is said, too.
            Ok(None) => {}
            Err(error) => tracing::error!(ifindex, %error, "rtnetlink"),
        }
    }

    fn link_removed(&mut self, ifindex: u32, why: &str) {
        let Some((index, slot)) = self.port_of_device(ifindex) else {
            return;
        };
        self.detach(index, slot, why);
        let device_type = self.bridges[index]
            .as_mut()
            .and_then(|bridge| bridge.io.port(slot))
            .map(|port| port.spec.device_type);
        match device_type {
            // Somebody has deleted what is ours to make. Its addresses are lost, as when it was made first.
            Some(DeviceType::Internal) => self.attach(index, slot),
            // The other end's port may have gone, and this one may be about to go.
            Some(DeviceType::Patch) => self.retry_at = Some(Instant::now() + RETRY),
            Some(DeviceType::System) | None => {}
        }
    }

    /// Looks at all devices, after notifications were lost.
    fn compare_links(&mut self) {
        let links = match self.rtnl.links() {
            Ok(links) => links,
            Err(error) => {
                tracing::error!(%error, "devices cannot be listed");
                return;
            }
        };
        let present: HashSet<u32> = links.iter().map(|link| link.ifindex).collect();
        let attached = self.devices.keys().copied();
        for gone in attached
            .filter(|ifindex| !present.contains(ifindex))
            .collect::<Vec<_>>()
        {
            self.link_removed(gone, "No such device");
        }
        for link in links {
            self.link_changed(link);
        }
    }

    /// Bridge and slot of the port of that name.
    pub(super) fn port_named(&self, name: &str) -> Option<(usize, usize)> {
        self.names.get(name).copied()
    }

    fn port_of_device(&self, ifindex: u32) -> Option<(usize, usize)> {
        self.devices.get(&ifindex).copied()
    }

    /// Opens a port's device and lets frames in.
    pub(super) fn attach(&mut self, index: usize, slot: usize) {
        let now = self.now();
        let Some(bridge) = &mut self.bridges[index] else {
            return;
        };
        let name = bridge.spec.name.clone();
        let is_settled = !bridge.io.adoption.is_pending();
        let Some(port) = bridge.io.port(slot) else {
            return;
        };
        let fast = self.fast.as_ref().map(|fast| &fast.path);
        port.attach(&mut self.rtnl, fast, &name);
        port.apply_qos(&mut self.rtnl, now);
        if let Some(attached) = &port.attached {
            self.devices.insert(attached.link.ifindex, (index, slot));
            if let Some(fast) = fast.filter(|_| is_settled) {
                // The bridge's tables are what they should be already.
                fast.kernel().settle(Some(&[attached.link.ifindex]));
            }
            let watched = epoll::add(
                &self.epoll,
                &attached.device,
                token(index, slot),
                epoll::EventFlags::IN,
            );
            // EEXIST: it was there already.
            if let Err(error) = watched.or_else(|error| {
                if error == rustix::io::Errno::EXIST {
                    Ok(())
                } else {
                    Err(error)
                }
            }) {
                tracing::error!(bridge = name, port = port.spec.name, %error, "device cannot be watched");
            }
        } else if port.spec.device_type.is_own() {
            self.retry_at = Some(Instant::now() + RETRY);
        }
        self.retarget(index, slot);
        self.refresh(index, slot);
    }

    fn detach(&mut self, index: usize, slot: usize, why: &str) {
        self.settle(index);
        let Some(bridge) = &mut self.bridges[index] else {
            return;
        };
        let id = bridge.io.id;
        if let Some(port) = bridge.io.port(slot) {
            if let Some(attached) = &port.attached {
                self.devices.remove(&attached.link.ifindex);
            }
            let fast = self.fast.as_ref().map(|fast| &fast.path);
            if fast.is_some_and(|fast| fast.set_target(id, port.ofport, None)) {
                bridge.agent.forget_port_translations(port.ofport);
            }
            port.unwatch(&self.epoll);
            port.detach(&mut self.rtnl, fast, &bridge.spec.name, why);
        }
        self.refresh(index, slot);
    }

    /// Says where the kernel may send a port's frames. If that has changed, flows that say otherwise have to go.
    pub(super) fn retarget(&mut self, index: usize, slot: usize) {
        let (Some(fast), Some(bridge)) = (&self.fast, &mut self.bridges[index]) else {
            return;
        };
        let id = bridge.io.id;
        let Some(port) = bridge.io.port(slot) else {
            return;
        };
        let ofport = port.ofport;
        if fast.path.set_target(id, ofport, port.target()) {
            bridge.agent.forget_port_translations(ofport);
        }
    }

    /// Tries again to make devices that could not be made.
    pub(super) fn retry_own_devices(&mut self) {
        self.retry_at = None;
        let waiting: Vec<_> = self
            .bridges
            .iter()
            .enumerate()
            .filter_map(|(index, bridge)| Some((index, bridge.as_ref()?)))
            .flat_map(|(index, bridge)| {
                bridge
                    .io
                    .ports()
                    .map(move |(slot, port)| (index, slot, port))
            })
            .filter(|(_, _, port)| port.attached.is_none() && port.spec.device_type.is_own())
            .map(|(index, slot, _)| (index, slot))
            .collect();
        for (index, slot) in waiting {
            self.attach(index, slot);
        }
    }

    /// Tells controllers and subscribers of a port that came, changed or went away.
    pub(super) fn refresh(&mut self, index: usize, slot: usize) {
        let now = self.now();
        let Some(bridge) = &mut self.bridges[index] else {
            return;
        };
        let Some(port) = bridge.io.port(slot) else {
            return;
        };
        let described = port.describe();
        if port.announced == described {
            return;
        }
        let before = std::mem::replace(&mut port.announced, described.clone());
        let (ofport, info) = (port.ofport, port.info());
        match (before, described) {
            (None, Some(described)) => bridge.agent.port_added(described, now, &mut bridge.io),
            (Some(_), Some(described)) => {
                bridge.agent.port_modified(described, now, &mut bridge.io)
            }
            (Some(_), None) => bridge.agent.port_removed(ofport, now, &mut bridge.io),
            (None, None) => {}
        }
        self.publish(index, info, "modified");
    }

    /// Tells subscribers of the control channel.
    pub(super) fn publish(&self, index: usize, port: crate::types::PortInfo, change: &'static str) {
        if let Some(bridge) = &self.bridges[index] {
            // Nobody listening is fine.
            let _ = self.queue.events.send(Event::PortChanged {
                bridge: bridge.spec.name.clone(),
                port,
                change,
            });
        }
    }
}
