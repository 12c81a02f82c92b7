//! The fast path within the switch: ports known to the kernel, frames it does not know what to do with, counters.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_fastpath::{BridgePath, Hooking, Kernel, PUNT_ROOM, Target};
use weft_netdev::{Counters, LinkInfo, PuntDevice, RING_SLOTS, Rtnl, priority_of};

use super::Switch;
use super::bridge::Bridge;
use super::linking::{self, Linked, Task};
use super::port::Attached;
use super::promiscuity::Promiscuity;
use super::punting::Punting;

// Every frame under way has a slot.
const _: () = assert!(PUNT_ROOM as usize <= RING_SLOTS);

/// When frames that are under way are taken for lost, as the kernel's queues on that way may overflow: nothing would wake us,
/// and ports that have all they may under way send no more.
pub(super) const LOST: Duration = Duration::from_millis(5);
/// How long samples wait for company: waking for each of them would cost the traffic more than taking it. The kernel has room
/// for 200,000 of them a second.
const SAMPLES_WAIT: Duration = Duration::from_millis(10);
/// How often counters are read and masks put in order.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between the stretches in which idle flows are forgotten.
const SWEEP_PAUSE: Duration = Duration::from_millis(4);
/// How long the bridge program's controller has to be silent before its tables count as complete again.
const QUIET: u64 = 300_000_000;
/// When a bridge without such a controller has its ports back.
const STANDALONE: u64 = 1_000_000_000;
/// After how long what nobody has claimed is removed.
const ORPHANED: Duration = Duration::from_secs(30);

/// What all bridges share.
pub struct Fast {
    /// The kernel's part.
    pub path: FastPath,
    /// Where frames come from that it leaves to us.
    pub punt: PuntDevice,
    /// Tells once that the kernel has sampled a packet, and no more until all are taken.
    pub samples: OwnedFd,
    /// When what it has sampled is taken.
    samples_at: Option<Instant>,
    /// Devices that have got the program.
    linked: Receiver<Linked>,
    next_tick: Instant,
    /// When it is gone on with forgetting idle flows, if there are more.
    sweep_on_at: Option<Instant>,
    /// When orphans are looked for.
    orphans_at: Option<Instant>,
    /// How the frames are taken that it leaves to us.
    pub(super) punting: Punting,
}

/// A handle on the kernel's part.
#[derive(Clone)]
pub struct FastPath {
    kernel: Arc<Mutex<Kernel>>,
    tasks: Sender<Task>,
    promiscuity: Promiscuity,
}

impl FastPath {
    pub(super) fn kernel(&self) -> MutexGuard<'_, Kernel> {
        // Every call leaves it whole, also one that failed.
        self.kernel
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }

    /// What a bridge's pipeline hands its flows to.
    pub fn of_bridge(&self, id: u32) -> Box<dyn weft_pipeline::FastPath> {
        Box::new(BridgePath::new(self.kernel.clone(), id))
    }

    /// Goes on with a device that a process before us had in the kernel; whether there was one.
    pub fn adopt(&self, device: &LinkInfo, is_internal: bool, rtnl: &mut Rtnl) -> bool {
        let ifindex = device.ifindex;
        let mut kernel = self.kernel();
        let Some(link) = kernel.adopt_link(ifindex, &device.name, is_internal) else {
            return false;
        };
        let hooked = kernel.hook(ifindex, link, is_internal).is_ok();
        if hooked {
            self.promiscuity.hold(rtnl, device);
        }
        hooked
    }

    /// Asks for the program on a device: see [`Switch::take_links`].
    pub fn ask_for(&self, ifindex: u32, name: &str, is_internal: bool) {
        self.order(Task::Link {
            ifindex,
            name: name.to_owned(),
            is_internal,
        });
    }

    fn order(&self, task: Task) {
        if self.tasks.send(task).is_err() {
            tracing::error!("the fast path's thread has ended");
        }
    }

    /// Takes the program off a device. What it counted is added to the port's counters.
    pub fn detach(&self, ifindex: u32, counters: &mut Counters, rtnl: &mut Rtnl) {
        let mut kernel = self.kernel();
        kernel.unhook(ifindex);
        self.promiscuity.release(rtnl, ifindex);
        add(kernel.take_port_counts(ifindex), counters);
    }

    /// Adds what passed a device in the kernel.
    pub fn add_counts(&self, ifindex: u32, counters: &mut Counters) {
        add(self.kernel().port_counts(ifindex), counters);
    }

    /// See [`Kernel::set_target`].
    pub fn set_target(&self, bridge: u32, ofport: u32, target: Option<Target>) -> bool {
        self.kernel().set_target(bridge, ofport, target)
    }
}

