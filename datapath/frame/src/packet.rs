//! The packet buffer.

use crate::layout::Layout;
use crate::vnet::Offload;

/// Bytes kept free before a received frame, so that tags and outer headers are pushed without moving the payload.
pub const HEADROOM: usize = 128;

/// Longest frame that [`Packet::for_receive`] has room for: a segment of 64 KB and its link-layer headers.
pub const MAX_FRAME: usize = 65_536 + 256;

/// A frame in a buffer of its own, with headroom, and the work that is left on it.
///
/// The buffer is meant to be used again and again: [`Packet::receive_area`], [`Packet::received`],
/// forward, repeat.
#[derive(Clone, Debug)]
pub struct Packet {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Checksum and segmentation that the kernel or the NIC still has to do.
    pub offload: Offload,
    layout: Option<Layout>,
}

impl Packet {
    /// An empty packet with room for `capacity` bytes behind the headroom.
    pub fn with_capacity(capacity: usize) -> Packet {
        Packet {
            buffer: vec![0; HEADROOM + capacity],
            start: HEADROOM,
            end: HEADROOM,
            offload: Offload::default(),
            layout: None,
        }
    }

    /// An empty packet with room for the longest frame there is.
    pub fn for_receive() -> Packet {
        Packet::with_capacity(MAX_FRAME)
    }

    /// A packet holding a copy of `frame`, nothing left to do on it.
    pub fn from_frame(frame: &[u8]) -> Packet {
        let mut packet = Packet::with_capacity(frame.len());
        packet.assign(frame, Offload::default());
        packet
    }

    /// Empties the packet and gives the area to receive into, [`HEADROOM`] bytes from the buffer's begin.
    /// Call [`Packet::received`] afterwards.
    pub fn receive_area(&mut self) -> &mut [u8] {
        self.start = HEADROOM;
        self.end = HEADROOM;
        self.layout = None;
        self.offload = Offload::default();
        &mut self.buffer[HEADROOM..]
    }

    /// Says that `len` bytes were written into the [`Packet::receive_area`]. More than fits is cut.
    pub fn received(&mut self, len: usize, offload: Offload) {
        self.start = HEADROOM;
        self.end = (HEADROOM + len).min(self.buffer.len());
        self.offload = offload;
        self.layout = None;
    }

    /// Replaces the contents, using the buffer again when it is large enough.
    pub fn assign(&mut self, frame: &[u8], offload: Offload) {
        if self.buffer.len() < HEADROOM + frame.len() {
            self.buffer.resize(HEADROOM + frame.len(), 0);
        }
        self.buffer[HEADROOM..HEADROOM + frame.len()].copy_from_slice(frame);
        self.received(frame.len(), offload);
    }

    /// Makes this packet a copy of `other`, using the buffer again when it is large enough.
    pub fn copy_from(&mut self, other: &Packet) {
        self.assign(other.bytes(), other.offload);
        self.layout = other.layout;
    }

