//! Doing to the real frame what translation has found.

use crate::datapath::{DpAction, HeaderOp, PacketIn};
use crate::drops::{DropReason, Head};
use crate::meter::{Meters, Verdict};
use crate::observe::{Observers, Sight};
use crate::ports::Ports;
use weft_frame::{FlowKey, Offload, Packet, Segments, complete_checksum};

/// Shortest frame without FCS (IEEE 802.3 §3.2.8).
const MIN_FRAME: usize = 60;

/// Where packets leave the pipeline.
pub trait Sink {
    /// Transmit on a port that exists and may forward (`OFPP_LOCAL` is one). The packet is only lent: later outputs
    /// use it too, so whoever keeps it copies it.
    fn output(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet);

    /// Send to controllers.
    fn packet_in(&mut self, packet: &mut Packet, info: &PacketIn);
}

/// What execution needs besides the packet. Buffers for copies are kept.
#[derive(Debug, Default)]
pub(crate) struct Spares(Vec<Packet>);

pub(crate) struct Execution<'a> {
    pub meters: &'a mut Meters,
    pub ports: &'a mut Ports,
    pub spares: &'a mut Spares,
    pub in_port: u32,
    pub now: u64,
    /// The packet as it came in, where a meter may drop it on the way.
    pub head: Option<Head>,
    /// It goes nowhere anyway, and has been counted as dropped for that.
    pub is_lost: bool,
    /// The passes at which it has been dropped.
    pub dropped: Vec<usize>,
    /// Its key as it came in.
    pub key: &'a FlowKey,
    pub sights: &'a [Sight],
    /// `None`: nobody looks.
    pub observers: Option<&'a mut Observers>,
}

impl Execution<'_> {
    /// Runs actions on the packet.
    ///
    /// A frame of legal length leaves with legal length: what pops took away is made up for by padding, as by a bridge
    /// that strips a tag (IEEE 802.1Q annex G). A frame that came in too short stays so, as veth and tap
    /// devices know no minimum. Gives the passes at which meters have dropped it.
    pub fn run(
        mut self,
        actions: &[DpAction],
        packet: &mut Packet,
        sink: &mut impl Sink,
    ) -> Vec<usize> {
        let min_len = if packet.len() >= MIN_FRAME {
            MIN_FRAME
        } else {
            0
        };
        self.steps(actions, packet, min_len, sink);
        self.dropped
    }

    fn steps(
        &mut self,
        mut actions: &[DpAction],
        packet: &mut Packet,
        min_len: usize,
        sink: &mut impl Sink,
    ) {
        while let [action, rest @ ..] = actions {
            actions = rest;
            match action {
                DpAction::Output { port_no, queue_id } => {
                    packet.pad(min_len);
                    sink.output(*port_no, *queue_id, packet);
                }
                DpAction::Apply(HeaderOp::Meter { meter_id, instance }) => {
                    if !self.meter(*meter_id, packet) {
                        self.dropped.push((*instance as usize).saturating_sub(1));
                        return;
                    }
                }
                DpAction::Apply(op) => {
                    op.apply(packet);
                }
                DpAction::Observe(number) => {
                    if let Some(observers) = &mut self.observers
                        && let Some(sight) = self.sights.get(usize::from(*number))
                    {
                        observers.show(sight, self.key, packet, self.now);
                    }
                }
                DpAction::Truncated {
                    port_no,
                    queue_id,
                    max_len,
                } => {
                    packet.pad(min_len);
                    self.cut(packet, *max_len as usize, |packet| {
                        sink.output(*port_no, *queue_id, packet);
                    });
                }
                DpAction::Controller(info) => {
                    packet.pad(min_len);
                    sink.packet_in(packet, info);
                }
                DpAction::Fork(count) => {
                    let (branch, rest) = rest.split_at((*count as usize).min(rest.len()));
                    let mut copy = self.copy_of(packet);
                    self.steps(branch, &mut copy, min_len, sink);
                    self.spares.0.push(copy);
                    actions = rest;
                }
            }
        }
    }

    /// Sends at most `max_len` bytes of each packet that this one stands for.
    fn cut(&mut self, packet: &mut Packet, max_len: usize, mut send: impl FnMut(&mut Packet)) {
        let segments = Segments::of(packet);
        let longest = segments.map_or(packet.len(), |segments| segments.longest());
        if longest <= max_len {
            return send(packet);
        }
        let mut copy = self.spare();
        if let Some(segments) = segments {
            for number in 0..segments.count() {
                segments.write(packet, number, max_len, &mut copy);
                send(&mut copy);
            }
        } else {
            copy.copy_from(packet);
            // What is cut off can neither be summed nor segmented later.
            complete_checksum(&mut copy);
            copy.offload = Offload::default();
            copy.truncate(max_len);
            send(&mut copy);
        }
        self.spares.0.push(copy);
    }

    fn copy_of(&mut self, packet: &Packet) -> Packet {
        let mut copy = self.spare();
        copy.copy_from(packet);
        copy
    }

    fn spare(&mut self) -> Packet {
        let spare = self.spares.0.pop();
        spare.unwrap_or_else(|| Packet::with_capacity(2048))
    }

    fn meter(&mut self, meter_id: u32, packet: &Packet) -> bool {
        match self.meters.pass(meter_id, packet.len(), self.now) {
            // Remarks were turned into actions when the packet was translated.
            Verdict::Pass | Verdict::Remark(_) => true,
            Verdict::Drop if self.is_lost => false,
            Verdict::Drop => {
                let head = self.head.unwrap_or_else(|| Head::of(packet));
                self.ports
                    .count_drop(self.in_port, DropReason::Meter, head, self.now);
                false
            }
        }
    }
}
