//! A bridge: its agent, and what the agent needs of us (ports to send by, connections to write to).

use std::collections::{HashMap, HashSet};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use rustix::net::{SendFlags, send};
use rustix::time::{ClockId, Timespec, clock_gettime};
use weft_agent::{Agent, ConnId, Host, Nanos, PortCounters, PortQueue};
use weft_frame::Packet;
use weft_netdev::Rtnl;
use weft_openflow::{Body, Message};

use super::fast::{Adoption, FastPath};
use super::port::Port;
use crate::outbox::Outbox;
use crate::survival::FlowLog;
use crate::types::{BridgeSpec, OFPP_LOCAL, OFPP_MAX};
use crate::wire::Outgoing;

/// One bridge.
pub struct Bridge {
    /// As asked for.
    pub spec: BridgeSpec,
    /// OpenFlow.
    pub agent: Agent,
    /// Everything else.
    pub io: BridgeIo,
}

/// Room for encoded messages that is kept between rounds.
const ENCODED_KEPT: usize = 64 << 10;
/// No port of that number.
const NONE: u16 = u16::MAX;

/// Ports and connections of one bridge.
#[derive(Default)]
pub struct BridgeIo {
    /// Number of the bridge, never used again.
    pub id: u32,
    /// What forwards known flows in the kernel.
    pub fast: Option<FastPath>,
    /// Flows of an earlier life.
    pub adoption: Adoption,
    /// Connections of the bridge program's controller.
    pub program_conns: HashSet<ConnId>,
    /// Ports; the place of one never changes.
    slots: Vec<Option<Port>>,
    /// Port number → slot, for the way of every frame.
    slot_of: Vec<u16>,
    /// Slot of `OFPP_LOCAL`.
    local: Option<u16>,
    /// Slots with frames waiting to leave.
    dirty: Vec<u16>,
    /// Connections with messages of this round.
    told: Vec<ConnId>,
    /// Where messages are encoded.
    encoded: Vec<u8>,
    /// Where to put messages.
    pub outboxes: HashMap<ConnId, Arc<Outbox<Outgoing>>>,
    /// Port the frame being worked on came in by: packet-ins are queued by it.
    pub in_port: u32,
    /// Packet-ins so far.
    pub packet_ins: u64,
    /// Packet-ins dropped because a controller does not keep up.
    pub packet_in_drops: u64,
    /// What users have changed, kept for a next life.
    pub log: Option<FlowLog>,
    /// `OFPPC_*` that ports had in an earlier life, by number, until they are back.
    pub restored_config: HashMap<u32, u32>,
    /// Devices to bring up or down, asked for by `OFPT_PORT_MOD`.
    pub admin_changes: Vec<(u32, bool)>,
    /// To ask what queues have sent; opened when first asked.
    queue_rtnl: Option<Rtnl>,
    /// Connections to be closed once written out.
    pub disconnects: Vec<ConnId>,
}

impl BridgeIo {
    /// Slot of a port number.
    pub fn slot(&self, ofport: u32) -> Option<usize> {
        let slot = if ofport == OFPP_LOCAL {
            self.local?
        } else {
            *self.slot_of.get(usize::try_from(ofport).ok()?)?
        };
        (slot != NONE).then_some(usize::from(slot))
    }

