//! The agent of one bridge: its life, its ports, its packets and its clock. Messages are in `dispatch`.

use std::collections::{BTreeMap, VecDeque};

use weft_frame::Packet;
use weft_openflow::{DecodeError, Message, Port, PortReason, TableFeatures, Text, table_no};
use weft_pipeline::{
    CacheStats, CachedFlow, CachedFlowQuery, Config, DropCounters, DropReason, Dropped, FastPath,
    Owner, Pipeline, PortState, Trace,
};

use crate::bundle::Bundles;
use crate::commit::Commit;
use crate::config::{BridgeConfig, ConnId, ConnectionInfo, ConnectionKind, FailMode};
use crate::connection::Connections;
use crate::dump::Dump;
use crate::host::{Host, Nanos};
use crate::outlet::Outlet;
use crate::ports::Ports;
use crate::role::Role;
use crate::standalone;

/// Longest time between two looks for flows that have timed out.
const EXPIRY_INTERVAL: Nanos = 1_000_000_000;

/// Shortest time between two: each looks at all flows with timeouts.
const EXPIRY_PAUSE: Nanos = 50_000_000;

/// What a connection has under way.
#[derive(Default)]
pub(crate) struct Session {
    /// Messages held back for a commit.
    pub bundles: Bundles<Message, Nanos>,
    /// A long reply being produced.
    pub dump: Option<Dump>,
    /// Requests that came while it was, in order.
    pub backlog: VecDeque<Message>,
    /// Parts so far of a table-features request in several parts, and its xid.
    pub table_features: Option<(u32, Vec<TableFeatures>)>,
}

impl Session {
    fn is_busy(&self) -> bool {
        self.dump.is_some() || !self.backlog.is_empty()
    }
}

/// Whether NORMAL learns by itself.
fn learns(config: &BridgeConfig) -> bool {
    config.learning && config.program_table.is_none()
}

/// The first table that users may not change: of the bridge program, or where NORMAL learns by itself.
fn protected_from(config: &BridgeConfig) -> Option<u8> {
    config
        .program_table
        .or(learns(config).then_some(standalone::LEARNING_TABLE))
}

/// OpenFlow 1.3 endpoint of one bridge.
pub struct Agent {
    pub(crate) config: BridgeConfig,
    pub(crate) pipeline: Pipeline,
    pub(crate) connections: Connections,
    pub(crate) sessions: BTreeMap<ConnId, Session>,
    pub(crate) ports: Ports,
    /// Names given to tables by table features.
    pub(crate) table_names: BTreeMap<u8, Text<32>>,
    /// `OFPC_FRAG_*` of the last `OFPT_SET_CONFIG`.
    pub(crate) frag_flags: u16,
    /// Flows that forward as NORMAL while no controller can be reached are in.
    pub(crate) fail_open: bool,
    /// A bundle that is being committed piece by piece.
    pub(crate) commit: Option<Commit>,
    /// Who set each observer.
    pub(crate) observers: BTreeMap<u32, ConnId>,
    /// Room to encode a message in, to see how long it is.
    pub(crate) scratch: Vec<u8>,
    next_expiry: Option<Nanos>,
}

impl Agent {
    /// A bridge without ports and connections, with the flows its fail mode starts with.
    pub fn new(config: BridgeConfig, now: Nanos) -> Self {
        let pipeline = Pipeline::new(Config {
            program_table: protected_from(&config),
            ..Config::default()
        });
        let mut agent = Agent {
            config,
            pipeline,
            connections: Connections::default(),
            sessions: BTreeMap::new(),
            ports: Ports::default(),
            table_names: BTreeMap::new(),
            frag_flags: 0,
            fail_open: false,
            commit: None,
            observers: BTreeMap::new(),
            scratch: Vec::new(),
            next_expiry: Some(now),
        };
        agent.install_learning(now);
        agent.limit_tables(now);
        agent.install_defaults(now);
        agent
    }

    /// The settings in force.
    pub fn config(&self) -> &BridgeConfig {
        &self.config
    }

    /// Changes settings. As in Open vSwitch, gaining the first controller or losing the last one empties the
    /// users' flow tables, and a stand-alone bridge left without controllers forwards as NORMAL again.
    pub fn configure(&mut self, config: BridgeConfig, now: Nanos, host: &mut dyn Host) {
        self.settle(now, host);
        let old = std::mem::replace(&mut self.config, config);
        let (protected, protected_before) = (protected_from(&self.config), protected_from(&old));
        if protected != protected_before {
            if learns(&old) {
                standalone::remove_learning(&mut self.pipeline, now);
            }
            self.pipeline.set_program_table(protected);
            self.install_learning(now);
        }
        let had = old.controllers > 0;
        let has = self.config.controllers > 0;
        let mode_changed = old.fail_mode != self.config.fail_mode;
        if had != has || (mode_changed && !has) {
            standalone::flush(&mut self.pipeline, now);
            self.fail_open = false;
            self.install_defaults(now);
        } else if mode_changed && self.fail_open && self.config.fail_mode == FailMode::Secure {
            self.set_fail_open(false, now);
        }
        self.limit_tables(now);
        self.tell_expired(now, host);
        self.publish_removed(host);
    }

