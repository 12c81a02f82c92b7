//! Cached translations (megaflows): what packets like an earlier one get without a walk.
//!
//! The cache holds nothing that is not in the tables: it may be emptied at any time. What a change of tables, groups,
//! meters or ports may concern is forgotten before the change is made. Counters of cached packets are kept here (or by
//! the fast path that has taken the translation over) and handed on before anyone reads them.
//!
//! # What a change concerns
//! A new or changed rule concerns a translation that looked into the rule's table, unless the two differ in a bit that is
//! in both masks and that no action has changed on the way: then the rule can match none of its packets. A rule that goes
//! concerns the translations that matched it. So learning one address leaves the traffic of all others alone.

mod doorkeeper;
mod sweep;
mod view;

pub use self::view::{CachedFlow, CachedFlowQuery};

use self::doorkeeper::Doorkeeper;
use self::sweep::Sweep;
use crate::concern::{Concerns, Subject};
use crate::datapath::{DpAction, Translation};
use crate::fields::Compiled;
use crate::offload::{Counts, FastPath, Metered, Observed, Treated};
use crate::shapes::Shapes;
use crate::slab::{FlowId, Slab};
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_classifier::Classifier;
use weft_frame::field::{FIRST_PACKET_WORD, IN_PORT};
use weft_frame::{FlowKey, WORDS};
use weft_openflow::ObserverMod;

/// Why nothing is in the kernel where there is no fast path.
pub(crate) const NO_FAST_PATH: &str = "no fast path";
/// Why what cannot be cached is not in the kernel.
const NOT_CACHEABLE: &str = "not cacheable";
/// Most distinct masks: beyond, lookups would cost more than a walk of few tables.
const MAX_MASKS: usize = 128;
/// Entries looked at to find one that may go when the cache is full.
const EVICTION_SCAN: u32 = 64;
/// Time, in nanoseconds, in which looks for what changes concern are added up.
const WINDOW: u64 = 100_000_000;
/// Entries looked at in that time, and looks at all entries: beyond both, as when many flows are loaded, starting anew
/// costs less.
const MANY_LOOKED_AT: usize = 1 << 20;
const MANY_LOOKS: usize = 200;
/// So few are looked at one by one.
const FEW: usize = 16;

/// A translation and the packets that used it since they were last credited.
#[derive(Debug)]
pub(crate) struct Entry {
    pub translation: Arc<Translation>,
    /// Of the packet it was made from.
    pub key: FlowKey,
    pub counts: Counts,
    /// What meters have done with its packets, if it passes any.
    passed: Option<Box<Passed>>,
    pub used: u64,
    /// All its packets ever.
    total: Counts,
    /// Those of the packets that the fast path has treated.
    pub fast: u64,
    /// Packets since the eviction hand last passed.
    recent: u64,
    /// Where the fast path has it, or why it has not.
    handle: Result<u32, &'static str>,
}

/// What meters have done with an entry's packets since they were last credited.
#[derive(Debug, Default)]
struct Passed {
    /// What they have dropped, by pass.
    dropped: Vec<Counts>,
    /// What they have done with packets that the fast path has treated, by pass.
    fast: Vec<Metered>,
}

impl Entry {
    /// Those of its packets that meters have dropped, by pass; none, if there were none.
    pub fn dropped(&self) -> &[Counts] {
        self.passed.as_ref().map_or(&[], |passed| &passed.dropped)
    }

    /// What meters have done with packets that the fast path has treated, by pass.
    pub fn fast_passes(&self) -> &[Metered] {
        self.passed.as_ref().map_or(&[], |passed| &passed.fast)
    }

