//! The command line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::target::Target;
use crate::types::{BridgeSpec, DeviceType, FailMode, OFPP_LOCAL, OFPP_MAX, PortSpec};

/// The datapath of Weft: forwards frames between network devices by OpenFlow 1.3 tables.
#[derive(Debug, Parser)]
#[command(name = "weft-datapath", version)]
pub struct Options {
    /// Run directory: sockets and the pid file
    #[arg(
        long,
        env = "OVS_RUNDIR",
        default_value = "/run/openvswitch",
        value_name = "DIR"
    )]
    pub rundir: PathBuf,

    /// Log format [default: pretty on a terminal, json otherwise]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Leave internal interfaces, with their addresses, in place on a clean stop
    #[arg(long)]
    pub keep_interfaces: bool,

    /// Forward known flows in the kernel (eBPF). auto: if the kernel and our rights allow it
    #[arg(long, value_enum, env = "WEFT_FASTPATH", default_value_t = FastPathMode::Auto, value_name = "MODE")]
    pub fastpath: FastPathMode,

    /// Remove the fast path that a weft-datapath of this run directory has left in the kernel, and exit
    #[arg(long)]
    pub flush: bool,

    /// The same as --fastpath=off
    #[arg(long)]
    pub no_fastpath: bool,

    /// A bridge, for running without weftd:
    /// name=br0,dpid=0000000000000001,port=eth1:1[,port=DEVICE:NUMBER...][,internal=NAME:NUMBER]
    /// [,controller=tcp:HOST:PORT][,listen=ptcp:PORT:HOST][,fail_mode=secure|standalone].
    /// Without fail_mode: secure with a controller or listener, else standalone (a learning switch)
    #[arg(long = "bridge", value_name = "SPEC", value_parser = parse_bridge)]
    pub bridges: Vec<BridgeSpec>,

    /// Private key for ssl: and pssl: targets (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["certificate", "ca_cert"])]
    pub private_key: Option<PathBuf>,

    /// Certificate shown to TLS peers (PEM)
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,

    /// Certificates of the authorities that TLS peers must be certified by (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Whether the kernel is to forward known flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FastPathMode {
    /// If it can.
    Auto,
    /// The same by clsact filters, as before Linux 6.6, also where there is TCX.
    Clsact,
    /// Never.
    Off,
}

impl Options {
    /// Which fast path is wanted.
    pub fn fast_path(&self) -> FastPathMode {
        if self.no_fastpath {
            FastPathMode::Off
        } else {
            self.fastpath
        }
    }

    /// What clap cannot see: bridges that contradict each other.
    pub fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut devices = BTreeSet::new();
        for bridge in &self.bridges {
            if !names.insert(&bridge.name) {
                return Err(format!("--bridge: {} is given twice", bridge.name));
            }
            if !ids.insert(bridge.datapath_id) {
                return Err(format!(
                    "--bridge {}: dpid {:016x} is used by another bridge",
                    bridge.name, bridge.datapath_id
                ));
            }
            for port in &bridge.ports {
                if !devices.insert(&port.name) {
                    return Err(format!(
                        "--bridge {}: device {} is given twice",
                        bridge.name, port.name
                    ));
                }
            }
            let tls = bridge
                .controllers
                .iter()
                .chain(&bridge.listeners)
                .any(Target::needs_tls);
            if tls && self.private_key.is_none() {
                return Err(format!(
                    "--bridge {}: ssl: and pssl: need --private-key, --certificate and --ca-cert",
                    bridge.name
                ));
            }
        }
        Ok(())
    }
}

/// Parses `key=value,key=value`; an error names the part at fault.
fn parse_bridge(text: &str) -> Result<BridgeSpec, String> {
    let mut name = None;
    let mut datapath_id = None;
    let mut fail_mode = None;
    let mut bridge = BridgeSpec::new(String::new(), 0);
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} is not key=value"))?;
        match key {
            "name" => name = Some(bridge_name(value)?),
            "dpid" => datapath_id = Some(parse_datapath_id(value)?),
            "controller" => bridge.controllers.push(target(value, false)?),
            "listen" => bridge.listeners.push(target(value, true)?),
            "port" => bridge.ports.push(port(value, DeviceType::System)?),
            "internal" => bridge.ports.push(port(value, DeviceType::Internal)?),
            "fail_mode" => {
                fail_mode = match value {
                    "secure" => Some(FailMode::Secure),
                    "standalone" => Some(FailMode::Standalone),
                    _ => return Err(format!("fail_mode={value}: secure or standalone")),
                }
            }
            _ => {
                return Err(format!(
                    "unknown key {key:?} (name, dpid, controller, listen, port, internal, fail_mode)"
                ));
            }
        }
    }
    bridge.name = name.ok_or("name= is missing")?;
    bridge.datapath_id = datapath_id.ok_or("dpid= is missing")?;
    // Whoever names a controller wants its flows and no others.
    let is_controlled = !bridge.controllers.is_empty() || !bridge.listeners.is_empty();
    bridge.fail_mode = fail_mode.unwrap_or(if is_controlled {
        FailMode::Secure
    } else {
        FailMode::Standalone
    });
    let mut numbers = BTreeSet::new();
    for port in &bridge.ports {
        if !port.ofport.is_none_or(|number| numbers.insert(number)) {
            return Err(format!(
                "port number {} is given twice",
                port.ofport.unwrap_or_default()
            ));
        }
    }
    Ok(bridge)
}

