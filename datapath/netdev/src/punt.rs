//! The punt device: where the fast path puts the frames that user space has to see.
//!
//! A packet socket on a port sees frames before the traffic-control hook does, also those that the kernel then forwards.
//! So with the fast path on, ports are only sent by; what the kernel has no flow for it redirects into one end of a veth
//! pair of ours, with a tag beside it that says which port it came in by, and it is received at the other end: whole, with
//! the offloads that are pending. A tag, as a ring has no room for a packet's mark.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::counters::Counters;
use crate::link::{Rtnl, silence_host};
use crate::receive::RxBatch;
use crate::shield::Shield;
use crate::socket::{PacketSocket, Use};

/// The longest a veth knows: segments of 64 KB pass anyway.
const MTU: u32 = 65_535;

/// The pair, and the socket on its far end.
#[derive(Debug)]
pub struct PuntDevice {
    socket: PacketSocket,
    ifindex: u32,
    near: String,
    counters: Counters,
    lost: u64,
    /// Keeps the host's stack from taking the frames for its own.
    _shield: Shield,
}

impl PuntDevice {
    /// Makes the pair, or adopts the one that a process before us has left. Its ends are named `name` with `a` and `b` behind.
    pub fn open(rtnl: &mut Rtnl, name: &str) -> io::Result<PuntDevice> {
        let (near, far) = (format!("{name}a"), format!("{name}b"));
        if rtnl.link(&near)?.is_none() {
            rtnl.add_veth(&near, &far, MTU)?;
        }
        for end in [&near, &far] {
            silence_host(end);
        }
        let find = |rtnl: &mut Rtnl, name: &str| {
            rtnl.link(name)?
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no device {name}")))
        };
        let (near, far) = (find(rtnl, &near)?, find(rtnl, &far)?);
        let shield = Shield::attach(rtnl, far.ifindex)?;
        let socket = PacketSocket::open(far.ifindex, Use::Ring)?;
        for end in [&far, &near] {
            rtnl.set_alias(end.ifindex, "frames for weft-datapath")?;
            rtnl.set_admin_up(end.ifindex, true)?;
        }
        Ok(PuntDevice {
            socket,
            ifindex: near.ifindex,
            near: near.name,
            counters: Counters::default(),
            lost: 0,
            _shield: shield,
        })
    }

    /// Where the fast path puts frames.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// The name of that device.
    pub fn name(&self) -> &str {
        &self.near
    }

    /// Receives what waits, at most a batch; see [`crate::Device::receive`]. Marks are the fast path's; 0: it has set none.
    pub fn receive(&mut self, batch: &mut RxBatch) -> io::Result<usize> {
        self.socket.receive(batch, &mut self.counters)
    }

    /// Frames lost because they were not received in time.
    pub fn lost(&mut self) -> u64 {
        self.lost += u64::from(self.socket.take_drops());
        self.lost + self.counters.rx_dropped
    }

    /// Removes the pair that a process has left; whether there was one.
    pub fn remove_left(rtnl: &mut Rtnl, name: &str) -> io::Result<bool> {
        match rtnl.link(&format!("{name}a"))? {
            Some(link) => rtnl.delete(link.ifindex).map(|()| true),
            None => Ok(false),
        }
    }

    /// Removes the pair.
    pub fn remove(self, rtnl: &mut Rtnl) -> io::Result<()> {
        rtnl.delete(self.ifindex)
    }
}

impl AsFd for PuntDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
