//! Receiving, many frames per system call, into buffers that are used again and again.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd};

use weft_frame::vnet::VNET_HDR_LEN;
use weft_frame::{Offload, Packet};

use crate::counters::Counters;
use crate::ring::{Ring, Slot, stripped_tag};
use crate::sys;

/// Frames taken in one system call. Enough to spread its cost, few enough that what a batch touches stays in cache.
pub const RX_BATCH: usize = 32;
/// Room for a `struct tpacket_auxdata` with its `struct cmsghdr`, padding included.
const CONTROL_LEN: usize = 64;

/// `struct cmsghdr` wants to be aligned.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_LEN]);

/// Buffers for one batch of frames; one of these serves all the ports of a thread.
pub struct RxBatch {
    packets: Vec<Packet>,
    /// Which of `packets` hold frames after a receive.
    filled: usize,
    /// Marks of the filled packets.
    marks: [u16; RX_BATCH],
    headers: [[u8; VNET_HDR_LEN]; RX_BATCH],
    controls: [Control; RX_BATCH],
}

impl Default for RxBatch {
    fn default() -> Self {
        RxBatch {
            packets: (0..RX_BATCH).map(|_| Packet::for_receive()).collect(),
            filled: 0,
            marks: [0; RX_BATCH],
            headers: [[0; VNET_HDR_LEN]; RX_BATCH],
            controls: [Control([0; CONTROL_LEN]); RX_BATCH],
        }
    }
}

impl RxBatch {
    /// The frames of the last receive, oldest first; the caller may do to them what it likes.
    pub fn packets(&mut self) -> &mut [Packet] {
        &mut self.packets[..self.filled]
    }

    /// The frames of the last receive with the marks they carried: see [`crate::PuntDevice::receive`].
    pub fn marked(&mut self) -> impl Iterator<Item = (&mut Packet, u16)> {
        let marks = self.marks.iter().copied();
        self.packets[..self.filled].iter_mut().zip(marks)
    }

    /// Takes over one received message; keeps it as the next of the filled packets unless it is unusable.
    fn accept(&mut self, index: usize, length: usize, beside: Beside, counters: &mut Counters) {
        let room = self.packets[index].receive_area().len();
        let offload = Offload::from_vnet_hdr(&self.headers[index]);
        let (Some(frame_len), Some(offload)) = (length.checked_sub(VNET_HDR_LEN), offload) else {
            counters.rx_errors += 1;
            return;
        };
        if frame_len > room || frame_len < 14 {
            counters.rx_errors += 1;
            return;
        }
        self.packets.swap(self.filled, index);
        let packet = &mut self.packets[self.filled];
        packet.received(frame_len, offload);
        match beside {
            Beside::Tag(tag) => {
                if packet.insert(12, tag.len()) {
                    packet.bytes_mut()[12..16].copy_from_slice(&tag);
                }
            }
            Beside::Mark(mark) => self.marks[self.filled] = mark,
            Beside::Nothing => {}
        }
        counters.rx_packets += 1;
        counters.rx_bytes += packet.len() as u64;
        self.filled += 1;
    }

    /// Receives what waits on a packet socket, at most [`RX_BATCH`] frames. Returns how many were taken from the
    /// socket (unusable ones included): fewer than the batch means that it is empty now.
    pub(crate) fn receive_socket(
        &mut self,
        fd: BorrowedFd<'_>,
        counters: &mut Counters,
    ) -> io::Result<usize> {
        self.filled = 0;
        self.receive_queue(fd, 0, RX_BATCH, Beside::tag, counters)
    }

    /// Receives what waits in a packet socket's ring, at most [`RX_BATCH`] frames, each with a mark in place of a tag. Returns
    /// as [`RxBatch::receive_socket`].
    pub(crate) fn receive_ring(
        &mut self,
        ring: &mut Ring,
        fd: BorrowedFd<'_>,
        counters: &mut Counters,
    ) -> io::Result<usize> {
        self.filled = 0;
        let mut taken = 0;
        while taken < RX_BATCH {
            let queued = ring.queued(RX_BATCH - taken);
            if queued > 0 {
                let received = self.receive_queue(fd, taken, queued, Beside::mark, counters)?;
                ring.dequeued(received);
                taken += received;
                if received == 0 {
                    // It is empty, whatever the ring has said.
                    ring.dequeued(queued);
                    counters.rx_dropped += queued as u64;
                }
                continue;
            }
            match ring.peek() {
                Some(Slot::Frame { header, frame, tag }) => {
                    self.headers[taken].copy_from_slice(header);
                    self.packets[taken].receive_area()[..frame.len()].copy_from_slice(frame);
                    let length = VNET_HDR_LEN + frame.len();
                    self.accept(taken, length, Beside::mark(tag), counters);
                }
                Some(Slot::Cut) => counters.rx_dropped += 1,
                None => break,
            }
            ring.release();
            taken += 1;
        }
        if taken == 0 {
            // What is wrong with the socket wakes us until it is asked for, and a ring does not ask.
            sys::take_error(fd)?;
        }
        Ok(taken)
    }

