//! Links over rtnetlink: what a device is, changing it, and hearing of every change.
//!
//! Requests go over one blocking socket ([`Rtnl`]), notifications arrive on another ([`LinkMonitor`]), so that an
//! answer is never mistaken for an event. Received messages are read attribute by attribute instead of through a full
//! model of `RTM_NEWLINK`: a newer kernel may add attributes, and none of those we do not need may blind us.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    self, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkMessage,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_TC: u32 = 4;
/// `struct ifinfomsg`
const IFINFO_LEN: usize = 16;
/// `TC_H_ROOT`: what a device sends passes this queueing discipline.
const ROOT: u32 = u32::MAX;
const ARPHRD_ETHER: u16 = 1;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_QDISC: u16 = 6;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
/// `RTM_NEWLINK` sent for a bridge port (`AF_BRIDGE`) speaks of the port, not of the device.
const AF_BRIDGE: u8 = 7;

/// What the kernel says of one network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkInfo {
    /// Interface index, unique in its network namespace.
    pub ifindex: u32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// Ethernet address; zero when the device has none.
    pub mac: [u8; 6],
    /// Largest layer 3 packet, bytes.
    pub mtu: u32,
    /// `IFF_UP`: what the administrator wants.
    pub admin_up: bool,
    /// `IFF_RUNNING`: up, and with carrier.
    pub link_up: bool,
    /// `IFF_LOOPBACK`.
    pub loopback: bool,
    /// An Ethernet device (`ARPHRD_ETHER`).
    pub ethernet: bool,
    /// Kind as `ip -d link` prints it (`veth`, `tun`, `bridge`…); physical devices have none.
    pub kind: Option<String>,
    /// Interface index of the bridge, bond or VRF this device belongs to.
    pub master: Option<u32>,
    /// The other end of a pair, if it is in another network namespace.
    pub peer_elsewhere: Option<PeerElsewhere>,
    /// What is sent passes a queueing discipline.
    pub queued: bool,
    /// `IFF_PROMISC`: somebody has made it promiscuous by name; sockets that want it so do not show here.
    pub promiscuous: bool,
    /// What `ip link` shows as its alias.
    pub alias: Option<String>,
}

/// The other end of a pair of devices (veth, netkit), as seen from this end's namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerElsewhere {
    /// What this namespace calls that one.
    pub netns_id: i32,
    /// Its interface index there.
    pub ifindex: u32,
}

impl LinkInfo {
    /// Reads the body of an `RTM_NEWLINK` or `RTM_DELLINK`; `None` if it does not describe a device.
    fn parse(body: &[u8]) -> Option<Self> {
        let header = body.get(..IFINFO_LEN)?;
        if header[0] == AF_BRIDGE {
            return None;
        }
        let flags = ne_u32(&header[8..12])?;
        let mut info = LinkInfo {
            ifindex: ne_u32(&header[4..8])?,
            name: String::new(),
            mac: [0; 6],
            mtu: 0,
            admin_up: flags & libc::IFF_UP as u32 != 0,
            link_up: flags & libc::IFF_RUNNING as u32 != 0,
            loopback: flags & libc::IFF_LOOPBACK as u32 != 0,
            ethernet: u16::from_ne_bytes([header[2], header[3]]) == ARPHRD_ETHER,
            kind: None,
            master: None,
            peer_elsewhere: None,
            queued: false,
            promiscuous: flags & libc::IFF_PROMISC as u32 != 0,
            alias: None,
        };
        let (mut related, mut netns_id) = (None, None);
        for nla in NlasIterator::new(&body[IFINFO_LEN..]) {
            let Ok(nla) = nla else { break };
            let value = nla.value();
            match nla.kind() {
                IFLA_ADDRESS => {
                    if let Ok(mac) = value.try_into() {
                        info.mac = mac;
                    }
                }
                IFLA_IFNAME => info.name = c_string(value),
                IFLA_MTU => info.mtu = ne_u32(value)?,
                IFLA_IFALIAS => info.alias = Some(c_string(value)),
                IFLA_LINK => related = ne_u32(value),
                IFLA_LINK_NETNSID => netns_id = ne_u32(value).map(u32::cast_signed),
                IFLA_QDISC => info.queued = c_string(value) != "noqueue",
                IFLA_MASTER => info.master = ne_u32(value),
                IFLA_LINKINFO => {
                    info.kind = NlasIterator::new(value)
                        .map_while(Result::ok)
                        .find(|inner| inner.kind() == IFLA_INFO_KIND)
                        .map(|inner| c_string(inner.value()));
                }
                _ => {}
            }
        }
        // What a macvlan, a VLAN or a tunnel is related to is the device below.
        if matches!(info.kind.as_deref(), Some("veth" | "netkit")) {
            info.peer_elsewhere = netns_id
                .zip(related)
                .map(|(netns_id, ifindex)| PeerElsewhere { netns_id, ifindex });
        }
        (!info.name.is_empty()).then_some(info)
    }
}