    /// Port in a slot.
    pub fn port(&mut self, slot: usize) -> Option<&mut Port> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Ports with their slots.
    pub fn ports(&self) -> impl Iterator<Item = (usize, &Port)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(slot, port)| Some((slot, port.as_ref()?)))
    }

    /// Slot of the port of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.ports()
            .find(|(_, port)| port.spec.name == name)
            .map(|(slot, _)| slot)
    }

    /// Lowest port number nobody has.
    pub fn free_number(&self) -> Option<u32> {
        (1..=OFPP_MAX).find(|number| self.slot(*number).is_none())
    }

    /// Adds a port, whose number must be free; its slot.
    pub fn insert(&mut self, port: Port) -> Option<usize> {
        let free = self
            .slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.slots.len());
        let index = u16::try_from(free).ok().filter(|slot| *slot != NONE)?;
        if port.ofport == OFPP_LOCAL {
            self.local = Some(index);
        } else {
            let number = usize::try_from(port.ofport).ok()?;
            if self.slot_of.len() <= number {
                self.slot_of.resize(number + 1, NONE);
            }
            self.slot_of[number] = index;
        }
        if free == self.slots.len() {
            self.slots.push(Some(port));
        } else {
            self.slots[free] = Some(port);
        }
        Some(free)
    }

    /// Takes a port out.
    pub fn remove(&mut self, slot: usize) -> Option<Port> {
        let port = self.slots.get_mut(slot)?.take()?;
        if port.ofport == OFPP_LOCAL {
            self.local = None;
        } else if let Some(entry) = self.slot_of.get_mut(port.ofport as usize) {
            *entry = NONE;
        }
        Some(port)
    }

    /// Writes down what users have changed, before anybody is told that it is done.
    fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    /// Sends what waits on the ports and, as far as they take it at once, on the connections.
    pub fn flush(&mut self) {
        self.flush_ports();
        while let Some(conn) = self.told.pop() {
            if let Some(outbox) = self.outboxes.get(&conn) {
                outbox.flush(|socket, messages| write(socket, messages, &mut self.encoded));
            }
        }
        // Room for a large reply is not for keeping.
        self.encoded.clear();
        self.encoded.shrink_to(ENCODED_KEPT);
    }

    fn tell(&mut self, conn: ConnId) {
        if self.told.last() != Some(&conn) && !self.told.contains(&conn) {
            self.told.push(conn);
        }
    }

    fn flush_ports(&mut self) {
        while let Some(slot) = self.dirty.pop() {
            if let Some(attached) = self
                .port(usize::from(slot))
                .and_then(|port| port.attached.as_mut())
            {
                attached.device.flush();
            }
        }
    }
}

/// Writes messages to a socket; what it does not take at once is given back.
fn write(socket: BorrowedFd<'_>, messages: &[Outgoing], encoded: &mut Vec<u8>) -> Option<Outgoing> {
    encoded.clear();
    for message in messages {
        if let Err(error) = message.write(encoded) {
            tracing::error!(%error, "a message cannot be encoded");
        }
    }
    // If the socket has failed, the connection's own writer meets the failure too and says so.
    let sent = send(socket, encoded, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).unwrap_or(0);
    let rest = encoded.get(sent..).filter(|rest| !rest.is_empty())?;
    Some(Outgoing::Encoded(rest.to_vec()))
}

impl Host for BridgeIo {
    fn send(&mut self, conn: ConnId, message: Message) {
        self.flush_log();
        self.tell(conn);
        let Some(outbox) = self.outboxes.get(&conn) else {
            return;
        };
        if matches!(message.body, Body::PacketIn(_)) {
            self.packet_ins += 1;
            if !outbox.push_packet_in(self.in_port, Outgoing::Message(message)) {
                self.packet_in_drops += 1;
            }
        } else {
            outbox.push(Outgoing::Message(message));
        }
    }

    fn send_encoded(&mut self, conn: ConnId, bytes: Vec<u8>) {
        self.flush_log();
        self.tell(conn);
        if let Some(outbox) = self.outboxes.get(&conn) {
            outbox.push(Outgoing::Encoded(bytes));
        }
    }

    fn transmit(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet) {
        let Some(slot) = self.slot(port_no) else {
            return;
        };
        let Some(attached) = self.slots[slot]
            .as_mut()
            .and_then(|port| port.attached.as_mut())
        else {
            return;
        };
        let was_pending = attached.device.has_pending();
        attached.device.transmit_by(queue_id, packet);
        if !was_pending && attached.device.has_pending() {
            self.dirty.push(slot as u16);
        }
    }

