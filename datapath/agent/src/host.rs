//! What the agent needs of the shell around it.

use weft_frame::Packet;
use weft_openflow::{Body, Message};

use crate::config::ConnId;

/// Nanoseconds of a monotonic clock.
pub type Nanos = u64;

/// Counters of one port, as `ofp_port_stats` has them (OF 1.3.5 §7.3.5.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounters {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets dropped on the way in.
    pub rx_dropped: u64,
    /// Packets dropped on the way out.
    pub tx_dropped: u64,
    /// Receive errors, including those below.
    pub rx_errors: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Frame alignment errors.
    pub rx_frame_errors: u64,
    /// Packets lost to receive overrun.
    pub rx_over_errors: u64,
    /// CRC errors.
    pub rx_crc_errors: u64,
    /// Collisions.
    pub collisions: u64,
}

/// A queue of a port (OF 1.3.5 §7.2.2) and what it has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortQueue {
    /// Its number, unique in its port.
    pub id: u32,
    /// Rate guaranteed, bit/s.
    pub min_rate: Option<u64>,
    /// Rate allowed, bit/s.
    pub max_rate: Option<u64>,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets dropped by overrun.
    pub tx_errors: u64,
    /// Since when it is there.
    pub since: Nanos,
}

/// What the shell offers: connections to write to and ports to send by. Borrowed for the length of each call; no
/// method may call back into the agent.
pub trait Host {
    /// Queues a message to a connection. A connection that is gone is silently ignored.
    fn send(&mut self, conn: ConnId, message: Message);

    /// Queues whole messages that are encoded already (parts of long multipart replies).
    fn send_encoded(&mut self, conn: ConnId, bytes: Vec<u8>);

    /// Sends a frame out of a port: a real one or LOCAL, never a reserved number. The frame may be changed.
    fn transmit(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet);

    /// `OFPPC_*` bits of a port were changed by `OFPT_PORT_MOD` where `changed` is set; the shell brings the
    /// device up or down by `OFPPC_PORT_DOWN`, and forgets nothing it did not understand.
    fn set_port_config(&mut self, port_no: u32, config: u32, changed: u32);

    /// Counters of a port's device; `None`: there is no device at the moment.
    fn port_counters(&self, port_no: u32) -> Option<PortCounters>;

    /// Queues of a port, in order of their numbers. They are set up beside OpenFlow, as §7.2.2 has it.
    fn port_queues(&mut self, _port_no: u32) -> Vec<PortQueue> {
        Vec::new()
    }

    /// Users have changed the switch for longer than a message lasts, by flow-, group-, meter-, port- or table-mods (those of
    /// a committed bundle come together, in several calls if `more` follow, with no others in between) or by setting how fragments are treated; or a flow of theirs has ended by itself,
    /// which is told as a request to delete it. A shell that keeps all this can bring it back with
    /// [`Agent::restore`](crate::Agent::restore); others need not care. Whatever tells the user of success is sent after
    /// this call.
    fn changed(&mut self, _changes: &[&Body], _more: bool, _now: Nanos) {}

    /// Unix time in milliseconds of a time of the monotonic clock: for reports.
    fn unix_ms(&self, now: Nanos) -> u64 {
        now / 1_000_000
    }

    /// Whether a connection keeps up with what it is sent.
    fn has_room(&self, _conn: ConnId) -> bool {
        true
    }

    /// Closes a connection once what is queued has been written.
    fn disconnect(&mut self, conn: ConnId);
}
