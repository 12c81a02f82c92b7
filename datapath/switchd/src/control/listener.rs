//! Passive connections: the management socket, the program's socket, and listeners for controllers.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use weft_agent::{ConnectionInfo, ConnectionKind};

use super::Control;
use super::connection::{self, Context};
use super::plain::Plain;
use crate::target::Target;

/// Silence after which a TCP peer is asked for a sign of life.
const PROBE: Duration = Duration::from_secs(60);
/// A peer has this long for its TLS handshake.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of one listener at a time, those in their handshake included: whoever opens more shall not use up the
/// descriptors that ports need.
const CONNECTION_LIMIT: usize = 64;

/// A unix socket at a path, readable by its owner only, removed when dropped.
pub struct BoundSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl BoundSocket {
    /// Binds; a socket left by a process that died is replaced (the run directory's lock says that it is dead).
    pub fn bind(path: &Path) -> io::Result<BoundSocket> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => fs::remove_file(path).map_err(named)?,
            // The path comes from the configuration: it must not be a way to delete files.
            Ok(_) => {
                let error = "there is a file of that name that is no socket";
                return Err(named(io::Error::new(io::ErrorKind::AlreadyExists, error)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(named(error)),
        }
        // Made under another name, so that nobody can connect before its mode is set.
        let fresh = path.with_file_name(format!(".{}.{}", file_name(path), std::process::id()));
        let _ = fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(named)?;
        let placed = fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&fresh, path));
        if let Err(error) = placed {
            let _ = fs::remove_file(&fresh);
            return Err(named(error));
        }
        Ok(BoundSocket {
            listener: Some(listener),
            path: path.to_owned(),
        })
    }

    /// Takes the listener; the path stays until this value is dropped.
    pub fn take(&mut self) -> Option<UnixListener> {
        self.listener.take()
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A bound listener of a bridge, not yet accepting.
pub enum Bound {
    /// `<bridge>.mgmt`, `<bridge>.program`, or `punix:`
    Unix(BoundSocket),
    /// `ptcp:`, `pssl:`
    Tcp {
        /// The listener.
        listener: TcpListener,
        /// TLS on top.
        tls: bool,
    },
}

impl Bound {
    /// Binds a target of Open vSwitch's words.
    pub async fn bind(target: &Target) -> io::Result<Bound> {
        match target {
            Target::PassiveUnix(path) => Ok(Bound::Unix(BoundSocket::bind(path)?)),
            Target::PassiveTcp { address, port, tls } => {
                if !tls && !address.is_loopback() {
                    tracing::warn!(%target, "whoever reaches this address controls the bridge; pssl: asks for a certificate");
                }
                let listener = TcpListener::bind((*address, *port))
                    .await
                    .map_err(|error| io::Error::new(error.kind(), format!("{target}: {error}")))?;
                Ok(Bound::Tcp {
                    listener,
                    tls: *tls,
                })
            }
            active => Err(io::Error::other(format!(
                "{active} is nothing to listen on"
            ))),
        }
    }

    /// Starts accepting for a bridge.
    pub fn start(self, control: &Control, bridge: &str, kind: ConnectionKind) -> Listener {
        let (stop, stopped) = watch::channel(false);
        let mut info = ConnectionInfo::new(kind);
        info.primary = false;
        let acceptor = Acceptor {
            control: control.clone(),
            bridge: bridge.to_owned(),
            info,
            stop: stopped,
            room: Arc::new(Semaphore::new(CONNECTION_LIMIT)),
        };
        let socket = match self {
            Bound::Tcp { listener, tls } => {
                tokio::spawn(acceptor.run_tcp(listener, tls));
                None
            }
            Bound::Unix(mut socket) => {
                if let Some(listener) = socket.take() {
                    tokio::spawn(acceptor.run_unix(listener));
                }
                Some(socket)
            }
        };
        Listener {
            stop,
            _socket: socket,
        }
    }
}

/// A listener at work; dropping it ends it and the connections it accepted.
pub struct Listener {
    stop: watch::Sender<bool>,
    _socket: Option<BoundSocket>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

#[derive(Clone)]
struct Acceptor {
    control: Control,
    bridge: String,
    info: ConnectionInfo,
    stop: watch::Receiver<bool>,
    room: Arc<Semaphore>,
}

impl Acceptor {
    /// Room for one more connection. A peer that finds none is sent away by closing its connection.
    fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = self.room.clone().try_acquire_owned().ok();
        if permit.is_none() {
            tracing::warn!(
                bridge = self.bridge,
                limit = CONNECTION_LIMIT,
                "too many connections"
            );
        }
        permit
    }

    fn context(&self, probe: Option<Duration>) -> Context {
        Context {
            switch: self.control.inner.switch.clone(),
            bridge: self.bridge.clone(),
            conn: self.control.next_conn(),
            info: self.info,
            probe,
            stop: self.stop.clone(),
        }
    }

    async fn run_unix(mut self, listener: UnixListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let Some(permit) = self.admit() else { continue };
                    let acceptor = self.clone();
                    tokio::spawn(async move {
                        let _permit = permit;
                        let context = acceptor.context(None);
                        let ended =
                            connection::serve_plain(context, Plain::unix(stream), || {}).await;
                        tracing::debug!(bridge = acceptor.bridge, reason = %ended, "local connection ended");
                    });
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn run_tcp(mut self, listener: TcpListener, tls: bool) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(permit) = self.admit() else { continue };
                    let acceptor = self.clone();
                    tokio::spawn(async move {
                        let _permit = permit;
                        let bridge = &acceptor.bridge;
                        tracing::info!(bridge, %peer, "connection accepted");
                        let _ = stream.set_nodelay(true);
                        let context = acceptor.context(Some(PROBE));
                        let ended = match (&acceptor.control.inner.tls, tls) {
                            (_, false) => {
                                connection::serve_plain(context, Plain::tcp(stream), || {}).await
                            }
                            (Some(ends), true) => {
                                match timeout(TLS_TIMEOUT, ends.acceptor.accept(stream)).await {
                                    Ok(Ok(stream)) => {
                                        connection::serve_tls(context, stream, || {}).await
                                    }
                                    Ok(Err(error)) => connection::Ended::Io(error),
                                    Err(_) => connection::Ended::Io(io::ErrorKind::TimedOut.into()),
                                }
                            }
                            (None, true) => connection::Ended::ByUs,
                        };
                        tracing::info!(bridge, %peer, reason = %ended, "connection ended");
                    });
                }
                Err(error) => self.pause(&error).await,
            }
        }
    }

    /// Out of descriptors, for instance: say so, and do not spin.
    async fn pause(&self, error: &io::Error) {
        tracing::warn!(bridge = self.bridge, %error, "cannot accept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_owners_and_takes_the_place_of_sockets_only() {
        let path = std::env::temp_dir().join(format!("weft-listener-{}", std::process::id()));
        fs::write(&path, "precious").unwrap();
        let error = BoundSocket::bind(&path).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        // Left by a process that died: nobody listens any more.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = BoundSocket::bind(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        drop(socket);
        assert!(!path.exists());
    }
}
