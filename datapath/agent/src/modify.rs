//! What changes the switch or sends packets: flow-, group-, meter-, port- and table-mod, packet-out, and bundles
//! of them (OF 1.3.5 §7.3.3, §7.3.4, §7.3.7; ONF EXT-230).

use weft_frame::Packet;
use weft_openflow::{
    Body, BundleAdd, BundleControl, BundleControlType, ErrorCode, Message, OFP_NO_BUFFER, OfError,
    PacketOut, PortMod, PortReason, encode, port_no,
};

use crate::agent::Agent;
use crate::config::ConnId;
use crate::dispatch::{Outcome, error_message, quote};
use crate::host::{Host, Nanos};
use crate::outlet::Outlet;

/// A bundle that lies idle for so long is discarded.
const BUNDLE_TIMEOUT: Nanos = 10_000_000_000;
/// Shortest frame a packet-out may carry: an Ethernet header.
const MIN_FRAME: usize = 14;

impl Agent {
    /// Does one modification, whole or not at all.
    pub(crate) fn modify(
        &mut self,
        conn: ConnId,
        body: &Body,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        let owner = self.owner(conn);
        match body {
            Body::FlowMod(flow_mod) => {
                check_buffer(flow_mod.buffer_id)?;
                self.pipeline.flow_mod(owner, flow_mod, now)
            }
            Body::GroupMod(group_mod) => self.pipeline.group_mod(owner, group_mod, now),
            Body::MeterMod(meter_mod) => self.pipeline.meter_mod(owner, meter_mod, now),
            Body::TableMod(table_mod) => {
                self.pipeline
                    .table_mod(owner, table_mod.table_id, table_mod.config)
            }
            Body::PortMod(port_mod) => self.port_mod(port_mod, host),
            Body::PacketOut(packet_out) => self.packet_out(conn, packet_out, now, host),
            _ => Err(OfError::new(
                ErrorCode::BadRequestBadType,
                "not a modification",
            )),
        }
    }

    /// §7.3.4.3. The change is announced at once; the device follows.
    fn port_mod(&mut self, port_mod: &PortMod, host: &mut dyn Host) -> Result<(), OfError> {
        let (config, changed) = self.ports.check_mod(port_mod)?;
        if changed != 0
            && let Some(port) = self.ports.set_config(port_mod.port_no, config)
        {
            self.apply_port(port.port_no);
            host.set_port_config(port.port_no, config, changed);
            self.outlet(host).port_status(PortReason::Modify, &port);
        }
        Ok(())
    }

    /// §7.3.7.
    fn packet_out(
        &mut self,
        conn: ConnId,
        packet_out: &PacketOut,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        check_buffer(packet_out.buffer_id)?;
        let in_port = packet_out.in_port;
        if in_port == 0
            || (in_port > port_no::MAX
                && ![port_no::LOCAL, port_no::CONTROLLER, port_no::ANY].contains(&in_port))
        {
            return Err(OfError::new(
                ErrorCode::BadRequestBadPort,
                format!("in_port {in_port:#x}"),
            ));
        }
        if packet_out.data.len() < MIN_FRAME {
            return Err(OfError::new(
                ErrorCode::BadRequestBadPacket,
                "shorter than an Ethernet header",
            ));
        }
        let owner = self.owner(conn);
        let mut packet = Packet::from_frame(&packet_out.data);
        let mut outlet = Outlet {
            connections: &self.connections,
            program_table: self.config.program_table,
            host,
        };
        self.pipeline.packet_out(
            owner,
            &mut packet,
            in_port,
            &packet_out.actions,
            now,
            &mut outlet,
        )
    }

    /// `ONF_ET_BUNDLE_ADD_MESSAGE`. The message is taken out of it, unless it is refused.
    pub(crate) fn bundle_add(
        &mut self,
        conn: ConnId,
        xid: u32,
        add: &mut BundleAdd,
        now: Nanos,
    ) -> Result<(), OfError> {
        if add.message.xid != xid {
            return Err(OfError::new(
                ErrorCode::BundleFailedMsgBadXid,
                "inner and outer xid differ",
            ));
        }
        let bundled = matches!(
            add.message.body,
            Body::FlowMod(_)
                | Body::GroupMod(_)
                | Body::MeterMod(_)
                | Body::PortMod(_)
                | Body::PacketOut(_)
        );
        if !bundled {
            return Err(OfError::new(
                ErrorCode::BundleFailedMsgUnsup,
                "cannot be part of a bundle",
            ));
        }
        let Some(session) = self.sessions.get_mut(&conn) else {
            return Ok(());
        };
        let expires = now + BUNDLE_TIMEOUT;
        self.scratch.clear();
        // What was decoded can be encoded.
        let _ = encode(&add.message, &mut self.scratch);
        let length = self.scratch.len();
        let staged = session
            .bundles
            .stage(add.bundle_id, add.flags, length, expires)?;
        let nothing = Message::new(xid, Body::BarrierRequest);
        staged.push(std::mem::replace(&mut *add.message, nothing));
        Ok(())
    }

    /// `ONF_ET_BUNDLE_CONTROL`.
    pub(crate) fn bundle_control(
        &mut self,
        conn: ConnId,
        xid: u32,
        control: &BundleControl,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return Ok(Vec::new());
        };
        let (id, flags) = (control.bundle_id, control.flags);
        let expires = now + BUNDLE_TIMEOUT;
        let reply = match control.control_type {
            BundleControlType::OpenRequest => {
                session.bundles.open(id, flags, expires)?;
                BundleControlType::OpenReply
            }
            BundleControlType::CloseRequest => {
                session.bundles.close(id, flags, expires)?;
                BundleControlType::CloseReply
            }
            BundleControlType::DiscardRequest => {
                session.bundles.discard(id)?;
                BundleControlType::DiscardReply
            }
            BundleControlType::CommitRequest => {
                let messages = session.bundles.commit(id, flags)?;
                return self.commit(conn, xid, control, messages, now, host);
            }
            _ => {
                return Err(OfError::new(
                    ErrorCode::BundleFailedBadType,
                    "not a request",
                ));
            }
        };
        Ok(vec![Body::BundleControl(BundleControl {
            bundle_id: id,
            control_type: reply,
            flags,
            properties: Vec::new(),
        })])
    }
}

/// The error that tells of a bundle discarded because it lay idle; it quotes the request that would close it.
pub(crate) fn bundle_timeout(bundle_id: u32, flags: u16) -> Message {
    let control_type = BundleControlType::CloseRequest;
    let control = BundleControl {
        bundle_id,
        control_type,
        flags,
        properties: Vec::new(),
    };
    let request = Message {
        xid: 0,
        body: Body::BundleControl(control),
    };
    let error = OfError::new(ErrorCode::BundleFailedTimeout, "the bundle lay idle");
    error_message(0, &quote(error, &request))
}

/// Nothing is buffered here, so no buffer id is known (§7.3.4.1, §7.3.7).
pub(crate) fn check_buffer(buffer_id: u32) -> Result<(), OfError> {
    if buffer_id == OFP_NO_BUFFER {
        Ok(())
    } else {
        Err(OfError::new(
            ErrorCode::BadRequestBufferUnknown,
            "packets are not buffered here",
        ))
    }
}
