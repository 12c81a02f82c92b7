//! Frames that the kernel leaves to us: taken through the pipelines as far as their share of the processor goes.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use rustix::event::epoll;
use rustix::time::{ClockId, clock_gettime};
use weft_netdev::RX_BATCH;

use super::fast::{Fast, LOST};
use super::share::{Change, Refused, Share, Spent, spare_time};
use super::{PUNT, Switch};

/// Batches taken from the punt device in one round.
const BATCHES: usize = 4;
/// How long there is a hurry after a round that has left frames behind.
const HURRY: u64 = 20_000_000;

/// What the switch keeps for it.
#[derive(Debug)]
pub struct Punting {
    share: Share,
    refused: Refused,
    processors: u64,
    /// What the kernel had forwarded when we were last told, and when that was.
    forwarded: (u64, u64),
    /// When a round last left frames behind.
    behind_at: Option<u64>,
    /// Whether there is a hurry.
    hurried: bool,
    /// The punt device wakes us.
    watched: bool,
    /// What was under way to us before a batch, and what the batch had: kept for their memory.
    marks: Vec<(usize, u64)>,
    /// The same of a while before, when the device was empty, and when that was.
    earlier: (u64, Vec<(usize, u64)>),
    taken: Vec<(u16, usize)>,
    /// Which devices a batch came from.
    devices: Vec<Option<u32>>,
}

impl Default for Punting {
    fn default() -> Punting {
        Punting {
            share: Share::default(),
            refused: Refused::default(),
            forwarded: (0, 0),
            processors: available_parallelism().map_or(1, NonZero::get) as u64,
            behind_at: None,
            hurried: false,
            watched: true,
            marks: Vec::new(),
            earlier: (0, Vec::new()),
            taken: Vec::new(),
            devices: Vec::new(),
        }
    }
}

impl Punting {
    /// Whether what was under way when the device was last empty has arrived by now or never will.
    fn looks_for_lost(&self, now: u64) -> bool {
        u128::from(now.saturating_sub(self.earlier.0)) >= LOST.as_nanos()
    }

    /// How long frames have to wait yet, if they have to.
    pub fn opens_in(&self) -> Option<Duration> {
        self.share.opens_in()
    }

    /// Says how many packets the kernel has forwarded so far.
    pub fn tell_forwarded(&mut self, packets: u64, now: u64) {
        let (before, at) = std::mem::replace(&mut self.forwarded, (packets, now));
        let passed = now.saturating_sub(at).max(1);
        let more = u128::from(packets.saturating_sub(before));
        let per_second = more * 1_000_000_000 / u128::from(passed);
        self.share.tell_traffic(per_second as u64, now);
    }

    /// What there is for them, in thousandths of a processor.
    pub fn share(&self) -> u64 {
        self.share.share()
    }

    /// Frames that ended where they came in while there was a limit; `dropped`: what the program has counted of such by now.
    pub fn refused(&self, dropped: u64) -> u64 {
        self.refused.total(dropped)
    }
}

impl Switch {
    /// Takes what the kernel has left to us through the pipelines, if there is time for it.
    pub(super) fn receive_punted(&mut self, now: u64) {
        let before = self.spent();
        let Some(fast) = &mut self.fast else {
            return;
        };
        if fast.punting.share.is_open(now) {
            self.set_hurried(false, now);
            let behind = self.take_punted(now);
            self.set_hurried(behind, now);
            self.flush();
            self.account_for_taken(!behind, now);
            let spent = self.spent() - before;
            if let Some(fast) = &mut self.fast {
                fast.punting.share.spend(spent);
                // Known at once whether that was all.
                fast.punting.share.is_open(now);
            }
        }
        self.watch_punts();
    }

    /// Looks after the share, and for frames that nobody has told us of: those that had to wait, and those that were lost.
    pub(super) fn review_punting(&mut self, now: u64) {
        self.set_hurried(false, now);
        let Some(fast) = &mut self.fast else {
            return;
        };
        let Punting {
            share,
            processors,
            refused,
            ..
        } = &mut fast.punting;
        let change = share.review(now, *processors, spare_time);
        if let Some(change) = change {
            refused.changed(change, fast.path.kernel().punts_dropped());
        }
        match change {
            Some(Change::Limited) => {
                tracing::warn!(
                    "the processors are busy: frames without a known flow get a small part of them"
                );
                fast.path.kernel().set_punts_short(true);
            }
            Some(Change::Free) => {
                tracing::info!("frames without a known flow are treated at once again");
                fast.path.kernel().set_punts_short(false);
            }
            None => {}
        }
        let waiting = !fast.punting.watched || fast.path.kernel().has_punts();
        if waiting {
            self.receive_punted(now);
        }
    }

