//! The OpenFlow 1.3 pipeline of one bridge: tables, groups, meters, and what they do to packets.
//!
//! No sockets, clocks or devices: every call takes `now`, in nanoseconds of a monotonic clock.
//!
//! A packet is *translated*: the tables are walked for it, on a scratch copy of its headers, which gives a
//! list of datapath actions, the bits that were looked at, and what is to be counted ([`Translation`]). The
//! actions are then *executed* on the real frame. Translations are cached by their mask, so the next packets of
//! a flow only need a lookup; both kinds of packet run the same actions. Translation is the reference semantics.
//!
//! Users ([`Owner::User`]) may not change the tables, groups and meters of the bridge program: tables from
//! [`Config::program_table`] on, ids from [`PROGRAM_IDS`] on.
//!
//! # Interface
//!
//! * [`Pipeline::set_port`], [`Pipeline::remove_port`]: the ports there are.
//! * [`Pipeline::flow_mod`], [`Pipeline::group_mod`], [`Pipeline::meter_mod`], [`Pipeline::table_mod`]: checked whole before anything
//!   changes; errors are those of the specification.
//! * [`Pipeline::begin`], [`Pipeline::commit`], [`Pipeline::rollback`]: several changes, all or none.
//! * [`Pipeline::process`], [`Pipeline::packet_out`], [`Pipeline::trace`]; packets leave by a [`Sink`].
//! * [`Pipeline::expire`] and [`Pipeline::take_removed`]: time.
//! * [`Pipeline::flows`], [`Pipeline::aggregate`], [`Pipeline::table_stats`], [`Pipeline::groups`], [`Pipeline::meters`],
//!   [`Pipeline::drops`]: questions.
#![forbid(unsafe_code)]

mod action_set;
mod cache;
mod concern;
mod config;
mod datapath;
mod drops;
mod edits;
mod eviction;
mod execute;
mod fields;
mod group;
mod meter;
mod multipath;
mod nicira;
mod observe;
mod observing;
mod offload;
mod packets;
mod pipeline;
mod ports;
mod query;
mod rate;
mod removal;
mod shapes;
mod slab;
mod tables;
mod trace;
mod transaction;
mod translate;
mod validate;

pub use cache::{CacheStats, CachedFlow, CachedFlowQuery};
pub use config::{Config, PROGRAM_TABLE};
pub use datapath::{Credits, DpAction, HeaderOp, PacketIn, Pass, Translation};
pub use drops::{DropCounters, DropReason, Dropped, Head};
pub use eviction::TableLimit;
pub use execute::Sink;
pub use fields::has_field;
pub use group::{GroupView, MAX_GROUPS};
pub use meter::{MAX_BANDS, MAX_METERS, MeterView, PROGRAM_IDS, raise_drop_precedence};
pub use observe::{ALWAYS, MAX_HEADER_BYTES, MAX_OBSERVERS, Measure, Sight, Traffic, Tuple};
pub use offload::{CROWDED, Counts, FastPath, Metered, Observed, Treated};
pub use pipeline::{Owner, Pipeline};
pub use ports::{PortState, Ports};
pub use query::{FlowCursor, FlowView};
pub use rate::{Band, MAX_SHARED_BANDS, MeterCell, SharedCell, Unit, exceeding};
pub use removal::Removal;
pub use slab::FlowId;
pub use tables::{FlowFilter, Removed, TABLES};
pub use trace::{Logged, Step, Trace, TracedOutput, TracedPacketIn};
// The terms in which a fast path is told of observers: who implements `FastPath` needs no other crate.
pub use weft_openflow::{ObserverKind, ObserverMod};
