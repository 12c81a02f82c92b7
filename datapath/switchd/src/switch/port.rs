//! One port of a bridge and the device behind it, present or awaited.

use std::io;
use std::os::fd::AsFd;

use rustix::event::epoll;
use weft_agent::{Nanos, PortQueue};
use weft_fastpath::{Target, Way};
use weft_netdev::{
    Counters, Device, LinkInfo, LinkSpeed, QueueCounters, Rtnl, Shaping, Shield, Tap, disable_lro,
    link_speed,
};
use weft_openflow as of;
use weft_openflow::{port_config, port_state};

use super::fast::FastPath;
use super::policer::Policer;
use crate::types::{DeviceType, PortInfo, PortSpec, format_mac};

/// A port that was asked for. Its number stays its own while the device is away.
pub struct Port {
    /// As asked for.
    pub spec: PortSpec,
    /// OpenFlow port number.
    pub ofport: u32,
    /// The device, while it is there.
    pub attached: Option<Attached>,
    /// Why it is not, or what it lacks.
    pub error: Option<String>,
    /// As last described to controllers; none while they know of no such port.
    pub announced: Option<of::Port>,
    /// `OFPPC_*` but for `OFPPC_PORT_DOWN`, which is the device's own.
    config: u32,
    /// Counters of the device's earlier lives.
    counters: Counters,
    /// The queues that the device has been given.
    shaping: Option<Shaping>,
    /// Since when there is which queue.
    queues_since: Vec<(u32, Nanos)>,
    /// What it may send into the switch.
    pub policer: Option<Policer>,
}

/// An open device.
pub struct Attached {
    /// Frames in and out.
    pub device: Device,
    /// What the kernel says of it.
    pub link: LinkInfo,
    /// Ethernet address of its other end, if that is in another network namespace.
    far_mac: Option<[u8; 6]>,
    speed: Option<LinkSpeed>,
    shield: Option<Shield>,
}

impl Attached {
    /// How the kernel gets a frame to the device.
    fn target(&self, device_type: DeviceType, policed: bool, shaped: bool) -> Target {
        let way = match device_type {
            DeviceType::Internal => Way::Receive,
            // What is received by the peer at once sees no queue, be it ours or another's.
            _ if shaped || self.link.queued => Way::Transmit,
            _ => self.far_mac.map_or(Way::Transmit, |mac| {
                Way::Peer(mac.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            }),
        };
        // As for the Linux bridge: an Ethernet header and a tag beside what the MTU speaks of.
        let max_len = self.link.mtu.saturating_add(18);
        Target {
            ifindex: self.link.ifindex,
            way,
            max_len: u16::try_from(max_len).unwrap_or(u16::MAX),
            policed,
        }
    }
}

impl Port {
    /// A port without its device.
    pub fn new(spec: PortSpec, ofport: u32) -> Port {
        Port {
            spec,
            ofport,
            attached: None,
            error: None,
            announced: None,
            config: 0,
            counters: Counters::default(),
            shaping: None,
            queues_since: Vec::new(),
            policer: None,
        }
    }

    /// Opens the device. On failure the port waits, and says why.
    pub fn attach(&mut self, rtnl: &mut Rtnl, fast: Option<&FastPath>, bridge: &str) {
        if self.attached.is_some() {
            return;
        }
        let opened = match self.spec.device_type {
            DeviceType::System => open_system(&self.spec.name, rtnl, fast),
            DeviceType::Internal => open_internal(&self.spec, rtnl, fast, bridge),
            DeviceType::Patch => open_patch(&self.spec, rtnl, fast),
        };
        match opened {
            Ok((mut attached, warning)) => {
                attached.device.set_counters(self.counters);
                self.error = warning;
                self.attached = Some(attached);
                tracing::info!(
                    bridge,
                    port = self.spec.name,
                    ofport = self.ofport,
                    "port attached"
                );
            }
            Err(error) => {
                let error = describe(&error);
                if self.error.as_ref() != Some(&error) {
                    tracing::warn!(
                        bridge,
                        port = self.spec.name,
                        ofport = self.ofport,
                        error,
                        "port waits for its device"
                    );
                }
                self.error = Some(error);
            }
        }
    }

