//! One OpenFlow connection: handshake, then messages to the switch thread and back, until either side ends it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use weft_agent::{ConnId, ConnectionInfo};

use super::plain::{Half, Plain};
use crate::command::{Command, SwitchHandle};
use crate::outbox::Outbox;
use crate::wire::{self, Frame, Outgoing};

/// A peer has this long to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that takes nothing for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Messages handed to the switch thread at once.
const BATCH: usize = 512;
/// Bytes read at once.
const READ_SIZE: usize = 64 << 10;
/// When nothing has come for so long, the switch thread takes over reading.
const LULL: Duration = Duration::from_millis(1);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The peer closed it.
    #[error("closed by the peer")]
    ByPeer,
    /// Told to stop (configuration changed, bridge removed), or given up by the switch thread.
    #[error("closed")]
    ByUs,
    /// The handshake failed.
    #[error("{0}")]
    Handshake(String),
    /// Not a message of OpenFlow.
    #[error("the peer sent a message of impossible length")]
    Framing,
    /// No sign of life.
    #[error("no answer to an echo request within {0:?}")]
    Inactive(Duration),
    /// The peer does not read.
    #[error("the peer takes nothing")]
    Stalled,
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What a connection belongs to.
pub struct Context {
    /// The switch thread.
    pub switch: SwitchHandle,
    /// Name of the bridge.
    pub bridge: String,
    /// Its number.
    pub conn: ConnId,
    /// Who it is.
    pub info: ConnectionInfo,
    /// Echo after this much silence; never for local tools.
    pub probe: Option<Duration>,
    /// Becomes true when the connection is to end.
    pub stop: watch::Receiver<bool>,
}

/// Runs a connection without TLS to its end; `ready` is called when it is negotiated.
pub async fn serve_plain(
    context: Context,
    stream: io::Result<Plain>,
    ready: impl FnOnce(),
) -> Ended {
    match stream.map(Plain::split) {
        Ok((reader, writer, socket)) => serve(context, reader, writer, Some(socket), ready).await,
        Err(error) => Ended::Io(error),
    }
}

/// Runs a connection with TLS to its end; `ready` is called when it is negotiated.
pub async fn serve_tls(
    context: Context,
    stream: impl AsyncRead + AsyncWrite,
    ready: impl FnOnce(),
) -> Ended {
    let (reader, writer) = tokio::io::split(stream);
    serve(context, reader, writer, None, ready).await
}

/// `socket` is where the switch thread may read and write, too.
async fn serve(
    mut context: Context,
    mut reader: impl AsyncRead + Half + Unpin,
    mut writer: impl AsyncWrite + Half + Unpin,
    socket: Option<Arc<OwnedFd>>,
    ready: impl FnOnce(),
) -> Ended {
    let mut input = Vec::with_capacity(READ_SIZE);
    let handshake = async {
        match timeout(
            HELLO_TIMEOUT,
            shake_hands(&mut reader, &mut writer, &mut input),
        )
        .await
        {
            Ok(result) => result,
            Err(_) => Err(Ended::Handshake("the peer said no hello".to_owned())),
        }
    };
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        _ = context.stop.wait_for(|stop| *stop) => Err(Ended::ByUs),
    };
    if let Err(ended) = shaken {
        return ended;
    }

    let outbox = Arc::new(Outbox::new(socket));
    let opened = Command::Opened {
        bridge: context.bridge.clone(),
        conn: context.conn,
        info: context.info,
        outbox: outbox.clone(),
    };
    if context.switch.send(opened).await.is_err() {
        return Ended::ByUs;
    }
    ready();
    let mut stop = context.stop.clone();
    let ended = tokio::select! {
        ended = read(&context, &mut reader, input, &outbox) => ended,
        ended = write(&context, &mut writer, &outbox) => ended,
        _ = stop.wait_for(|stop| *stop) => Ended::ByUs,
    };
    outbox.close();
    // If the switch thread is gone it needs no telling.
    let _ = context.switch.send(Command::Closed(context.conn)).await;
    let _ = timeout(Duration::from_secs(1), writer.shutdown()).await;
    ended
}

/// Exchanges HELLO and agrees on the version (OF 1.3.5 §6.3.1). What follows the peer's HELLO stays in `input`.
async fn shake_hands(
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    input: &mut Vec<u8>,
) -> Result<(), Ended> {
    writer.write_all(&wire::our_hello()).await?;
    loop {
        match wire::next_frame(input) {
            Frame::Whole(length) => {
                let verdict = wire::judge_hello(&input[..length]);
                input.drain(..length);
                return match verdict {
                    Ok(()) => Ok(()),
                    Err(refusal) => {
                        let _ = timeout(Duration::from_secs(1), writer.write_all(&refusal.answer))
                            .await;
                        let _ = timeout(Duration::from_secs(1), writer.shutdown()).await;
                        Err(Ended::Handshake(refusal.reason))
                    }
                };
            }
            Frame::Incomplete(_) => {}
            Frame::Bad(_) => return Err(Ended::Framing),
        }
        if reader.read_buf(input).await? == 0 {
            return Err(Ended::ByPeer);
        }
    }
}

/// When the peer was last heard, and what follows from silence.
struct Probe {
    after: Option<Duration>,
    since: Instant,
    asked: bool,
}