fn ne_u32(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

fn c_string(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Calls `each(message_type, body)` for the netlink messages in one datagram.
fn for_each_message(mut datagram: &[u8], mut each: impl FnMut(u16, &[u8])) {
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        let length = message.length() as usize;
        each(message.message_type(), message.payload());
        // Messages are padded to four bytes.
        let next = (length + 3) & !3;
        if length == 0 || next >= datagram.len() {
            break;
        }
        datagram = &datagram[next..];
    }
}

/// Requests to the kernel, each answered before the call returns.
#[derive(Debug)]
pub struct Rtnl {
    socket: Socket,
    sequence: u32,
}

impl Rtnl {
    /// Opens a request socket in the caller's network namespace.
    pub fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Rtnl {
            socket,
            sequence: 0,
        })
    }

    /// Sends one request; answers are passed to `each(type, body)` until the kernel's acknowledgement.
    pub(crate) fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet =
            NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
        packet.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut verdict = None;
        while verdict.is_none() {
            let (datagram, _) = self.socket.recv_from_full()?;
            let sequence = self.sequence;
            let mut rest = datagram.as_slice();
            while let Ok(reply) = NetlinkBuffer::new_checked(rest) {
                let length = reply.length() as usize;
                if reply.sequence_number() == sequence {
                    match reply.message_type() {
                        NLMSG_ERROR => {
                            let code =
                                reply.payload().get(..4).and_then(ne_u32).unwrap_or(0) as i32;
                            verdict = Some(match code {
                                0 => Ok(()),
                                _ => Err(io::Error::from_raw_os_error(-code)),
                            });
                        }
                        NLMSG_DONE => verdict = Some(Ok(())),
                        kind => each(kind, reply.payload()),
                    }
                }
                let next = (length + 3) & !3;
                if length == 0 || next >= rest.len() {
                    break;
                }
                rest = &rest[next..];
            }
        }
        verdict.unwrap_or(Ok(()))
    }

    /// The device of that name, or `None` if there is none.
    pub fn link(&mut self, name: &str) -> io::Result<Option<LinkInfo>> {
        let mut message = LinkMessage::default();
        message
            .attributes
            .push(LinkAttribute::IfName(name.to_owned()));
        self.get(message)
    }

    /// The device of that index, or `None` if there is none.
    pub fn link_at(&mut self, ifindex: u32) -> io::Result<Option<LinkInfo>> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        self.get(message)
    }

    /// The other end of a pair, in its namespace.
    pub fn peer(&mut self, peer: PeerElsewhere) -> io::Result<Option<LinkInfo>> {
        let mut message = LinkMessage::default();
        message.header.index = peer.ifindex;
        // `IFLA_TARGET_NETNSID`, as it is called since Linux 4.20.
        message
            .attributes
            .push(LinkAttribute::IfNetnsId(peer.netns_id));
        self.get(message)
    }

    fn get(&mut self, message: LinkMessage) -> io::Result<Option<LinkInfo>> {
        let mut found = None;
        let answer = self.request(RouteNetlinkMessage::GetLink(message), 0, |kind, body| {
            if kind == RTM_NEWLINK {
                found = LinkInfo::parse(body);
            }
        });
        match answer {
            Ok(()) => Ok(found),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every device of the namespace.
    pub fn links(&mut self) -> io::Result<Vec<LinkInfo>> {
        let mut links = Vec::new();
        self.request(
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            NLM_F_DUMP,
            |kind, body| {
                if kind == RTM_NEWLINK {
                    links.extend(LinkInfo::parse(body));
                }
            },
        )?;
        Ok(links)
    }

    fn set(&mut self, ifindex: u32, attributes: Vec<LinkAttribute>) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        message.attributes = attributes;
        self.request(RouteNetlinkMessage::SetLink(message), 0, |_, _| {})
    }

    /// Sets the Ethernet address.
    pub fn set_mac(&mut self, ifindex: u32, mac: [u8; 6]) -> io::Result<()> {
        self.set(ifindex, vec![LinkAttribute::Address(mac.to_vec())])
    }

    /// Sets the MTU, bytes.
    pub fn set_mtu(&mut self, ifindex: u32, mtu: u32) -> io::Result<()> {
        self.set(ifindex, vec![LinkAttribute::Mtu(mtu)])
    }

    /// Sets the alias shown by `ip link`.
    pub fn set_alias(&mut self, ifindex: u32, alias: &str) -> io::Result<()> {
        self.set(ifindex, vec![LinkAttribute::IfAlias(alias.to_owned())])
    }

    /// Sets `IFF_UP`.
    pub fn set_admin_up(&mut self, ifindex: u32, up: bool) -> io::Result<()> {
        self.set_flag(ifindex, LinkFlags::Up, up)
    }

    /// Sets `IFF_PROMISC`, which stays when the process ends.
    pub fn set_promiscuous(&mut self, ifindex: u32, on: bool) -> io::Result<()> {
        self.set_flag(ifindex, LinkFlags::Promisc, on)
    }

    fn set_flag(&mut self, ifindex: u32, flag: LinkFlags, on: bool) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        message.header.change_mask = flag;
        if on {
            message.header.flags = flag;
        }
        self.request(RouteNetlinkMessage::SetLink(message), 0, |_, _| {})
    }

    /// Makes a veth pair.
    pub fn add_veth(&mut self, name: &str, peer: &str, mtu: u32) -> io::Result<()> {
        let end = |name: &str| {
            let mut message = LinkMessage::default();
            message.attributes = vec![
                LinkAttribute::IfName(name.to_owned()),
                LinkAttribute::Mtu(mtu),
            ];
            message
        };
        let mut message = end(name);
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            link::LinkInfo::Kind(InfoKind::Veth),
            link::LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(end(peer)))),
        ]));
        let flags = NLM_F_CREATE | NLM_F_EXCL;
        self.request(RouteNetlinkMessage::NewLink(message), flags, |_, _| {})
    }

    /// Removes the device.
    pub fn delete(&mut self, ifindex: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        self.request(RouteNetlinkMessage::DelLink(message), 0, |_, _| {})
    }
}