    fn subject(&self) -> Subject<'_> {
        (&self.key, &self.translation)
    }

    /// Whether a rule could match packets of this translation.
    fn meets(&self, table_id: u8, rule: &Compiled) -> bool {
        let translation = &self.translation;
        let mut tables = translation.credits.tables.iter();
        tables.any(|(looked_into, _)| *looked_into == table_id)
            && (FIRST_PACKET_WORD..WORDS).all(|w| {
                let certain = rule.mask.0[w] & translation.mask.0[w] & !translation.edited.0[w];
                (rule.key.0[w] ^ self.key.0[w]) & certain == 0
            })
    }

    /// Whether its packets come in or go out by a port.
    fn uses_port(&self, port: u32) -> bool {
        let leaves = |action: &DpAction| match *action {
            DpAction::Output { port_no, .. } | DpAction::Truncated { port_no, .. } => {
                port_no == port
            }
            _ => false,
        };
        self.key.get64(IN_PORT) == u64::from(port) || self.translation.actions.iter().any(leaves)
    }

    fn uses_flow(&self, id: FlowId) -> bool {
        let credits = &self.translation.credits;
        credits.flows.contains(&id) || credits.refreshed.contains(&id)
    }

    fn count(&mut self, counts: Counts, now: u64) {
        if counts.packets != 0 {
            self.counts.add(counts);
            self.total.add(counts);
            self.recent += counts.packets;
            self.used = self.used.max(now);
        }
    }

    /// Takes what the fast path has treated into account.
    fn count_fast(&mut self, treated: Treated, now: u64) {
        self.fast += treated.counts.packets;
        self.count(treated.counts, now);
        for (number, metered) in treated.passes.iter().enumerate() {
            if metered.dropped.packets != 0 {
                self.count_dropped(number, metered.dropped);
            }
            let fast = &mut self.passed.get_or_insert_default().fast;
            if fast.len() <= number {
                fast.resize_with(number + 1, Metered::default);
            }
            let sum = &mut fast[number];
            sum.shown.add(metered.shown);
            sum.dropped.add(metered.dropped);
        }
    }

    fn count_dropped(&mut self, pass: usize, counts: Counts) {
        let dropped = &mut self.passed.get_or_insert_default().dropped;
        if dropped.len() <= pass {
            dropped.resize_with(pass + 1, Counts::default);
        }
        dropped[pass].add(counts);
    }

    /// What was counted has been credited.
    fn reset(&mut self) {
        self.counts = Counts::default();
        self.fast = 0;
        if let Some(passed) = &mut self.passed {
            passed.dropped.clear();
            passed.fast.clear();
        }
    }
}

/// Counters of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Packets that found a translation.
    pub hits: u64,
    /// Packets that did not.
    pub misses: u64,
    /// Translations held.
    pub entries: usize,
    /// Distinct masks among them.
    pub masks: usize,
    /// How often a translation had to make room for another.
    pub overflows: u64,
    /// How often one was not kept, as room or time was short and nobody had asked for it before.
    pub turned_away: u64,
    /// Packets that a fast path has treated.
    pub fast_hits: u64,
    /// Translations that a fast path has.
    pub fast_entries: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    index: Classifier,
    entries: Slab<Entry>,
    shapes: Shapes,
    concerns: Concerns,
    fast_path: Option<Box<dyn FastPath>>,
    hand: u32,
    doorkeeper: Doorkeeper,
    /// Packets come faster than they can be translated.
    is_hurried: bool,
    sweep: Option<Sweep>,
    /// The latest time we were told.
    now: u64,
    /// Entries looked at for the sake of changes since that time.
    looked_at: (u64, usize),
    stats: CacheStats,
    /// Entries that the fast path has not, by reason.
    refused: BTreeMap<&'static str, usize>,
}