    /// Ends the watch over the device, as is to be done before [`Port::detach`] and [`Port::remove`].
    pub fn unwatch(&self, epoll: impl AsFd) {
        if let Some(attached) = &self.attached {
            // ENOENT: the device failed before, and is not watched any more.
            let _ = epoll::delete(epoll, &attached.device);
        }
    }

    /// Lets go of the device; it may be gone already. An internal one stays, as it is persistent.
    pub fn detach(&mut self, rtnl: &mut Rtnl, fast: Option<&FastPath>, bridge: &str, why: &str) {
        if self.shaping.take().is_some()
            && let Some(attached) = &self.attached
            && let Err(error) = rtnl.clear_shaping(attached.link.ifindex)
        {
            tracing::warn!(bridge, port = self.spec.name, %error, "queues stay at the device");
        }
        if let Some(mut attached) = self.attached.take() {
            attached.device.flush();
            self.counters = attached.device.counters();
            if let Some(fast) = fast {
                fast.detach(attached.link.ifindex, &mut self.counters, rtnl);
            }
            if let Some(Err(error)) = attached.shield.map(|shield| shield.remove(rtnl)) {
                tracing::warn!(bridge, port = self.spec.name, %error, "the host's stack stays off the device");
            }
            attached.device.close_aside();
            self.error = Some(why.to_owned());
            tracing::info!(
                bridge,
                port = self.spec.name,
                ofport = self.ofport,
                why,
                "port detached"
            );
        }
    }

    /// Ends the port; a device of ours goes too, unless it is to be kept.
    pub fn remove(
        mut self,
        rtnl: &mut Rtnl,
        fast: Option<&FastPath>,
        bridge: &str,
        keep_interface: bool,
    ) {
        if self.spec.device_type == DeviceType::Internal && !keep_interface {
            let attached = self.attached.take();
            if let (Some(fast), Some(attached)) = (fast, &attached) {
                fast.detach(attached.link.ifindex, &mut self.counters, rtnl);
            }
            if let Some(Err(error)) = attached.map(|attached| attached.device.remove()) {
                tracing::warn!(bridge, port = self.spec.name, %error, "internal interface cannot be removed");
            }
            return;
        }
        let ifindex = self.attached.as_ref().map(|a| a.link.ifindex);
        self.detach(rtnl, fast, bridge, "removed");
        if self.spec.device_type == DeviceType::Patch && !keep_interface {
            match ifindex.map_or(Ok(()), |ifindex| rtnl.delete(ifindex)) {
                Err(error) if error.raw_os_error() != Some(NO_SUCH_DEVICE) => {
                    tracing::warn!(bridge, port = self.spec.name, %error, "patch port cannot be removed");
                }
                // The end of the other port took this one with it.
                _ => {}
            }
        }
    }

    /// Applies what may be changed of an internal device.
    pub fn apply_settings(&mut self, rtnl: &mut Rtnl) -> io::Result<()> {
        if let (DeviceType::Internal, Some(attached)) = (self.spec.device_type, &self.attached) {
            apply(&self.spec, &attached.link, rtnl)?;
        }
        Ok(())
    }

    /// The kernel said something of the device.
    pub fn link_changed(&mut self, link: LinkInfo, rtnl: &mut Rtnl) {
        let Some(attached) = &mut self.attached else {
            return;
        };
        // Of the other end itself nothing is said here, but it seldom changes alone.
        attached.far_mac = far_mac(&link, rtnl);
        if attached.link != link {
            attached.speed = link_speed(&link.name).ok();
            attached.link = link;
        }
    }