    /// The frame, from the destination address on, without FCS.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The frame, writable. Forgets the header offsets that are known.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.layout = None;
        &mut self.buffer[self.start..self.end]
    }

    /// Length of the frame in bytes.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Free bytes before the frame.
    pub fn headroom(&self) -> usize {
        self.start
    }

    /// Cuts the frame to at most `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len);
        self.layout = None;
    }

    /// Puts `count` zero bytes in at offset `at`, moving the (few) bytes before it into the headroom, and
    /// moves the offload offsets along. Returns whether `at` lay within the frame; otherwise nothing happens.
    pub fn insert(&mut self, at: usize, count: usize) -> bool {
        if at > self.len() {
            return false;
        }
        if self.start < count {
            // Rare: more than HEADROOM bytes pushed. Make a new headroom.
            let grow = HEADROOM + count;
            let old_end = self.end;
            self.buffer.resize(self.buffer.len() + grow, 0);
            self.buffer
                .copy_within(self.start..old_end, self.start + grow);
            self.start += grow;
            self.end += grow;
        }
        self.buffer
            .copy_within(self.start..self.start + at, self.start - count);
        self.start -= count;
        self.buffer[self.start + at..self.start + at + count].fill(0);
        self.offload.grown(at, count);
        self.layout = None;
        true
    }

    /// Takes `count` bytes out at offset `at`, moving the bytes before it. Returns whether they were there.
    pub fn remove(&mut self, at: usize, count: usize) -> bool {
        if at + count > self.len() {
            return false;
        }
        self.buffer
            .copy_within(self.start..self.start + at, self.start + count);
        self.start += count;
        self.offload.shrunk(at, count);
        self.layout = None;
        true
    }

    /// Lengthens the frame with zero bytes to at least `len` bytes.
    pub fn pad(&mut self, len: usize) {
        if self.len() >= len {
            return;
        }
        let end = self.start + len;
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        // Behind the frame lies what an earlier one left there.
        self.buffer[self.end..end].fill(0);
        self.end = end;
        self.layout = None;
    }

    /// Where the headers lie; found anew when edits have moved them.
    pub fn layout(&mut self) -> Layout {
        if let Some(layout) = self.layout {
            return layout;
        }
        let layout = crate::parse::parse(self.bytes(), 0).1;
        self.layout = Some(layout);
        layout
    }

    /// Remembers where the headers lie.
    pub(crate) fn set_layout(&mut self, layout: Layout) {
        self.layout = Some(layout);
    }

    /// The frame, writable, by code that leaves the layout as it is.
    pub(crate) fn bytes_same_layout(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vnet::{Checksum, Gso, GsoKind};

    #[test]
    fn insert_and_remove_are_inverse_and_move_offload() {
        let frame: Vec<u8> = (0..64).collect();
        let mut packet = Packet::from_frame(&frame);
        packet.offload = Offload {
            checksum: Checksum::Partial {
                start: 34,
                offset: 16,
            },
            gso: Some(Gso {
                kind: GsoKind::Tcp4,
                ecn: false,
                size: 100,
                hdr_len: 54,
            }),
        };
        let before = packet.offload;
        assert!(packet.insert(12, 4));
        assert_eq!(packet.len(), 68);
        assert_eq!(&packet.bytes()[..12], &frame[..12]);
        assert_eq!(&packet.bytes()[12..16], &[0; 4]);
        assert_eq!(&packet.bytes()[16..], &frame[12..]);
        assert_eq!(
            packet.offload.checksum,
            Checksum::Partial {
                start: 38,
                offset: 16
            }
        );
        assert_eq!(packet.offload.gso.map(|g| g.hdr_len), Some(58));
        assert!(packet.remove(12, 4));
        assert_eq!(packet.bytes(), &frame[..]);
        assert_eq!(packet.offload, before);
    }

    #[test]
    fn headroom_is_made_anew_when_used_up() {
        let frame: Vec<u8> = (0..60).collect();
        let mut packet = Packet::from_frame(&frame);
        for _ in 0..100 {
            assert!(packet.insert(12, 18));
        }
        assert_eq!(packet.len(), 60 + 1800);
        assert_eq!(&packet.bytes()[..12], &frame[..12]);
        assert_eq!(&packet.bytes()[1812..], &frame[12..]);
    }

    #[test]
    fn out_of_range_edits_do_nothing() {
        let mut packet = Packet::from_frame(&[1, 2, 3]);
        assert!(!packet.insert(4, 4));
        assert!(!packet.remove(1, 3));
        assert_eq!(packet.bytes(), &[1, 2, 3]);
    }

    #[test]
    fn padding_is_zero_whatever_was_in_the_buffer() {
        let mut packet = Packet::from_frame(&[9; 8]);
        packet.truncate(3);
        packet.pad(6);
        assert_eq!(packet.bytes(), &[9, 9, 9, 0, 0, 0]);
        packet.pad(2);
        assert_eq!(packet.len(), 6);
        packet.pad(200);
        assert_eq!(&packet.bytes()[3..], &[0; 197]);
    }

    #[test]
    fn buffers_are_used_again() {
        let mut packet = Packet::for_receive();
        assert!(packet.receive_area().len() >= MAX_FRAME);
        packet.receive_area()[..3].copy_from_slice(&[7, 8, 9]);
        packet.received(3, Offload::default());
        assert_eq!(packet.bytes(), &[7, 8, 9]);
        let mut copy = Packet::with_capacity(0);
        copy.copy_from(&packet);
        assert_eq!(copy.bytes(), packet.bytes());
    }
}
