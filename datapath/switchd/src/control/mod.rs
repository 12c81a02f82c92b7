//! The control thread: OpenFlow connections and the JSON-RPC channel. It holds no state of the switch; it knows which
//! connections there are to be, decodes, encodes, and passes on.

pub mod connection;
mod controller;
mod jsonrpc;
mod listener;
mod plain;
pub mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::sleep;
use weft_agent::{ConnId, ConnectionKind};

use self::controller::Controller;
use self::listener::{Bound, BoundSocket, Listener};
use self::tls::Tls;
use crate::command::{Command, Event, SwitchHandle};
use crate::logging;
use crate::pidfile::PidFile;
use crate::rpc::{Request, RpcError, SwitchRequest};
use crate::target::Target;
use crate::types::BridgeSpec;

/// A bridge without any controller for this long is on its own (three inactivity probes, as in Open vSwitch).
const UNREACHABLE_AFTER: Duration = Duration::from_secs(15);

/// The control thread's state; clones share it.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    switch: SwitchHandle,
    rundir: PathBuf,
    tls: Option<Tls>,
    next_conn: AtomicU64,
    bridges: Mutex<BTreeMap<String, BridgeConnections>>,
    /// One change of a bridge's connections at a time: it waits for the switch thread in its middle.
    changing: tokio::sync::Mutex<()>,
    stop: Notify,
    keep_interfaces: Mutex<bool>,
    /// By the name of the program that each stands for.
    pid_files: Mutex<BTreeMap<String, PidFile>>,
    started_at_ms: u64,
    /// Why the kernel does not forward what it can.
    why_slow: Option<String>,
}

/// What a bridge's connections are to be, and those that keep them so.
struct BridgeConnections {
    spec: BridgeSpec,
    controllers: BTreeMap<Target, Controller>,
    listeners: BTreeMap<Target, Listener>,
    reached: watch::Sender<usize>,
}

impl Control {
    /// A control thread for that switch.
    pub fn new(
        switch: SwitchHandle,
        rundir: &Path,
        tls: Option<Tls>,
        keep_interfaces: bool,
        why_slow: Option<String>,
    ) -> Control {
        let since_epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Control {
            inner: Arc::new(Inner {
                switch,
                rundir: rundir.to_owned(),
                tls,
                next_conn: AtomicU64::new(1),
                bridges: Mutex::default(),
                changing: tokio::sync::Mutex::default(),
                stop: Notify::new(),
                keep_interfaces: Mutex::new(keep_interfaces),
                pid_files: Mutex::default(),
                started_at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
                why_slow,
            }),
        }
    }

    /// Opens the control channel; it answers from here on.
    pub fn listen(&self) -> std::io::Result<ControlSocket> {
        let mut socket = BoundSocket::bind(&self.inner.rundir.join("weft-datapath.sock"))?;
        if let Some(listener) = socket.take() {
            tokio::spawn(jsonrpc::serve(listener, self.clone()));
        }
        Ok(ControlSocket { _socket: socket })
    }

    /// Resolves when `shutdown` was called.
    pub async fn stop_requested(&self) {
        self.inner.stop.notified().await;
    }

    /// Ends all connections and asks the switch thread to end.
    pub async fn shut_down(&self) {
        self.bridges().clear();
        let keep_interfaces = *lock(&self.inner.keep_interfaces);
        let _ = self
            .inner
            .switch
            .send(Command::Shutdown { keep_interfaces })
            .await;
    }

