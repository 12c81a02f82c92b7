//! Committing a bundle (ONF EXT-230): all of its messages in order, or none.
//!
//! Nothing leaves the switch until all have succeeded, and no packet meets a part of them, so the change is atomic for
//! packets whether that was asked for or not. On failure the failing message is answered with its own error, then the
//! commit with `ONFBFC_MSG_FAILED`.
//!
//! A bundle of many flow-mods is committed in pieces (`Agent::resume`). Between them packets that are known go on as
//! before it; others wait until it is done. So do all messages of all connections: nobody sees a half of it.

use weft_frame::Packet;
use weft_openflow::{Body, BundleControl, BundleControlType, ErrorCode, Message, OfError};

use crate::agent::Agent;
use crate::config::ConnId;
use crate::dispatch::{error_message, quote};
use crate::host::{Host, Nanos};
use crate::outlet::Outlet;
use crate::recorder::Recorder;

/// Messages done in one piece: packets wait for the length of it. Smaller bundles are committed at once.
const PIECE: usize = 64;
/// Messages told to the shell in one piece.
const TOLD_PIECE: usize = 256;
/// Packets that may wait, and their bytes together: beyond, the rest is done in one piece.
const MAX_WAITING: usize = 4096;
const MAX_WAITING_BYTES: usize = 16 << 20;

/// A bundle that is being committed.
pub(crate) struct Commit {
    /// Who asked for it.
    pub conn: ConnId,
    xid: u32,
    control: BundleControl,
    messages: Vec<Message>,
    /// How many of them are done.
    done: usize,
    /// When all are: those of which the shell has not been told.
    untold: std::vec::IntoIter<Message>,
    /// When it began: that is when it happens.
    at: Nanos,
    waiting: Vec<(u32, Packet)>,
    waiting_bytes: usize,
}

/// The reply to a request to commit.
fn reply(control: &BundleControl) -> Body {
    Body::BundleControl(BundleControl {
        control_type: BundleControlType::CommitReply,
        properties: Vec::new(),
        ..control.clone()
    })
}

impl Agent {
    /// Whether a bundle is being committed: the agent is waiting for [`Agent::resume`].
    pub fn is_committing(&self) -> bool {
        self.commit.is_some()
    }

    /// Commits messages, or begins to. What is to be answered now is the result.
    pub(crate) fn commit(
        &mut self,
        conn: ConnId,
        xid: u32,
        control: &BundleControl,
        messages: Vec<Message>,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Result<Vec<Body>, OfError> {
        self.publish_removed(host);
        let only_flows = messages
            .iter()
            .all(|message| matches!(message.body, Body::FlowMod(_)));
        if only_flows && messages.len() > PIECE {
            self.pipeline.begin_open();
            self.commit = Some(Commit {
                conn,
                xid,
                control: control.clone(),
                messages,
                done: 0,
                untold: Vec::new().into_iter(),
                at: now,
                waiting: Vec::new(),
                waiting_bytes: 0,
            });
            return Ok(Vec::new());
        }
        let ports = self.ports.clone();
        let mut recorder = Recorder::default();
        self.pipeline.begin();
        for message in &messages {
            let Err(error) = self.modify(conn, &message.body, now, &mut recorder) else {
                continue;
            };
            self.pipeline.rollback();
            drop(self.pipeline.take_removed());
            self.restore_ports(ports);
            return Err(failed(conn, message, error, host));
        }
        self.pipeline.commit();
        let bodies = messages.iter().map(|message| &message.body);
        self.tell_changed(conn, bodies, false, now, host);
        recorder.replay(host);
        Ok(vec![reply(control)])
    }

    /// Does a piece of the commit that is under way. First all is done, then it is told to the shell, then it is true.
    pub(crate) fn continue_commit(&mut self, now: Nanos, host: &mut dyn Host) {
        let Some(mut commit) = self.commit.take() else {
            return;
        };
        let (conn, total) = (commit.conn, commit.messages.len());
        if commit.done < total {
            let end = total.min(commit.done + PIECE);
            for message in &commit.messages[commit.done..end] {
                if let Err(error) = self.modify(conn, &message.body, commit.at, host) {
                    self.pipeline.rollback();
                    drop(self.pipeline.take_removed());
                    let error = failed(conn, message, error, host);
                    return self.end_commit(commit, Err(error), now, host);
                }
            }
            commit.done = end;
            if end == total {
                commit.untold = std::mem::take(&mut commit.messages).into_iter();
            }
        } else {
            let piece: Vec<Message> = commit.untold.by_ref().take(TOLD_PIECE).collect();
            let more = commit.untold.len() > 0;
            let bodies = piece.iter().map(|message| &message.body);
            self.tell_changed(conn, bodies, more, commit.at, host);
            if !more {
                self.pipeline.commit();
                return self.end_commit(commit, Ok(()), now, host);
            }
        }
        self.commit = Some(commit);
    }

    /// Lets those go on that have waited.
    fn end_commit(
        &mut self,
        commit: Commit,
        outcome: Result<(), OfError>,
        now: Nanos,
        host: &mut dyn Host,
    ) {
        self.publish_removed(host);
        let Commit {
            conn, xid, control, ..
        } = commit;
        let answer = match outcome {
            Ok(()) => Message {
                xid,
                body: reply(&control),
            },
            Err(error) => {
                let request = Message {
                    xid,
                    body: Body::BundleControl(control),
                };
                error_message(xid, &quote(error, &request))
            }
        };
        host.send(conn, answer);
        for (in_port, mut packet) in commit.waiting {
            self.packet(in_port, &mut packet, now, host);
        }
    }

    /// Does all that is left of a commit: something cannot wait for it.
    pub fn settle(&mut self, now: Nanos, host: &mut dyn Host) {
        while self.commit.is_some() {
            self.continue_commit(now, host);
        }
    }

    /// A packet that comes while a bundle is being committed.
    pub(crate) fn packet_meanwhile(
        &mut self,
        in_port: u32,
        packet: &mut Packet,
        now: Nanos,
        host: &mut dyn Host,
    ) {
        let mut outlet = Outlet {
            connections: &self.connections,
            program_table: self.config.program_table,
            host,
        };
        if self
            .pipeline
            .process_known(packet, in_port, now, &mut outlet)
        {
            return;
        }
        let Some(commit) = &mut self.commit else {
            return;
        };
        commit.waiting_bytes += packet.len();
        commit.waiting.push((in_port, packet.clone()));
        if commit.waiting.len() >= MAX_WAITING || commit.waiting_bytes >= MAX_WAITING_BYTES {
            self.settle(now, host);
        }
    }

    fn restore_ports(&mut self, ports: crate::ports::Ports) {
        let changed: Vec<u32> = self
            .ports
            .iter()
            .filter(|entry| {
                ports
                    .get(entry.port.port_no)
                    .is_some_and(|old| old.port != entry.port)
            })
            .map(|entry| entry.port.port_no)
            .collect();
        self.ports = ports;
        for number in changed {
            self.apply_port(number);
        }
    }
}

/// Answers the message that failed; the error that answers the commit.
fn failed(conn: ConnId, message: &Message, error: OfError, host: &mut dyn Host) -> OfError {
    let detail = format!("{}: {}", error.code, error.detail);
    host.send(conn, error_message(message.xid, &quote(error, message)));
    OfError::new(ErrorCode::BundleFailedMsgFailed, detail)
}