impl Probe {
    fn hear(&mut self, at: Instant) {
        if at > self.since {
            self.since = at;
            self.asked = false;
        }
    }

    /// When silence has lasted too long.
    fn deadline(&self) -> Option<Instant> {
        self.after.map(|after| self.since + after)
    }

    /// What to do then: ask for a sign of life or, when that was done, give up.
    fn silence(&mut self, outbox: &Outbox<Outgoing>) -> Result<(), Ended> {
        if self.asked {
            return Err(Ended::Inactive(self.after.unwrap_or_default()));
        }
        outbox.push_aside(wire::echo_request());
        self.since = Instant::now();
        self.asked = true;
        Ok(())
    }
}

/// Reads requests and hands them over. Nothing more is read while the switch thread is behind, or while too many
/// answers wait for this peer. In a lull the switch thread reads by itself.
async fn read(
    context: &Context,
    reader: &mut (impl AsyncRead + Half + Unpin),
    mut input: Vec<u8>,
    outbox: &Outbox<Outgoing>,
) -> Ended {
    let mut probe = Probe {
        after: context.probe,
        since: Instant::now(),
        asked: false,
    };
    loop {
        if let Err(ended) = hand_over(context, &mut input, outbox).await {
            return ended;
        }
        let may_lend = outbox.socket().is_some() && input.is_empty();
        input.reserve(READ_SIZE);
        let lull = may_lend.then(|| Instant::now() + LULL);
        let until = lull.into_iter().chain(probe.deadline()).min();
        let read = match until {
            None => Ok(reader.read_buf(&mut input).await),
            Some(at) => timeout_at(at, reader.read_buf(&mut input)).await,
        };
        match read {
            Ok(Ok(0)) => return Ended::ByPeer,
            Ok(Ok(_)) => probe.hear(Instant::now()),
            Ok(Err(error)) => return Ended::Io(error),
            Err(_) if may_lend => {
                reader.let_go();
                match lend(context, outbox, &mut probe).await {
                    Ok(unread) => input = unread,
                    Err(ended) => return ended,
                }
            }
            Err(_) => {
                if let Err(ended) = probe.silence(outbox) {
                    return ended;
                }
            }
        }
    }
}

/// Hands whole messages over to the switch thread.
async fn hand_over(
    context: &Context,
    input: &mut Vec<u8>,
    outbox: &Outbox<Outgoing>,
) -> Result<(), Ended> {
    loop {
        let mut messages = Vec::new();
        let mut taken = 0;
        while messages.len() < BATCH {
            match wire::next_frame(&input[taken..]) {
                Frame::Whole(length) => {
                    messages.push(wire::read(&input[taken..taken + length]));
                    taken += length;
                }
                Frame::Incomplete(_) => break,
                Frame::Bad(_) => return Err(Ended::Framing),
            }
        }
        input.drain(..taken);
        if messages.is_empty() {
            return Ok(());
        }
        let conn = context.conn;
        let command = Command::Messages { conn, messages };
        if context.switch.send(command).await.is_err() {
            return Err(Ended::ByUs);
        }
        outbox.wait_for_room().await;
    }
}

/// Lets the switch thread read until it gives that back; what it has read and not handled.
async fn lend(
    context: &Context,
    outbox: &Outbox<Outgoing>,
    probe: &mut Probe,
) -> Result<Vec<u8>, Ended> {
    // A peer that takes no answers is not read.
    outbox.wait_for_room().await;
    let read = Command::Read(context.conn);
    if context.switch.send(read).await.is_err() {
        return Err(Ended::ByUs);
    }
    loop {
        let returned = match probe.deadline() {
            None => Some(outbox.given_back().await),
            Some(at) => timeout_at(at, outbox.given_back()).await.ok(),
        };
        if let Some(heard) = outbox.heard() {
            probe.hear(Instant::from_std(heard));
        }
        match returned {
            Some(unread) => return Ok(unread),
            None if probe.deadline().is_some_and(|at| at <= Instant::now()) => {
                probe.silence(outbox)?;
            }
            None => {}
        }
    }
}

/// Encodes and writes what the switch thread leaves in the outbox.
async fn write(
    context: &Context,
    writer: &mut (impl AsyncWrite + Half + Unpin),
    outbox: &Outbox<Outgoing>,
) -> Ended {
    let mut batch = Vec::new();
    let mut output = Vec::new();
    while let Some(made_room) = outbox.take(&mut batch, 64).await {
        output.clear();
        for message in batch.drain(..) {
            if let Err(error) = message.write(&mut output) {
                tracing::error!(bridge = context.bridge, conn = context.conn.0, %error, "a message cannot be encoded");
            }
        }
        match timeout(WRITE_TIMEOUT, writer.write_all(&output)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Ended::Io(error),
            Err(_) => return Ended::Stalled,
        }
        writer.let_go();
        if made_room && context.switch.send(Command::Resume).await.is_err() {
            return Ended::ByUs;
        }
        // Large buffers are for large replies, not for keeping.
        if output.capacity() > 1 << 20 {
            output = Vec::new();
        }
    }
    if let Err(error) = writer.flush().await {
        return Ended::Io(error);
    }
    Ended::ByUs
}
