//! Committing a bundle (ONF EXT-230): all of its messages in order, or none.
//!
//! Nothing leaves the switch until all have succeeded, and no packet meets a part of them, so the change is atomic for
//! packets whether that was asked for or not. On failure the failing message is answered with its own error, then the
//! commit with `ONFBFC_MSG_FAILED`.
//!
//! A bundle of many flow-mods is committed in pieces (`Agent::resume`). Between them packets that are known go on as
//! before it; others wait until it is done. So do all messages of all connections: nobody sees a half of it. The same is
//! done with a flow-mod that deletes many flows.

use weft_frame::Packet;
use weft_openflow::{Body, BundleControl, BundleControlType, ErrorCode, Message, OfError};
use weft_pipeline::Removal;

use crate::agent::Agent;
use crate::config::ConnId;
use crate::dispatch::{error_message, quote};
use crate::host::{Host, Nanos};
use crate::modify::check_buffer;
use crate::outlet::Outlet;
use crate::recorder::Recorder;

/// Messages done in one piece: packets wait for the length of it. Smaller bundles are committed at once.
const PIECE: usize = 64;
/// Messages told to the shell in one piece.
const TOLD_PIECE: usize = 256;
/// Packets that may wait, and their bytes together: beyond, the rest is done in one piece.
const MAX_WAITING: usize = 4096;
const MAX_WAITING_BYTES: usize = 16 << 20;

/// A change that is being made in pieces.
pub(crate) struct Commit {
    /// Who asked for it.
    pub conn: ConnId,
    work: Work,
    /// When it began: that is when it happens.
    at: Nanos,
    waiting: Vec<(u32, Packet)>,
    waiting_bytes: usize,
}

enum Work {
    Bundle(Bundle),
    /// By this flow-mod.
    Removal(Box<Removal>, Body),
}

struct Bundle {
    xid: u32,
    control: BundleControl,
    messages: Vec<Message>,
    /// How many of them are done.
    done: usize,
    /// When all are: those of which the shell has not been told.
    untold: std::vec::IntoIter<Message>,
}

impl Commit {
    fn new(conn: ConnId, work: Work, at: Nanos) -> Commit {
        Commit {
            conn,
            work,
            at,
            waiting: Vec::new(),
            waiting_bytes: 0,
        }
    }
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
    /// Whether a change is being made in pieces: the agent is waiting for [`Agent::resume`].
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
            let bundle = Bundle {
                xid,
                control: control.clone(),
                messages,
                done: 0,
                untold: Vec::new().into_iter(),
            };
            self.commit = Some(Commit::new(conn, Work::Bundle(bundle), now));
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
        self.tell_expired(now, host);
        let bodies = messages.iter().map(|message| &message.body);
        self.tell_changed(conn, bodies, false, now, host);
        recorder.replay(host);
        Ok(vec![reply(control)])
    }

    /// Begins to delete many flows, if that is what a message asks for; it is taken then.
    pub(crate) fn begin_removal(
        &mut self,
        conn: ConnId,
        body: &mut Body,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Result<bool, OfError> {
        let Body::FlowMod(flow_mod) = &*body else {
            return Ok(false);
        };
        check_buffer(flow_mod.buffer_id)?;
        let owner = self.owner(conn);
        let Some(removal) = self.pipeline.begin_removal(owner, flow_mod, now)? else {
            return Ok(false);
        };
        self.publish_removed(host);
        let body = std::mem::replace(body, Body::BarrierRequest);
        self.commit = Some(Commit::new(
            conn,
            Work::Removal(Box::new(removal), body),
            now,
        ));
        Ok(true)
    }

    /// Does a piece of the change that is under way. First all is done, then it is told to the shell, then it is true.
    pub(crate) fn continue_commit(&mut self, now: Nanos, host: &mut dyn Host) {
        let Some(mut commit) = self.commit.take() else {
            return;
        };
        let (conn, at) = (commit.conn, commit.at);
        let ended = match &mut commit.work {
            Work::Bundle(bundle) => self.continue_bundle(conn, bundle, at, host),
            Work::Removal(removal, body) => self.pipeline.continue_removal(removal).then(|| {
                self.tell_changed(conn, std::iter::once(&*body), false, at, host);
                Ok(())
            }),
        };
        let Some(outcome) = ended else {
            self.commit = Some(commit);
            return;
        };
        match outcome {
            Ok(()) => self.pipeline.commit(),
            Err(_) => {
                self.pipeline.rollback();
                drop(self.pipeline.take_removed());
            }
        }
        self.end_commit(commit, outcome, now, host);
    }

    /// The same for a bundle; what comes of it, once that is known.
    fn continue_bundle(
        &mut self,
        conn: ConnId,
        bundle: &mut Bundle,
        at: Nanos,
        host: &mut dyn Host,
    ) -> Option<Result<(), OfError>> {
        let total = bundle.messages.len();
        if bundle.done < total {
            let end = total.min(bundle.done + PIECE);
            for message in &bundle.messages[bundle.done..end] {
                if let Err(error) = self.modify(conn, &message.body, at, host) {
                    return Some(Err(failed(conn, message, error, host)));
                }
            }
            bundle.done = end;
            if end == total {
                bundle.untold = std::mem::take(&mut bundle.messages).into_iter();
            }
            return None;
        }
        self.tell_expired(at, host);
        let piece: Vec<Message> = bundle.untold.by_ref().take(TOLD_PIECE).collect();
        let more = bundle.untold.len() > 0;
        let bodies = piece.iter().map(|message| &message.body);
        self.tell_changed(conn, bodies, more, at, host);
        (!more).then_some(Ok(()))
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
        if let Work::Bundle(Bundle { xid, control, .. }) = commit.work {
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
            host.send(commit.conn, answer);
        }
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
