//! Each request to its answer (OF 1.3.5 §7.3, §7.5).

use weft_openflow::{
    Body, ErrorCode, FeaturesReply, Message, NxMessage, OfError, PacketInFormat, RoleMessage,
    SwitchConfig, capabilities, config_flags, encode,
};

use crate::agent::Agent;
use crate::asynchronous::{AsyncConfig, ReasonMask};
use crate::config::ConnId;
use crate::host::{Host, Nanos};
use crate::role::Role;

/// What a request comes to: answers in order, or an error.
pub(crate) type Outcome = Result<Vec<Body>, OfError>;

/// Nothing to answer.
const DONE: Outcome = Ok(Vec::new());

/// The `OFPT_ERROR` for a request.
pub(crate) fn error_message(xid: u32, error: &OfError) -> Message {
    Message {
        xid,
        body: Body::Error(error.to_message()),
    }
}

/// Fills in the quoted request, "at least 64 bytes of the failed request" (§7.4.4), unless the error has it.
pub(crate) fn quote(error: OfError, request: &Message) -> OfError {
    if !error.data.is_empty() {
        return error;
    }
    let mut bytes = Vec::new();
    // A request that was received can be encoded; if not, an error without quotation is better than none.
    match encode(request, &mut bytes) {
        Ok(()) => error.quoting(&bytes),
        Err(_) => error,
    }
}

impl Agent {
    /// Handles one message at once.
    pub(crate) fn dispatch(
        &mut self,
        conn: ConnId,
        mut message: Message,
        now: Nanos,
        host: &mut dyn Host,
    ) {
        let xid = message.xid;
        let outcome = self
            .check_role(conn, &message.body)
            .and_then(|()| self.answer(conn, &mut message, now, host));
        match outcome {
            Ok(bodies) => bodies
                .into_iter()
                .for_each(|body| host.send(conn, Message { xid, body })),
            Err(error) => host.send(conn, error_message(xid, &quote(error, &message))),
        }
    }

    /// Refuses what a slave may not do (§6.3.5): whatever sends packets or changes the switch.
    fn check_role(&self, conn: ConnId, body: &Body) -> Result<(), OfError> {
        let changes = match body {
            Body::PacketOut(_)
            | Body::FlowMod(_)
            | Body::GroupMod(_)
            | Body::PortMod(_)
            | Body::TableMod(_)
            | Body::MeterMod(_)
            | Body::BundleControl(_)
            | Body::BundleAdd(_)
            | Body::Weft(_) => true,
            Body::MultipartRequest(request) => crate::multipart::is_change(request),
            _ => false,
        };
        if changes && self.role(conn) == Some(Role::Slave) {
            return Err(OfError::new(
                ErrorCode::BadRequestIsSlave,
                "a slave may only read",
            ));
        }
        Ok(())
    }

    fn answer(
        &mut self,
        conn: ConnId,
        message: &mut Message,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Outcome {
        if let Body::BundleAdd(add) = &mut message.body {
            return self
                .bundle_add(conn, message.xid, add, now)
                .map(|()| Vec::new());
        }
        if self.begin_removal(conn, &mut message.body, now, host)? {
            return DONE;
        }
        match &message.body {
            // A second HELLO changes nothing; errors and echo replies need no answer.
            Body::Hello(_) | Body::Error(_) | Body::EchoReply(_) => DONE,
            Body::EchoRequest(data) => Ok(vec![Body::EchoReply(data.clone())]),
            // Requests of a connection are handled in order, each whole before the next: nothing to wait for.
            Body::BarrierRequest => Ok(vec![Body::BarrierReply]),
            Body::FeaturesRequest => Ok(vec![Body::FeaturesReply(self.features(conn))]),
            Body::GetConfigRequest => Ok(vec![Body::GetConfigReply(self.switch_config(conn))]),
            Body::SetConfig(config) => {
                self.set_config(conn, config)?;
                if self.role(conn) != Some(Role::Slave) {
                    self.tell_changed(conn, std::iter::once(&message.body), false, now, host);
                }
                DONE
            }
            Body::RoleRequest(request) => self.role_request(conn, request),
            Body::GetAsyncRequest => Ok(vec![Body::GetAsyncReply(self.asynchronous(conn))]),
            Body::SetAsync(config) => self.set_async(conn, config),
            Body::PacketOut(_)
            | Body::FlowMod(_)
            | Body::GroupMod(_)
            | Body::PortMod(_)
            | Body::TableMod(_)
            | Body::MeterMod(_) => {
                self.modify(conn, &message.body, now, host)?;
                // Flows that made room have gone before.
                self.tell_expired(now, host);
                self.tell_changed(conn, std::iter::once(&message.body), false, now, host);
                DONE
            }
            Body::MultipartRequest(request) => {
                self.multipart(conn, message.xid, request, now, host)
            }
            Body::QueueGetConfigRequest { port } => self.queue_config(*port, host),
            Body::BundleControl(control) => {
                self.bundle_control(conn, message.xid, control, now, host)
            }
            // Above, as its content is kept.
            Body::BundleAdd(_) => DONE,
            Body::Nicira(request) => self.nicira(conn, request),
            Body::Weft(request) => self.weft(conn, request, now, host),
            Body::Experimenter(_) => Err(OfError::new(
                ErrorCode::BadRequestBadExperimenter,
                "experimenter or type not known",
            )),
            // What only a switch may send.
            Body::FeaturesReply(_)
            | Body::GetConfigReply(_)
            | Body::PacketIn(_)
            | Body::FlowRemoved(_)
            | Body::PortStatus(_)
            | Body::MultipartReply(_)
            | Body::BarrierReply
            | Body::QueueGetConfigReply(_)
            | Body::RoleReply(_)
            | Body::GetAsyncReply(_) => Err(OfError::new(
                ErrorCode::BadRequestBadType,
                "a message that only switches send",
            )),
        }
    }

    /// §7.3.1.
    fn features(&self, conn: ConnId) -> FeaturesReply {
        FeaturesReply {
            datapath_id: self.config.datapath_id,
            n_buffers: 0,
            n_tables: self.n_tables(),
            auxiliary_id: self
                .connections
                .get(conn)
                .map_or(0, |connection| connection.info.auxiliary_id),
            reserved: 0,
            capabilities: capabilities::FLOW_STATS
                | capabilities::TABLE_STATS
                | capabilities::PORT_STATS
                | capabilities::GROUP_STATS
                | capabilities::QUEUE_STATS,
        }
    }

    /// §7.3.2.
    fn switch_config(&self, conn: ConnId) -> SwitchConfig {
        let miss_send_len = self
            .connections
            .get(conn)
            .map_or(0, |connection| connection.miss_send_len);
        SwitchConfig {
            flags: self.frag_flags,
            miss_send_len,
        }
    }

    /// §7.3.2. The handling of fragments is the switch's, and so not a slave's to change; the length is the
    /// connection's own.
    fn set_config(&mut self, conn: ConnId, config: &SwitchConfig) -> Outcome {
        if config.flags & !config_flags::FRAG_MASK != 0 {
            return Err(OfError::new(
                ErrorCode::SwitchConfigFailedBadFlags,
                "unknown flags",
            ));
        }
        if config.flags & config_flags::FRAG_REASM != 0 {
            return Err(OfError::new(
                ErrorCode::SwitchConfigFailedBadFlags,
                "fragments are not reassembled here",
            ));
        }
        if self.role(conn) != Some(Role::Slave) {
            self.set_fragments(config.flags);
        }
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.miss_send_len = config.miss_send_len;
        }
        DONE
    }

