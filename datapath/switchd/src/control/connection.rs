//! One OpenFlow connection: handshake, then messages to the switch thread and back, until either side ends it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use weft_agent::{ConnId, ConnectionInfo};

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

/// The socket of a stream whose bytes go out as they are: the switch thread may write to it, too.
pub fn plain_socket(stream: &impl AsFd) -> Option<OwnedFd> {
    // Without a descriptor to spare all goes through the connection's writer.
    stream.as_fd().try_clone_to_owned().ok()
}

/// Runs a connection to its end. `socket` is what [`plain_socket`] says, none for TLS; `ready` is called when it is
/// negotiated.
pub async fn serve<S>(
    mut context: Context,
    stream: S,
    socket: Option<OwnedFd>,
    ready: impl FnOnce(),
) -> Ended
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
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
async fn shake_hands<S: AsyncRead + AsyncWrite>(
    reader: &mut ReadHalf<S>,
    writer: &mut WriteHalf<S>,
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

/// Reads requests and hands them over. Nothing more is read while the switch thread is behind, or while too many
/// answers wait for this peer.
async fn read<S: AsyncRead>(
    context: &Context,
    reader: &mut ReadHalf<S>,
    mut input: Vec<u8>,
    outbox: &Outbox<Outgoing>,
) -> Ended {
    let mut asked = false;
    let mut deadline = context.probe.map(|probe| Instant::now() + probe);
    loop {
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
                    Frame::Bad(_) => return Ended::Framing,
                }
            }
            input.drain(..taken);
            if messages.is_empty() {
                break;
            }
            if context
                .switch
                .send(Command::Messages {
                    conn: context.conn,
                    messages,
                })
                .await
                .is_err()
            {
                return Ended::ByUs;
            }
            outbox.wait_for_room().await;
        }
        input.reserve(READ_SIZE);
        let read = match deadline {
            None => reader.read_buf(&mut input).await,
            Some(at) => match timeout_at(at, reader.read_buf(&mut input)).await {
                Ok(read) => read,
                Err(_) if asked => return Ended::Inactive(context.probe.unwrap_or_default()),
                Err(_) => {
                    asked = true;
                    deadline = context.probe.map(|probe| Instant::now() + probe);
                    outbox.push_aside(wire::echo_request());
                    continue;
                }
            },
        };
        match read {
            Ok(0) => return Ended::ByPeer,
            Ok(_) => {
                asked = false;
                deadline = context.probe.map(|probe| Instant::now() + probe);
            }
            Err(error) => return Ended::Io(error),
        }
    }
}

/// Encodes and writes what the switch thread leaves in the outbox.
async fn write<S: AsyncWrite>(
    context: &Context,
    writer: &mut WriteHalf<S>,
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