    /// Events from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.inner.switch.events.subscribe()
    }

    fn next_conn(&self) -> ConnId {
        ConnId(self.inner.next_conn.fetch_add(1, Ordering::Relaxed))
    }

    fn bridges(&self) -> MutexGuard<'_, BTreeMap<String, BridgeConnections>> {
        lock(&self.inner.bridges)
    }

    /// Carries out a request of the control channel.
    pub async fn call(&self, request: Request) -> Result<Value, RpcError> {
        match request {
            Request::Version => Ok(json!({
                "name": "weft-datapath",
                "version": env!("CARGO_PKG_VERSION"),
                "api": 1,
                "pid": std::process::id(),
                "startedAtMs": self.inner.started_at_ms,
                "forwarding": if self.inner.why_slow.is_none() { "kernel" } else { "user-space" },
                "whyUserSpace": self.inner.why_slow,
            })),
            Request::EnsureBridge(spec) => self.ensure_bridge(spec).await,
            Request::RemoveBridge(name) => self.remove_bridge(name).await,
            Request::ListBridges => self.list_bridges().await,
            Request::Switch(request) => self.inner.switch.request(request).await,
            Request::HoldPidFiles(programs) => self.hold_pid_files(programs),
            Request::SetLogLevel(level) => match logging::set_level(&level) {
                Ok(()) => Ok(json!({})),
                Err(error) => Err(RpcError::new("internal", error)),
            },
            Request::Shutdown { keep_interfaces } => {
                *lock(&self.inner.keep_interfaces) |= keep_interfaces;
                self.inner.stop.notify_one();
                Ok(json!({}))
            }
            // Answered by the connection itself.
            Request::Subscribe => Ok(json!({})),
        }
    }

    /// Stands for these programs, and for no others, in the eyes of tools that look for their pid files.
    fn hold_pid_files(&self, programs: Vec<String>) -> Result<Value, RpcError> {
        let mut held = lock(&self.inner.pid_files);
        held.retain(|name, _| programs.contains(name));
        for name in programs {
            if held.contains_key(&name) {
                continue;
            }
            let file = PidFile::take(&self.inner.rundir.join(format!("{name}.pid")))
                .map_err(|error| RpcError::new("in-use", error.to_string()))?;
            held.insert(name, file);
        }
        Ok(json!({ "pid": std::process::id() }))
    }

    async fn ensure_bridge(&self, spec: BridgeSpec) -> Result<Value, RpcError> {
        let _one_at_a_time = self.inner.changing.lock().await;
        if self.inner.tls.is_none()
            && spec
                .controllers
                .iter()
                .chain(&spec.listeners)
                .any(Target::needs_tls)
        {
            let message = "ssl: and pssl: need weft-datapath to be started with --private-key, --certificate and --ca-cert";
            return Err(RpcError::new("no-tls", message));
        }
        // Sockets first: if one cannot be had, nothing has changed yet.
        let wanted = self.listeners_of(&spec);
        let missing: Vec<_> = {
            let bridges = self.bridges();
            let taken = bridges
                .iter()
                .filter(|(name, _)| **name != spec.name)
                .find_map(|(name, other)| {
                    let target = wanted
                        .keys()
                        .find(|target| other.listeners.contains_key(target))?;
                    Some((name, target))
                });
            if let Some((name, target)) = taken {
                // A second socket at the same path would silently take the place of the first.
                let message = format!("bridge {name} listens on {target}");
                return Err(RpcError::new("in-use", message));
            }
            let have = bridges.get(&spec.name);
            let is_missing =
                |target: &Target| have.is_none_or(|have| !have.listeners.contains_key(target));
            wanted
                .keys()
                .filter(|target| is_missing(target))
                .cloned()
                .collect()
        };
        let mut bound = Vec::new();
        for target in missing {
            let socket = Bound::bind(&target).await.map_err(|error| {
                RpcError::new("cannot-listen", format!("cannot listen on {error}"))
            })?;
            bound.push((target, socket));
        }

        let answer = self
            .inner
            .switch
            .request(SwitchRequest::EnsureBridge(spec.clone()))
            .await?;

        let mut bridges = self.bridges();
        let entry = bridges.entry(spec.name.clone()).or_insert_with(|| {
            let (reached, watched) = watch::channel(0);
            tokio::spawn(watch_reachability(
                self.inner.switch.clone(),
                spec.name.clone(),
                watched,
            ));
            BridgeConnections {
                spec: spec.clone(),
                controllers: BTreeMap::new(),
                listeners: BTreeMap::new(),
                reached,
            }
        });
        if entry.spec.datapath_id != spec.datapath_id {
            // Peers know the bridge by its datapath id: they have to meet it anew.
            entry.controllers.clear();
        }
        entry
            .listeners
            .retain(|target, _| wanted.contains_key(target));
        for (target, socket) in bound {
            let kind = wanted
                .get(&target)
                .copied()
                .unwrap_or(ConnectionKind::Controller);
            entry
                .listeners
                .insert(target, socket.start(self, &spec.name, kind));
        }
        entry
            .controllers
            .retain(|target, _| spec.controllers.contains(target));
        for target in &spec.controllers {
            if !entry.controllers.contains_key(target) {
                let controller =
                    Controller::start(self, &spec.name, target.clone(), entry.reached.clone());
                entry.controllers.insert(target.clone(), controller);
            }
        }
        if entry.spec.controllers != spec.controllers || entry.spec.fail_mode != spec.fail_mode {
            // What was said of the controllers there were, or to another fail mode, does not hold for these.
            entry.reached.send_modify(|_| {});
        }
        entry.spec = spec;
        Ok(answer)
    }

    /// Where a bridge listens, and for whom.
    fn listeners_of(&self, spec: &BridgeSpec) -> BTreeMap<Target, ConnectionKind> {
        let socket = |suffix: &str| {
            Target::PassiveUnix(self.inner.rundir.join(format!("{}.{suffix}", spec.name)))
        };
        let mut wanted = BTreeMap::from([(socket("mgmt"), ConnectionKind::Management)]);
        if spec.program_table.is_some() {
            wanted.insert(socket("program"), ConnectionKind::Program);
        }
        wanted.extend(
            spec.listeners
                .iter()
                .map(|target| (target.clone(), ConnectionKind::Controller)),
        );
        wanted
    }

    async fn remove_bridge(&self, name: String) -> Result<Value, RpcError> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let answer = self
            .inner
            .switch
            .request(SwitchRequest::RemoveBridge(name.clone()))
            .await?;
        self.bridges().remove(&name);
        Ok(answer)
    }

    /// The switch thread's list, with what only this thread knows of the controllers.
    async fn list_bridges(&self) -> Result<Value, RpcError> {
        let mut list = self
            .inner
            .switch
            .request(SwitchRequest::ListBridges)
            .await?;
        let bridges = self.bridges();
        for item in list.as_array_mut().into_iter().flatten() {
            let Some(item) = item.as_object_mut() else {
                continue;
            };
            let roles = item.remove("roles").unwrap_or_default();
            let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
            let controllers: Vec<Value> = bridges.get(name).map_or_else(Vec::new, |bridge| {
                let describe = |(target, controller): (&Target, &Controller)| {
                    let status = controller.status();
                    let role = status
                        .conn
                        .and_then(|conn| roles.get(conn.to_string()))
                        .cloned();
                    json!({
                        "target": target.to_string(),
                        "connected": status.connected,
                        "role": role,
                        "lastError": status.last_error,
                    })
                };
                bridge.controllers.iter().map(describe).collect()
            });
            item.insert("controllers".to_owned(), controllers.into());
        }
        Ok(list)
    }
}

/// Keeps the control channel's socket file.
pub struct ControlSocket {
    _socket: BoundSocket,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding one of these; and if it did, the values would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the switch thread when a bridge has been without controllers for long, and when one is back. A change of
/// `reached` that leaves it at zero is one of the configuration: the time begins anew.
async fn watch_reachability(
    switch: SwitchHandle,
    bridge: String,
    mut reached: watch::Receiver<usize>,
) {
    let mut told = false;
    loop {
        let connected = *reached.borrow_and_update() > 0;
        if connected && told {
            told = false;
            let _ = switch
                .send(Command::Unreachable {
                    bridge: bridge.clone(),
                    unreachable: false,
                })
                .await;
        }
        let changed = if connected || told {
            reached.changed().await
        } else {
            tokio::select! {
                changed = reached.changed() => changed,
                () = sleep(UNREACHABLE_AFTER) => {
                    told = true;
                    let _ = switch.send(Command::Unreachable { bridge: bridge.clone(), unreachable: true }).await;
                    continue;
                }
            }
        };
        if changed.is_err() {
            // The bridge is gone.
            return;
        }
        told &= *reached.borrow() > 0;
    }
}