    /// Sets how fragments are treated (`OFPC_FRAG_*`).
    pub(crate) fn set_fragments(&mut self, flags: u16) {
        self.frag_flags = flags;
        self.pipeline
            .set_drop_fragments(flags == config_flags::FRAG_DROP);
    }

    /// §7.3.9.
    fn role_request(&mut self, conn: ConnId, request: &RoleMessage) -> Outcome {
        use weft_openflow::Role as Wire;
        let role = match request.role {
            Wire::NoChange => None,
            Wire::Equal => Some(Role::Equal),
            Wire::Master => Some(Role::Master),
            Wire::Slave => Some(Role::Slave),
            Wire::Unknown(number) => {
                return Err(OfError::new(
                    ErrorCode::RoleRequestFailedBadRole,
                    format!("role {number}"),
                ));
            }
        };
        if let Some(role) = role {
            self.connections
                .set_role(conn, role, request.generation_id)
                .map_err(|_| {
                    let detail = format!("generation {} is stale", request.generation_id);
                    OfError::new(ErrorCode::RoleRequestFailedStale, detail)
                })?;
        }
        let role = match self.role(conn).unwrap_or_default() {
            Role::Equal => Wire::Equal,
            Role::Master => Wire::Master,
            Role::Slave => Wire::Slave,
        };
        Ok(vec![Body::RoleReply(RoleMessage {
            role,
            generation_id: self.connections.generation(),
        })])
    }

    /// §7.3.10.
    fn asynchronous(&self, conn: ConnId) -> weft_openflow::AsyncConfig {
        let config = self
            .connections
            .main(conn)
            .map(|connection| connection.asynchronous)
            .unwrap_or_default();
        let pair = |mask: ReasonMask| [mask.master, mask.slave];
        weft_openflow::AsyncConfig {
            packet_in_mask: pair(config.packet_in),
            port_status_mask: pair(config.port_status),
            flow_removed_mask: pair(config.flow_removed),
        }
    }

    fn set_async(&mut self, conn: ConnId, config: &weft_openflow::AsyncConfig) -> Outcome {
        let pair = |[master, slave]: [u32; 2]| ReasonMask { master, slave };
        if let Some(connection) = self.connections.main_mut(conn) {
            connection.asked_for_async = true;
            connection.asynchronous = AsyncConfig {
                packet_in: pair(config.packet_in_mask),
                port_status: pair(config.port_status_mask),
                flow_removed: pair(config.flow_removed_mask),
            };
        }
        DONE
    }

    /// Nicira's extensions that set up a connection.
    fn nicira(&mut self, conn: ConnId, request: &NxMessage) -> Outcome {
        match request {
            NxMessage::SetControllerId { controller_id } => {
                if let Some(connection) = self.connections.main_mut(conn) {
                    connection.controller_id = *controller_id;
                }
                DONE
            }
            // Of no effect in OpenFlow 1.3, whose flow-mods have one form and always name their table.
            NxMessage::SetFlowFormat { .. } | NxMessage::FlowModTableId { .. } => DONE,
            // Only the standard's own packet-in is spoken; clients fall back to it.
            NxMessage::SetPacketInFormat {
                format: PacketInFormat::Standard,
            } => DONE,
            NxMessage::SetPacketInFormat { .. } => Err(OfError::new(
                ErrorCode::BadRequestBadExpType,
                "only the standard packet-in is sent",
            )),
        }
    }
}
