//! `weft-datapath`: the native datapath daemon.
//!
//! The main thread becomes the control thread (OpenFlow connections, JSON-RPC); the switch thread owns packets and
//! tables. See ARCHITECTURE.md, "Threads".

mod cli;
mod command;
mod control;
mod logging;
mod notify;
mod outbox;
mod pidfile;
mod rpc;
mod rundir;
mod survival;
mod switch;
mod target;
mod types;
mod wire;

use std::path::Path;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use weft_netdev::{CAP_NET_ADMIN, CAP_NET_RAW, has_capability};

use crate::cli::{FastPathMode, Options};
use crate::command::{CommandQueue, SwitchHandle};
use crate::control::Control;
use crate::control::tls::Tls;
use crate::rpc::{Request, SwitchRequest};
use crate::rundir::Rundir;
use crate::switch::Switch;
use crate::types::BridgeSpec;

/// What stops the daemon before it runs, in one line.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return usage(&error),
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft-datapath: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Help and version go to stdout; what is wrong with the command line is one line on stderr.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    eprintln!(
        "weft-datapath: {} (see --help)",
        line.trim_start_matches("error: ")
    );
    ExitCode::FAILURE
}

fn run(options: &Options) -> Result<(), Failure> {
    options.check()?;
    check_privileges()?;
    let tls = match (&options.private_key, &options.certificate, &options.ca_cert) {
        (Some(key), Some(certificate), Some(authorities)) => {
            Some(Tls::load(key, certificate, authorities)?)
        }
        _ => None,
    };
    let rundir = Rundir::take(&options.rundir)?;
    if options.flush {
        let what = if switch::flush(rundir.path())? {
            "removed"
        } else {
            "nothing there"
        };
        println!("fast path of {}: {what}", rundir.path().display());
        return Ok(());
    }
    logging::init(options.log_format);
    let (handle, queue) = command::channel()?;
    let (switch, why_slow) = start_switch(queue, rundir.path(), options.fast_path())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(control(options, handle, &rundir, tls, why_slow));
    // Connections and their sockets first, so that nobody finds a switch that is half gone.
    runtime.shutdown_timeout(Duration::from_millis(200));
    let stopped = switch.join();
    drop(rundir);
    result?;
    match stopped {
        Ok(result) => Ok(result?),
        Err(_) => Err("the switch thread has failed".into()),
    }
}

fn check_privileges() -> Result<(), Failure> {
    let missing: Vec<_> = [
        (
            CAP_NET_ADMIN,
            "CAP_NET_ADMIN (to make interfaces and take over devices)",
        ),
        (CAP_NET_RAW, "CAP_NET_RAW (to receive and send frames)"),
    ]
    .into_iter()
    .filter(|(capability, _)| !has_capability(*capability))
    .map(|(_, why)| why)
    .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "needs {}; run it as root or grant it",
        missing.join(" and ")
    )
    .into())
}

type SwitchThread = JoinHandle<std::io::Result<()>>;

/// Starts the switch thread; why it has no fast path, if it has none.
fn start_switch(
    queue: CommandQueue,
    rundir: &Path,
    fast_path: FastPathMode,
) -> Result<(SwitchThread, Option<String>), Failure> {
    let switch = Switch::new(queue, rundir.to_owned(), fast_path)?;
    let why_slow = switch.why_slow().map(str::to_owned);
    let thread = std::thread::Builder::new()
        .name("switch".to_owned())
        .spawn(move || switch.run())?;
    Ok((thread, why_slow))
}

async fn control(
    options: &Options,
    switch: SwitchHandle,
    rundir: &Rundir,
    tls: Option<Tls>,
    why_slow: Option<String>,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let control = Control::new(
        switch.clone(),
        rundir.path(),
        tls,
        options.keep_interfaces,
        why_slow,
    );
    let work = async {
        let _socket = control.listen()?;
        for bridge in &options.bridges {
            start_bridge(&control, bridge).await?;
        }
        println!(
            "ready: weft-datapath {} on {}",
            env!("CARGO_PKG_VERSION"),
            rundir.path().display()
        );
        tracing::info!(rundir = %rundir.path().display(), version = env!("CARGO_PKG_VERSION"), "ready");
        if let Err(error) = notify::notify_service("READY=1") {
            tracing::warn!(%error, "the service manager cannot be told");
        }
        tokio::select! {
            () = control.stop_requested() => Ok(()),
            () = switch.stopped() => Err(Failure::from("the switch thread has ended")),
        }
    };
    let result = tokio::select! {
        result = work => result,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    tracing::info!("stopping");
    control.shut_down().await;
    result
}

/// Sets a bridge of the stand-alone form up and waits until its ports are there.
async fn start_bridge(control: &Control, spec: &BridgeSpec) -> Result<(), Failure> {
    let refused =
        |error: rpc::RpcError| Failure::from(format!("bridge {}: {}", spec.name, error.message));
    // The switch's side first, then ports, so that a controller that connects at once sees them all.
    control
        .call(Request::Switch(SwitchRequest::EnsureBridge(spec.clone())))
        .await
        .map_err(refused)?;
    let mut events = control.subscribe();
    let mut waiting = Vec::new();
    for port in &spec.ports {
        let request = SwitchRequest::EnsurePort {
            bridge: spec.name.clone(),
            port: port.clone(),
        };
        let info = control
            .call(Request::Switch(request))
            .await
            .map_err(refused)?;
        if info.get("present") != Some(&Value::Bool(true)) {
            waiting.push(port.name.clone());
        }
    }
    control
        .call(Request::EnsureBridge(spec.clone()))
        .await
        .map_err(refused)?;
    while !waiting.is_empty() {
        tracing::warn!(
            bridge = spec.name,
            ports = waiting.join(","),
            "waiting for devices"
        );
        // An event lost to lag is no harm: the list below says how things are.
        let _ = events.recv().await;
        let list = control
            .call(Request::Switch(SwitchRequest::ListPorts(spec.name.clone())))
            .await
            .map_err(refused)?;
        let present = |name: &str| {
            let mut ports = list.as_array().into_iter().flatten();
            ports.any(|port| port["name"] == *name && port["present"] == true)
        };
        waiting.retain(|name| !present(name));
    }
    Ok(())
}
