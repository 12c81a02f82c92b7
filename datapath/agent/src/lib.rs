//! OpenFlow 1.3.5 semantics of one bridge, without sockets, clocks or threads.
//!
//! # Interface (being filled in; names and shapes are settled)
//!
//! ```text
//! Agent::new(config: BridgeConfig, now: Now) -> Agent
//! Agent::configure(&mut self, config: BridgeConfig, now, host: &mut dyn Host)   // fail mode, controllers, …
//!
//! // connections: after the HELLO exchange (see `Handshake`), in the order things happen
//! Agent::connection_opened(&mut self, conn: ConnId, info: ConnectionInfo, now, host)
//! Agent::connection_closed(&mut self, conn: ConnId, now, host)
//! Agent::handle(&mut self, conn: ConnId, message: Message, now, host)
//! Agent::handle_decode_error(&mut self, conn: ConnId, error: &DecodeError/…, host)
//! Agent::controllers_unreachable(&mut self, unreachable: bool, now, host)  // fail-open of standalone bridges
//!
//! // packets and ports
//! Agent::packet(&mut self, in_port: u32, packet: &mut Packet, now, host)
//! Agent::port_added / port_modified(&mut self, port: Port (ofp_port), now, host)
//! Agent::port_removed(&mut self, port_no: u32, now, host)
//!
//! // time and long replies
//! Agent::tick(&mut self, now, host)              // timeouts; call at or after next_deadline
//! Agent::next_deadline(&self, now) -> Option<Now>
//! Agent::resume(&mut self, conn, now, host) -> bool  // next parts of a long dump and what queued behind it;
//!                                                // true: more to come. Call when `busy()` and the
//!                                                // connection's write queue has room.
//! Agent::busy(&self) -> impl Iterator<Item = ConnId>
//!
//! // for JSON-RPC
//! Agent::trace(&self, in_port, frame, now) -> Trace;  Agent::drops(&self);  Agent::flow_count(&self)
//! Agent::role(&self, conn) -> Option<Role>
//!
//! /// What the shell offers the agent. One object per switch, borrowed for each call.
//! trait Host {
//!     fn send(&mut self, conn: ConnId, message: Message);       // whole OpenFlow messages, xid set
//!     fn transmit(&mut self, port_no: u32, packet: &mut Packet); // real ports only; LOCAL is a port
//!     fn set_port_config(&mut self, port_no: u32, config: u32, changed: u32); // OFPPC_PORT_DOWN → admin state
//!     fn port_counters(&self, port_no: u32) -> PortCounters;
//!     fn disconnect(&mut self, conn: ConnId);                    // after an unrecoverable error
//! }
//! ```

pub mod asynchronous;
pub mod bundle;
pub mod config;
pub mod connection;
pub mod handshake;
pub mod role;

pub use config::{BridgeConfig, ConnId, ConnectionInfo, ConnectionKind, FailMode};
pub use role::Role;