fn add(more: weft_fastpath::PortCounts, counters: &mut Counters) {
    counters.rx_packets += more.rx_packets;
    counters.rx_bytes += more.rx_bytes;
    counters.tx_packets += more.tx_packets;
    counters.tx_bytes += more.tx_bytes;
    counters.rx_dropped += more.rx_dropped;
}

impl Fast {
    /// Loads the fast path.
    ///
    /// # Errors
    /// Why that is not possible; the log has it, and that user space forwards.
    pub fn start(
        rtnl: &mut Rtnl,
        rundir: &Path,
        wake: Arc<OwnedFd>,
        hooking: Option<Hooking>,
    ) -> Result<Fast, String> {
        type Failure = Box<dyn std::error::Error>;
        let start = |rtnl: &mut Rtnl| -> Result<Fast, Failure> {
            let name = name_of(rundir);
            let punt = PuntDevice::open(rtnl, &name)?;
            let loaded = Kernel::load(punt.ifindex(), Some(&name)).map_err(Failure::from);
            let started = loaded.and_then(|(mut kernel, mut linker)| {
                kernel.set_hooking(linker.probe(punt.name(), hooking)?);
                kernel.set_queues(priority_of);
                let samples = kernel.samples()?;
                let (tasks, linked) = linking::start(linker, wake)?;
                Ok((kernel, samples, tasks, linked))
            });
            match started {
                Ok((kernel, samples, tasks, linked)) => Ok(Fast {
                    path: FastPath {
                        kernel: Arc::new(Mutex::new(kernel)),
                        tasks,
                        promiscuity: Promiscuity::of(&name),
                    },
                    punt,
                    samples,
                    samples_at: None,
                    linked,
                    next_tick: Instant::now() + INTERVAL,
                    sweep_on_at: None,
                    orphans_at: Some(Instant::now() + ORPHANED),
                    punting: Punting::default(),
                }),
                Err(error) => {
                    let _ = punt.remove(rtnl);
                    Promiscuity::of(&name).release_all(rtnl, |_| false);
                    Err(error)
                }
            }
        };
        match start(rtnl) {
            Ok(fast) => {
                let hooking = fast.path.kernel().hooking().name();
                tracing::info!(hooking, "known flows are forwarded in the kernel (eBPF)");
                Ok(fast)
            }
            Err(error) => {
                tracing::warn!(%error, "no fast path: all flows are forwarded in user space");
                Err(error.to_string())
            }
        }
    }

    /// The kernel has sampled a packet.
    pub fn sampled(&mut self) {
        self.samples_at
            .get_or_insert_with(|| Instant::now() + SAMPLES_WAIT);
    }

    /// Until its next work.
    pub fn due_in(&self) -> Duration {
        let others = [self.samples_at, self.sweep_on_at].into_iter().flatten();
        let due = others.fold(self.next_tick, Instant::min);
        let due = due.saturating_duration_since(Instant::now());
        let due = due.min(self.punting.opens_in().unwrap_or(due));
        let kernel = self.path.kernel();
        if kernel.has_punts() {
            return due.min(LOST);
        }
        if kernel.has_adopted() {
            return due.min(INTERVAL / 10);
        }
        due
    }

    /// Ends it; if `keep`, the kernel goes on with the flows it has.
    pub fn stop(self, rtnl: &mut Rtnl, keep: bool) {
        if !keep {
            self.path.promiscuity.release_all(rtnl, |_| false);
        }
        self.path.kernel().stop(keep);
        if !keep && let Err(error) = self.punt.remove(rtnl) {
            tracing::warn!(%error, "the punt device stays");
        }
    }
}

/// What a run directory's fast path is called, in every life of the process: the punt device and the folder of pins.
fn name_of(rundir: &Path) -> String {
    let rundir = rundir.canonicalize().unwrap_or_else(|_| rundir.to_owned());
    let mut hasher = DefaultHasher::new();
    rundir.hash(&mut hasher);
    format!("weftp{:08x}", hasher.finish() as u32)
}

/// `--flush`: removes the fast path that a process has left in the kernel; whether there was one.
pub fn flush(rundir: &Path) -> std::io::Result<bool> {
    let name = name_of(rundir);
    let mut rtnl = Rtnl::new()?;
    Promiscuity::of(&name).release_all(&mut rtnl, |_| false);
    let pins = Kernel::flush(&name)?;
    let device = PuntDevice::remove_left(&mut rtnl, &name)?;
    Ok(pins || device)
}

/// Without the fast path: what a process before us has left in the kernel must not go on by itself.
pub fn leave(rundir: &Path) {
    match flush(rundir) {
        Ok(true) => tracing::info!("the fast path of the process before us is removed"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "a fast path of the process before us may go on"),
    }
}

/// Flows of an earlier life that a bridge has to vouch for or give up.
#[derive(Debug, Default)]
pub struct Adoption {
    pending: bool,
    settle_at: Option<u64>,
}