    /// Receives at most `most` frames that wait in a packet socket's queue, by way of the buffers from `first` on. Returns how
    /// many were taken from the socket.
    fn receive_queue(
        &mut self,
        fd: BorrowedFd<'_>,
        first: usize,
        most: usize,
        beside: fn(Option<[u8; 4]>) -> Beside,
        counters: &mut Counters,
    ) -> io::Result<usize> {
        // SAFETY: `iovec` and `mmsghdr` are plain data, for which all zeroes is a value.
        let mut vectors: [[libc::iovec; 2]; RX_BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; RX_BATCH] = unsafe { std::mem::zeroed() };
        for index in first..first + most {
            let area = self.packets[index].receive_area();
            vectors[index][1] = libc::iovec {
                iov_base: area.as_mut_ptr().cast(),
                iov_len: area.len(),
            };
            vectors[index][0] = libc::iovec {
                iov_base: self.headers[index].as_mut_ptr().cast(),
                iov_len: VNET_HDR_LEN,
            };
            let message = &mut messages[index].msg_hdr;
            message.msg_iov = vectors[index].as_mut_ptr();
            message.msg_iovlen = 2;
            message.msg_control = self.controls[index].0.as_mut_ptr().cast();
            message.msg_controllen = CONTROL_LEN as _;
        }
        // SAFETY: each message from `first` on points to its own iovecs and control buffer, those to distinct buffers of
        // `self`; all of them outlive the call and nothing else refers to them meanwhile.
        let received = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                messages[first..first + most].as_mut_ptr(),
                most as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                std::ptr::null_mut(),
            )
        };
        if received < 0 {
            return self.receive_error(io::Error::last_os_error(), counters);
        }
        let received = received as usize;
        let ours = messages.iter().enumerate().skip(first).take(received);
        for (index, message) in ours {
            let beside = beside(tag_beside(&message.msg_hdr));
            self.accept(index, message.msg_len as usize, beside, counters);
        }
        Ok(received)
    }

    /// Receives one frame from a tap, which has no batches. Returns 0 when nothing waits.
    pub(crate) fn receive_tap(
        &mut self,
        fd: BorrowedFd<'_>,
        counters: &mut Counters,
    ) -> io::Result<usize> {
        self.filled = 0;
        for index in 0..RX_BATCH {
            let header = &mut self.headers[index];
            let mut vectors = [
                io::IoSliceMut::new(header),
                io::IoSliceMut::new(self.packets[index].receive_area()),
            ];
            // SAFETY: `IoSliceMut` has the layout of `iovec`; both buffers are exclusive and outlive the call.
            let length = unsafe { libc::readv(fd.as_raw_fd(), vectors.as_mut_ptr().cast(), 2) };
            if length < 0 {
                let error = io::Error::last_os_error();
                return if index > 0 {
                    Ok(index)
                } else {
                    self.receive_error(error, counters)
                };
            }
            self.accept(index, length as usize, Beside::Nothing, counters);
        }
        Ok(RX_BATCH)
    }

    /// Tells an empty queue and a frame that could not be handed over from a device that is gone.
    fn receive_error(&mut self, error: io::Error, counters: &mut Counters) -> io::Result<usize> {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Ok(0),
            // The kernel cannot express this frame's offloads in a virtio header, and has dropped it.
            Some(libc::EINVAL) => {
                counters.rx_errors += 1;
                Ok(1)
            }
            _ => Err(error),
        }
    }
}

/// What comes beside a frame.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    /// The VLAN tag that the kernel took out of the frame, as it belongs back in.
    Tag([u8; 4]),
    /// What the fast path says in the place of a tag; the frame has its own.
    Mark(u16),
}

impl Beside {
    fn tag(tag: Option<[u8; 4]>) -> Beside {
        tag.map_or(Beside::Nothing, Beside::Tag)
    }

    fn mark(tag: Option<[u8; 4]>) -> Beside {
        let [.., a, b] = tag.unwrap_or_default();
        Beside::Mark(u16::from_be_bytes([a, b]))
    }
}

/// The tag that the kernel took out of a frame (`PACKET_AUXDATA`).
fn tag_beside(message: &libc::msghdr) -> Option<[u8; 4]> {
    // SAFETY: `message` was filled in by recvmmsg; its control buffer is alive and `msg_controllen` bytes of it valid.
    let mut control = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !control.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give only headers that lie whole within the control buffer.
        let header = unsafe { *control };
        let room = size_of::<libc::cmsghdr>() + size_of::<libc::tpacket_auxdata>();
        let kind = (header.cmsg_level, header.cmsg_type);
        if kind == (libc::SOL_PACKET, libc::PACKET_AUXDATA) && header.cmsg_len as usize >= room {
            // SAFETY: the length says that a whole `tpacket_auxdata` follows; it may lie unaligned.
            let aux = unsafe {
                libc::CMSG_DATA(control)
                    .cast::<libc::tpacket_auxdata>()
                    .read_unaligned()
            };
            return stripped_tag(aux.tp_status, aux.tp_vlan_tpid, aux.tp_vlan_tci);
        }
        // SAFETY: as for CMSG_FIRSTHDR; `control` came from this very buffer.
        control = unsafe { libc::CMSG_NXTHDR(message, control) };
    }
    None
}
