//! A packet socket's receive ring (`PACKET_RX_RING`, `TPACKET_V2`; Linux Documentation/networking/packet_mmap.rst).
//!
//! The kernel copies frames into memory that it shares with us, on the processor that brings them, so taking one costs no
//! system call. What is too long for a slot waits in the socket's queue besides, whole (`PACKET_COPY_THRESH`): most frames
//! that user space has to see are short.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use libc::c_int;
use weft_frame::vnet::VNET_HDR_LEN;

use crate::sys;

/// Frames that can wait.
pub const RING_SLOTS: usize = 16_384;
/// Of a slot, with some 80 bytes of headers: twice this makes a long frame no faster, and a longer ring leaves the caches.
const SLOT: usize = 512;
/// What the kernel allocates in one piece: a multiple of any page size.
const BLOCK: usize = 65_536;
/// `struct tpacket2_hdr`
const HEADER: usize = size_of::<libc::tpacket2_hdr>();

/// The status of a slot whose frame waits in the queue.
const QUEUED: u32 = libc::TP_STATUS_USER | libc::TP_STATUS_COPY;

/// The ring of one socket.
#[derive(Debug)]
pub(crate) struct Ring {
    slots: NonNull<u8>,
    next: usize,
    /// Frames in the queue whose slots are released.
    queued: usize,
}

// SAFETY: it is memory of its own, and nothing in it belongs to a thread.
unsafe impl Send for Ring {}

/// What the next slot has.
pub(crate) enum Slot<'a> {
    /// A frame with its virtio header, and the tag that was taken out of it.
    Frame {
        header: &'a [u8],
        frame: &'a [u8],
        tag: Option<[u8; 4]>,
    },
    /// It was too long for the slot, and there was no room for it in the queue.
    Cut,
}

impl Ring {
    /// Gives a socket that is not bound yet a ring. Frames come with a virtio header (`PACKET_VNET_HDR`).
    pub(crate) fn open(fd: &OwnedFd) -> io::Result<Ring> {
        let set = |name, value: c_int| sys::set_option(fd, libc::SOL_PACKET, name, &value);
        set(
            libc::PACKET_VERSION,
            libc::tpacket_versions::TPACKET_V2 as c_int,
        )?;
        set(libc::PACKET_COPY_THRESH, 1)?;
        let request = libc::tpacket_req {
            tp_block_size: BLOCK as u32,
            tp_block_nr: (RING_SLOTS * SLOT / BLOCK) as u32,
            tp_frame_size: SLOT as u32,
            tp_frame_nr: RING_SLOTS as u32,
        };
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new mapping, wherever the kernel likes; the length is that of the ring just made.
        let slots = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                RING_SLOTS * SLOT,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if slots == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let slots = NonNull::new(slots.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Ring {
            slots,
            next: 0,
            queued: 0,
        })
    }

    /// Whose the next slot is, and what is in it: the first word of its header.
    fn status(&self) -> &AtomicU32 {
        // SAFETY: `next` is less than the number of slots; slots are aligned to more than a word, and the mapping lives as
        // long as `self`. The kernel writes that word atomically.
        unsafe { AtomicU32::from_ptr(self.slots.add(self.next * SLOT).as_ptr().cast()) }
    }

    /// The oldest frame, if there is one and it is not one of the [`Ring::queued`]; [`Ring::release`] goes on to the next.
    pub(crate) fn peek(&self) -> Option<Slot<'_>> {
        let status = self.status().load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: as in `status`; the kernel leaves the slot to us until it is released, which wants `&mut self`.
        let slot =
            unsafe { std::slice::from_raw_parts(self.slots.add(self.next * SLOT).as_ptr(), SLOT) };
        // SAFETY: a slot is longer than the header, of which all bit patterns are values.
        let about = unsafe { slot.as_ptr().cast::<libc::tpacket2_hdr>().read_unaligned() };
        let start = usize::from(about.tp_mac);
        let frame = start.checked_add(about.tp_snaplen as usize);
        let frame = frame.and_then(|end| slot.get(start..end));
        let header = start.checked_sub(VNET_HDR_LEN).filter(|at| *at >= HEADER);
        let header = header.and_then(|at| slot.get(at..start));
        Some(match (frame, header) {
            (Some(frame), Some(header)) if about.tp_snaplen == about.tp_len => Slot::Frame {
                header,
                frame,
                tag: stripped_tag(status, about.tp_vlan_tpid, about.tp_vlan_tci),
            },
            _ => Slot::Cut,
        })
    }

    /// How many of the oldest frames wait in the queue, as far as they are known and at most `most`. Their slots are released.
    pub(crate) fn queued(&mut self, most: usize) -> usize {
        while self.queued < most {
            let status = self.status().load(Ordering::Acquire);
            if status & QUEUED != QUEUED {
                break;
            }
            self.release();
            self.queued += 1;
        }
        self.queued.min(most)
    }

    /// So many have been taken from the queue.
    pub(crate) fn dequeued(&mut self, count: usize) {
        self.queued = self.queued.saturating_sub(count);
    }

    /// Gives the slot that was looked at back to the kernel.
    pub(crate) fn release(&mut self) {
        self.status()
            .store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % RING_SLOTS;
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping that `open` has made, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.slots.as_ptr().cast(), RING_SLOTS * SLOT) };
    }
}

/// The VLAN tag that the kernel took out of a frame, as it belongs back in, from what it says beside the frame.
pub(crate) fn stripped_tag(status: u32, tpid: u16, tci: u16) -> Option<[u8; 4]> {
    if status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let tpid = if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
        tpid
    } else {
        weft_frame::ethertype::VLAN
    };
    let ([a, b], [c, d]) = (tpid.to_be_bytes(), tci.to_be_bytes());
    Some([a, b, c, d])
}