impl Adoption {
    /// Whether the bridge's tables are not yet what they should be.
    pub fn is_pending(&self) -> bool {
        self.pending
    }
}

impl Switch {
    /// A bridge is there again.
    pub(super) fn begin_adoption(&self, bridge: &mut Bridge, now: u64) {
        let adopted = self
            .fast
            .as_ref()
            .is_some_and(|fast| fast.path.kernel().has_adopted());
        bridge.io.adoption = Adoption {
            pending: adopted,
            // A program's controller has to fill the tables first.
            settle_at: bridge
                .spec
                .program_table
                .is_none()
                .then_some(now + STANDALONE),
        };
    }

    /// Somebody is about to change the tables of a bridge. What users are told to be so has to be so; the program's
    /// controller changes much, and its traffic should not notice, so its last change counts.
    pub(super) fn before_change(&mut self, index: usize, by_program: bool, now: u64) {
        let Some(bridge) = &mut self.bridges[index] else {
            return;
        };
        if !bridge.io.adoption.pending {
            return;
        }
        if by_program {
            bridge.io.adoption.settle_at = Some(now + QUIET);
        } else {
            self.settle(index);
        }
    }

    /// Gives up the flows of an earlier life that came in by a bridge's ports.
    pub(super) fn settle(&mut self, index: usize) {
        let (Some(fast), Some(bridge)) = (&self.fast, &mut self.bridges[index]) else {
            return;
        };
        if !std::mem::take(&mut bridge.io.adoption.pending) {
            return;
        }
        let devices = bridge
            .io
            .ports()
            .filter_map(|(_, port)| Some(port.attached.as_ref()?.link.ifindex));
        let devices: Vec<u32> = devices.collect();
        let (flows, _) = fast.path.kernel().settle(Some(&devices));
        if flows > 0 {
            tracing::info!(
                bridge = bridge.spec.name,
                flows,
                "flows of an earlier life are given up"
            );
        }
    }

    fn settle_due(&mut self, now: u64) {
        for index in 0..self.bridges.len() {
            let due = self.bridges[index].as_ref().is_some_and(|bridge| {
                let adoption = &bridge.io.adoption;
                adoption.pending && adoption.settle_at.is_some_and(|at| at <= now)
            });
            if due {
                self.settle(index);
            }
        }
        let pending = self
            .bridges
            .iter()
            .flatten()
            .any(|bridge| bridge.io.adoption.pending);
        if let Some(fast) = &mut self.fast
            && !pending
            && fast.orphans_at.is_some_and(|at| at <= Instant::now())
        {
            fast.orphans_at = None;
            let mut kernel = fast.path.kernel();
            let (flows, devices) = kernel.settle(None);
            let promiscuity = &fast.path.promiscuity;
            promiscuity.release_all(&mut self.rtnl, |ifindex| kernel.is_hooked(ifindex));
            if flows + devices > 0 {
                tracing::warn!(
                    flows,
                    devices,
                    "orphans of an earlier life are removed from the kernel"
                );
            }
        }
    }

    /// Devices that have got the program become the kernel's: what it does not know comes by the punt device from here on.
    pub(super) fn take_links(&mut self) {
        let Some(fast) = &self.fast else {
            return;
        };
        while let Ok(Linked {
            ifindex,
            is_internal,
            result,
        }) = fast.linked.try_recv()
        {
            let place = self.devices.get(&ifindex).copied();
            let bridge = place.and_then(|(index, _)| self.bridges.get_mut(index)?.as_mut());
            let port = bridge.and_then(|bridge| {
                let port = bridge.io.port(place?.1)?;
                let attached = port.attached.as_mut()?;
                let here = attached.link.ifindex == ifindex;
                here.then_some((&mut bridge.agent, port.ofport, attached))
            });
            let mut kernel = fast.path.kernel();
            let (
                link,
                (
                    agent,
                    ofport,
                    Attached {
                        device,
                        link: about,
                        ..
                    },
                ),
            ) = match (result, port) {
                (Ok(link), Some(port)) if kernel.has_room() => (link, port),
                (Ok(link), _) => {
                    // The port has gone meanwhile, or there are too many.
                    kernel.drop_link(ifindex, Some(link));
                    continue;
                }
                (Err(error), _) => {
                    tracing::warn!(ifindex, %error, "no fast path for the port");
                    continue;
                }
            };
            // Until this instant by the socket, from here on by the program: both look into the map of ports.
            let hooked = match device.filter(kernel.gate()) {
                Ok(()) => kernel.hook(ifindex, link, is_internal),
                Err(error) => {
                    tracing::error!(ifindex, %error, "no fast path for the port");
                    kernel.drop_link(ifindex, Some(link));
                    continue;
                }
            };
            if let Err(error) = hooked {
                tracing::error!(ifindex, %error, "no fast path for the port");
                continue;
            }
            fast.path.promiscuity.hold(&mut self.rtnl, about);
            match device.stop_receiving(ifindex) {
                Ok(stopped) => stopped
                    .into_iter()
                    .for_each(|stopped| fast.path.order(Task::End(stopped))),
                Err(error) => {
                    tracing::error!(ifindex, %error, "a socket stays in the way of its device")
                }
            }
            drop(kernel);
            // Its flows can be the kernel's now.
            agent.forget_translations_from(ofport);
        }
    }