    /// `OFPT_PORT_MOD`: keeps the bits; the device's own state is the caller's to change.
    pub fn set_config(&mut self, config: u32) {
        self.config = config & !port_config::PORT_DOWN;
        if let Some(announced) = &mut self.announced {
            announced.config = config;
        }
    }

    /// `OFPPC_*` but for `OFPPC_PORT_DOWN`.
    pub fn config(&self) -> u32 {
        self.config
    }

    /// Gives the device the queues that are asked for, and the port its limit.
    pub fn apply_qos(&mut self, rtnl: &mut Rtnl, now: Nanos) {
        if self.policer.as_ref().map(Policer::limit) != self.spec.policing {
            let dropped = self.policer.as_ref().map_or(0, |policer| policer.dropped);
            self.counters.rx_dropped += dropped;
            if let Some(attached) = &mut self.attached {
                attached.device.count_dropped(dropped);
            }
            self.policer = self.spec.policing.map(|limit| Policer::new(limit, now));
        }
        let Some(attached) = &self.attached else {
            return;
        };
        let mbps = attached.speed.and_then(|speed| speed.mbps);
        let want = self.spec.qos.as_ref().map(|qos| Shaping {
            max_rate: qos
                .max_rate
                .or(mbps.map(|mbps| u64::from(mbps) * 1_000_000))
                .unwrap_or(UNKNOWN_RATE),
            queues: qos.queues.clone(),
        });
        if want == self.shaping {
            return;
        }
        let ifindex = attached.link.ifindex;
        let result = match &want {
            // What is sent to a tap arrives in the host at once: there is nothing to queue.
            Some(_) if self.spec.device_type == DeviceType::Internal => {
                Err(io::Error::other("an internal port has no queues"))
            }
            Some(want) => rtnl.set_shaping(ifindex, attached.link.mtu, want, self.shaping.as_ref()),
            None => rtnl.clear_shaping(ifindex),
        };
        self.error = None;
        if let Err(error) = result {
            let error = format!("queues cannot be set up: {}", describe(&error));
            tracing::warn!(port = self.spec.name, error);
            self.error = Some(error);
            self.shaping = None;
            return;
        }
        let ids: Vec<u32> = want
            .iter()
            .flat_map(|want| &want.queues)
            .map(|queue| queue.id)
            .collect();
        self.queues_since.retain(|(id, _)| ids.contains(id));
        for id in ids {
            if !self.queues_since.iter().any(|(known, _)| *known == id) {
                self.queues_since.push((id, now));
            }
        }
        self.shaping = want;
    }

    /// The queues with what they have sent, as `counters` knows it.
    pub fn queues(
        &self,
        counters: impl FnOnce(u32) -> Vec<(u32, QueueCounters)>,
    ) -> Vec<PortQueue> {
        let (Some(shaping), Some(attached)) = (&self.shaping, &self.attached) else {
            return Vec::new();
        };
        let counters = counters(attached.link.ifindex);
        let mut queues: Vec<_> = shaping
            .queues
            .iter()
            .map(|queue| {
                let find = |(id, _): &&(u32, QueueCounters)| *id == queue.id;
                let counters = counters
                    .iter()
                    .find(find)
                    .map_or_else(QueueCounters::default, |c| c.1);
                let since = self.queues_since.iter().find(|(id, _)| *id == queue.id);
                PortQueue {
                    id: queue.id,
                    min_rate: Some(queue.min_rate).filter(|rate| *rate > 0),
                    max_rate: queue.max_rate,
                    tx_bytes: counters.bytes,
                    tx_packets: counters.packets,
                    tx_errors: counters.dropped,
                    since: since.map_or(0, |(_, since)| *since),
                }
            })
            .collect();
        queues.sort_unstable_by_key(|queue| queue.id);
        queues
    }

