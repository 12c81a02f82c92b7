//! The switch thread: packets, tables, all state.
//!
//! One loop over one epoll set: packet sockets and taps, notifications of the kernel, and the queue of commands from
//! the control thread. Nothing here ever waits for anything else. A round takes a batch from each port that has
//! frames, then sends what is to leave, then carries out commands, a bounded number of them, so that neither traffic
//! nor a controller that programs a million flows can starve the other.

mod bridge;
mod direct;
mod fast;
mod linking;
mod links;
mod policer;
mod port;
mod priority;
mod promiscuity;
mod punting;
mod requests;
mod restore;
mod share;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::time::{ClockId, clock_gettime};
use weft_agent::{ConnId, ConnectionInfo, ConnectionKind};
use weft_fastpath::Hooking;
use weft_netdev::{LinkMonitor, Rtnl, RxBatch, wait_until_closed};
use weft_openflow::{Body, Message, MultipartRequestBody};

use self::bridge::Bridge;
use self::fast::Fast;
pub use self::fast::flush;
use crate::cli::FastPathMode;
use crate::command::{Command, CommandQueue};
use crate::outbox::Outbox;
use crate::survival;
use crate::wire::{Incoming, Outgoing};

/// Token of the command queue.
const QUEUE: u64 = 0;
/// Token of the kernel's notifications.
const LINKS: u64 = 1;
/// Token of the punt device.
const PUNT: u64 = 2;
/// Token of the fast path's samples.
const SAMPLES: u64 = 3;
/// Tokens of ports: bridge and slot, from here on.
const PORTS: u64 = 1 << 16;
/// Tokens of connections have this bit, and their number.
const CONNECTIONS: u64 = 1 << 63;
/// Events taken from epoll at once.
const EVENTS: usize = 256;
/// Time given to commands in one round.
const COMMAND_BUDGET: Duration = Duration::from_millis(1);
/// Longest wait for the sockets of ports to be closed, at the end.
const CLOSING: Duration = Duration::from_secs(10);
/// The least of it: while frames keep coming, commands get twice the time that those of the round have taken.
const LEAST_BUDGET: Duration = Duration::from_micros(100);
/// Pause between tries for a device of ours that could not be made.
const RETRY: Duration = Duration::from_secs(1);

/// The switch.
pub struct Switch {
    queue: CommandQueue,
    epoll: OwnedFd,
    rtnl: Rtnl,
    monitor: LinkMonitor,
    /// Bridges; the place of one never changes.
    bridges: Vec<Option<Bridge>>,
    /// Bridge and slot of each port, by name: the kernel speaks of every device there is.
    names: HashMap<String, (usize, usize)>,
    /// The same of the devices that are open, by interface index.
    devices: HashMap<u32, (usize, usize)>,
    /// Which bridge a connection belongs to.
    conns: HashMap<ConnId, usize>,
    /// Connections that this thread reads itself.
    direct: HashMap<ConnId, Arc<Outbox<Outgoing>>>,
    /// Connections that a long reply is being made for.
    replying: Vec<ConnId>,
    /// Messages for which the last round had no time left.
    backlog: Option<(ConnId, std::vec::IntoIter<Incoming>)>,
    batch: RxBatch,
    /// What forwards known flows in the kernel.
    fast: Option<Fast>,
    /// Why there is nothing that does.
    why_slow: Option<String>,
    /// Number of the latest bridge.
    next_bridge: u32,
    /// Where users' flows are kept for a next life.
    rundir: PathBuf,
    retry_at: Option<Instant>,
    stopping: bool,
    keep_interfaces: bool,
}

