//! What is cached, as operators see it.

use std::cmp::Reverse;

use serde::Serialize;
use weft_frame::field::IN_PORT;

use super::{Cache, Entry};
use crate::{drops::DropReason, trace};

/// A cached translation, as operators see it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CachedFlow {
    /// The fields its packets agree on, with their values.
    #[serde(rename = "match")]
    pub fields: Vec<String>,
    /// What is done with them.
    pub actions: Vec<String>,
    /// Why they are dropped, if they are.
    pub drop: Option<DropReason>,
    /// Packets it has treated.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was last seen in use, in nanoseconds of the caller's clock.
    pub used: u64,
    /// The fast path has it.
    pub in_kernel: bool,
    /// Why the fast path has it not.
    pub why_not: Option<&'static str>,
}

/// Which cached translations are wanted: all criteria have to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachedFlowQuery {
    /// Of packets that come in by this port.
    pub in_port: Option<u32>,
    /// Those that the fast path has, or has not.
    pub in_kernel: Option<bool>,
    /// Those that it has not for this reason.
    pub why_not: Option<String>,
    /// So many of those with the most packets.
    pub limit: usize,
}

impl CachedFlowQuery {
    fn fits(&self, entry: &Entry) -> bool {
        let from = entry.key.get64(IN_PORT);
        self.in_port.is_none_or(|port| u64::from(port) == from)
            && self
                .in_kernel
                .is_none_or(|wanted| entry.handle.is_ok() == wanted)
            && self
                .why_not
                .as_deref()
                .is_none_or(|why| entry.handle == Err(why))
    }
}

impl Cache {
    /// The translations held, for operators: those used most first. Only what is wanted is put in words.
    pub fn flows(&self, query: &CachedFlowQuery) -> Vec<CachedFlow> {
        let entries = self.entries.iter().map(|(_, entry)| entry);
        let mut wanted: Vec<&Entry> = entries.filter(|entry| query.fits(entry)).collect();
        let rank = |entry: &&Entry| Reverse(entry.total.packets);
        if query.limit < wanted.len() {
            wanted.select_nth_unstable_by_key(query.limit, rank);
            wanted.truncate(query.limit);
        }
        wanted.sort_by_key(rank);
        let show = |entry: &Entry| CachedFlow {
            fields: trace::fields(&entry.translation.mask, &entry.key),
            actions: trace::texts(&entry.translation.actions),
            drop: entry.translation.drop,
            packets: entry.total.packets,
            bytes: entry.total.bytes,
            used: entry.used,
            in_kernel: entry.handle.is_ok(),
            why_not: entry.handle.err(),
        };
        wanted.into_iter().map(show).collect()
    }
}
