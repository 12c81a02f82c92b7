//! Going on with what a process before us has left in the kernel.
//!
//! Its flows stay in force, so that their traffic does not notice, but nobody vouches for them: once the tables are
//! what they should be again, they are settled, that is removed. Packets of a flow that is still wanted then come to the
//! pipeline once more and the flow is installed anew; a flow with the same key has already taken an adopted one's place.

use std::collections::HashSet;
use std::time::Instant;

use crate::kernel::{Installed, Kernel};
use crate::keys::{Kind, Words};
use crate::layout::{Config, FULL_WORDS, Flow, INLINE_OPS, next_mark, slot_of};
use crate::program::Compiled;
use crate::records::Records;

impl Kernel {
    /// Takes stock of the maps.
    pub(crate) fn adopt(&mut self) {
        let mut found = self.keys.numbers();
        // A process that died while it moved an entry has left it twice.
        found.sort_unstable();
        found.dedup();
        for (_, mark) in self.ports.iter().filter_map(Result::ok) {
            let is_other = |free: &u16| slot_of(*free) != slot_of(mark as u16);
            self.marks.retain(is_other);
        }
        if found.is_empty() {
            return;
        }
        let Some(config) = self.config.get(0) else {
            return;
        };
        for number in found {
            self.adopt_flow(&config, number);
        }
        self.publish_masks(Kind::Short);
        self.publish_masks(Kind::Full);
        let now = Instant::now();
        let used: HashSet<u32> = self.adopted.iter().map(|(number, _)| *number).collect();
        self.records = Records::adopt(self.records.limit(), |number| used.contains(&number), now);
        let long: HashSet<u32> = self
            .long
            .numbers
            .values()
            .map(|(number, _)| *number)
            .collect();
        let limit = self.long_records.limit();
        self.long_records = Records::adopt(limit, |number| long.contains(&number), now);
        let passings = self.adopted.iter().flat_map(|(_, each)| &each.passings);
        self.metering.adopted(passings.copied(), now);
        tracing::info!(
            flows = self.adopted.len(),
            "flows of an earlier life go on in the kernel"
        );
    }

    fn adopt_flow(&mut self, config: &Config, number: u32) {
        let Some(flow) = self.flows.get(number as usize) else {
            return;
        };
        let mut key: Words = [0; FULL_WORDS];
        key.copy_from_slice(&flow.key[..FULL_WORDS]);
        let kind = Kind::of(&key);
        let mask = (key[0] as u32).wrapping_sub(kind.first_mask());
        let mut words: Words = [0; FULL_WORDS];
        let (masks, known) = match kind {
            Kind::Short => {
                let known = config.short_mask.get(mask as usize);
                (&mut self.short_masks, known.map(|words| words.as_slice()))
            }
            Kind::Full => {
                let known = config.full_mask.get(mask as usize);
                (&mut self.full_masks, known.map(|words| words.as_slice()))
            }
        };
        let Some(known) = known else {
            return;
        };
        words[..known.len()].copy_from_slice(known);
        masks.adopt(mask, &words);
        let n_ops = usize::from(flow.n_ops);
        let mut compiled = Compiled::default();
        let mut long = None;
        if n_ops <= INLINE_OPS {
            compiled.ops = flow.op[..n_ops].to_vec();
        } else if let Some(program) = self.programs.get(usize::from(flow.program)) {
            compiled.ops = program.op[..n_ops.min(program.op.len())].to_vec();
            let number = u32::from(flow.program);
            long = Some(number);
            self.long
                .numbers
                .entry(compiled.ops.clone())
                .or_insert((number, 0))
                .1 += 1;
        }
        // Who observed is not known any more.
        let nobody = std::mem::offset_of!(Flow, watch);
        self.flows.set_part(number as usize, nobody, 0u32);
        let passings = self.metering.adopt(&compiled.ops);
        let installed = Installed {
            kind,
            mask,
            in_ifindex: (key[0] >> 32) as u32,
            key,
            compiled,
            long,
            watch: 0,
            seen: self.count(number),
            passings,
        };
        self.adopted.push((number, installed));
    }

    /// Removes the adopted flows of these devices; with `None`, all that are left, and the program from devices that nobody
    /// has claimed. Returns how many flows and devices that were.
    pub fn settle(&mut self, ifindexes: Option<&[u32]>) -> (usize, usize) {
        let now = Instant::now();
        let concerned = |ifindex: u32| ifindexes.is_none_or(|list| list.contains(&ifindex));
        let (settled, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.adopted)
            .into_iter()
            .partition(|(_, installed)| concerned(installed.in_ifindex));
        self.adopted = left;
        for (number, installed) in &settled {
            self.end(*number, installed);
            self.release(*number, installed, now);
            self.metering.disown(&installed.compiled.ops, now);
        }
        let mut orphans = 0;
        if ifindexes.is_none()
            && let Some(pins) = &self.pins
        {
            let mut filters = pins.filters();
            filters.retain(|(ifindex, _)| !self.hooks.contains_key(ifindex));
            Kernel::remove_filters(&filters);
            let filters = filters.iter().map(|(ifindex, _)| *ifindex);
            for ifindex in pins.links().into_iter().chain(filters) {
                if !self.hooks.contains_key(&ifindex) {
                    pins.remove_link(ifindex);
                    if let Ok(mark) = self.ports.get(&ifindex, 0) {
                        let _ = self.ports.remove(&ifindex);
                        self.marks.push(next_mark(mark as u16));
                    }
                    orphans += 1;
                }
            }
        }
        (settled.len(), orphans)
    }

    /// Whether flows of an earlier life are in force.
    pub fn has_adopted(&self) -> bool {
        !self.adopted.is_empty()
    }
}
