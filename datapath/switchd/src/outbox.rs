//! What waits to be written to one OpenFlow connection.
//!
//! The switch thread puts messages in and never waits. At the end of its round it writes them itself, as far as the
//! socket takes them at once ([`Outbox::flush`]): an answer then needs no other thread to wake up. What the socket
//! does not take, and all that goes through TLS, the connection's writer takes out. A peer that reads slowly is kept
//! from hurting anybody else:
//!
//! * Packet-ins beyond [`PACKET_IN_LIMIT`] are dropped and counted. Each port has its own queue and they are served in
//!   turn; when all is full the longest queue loses one, so a port that floods cannot silence the others.
//! * Replies stop the reader: while more than [`REPLY_ROOM`] wait, no further request of that peer is read, and long
//!   replies are produced part by part as room appears.
//! * What is left (port status, flow removed) cannot be held back; a peer that lets [`HARD_LIMIT`] messages pile up is
//!   disconnected.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// Packet-ins that may wait on one connection.
pub const PACKET_IN_LIMIT: usize = 1024;
/// Messages other than packet-ins that may wait before requests are held back.
pub const REPLY_ROOM: usize = 64;
/// Messages of one round that the switch thread writes itself.
const FRESH_LIMIT: usize = 256;
/// Messages that may wait before the peer is given up.
pub const HARD_LIMIT: usize = 1 << 17;

/// The queue between the switch thread and one connection's writer.
#[derive(Debug)]
pub struct Outbox<M> {
    inner: Mutex<Inner<M>>,
    /// The socket, if bytes go by it as they are.
    socket: Option<Arc<OwnedFd>>,
    filled: Notify,
    drained: Notify,
    returned: Notify,
}

#[derive(Debug)]
struct Inner<M> {
    /// Of this round of the switch thread; they go before `messages`.
    fresh: Vec<M>,
    /// The writer has messages in its hands: until it comes back nobody else may write.
    writing: bool,
    messages: VecDeque<M>,
    packet_ins: FairQueue<M>,
    closed: bool,
    /// A long reply is being produced.
    busy: bool,
    /// What the switch thread has read and not handled, when it reads no more.
    unread: Option<Vec<u8>>,
    /// When the switch thread last read something.
    heard: Option<Instant>,
}

impl<M> Outbox<M> {
    /// An outbox. `socket`, if there is one, is where [`Outbox::flush`] may write.
    pub fn new(socket: Option<Arc<OwnedFd>>) -> Self {
        let inner = Inner {
            fresh: Vec::new(),
            writing: false,
            messages: VecDeque::new(),
            packet_ins: FairQueue::default(),
            closed: false,
            busy: false,
            unread: None,
            heard: None,
        };
        Outbox {
            inner: Mutex::new(inner),
            socket,
            filled: Notify::new(),
            drained: Notify::new(),
            returned: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // A panic elsewhere leaves at worst a message in or out; the queues themselves are sound.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The socket, if bytes go by it as they are.
    pub fn socket(&self) -> Option<&OwnedFd> {
        self.socket.as_deref()
    }

    /// The switch thread has read something.
    pub fn hear(&self, now: Instant) {
        self.lock().heard = Some(now);
    }

    /// When the switch thread last read something.
    pub fn heard(&self) -> Option<Instant> {
        self.lock().heard
    }

    /// The switch thread reads no more; these bytes it has not handled.
    pub fn give_back(&self, unread: Vec<u8>) {
        self.lock().unread = Some(unread);
        self.returned.notify_one();
    }

    /// Waits until the switch thread reads no more; what it has read and not handled.
    pub async fn given_back(&self) -> Vec<u8> {
        loop {
            if let Some(unread) = self.lock().unread.take() {
                return unread;
            }
            self.returned.notified().await;
        }
    }

    /// Queues a message. A peer that let too many pile up is closed instead.
    pub fn push(&self, message: M) {
        let mut inner = self.lock();
        if inner.closed {
            return;
        }
        if self.socket.is_some() && inner.is_idle() {
            inner.fresh.push(message);
            return;
        }
        inner.leave_to_writer(message);
        drop(inner);
        self.filled.notify_one();
    }

    /// Queues a message of another thread than the switch's: there is no end of a round to come that would write it.
    pub fn push_aside(&self, message: M) {
        let mut inner = self.lock();
        if !inner.closed {
            inner.leave_to_writer(message);
        }
        drop(inner);
        self.filled.notify_one();
    }

    /// Queues a packet-in from a port; false if one (this or another) was dropped for it.
    pub fn push_packet_in(&self, port: u32, message: M) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return true;
        }
        if self.socket.is_some() && inner.is_idle() {
            inner.fresh.push(message);
            return true;
        }
        let kept = inner.packet_ins.push(port, message);
        drop(inner);
        self.filled.notify_one();
        kept
    }

