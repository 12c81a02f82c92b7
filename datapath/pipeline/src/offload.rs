//! Forwarding that goes on without the pipeline: the kernel's fast path, as the pipeline sees it.

use crate::datapath::Translation;
use crate::observe::{Sight, Traffic, Tuple};
use crate::rate::SharedCell;
use std::sync::Arc;
use weft_frame::FlowKey;
use weft_openflow::ObserverMod;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Their bytes, tags included.
    pub bytes: u64,
}

impl Counts {
    /// Adds others.
    pub(crate) fn add(&mut self, more: Counts) {
        self.packets += more.packets;
        self.bytes += more.bytes;
    }
}

/// What a fast path has done at a place where a translation passes a meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metered {
    /// What it has shown to the meter, of the length that packets have there.
    pub shown: Counts,
    /// What the meter has dropped of it, of the length with which packets came in.
    pub dropped: Counts,
}

/// What a fast path has treated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Treated {
    /// All of it, what meters have dropped included.
    pub counts: Counts,
    /// By the translation's passes, in their order; none, if it was nothing.
    pub passes: Vec<Metered>,
}

/// Why a fast path does not take a translation over that it could carry out: there is no room at present.
pub const CROWDED: &str = "no room in the fast path";

/// What a fast path has seen for observers.
#[derive(Clone, Debug)]
pub enum Observed {
    /// It has picked a packet.
    Picked {
        /// Who was shown it.
        sight: Sight,
        /// How often it was picked: its segments are packets of their own.
        times: u32,
        /// Bytes of the frame, of one segment if it has several.
        length: u32,
        /// Outermost tag as it came in, with the present bit; 0: none.
        vlan_in: u16,
        /// The frame's first bytes.
        header: Vec<u8>,
        /// When, in nanoseconds of the monotonic clock.
        at: u64,
    },
    /// It has accounted for packets.
    Accounted {
        /// Who was shown them.
        sight: Sight,
        /// Their flow.
        tuple: Tuple,
        /// What there was of it.
        traffic: Traffic,
    },
    /// What it has counted for an observer.
    Passed {
        /// The observer.
        observer_id: u32,
        /// Packets that could have been picked.
        packets: u64,
        /// Samples lost.
        drops: u64,
        /// Packets that are accounted for nowhere.
        lost: u64,
    },
}

/// Something that treats the packets of cached translations by itself. It knows nothing that the cache does not: what
/// the cache forgets is taken from it at once, so whoever has changed a table and returned may say that it is so.
pub trait FastPath: Send + std::fmt::Debug {
    /// Takes over the packets that agree with `key` on the translation's mask, and gives a handle.
    ///
    /// # Errors
    /// Why it cannot, in a few words: then the packets keep coming to the pipeline.
    fn install(&mut self, key: &FlowKey, translation: &Translation) -> Result<u32, &'static str>;

    /// Whether it had to refuse something as [`CROWDED`] since it was last asked.
    fn take_crowded(&mut self) -> bool {
        false
    }

    /// Says how the observers are set that translations show packets to. No such translation is installed at the moment.
    fn set_observers(&mut self, _observers: &[ObserverMod]) {}

    /// What it has seen for observers since it was last asked: samples or, `all`, accounts and counters too.
    fn take_observed(&mut self, _all: bool) -> Vec<Observed> {
        Vec::new()
    }

    /// Why packets like this frame would keep coming to the pipeline; `None`: `install` would take the translation, and the
    /// packets would be treated. Changes nothing.
    fn refusal(
        &self,
        key: &FlowKey,
        translation: &Translation,
        frame: &[u8],
    ) -> Option<&'static str>;

    /// A cell for a meter that translations pass; `None`: it has none to give.
    fn meter_cell(&mut self) -> Option<Arc<dyn SharedCell>> {
        None
    }

    /// What it has treated since it was last asked (or since the translation was installed).
    fn take_counts(&mut self, handle: u32) -> Treated;

    /// Gives the packets back. When this returns none of them is treated any more; gives what `take_counts` would have.
    fn remove(&mut self, handle: u32) -> Treated;
}
