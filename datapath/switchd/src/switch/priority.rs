//! The switch thread's priority.

use rustix::process::{getpid, getsid, setpriority_process};

/// Niceness of the switch thread. What it may do by it for frames that nobody knows is limited: see `share.rs`.
const NICENESS: i32 = -10;

/// As Open vSwitch's own start script does: hosts that keep the machine busy must not starve their switch. Priorities are
/// per thread on Linux, so this is the calling thread's alone.
pub fn raise() {
    if let Err(error) = setpriority_process(None, NICENESS) {
        tracing::info!(%error, "the switch thread keeps the usual priority (CAP_SYS_NICE is missing)");
    }
    share_session();
}

/// Where the kernel shares the processors out among sessions (autogroups, sched(7)), niceness counts within a session only, so
/// the session itself needs the priority. It is set only if this process began it, as the supervisor has it do: a shell's is
/// not ours to change.
fn share_session() {
    if getsid(None).is_ok_and(|session| session == getpid()) {
        // Without autogroups there is no such file, and no need of it.
        if let Err(error) = std::fs::write("/proc/self/autogroup", NICENESS.to_string()) {
            tracing::debug!(%error, "the session keeps its priority");
        }
    }
}