impl Switch {
    /// A switch without bridges.
    pub fn new(
        queue: CommandQueue,
        rundir: PathBuf,
        fast_path: FastPathMode,
    ) -> io::Result<Switch> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let monitor = LinkMonitor::new()?;
        epoll::add(
            &epoll,
            &queue,
            epoll::EventData::new_u64(QUEUE),
            epoll::EventFlags::IN,
        )?;
        epoll::add(
            &epoll,
            &monitor,
            epoll::EventData::new_u64(LINKS),
            epoll::EventFlags::IN,
        )?;
        let mut rtnl = Rtnl::new()?;
        let hooking = match fast_path {
            FastPathMode::Clsact => Some(Hooking::Clsact),
            FastPathMode::Auto | FastPathMode::Off => None,
        };
        let started = if fast_path == FastPathMode::Off {
            fast::leave(&rundir);
            Err("not asked for (--fastpath=auto)".to_owned())
        } else {
            Fast::start(&mut rtnl, &rundir, queue.waker(), hooking)
        };
        let (fast, why_slow) = match started {
            Ok(fast) => (Some(fast), None),
            Err(why) => (None, Some(why)),
        };
        if let Some(fast) = &fast {
            epoll::add(
                &epoll,
                &fast.punt,
                epoll::EventData::new_u64(PUNT),
                epoll::EventFlags::IN,
            )?;
            epoll::add(
                &epoll,
                &fast.samples,
                epoll::EventData::new_u64(SAMPLES),
                epoll::EventFlags::IN | epoll::EventFlags::ET,
            )?;
        }
        Ok(Switch {
            queue,
            epoll,
            rtnl,
            monitor,
            bridges: Vec::new(),
            names: HashMap::new(),
            devices: HashMap::new(),
            conns: HashMap::new(),
            direct: HashMap::new(),
            replying: Vec::new(),
            backlog: None,
            batch: RxBatch::default(),
            fast,
            why_slow,
            next_bridge: 0,
            rundir,
            retry_at: None,
            stopping: false,
            keep_interfaces: false,
        })
    }

    /// Why the kernel does not forward what it can; `None`: it does.
    pub fn why_slow(&self) -> Option<&str> {
        self.why_slow.as_deref()
    }

    /// Works until told to stop, or until the control thread is gone; then gives all devices back.
    pub fn run(mut self) -> io::Result<()> {
        priority::raise();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        let mut requests = Vec::new();
        let result = loop {
            if self.stopping {
                break Ok(());
            }
            events.clear();
            let timeout = self.timeout();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => break Err(error.into()),
            }
            let now = self.now();
            let began = Instant::now();
            let (mut commands, mut links, mut frames) = (false, false, false);
            for event in &events {
                match event.data.u64() {
                    QUEUE => commands = true,
                    LINKS => links = true,
                    PUNT => {
                        frames = true;
                        self.receive_punted(now);
                    }
                    token if token & CONNECTIONS != 0 => requests.push(ConnId(token ^ CONNECTIONS)),
                    SAMPLES => {
                        if let Some(fast) = &mut self.fast {
                            fast.sampled();
                        }
                    }
                    token => {
                        frames = true;
                        self.receive(token - PORTS, now);
                    }
                }
            }
            self.flush();
            let budget = if frames {
                (began.elapsed() * 2).clamp(LEAST_BUDGET, COMMAND_BUDGET)
            } else {
                COMMAND_BUDGET
            };
            if links {
                self.drain_links();
            }
            let end = Instant::now() + budget;
            if commands {
                self.take_links();
                self.take_commands(end);
            }
            for conn in requests.drain(..) {
                // Those for which no time is left stay readable.
                if Instant::now() < end {
                    self.read_requests(conn);
                }
            }
            self.resume_replies();
            self.tick();
            self.flush();
            self.keep_logs();
        };
        self.close();
        result
    }

    /// Nanoseconds of a clock that the next process will share: see `survival`.
    fn now(&self) -> u64 {
        let now = clock_gettime(ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }

    /// Until something is due without any event.
    fn timeout(&self) -> Option<Timespec> {
        if self.can_reply() || self.rewriting() {
            return Some(Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            });
        }
        let now = self.now();
        let deadlines = self
            .bridges
            .iter()
            .flatten()
            .filter_map(|bridge| bridge.agent.next_deadline());
        let next = deadlines
            .min()
            .map(|at| Duration::from_nanos(at.saturating_sub(now)));
        let retry = self
            .retry_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        let fast = self.fast.as_ref().map(Fast::due_in);
        let wait = next.into_iter().chain(retry).chain(fast).min()?;
        Some(Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: i64::from(wait.subsec_nanos()) as _,
        })
    }

    /// Takes a batch from a port through the pipeline.
    fn receive(&mut self, token: u64, now: u64) {
        let (index, slot) = ((token >> 32) as usize, (token & 0xffff_ffff) as usize);
        let Some(bridge) = self.bridges.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let Some(port) = bridge.io.port(slot) else {
            return;
        };
        let ofport = port.ofport;
        let Some(attached) = port.attached.as_mut() else {
            return;
        };
        match attached.device.receive(&mut self.batch) {
            Ok(_) => {
                let mut policer = port.policer.take();
                bridge.io.in_port = ofport;
                for packet in self.batch.packets() {
                    if let Some(policer) = &mut policer
                        && !policer.admits(packet.len(), now)
                    {
                        continue;
                    }
                    bridge.agent.packet(ofport, packet, now, &mut bridge.io);
                }
                if policer.is_some()
                    && let Some(port) = bridge.io.port(slot)
                {
                    port.policer = policer;
                }
            }
            // Set down: it works again when it is up.
            Err(error) if error.kind() == io::ErrorKind::NetworkDown => {}
            Err(error) => {
                // The kernel is about to say that the device left; until then epoll must not go on about it.
                tracing::debug!(bridge = bridge.spec.name, port = ofport, %error, "device does not receive");
                let _ = epoll::delete(&self.epoll, &attached.device);
            }
        }
    }

    fn flush(&mut self) {
        for bridge in self.bridges.iter_mut().flatten() {
            bridge.io.flush();
        }
    }

    /// Carries out commands until `end`; if more wait, the queue's descriptor stays readable.
    fn take_commands(&mut self, end: Instant) {
        self.queue.acknowledge();
        loop {
            if !self.work_off(end) {
                self.queue.again();
                return;
            }
            match self.queue.take() {
                Ok(Some(command)) => self.carry_out(command),
                Ok(None) => return,
                Err(_) => {
                    tracing::error!("the control thread has ended");
                    self.stopping = true;
                    return;
                }
            }
            if self.stopping {
                return;
            }
            if Instant::now() >= end {
                self.queue.again();
                return;
            }
        }
    }

    /// Handles the messages that wait, until `end`; whether all are.
    fn work_off(&mut self, end: Instant) -> bool {
        while let Some((conn, message)) = self.next_message() {
            self.handle(conn, message);
            if Instant::now() >= end {
                break;
            }
        }
        self.backlog.is_none()
    }

    fn next_message(&mut self) -> Option<(ConnId, Incoming)> {
        let (conn, messages) = self.backlog.as_mut()?;
        let next = messages.next().map(|message| (*conn, message));
        if messages.len() == 0 {
            self.backlog = None;
        }
        next
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Opened {
                bridge,
                conn,
                info,
                outbox,
            } => self.open(&bridge, conn, info, outbox),
            Command::Messages { conn, messages } => {
                self.backlog = Some((conn, messages.into_iter()));
            }
            Command::Read(conn) => self.read_directly(conn),
            // Being awake is all it takes: see `resume_replies`.
            Command::Resume => {}
            Command::Closed(conn) => {
                self.stop_reading(conn);
                let now = self.now();
                if let Some(bridge) = self.bridge_of(conn) {
                    bridge.io.outboxes.remove(&conn);
                    bridge.io.program_conns.remove(&conn);
                    bridge.agent.connection_closed(conn, now, &mut bridge.io);
                }
                self.after_agent(conn);
                self.conns.remove(&conn);
            }
            Command::Unreachable {
                bridge,
                unreachable,
            } => {
                let now = self.now();
                if let Some(bridge) = self.find_bridge(&bridge) {
                    bridge
                        .agent
                        .controllers_unreachable(unreachable, now, &mut bridge.io);
                }
            }
            Command::Request(request, reply) => {
                let answer = self.answer(request);
                // Whoever asked may have left.
                let _ = reply.send(answer);
            }
            Command::Shutdown { keep_interfaces } => {
                self.keep_interfaces = keep_interfaces;
                self.stopping = true;
            }
        }
    }

    fn open(
        &mut self,
        bridge: &str,
        conn: ConnId,
        info: ConnectionInfo,
        outbox: Arc<Outbox<Outgoing>>,
    ) {
        let now = self.now();
        let Some(index) = self.bridge_index(bridge) else {
            outbox.close();
            return;
        };
        self.conns.insert(conn, index);
        if let Some(bridge) = &mut self.bridges[index] {
            bridge.io.outboxes.insert(conn, outbox);
            if info.kind == ConnectionKind::Program {
                bridge.io.program_conns.insert(conn);
            }
            bridge
                .agent
                .connection_opened(conn, info, now, &mut bridge.io);
        }
    }

    /// One message of a connection, whole: what it asks for is done when this returns, so a barrier that follows may be
    /// answered at once (OF 1.3.5 §7.3.7).
    fn handle(&mut self, conn: ConnId, message: Incoming) {
        let now = self.now();
        if message.as_ref().is_ok_and(is_change)
            && let Some(&index) = self.conns.get(&conn)
        {
            let by_program = self.bridges[index]
                .as_ref()
                .is_some_and(|bridge| bridge.io.program_conns.contains(&conn));
            self.before_change(index, by_program, now);
        }
        let Some(bridge) = self.bridge_of(conn) else {
            return;
        };
        if !bridge.io.outboxes.contains_key(&conn) {
            // Being closed: what it sent afterwards is void.
            return;
        }
        bridge.io.in_port = 0;
        if bridge.io.fast.is_some() && message.as_ref().is_ok_and(asks_for_port_counters) {
            bridge.agent.update_counters(now);
        }
        match message {
            Ok(message) => bridge.agent.handle(conn, message, now, &mut bridge.io),
            Err(error) => {
                tracing::debug!(bridge = bridge.spec.name, conn = conn.0, xid = error.xid, %error, "request refused");
                bridge
                    .agent
                    .handle_decode_error(conn, &error, &mut bridge.io);
            }
        }
        if bridge.agent.is_busy(conn) {
            if let Some(outbox) = bridge.io.outboxes.get(&conn) {
                outbox.set_busy(true);
            }
            if !self.replying.contains(&conn) {
                self.replying.push(conn);
            }
        }
        self.after_agent(conn);
    }

    /// Makes one part of each long reply whose reader has kept up, and of each bundle that is being committed, so that
    /// frames need not wait for all of it.
    fn resume_replies(&mut self) {
        for conn in std::mem::take(&mut self.replying) {
            let now = self.now();
            let Some(bridge) = self.bridge_of(conn) else {
                continue;
            };
            let Some(outbox) = bridge.io.outboxes.get(&conn).cloned() else {
                continue;
            };
            if outbox.has_room() || bridge.agent.is_committing() {
                bridge.agent.resume(conn, now, &mut bridge.io);
            }
            if bridge.agent.is_busy(conn) {
                self.replying.push(conn);
            } else {
                outbox.set_busy(false);
            }
            self.after_agent(conn);
        }
    }

    /// Whether some long reply or commit can go on right now.
    fn can_reply(&self) -> bool {
        self.replying.iter().any(|conn| {
            let bridge = self
                .conns
                .get(conn)
                .and_then(|index| self.bridges[*index].as_ref());
            let Some(bridge) = bridge else {
                return true;
            };
            let outbox = bridge.io.outboxes.get(conn);
            bridge.agent.is_committing() || outbox.is_none_or(|outbox| outbox.has_room())
        })
    }

    /// What the agent asked for beside messages and frames.
    fn after_agent(&mut self, conn: ConnId) {
        let now = self.now();
        let Some(&index) = self.conns.get(&conn) else {
            return;
        };
        let Some(bridge) = &mut self.bridges[index] else {
            return;
        };
        for closed in std::mem::take(&mut bridge.io.disconnects) {
            bridge.agent.connection_closed(closed, now, &mut bridge.io);
        }
        if bridge.io.admin_changes.is_empty() {
            return;
        }
        for (ofport, up) in std::mem::take(&mut bridge.io.admin_changes) {
            let Some(port) = bridge.io.slot(ofport).and_then(|slot| bridge.io.port(slot)) else {
                continue;
            };
            let Some(attached) = &port.attached else {
                continue;
            };
            if let Err(error) = self.rtnl.set_admin_up(attached.link.ifindex, up) {
                tracing::warn!(bridge = bridge.spec.name, port = port.spec.name, up, %error, "admin state not changed");
            }
        }
        self.drain_links();
    }

    /// Time-outs of flows and the like, and devices to try again.
    fn tick(&mut self) {
        let now = self.now();
        for bridge in self.bridges.iter_mut().flatten() {
            if bridge.agent.next_deadline().is_some_and(|at| at <= now) {
                bridge.agent.tick(now, &mut bridge.io);
            }
        }
        self.tick_fast(now);
        if self.retry_at.is_some_and(|at| at <= Instant::now()) {
            self.retry_own_devices();
        }
    }

    fn bridge_index(&self, name: &str) -> Option<usize> {
        self.bridges.iter().position(|bridge| {
            bridge
                .as_ref()
                .is_some_and(|bridge| bridge.spec.name == name)
        })
    }

    fn find_bridge(&mut self, name: &str) -> Option<&mut Bridge> {
        let index = self.bridge_index(name)?;
        self.bridges[index].as_mut()
    }

    fn bridge_of(&mut self, conn: ConnId) -> Option<&mut Bridge> {
        let index = *self.conns.get(&conn)?;
        self.bridges[index].as_mut()
    }

    /// Gives all devices back.
    fn close(&mut self) {
        for index in 0..self.bridges.len() {
            self.drop_bridge(index, self.keep_interfaces);
        }
        if let Some(fast) = self.fast.take() {
            fast.stop(&mut self.rtnl, self.keep_interfaces);
        }
        if !self.keep_interfaces {
            // Also those of bridges that nobody has asked for again.
            survival::remove_all(&self.rundir);
        }
        wait_until_closed(CLOSING);
    }
}

/// Whether a message may change what is done with packets.
fn is_change(message: &Message) -> bool {
    matches!(
        message.body,
        Body::FlowMod(_)
            | Body::GroupMod(_)
            | Body::MeterMod(_)
            | Body::PortMod(_)
            | Body::TableMod(_)
            | Body::SetConfig(_)
            | Body::BundleControl(_)
            | Body::Weft(_)
    )
}

/// Other counters are brought up to date where they are asked for.
fn asks_for_port_counters(message: &Message) -> bool {
    let Body::MultipartRequest(request) = &message.body else {
        return false;
    };
    matches!(request.body, MultipartRequestBody::PortStats(_))
}

/// The epoll token of a port.
fn token(bridge: usize, slot: usize) -> epoll::EventData {
    epoll::EventData::new_u64(PORTS + ((bridge as u64) << 32 | slot as u64))
}
