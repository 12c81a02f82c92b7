//! Active connections: to a controller, again and again.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use weft_agent::{ConnectionInfo, ConnectionKind};

use super::Control;
use super::connection::{self, Context, Ended};
use super::plain::Plain;
use super::tls;
use crate::command::Event;
use crate::target::Target;

/// First pause between tries; doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest pause between tries (`max_backoff` of Open vSwitch).
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// A try may take this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which a controller is asked for a sign of life (`inactivity_probe` of Open vSwitch).
const PROBE: Duration = Duration::from_secs(5);

/// What is known of a controller.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Negotiated and in use.
    pub connected: bool,
    /// Number of the connection while connected.
    pub conn: Option<u64>,
    /// Why it is not, or last was not.
    pub last_error: Option<String>,
}

/// A controller that is being kept connected.
pub struct Controller {
    status: Arc<Mutex<Status>>,
    stop: watch::Sender<bool>,
}

impl Controller {
    /// Starts connecting.
    pub fn start(
        control: &Control,
        bridge: &str,
        target: Target,
        reached: watch::Sender<usize>,
    ) -> Controller {
        let status = Arc::new(Mutex::new(Status::default()));
        let (stop, stopped) = watch::channel(false);
        let keeper = Keeper {
            control: control.clone(),
            bridge: bridge.to_owned(),
            target,
            status: status.clone(),
            reached,
            stop: stopped,
        };
        tokio::spawn(keeper.run());
        Controller { status, stop }
    }

    /// What is known now.
    pub fn status(&self) -> Status {
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

struct Keeper {
    control: Control,
    bridge: String,
    target: Target,
    status: Arc<Mutex<Status>>,
    /// How many of the bridge's controllers are connected.
    reached: watch::Sender<usize>,
    stop: watch::Receiver<bool>,
}

impl Keeper {
    async fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let started = Instant::now();
            let ended = self.attempt().await;
            let was_connected = self.set_status(None, Some(ended.to_string()));
            if *self.stop.borrow() {
                return;
            }
            if was_connected {
                tracing::info!(bridge = self.bridge, target = %self.target, reason = %ended, "controller disconnected");
                // A connection that held starts afresh; one that broke at once goes on backing off.
                if started.elapsed() > BACKOFF_MAX {
                    backoff = BACKOFF_MIN;
                }
            } else {
                tracing::debug!(bridge = self.bridge, target = %self.target, reason = %ended, "no controller");
            }
            tokio::select! {
                () = sleep(backoff) => {}
                _ = self.stop.wait_for(|stop| *stop) => return,
            }
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    /// Records a change; whether the controller was connected before.
    fn set_status(&self, conn: Option<u64>, error: Option<String>) -> bool {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(
            &mut *status,
            Status {
                connected: conn.is_some(),
                conn,
                last_error: error.clone(),
            },
        );
        drop(status);
        if before.connected != conn.is_some() {
            self.reached.send_modify(|count| {
                if conn.is_some() {
                    *count += 1
                } else {
                    *count -= 1
                }
            });
            // Nobody listening is fine.
            let _ = self
                .control
                .inner
                .switch
                .events
                .send(Event::ControllerChanged {
                    bridge: self.bridge.clone(),
                    target: self.target.to_string(),
                    connected: conn.is_some(),
                    last_error: error,
                });
        }
        before.connected
    }

    async fn attempt(&mut self) -> Ended {
        let connecting = timeout(CONNECT_TIMEOUT, self.connect());
        let mut stop = self.stop.clone();
        let stream = tokio::select! {
            connected = connecting => match connected {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Ended::Io(error),
                Err(_) => return Ended::Io(io::Error::from(io::ErrorKind::TimedOut)),
            },
            _ = stop.wait_for(|stop| *stop) => return Ended::ByUs,
        };
        let conn = self.control.next_conn();
        let context = Context {
            switch: self.control.inner.switch.clone(),
            bridge: self.bridge.clone(),
            conn,
            info: ConnectionInfo::new(ConnectionKind::Controller),
            probe: Some(PROBE),
            stop: self.stop.clone(),
        };
        let ready = || {
            self.set_status(Some(conn.0), None);
            tracing::info!(bridge = self.bridge, target = %self.target, conn = conn.0, "controller connected");
        };
        match stream {
            Stream::Tcp(stream) => {
                connection::serve_plain(context, Plain::tcp(stream), ready).await
            }
            Stream::Tls(stream) => connection::serve_tls(context, *stream, ready).await,
            Stream::Unix(stream) => {
                connection::serve_plain(context, Plain::unix(stream), ready).await
            }
        }
    }

    async fn connect(&self) -> io::Result<Stream> {
        match &self.target {
            Target::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                if !tls {
                    return Ok(Stream::Tcp(stream));
                }
                let Some(ends) = &self.control.inner.tls else {
                    return Err(io::Error::other(
                        "ssl: needs --private-key, --certificate and --ca-cert",
                    ));
                };
                let stream = ends
                    .connector
                    .connect(tls::server_name(host)?, stream)
                    .await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
            Target::Unix(path) => Ok(Stream::Unix(UnixStream::connect(path).await?)),
            passive => Err(io::Error::other(format!(
                "{passive} is no controller to connect to"
            ))),
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    Unix(UnixStream),
}