impl Cache {
    /// Tells the time.
    pub fn at(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// Tells whether packets come faster than they can be translated: then what is needed but once is not kept.
    pub fn set_hurried(&mut self, is_hurried: bool) {
        self.is_hurried = is_hurried;
    }

    /// The entry for a packet.
    #[inline]
    pub fn find(&mut self, key: &FlowKey, len: u64) -> Option<(u32, &Entry)> {
        let found = self.index.lookup_any(key);
        let entry = found.and_then(|id| Some((id, self.entries.get_mut(id)?)));
        match &entry {
            Some(_) => self.stats.hits += 1,
            None => self.stats.misses += 1,
        }
        let (id, entry) = entry?;
        let counts = Counts {
            packets: 1,
            bytes: len,
        };
        entry.count(counts, self.now);
        Some((id, entry))
    }

    /// Of a packet just counted: meters have dropped it at these passes.
    pub fn count_dropped(&mut self, id: u32, passes: &[usize], len: u64) {
        let counts = Counts {
            packets: 1,
            bytes: len,
        };
        if let Some(entry) = self.entries.get_mut(id) {
            passes
                .iter()
                .for_each(|pass| entry.count_dropped(*pass, counts));
        }
    }

    /// What treats packets instead of us.
    pub fn fast_path(&mut self) -> Option<&mut dyn FastPath> {
        self.fast_path.as_deref_mut().map(|path| path as _)
    }

    /// Whether a translation is to be kept.
    pub fn wants(&mut self, key: &FlowKey, translation: &Translation, limit: usize) -> bool {
        let wants = !(self.is_full(limit) || self.is_hurried)
            || self.doorkeeper.knows(&translation.mask, key);
        if !wants {
            self.stats.turned_away += 1;
        }
        wants
    }

    fn is_full(&self, limit: usize) -> bool {
        self.entries.len() >= limit || self.index.masks() > MAX_MASKS
    }

    /// Adds a translation made from a packet with this key. If there is no room, an entry that was not used lately goes;
    /// what it had counted is handed to `credit`.
    pub fn insert(
        &mut self,
        key: &FlowKey,
        translation: Translation,
        limit: usize,
        mut credit: impl FnMut(&Entry),
    ) {
        while self.is_full(limit) {
            self.stats.overflows += 1;
            // Where masks are too many, those with the fewest translations go: sprayed headers make such.
            let victim = if self.entries.len() >= limit {
                self.victim()
            } else {
                self.index.sparsest()
            };
            let Some(victim) = victim else {
                return;
            };
            self.forget(victim, &mut credit);
        }
        let mask = translation.mask;
        let handle = match &mut self.fast_path {
            Some(fast_path) => fast_path.install(key, &translation),
            None => Err(NO_FAST_PATH),
        };
        match handle {
            Ok(_) => self.stats.fast_entries += 1,
            Err(why) => *self.refused.entry(why).or_default() += 1,
        }
        let entry = Entry {
            translation: self.shapes.share(translation),
            key: *key,
            counts: Counts::default(),
            passed: None,
            used: self.now,
            total: Counts::default(),
            fast: 0,
            // One that never sees a second packet is the first to go.
            recent: 0,
            handle,
        };
        let id = self.entries.insert(entry);
        if let Some(entry) = self.entries.get(id) {
            self.concerns.add(id, entry.subject());
        }
        // The packet found nothing, so there is nothing with this mask and key yet.
        self.index.insert(&mask, key, 0, id);
    }

    /// The next entry that has not been used since the hand last passed; after a while just the next one.
    fn victim(&mut self) -> Option<u32> {
        let mut last = None;
        for _ in 0..EVICTION_SCAN + self.entries.bound() {
            self.hand = (self.hand + 1) % self.entries.bound().max(1);
            let Some(entry) = self.entries.get_mut(self.hand) else {
                continue;
            };
            if let (Some(fast_path), Ok(handle)) = (&mut self.fast_path, entry.handle) {
                let treated = fast_path.take_counts(handle);
                self.stats.fast_hits += treated.counts.packets;
                entry.count_fast(treated, self.now);
            }
            let recent = std::mem::take(&mut entry.recent);
            let scanned = last.get_or_insert((self.hand, 0));
            scanned.1 += 1;
            if recent == 0 || scanned.1 > EVICTION_SCAN {
                return Some(self.hand);
            }
        }
        last.map(|(id, _)| id)
    }

    fn forget(&mut self, id: u32, credit: &mut impl FnMut(&Entry)) {
        let Some(mut entry) = self.entries.remove(id) else {
            return;
        };
        self.index.remove(&entry.translation.mask, &entry.key, 0);
        let entries = &self.entries;
        let others = |id| entries.get(id).map(Entry::subject);
        self.concerns.remove(entry.subject(), others);
        if let Err(why) = entry.handle
            && let Some(count) = self.refused.get_mut(why)
        {
            *count -= 1;
        }
        if let (Some(fast_path), Ok(handle)) = (&mut self.fast_path, entry.handle) {
            let treated = fast_path.remove(handle);
            self.stats.fast_entries -= 1;
            self.stats.fast_hits += treated.counts.packets;
            entry.count_fast(treated, self.now);
        }
        credit(&entry);
        self.shapes.give_back(entry.translation);
    }

    /// Adds up a look at all entries; whether there have been too many of them.
    fn looks_too_often(&mut self) -> bool {
        let (since, count) = &mut self.looked_at;
        if self.now.saturating_sub(*since) > WINDOW {
            (*since, *count) = (self.now, 0);
        }
        *count += self.entries.len();
        *count > MANY_LOOKED_AT.max(MANY_LOOKS * self.entries.len())
    }

    fn forget_those(
        &mut self,
        mut concerned: impl FnMut(&Entry) -> bool,
        mut credit: impl FnMut(&Entry),
    ) {
        let found: Vec<u32> = self
            .entries
            .iter()
            .filter(|(_, entry)| concerned(entry))
            .map(|(id, _)| id)
            .collect();
        for id in found {
            self.forget(id, &mut credit);
        }
    }

    /// Those that a rule may meet, and some more; `None`: any may be.
    fn candidates(&mut self, rule: &Compiled) -> Option<Vec<u32>> {
        if self.entries.len() < FEW {
            return None;
        }
        let entries = self.entries.iter();
        let all = entries.map(|(id, entry)| (id, entry.subject()));
        self.concerns.of_rule(&rule.mask, &rule.key, all, self.now)
    }

    fn forget_of(
        &mut self,
        candidates: &[u32],
        concerned: impl Fn(&Entry) -> bool,
        credit: &mut impl FnMut(&Entry),
    ) {
        for id in candidates {
            if self.entries.get(*id).is_some_and(&concerned) {
                self.forget(*id, credit);
            }
        }
    }

    /// Forgets what a new or changed rule of a table may concern.
    pub fn forget_meeting(
        &mut self,
        table_id: u8,
        rule: &Compiled,
        mut credit: impl FnMut(&Entry),
    ) {
        if let Some(found) = self.candidates(rule) {
            return self.forget_of(&found, |entry| entry.meets(table_id, rule), &mut credit);
        }
        let all = self.looks_too_often();
        self.forget_those(|entry| all || entry.meets(table_id, rule), credit);
    }

    /// Forgets what matched or refreshed a flow with this rule. Who matched it meets it.
    pub fn forget_users_of(&mut self, id: FlowId, rule: &Compiled, mut credit: impl FnMut(&Entry)) {
        let Some(found) = self.candidates(rule) else {
            return self.forget_users(&[id], credit);
        };
        let refreshing = self.concerns.refreshing(id).to_vec();
        for candidates in [found, refreshing] {
            self.forget_of(&candidates, |entry| entry.uses_flow(id), &mut credit);
        }
    }

    /// Forgets what matched or refreshed one of these flows, which are in order.
    pub fn forget_users(&mut self, ids: &[FlowId], credit: impl FnMut(&Entry)) {
        let all = self.looks_too_often();
        let concerned = |entry: &Entry| {
            let credits = &entry.translation.credits;
            let mut used = credits.flows.iter().chain(&credits.refreshed);
            all || used.any(|id| ids.binary_search(id).is_ok())
        };
        self.forget_those(concerned, credit);
    }

    /// Forgets what comes in or goes out by a port.
    pub fn forget_port(&mut self, port_no: u32, credit: impl FnMut(&Entry)) {
        self.forget_those(|entry| entry.uses_port(port_no), credit);
    }

    /// Forgets what has passed a group: which bucket it took may have hung on what is live.
    pub fn forget_grouped(&mut self, credit: impl FnMut(&Entry)) {
        self.forget_those(
            |entry| !entry.translation.credits.buckets.is_empty(),
            credit,
        );
    }

    /// Forgets what came in by a port.
    pub fn forget_from(&mut self, in_port: u32, credit: impl FnMut(&Entry)) {
        let from = |entry: &Entry| entry.key.get64(IN_PORT) == u64::from(in_port);
        self.forget_those(from, credit);
    }

    /// Forgets everything.
    pub fn clear(&mut self, credit: impl FnMut(&Entry)) {
        self.forget_those(|_| true, credit);
    }

    /// Hands what was counted to `credit`, entry by entry, and starts anew.
    pub fn credit(&mut self, mut credit: impl FnMut(&Entry)) {
        for id in 0..self.entries.bound() {
            self.credit_one(id, &mut credit);
        }
    }

    fn credit_one(&mut self, id: u32, credit: &mut impl FnMut(&Entry)) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if let (Some(fast_path), Ok(handle)) = (self.fast_path.as_mut(), entry.handle) {
            let treated = fast_path.take_counts(handle);
            self.stats.fast_hits += treated.counts.packets;
            entry.count_fast(treated, self.now);
        }
        if entry.counts.packets != 0 {
            credit(entry);
            entry.reset();
        }
    }

