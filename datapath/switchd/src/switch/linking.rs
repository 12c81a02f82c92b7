//! A thread that puts the fast path's program on devices.
//!
//! The kernel takes some 10 ms for each, with its lock on all devices held. Ports work without the program meanwhile, in
//! user space; and while ports come up one after the other the thread waits, so as not to hold them up.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use weft_fastpath::{Error, Link, Linker};
use weft_netdev::Stopped;

/// No port has come up for so long: go to work.
const PAUSE: Duration = Duration::from_millis(100);
/// But wait no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that takes long.
pub enum Task {
    /// Put the program on a device.
    Link {
        ifindex: u32,
        name: String,
        is_internal: bool,
    },
    /// Take a packet socket out of the way of a device that the kernel has taken over.
    End(Stopped),
}

/// A device has the program now, or why not.
pub struct Linked {
    pub ifindex: u32,
    pub is_internal: bool,
    pub result: Result<Link, Error>,
}

/// Starts the thread. It writes to `wake` when there is something to receive.
pub fn start(linker: Linker, wake: Arc<OwnedFd>) -> io::Result<(Sender<Task>, Receiver<Linked>)> {
    let (tasks, waiting) = channel();
    let (done, results) = channel();
    std::thread::Builder::new()
        .name("fastpath".to_owned())
        .spawn(move || work(linker, &waiting, &done, &wake))?;
    Ok((tasks, results))
}

/// Works until nobody has anything to ask any more.
fn work(mut linker: Linker, waiting: &Receiver<Task>, done: &Sender<Linked>, wake: &OwnedFd) {
    while let Ok(first) = waiting.recv() {
        let patience = Instant::now() + PATIENCE;
        let mut tasks = vec![first];
        loop {
            match waiting.recv_timeout(PAUSE) {
                Ok(task) => tasks.push(task),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() > patience {
                break;
            }
        }
        for task in tasks {
            match task {
                Task::Link {
                    ifindex,
                    name,
                    is_internal,
                } => {
                    let linked = Linked {
                        ifindex,
                        is_internal,
                        result: linker.link(ifindex, &name, is_internal),
                    };
                    if done.send(linked).is_err() {
                        return;
                    }
                    // It fails only when the counter is full, in which case the thread is awake anyway.
                    let _ = rustix::io::write(wake, &1u64.to_ne_bytes());
                }
                Task::End(stopped) => {
                    if let Err(error) = stopped.end() {
                        tracing::debug!(%error, "a socket stays in the way of its device");
                    }
                }
            }
        }
    }
}
