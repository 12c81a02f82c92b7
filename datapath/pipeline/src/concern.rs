//! Which cached translations a changed rule may concern, without a look at all of them.
//!
//! A rule can meet a translation's packets only if the two agree on the bits that both look at and no action has changed on
//! the way (see `cache.rs`). Rules of a table mostly have one mask, so for each mask of rules that change there is a
//! [`View`]: the translations by the values of just those bits. It is made when it is first wanted and dropped when it was
//! not for a while; each costs some 0.1 µs a translation that comes or goes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use weft_classifier::hash_words;
use weft_frame::field::FIRST_PACKET_WORD;
use weft_frame::{FlowKey, FlowMask, WORDS};

use crate::datapath::Translation;
use crate::slab::FlowId;

/// Views at once: each makes translations dearer.
const MAX_VIEWS: usize = 8;
/// Ways in which translations see a mask's bits; where there are more, looking at all translations is no worse.
const MAX_CLASSES: usize = 64;
/// After how long a view that was not wanted is given up, in nanoseconds.
const UNWANTED: u64 = 10_000_000_000;
/// After how long it makes room for another.
const YIELDING: u64 = 1_000_000_000;
/// Stale numbers that a bucket may have beside as many as it has good ones.
const STALE: usize = 8;

/// A translation by what concerns ask: its packets' key.
pub(crate) type Subject<'a> = (&'a FlowKey, &'a Translation);

/// Numbers of translations. Those that are gone stay until there are too many of them, so who reads it has to look again.
#[derive(Debug, Default)]
struct Bucket {
    ids: Vec<u32>,
    live: usize,
}

impl Bucket {
    fn add(&mut self, id: u32) {
        self.ids.push(id);
        self.live += 1;
    }

    /// One is gone; whether it was the last.
    fn remove(&mut self, is_here: impl Fn(u32) -> bool) -> bool {
        self.live = self.live.saturating_sub(1);
        if self.ids.len() > 2 * self.live + STALE {
            self.ids.sort_unstable();
            self.ids.dedup();
            self.ids.retain(|id| is_here(*id));
        }
        self.live == 0
    }
}

/// Translations by the bits of one mask.
#[derive(Debug)]
struct View {
    mask: FlowMask,
    /// The words in which it has bits.
    words: Vec<usize>,
    /// Which of its bits translations are certain about, by word.
    classes: Vec<Vec<u64>>,
    buckets: HashMap<u64, Bucket>,
    /// Nobody outside may know which translations meet in a bucket.
    seed: u64,
    wanted: u64,
}

impl View {
    fn new(mask: &FlowMask, now: u64) -> View {
        View {
            mask: *mask,
            words: words_of(mask),
            classes: Vec::new(),
            buckets: HashMap::new(),
            seed: RandomState::new().hash_one(now),
            wanted: now,
        }
    }

    fn certain(&self, translation: &Translation) -> impl Iterator<Item = u64> {
        let bits = |w: usize| self.mask.0[w] & translation.mask.0[w] & !translation.edited.0[w];
        self.words.iter().map(move |w| bits(*w))
    }

    fn place(&self, class: usize, key: &FlowKey) -> u64 {
        let bits = self.words.iter().zip(&self.classes[class]);
        let values = bits.map(|(w, certain)| key.0[*w] & certain);
        hash_words([self.seed, class as u64].into_iter().chain(values))
    }

    /// Where a translation is, if its class is known.
    fn place_of(&self, (key, translation): Subject<'_>) -> Option<u64> {
        let same = |class: &Vec<u64>| class.iter().copied().eq(self.certain(translation));
        let class = self.classes.iter().position(same)?;
        Some(self.place(class, key))
    }

    /// Whether it has room for the translation.
    fn add(&mut self, id: u32, subject: Subject<'_>) -> bool {
        let place = match self.place_of(subject) {
            Some(place) => place,
            None if self.classes.len() >= MAX_CLASSES => return false,
            None => {
                let class = self.certain(subject.1).collect();
                self.classes.push(class);
                self.place(self.classes.len() - 1, subject.0)
            }
        };
        self.buckets.entry(place).or_default().add(id);
        true
    }

