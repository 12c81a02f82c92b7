//! How much of a processor frames may take that the kernel has no flow for.
//!
//! The switch thread has a high priority, so that first packets and controllers are answered on a busy machine. Whoever sends
//! frames that nobody knows would get the processors by it, at the cost of the traffic that the kernel forwards, which is
//! done at its senders' or receivers' priority. So while the machine has no time to spare, such frames get a small share of one
//! processor and no more, and the program leaves what is beyond it where it came in. While there is time to spare nobody is
//! disturbed, and they get what they need.
//!
//! Where the kernel has forwarded next to nothing for a minute there is no such traffic to disturb, and no limit: who has only
//! first packets to send is not to be held up for nobody's sake.
//!
//! What counts is the machine as a whole, as the thread goes to whichever processor is free. On a large machine some
//! processor always is, so the limit matters on small ones, and where everything is busy.

use std::time::Duration;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;
/// All of a processor, in thousandths.
const ALL: u64 = 1000;
/// What there is for such frames on a machine that is busy, in thousandths of a processor.
const LEAST: u64 = 120;
/// How often it is looked at whether the machine is.
const INTERVAL: u64 = SECOND / 4;
/// So many packets a second that the kernel forwards are traffic to be kept from harm.
const TRAFFIC: u64 = 500;
/// So long it is waited for to come back.
const TRAFFIC_BACK: u64 = 60 * SECOND;
/// The machine is busy while less than this share of its time is to spare, in thousandths of all processors.
const SPARE: u64 = 50;
/// What can be saved up or owed, at most.
const MOST_SAVED: i64 = 2_000_000;
const MOST_OWED: i64 = -20_000_000;
/// What there has to be to go on after having gone without.
const SLICE: i64 = 200_000;
/// What a controller spends on a packet-in, as far as we know, in nanoseconds: it takes that from the same processors.
const PACKET_IN: u64 = 50_000;
/// A frame of a flow that is known here, but not to the kernel, counts as this part of its time: it is established traffic, too.
const KNOWN: u64 = 4;
/// A first packet takes about so many times the time of another.
const FIRST: u64 = 5;

/// What was done with frames in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Processor time of the thread, in nanoseconds.
    pub time: u64,
    /// Frames that met no cached translation.
    pub first: u64,
    /// Those that did.
    pub known: u64,
    /// Packet-ins sent.
    pub packet_ins: u64,
}

impl std::ops::Sub for Spent {
    type Output = Spent;

    fn sub(self, before: Spent) -> Spent {
        Spent {
            time: self.time.saturating_sub(before.time),
            first: self.first.saturating_sub(before.first),
            known: self.known.saturating_sub(before.known),
            packet_ins: self.packet_ins.saturating_sub(before.packet_ins),
        }
    }
}

impl Spent {
    /// What is charged for it, in nanoseconds.
    fn charge(&self) -> u64 {
        let (first, known) = (self.first * FIRST, self.known);
        let all = (first + known).max(1);
        let time = self.time.saturating_mul(first * KNOWN + known) / (all * KNOWN);
        time + self.packet_ins * PACKET_IN
    }
}

/// How the limit has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is one.
    Limited,
    /// There is none any more.
    Free,
}

/// The share, as time goes by.
#[derive(Debug)]
pub struct Share {
    /// Thousandths of a processor.
    share: u64,
    /// Nanoseconds that may be spent; negative: owed.
    saved: i64,
    saved_at: u64,
    closed: bool,
    /// When it was last looked at whether the machine is busy, what time had been to spare by then, and what was charged since.
    looked_at: u64,
    spared: Option<u64>,
    charged: u64,
    /// When the kernel was last seen to forward traffic to be kept from harm.
    traffic_at: Option<u64>,
}

impl Default for Share {
    fn default() -> Share {
        Share {
            share: ALL,
            saved: MOST_SAVED,
            saved_at: 0,
            closed: false,
            looked_at: 0,
            spared: None,
            charged: 0,
            traffic_at: None,
        }
    }
}

