//! Why packets were dropped, counted.

use serde::Serialize;

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