    /// `fastpath.show`, with all bridges or one of them.
    pub(super) fn show_fast_path(&mut self, only: Option<&str>) -> Value {
        let now = self.now();
        let is_wanted = |bridge: &Bridge| only.is_none_or(|name| name == bridge.spec.name);
        let bridges = self.bridges.iter_mut().flatten();
        for bridge in bridges.filter(|bridge| is_wanted(bridge)) {
            bridge.agent.update_counters(now);
        }
        let lost = self.fast.as_mut().map(|fast| fast.punt.lost());
        let kernel = self.fast.as_ref().map(|fast| fast.path.kernel());
        let bridges = self.bridges.iter().flatten();
        let bridges = bridges.filter(|bridge| is_wanted(bridge)).map(|bridge| {
            let stats = bridge.agent.cache_stats();
            let refused: BTreeMap<_, _> = bridge.agent.refused_flows().collect();
            let punts = bridge.io.ports().filter_map(|(_, port)| {
                let punts = kernel
                    .as_ref()?
                    .punts(port.attached.as_ref()?.link.ifindex)?;
                Some(json!({
                    "port": port.spec.name,
                    "ofport": port.ofport,
                    "sent": punts.sent,
                    "dropped": punts.dropped,
                    "waiting": punts.waiting,
                }))
            });
            json!({
                "name": bridge.spec.name,
                "flows": stats.entries,
                "kernelFlows": stats.fast_entries,
                "masks": stats.masks,
                "hits": stats.hits,
                "kernelHits": stats.fast_hits,
                "misses": stats.misses,
                "evictions": stats.overflows,
                "turnedAway": stats.turned_away,
                "refused": refused,
                "punts": punts.collect::<Vec<_>>(),
            })
        });
        let bridges: Vec<Value> = bridges.collect();
        let Some(kernel) = &kernel else {
            return json!({ "active": false, "whyNot": self.why_slow, "bridges": bridges });
        };
        let (flows, masks) = kernel.size();
        json!({
            "active": true,
            "hooking": kernel.hooking().name(),
            "whyNot": Value::Null,
            "flows": flows,
            "masks": masks,
            "limits": { "flows": kernel.limits().0, "masks": kernel.limits().1 },
            "ports": kernel.n_ports(),
            "statistics": kernel.statistics(),
            "refused": kernel.refused(),
            "puntsLost": lost,
            "puntShare": self.fast.as_ref().map(|fast| fast.punting.share()),
            "puntsRefused": self.fast.as_ref().map(|fast| fast.punting.refused(kernel.punts_dropped())),
            "bridges": bridges,
        })
    }

    /// Takes what the kernel has sampled to the observers.
    fn take_samples(&mut self, now: u64) {
        for bridge in self.bridges.iter_mut().flatten() {
            bridge.agent.take_samples(now, &mut bridge.io);
        }
    }

    /// Reads counters, so that nothing that is in use times out, forgets what is idle, and lets the kernel put its masks in order.
    pub(super) fn tick_fast(&mut self, now: u64) {
        self.settle_due(now);
        self.review_punting(now);
        let sampled = self.fast.as_mut().is_some_and(|fast| {
            let at = fast.samples_at.take_if(|at| *at <= Instant::now());
            at.is_some()
        });
        if sampled {
            self.take_samples(now);
        }
        let Some(fast) = &mut self.fast else {
            return;
        };
        if sampled && fast.path.kernel().has_samples() {
            fast.sampled();
        }
        if fast.sweep_on_at.is_some_and(|at| at <= Instant::now()) {
            let mut more = false;
            for bridge in self.bridges.iter_mut().flatten() {
                more |= bridge.agent.sweep_on();
            }
            fast.sweep_on_at = more.then(|| Instant::now() + SWEEP_PAUSE);
        }
        if fast.next_tick > Instant::now() {
            return;
        }
        fast.next_tick = Instant::now() + INTERVAL;
        let mut more = false;
        for bridge in self.bridges.iter_mut().flatten() {
            more |= bridge.agent.sweep(now);
        }
        fast.sweep_on_at = more.then(|| Instant::now() + SWEEP_PAUSE);
        let stats = self.bridges.iter().flatten();
        let forwarded = stats.map(|bridge| bridge.agent.cache_stats().fast_hits);
        fast.punting.tell_forwarded(forwarded.sum(), now);
        fast.path.kernel().tick();
    }
}
