//! The OpenFlow 1.3 pipeline of one bridge: tables, groups, meters, and what they do to packets.
//!
//! No sockets, clocks or devices: every call takes `now`, in nanoseconds of a monotonic clock. Not for several
//! threads at once.
//!
//! # Interface (being filled in; names and shapes are settled)
//!
//! ```text
//! Pipeline::new(config: Config) -> Pipeline
//! Config { program_table: Option<u8>, max_flows: usize /* per table */, cache_limit: usize, … }  (Default)
//! Pipeline::set_program_table(&mut self, Option<u8>)      // None: all 254 tables are User's; NORMAL → 64
//!
//! enum Owner { User, Program }                            // who asks; users may not touch program's things
//!
//! // ports: the pipeline keeps what it needs of each; LOCAL (0xfffffffe) is a port like any other
//! Pipeline::set_port(&mut self, port_no: u32, PortState { config: u32 /* OFPPC_* */, live: bool })
//! Pipeline::remove_port(&mut self, port_no: u32)
//!
//! // state changes: validated whole before anything changes; errors as OFPT_ERROR has them
//! Pipeline::flow_mod(&mut self, owner, &FlowMod, now) -> Result<(), OfError>
//! Pipeline::group_mod(&mut self, owner, &GroupMod, now) -> Result<(), OfError>
//! Pipeline::meter_mod(&mut self, owner, &MeterMod, now) -> Result<(), OfError>
//! Pipeline::table_mod(&mut self, owner, table_id: u8, config: u32) -> Result<(), OfError>
//! Pipeline::expire(&mut self, now) -> Option<u64>         // evicts; next deadline to call it again (≤ 1 s away)
//! Pipeline::take_removed(&mut self) -> Vec<Removed>       // flow-removed to send, since the last call
//! Removed { table_id, priority, reason, cookie, idle_timeout, hard_timeout, duration_ns, packets, bytes, match_ }
//!
//! // queries; cached counters are credited first
//! Pipeline::flows(&mut self, owner, &FlowFilter, cursor: &mut FlowCursor, limit, now, |FlowView|) -> bool /* more */
//! Pipeline::aggregate(&mut self, owner, &FlowFilter) -> Aggregate { packets, bytes, flows }
//! Pipeline::table_stats / group_stats / group_descs / meter_stats / meter_configs / flow_count
//!
//! // packets
//! Pipeline::process(&mut self, &mut Packet, in_port: u32, now, sink: &mut dyn/impl Sink)
//! Pipeline::packet_out(&mut self, owner, &mut Packet, in_port, &[Action], now, sink) -> Result<(), OfError>
//! Pipeline::trace(&mut self, frame: &[u8], in_port, now) -> Trace            // serde::Serialize
//! Pipeline::drops(&self) -> DropCounters;  Pipeline::port_drops(&self, port_no) -> DropCounters
//!
//! trait Sink {
//!     fn output(&mut self, port_no: u32, queue_id: Option<u32>, packet: &mut Packet);  // a real port, or LOCAL
//!     fn packet_in(&mut self, packet: &mut Packet, info: &PacketIn);
//! }
//! PacketIn { in_port, table_id, cookie, reason, max_len, controller_id, metadata, tunnel_id, program: bool }
//! ```
