//! The kernel as a bridge's pipeline sees it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use weft_frame::FlowKey;
use weft_pipeline::{FastPath, Observed, ObserverMod, SharedCell, Translation, Treated};

use crate::kernel::Kernel;

/// What one bridge's pipeline hands its cached translations to.
#[derive(Debug)]
pub struct BridgePath {
    kernel: Arc<Mutex<Kernel>>,
    /// Number of the bridge within the process.
    bridge: u32,
    /// How often there had been no room for a flow when last asked.
    seen_lacks: u64,
}

impl BridgePath {
    /// For the bridge of that number.
    pub fn new(kernel: Arc<Mutex<Kernel>>, bridge: u32) -> BridgePath {
        BridgePath {
            kernel,
            bridge,
            seen_lacks: 0,
        }
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        // What a thread that failed has left is as good as before: every call leaves it whole.
        self.kernel
            .lock()
            .unwrap_or_else(|error| error.into_inner())
    }
}

impl FastPath for BridgePath {
    fn install(&mut self, key: &FlowKey, translation: &Translation) -> Result<u32, &'static str> {
        self.kernel().install(self.bridge, key, translation)
    }

    fn take_crowded(&mut self) -> bool {
        // A lack concerns all bridges: whoever has idle flows can help.
        let lacks = self.kernel().lacks();
        std::mem::replace(&mut self.seen_lacks, lacks) != lacks
    }

    fn set_observers(&mut self, observers: &[ObserverMod]) {
        self.kernel()
            .observing
            .set_observers(self.bridge, observers);
    }

    fn take_observed(&mut self, all: bool) -> Vec<Observed> {
        let mut kernel = self.kernel();
        kernel.observing.fetch(all);
        kernel.observing.take(self.bridge)
    }

    fn refusal(
        &self,
        key: &FlowKey,
        translation: &Translation,
        frame: &[u8],
    ) -> Option<&'static str> {
        self.kernel().refusal(self.bridge, key, translation, frame)
    }

    fn meter_cell(&mut self) -> Option<Arc<dyn SharedCell>> {
        self.kernel().metering.lend(Instant::now())
    }

    fn take_counts(&mut self, handle: u32) -> Treated {
        self.kernel().take_counts(handle)
    }

    fn remove(&mut self, handle: u32) -> Treated {
        self.kernel().remove(handle)
    }
}
