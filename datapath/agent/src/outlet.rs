//! Asynchronous messages: from the pipeline's events to the connections that want them (OF 1.3.5 §7.4).

use weft_frame::Packet;
use weft_openflow::{
    Body, FlowRemoved, Match, Message, OFP_NO_BUFFER, OxmField, PacketIn, Port, PortReason,
    PortStatus,
};
use weft_pipeline::{PacketIn as Event, Removed, Sink};

use crate::asynchronous::AsyncKind;
use crate::connection::{Connections, Origin};
use crate::host::Host;

/// Transaction id of messages nobody asked for, as Open vSwitch has it.
const UNSOLICITED: u32 = 0;
/// A packet-in's frame is cut so that the message stays within 65535 bytes, whatever its match holds.
const MAX_PACKET_IN_DATA: usize = 0xffff - 512;

/// Sends events to whoever wants them; the pipeline's [`Sink`] while packets are processed.
pub(crate) struct Outlet<'a> {
    pub connections: &'a Connections,
    pub program_table: Option<u8>,
    pub host: &'a mut dyn Host,
}

impl Outlet<'_> {
    /// Sends `body()` to all that want to hear of `origin`; nothing is made when nobody does.
    fn publish(&mut self, origin: Origin, body: impl FnOnce() -> Body) {
        let mut recipients = self.connections.recipients(origin).peekable();
        if recipients.peek().is_none() {
            return;
        }
        let message = Message {
            xid: UNSOLICITED,
            body: body(),
        };
        while let Some(conn) = recipients.next() {
            if recipients.peek().is_none() {
                self.host.send(conn, message);
                return;
            }
            self.host.send(conn, message.clone());
        }
    }

    /// `OFPT_PORT_STATUS` (§7.4.3).
    pub fn port_status(&mut self, reason: PortReason, port: &Port) {
        let origin = Origin {
            kind: AsyncKind::PortStatus,
            reason: reason.into(),
            program: None,
            controller_id: 0,
        };
        self.publish(origin, || {
            Body::PortStatus(PortStatus {
                reason,
                desc: port.clone(),
            })
        });
    }

    /// `OFPT_FLOW_REMOVED` (§7.4.2).
    pub fn flow_removed(&mut self, removed: Removed) {
        let origin = Origin {
            kind: AsyncKind::FlowRemoved,
            reason: removed.reason.into(),
            program: self.program_table.map(|first| removed.table_id >= first),
            controller_id: 0,
        };
        self.publish(origin, || {
            Body::FlowRemoved(FlowRemoved {
                cookie: removed.cookie,
                priority: removed.priority,
                reason: removed.reason,
                table_id: removed.table_id,
                duration_sec: (removed.duration_ns / 1_000_000_000) as u32,
                duration_nsec: (removed.duration_ns % 1_000_000_000) as u32,
                idle_timeout: removed.idle_timeout,
                hard_timeout: removed.hard_timeout,
                packet_count: removed.packets,
                byte_count: removed.bytes,
                match_: removed.match_,
            })
        });
    }
}

impl Sink for Outlet<'_> {
    fn output(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet) {
        self.host.transmit(port_no, queue_id, packet);
    }

    /// `OFPT_PACKET_IN` (§7.4.1). Nothing is buffered here, so the whole frame is sent whatever `max_len` says:
    /// "if the packet is not buffered […] the entire packet is included in data".
    fn packet_in(&mut self, packet: &mut Packet, event: &Event) {
        let origin = Origin {
            kind: AsyncKind::PacketIn,
            reason: event.reason.into(),
            program: self.program_table.map(|_| event.program),
            controller_id: event.controller_id,
        };
        self.publish(origin, || {
            let data = packet.bytes();
            Body::PacketIn(PacketIn {
                buffer_id: OFP_NO_BUFFER,
                total_len: data.len().min(usize::from(u16::MAX)) as u16,
                reason: event.reason,
                table_id: event.table_id,
                cookie: event.cookie,
                match_: pipeline_fields(event),
                data: data[..data.len().min(MAX_PACKET_IN_DATA)].to_vec(),
            })
        });
    }
}

/// The pipeline fields that go with a packet: in_port always, the others where they are not zero (§7.4.1).
fn pipeline_fields(event: &Event) -> Match {
    let mut fields = Match::any().with(OxmField::InPort, event.in_port);
    if event.metadata != 0 {
        fields = fields.with(OxmField::Metadata, event.metadata);
    }
    if event.tunnel_id != 0 {
        fields = fields.with(OxmField::TunnelId, event.tunnel_id);
    }
    for (number, &value) in event
        .regs
        .iter()
        .enumerate()
        .filter(|(_, value)| **value != 0)
    {
        if let Some(field) = OxmField::reg(number) {
            fields = fields.with(field, value);
        }
    }
    fields
}
