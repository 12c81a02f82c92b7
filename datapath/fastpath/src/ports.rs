//! Devices that are ports: the program on them, what they have under way to user space, what passed them.

use std::mem::offset_of;

use aya::programs::tc::SchedClassifierLink;

use crate::kernel::{Error, Hook, Kernel, PortCounts, Punts};
use crate::layout::{Port, next_mark, punt_load, slot_of};
use crate::linker::{Hooking, Link, remove_filter, take_filter};
use crate::pins::name_of;

/// Where all ports together are counted.
const ALL_PORTS: usize = 0;

impl Kernel {
    /// The link that a process before us has left on a device, if there is one and it still holds. What else it has left there
    /// is removed.
    pub fn adopt_link(&mut self, ifindex: u32, name: &str, is_internal: bool) -> Option<Link> {
        let taken = match self.hooking {
            Hooking::Tcx => self.adopt_tcx(ifindex, name, is_internal)?,
            Hooking::Clsact => self.adopt_filter(ifindex, name, is_internal)?,
        };
        match taken {
            Ok(link) => Some(Link(link)),
            Err(error) => {
                tracing::debug!(ifindex, %error, "a link of an earlier life is void");
                self.pins.iter().for_each(|pins| pins.remove_link(ifindex));
                None
            }
        }
    }

    fn has_filter(&self, ifindex: u32, is_internal: bool) -> bool {
        let pins = self.pins.as_ref();
        pins.is_some_and(|pins| pins.has_filter(ifindex, is_internal))
    }

    fn adopt_tcx(
        &mut self,
        ifindex: u32,
        name: &str,
        is_internal: bool,
    ) -> Option<Result<SchedClassifierLink, Error>> {
        if self.has_filter(ifindex, is_internal) {
            // Of a process that was to use no others.
            remove_filter(name, is_internal);
        }
        let program = self.program.as_mut()?;
        let left = self.pins.as_ref()?.link(ifindex)?;
        // The program there is this one already; replacing it by itself shows whether the device is still there.
        let taken = SchedClassifierLink::try_from(left)
            .map_err(|error| Error(error.to_string()))
            .and_then(|link| Ok(program.attach_to_link(link)?))
            .and_then(|id| Ok(program.take_link(id)?));
        Some(taken)
    }

    fn adopt_filter(
        &mut self,
        ifindex: u32,
        name: &str,
        is_internal: bool,
    ) -> Option<Result<SchedClassifierLink, Error>> {
        let is_ours = self.has_filter(ifindex, is_internal);
        if let Some(pins) = &self.pins
            && pins.link(ifindex).is_some()
        {
            pins.unpin_link(ifindex);
        }
        match &mut self.program {
            Some(program) if is_ours => Some(take_filter(program, name, is_internal)),
            _ => {
                // One whose maps nobody has any more would forward as it did, beside us.
                remove_filter(name, is_internal);
                None
            }
        }
    }

    /// Makes a device that has the program a port: from here on its frames are the switch's.
    ///
    /// # Errors
    /// There are too many ports.
    pub fn hook(&mut self, ifindex: u32, link: Link, is_internal: bool) -> Result<(), Error> {
        let known = self.ports.get(&ifindex, 0).ok();
        let mark = known
            .map(|mark| mark as u16)
            .or_else(|| self.marks.pop())
            .ok_or_else(|| Error("too many ports".to_owned()))?;
        if known.is_none() {
            let port = Port {
                internal: u64::from(is_internal),
                ..Port::default()
            };
            self.punts.set(slot_of(mark), port);
            if let Err(error) = self.ports.insert(ifindex, u32::from(mark), 0) {
                self.marks.push(mark);
                self.pins.iter().for_each(|pins| pins.remove_link(ifindex));
                return Err(error.into());
            }
        }
        self.marked[slot_of(mark)] = (mark, ifindex);
        let hook = Hook {
            mark,
            is_internal,
            _link: link.0,
        };
        if let Some(replaced) = self.hooks.insert(ifindex, hook)
            && self.hooking == Hooking::Clsact
        {
            // Both are the same filter, and the end of one would be that of the other.
            std::mem::forget(replaced);
        }
        Ok(())
    }

    /// Takes the program off a device, which may be gone already.
    pub fn unhook(&mut self, ifindex: u32) {
        if let Some(hook) = self.hooks.remove(&ifindex) {
            let slot = slot_of(hook.mark);
            let dropped = self.punts.get(slot).map_or(0, |port| port.dropped);
            self.port_counts.entry(ifindex).or_default().rx_dropped += dropped;
            let _ = self.ports.remove(&ifindex);
            self.marked[slot] = (0, 0);
            self.marks.push(next_mark(hook.mark));
            self.drop_link(ifindex, Some(Link(hook._link)));
        }
    }

