//! What the two threads say to each other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc, oneshot};
use weft_agent::{ConnId, ConnectionInfo};

use crate::outbox::Outbox;
use crate::rpc::{RpcError, SwitchRequest};
use crate::types::PortInfo;
use crate::wire::{Incoming, Outgoing};

/// Commands that may wait for the switch thread; whoever sends beyond that waits.
const COMMAND_LIMIT: usize = 256;
/// Events a subscriber may lag behind.
const EVENT_LIMIT: usize = 4096;

/// From the control thread to the switch thread.
#[derive(Debug)]
pub enum Command {
    /// A negotiated OpenFlow connection.
    Opened {
        /// Name of its bridge.
        bridge: String,
        /// Its number.
        conn: ConnId,
        /// What stands at its other end.
        info: ConnectionInfo,
        /// Where to put what is for it.
        outbox: Arc<Outbox<Outgoing>>,
    },
    /// Messages of one connection, in order.
    Messages {
        /// Whose.
        conn: ConnId,
        /// As they came in; several, when several came at once.
        messages: Vec<Incoming>,
    },
    /// Nothing more comes by a connection for now: the switch thread is to read it ([`Outbox::given_back`]).
    Read(ConnId),
    /// Some connection has room for more of its long reply.
    Resume,
    /// The connection is gone.
    Closed(ConnId),
    /// Whether none of the bridge's controllers can be reached.
    Unreachable {
        /// Name of the bridge.
        bridge: String,
        /// None of them.
        unreachable: bool,
    },
    /// A JSON-RPC request that concerns the switch.
    Request(SwitchRequest, oneshot::Sender<Result<Value, RpcError>>),
    /// Stop; internal interfaces go unless they are to be kept.
    Shutdown {
        /// Keep them.
        keep_interfaces: bool,
    },
}

/// What subscribers of the control channel are told.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "method", content = "params")]
pub enum Event {
    /// A port came, changed or went.
    #[serde(rename = "port.changed")]
    PortChanged {
        /// Name of the bridge.
        bridge: String,
        /// The port as it is now.
        port: PortInfo,
        /// `added`, `modified` or `removed`.
        change: &'static str,
    },
    /// The connection to a controller came or went.
    #[serde(rename = "controller.changed")]
    ControllerChanged {
        /// Name of the bridge.
        bridge: String,
        /// The controller.
        target: String,
        /// Negotiated and in use.
        connected: bool,
        /// Why not.
        #[serde(rename = "lastError")]
        last_error: Option<String>,
    },
}

/// The control thread's end.
#[derive(Debug, Clone)]
pub struct SwitchHandle {
    commands: mpsc::Sender<Command>,
    wake: Arc<OwnedFd>,
    /// Events of both threads.
    pub events: broadcast::Sender<Event>,
}

/// The switch thread's end.
#[derive(Debug)]
pub struct CommandQueue {
    commands: mpsc::Receiver<Command>,
    wake: Arc<OwnedFd>,
    /// Events of both threads.
    pub events: broadcast::Sender<Event>,
}

/// Makes the two ends.
pub fn channel() -> std::io::Result<(SwitchHandle, CommandQueue)> {
    let (sender, receiver) = mpsc::channel(COMMAND_LIMIT);
    let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
    let (events, _) = broadcast::channel(EVENT_LIMIT);
    let handle = SwitchHandle {
        commands: sender,
        wake: wake.clone(),
        events: events.clone(),
    };
    Ok((
        handle,
        CommandQueue {
            commands: receiver,
            wake,
            events,
        },
    ))
}

/// The switch thread has ended.
#[derive(Debug, thiserror::Error)]
#[error("the switch is stopping")]
pub struct Stopped;

impl SwitchHandle {
    /// Sends a command, waiting while the queue is full.
    pub async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)?;
        // Fails only when the counter is full, in which case the thread is awake anyway.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        Ok(())
    }

    /// Resolves when the switch thread has ended.
    pub async fn stopped(&self) {
        self.commands.closed().await;
    }

    /// Sends a request and waits for its answer.
    pub async fn request(&self, request: SwitchRequest) -> Result<Value, RpcError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Request(request, reply))
            .await
            .map_err(RpcError::stopping)?;
        answer.await.map_err(|_| RpcError::stopping(Stopped))?
    }
}

impl CommandQueue {
    /// The next command, if one waits; `Err` when the control thread is gone.
    pub fn take(&mut self) -> Result<Option<Command>, Stopped> {
        match self.commands.try_recv() {
            Ok(command) => Ok(Some(command)),
            Err(mpsc::error::TryRecvError::Empty) => Ok(None),
            Err(mpsc::error::TryRecvError::Disconnected) => Err(Stopped),
        }
    }

    /// What other threads write a number to, to wake the switch thread up.
    pub fn waker(&self) -> Arc<OwnedFd> {
        self.wake.clone()
    }

    /// Wakes up again at once: there was more than could be taken.
    pub fn again(&self) {
        // Fails only when the counter is full, in which case it wakes anyway.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Forgets past wake-ups; call before taking.
    pub fn acknowledge(&self) {
        let mut counter = [0; 8];
        // Nothing to read means nothing to forget.
        let _ = rustix::io::read(&self.wake, &mut counter);
    }
}

impl AsFd for CommandQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
