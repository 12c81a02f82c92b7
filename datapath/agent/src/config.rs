//! How a bridge is set up, and who its connections are.

use std::collections::BTreeMap;

use weft_pipeline::TableLimit;

/// Identifies one OpenFlow connection of a bridge. The shell chooses it; it is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// What stands at the other end of a connection; decides what it may touch and what it is told unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// A user's controller: one the bridge connects to, or that connected to a `ptcp:`/`pssl:` listener.
    Controller,
    /// A tool on `<bridge>.mgmt` (`ovs-ofctl`): no asynchronous message until it asks (see [`crate`]).
    Management,
    /// The program's owner on `<bridge>.program`: every table, and the packet-ins of tables it owns.
    Program,
}

/// What the connection layer knows when a connection has been negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Who it is.
    pub kind: ConnectionKind,
    /// `auxiliary_id` of the features reply: 0 for a main connection (OF 1.3.5 §6.3.6).
    pub auxiliary_id: u8,
    /// For an auxiliary connection, the main one: role and asynchronous configuration are shared with it.
    pub main: Option<ConnId>,
    /// Whether this is one of the bridge's own outgoing controllers (counts for fail-open).
    pub primary: bool,
}

impl ConnectionInfo {
    /// A main connection of this kind; a [`ConnectionKind::Controller`] counts as one of the bridge's own.
    pub fn new(kind: ConnectionKind) -> Self {
        let primary = kind == ConnectionKind::Controller;
        ConnectionInfo {
            kind,
            auxiliary_id: 0,
            main: None,
            primary,
        }
    }
}

/// What a bridge does without its controllers (`fail_mode` of Open vSwitch's `Bridge` table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FailMode {
    /// Forward by itself, as `NORMAL`.
    #[default]
    Standalone,
    /// Keep to the flows it has.
    Secure,
}

/// Settings of one bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeConfig {
    /// Name, also the `dp_desc` unless a description is given.
    pub name: String,
    /// Datapath id of the features reply.
    pub datapath_id: u64,
    /// What to do without a controller.
    pub fail_mode: FailMode,
    /// Number of controllers configured (connected or not).
    pub controllers: usize,
    /// First table of the bridge program, which only [`ConnectionKind::Program`] may change; `None`: every
    /// table is the controller's.
    pub program_table: Option<u8>,
    /// Without a program, let `NORMAL` learn by itself with flows in tables 252 and 253.
    pub learning: bool,
    /// `dp_desc` of the description reply; the name when empty.
    pub description: String,
    /// Software version of the description reply.
    pub software: String,
    /// How full users' tables may get, those that are not as all others.
    pub table_limits: BTreeMap<u8, TableLimit>,
}

impl BridgeConfig {
    /// A stand-alone bridge of that name without controllers and program.
    pub fn new(name: impl Into<String>, datapath_id: u64) -> Self {
        BridgeConfig {
            name: name.into(),
            datapath_id,
            fail_mode: FailMode::Standalone,
            controllers: 0,
            program_table: None,
            learning: false,
            description: String::new(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
            table_limits: BTreeMap::new(),
        }
    }
}
