//! Why packets were dropped, counted.

use serde::Serialize;
use weft_frame::Packet;

macro_rules! drop_reasons {
    ($( $(#[$meta:meta])* $name:ident $text:literal, )*) => {
        /// Why a packet was not forwarded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum DropReason {
            $( $(#[$meta])* $name, )*
        }

        impl DropReason {
            /// All reasons.
            pub const ALL: &'static [DropReason] = &[$( DropReason::$name ),*];

            /// The word used in counters and traces.
            pub const fn name(self) -> &'static str {
                match self {
                    $( DropReason::$name => $text, )*
                }
            }
        }
    };
}

drop_reasons! {
    /// A rule matched that forwards nowhere.
    Rule "rule",
    /// No rule matched in some table, not even a table-miss entry.
    TableMiss "table-miss",
    /// Came in by a port the bridge does not have.
    UnknownInPort "unknown-in-port",
    /// The only outputs were to ports the bridge does not have.
    NoSuchPort "no-such-port",
    /// The only outputs were to ports that are down (`OFPPC_PORT_DOWN`), or it came in by one.
    PortDown "port-down",
    /// `OFPPC_NO_RECV` on the port it came in by.
    NoReceive "no-receive",
    /// `OFPPC_NO_FWD` on the only ports it was to go out by.
    NoForward "no-forward",
    /// The only output was to the port it came in by.
    InPort "in-port",
    /// A meter's drop band.
    Meter "meter",
    /// TTL expired at a decrement.
    TtlExpired "ttl-expired",
    /// The frame is too short to be one.
    Malformed "malformed",
    /// An IP fragment while fragments are to be dropped (`OFPC_FRAG_DROP`).
    Fragment "fragment",
    /// The group has no (live) bucket, or does not exist.
    GroupEmpty "group-empty",
    /// Resubmits or groups nested too deeply, or too many of them.
    Recursion "recursion",
    /// An action could not be applied to such a packet (a tag popped that is not there).
    BadAction "bad-action",
    /// `OFPPC_NO_PACKET_IN` on the port, and the controller was the only output.
    NoPacketIn "no-packet-in",
}

/// Number of reasons.
pub const REASONS: usize = DropReason::ALL.len();

/// A counter per reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCounters([u64; REASONS]);

impl DropCounters {
    /// Counts `packets` more.
    #[inline]
    pub fn add(&mut self, reason: DropReason, packets: u64) {
        self.0[reason as usize] += packets;
    }

    /// The counter of a reason.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Reasons that were seen, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL
            .iter()
            .map(|reason| (*reason, self.get(*reason)))
            .filter(|(_, count)| *count != 0)
    }

    /// Packets dropped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Bytes kept of a dropped frame: its headers, with two tags and IPv6 options.
const HEAD_BYTES: usize = 128;

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; HEAD_BYTES],
    length: u32,
}

impl Head {
    /// Of a packet as it is now.
    pub(crate) fn of(packet: &Packet) -> Head {
        let mut bytes = [0; HEAD_BYTES];
        let held = packet.len().min(HEAD_BYTES);
        bytes[..held].copy_from_slice(&packet.bytes()[..held]);
        Head {
            bytes,
            length: packet.len() as u32,
        }
    }

    /// Its first bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len().min(HEAD_BYTES)]
    }

    /// Bytes of the whole frame.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether it had none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// The last frame that was dropped for a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The frame as it came in.
    pub head: Head,
    /// When, in nanoseconds of the pipeline's clock.
    pub at: u64,
}

/// The last dropped frame by reason. Room is made once per reason that is met, so that a flood of drops costs
/// a copy of each frame's head and nothing else.
#[derive(Debug, Default)]
pub(crate) struct LastDropped([Option<Box<Dropped>>; REASONS]);

impl LastDropped {
    #[inline]
    pub fn keep(&mut self, reason: DropReason, dropped: Dropped) {
        match &mut self.0[reason as usize] {
            Some(place) => **place = dropped,
            place => *place = Some(Box::new(dropped)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (DropReason, &Dropped)> + '_ {
        let frames = DropReason::ALL.iter().zip(&self.0);
        frames.filter_map(|(reason, frame)| Some((*reason, frame.as_deref()?)))
    }
}
