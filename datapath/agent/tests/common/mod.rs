//! A bridge under test: an agent, its ports, and a host that writes everything down.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, VecDeque};

use weft_agent::{Agent, BridgeConfig, ConnId, ConnectionInfo, ConnectionKind, Host, PortCounters};
use weft_frame::Packet;
use weft_openflow::{
    Action, Body, ErrorCode, FlowMod, FlowModCommand, FlowStats, FlowStatsRequest, Instruction,
    Match, Message, MultipartReplyBody, MultipartRequest, MultipartRequestBody, OFP_NO_BUFFER,
    OxmField, PacketOut, Port, decode, decode_request, encode, group_no, port_no,
};

pub const SECOND: u64 = 1_000_000_000;

/// Everything that left the agent.
#[derive(Default)]
pub struct Log {
    pub messages: BTreeMap<ConnId, VecDeque<Message>>,
    pub frames: Vec<(u32, Vec<u8>)>,
    pub port_configs: Vec<(u32, u32, u32)>,
    pub disconnected: Vec<ConnId>,
    /// Longest reply given in one piece, in bytes.
    pub longest_piece: usize,
}

impl Host for Log {
    fn send(&mut self, conn: ConnId, message: Message) {
        // All that is sent must survive its own encoding.
        let mut bytes = Vec::new();
        encode(&message, &mut bytes).expect("encodes");
        assert_eq!(decode(&bytes).expect("decodes"), message);
        self.messages.entry(conn).or_default().push_back(message);
    }

    fn send_encoded(&mut self, conn: ConnId, bytes: Vec<u8>) {
        self.longest_piece = self.longest_piece.max(bytes.len());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
            let message = decode(&rest[..length]).expect("decodes");
            self.messages.entry(conn).or_default().push_back(message);
            rest = &rest[length..];
        }
    }

    fn transmit(&mut self, port_no: u32, _queue_id: Option<u32>, packet: &mut Packet) {
        self.frames.push((port_no, packet.bytes().to_vec()));
    }

    fn set_port_config(&mut self, port_no: u32, config: u32, changed: u32) {
        self.port_configs.push((port_no, config, changed));
    }

    fn port_counters(&self, port_no: u32) -> Option<PortCounters> {
        Some(PortCounters {
            rx_packets: u64::from(port_no) * 10,
            ..PortCounters::default()
        })
    }

    fn disconnect(&mut self, conn: ConnId) {
        self.disconnected.push(conn);
    }
}

pub struct Bridge {
    pub agent: Agent,
    pub log: Log,
    pub now: u64,
    next_xid: u32,
    next_conn: u64,
}

impl Bridge {
    pub fn new(config: BridgeConfig) -> Self {
        Bridge {
            agent: Agent::new(config, 0),
            log: Log::default(),
            now: 0,
            next_xid: 100,
            next_conn: 1,
        }
    }

    /// A bridge whose tables are empty, with ports 1 to 3, and one controller.
    pub fn plain() -> (Self, ConnId) {
        let config = BridgeConfig {
            controllers: 1,
            ..BridgeConfig::new("br0", 0x1234)
        };
        let mut bridge = Bridge::new(config);
        for number in 1..=3 {
            bridge.add_port(number);
        }
        let conn = bridge.connect(ConnectionKind::Controller);
        (bridge, conn)
    }

    /// The same with a bridge program in tables from 64.
    pub fn with_program() -> Self {
        let config = BridgeConfig {
            controllers: 1,
            program_table: Some(64),
            ..BridgeConfig::new("br0", 0x1234)
        };
        let mut bridge = Bridge::new(config);
        for number in 1..=3 {
            bridge.add_port(number);
        }
        bridge
    }

    pub fn connect(&mut self, kind: ConnectionKind) -> ConnId {
        let conn = ConnId(self.next_conn);
        self.next_conn += 1;
        self.agent
            .connection_opened(conn, ConnectionInfo::new(kind), self.now, &mut self.log);
        conn
    }

    pub fn add_port(&mut self, number: u32) {
        self.agent.port_added(port(number), self.now, &mut self.log);
    }