/// Checks a bridge's name: it becomes part of a socket's file name and the name of an interface.
pub fn bridge_name(name: &str) -> Result<String, String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.len() > 15 || name.starts_with('.') || !name.chars().all(valid) {
        return Err(format!(
            "{name:?} cannot be the name of a bridge (1 to 15 letters, digits, '-', '_', '.', '@')"
        ));
    }
    Ok(name.to_owned())
}

/// Parses a datapath id: up to 16 hex digits, as `ovs-vsctl` writes them; zero is no datapath.
pub fn parse_datapath_id(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let valid = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    match u64::from_str_radix(digits, 16) {
        Ok(id) if valid && id != 0 => Ok(id),
        _ => Err(format!(
            "datapath id {text:?} is not 16 hex digits, not all zero"
        )),
    }
}

fn target(text: &str, passive: bool) -> Result<Target, String> {
    let target: Target = text.parse().map_err(|error| format!("{error}"))?;
    match (passive, target.is_passive()) {
        (true, false) => Err(format!("listen={text}: ptcp:, pssl: or punix: wanted")),
        (false, true) => Err(format!("controller={text}: tcp:, ssl: or unix: wanted")),
        _ => Ok(target),
    }
}

fn port(text: &str, device_type: DeviceType) -> Result<PortSpec, String> {
    let (name, number) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("{text:?} is not DEVICE:NUMBER"))?;
    let ofport = match number {
        "local" | "LOCAL" => OFPP_LOCAL,
        _ => number
            .parse()
            .ok()
            .filter(|n| (1..=OFPP_MAX).contains(n))
            .ok_or_else(|| format!("{text:?}: the port number is 1 to {OFPP_MAX} or LOCAL"))?,
    };
    if name.is_empty() || name.len() > 15 {
        return Err(format!("{text:?}: the name of a device has 1 to 15 bytes"));
    }
    Ok(PortSpec::new(name.to_owned(), device_type, Some(ofport)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_bridge() {
        let bridge = parse_bridge(
            "name=br0,dpid=0000000000000001,controller=tcp:127.0.0.1:6653,listen=ptcp:6654:127.0.0.1,port=p1:1,port=p2:2,internal=br0:LOCAL,fail_mode=secure",
        )
        .unwrap();
        assert_eq!(bridge.name, "br0");
        assert_eq!(bridge.datapath_id, 1);
        assert_eq!(bridge.fail_mode, FailMode::Secure);
        assert_eq!(bridge.controllers[0].to_string(), "tcp:127.0.0.1:6653");
        assert_eq!(bridge.listeners[0].to_string(), "ptcp:6654:127.0.0.1");
        let ports: Vec<_> = bridge
            .ports
            .iter()
            .map(|p| (p.name.as_str(), p.ofport))
            .collect();
        assert_eq!(
            ports,
            [("p1", Some(1)), ("p2", Some(2)), ("br0", Some(OFPP_LOCAL))]
        );
    }

    #[test]
    fn errors_name_the_part() {
        for (spec, word) in [
            ("dpid=1", "name="),
            ("name=br0", "dpid="),
            ("name=br0,dpid=0", "datapath id"),
            ("name=br0,dpid=11112222333344445", "datapath id"),
            ("name=a/b,dpid=1", "a/b"),
            ("name=br0,dpid=1,port=p1", "DEVICE:NUMBER"),
            ("name=br0,dpid=1,port=p1:0", "port number"),
            ("name=br0,dpid=1,port=p1:70000", "port number"),
            ("name=br0,dpid=1,port=p1:1,port=p2:1", "twice"),
            ("name=br0,dpid=1,controller=ptcp:1", "controller="),
            ("name=br0,dpid=1,listen=tcp:h", "listen="),
            ("name=br0,dpid=1,colour=red", "colour"),
            ("name=br0,dpid=1,fail_mode=open", "fail_mode"),
            ("name=br0,dpid", "key=value"),
        ] {
            let error = parse_bridge(spec).unwrap_err();
            assert!(error.contains(word), "{spec}: {error}");
        }
    }
}
