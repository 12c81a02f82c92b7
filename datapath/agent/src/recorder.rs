//! A [`Host`] that keeps everything back until it is known whether it may happen.

use weft_frame::Packet;
use weft_openflow::Message;

use crate::config::ConnId;
use crate::host::{Host, PortCounters};

enum Event {
    Message(ConnId, Message),
    Encoded(ConnId, Vec<u8>),
    Frame(u32, Option<u32>, Packet),
    PortConfig(u32, u32, u32),
    Disconnect(ConnId),
}

/// Records what was asked of it, in order.
#[derive(Default)]
pub(crate) struct Recorder {
    events: Vec<Event>,
}

impl Recorder {
    /// Does it all.
    pub fn replay(self, host: &mut dyn Host) {
        for event in self.events {
            match event {
                Event::Message(conn, message) => host.send(conn, message),
                Event::Encoded(conn, bytes) => host.send_encoded(conn, bytes),
                Event::Frame(port_no, queue_id, mut packet) => {
                    host.transmit(port_no, queue_id, &mut packet)
                }
                Event::PortConfig(port_no, config, changed) => {
                    host.set_port_config(port_no, config, changed)
                }
                Event::Disconnect(conn) => host.disconnect(conn),
            }
        }
    }
}

impl Host for Recorder {
    fn send(&mut self, conn: ConnId, message: Message) {
        self.events.push(Event::Message(conn, message));
    }

    fn send_encoded(&mut self, conn: ConnId, bytes: Vec<u8>) {
        self.events.push(Event::Encoded(conn, bytes));
    }

    fn transmit(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet) {
        self.events
            .push(Event::Frame(port_no, queue_id, packet.clone()));
    }

    fn set_port_config(&mut self, port_no: u32, config: u32, changed: u32) {
        self.events
            .push(Event::PortConfig(port_no, config, changed));
    }

    /// Modifications ask for no counters.
    fn port_counters(&self, _port_no: u32) -> Option<PortCounters> {
        None
    }

    fn disconnect(&mut self, conn: ConnId) {
        self.events.push(Event::Disconnect(conn));
    }
}