impl Share {
    /// Whether there is a limit.
    pub fn is_limited(&self) -> bool {
        self.share < ALL
    }

    /// Thousandths of a processor.
    pub fn share(&self) -> u64 {
        self.share
    }

    /// Whether frames may be taken now.
    pub fn is_open(&mut self, now: u64) -> bool {
        let passed = now.saturating_sub(self.saved_at);
        self.saved_at = now;
        let gained = passed.min(SECOND) * self.share / ALL;
        self.saved = (self.saved + gained as i64).min(MOST_SAVED);
        self.closed = self.is_limited() && self.saved < if self.closed { SLICE } else { 1 };
        !self.closed
    }

    /// How long it is until frames may be taken; `None`: they may.
    pub fn opens_in(&self) -> Option<Duration> {
        let lacks = u64::try_from(SLICE - self.saved).ok()?;
        self.closed
            .then(|| Duration::from_nanos(lacks * ALL / self.share))
    }

    /// Charges for what was done.
    pub fn spend(&mut self, spent: Spent) {
        let charge = spent.charge();
        self.charged += charge;
        self.saved = (self.saved - charge as i64).max(MOST_OWED);
    }

    /// Says what the kernel has forwarded of late, in packets a second.
    pub fn tell_traffic(&mut self, packets_per_second: u64, now: u64) {
        if packets_per_second >= TRAFFIC {
            self.traffic_at = Some(now);
        }
    }

    /// Sets the limit by what time the machine's processors have had to spare, all together, in nanoseconds since some time;
    /// `None`: nobody knows, and there is no limit. To be called now and then; it looks only if there is a reason.
    pub fn review(
        &mut self,
        now: u64,
        processors: u64,
        spared: impl FnOnce() -> Option<u64>,
    ) -> Option<Change> {
        let passed = now.saturating_sub(self.looked_at);
        if passed < INTERVAL {
            return None;
        }
        let was_limited = self.is_limited();
        let charged = std::mem::take(&mut self.charged);
        self.looked_at = now;
        let used = charged * ALL / passed;
        let is_back = |at: u64| now.saturating_sub(at) < TRAFFIC_BACK;
        if used <= LEAST / 2 || !self.traffic_at.is_some_and(is_back) {
            // Nothing, or nobody, to look after.
            self.spared = None;
            self.share = ALL;
        } else {
            let before = self.spared;
            self.spared = spared();
            if let (Some(before), Some(after)) = (before, self.spared)
                && passed < 2 * INTERVAL
            {
                let spare = after.saturating_sub(before) * ALL / passed;
                self.share = if spare < SPARE * processors {
                    LEAST
                } else {
                    (self.share + spare / 2).min(ALL)
                };
            }
        }
        match (was_limited, self.is_limited()) {
            (false, true) => {
                self.saved = 0;
                Some(Change::Limited)
            }
            (true, false) => Some(Change::Free),
            _ => None,
        }
    }
}

/// Frames that were refused while there was a limit. The program counts all that too many others were before; of these it is
/// those between two changes.
#[derive(Debug, Default)]
pub struct Refused {
    before: u64,
    /// What the program had counted when the limit came that there is now.
    since: Option<u64>,
}

impl Refused {
    /// Takes note of a change; `dropped`: what the program has counted by now.
    pub fn changed(&mut self, change: Change, dropped: u64) {
        self.before = self.total(dropped);
        self.since = (change == Change::Limited).then_some(dropped);
    }

    /// All of them, `dropped` as above.
    pub fn total(&self, dropped: u64) -> u64 {
        let now = self.since.map_or(0, |since| dropped.saturating_sub(since));
        self.before + now
    }
}

