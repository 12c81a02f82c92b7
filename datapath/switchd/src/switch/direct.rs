//! Requests that the switch thread reads itself.
//!
//! A peer that waits for each answer, as `ovs-ofctl` does behind each flow-mod, waits for every thread on the way. So while
//! little comes by a connection without TLS, this thread reads it. What is more than [`SMALL`], cut in the middle of a
//! message, the end of the stream, or not to be read before an answer has left is left to the connection's own reader, which
//! gives the socket back once nothing has come for a moment (`control/connection.rs`). One of the two reads, never both.

use std::sync::Arc;
use std::time::Instant;

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use weft_agent::ConnId;

use super::{CONNECTIONS, Switch};
use crate::outbox::Outbox;
use crate::wire::{self, Frame, Outgoing};

/// Bytes read at once; whoever sends more does not wait for each answer.
const SMALL: usize = 4096;

impl Switch {
    /// Takes over reading a connection.
    pub(super) fn read_directly(&mut self, conn: ConnId) {
        let outbox = self
            .bridge_of(conn)
            .and_then(|bridge| bridge.io.outboxes.get(&conn).cloned());
        let Some(outbox) = outbox else {
            // Being closed: what is still to be written its writer writes.
            return;
        };
        let added = outbox.socket().map(|socket| {
            let token = epoll::EventData::new_u64(CONNECTIONS | conn.0);
            epoll::add(&self.epoll, socket, token, epoll::EventFlags::IN)
        });
        match added {
            Some(Ok(())) => {
                self.direct.insert(conn, outbox);
            }
            _ => outbox.give_back(Vec::new()),
        }
    }

    /// Reads what has come by a connection, and handles it.
    pub(super) fn read_requests(&mut self, conn: ConnId) {
        let Some(outbox) = self.direct.get(&conn).cloned() else {
            return;
        };
        let Some(socket) = outbox.socket() else {
            return;
        };
        let mut bytes = [0; SMALL];
        let length = match recv(socket, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return,
            // The connection's reader meets it too, and says so.
            Err(_) => 0,
        };
        outbox.hear(Instant::now());
        let mut taken = 0;
        let mut goes_on = true;
        while goes_on && let Frame::Whole(message) = wire::next_frame(&bytes[taken..length]) {
            self.handle(conn, wire::read(&bytes[taken..taken + message]));
            taken += message;
            goes_on = self.keeps_up(conn, &outbox);
        }
        if !goes_on || length == 0 || taken < length || length == SMALL {
            self.stop_reading(conn);
            outbox.give_back(bytes[taken..length].to_vec());
        }
    }

    /// Whether the next request of a connection may be handled at once.
    fn keeps_up(&mut self, conn: ConnId, outbox: &Arc<Outbox<Outgoing>>) -> bool {
        let open = self.bridge_of(conn).is_some_and(|bridge| {
            bridge.io.outboxes.contains_key(&conn) && !bridge.agent.is_busy(conn)
        });
        open && outbox.has_room()
    }

    /// Reads a connection no more.
    pub(super) fn stop_reading(&mut self, conn: ConnId) {
        if let Some(outbox) = self.direct.remove(&conn)
            && let Some(socket) = outbox.socket()
        {
            // It was added.
            let _ = epoll::delete(&self.epoll, socket);
        }
    }
}
