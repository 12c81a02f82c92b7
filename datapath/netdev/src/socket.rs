//! Packet sockets: how the switch holds a device that exists without it.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libc::c_int;

use crate::counters::Counters;
use crate::receive::RxBatch;
use crate::ring::Ring;
use crate::{closer, sys};

/// Bytes that may wait to be received, per port: several of the largest bursts a TCP sender makes.
const RECEIVE_BUFFER: c_int = 16 << 20;
/// Bytes that may wait in the device's queue before sending fails.
const SEND_BUFFER: c_int = 8 << 20;

/// An EtherType that no frame has: reserved (RFC 1701).
const NO_PROTOCOL: u16 = 0xffff;

/// What a packet socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Frames in and out.
    Both,
    /// Frames out; those that come in go elsewhere.
    Send,
    /// Frames in, by a ring.
    Ring,
}

/// A packet socket that takes nothing any more.
#[derive(Debug)]
pub struct Stopped {
    fd: OwnedFd,
    ifindex: u32,
}

impl Stopped {
    /// Takes the socket out of the device's way, too. It waits for an RCU grace period, so it is for a thread that may.
    pub fn end(self) -> io::Result<()> {
        // Not protocol 0: binding to that leaves what was bound before.
        sys::bind_packet(&self.fd, self.ifindex, NO_PROTOCOL)
    }
}

/// A packet socket on one device, in promiscuous mode.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    /// What is sent by since nothing is received any more: a socket that is bound to a protocol sends frames as of that one.
    sender: Option<OwnedFd>,
    /// Where frames come in, if not by the queue alone.
    ring: Option<Ring>,
}

impl PacketSocket {
    /// Opens the device; from here on a copy of every frame that arrives on it waits to be received (unless it is for
    /// sending only).
    pub fn open(ifindex: u32, usage: Use) -> io::Result<PacketSocket> {
        let fd = open_unbound()?;
        let on: c_int = 1;
        sys::set_option(&fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, &on)?;
        // Kernels before 4.20 do not know it: they would show us what we send.
        sys::set_option(&fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &on)?;
        let ring = (usage == Use::Ring).then(|| Ring::open(&fd)).transpose()?;
        let promiscuous = libc::packet_mreq {
            mr_ifindex: ifindex as c_int,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        sys::set_option(
            &fd,
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            &promiscuous,
        )?;
        let protocol = match usage {
            Use::Send => 0,
            Use::Both | Use::Ring => libc::ETH_P_ALL as u16,
        };
        sys::bind_packet(&fd, ifindex, protocol)?;
        Ok(PacketSocket {
            fd,
            sender: None,
            ring,
        })
    }

    /// Receives what waits, at most a batch; see [`crate::Device::receive`].
    pub fn receive(&mut self, batch: &mut RxBatch, counters: &mut Counters) -> io::Result<usize> {
        match &mut self.ring {
            Some(ring) => batch.receive_ring(ring, self.fd.as_fd(), counters),
            None => batch.receive_socket(self.fd.as_fd(), counters),
        }
    }

    /// What frames are sent by.
    pub fn sender(&self) -> BorrowedFd<'_> {
        self.sender.as_ref().unwrap_or(&self.fd).as_fd()
    }

    /// Ends the socket without waiting for it. Frames that still arrive are lost.
    pub fn close_aside(self) {
        let fds = self.sender.into_iter().chain([self.fd]);
        fds.for_each(closer::close_aside);
    }

    /// Lets in what a BPF program (of type socket filter) says.
    pub fn filter(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        sys::attach_filter(&self.fd, program)
    }

    /// Lets no more frames in; those that wait already can still be received. The kernel goes on offering them to the
    /// socket until [`Stopped::end`]. [`PacketSocket::sender`] is another one from here on.
    pub fn stop_receiving(&mut self, ifindex: u32) -> io::Result<Stopped> {
        sys::accept_nothing(&self.fd)?;
        let sender = open_unbound()?;
        sys::bind_packet(&sender, ifindex, 0)?;
        self.sender = Some(sender);
        let fd = self.fd.try_clone()?;
        Ok(Stopped { fd, ifindex })
    }

    /// Frames lost since the last call because the receive buffer was full.
    pub fn take_drops(&self) -> u32 {
        // It cannot fail on a packet socket; if it did, there would be nothing to report.
        sys::packet_statistics(&self.fd).map_or(0, |(_, drops)| drops)
    }
}

/// A packet socket to which nothing arrives yet (protocol 0), with room for what it is to hold.
fn open_unbound() -> io::Result<OwnedFd> {
    let fd = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    let on: c_int = 1;
    sys::set_option(&fd, libc::SOL_PACKET, libc::PACKET_VNET_HDR, &on)?;
    for (force, plain, bytes) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, RECEIVE_BUFFER),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, SEND_BUFFER),
    ] {
        if sys::set_option(&fd, libc::SOL_SOCKET, force, &bytes).is_err() {
            // Without CAP_NET_ADMIN in the first user namespace: as much as net.core.*mem_max allows.
            sys::set_option(&fd, libc::SOL_SOCKET, plain, &bytes)?;
        }
    }
    Ok(fd)
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
