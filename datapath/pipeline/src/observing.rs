//! The pipeline's observers, as those around it see them.

use crate::pipeline::{Owner, Pipeline};
use weft_openflow::{ObserverMod, ObserverStats, OfError, WeftMessage};

impl Pipeline {
    /// Where the choice of samples begins: something random.
    pub fn seed(&mut self, seed: u64) {
        self.observers.seed(seed);
    }

    /// Tells what time reports shall have: `unix_ms` at `now`.
    pub fn set_clock(&mut self, unix_ms: u64, now: u64) {
        self.observers.set_clock(unix_ms, now);
    }

    /// Adds, replaces or deletes an observer. Gives what the one there was had open, unless nothing changes.
    pub fn observer_mod(
        &mut self,
        owner: Owner,
        request: &ObserverMod,
        now: u64,
    ) -> Result<Vec<WeftMessage>, OfError> {
        if !self.observers.check(owner, request)? {
            return Ok(Vec::new());
        }
        // Translations show packets to observers that there are.
        self.cache.at(now);
        self.invalidate();
        self.take_observed(true, now);
        let last = self.observers.modify(request, now);
        self.tell_observers();
        Ok(last)
    }

    /// Tells the fast path who observes.
    pub(crate) fn tell_observers(&mut self) {
        let settings: Vec<ObserverMod> = self.observers.settings().cloned().collect();
        self.cache.set_observers(&settings);
    }

    /// Takes over what the fast path has seen for observers: samples or, `all`, accounts and counters too.
    pub fn take_observed(&mut self, all: bool, now: u64) {
        if self.observers.is_empty() {
            return;
        }
        for observed in self.cache.take_observed(all) {
            self.observers.absorb(&observed, now);
        }
    }

    /// Reports what an observer has open now, of one port or of all (`OFPP_ANY`).
    pub fn observer_flush(
        &mut self,
        owner: Owner,
        id: u32,
        port: u32,
        now: u64,
    ) -> Result<Vec<WeftMessage>, OfError> {
        self.observers.check_owner(owner, id)?;
        self.update_counters(now);
        Ok(self.observers.flush(id, port))
    }

    /// Reports what came in by a port that has gone, by observer; `OFPP_ANY`: all there is.
    pub fn flush_observers(&mut self, port: u32, now: u64) -> Vec<(u32, WeftMessage)> {
        if self.observers.is_empty() {
            return Vec::new();
        }
        self.update_counters(now);
        self.observers.flush_all(port)
    }

    /// When [`Pipeline::observer_reports`] has something to do.
    pub fn observers_due(&self) -> Option<u64> {
        self.observers.due()
    }

    /// What observers report by now, by observer, as far as they are `heard`.
    pub fn observer_reports(
        &mut self,
        now: u64,
        heard: impl Fn(u32) -> bool,
    ) -> Vec<(u32, WeftMessage)> {
        self.observers.reports(now, heard)
    }

    /// Counters of an observer, or of all ([`weft_openflow::ObserverStatsRequest::ALL`]).
    pub fn observer_stats(&mut self, id: u32, now: u64) -> Vec<ObserverStats> {
        self.update_counters(now);
        self.observers.stats(id, now)
    }
}