    fn set_port_config(&mut self, port_no: u32, config: u32, changed: u32) {
        let Some(port) = self.slot(port_no).and_then(|slot| self.port(slot)) else {
            return;
        };
        port.set_config(config);
        if changed & weft_openflow::port_config::PORT_DOWN != 0 {
            self.admin_changes
                .push((port_no, config & weft_openflow::port_config::PORT_DOWN == 0));
        }
    }

    fn port_counters(&self, port_no: u32) -> Option<PortCounters> {
        let port = self.slots[self.slot(port_no)?].as_ref()?;
        port.attached.as_ref()?;
        let counters = port.counters(self.fast.as_ref());
        Some(PortCounters {
            rx_packets: counters.rx_packets,
            tx_packets: counters.tx_packets,
            rx_bytes: counters.rx_bytes,
            tx_bytes: counters.tx_bytes,
            rx_dropped: counters.rx_dropped,
            tx_dropped: counters.tx_dropped,
            rx_errors: counters.rx_errors,
            tx_errors: counters.tx_errors,
            ..PortCounters::default()
        })
    }

    fn port_queues(&mut self, port_no: u32) -> Vec<PortQueue> {
        let mut rtnl = self.queue_rtnl.take().or_else(|| Rtnl::new().ok());
        let port = self
            .slot(port_no)
            .and_then(|slot| self.slots[slot].as_ref());
        let queues = port.map_or_else(Vec::new, |port| {
            port.queues(|ifindex| {
                let counters = rtnl.as_mut().map(|rtnl| rtnl.queue_counters(ifindex));
                counters.and_then(Result::ok).unwrap_or_default()
            })
        });
        self.queue_rtnl = rtnl;
        queues
    }

    fn changed(&mut self, changes: &[&Body], more: bool, now: Nanos) {
        if let Some(log) = &mut self.log {
            log.append(changes, more, now);
        }
    }

    fn unix_ms(&self, now: Nanos) -> u64 {
        let (unix, monotonic) = (
            clock_gettime(ClockId::Realtime),
            clock_gettime(ClockId::Monotonic),
        );
        let ms = |time: Timespec| time.tv_sec * 1000 + time.tv_nsec / 1_000_000;
        (now / 1_000_000).saturating_add_signed(ms(unix) - ms(monotonic))
    }

    fn has_room(&self, conn: ConnId) -> bool {
        self.outboxes
            .get(&conn)
            .is_some_and(|outbox| outbox.has_room())
    }

    fn disconnect(&mut self, conn: ConnId) {
        if let Some(outbox) = self.outboxes.remove(&conn) {
            // What is of this round its writer takes along.
            outbox.finish();
            self.disconnects.push(conn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DeviceType, PortSpec};

    fn port(name: &str, ofport: u32) -> Port {
        let spec = PortSpec::new(name.to_owned(), DeviceType::System, Some(ofport));
        Port::new(spec, ofport)
    }

    #[test]
    fn numbers_find_their_ports_while_others_come_and_go() {
        let mut io = BridgeIo::default();
        let first = io.insert(port("p1", 1)).unwrap();
        let second = io.insert(port("p2", 500)).unwrap();
        let local = io.insert(port("br0", OFPP_LOCAL)).unwrap();
        assert_eq!(
            (io.slot(1), io.slot(500), io.slot(OFPP_LOCAL)),
            (Some(first), Some(second), Some(local))
        );
        assert_eq!(
            (io.slot(0), io.slot(2), io.slot(501), io.slot(u32::MAX)),
            (None, None, None, None)
        );
        assert_eq!(io.free_number(), Some(2));
        assert_eq!(io.find("p2"), Some(second));
        assert!(io.remove(first).is_some());
        assert!(io.remove(first).is_none());
        assert_eq!((io.slot(1), io.slot(500)), (None, Some(second)));
        assert_eq!(io.insert(port("p3", 7)), Some(first));
        assert!(io.remove(local).is_some());
        assert_eq!(io.slot(OFPP_LOCAL), None);
        assert_eq!(io.ports().count(), 2);
    }
}
