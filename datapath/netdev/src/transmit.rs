//! Sending, in batches where a batch saves system calls.
//!
//! Small frames are copied into slots and leave together at the end of a poll round (`sendmmsg`); a frame too large
//! for a slot, such as one awaiting segmentation, is sent straight from the caller's buffer, after what waits before
//! it, so that the order of frames on a port is the order in which they were given.
//!
//! `PACKET_QDISC_BYPASS` is not used: it skips software segmentation, so frames with pending offloads would be lost
//! on a device without TSO, and frames the driver has no room for would be dropped instead of queued.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::counters::Counters;
use crate::sys;
use weft_frame::vnet::VNET_HDR_LEN;

/// Frames that leave in one system call.
pub const TX_BATCH: usize = 64;
/// Room for an Ethernet frame of the usual MTU with stacked tags, and its virtio header.
const SLOT: usize = 1664;

/// Frames waiting to leave a packet socket.
pub(crate) struct TxQueue {
    slots: Box<[u8]>,
    lengths: [usize; TX_BATCH],
    /// `SO_PRIORITY` of each frame: the queue that it is for.
    priorities: [u32; TX_BATCH],
    used: usize,
    /// `SO_PRIORITY` of the socket now.
    priority: u32,
}

impl TxQueue {
    pub(crate) fn new() -> Self {
        TxQueue {
            slots: vec![0; TX_BATCH * SLOT].into_boxed_slice(),
            lengths: [0; TX_BATCH],
            priorities: [0; TX_BATCH],
            used: 0,
            priority: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes the frame for the next batch, or sends it at once if it is large.
    pub(crate) fn push(
        &mut self,
        fd: BorrowedFd<'_>,
        header: &[u8; VNET_HDR_LEN],
        frame: &[u8],
        priority: u32,
        counters: &mut Counters,
    ) {
        let length = VNET_HDR_LEN + frame.len();
        if length > SLOT {
            self.flush(fd, counters);
            self.set_priority(fd, priority);
            count(send_now(fd, header, frame), frame.len(), counters);
            return;
        }
        let slot = &mut self.slots[self.used * SLOT..][..length];
        slot[..VNET_HDR_LEN].copy_from_slice(header);
        slot[VNET_HDR_LEN..].copy_from_slice(frame);
        self.lengths[self.used] = length;
        self.priorities[self.used] = priority;
        self.used += 1;
        if self.used == TX_BATCH {
            self.flush(fd, counters);
        }
    }

    /// Sends what waits. A frame the kernel refuses is counted, and the rest still leaves.
    pub(crate) fn flush(&mut self, fd: BorrowedFd<'_>, counters: &mut Counters) {
        if self.used == 0 {
            return;
        }
        // SAFETY: `iovec` and `mmsghdr` are plain data, for which all zeroes is a value.
        let mut vectors: [libc::iovec; TX_BATCH] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut messages: [libc::mmsghdr; TX_BATCH] = unsafe { std::mem::zeroed() };
        for (index, slot) in self
            .slots
            .chunks_exact_mut(SLOT)
            .take(self.used)
            .enumerate()
        {
            vectors[index] = libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: self.lengths[index],
            };
            messages[index].msg_hdr.msg_iov = &raw mut vectors[index];
            messages[index].msg_hdr.msg_iovlen = 1;
        }
        let mut next = 0;
        while next < self.used {
            // One call for frames of one queue.
            let priority = self.priorities[next];
            let same = |other: &&u32| **other == priority;
            let run = self.priorities[next..self.used].iter().take_while(same);
            let end = next + run.count();
            self.set_priority(fd, priority);
            // SAFETY: messages[next..end] point to vectors[next..end], those into `self.slots`; all outlive the
            // call and nothing else refers to them meanwhile.
            let sent = unsafe {
                libc::sendmmsg(
                    fd.as_raw_fd(),
                    &raw mut messages[next],
                    (end - next) as libc::c_uint,
                    0,
                )
            };
            if sent > 0 {
                for length in &self.lengths[next..next + sent as usize] {
                    count(Ok(()), length - VNET_HDR_LEN, counters);
                }
                next += sent as usize;
                continue;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                // Only the first of the messages can be the one refused.
                count(Err(error), self.lengths[next] - VNET_HDR_LEN, counters);
                next += 1;
            }
        }
        self.used = 0;
    }

    /// From here on it is another socket's.
    pub(crate) fn forget_priority(&mut self) {
        self.priority = 0;
    }

    /// Chooses the queue of what is sent next. If that fails, it goes by the queue for all.
    fn set_priority(&mut self, fd: BorrowedFd<'_>, priority: u32) {
        if self.priority != priority {
            self.priority = priority;
            let _ = sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_PRIORITY, &priority);
        }
    }
}

/// Sends one frame from where it lies.
pub(crate) fn send_now(
    fd: BorrowedFd<'_>,
    header: &[u8; VNET_HDR_LEN],
    frame: &[u8],
) -> io::Result<()> {
    let vectors = [io::IoSlice::new(header), io::IoSlice::new(frame)];
    loop {
        // SAFETY: `IoSlice` has the layout of `iovec`; both parts outlive the call and are only read.
        let sent = unsafe { libc::writev(fd.as_raw_fd(), vectors.as_ptr().cast(), 2) };
        if sent >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Accounts for one frame given to the kernel.
pub(crate) fn count(result: io::Result<()>, length: usize, counters: &mut Counters) {
    match result {
        Ok(()) => {
            counters.tx_packets += 1;
            counters.tx_bytes += length as u64;
        }
        Err(error) => match error.raw_os_error() {
            // No room with the device, or the device (or its peer) is down: a frame lost as on any busy link.
            Some(
                libc::EAGAIN
                | libc::ENOBUFS
                | libc::ENETDOWN
                | libc::ENXIO
                | libc::EIO
                | libc::ENODEV,
            ) => {
                counters.tx_dropped += 1;
            }
            // Longer than the MTU, or offload data the kernel does not take.
            _ => counters.tx_errors += 1,
        },
    }
}
