//! The switch thread's share of the processors.

use rustix::process::{getpid, getsid, setpriority_process};

/// Niceness of the switch thread, and where it goes while it cannot keep up with what the fast path leaves to it: whoever
/// causes that must not take the processors from the traffic that the kernel forwards, which counts as its senders' work.
const NICENESS: [i32; 3] = [-10, 0, 5];
/// So many ticks in a row at each step: many flows that begin at once are no flood.
const TICKS: usize = 2;

/// What the thread has asked for.
#[derive(Debug, Default)]
pub struct Priority {
    raised: bool,
    step: usize,
    /// Ticks in a row in which more came than could be treated.
    flooded: usize,
}

impl Priority {
    /// As Open vSwitch's own start script does: hosts that keep the machine busy must not starve their switch. Priorities are
    /// per thread on Linux, so this is the calling thread's alone.
    pub fn raise(&mut self) {
        match setpriority_process(None, NICENESS[0]) {
            Ok(_) => self.raised = true,
            Err(error) => {
                tracing::info!(%error, "the switch thread keeps the usual priority (CAP_SYS_NICE is missing)");
            }
        }
        share_session(NICENESS[0]);
    }

    /// A tick: whether more came since the last one than could be treated. The thread steps back by and by, and comes
    /// forward at once.
    pub fn tick(&mut self, flooded: bool) {
        self.flooded = if flooded { self.flooded + 1 } else { 0 };
        let step = (self.flooded / TICKS).min(NICENESS.len() - 1);
        if !self.raised || step == self.step {
            return;
        }
        if self.step == 0 {
            tracing::warn!(
                "more frames without a known flow than can be treated: they have to wait for the others"
            );
        } else if step == 0 {
            tracing::info!("frames without a known flow are treated at once again");
        }
        self.step = step;
        if let Err(error) = setpriority_process(None, NICENESS[step]) {
            tracing::debug!(%error, "the priority stays");
        }
        share_session(NICENESS[step]);
    }
}

/// Where the kernel shares the processors out among sessions (autogroups, sched(7)), niceness counts within a session only, so
/// the session itself needs the priority. It is set only if this process began it, as the supervisor has it do: a shell's is
/// not ours to change.
fn share_session(niceness: i32) {
    if getsid(None).is_ok_and(|session| session == getpid()) {
        // Without autogroups there is no such file, and no need of it.
        if let Err(error) = std::fs::write("/proc/self/autogroup", niceness.to_string()) {
            tracing::debug!(%error, "the session keeps its priority");
        }
    }
}