    /// The program's tables are as full as it makes them.
    fn limit_tables(&mut self, now: Nanos) {
        for table_id in 0..protected_from(&self.config).unwrap_or(table_no::MAX) {
            let limit = self.config.table_limits.get(&table_id);
            let limit = limit.copied().unwrap_or_default();
            self.pipeline.set_table_limit(table_id, limit, now);
        }
    }

    fn install_defaults(&mut self, now: Nanos) {
        if self.config.controllers == 0 && self.config.fail_mode == FailMode::Standalone {
            standalone::install_normal(&mut self.pipeline, now);
        }
    }

    fn install_learning(&mut self, now: Nanos) {
        if learns(&self.config) {
            standalone::install_learning(&mut self.pipeline, now);
        }
    }

    /// Says whether all configured controllers have been unreachable for so long that a stand-alone bridge
    /// should forward by itself, or that one is back.
    pub fn controllers_unreachable(&mut self, unreachable: bool, now: Nanos, host: &mut dyn Host) {
        self.settle(now, host);
        let fail_open = unreachable
            && self.config.controllers > 0
            && self.config.fail_mode == FailMode::Standalone;
        self.set_fail_open(fail_open, now);
        self.publish_removed(host);
    }

    fn set_fail_open(&mut self, fail_open: bool, now: Nanos) {
        if self.fail_open != fail_open {
            self.fail_open = fail_open;
            standalone::set_fail_open(&mut self.pipeline, fail_open, now);
        }
    }

    /// A connection has been negotiated.
    pub fn connection_opened(
        &mut self,
        conn: ConnId,
        info: ConnectionInfo,
        now: Nanos,
        host: &mut dyn Host,
    ) {
        self.connections.open(conn, info);
        self.sessions.insert(conn, Session::default());
        if info.primary {
            self.controllers_unreachable(false, now, host);
        }
    }

    /// A connection is gone. Its bundles are discarded, what it changed stays.
    pub fn connection_closed(&mut self, conn: ConnId, now: Nanos, host: &mut dyn Host) {
        self.settle(now, host);
        self.sessions.remove(&conn);
        // Observers go on: records wait for whoever sets them again.
        self.observers.retain(|_, owner| *owner != conn);
        for orphan in self.connections.close(conn) {
            self.sessions.remove(&orphan);
            self.observers.retain(|_, owner| *owner != orphan);
            host.disconnect(orphan);
        }
    }