    /// Sets what treats packets instead of us. The cache must be empty.
    pub fn set_fast_path(&mut self, fast_path: Option<Box<dyn FastPath>>) {
        self.fast_path = fast_path;
    }

    /// Tells the fast path how observers are set.
    pub fn set_observers(&mut self, observers: &[ObserverMod]) {
        if let Some(fast_path) = &mut self.fast_path {
            fast_path.set_observers(observers);
        }
    }

    /// What the fast path has seen for observers.
    pub fn take_observed(&mut self, all: bool) -> Vec<Observed> {
        let fast_path = self.fast_path.as_mut();
        fast_path.map_or_else(Vec::new, |fast_path| fast_path.take_observed(all))
    }

    /// Translations that the fast path has not, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let entries = self.refused.iter().map(|(why, count)| (*why, *count));
        entries.filter(|(_, count)| *count > 0)
    }

    /// Why the fast path would not treat packets like this one; `None`: it would. A translation that is there for them already
    /// is what they get, whatever a new one would look at.
    pub fn refusal(
        &mut self,
        key: &FlowKey,
        translation: &Translation,
        frame: &[u8],
    ) -> Option<&'static str> {
        let Some(fast_path) = &self.fast_path else {
            return Some(NO_FAST_PATH);
        };
        let known = self.index.lookup_any(key);
        if let Some(entry) = known.and_then(|id| self.entries.get(id)) {
            let refusal = |entry: &Entry| {
                let refused = entry.handle.err();
                refused.or_else(|| fast_path.refusal(&entry.key, &entry.translation, frame))
            };
            // Since rules have gone, another one may look at fewer bits: then the fast path may go by that.
            return refusal(entry).filter(|_| {
                let others = self.entries.iter().map(|(_, other)| other);
                let mut covers = others.filter(|e| key.matches(&e.translation.mask, &e.key));
                covers.all(|other| refusal(other).is_some())
            });
        }
        if !translation.cacheable {
            return Some(translation.why_walked.unwrap_or(NOT_CACHEABLE));
        }
        fast_path.refusal(key, translation, frame)
    }

    pub fn stats(&self) -> CacheStats {
        CacheStats {
            entries: self.entries.len(),
            masks: self.index.masks(),
            ..self.stats
        }
    }
}
