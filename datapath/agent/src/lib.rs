//! OpenFlow 1.3.5 semantics of one bridge, without sockets, clocks or threads.
//!
//! [`Agent`] owns the bridge's [`Pipeline`](weft_pipeline::Pipeline) and knows its connections and ports. The shell
//! around it tells it what happens ([`Agent::handle`], [`Agent::packet`], [`Agent::port_modified`], …), always
//! with the time, and lends it a [`Host`] to answer, forward and ask by.
//!
//! * A connection is told of by [`Agent::connection_opened`] once HELLO has been exchanged
//!   ([`weft_openflow::Hello::negotiate`]); from then on its messages are handled in the order they come, each
//!   whole before the next, so that a barrier is answered when all before it is done.
//! * Long replies are made in pieces: while [`Agent::is_busy`], the shell calls [`Agent::resume`] whenever the
//!   connection can take more, and forwards packets in between. So are bundles of many flows committed.
//! * What a connection may touch and hear depends on its [`ConnectionKind`], its [`Role`] and its asynchronous
//!   configuration. A management connection hears nothing unasked until it sends SET_CONFIG with a
//!   miss_send_len that is not zero, or SET_ASYNC; what is raised in the bridge program's tables is for
//!   program connections only.
//! * Users' flows, groups and meters can outlive the process: see [`Host::changed`] and [`Agent::restore`].

mod agent;
pub mod asynchronous;
mod bundle;
mod commit;
pub mod config;
mod connection;
mod dispatch;
mod dump;
mod features;
mod host;
mod modify;
mod multipart;
mod observers;
mod outlet;
mod ports;
mod queues;
mod recorder;
pub mod role;
mod standalone;
mod survival;

pub use agent::Agent;
pub use config::{BridgeConfig, ConnId, ConnectionInfo, ConnectionKind, FailMode};
pub use host::{Host, Nanos, PortCounters, PortQueue};
pub use role::Role;
pub use survival::Snapshot;
pub use weft_pipeline::TableLimit;