    /// What frames have cost so far.
    fn spent(&self) -> Spent {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let mut spent = Spent {
            time: time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
            ..Spent::default()
        };
        for bridge in self.bridges.iter().flatten() {
            let stats = bridge.agent.cache_stats();
            spent.first += stats.misses;
            spent.known += stats.hits;
            spent.packet_ins += bridge.io.packet_ins;
        }
        spent
    }

    /// Lets the punt device wake us only while its frames may be taken.
    fn watch_punts(&mut self) {
        let Some(fast) = &mut self.fast else {
            return;
        };
        let wanted = fast.punting.opens_in().is_none();
        if wanted == fast.punting.watched {
            return;
        }
        // Without any events asked for there would still be those of errors, again and again.
        let changed = if wanted {
            let token = epoll::EventData::new_u64(PUNT);
            epoll::add(&self.epoll, &fast.punt, token, epoll::EventFlags::IN)
        } else {
            epoll::delete(&self.epoll, &fast.punt)
        };
        match changed {
            Ok(()) => fast.punting.watched = wanted,
            Err(error) => tracing::error!(%error, "the punt device is not watched as it should be"),
        }
    }

    /// Says to the pipelines whether frames come faster than they are taken; `behind`: so it is right now.
    fn set_hurried(&mut self, behind: bool, now: u64) {
        let Some(Fast { punting, .. }) = &mut self.fast else {
            return;
        };
        if behind {
            punting.behind_at = Some(now);
        }
        let is_recent = |at| now.saturating_sub(at) < HURRY;
        let hurried = punting.behind_at.is_some_and(is_recent);
        if std::mem::replace(&mut punting.hurried, hurried) != hurried {
            for bridge in self.bridges.iter_mut().flatten() {
                bridge.agent.set_hurried(hurried);
            }
        }
    }

    /// Says to the kernel which frames have left again, and so whose flows it may go on with; `all`: there were no more.
    fn account_for_taken(&mut self, all: bool, now: u64) {
        let ended = self.now();
        let Some(Fast { path, punting, .. }) = &mut self.fast else {
            return;
        };
        let mut kernel = path.kernel();
        for (mark, bytes) in punting.taken.drain(..) {
            kernel.punted(mark, bytes);
        }
        if all && punting.looks_for_lost(now) {
            let (at, earlier) = &mut punting.earlier;
            kernel.drained(earlier);
            // Not before the marks were taken, however long the round has lasted.
            *at = ended;
            std::mem::swap(earlier, &mut punting.marks);
        }
    }

    /// Takes some frames; whether more wait.
    fn take_punted(&mut self, now: u64) -> bool {
        for _ in 0..BATCHES {
            let Some(fast) = &mut self.fast else {
                return false;
            };
            if fast.punting.looks_for_lost(now) {
                fast.path.kernel().punt_marks(&mut fast.punting.marks);
            }
            let received = match fast.punt.receive(&mut self.batch) {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "the punt device does not receive");
                    // Nobody knows whether there are more.
                    fast.punting.marks.clear();
                    return false;
                }
            };
            let Punting { taken, devices, .. } = &mut fast.punting;
            devices.clear();
            {
                let kernel = fast.path.kernel();
                devices.extend(self.batch.marked().map(|(_, mark)| kernel.marked(mark)));
            }
            for ((packet, mark), device) in self.batch.marked().zip(devices) {
                taken.push((mark, packet.len()));
                let port = device.and_then(|ifindex| self.devices.get(&ifindex));
                let Some(&(index, slot)) = port else {
                    continue;
                };
                let Some(bridge) = self.bridges.get_mut(index).and_then(Option::as_mut) else {
                    continue;
                };
                let Some(port) = bridge.io.port(slot) else {
                    continue;
                };
                let ofport = port.ofport;
                let admitted = port
                    .policer
                    .as_mut()
                    .is_none_or(|policer| policer.admits(packet.len(), now));
                if let Some(attached) = &mut port.attached {
                    attached.device.count_received(packet.len());
                }
                if !admitted {
                    continue;
                }
                bridge.io.in_port = ofport;
                bridge.agent.packet(ofport, packet, now, &mut bridge.io);
            }
            if received < RX_BATCH {
                return false;
            }
        }
        true
    }
}
