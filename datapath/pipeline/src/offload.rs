//! Forwarding that goes on without the pipeline: the kernel's fast path, as the pipeline sees it.

use crate::datapath::Translation;
use weft_frame::FlowKey;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Their bytes, tags included.
    pub bytes: u64,
}

/// Why a fast path does not take a translation over that it could carry out: there is no room at present.
pub const CROWDED: &str = "no room in the fast path";

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

    /// What it has treated since it was last asked (or since the translation was installed).
    fn take_counts(&mut self, handle: u32) -> Counts;

    /// Gives the packets back. When this returns none of them is treated any more; gives what `take_counts` would have.
    fn remove(&mut self, handle: u32) -> Counts;
}