    /// Lets `write` send the messages of this round; what it could not send it gives back.
    pub fn flush(&self, write: impl FnOnce(BorrowedFd<'_>, &[M]) -> Option<M>) {
        let Some(socket) = &self.socket else {
            return;
        };
        let mut inner = self.lock();
        if inner.fresh.is_empty() {
            return;
        }
        let rest = write(socket.as_fd(), &inner.fresh);
        inner.fresh.clear();
        if let Some(rest) = rest {
            inner.messages.push_front(rest);
            drop(inner);
            self.filled.notify_one();
        }
    }

    /// Says whether a long reply is being produced, part by part; until it is complete no request is read.
    pub fn set_busy(&self, busy: bool) {
        self.lock().busy = busy;
        if !busy {
            self.drained.notify_one();
        }
    }

    /// Whether another reply, or another part of a long one, may be put in.
    pub fn has_room(&self) -> bool {
        self.lock().waiting() < REPLY_ROOM
    }

    /// Closes: what waits is dropped, the writer ends.
    pub fn close(&self) {
        self.lock().close();
        self.filled.notify_one();
        self.drained.notify_one();
    }

    /// Closes once what waits has been written.
    pub fn finish(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
        self.drained.notify_one();
    }

    /// Waits for something and moves up to `limit` messages to `batch`, replies before packet-ins; `None` when closed
    /// and empty. True: requests were held back until now.
    pub async fn take(&self, batch: &mut Vec<M>, limit: usize) -> Option<bool> {
        loop {
            {
                let mut inner = self.lock();
                inner.writing = false;
                let before = inner.waiting();
                batch.append(&mut inner.fresh);
                while batch.len() < limit {
                    match inner
                        .messages
                        .pop_front()
                        .or_else(|| inner.packet_ins.pop())
                    {
                        Some(message) => batch.push(message),
                        None => break,
                    }
                }
                let made_room = before >= REPLY_ROOM && inner.messages.len() < REPLY_ROOM;
                if !batch.is_empty() {
                    inner.writing = true;
                    drop(inner);
                    self.drained.notify_one();
                    return Some(made_room);
                }
                if inner.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }

    /// Waits until requests of this peer may be read again.
    pub async fn wait_for_room(&self) {
        loop {
            {
                let inner = self.lock();
                if inner.closed || (!inner.busy && inner.waiting() < REPLY_ROOM) {
                    return;
                }
            }
            self.drained.notified().await;
        }
    }
}

impl<M> Inner<M> {
    /// Messages other than packet-ins that wait.
    fn waiting(&self) -> usize {
        self.fresh.len() + self.messages.len()
    }

    /// Whether nothing is left for the writer, so that what is written now is in its place.
    fn is_idle(&self) -> bool {
        !self.writing
            && self.messages.is_empty()
            && self.packet_ins.length == 0
            && self.fresh.len() < FRESH_LIMIT
    }

    fn leave_to_writer(&mut self, message: M) {
        if self.messages.len() >= HARD_LIMIT {
            self.close();
        } else {
            self.messages.push_back(message);
        }
    }

    fn close(&mut self) {
        self.closed = true;
        self.fresh.clear();
        self.messages.clear();
        self.packet_ins = FairQueue::default();
    }
}

/// Queues by port, served in turn.
#[derive(Debug)]
struct FairQueue<M> {
    queues: BTreeMap<u32, VecDeque<M>>,
    length: usize,
    /// The port served last.
    last: u32,
}

impl<M> Default for FairQueue<M> {
    fn default() -> Self {
        FairQueue {
            queues: BTreeMap::new(),
            length: 0,
            last: 0,
        }
    }
}

impl<M> FairQueue<M> {
    fn push(&mut self, port: u32, message: M) -> bool {
        let full = self.length >= PACKET_IN_LIMIT;
        if full {
            let longest = self
                .queues
                .iter()
                .max_by_key(|(_, queue)| queue.len())
                .map(|(port, _)| *port);
            let mine = self.queues.get(&port).map_or(0, VecDeque::len);
            match longest {
                // The newest of the longest queue goes, so that what is being answered stays in order.
                Some(other) if self.queues.get(&other).map_or(0, VecDeque::len) > mine + 1 => {
                    if let Some(queue) = self.queues.get_mut(&other) {
                        queue.pop_back();
                        self.length -= 1;
                    }
                }
                _ => return false,
            }
        }
        self.queues.entry(port).or_default().push_back(message);
        self.length += 1;
        !full
    }

    fn pop(&mut self) -> Option<M> {
        let after = self
            .queues
            .range(self.last.saturating_add(1)..)
            .next()
            .map(|(port, _)| *port);
        let port = after.or_else(|| self.queues.keys().next().copied())?;
        self.last = port;
        let queue = self.queues.get_mut(&port)?;
        let message = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(&port);
        }
        self.length -= usize::from(message.is_some());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flooding_port_does_not_silence_the_others() {
        let mut queue = FairQueue::default();
        for n in 0..PACKET_IN_LIMIT {
            assert!(queue.push(1, (1, n)));
        }
        assert!(!queue.push(1, (1, PACKET_IN_LIMIT)));
        // The others get in at the flooder's expense …
        for n in 0..10 {
            assert!(!queue.push(2, (2, n)));
            assert!(!queue.push(3, (3, n)));
        }
        assert_eq!(queue.length, PACKET_IN_LIMIT);
        // … and are served in turn, each in order.
        let order: Vec<_> = (0..9).map_while(|_| queue.pop()).collect();
        assert_eq!(
            order,
            [
                (1, 0),
                (2, 0),
                (3, 0),
                (1, 1),
                (2, 1),
                (3, 1),
                (1, 2),
                (2, 2),
                (3, 2)
            ]
        );
        while queue.pop().is_some() {}
        assert_eq!(queue.length, 0);
        assert!(queue.queues.is_empty());
    }

    #[tokio::test]
    async fn replies_go_before_packet_ins_and_hold_requests_back() {
        let outbox = Outbox::new(None);
        outbox.push_packet_in(1, 1000);
        for n in 0..REPLY_ROOM {
            assert!(outbox.has_room());
            outbox.push(n);
        }
        assert!(!outbox.has_room());
        let mut batch = Vec::new();
        assert_eq!(outbox.take(&mut batch, 1).await, Some(true));
        assert_eq!(batch, [0]);
        outbox.wait_for_room().await;
        batch.clear();
        outbox.finish();
        assert_eq!(outbox.take(&mut batch, 1000).await, Some(false));
        assert_eq!(batch.last(), Some(&1000));
        batch.clear();
        assert_eq!(outbox.take(&mut batch, 1000).await, None);
    }

    /// Some descriptor: what is done with it is the test's own.
    fn socket() -> Option<Arc<OwnedFd>> {
        let null = std::fs::File::open("/dev/null").ok()?;
        Some(Arc::new(null.into()))
    }

    #[tokio::test]
    async fn what_the_socket_does_not_take_goes_before_what_came_later() {
        let outbox = Outbox::new(socket());
        outbox.push(1);
        outbox.push_packet_in(1, 2);
        outbox.push(3);
        outbox.flush(|_, fresh| {
            assert_eq!(fresh, [1, 2, 3]);
            Some(23)
        });
        outbox.push(4);
        // The writer is behind: not written out of turn.
        outbox.flush(|_, fresh| panic!("{fresh:?} is too early"));
        let mut batch = Vec::new();
        assert_eq!(outbox.take(&mut batch, 10).await, Some(false));
        assert_eq!(batch, [23, 4]);
        // It has not come back, so it may still be writing.
        outbox.push(5);
        outbox.flush(|_, fresh| panic!("{fresh:?} is too early"));
        batch.clear();
        assert_eq!(outbox.take(&mut batch, 10).await, Some(false));
        assert_eq!(batch, [5]);
    }

    #[tokio::test]
    async fn what_comes_from_aside_waits_for_no_round() {
        let outbox = Outbox::new(socket());
        outbox.push_aside(1);
        let mut batch = Vec::new();
        assert_eq!(outbox.take(&mut batch, 10).await, Some(false));
        assert_eq!(batch, [1]);
    }

    #[tokio::test]
    async fn a_long_round_is_left_to_the_writer_in_order() {
        let outbox = Outbox::new(socket());
        for n in 0..FRESH_LIMIT + 5 {
            outbox.push(n);
        }
        let mut batch = Vec::new();
        assert_eq!(outbox.take(&mut batch, 2 * FRESH_LIMIT).await, Some(true));
        assert!(batch.iter().copied().eq(0..FRESH_LIMIT + 5));
    }

    #[test]
    fn a_peer_that_never_reads_is_given_up() {
        let outbox = Outbox::new(None);
        for n in 0..=HARD_LIMIT {
            outbox.push(n);
        }
        assert!(outbox.lock().closed);
        assert!(outbox.lock().messages.is_empty());
    }
}