    /// What passed so far.
    pub fn counters(&self, fast: Option<&FastPath>) -> Counters {
        let mut counters = match &self.attached {
            Some(attached) => attached.device.counters(),
            None => self.counters,
        };
        if let (Some(fast), Some(attached)) = (fast, &self.attached) {
            fast.add_counts(attached.link.ifindex, &mut counters);
        }
        counters.rx_dropped += self.policer.as_ref().map_or(0, |policer| policer.dropped);
        counters
    }

    /// Where the kernel may send the port's frames.
    pub fn target(&self) -> Option<Target> {
        let attached = self.attached.as_ref()?;
        let (policed, shaped) = (self.policer.is_some(), self.shaping.is_some());
        Some(attached.target(self.spec.device_type, policed, shaped))
    }

    /// As controllers are to see it; none while the device is away.
    pub fn describe(&self) -> Option<of::Port> {
        let Attached { link, speed, .. } = self.attached.as_ref()?;
        let features = speed.map_or(0, |speed| features(&speed));
        let kbps = speed
            .and_then(|speed| speed.mbps)
            .map_or(0, |mbps| mbps.saturating_mul(1000));
        Some(of::Port {
            port_no: self.ofport,
            hw_addr: link.mac,
            name: self.spec.name.as_str().into(),
            config: self.config
                | if link.admin_up {
                    0
                } else {
                    port_config::PORT_DOWN
                },
            state: if link.link_up {
                0
            } else {
                port_state::LINK_DOWN
            },
            curr: features,
            advertised: 0,
            supported: 0,
            peer: 0,
            curr_speed: kbps,
            max_speed: kbps,
        })
    }