    /// Sends a message as it would come from the wire, and returns its xid.
    pub fn send(&mut self, conn: ConnId, body: Body) -> u32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        let mut bytes = Vec::new();
        encode(&Message { xid, body }, &mut bytes).expect("encodes");
        match decode_request(&bytes) {
            Ok(message) => self.agent.handle(conn, message, self.now, &mut self.log),
            Err(error) => self.agent.handle_decode_error(conn, &error, &mut self.log),
        }
        xid
    }

    /// Lets long replies finish.
    pub fn drain(&mut self) {
        let mut rounds = 0;
        loop {
            let Some(conn) = self.agent.busy().next() else {
                return;
            };
            self.agent.resume(conn, self.now, &mut self.log);
            rounds += 1;
            assert!(rounds < 100_000, "a reply does not end");
        }
    }

    /// Messages for the connection since the last call.
    pub fn received(&mut self, conn: ConnId) -> Vec<Body> {
        self.log
            .messages
            .remove(&conn)
            .unwrap_or_default()
            .into_iter()
            .map(|message| message.body)
            .collect()
    }

    /// Sends a request and returns all that is answered with its xid.
    pub fn ask(&mut self, conn: ConnId, body: Body) -> Vec<Body> {
        let xid = self.send(conn, body);
        self.drain();
        let messages = self.log.messages.remove(&conn).unwrap_or_default();
        messages
            .into_iter()
            .filter(|message| message.xid == xid)
            .map(|message| message.body)
            .collect()
    }

    /// Sends a request that has one answer.
    pub fn ask_one(&mut self, conn: ConnId, body: Body) -> Body {
        let mut answers = self.ask(conn, body);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    /// Sends a request that must succeed without answer.
    pub fn tell(&mut self, conn: ConnId, body: Body) {
        assert_eq!(self.ask(conn, body), [], "no answer expected");
    }

    /// Sends a request that must fail with this error, quoting the request.
    pub fn fails(&mut self, conn: ConnId, body: Body, code: ErrorCode) {
        let mut request = Vec::new();
        encode(
            &Message {
                xid: 0,
                body: body.clone(),
            },
            &mut request,
        )
        .expect("encodes");
        match self.ask_one(conn, body) {
            Body::Error(error) => {
                assert_eq!(error.error_code(), Some(code));
                let data = if code.numbers().0 == 0xffff {
                    &error.data[4..]
                } else {
                    &error.data[..]
                };
                let quoted = data.len().min(request.len());
                assert!(
                    quoted >= request.len().min(64),
                    "{} bytes quoted",
                    data.len()
                );
                assert_eq!(data[8..quoted], request[8..quoted], "the request is quoted");
            }
            other => panic!("{other:?} instead of {code}"),
        }
    }

    pub fn packet(&mut self, in_port: u32, frame: &[u8]) {
        let mut packet = Packet::from_frame(frame);
        self.agent
            .packet(in_port, &mut packet, self.now, &mut self.log);
    }

    pub fn advance(&mut self, ns: u64) {
        self.now += ns;
        self.agent.tick(self.now, &mut self.log);
    }
}

pub fn port(number: u32) -> Port {
    Port {
        port_no: number,
        hw_addr: mac(number),
        name: format!("p{number}").into(),
        config: 0,
        state: 0,
        curr: 0,
        advertised: 0,
        supported: 0x20,
        peer: 0,
        curr_speed: 0,
        max_speed: 0,
    }
}

pub fn mac(number: u32) -> [u8; 6] {
    [2, 0, 0, 0, 0, number as u8]
}

/// An IPv4/UDP frame of 60 bytes between two hosts named by number.
pub fn frame(from: u32, to: u32) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&mac(to));
    frame.extend_from_slice(&mac(from));
    frame.extend_from_slice(&[0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend_from_slice(&[
        10, 0, 0, from as u8, 10, 0, 0, to as u8, 0, 7, 0, 7, 0, 26, 0, 0,
    ]);
    frame.resize(60, 0xa5);
    frame
}

/// A flow from `in_port` that does `actions`.
pub fn flow(table_id: u8, in_port: u32, actions: Vec<Action>) -> FlowMod {
    FlowMod {
        priority: 10,
        match_: Match::any().with(OxmField::InPort, in_port),
        instructions: vec![Instruction::ApplyActions { actions }],
        ..FlowMod::new(FlowModCommand::Add, table_id)
    }
}

pub fn packet_out(in_port: u32, actions: Vec<Action>, data: Vec<u8>) -> Body {
    Body::PacketOut(PacketOut {
        buffer_id: OFP_NO_BUFFER,
        in_port,
        actions,
        data,
    })
}

pub fn to_controller() -> Vec<Action> {
    vec![Action::output(port_no::CONTROLLER)]
}

pub fn multipart(body: MultipartRequestBody) -> Body {
    Body::MultipartRequest(MultipartRequest::new(body))
}

pub fn all_flows(table_id: u8) -> FlowStatsRequest {
    FlowStatsRequest {
        table_id,
        out_port: port_no::ANY,
        out_group: group_no::ANY,
        cookie: 0,
        cookie_mask: 0,
        match_: Match::any(),
    }
}

pub fn flows_of(answers: Vec<Body>) -> Vec<FlowStats> {
    let last = answers.len().saturating_sub(1);
    let mut flows = Vec::new();
    for (index, answer) in answers.into_iter().enumerate() {
        let Body::MultipartReply(reply) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(reply.more(), index != last, "part {index}");
        let MultipartReplyBody::Flow(part) = reply.body else {
            panic!("not flows")
        };
        flows.extend(part);
    }
    flows
}