    /// Removes a link. The pin goes last: then the kernel does it by and by, and nobody waits.
    pub fn drop_link(&self, ifindex: u32, link: Option<Link>) {
        if self.is_hooked(ifindex) {
            // Somebody else's by now: the pin, and where it is a filter the filter.
            return match self.hooking {
                Hooking::Clsact => std::mem::forget(link),
                Hooking::Tcx => drop(link),
            };
        }
        drop(link);
        self.pins.iter().for_each(|pins| pins.remove_link(ifindex));
    }

    /// Takes filters off devices that are still there.
    pub(crate) fn remove_filters(filters: &[(u32, bool)]) {
        for (ifindex, is_internal) in filters {
            if let Some(name) = name_of(*ifindex) {
                remove_filter(&name, *is_internal);
            }
        }
    }

    /// Whether one more port can be hooked.
    pub fn has_room(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Whether a device is a port.
    pub fn is_hooked(&self, ifindex: u32) -> bool {
        self.hooks.contains_key(&ifindex)
    }

    /// The device that a frame on the punt device came in by; `None`: it is no port any more.
    pub fn marked(&self, mark: u16) -> Option<u32> {
        let (of, ifindex) = self.marked[slot_of(mark)];
        (of == mark && mark != 0).then_some(ifindex)
    }

    /// A frame with that mark that user space has taken from the punt device, and sent where it was to go.
    pub fn punted(&mut self, mark: u16, bytes: usize) {
        let slot = self.marked(mark).map(|_| slot_of(mark));
        for slot in slot.into_iter().chain([ALL_PORTS]) {
            if let Some(punt) = self.punts.get(slot) {
                // What was given up as lost may come all the same.
                let taken = (punt.taken + punt_load(bytes)).min(punt.sent);
                self.punts.set_part(slot, offset_of!(Port, taken), taken);
            }
        }
    }

    /// Whether anything is under way to user space, or was lost there: see [`Kernel::drained`].
    pub fn has_punts(&self) -> bool {
        self.punts
            .get(ALL_PORTS)
            .is_some_and(|all| all.sent != all.taken)
    }

    /// Load sent to user space so far, by port: taken before the punt device is emptied, see [`Kernel::drained`].
    pub fn punt_marks(&self, marks: &mut Vec<(usize, u64)>) {
        marks.clear();
        let slots = self.hooks.values().map(|hook| slot_of(hook.mark));
        let under_way = |slot: usize| {
            let punt = self.punts.get(slot)?;
            (punt.sent != punt.taken).then_some((slot, punt.sent))
        };
        marks.extend(slots.chain([ALL_PORTS]).filter_map(under_way));
    }

    /// The punt device was empty a good while after those marks were taken: what was sent before and has not arrived is lost.
    pub fn drained(&mut self, marks: &[(usize, u64)]) {
        for (slot, sent) in marks {
            let Some(punt) = self.punts.get(*slot) else {
                continue;
            };
            // A mark beyond what was sent is of a port that had the slot before.
            if punt.taken < *sent && *sent <= punt.sent {
                self.punts.set_part(*slot, offset_of!(Port, taken), *sent);
            }
        }
    }

    /// What of a device's frames user space was to see; `None`: the kernel does not have it.
    pub fn punts(&self, ifindex: u32) -> Option<Punts> {
        let punt = self.punts.get(slot_of(self.hooks.get(&ifindex)?.mark))?;
        Some(Punts {
            sent: punt.sent,
            dropped: punt.dropped,
            waiting: punt.sent.saturating_sub(punt.taken),
        })
    }

    /// What passed a device in the kernel, as far as pipelines have asked for their counts.
    pub fn port_counts(&self, ifindex: u32) -> PortCounts {
        let mut counts = self.port_counts.get(&ifindex).copied().unwrap_or_default();
        if let Some(hook) = self.hooks.get(&ifindex) {
            counts.rx_dropped += self
                .punts
                .get(slot_of(hook.mark))
                .map_or(0, |punt| punt.dropped);
        }
        counts
    }

    /// Forgets the counters of a device that is gone.
    pub fn take_port_counts(&mut self, ifindex: u32) -> PortCounts {
        self.port_counts.remove(&ifindex).unwrap_or_default()
    }
}
