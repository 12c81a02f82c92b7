//! Closing packet sockets where nobody waits for it.
//!
//! The kernel ends a packet socket by waiting until no processor can be using it any more: an RCU grace period, 10 to
//! 20 ms. A switch that removes a thousand ports would forward nothing for as many times that, so the descriptors go to
//! threads of their own. Several, since grace periods that are waited for together are one and the same.

use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

const THREADS: usize = 16;

/// Descriptors that are not closed yet.
static OPEN: Mutex<usize> = Mutex::new(0);
static ALL_CLOSED: Condvar = Condvar::new();

/// Closes the descriptor soon.
pub(crate) fn close_aside(fd: OwnedFd) {
    static CLOSERS: OnceLock<Sender<OwnedFd>> = OnceLock::new();
    count(1);
    // Where there is no thread, the send gives the descriptor back, and it is closed here and now.
    if let Err(unsent) = CLOSERS.get_or_init(start).send(fd) {
        drop(unsent);
        count(-1);
    }
}

/// Waits until all that was given to be closed is, or until the time is over. A process that ends with descriptors open
/// has them closed one after the other.
pub fn wait_until_closed(timeout: Duration) {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    // What is still open then, the end of the process closes.
    drop(ALL_CLOSED.wait_timeout_while(open, timeout, |open| *open > 0));
}

fn count(change: isize) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    *open = open.saturating_add_signed(change);
    if *open == 0 {
        ALL_CLOSED.notify_all();
    }
}

fn start() -> Sender<OwnedFd> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..THREADS {
        let receiver = Arc::clone(&receiver);
        let started = thread::Builder::new()
            .name("closer".to_owned())
            .spawn(move || close_all(&receiver));
        if let Err(error) = started {
            tracing::debug!(%error, "no thread for closing sockets");
        }
    }
    sender
}

fn close_all(receiver: &Mutex<Receiver<OwnedFd>>) {
    loop {
        // The lock is given up before the descriptor is closed.
        let Ok(Ok(fd)) = receiver.lock().map(|queue| queue.recv()) else {
            return;
        };
        drop(fd);
        count(-1);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    #[test]
    fn descriptors_are_closed() {
        let (mut here, there) = UnixStream::pair().unwrap();
        super::close_aside(OwnedFd::from(there));
        // The end of the stream comes when its other side is closed, and only then.
        assert_eq!(here.read(&mut [0; 1]).unwrap(), 0);
        super::wait_until_closed(Duration::from_secs(10));
        assert_eq!(*super::OPEN.lock().unwrap(), 0);
    }
}