/// What the machine's processors have had to spare since it started, all together, in nanoseconds: they were idle, or at work
/// for processes that have said that they can wait (niceness above 0).
pub fn spare_time() -> Option<u64> {
    spare(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The same of proc_stat(5): in the line of all processors are user, nice, system and idle time, in hundredths of a second.
fn spare(stat: &str) -> Option<u64> {
    let mut words = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace();
    let (nice, idle) = (words.nth(1)?, words.nth(1)?);
    let ticks = nice.parse::<u64>().ok()? + idle.parse::<u64>().ok()?;
    Some(ticks * (SECOND / 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Lets a flood take all it gets for so long; the time it got. `idle`: thousandths of the machine's two processors.
    fn flood(share: &mut Share, now: &mut u64, ms: u64, idle: u64) -> u64 {
        let mut got = 0;
        for _ in 0..ms {
            *now += MS;
            if share.is_open(*now) {
                got += MS;
                share.spend(Spent {
                    time: MS,
                    first: 100,
                    ..Spent::default()
                });
            }
            share.review(*now, 2, || Some(*now * 2 * idle / ALL));
        }
        got
    }

    #[test]
    fn a_flood_gets_little_of_a_busy_machine_and_all_it_needs_of_an_idle_one() {
        let (mut share, mut now) = (Share::default(), SECOND);
        share.tell_traffic(TRAFFIC, now);
        assert_eq!(flood(&mut share, &mut now, 1000, 300), 1000 * MS);
        flood(&mut share, &mut now, 1000, 0);
        assert!(share.is_limited());
        let got = flood(&mut share, &mut now, 1000, 0);
        assert!((100 * MS..150 * MS).contains(&got), "{got}");
        flood(&mut share, &mut now, 4000, 300);
        assert_eq!(flood(&mut share, &mut now, 1000, 300), 1000 * MS);
    }

    #[test]
    fn where_the_kernel_has_no_traffic_there_is_no_limit() {
        let (mut share, mut now) = (Share::default(), SECOND);
        assert_eq!(flood(&mut share, &mut now, 2000, 0), 2000 * MS);
        share.tell_traffic(TRAFFIC, now);
        flood(&mut share, &mut now, 1000, 0);
        assert!(share.is_limited());
        now += TRAFFIC_BACK;
        share.tell_traffic(TRAFFIC - 1, now);
        flood(&mut share, &mut now, 1000, 0);
        assert!(!share.is_limited());
    }

    #[test]
    fn who_needs_little_is_never_limited() {
        let (mut share, mut now) = (Share::default(), SECOND);
        share.tell_traffic(TRAFFIC, now);
        for _ in 0..1000 {
            now += 10 * MS;
            assert!(share.is_open(now));
            share.spend(Spent {
                time: MS / 2,
                first: 10,
                ..Spent::default()
            });
            assert_eq!(share.review(now, 2, || Some(0)), None);
        }
    }

    #[test]
    fn known_flows_are_charged_less_and_packet_ins_more() {
        let spent = |first, known, packet_ins| Spent {
            time: 1000,
            first,
            known,
            packet_ins,
        };
        assert_eq!(spent(10, 0, 0).charge(), 1000);
        assert_eq!(spent(0, 10, 0).charge(), 250);
        assert_eq!(spent(10, 0, 1).charge(), 1000 + PACKET_IN);
        assert_eq!(spent(0, 0, 0).charge(), 0);
    }

    #[test]
    fn what_is_refused_counts_while_there_is_a_limit() {
        let mut refused = Refused::default();
        assert_eq!(refused.total(7), 0);
        refused.changed(Change::Limited, 10);
        assert_eq!(refused.total(15), 5);
        refused.changed(Change::Free, 20);
        assert_eq!(refused.total(90), 10);
        refused.changed(Change::Limited, 100);
        assert_eq!(refused.total(101), 11);
    }

    #[test]
    fn time_for_processes_that_can_wait_is_to_spare() {
        let stat = "cpu  100 7 30 5 1 0 2 0 0 0\ncpu0 1 2 3 4 5 6 7 0 0 0\n";
        assert_eq!(spare(stat), Some(120 * MS));
        assert_eq!(spare("cpu  100"), None);
        assert_eq!(spare(""), None);
    }
}