    fn remove<'a>(&mut self, subject: Subject<'_>, of: impl Fn(u32) -> Option<Subject<'a>>) {
        let Some(place) = self.place_of(subject) else {
            return;
        };
        let Some(mut bucket) = self.buckets.remove(&place) else {
            return;
        };
        let is_here = |id| of(id).is_some_and(|other| self.place_of(other) == Some(place));
        if !bucket.remove(is_here) {
            self.buckets.insert(place, bucket);
        }
    }

    fn candidates(&self, key: &FlowKey) -> Vec<u32> {
        let places = (0..self.classes.len()).map(|class| self.place(class, key));
        let buckets = places.filter_map(|place| self.buckets.get(&place));
        buckets.flat_map(|bucket| &bucket.ids).copied().collect()
    }
}

fn words_of(mask: &FlowMask) -> Vec<usize> {
    (FIRST_PACKET_WORD..WORDS)
        .filter(|w| mask.0[*w] != 0)
        .collect()
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Concerns {
    views: Vec<View>,
    /// Translations whose packets start a learned flow's timeouts anew, by that flow.
    refreshing: HashMap<FlowId, Bucket>,
}

impl Concerns {
    /// There is a translation more.
    pub fn add(&mut self, id: u32, subject: Subject<'_>) {
        self.views.retain_mut(|view| view.add(id, subject));
        for flow in &subject.1.credits.refreshed {
            self.refreshing.entry(*flow).or_default().add(id);
        }
    }

    /// One is gone; `of` gives those that are there.
    pub fn remove<'a>(
        &mut self,
        subject: Subject<'_>,
        of: impl Fn(u32) -> Option<Subject<'a>> + Copy,
    ) {
        for view in &mut self.views {
            view.remove(subject, of);
        }
        for flow in &subject.1.credits.refreshed {
            let is_here =
                |id| of(id).is_some_and(|(_, other)| other.credits.refreshed.contains(flow));
            if let Some(bucket) = self.refreshing.get_mut(flow)
                && bucket.remove(is_here)
            {
                self.refreshing.remove(flow);
            }
        }
    }

    /// Those that a rule may concern, and some more. `None`: any may be; they all have to be looked at.
    pub fn of_rule<'a>(
        &mut self,
        mask: &FlowMask,
        key: &FlowKey,
        all: impl Iterator<Item = (u32, Subject<'a>)>,
        now: u64,
    ) -> Option<Vec<u32>> {
        let at = match self.views.iter().position(|view| view.mask == *mask) {
            Some(at) => at,
            None => self.make(mask, all, now)?,
        };
        let view = &mut self.views[at];
        view.wanted = now;
        Some(view.candidates(key))
    }

    /// Those that refresh a flow, and some more.
    pub fn refreshing(&self, flow: FlowId) -> &[u32] {
        self.refreshing.get(&flow).map_or(&[], |bucket| &bucket.ids)
    }

    fn make<'a>(
        &mut self,
        mask: &FlowMask,
        mut all: impl Iterator<Item = (u32, Subject<'a>)>,
        now: u64,
    ) -> Option<usize> {
        if words_of(mask).is_empty() {
            return None;
        }
        if self.views.len() >= MAX_VIEWS {
            let oldest = (0..self.views.len()).min_by_key(|at| self.views[*at].wanted)?;
            if now.saturating_sub(self.views[oldest].wanted) < YIELDING {
                return None;
            }
            self.views.swap_remove(oldest);
        }
        let mut view = View::new(mask, now);
        if !all.all(|(id, subject)| view.add(id, subject)) {
            return None;
        }
        self.views.push(view);
        Some(self.views.len() - 1)
    }

    /// Gives up the views that nobody wants any more.
    pub fn tidy(&mut self, now: u64) {
        self.views
            .retain(|view| now.saturating_sub(view.wanted) < UNWANTED);
    }
}