/// Keeps the host from speaking IPv6 on a device that is the switch's at both ends.
pub(crate) fn silence_host(device: &str) {
    // Where there is no IPv6 there is no such setting.
    let _ = std::fs::write(
        format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6"),
        "1",
    );
}

/// A change of some device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A device is new, or something about it (its name, too) may have changed.
    Changed(LinkInfo),
    /// The device left: removed, or moved to another namespace.
    Removed {
        /// Its index while it was here.
        ifindex: u32,
        /// Its name when it left.
        name: String,
    },
    /// What a device's frames are queued by on their way out has changed, or may have.
    Requeued {
        /// The device.
        ifindex: u32,
    },
    /// The kernel had more to say than the socket could hold; compare with [`Rtnl::links`].
    Lost,
}

fn event_of(kind: u16, body: &[u8]) -> Option<LinkEvent> {
    match kind {
        RTM_NEWLINK => LinkInfo::parse(body).map(LinkEvent::Changed),
        RTM_DELLINK => LinkInfo::parse(body).map(|info| LinkEvent::Removed {
            ifindex: info.ifindex,
            name: info.name,
        }),
        // `struct tcmsg`: family, index, handle, parent.
        RTM_NEWQDISC | RTM_DELQDISC => {
            let ifindex = ne_u32(body.get(4..8)?)?;
            let parent = ne_u32(body.get(12..16)?)?;
            (parent == ROOT).then_some(LinkEvent::Requeued { ifindex })
        }
        _ => None,
    }
}

/// Notifications of the namespace's devices.
#[derive(Debug)]
pub struct LinkMonitor {
    socket: Socket,
    buffer: Vec<u8>,
}

impl LinkMonitor {
    /// Subscribes. From here on every change is reported, so subscribe first and list afterwards.
    pub fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.add_membership(RTNLGRP_LINK)?;
        // Such a change is not one of the device to the kernel.
        socket.add_membership(RTNLGRP_TC)?;
        socket.set_non_blocking(true)?;
        // Thousands of devices may come or go at once; best effort, as loss is reported anyway.
        if let Err(error) = socket.set_rx_buf_sz(4u32 << 20) {
            tracing::debug!(%error, "netlink receive buffer keeps its default size");
        }
        Ok(LinkMonitor {
            socket,
            buffer: Vec::with_capacity(64 << 10),
        })
    }

    /// Hands over what happened since the last call; returns when nothing is pending.
    pub fn drain(&mut self, mut each: impl FnMut(LinkEvent)) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => for_each_message(&self.buffer, |kind, body| {
                    if let Some(event) = event_of(kind, body) {
                        each(event);
                    }
                }),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => each(LinkEvent::Lost),
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        crate::sys::borrow(&self.socket)
    }
}
