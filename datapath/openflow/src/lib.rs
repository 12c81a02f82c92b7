//! OpenFlow 1.3.5 on the wire, both directions, without IO: bytes to [`Message`] and back.
//!
//! * [`next_frame`] finds message boundaries in a byte stream.
//! * [`decode`] reads a message. What is malformed gives a [`DecodeError`] with the place and the `OFPT_ERROR` to
//!   answer. What is unknown but well-formed (OXMs, actions, properties, …) is kept raw, so clients and tools can
//!   show and return it.
//! * [`decode_request`] reads as a switch does: it also refuses what §7.4.4 tells a switch to refuse by looking
//!   at the message alone (unknown actions, fields without prerequisites, bad masks, …; see [`check()`]).
//! * [`encode`] appends a message; [`MultipartWriter`] splits long multipart replies.
//! * [`hello`] negotiates the version.
//!
//! Every wire structure is declared once, by the macros in `declare.rs`. Modules follow the sections of the
//! specification. Names are its names in Rust spelling; numbers without a name survive as `Unknown(n)`.
#![forbid(unsafe_code)]

mod declare;
mod wire;

pub mod action;
pub mod asynchronous;
pub mod bundle;
pub mod check;
pub mod consts;
pub mod error;
pub mod experimenter;
pub mod flow_mod;
pub mod framing;
pub mod group;
pub mod hello;
pub mod instruction;
pub mod learn;
pub mod matching;
pub mod message;
pub mod meter;
pub mod multipart;
pub mod nicira;
pub mod observers;
pub mod oxm;
pub mod packet;
pub mod port;
pub mod queue;
pub mod stats;
pub mod switch;
pub mod table;
mod text;
pub mod tlv;
#[cfg(test)]
mod vectors;

pub use action::Action;
pub use asynchronous::{AsyncConfig, Role, RoleMessage};
pub use bundle::{BundleAdd, BundleControl, BundleControlType};
pub use check::check;
pub use consts::*;
pub use error::{DecodeError, EncodeError, ErrorCode, ErrorMessage, OfError};
pub use experimenter::{Experimenter, NxMessage, PacketInFormat};
pub use flow_mod::{FlowMod, FlowModCommand, FlowRemoved, FlowRemovedReason};
pub use framing::{Frame, next_frame};
pub use group::{Bucket, GroupMod, GroupModCommand, GroupType};
pub use hello::{Hello, HelloElement};
pub use instruction::Instruction;
pub use learn::{Learn, LearnSource, LearnSpec, LearnTarget};
pub use matching::Match;
pub use message::{Body, Message, decode, decode_request, encode, encode_body};
pub use meter::{MeterBand, MeterMod, MeterModCommand};
pub use multipart::{
    ExperimenterMultipart, MultipartReply, MultipartReplyBody, MultipartRequest,
    MultipartRequestBody, MultipartWriter,
};
pub use nicira::{ControllerProperty, NxAction};
pub use observers::{
    FlowEndReason, FlowRecord, FlowRecords, ObserverCommand, ObserverFlush, ObserverKind,
    ObserverMod, ObserverStats, ObserverStatsRequest, Sample, Samples, WeftMessage,
};
pub use oxm::{OxmField, OxmInfo, Prerequisite};
pub use packet::{PacketIn, PacketInReason, PacketOut};
pub use port::{Port, PortMod, PortReason, PortStatus};
pub use queue::{PacketQueue, QueueGetConfigReply, QueueProperty};
pub use stats::*;
pub use switch::{FeaturesReply, SwitchConfig};
pub use table::{ActionId, InstructionId, TableFeatures, TableMod, TableProperty};
pub use text::Text;
pub use tlv::{OxmId, OxmTlv, UnknownOxm};

/// A 48-bit MAC address, in the order of the wire.
pub type MacAddr = [u8; 6];