    /// As the control channel is to see it.
    pub fn info(&self) -> PortInfo {
        let link = self.attached.as_ref().map(|attached| &attached.link);
        PortInfo {
            name: self.spec.name.clone(),
            device_type: self.spec.device_type,
            ofport: self.ofport,
            ifindex: link.map(|link| link.ifindex),
            mac: link.map(|link| format_mac(link.mac)),
            mtu: link.map(|link| link.mtu),
            admin_up: link.is_some_and(|link| link.admin_up),
            link_up: link.is_some_and(|link| link.link_up),
            speed_mbps: self
                .attached
                .as_ref()
                .and_then(|attached| attached.speed)
                .and_then(|speed| speed.mbps),
            present: link.is_some(),
            error: self.error.clone(),
        }
    }
}

/// The device, and what is wrong with it although it works.
type Opened = (Attached, Option<String>);

fn open_system(name: &str, rtnl: &mut Rtnl, fast: Option<&FastPath>) -> io::Result<Opened> {
    let link = rtnl
        .link(name)?
        .ok_or_else(|| io::Error::from_raw_os_error(NO_SUCH_DEVICE))?;
    if link.loopback || !link.ethernet {
        return Err(io::Error::other("not an Ethernet device"));
    }
    if link.master.is_some() {
        return Err(io::Error::other(
            "the device belongs to a Linux bridge, bond or the like",
        ));
    }
    if let Err(error) = disable_lro(name) {
        // Virtual devices have none to turn off.
        tracing::debug!(port = name, %error, "large receive offload not changed");
    }
    let speed = link_speed(name).ok();
    let adopted = fast.is_some_and(|fast| fast.adopt(&link, false, rtnl));
    let device = if adopted {
        Device::attach_for_sending(link.ifindex)?
    } else {
        let device = Device::attach(link.ifindex)?;
        fast.inspect(|fast| fast.ask_for(link.ifindex, name, false));
        device
    };
    let (shield, warning) = match Shield::attach(rtnl, link.ifindex) {
        Ok(shield) => (Some(shield), None),
        Err(error) => {
            let warning = format!(
                "the host's own stack also sees this device's frames ({error}); CAP_BPF would help"
            );
            tracing::warn!(port = name, "{warning}");
            (None, Some(warning))
        }
    };
    Ok((
        Attached {
            device,
            far_mac: far_mac(&link, rtnl),
            link,
            speed,
            shield,
        },
        warning,
    ))
}

/// Ethernet address of the other end of a device, if there is one and it is in another network namespace.
fn far_mac(link: &LinkInfo, rtnl: &mut Rtnl) -> Option<[u8; 6]> {
    match rtnl.peer(link.peer_elsewhere?) {
        Ok(peer) => Some(peer?.mac),
        Err(error) => {
            // A namespace that is not ours to ask about, or on its way out.
            tracing::debug!(port = link.name, %error, "address of the other end not known");
            None
        }
    }
}

fn open_patch(spec: &PortSpec, rtnl: &mut Rtnl, fast: Option<&FastPath>) -> io::Result<Opened> {
    let peer = spec.peer.as_deref().unwrap_or_default();
    weft_netdev::open_patch(rtnl, &spec.name, peer)?;
    open_system(&spec.name, rtnl, fast)
}

fn open_internal(
    spec: &PortSpec,
    rtnl: &mut Rtnl,
    fast: Option<&FastPath>,
    bridge: &str,
) -> io::Result<Opened> {
    let tap = Tap::open(&spec.name)?;
    let gone = || io::Error::from_raw_os_error(NO_SUCH_DEVICE);
    let link = rtnl.link(&spec.name)?.ok_or_else(gone)?;
    let configured = apply(spec, &link, rtnl)
        .and_then(|()| rtnl.set_alias(link.ifindex, &format!("internal port of {bridge}")));
    let warning = configured.err().map(|error| {
        let warning = format!("mac, mtu or alias cannot be set: {error}");
        tracing::warn!(bridge, port = spec.name, "{warning}");
        warning
    });
    let link = rtnl.link(&spec.name)?.ok_or_else(gone)?;
    let speed = link_speed(&spec.name).ok();
    if let Some(fast) = fast
        && !fast.adopt(&link, true, rtnl)
    {
        // Without the program all of it comes by the tap.
        fast.ask_for(link.ifindex, &spec.name, true);
    }
    Ok((
        Attached {
            device: Device::from_tap(tap),
            link,
            far_mac: None,
            speed,
            shield: None,
        },
        warning,
    ))
}

fn apply(spec: &PortSpec, link: &LinkInfo, rtnl: &mut Rtnl) -> io::Result<()> {
    if let Some(mac) = spec.mac.filter(|mac| *mac != link.mac) {
        rtnl.set_mac(link.ifindex, mac)?;
    }
    if let Some(mtu) = spec.mtu.filter(|mtu| *mtu != link.mtu) {
        rtnl.set_mtu(link.ifindex, mtu)?;
    }
    Ok(())
}

/// Rate of links that know of none, bit/s.
const UNKNOWN_RATE: u64 = 10_000_000_000;

/// `ENODEV`
const NO_SUCH_DEVICE: i32 = 19;

/// The kernel's words without Rust's "(os error n)".
fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// `OFPPF_*` of a link (OF 1.3.5 §7.2.1).
fn features(speed: &LinkSpeed) -> u32 {
    let rate = match (speed.mbps, speed.full_duplex) {
        (Some(10), false) => 1 << 0,
        (Some(10), true) => 1 << 1,
        (Some(100), false) => 1 << 2,
        (Some(100), true) => 1 << 3,
        (Some(1000), false) => 1 << 4,
        (Some(1000), true) => 1 << 5,
        (Some(10_000), _) => 1 << 6,
        (Some(40_000), _) => 1 << 7,
        (Some(100_000), _) => 1 << 8,
        (Some(1_000_000), _) => 1 << 9,
        (Some(_), _) => 1 << 10,
        (None, _) => 0,
    };
    rate | u32::from(speed.copper) << 11
        | u32::from(speed.fibre) << 12
        | u32::from(speed.autoneg) << 13
}