    /// A message arrived. Whatever it asks is answered through `host`, now or, behind a long reply, by
    /// [`Agent::resume`]; until [`Agent::is_busy`] ends, it is better to read no more from the connection.
    pub fn handle(&mut self, conn: ConnId, message: Message, now: Nanos, host: &mut dyn Host) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        if session.dump.is_some() || self.commit.is_some() {
            session.backlog.push_back(message);
            return;
        }
        self.dispatch(conn, message, now, host);
        self.publish_removed(host);
    }

    /// A message that could not be decoded is answered with its error.
    pub fn handle_decode_error(&mut self, conn: ConnId, error: &DecodeError, host: &mut dyn Host) {
        if self.sessions.contains_key(&conn) {
            host.send(
                conn,
                crate::dispatch::error_message(error.xid, &error.error),
            );
        }
    }

    /// Whether the connection has to wait for [`Agent::resume`]: a long reply is under way on it, a bundle is being committed,
    /// or messages wait that came meanwhile.
    pub fn is_busy(&self, conn: ConnId) -> bool {
        self.sessions
            .get(&conn)
            .is_some_and(|session| session.is_busy())
            || self
                .commit
                .as_ref()
                .is_some_and(|commit| commit.conn == conn)
    }

    /// Connections for which [`Agent::resume`] has something to do.
    pub fn busy(&self) -> impl Iterator<Item = ConnId> + '_ {
        let sessions = self.sessions.iter();
        let waiting = sessions.filter(|(_, session)| session.is_busy());
        let commit = self.commit.iter().map(|commit| commit.conn);
        commit.chain(waiting.map(|(&conn, _)| conn))
    }

    /// Does a piece of what is under way on a connection: the next part of a long reply or of a commit, and, when it is
    /// complete, what queued up behind. That is a bounded amount of work (one message of at most 64 KB); returns
    /// whether there is more. Meant to be called between packets, whenever the connection's write queue has room, and
    /// in any case while [`Agent::is_committing`].
    pub fn resume(&mut self, conn: ConnId, now: Nanos, host: &mut dyn Host) -> bool {
        match &self.commit {
            Some(commit) if commit.conn == conn => self.continue_commit(now, host),
            Some(_) => return true,
            None => {}
        }
        let dump = self
            .sessions
            .get_mut(&conn)
            .and_then(|session| session.dump.take());
        if let Some(mut dump) = dump
            && self.continue_dump(conn, &mut dump, now, host)
            && let Some(session) = self.sessions.get_mut(&conn)
        {
            session.dump = Some(dump);
            return true;
        }
        while let Some(session) = self.sessions.get_mut(&conn) {
            if session.dump.is_some() || self.commit.is_some() {
                return true;
            }
            let Some(message) = session.backlog.pop_front() else {
                break;
            };
            self.dispatch(conn, message, now, host);
        }
        self.publish_removed(host);
        false
    }

    /// A frame came in by a port: it is run through the tables, and what comes of it goes to `host`.
    pub fn packet(&mut self, in_port: u32, packet: &mut Packet, now: Nanos, host: &mut dyn Host) {
        if self.commit.is_some() {
            return self.packet_meanwhile(in_port, packet, now, host);
        }
        let mut outlet = Outlet {
            connections: &self.connections,
            program_table: self.config.program_table,
            host,
        };
        self.pipeline.process(packet, in_port, now, &mut outlet);
        if self.pipeline.observers_due().is_some_and(|at| at <= now) {
            self.report_observers(now, host);
        }
    }

    /// A port was added, or an absent device is back.
    pub fn port_added(&mut self, port: Port, now: Nanos, host: &mut dyn Host) {
        self.update_port(port, now, host);
    }

    /// Something about a port changed. Equal descriptions are not announced.
    pub fn port_modified(&mut self, port: Port, now: Nanos, host: &mut dyn Host) {
        self.update_port(port, now, host);
    }

    fn update_port(&mut self, port: Port, now: Nanos, host: &mut dyn Host) {
        self.settle(now, host);
        let number = port.port_no;
        let old = self.ports.insert(port, now);
        let reason = if old.is_none() {
            PortReason::Add
        } else {
            PortReason::Modify
        };
        if let Some(entry) = self.ports.get(number) {
            let port = entry.port.clone();
            if old.as_ref() != Some(&port) {
                self.apply_port(number);
                self.outlet(host).port_status(reason, &port);
            }
        }
    }

    /// A port was removed.
    pub fn port_removed(&mut self, port_no: u32, now: Nanos, host: &mut dyn Host) {
        self.settle(now, host);
        if let Some(port) = self.ports.remove(port_no) {
            self.pipeline.remove_port(port_no);
            // Before it is said that the port is gone, as its flows are named by it.
            self.flush_observers(port_no, now, host);
            self.outlet(host).port_status(PortReason::Delete, &port);
        }
    }

    /// Tells the pipeline the state of a port.
    pub(crate) fn apply_port(&mut self, number: u32) {
        if let Some(entry) = self.ports.get(number) {
            let state = PortState {
                config: entry.port.config,
                live: entry.is_live(),
            };
            self.pipeline.set_port(number, state);
        }
    }

    /// The ports as controllers see them.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().map(|entry| &entry.port)
    }

    /// Evicts what has timed out. Call at or after [`Agent::next_deadline`]. While a bundle is being committed nothing ends.
    pub fn tick(&mut self, now: Nanos, host: &mut dyn Host) {
        if self.commit.is_some() {
            return;
        }
        self.report_observers(now, host);
        // At least once a second, as flows with timeouts may come from packets too (learn actions).
        let next = self.pipeline.expire(now).unwrap_or(now + EXPIRY_INTERVAL);
        self.next_expiry = Some(next.max(now + EXPIRY_PAUSE));
        self.tell_expired(now, host);
        self.expire_bundles(now, host);
        self.publish_removed(host);
    }

    /// Looks for flows that have timed out as soon as possible.
    pub(crate) fn expire_soon(&mut self, now: Nanos) {
        self.next_expiry = Some(now);
    }

    /// When [`Agent::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<Nanos> {
        let bundles = self
            .sessions
            .values()
            .filter_map(|session| session.bundles.next_deadline())
            .min();
        let observers = self.pipeline.observers_due();
        [self.next_expiry, bundles, observers]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets something forward cached flows by itself, or ends that.
    pub fn set_fast_path(&mut self, fast_path: Option<Box<dyn FastPath>>) {
        self.pipeline.set_fast_path(fast_path);
    }

    /// Forgets the cached flows that come in or go out by a port, as when its device is another one.
    pub fn forget_port_translations(&mut self, port_no: u32) {
        self.pipeline.forget_port_translations(port_no);
    }

    /// Forgets the cached flows of a port, as when the fast path has come to know it.
    pub fn forget_translations_from(&mut self, in_port: u32) {
        self.pipeline.forget_translations_from(in_port);
    }

    /// Cached flows, those used most first.
    pub fn cached_flows(&self, query: &CachedFlowQuery) -> Vec<CachedFlow> {
        self.pipeline.cached_flows(query)
    }

    /// The cache's counters.
    pub fn cache_stats(&self) -> CacheStats {
        self.pipeline.cache_stats()
    }

    /// Says whether packets come faster than they can be translated: see [`Pipeline::set_hurried`].
    pub fn set_hurried(&mut self, is_hurried: bool) {
        self.pipeline.set_hurried(is_hurried);
    }

    /// How many cached flows the fast path has not, by reason.
    pub fn refused_flows(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.pipeline.refused_flows()
    }

    /// Work of every second where there is a fast path: see [`Pipeline::sweep`].
    pub fn sweep(&mut self, now: Nanos) -> bool {
        self.pipeline.sweep(now)
    }

    /// See [`Pipeline::sweep_on`].
    pub fn sweep_on(&mut self) -> bool {
        self.pipeline.sweep_on()
    }

    /// Brings counters up to date with what cached flows have counted, in the fast path too.
    pub fn update_counters(&mut self, now: Nanos) {
        self.pipeline.update_counters(now);
    }

    /// Takes over what the fast path has sampled.
    pub fn take_samples(&mut self, now: Nanos, host: &mut dyn Host) {
        self.pipeline.take_observed(false, now);
        self.report_observers(now, host);
    }

    /// Where the choice of samples begins: something random.
    pub fn seed(&mut self, seed: u64) {
        self.pipeline.seed(seed);
    }

    /// Follows a frame through the tables without sending it.
    pub fn trace(&mut self, in_port: u32, frame: &[u8], now: Nanos) -> Trace {
        self.pipeline.trace(frame, in_port, now)
    }

    /// Dropped packets by reason.
    pub fn drops(&self) -> DropCounters {
        *self.pipeline.drops()
    }

    /// Dropped packets of a port by reason.
    pub fn port_drops(&self, port_no: u32) -> DropCounters {
        self.pipeline
            .ports()
            .port_drops(port_no)
            .copied()
            .unwrap_or_default()
    }

    /// The last frames received on a port that were dropped, by reason.
    pub fn last_dropped(&self, port_no: u32) -> impl Iterator<Item = (DropReason, &Dropped)> + '_ {
        self.pipeline.ports().last_dropped(port_no)
    }

    /// Number of flows in all tables.
    pub fn flow_count(&self) -> usize {
        self.pipeline.flow_count()
    }

    /// Role of a connection.
    pub fn role(&self, conn: ConnId) -> Option<Role> {
        self.connections.role(conn)
    }

    /// Number of tables that controllers have: those in which NORMAL learns by itself are out of their sight, as
    /// Open vSwitch's hidden table is. They are seen when asked for by number.
    pub(crate) fn n_tables(&self) -> u8 {
        if learns(&self.config) {
            standalone::LEARNING_TABLE
        } else {
            table_no::MAX
        }
    }

    /// On whose behalf a connection acts.
    pub(crate) fn owner(&self, conn: ConnId) -> Owner {
        match self
            .connections
            .get(conn)
            .map(|connection| connection.info.kind)
        {
            Some(ConnectionKind::Program) => Owner::Program,
            _ => Owner::User,
        }
    }

    pub(crate) fn outlet<'a>(&'a self, host: &'a mut dyn Host) -> Outlet<'a> {
        Outlet {
            connections: &self.connections,
            program_table: self.config.program_table,
            host,
        }
    }

    /// Sends the flow-removed messages that are due.
    pub(crate) fn publish_removed(&mut self, host: &mut dyn Host) {
        let removed = self.pipeline.take_removed();
        if removed.is_empty() {
            return;
        }
        let mut outlet = self.outlet(host);
        for flow in removed {
            outlet.flow_removed(flow);
        }
    }

    fn expire_bundles(&mut self, now: Nanos, host: &mut dyn Host) {
        for (&conn, session) in &mut self.sessions {
            for (id, flags) in session.bundles.expire(now) {
                host.send(conn, crate::modify::bundle_timeout(id, flags));
            }
        }
    }
}
