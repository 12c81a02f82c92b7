//! The control channel's methods: parameters, answers, errors (see ARCHITECTURE.md, "Control channel").

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use weft_netdev::{QUEUE_LIMIT, QueueShape};
use weft_pipeline::CachedFlowQuery;

use crate::cli;
use crate::command::Stopped;
use crate::logging::LEVELS;
use crate::target::Target;
use crate::types::{
    BridgeSpec, DeviceType, FailMode, OFPP_LOCAL, OFPP_MAX, Policing, PortSpec, Qos, TableLimit,
    parse_mac,
};

/// A request that is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcError {
    /// JSON-RPC's number.
    pub number: i32,
    /// A stable word for programs.
    pub code: &'static str,
    /// One sentence for people.
    pub message: String,
}

impl RpcError {
    /// An error of ours, with its word.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        RpcError {
            number: -32000,
            code,
            message: message.into(),
        }
    }

    /// The parameters are not what the method takes.
    pub fn invalid(message: impl Into<String>) -> Self {
        RpcError {
            number: -32602,
            code: "invalid-params",
            message: message.into(),
        }
    }

    /// No such method.
    pub fn unknown_method(method: &str) -> Self {
        RpcError {
            number: -32601,
            code: "unknown-method",
            message: format!("there is no method {method:?}"),
        }
    }

    /// No such bridge.
    pub fn no_such_bridge(name: &str) -> Self {
        RpcError::new("no-such-bridge", format!("there is no bridge {name}"))
    }

    /// The daemon is on its way out.
    pub fn stopping(error: Stopped) -> Self {
        RpcError::new("stopping", error.to_string())
    }

    /// The error object of an answer.
    pub fn to_json(&self) -> Value {
        json!({ "code": self.number, "message": self.message, "data": { "code": self.code } })
    }
}

/// A request as the switch thread takes it.
#[derive(Debug)]
pub enum SwitchRequest {
    /// `bridge.ensure`
    EnsureBridge(BridgeSpec),
    /// `bridge.remove`
    RemoveBridge(String),
    /// The switch's part of `bridge.list`.
    ListBridges,
    /// `port.ensure`
    EnsurePort {
        /// Name of the bridge.
        bridge: String,
        /// The port.
        port: PortSpec,
    },
    /// `port.remove`
    RemovePort {
        /// Name of the bridge.
        bridge: String,
        /// Name of the port.
        name: String,
    },
    /// `port.list`
    ListPorts(String),
    /// `port.stats`
    PortStats(String),
    /// `fastpath.show`
    FastPathShow {
        /// Of this bridge alone.
        bridge: Option<String>,
    },
    /// `fastpath.flows`
    FastPathFlows {
        /// Name of the bridge.
        bridge: String,
        /// Which flows.
        query: CachedFlowQuery,
    },
    /// `drops`
    Drops(String),
    /// `drops.last`
    LastDropped(String),
    /// `trace`
    Trace {
        /// Name of the bridge.
        bridge: String,
        /// Port it would come in on.
        in_port: u32,
        /// The frame.
        frame: Vec<u8>,
    },
}

/// Any request of the control channel.
#[derive(Debug)]
pub enum Request {
    /// `version`
    Version,
    /// `bridge.list`, to which both threads contribute.
    ListBridges,
    /// `bridge.ensure`, which also concerns connections.
    EnsureBridge(BridgeSpec),
    /// `bridge.remove`, which also concerns connections.
    RemoveBridge(String),
    /// The switch alone.
    Switch(SwitchRequest),
    /// `events.subscribe`
    Subscribe,
    /// `pidfile.hold`
    HoldPidFiles(Vec<String>),
    /// `log.level`
    SetLogLevel(String),
    /// `shutdown`
    Shutdown {
        /// Keep internal interfaces.
        keep_interfaces: bool,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EnsureBridgeParams {
    name: String,
    datapath_id: String,
    #[serde(default)]
    fail_mode: FailModeWord,
    #[serde(default)]
    controllers: Vec<String>,
    #[serde(default)]
    listeners: Vec<String>,
    #[serde(default)]
    program_table: Option<u8>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    flow_tables: Vec<FlowTableParams>,
}

/// A row of Open vSwitch's `Flow_Table`, as far as it is acted on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FlowTableParams {
    id: u8,
    #[serde(default)]
    flow_limit: Option<usize>,
    #[serde(default)]
    overflow_policy: OverflowWord,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "lowercase")]
enum OverflowWord {
    #[default]
    Refuse,
    Evict,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum FailModeWord {
    #[default]
    Standalone,
    Secure,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NameParams {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BridgeParams {
    bridge: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnsurePortParams {
    bridge: String,
    name: String,
    #[serde(rename = "type")]
    device_type: DeviceType,
    #[serde(default)]
    ofport: Option<u32>,
    #[serde(default)]
    mac: Option<String>,
    #[serde(default)]
    mtu: Option<u32>,
    #[serde(default)]
    qos: Option<QosParams>,
    #[serde(default)]
    policing: Option<Policing>,
    #[serde(default)]
    peer: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QosParams {
    #[serde(default)]
    max_rate: Option<u64>,
    queues: Vec<QueueParams>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueueParams {
    id: u32,
    #[serde(default)]
    min_rate: u64,
    #[serde(default)]
    max_rate: Option<u64>,
    #[serde(default)]
    burst: u64,
    #[serde(default)]
    priority: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RemovePortParams {
    bridge: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TraceParams {
    bridge: String,
    in_port: u32,
    frame: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldPidFilesParams {
    programs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LogLevelParams {
    level: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ShutdownParams {
    #[serde(default)]
    keep_interfaces: bool,
}

impl Request {
    /// Reads a method and its parameters.
    pub fn parse(method: &str, params: Value) -> Result<Request, RpcError> {
        let request = match method {
            "version" => Request::Version,
            "bridge.list" => Request::ListBridges,
            "bridge.ensure" => Request::EnsureBridge(bridge_spec(read(params)?)?),
            "bridge.remove" => Request::RemoveBridge(read::<NameParams>(params)?.name),
            "port.ensure" => {
                let params: EnsurePortParams = read(params)?;
                Request::Switch(SwitchRequest::EnsurePort {
                    bridge: params.bridge.clone(),
                    port: port_spec(params)?,
                })
            }
            "port.remove" => {
                let RemovePortParams { bridge, name } = read(params)?;
                Request::Switch(SwitchRequest::RemovePort { bridge, name })
            }
            "port.list" => Request::Switch(SwitchRequest::ListPorts(
                read::<BridgeParams>(params)?.bridge,
            )),
            "port.stats" => Request::Switch(SwitchRequest::PortStats(
                read::<BridgeParams>(params)?.bridge,
            )),
            "fastpath.show" => {
                let FastPathShowParams { bridge } = read_or_none(params)?;
                Request::Switch(SwitchRequest::FastPathShow { bridge })
            }
            "fastpath.flows" => {
                let params: FastPathFlowsParams = read(params)?;
                Request::Switch(SwitchRequest::FastPathFlows {
                    bridge: params.bridge,
                    query: CachedFlowQuery {
                        in_port: params.in_port,
                        in_kernel: params.in_kernel,
                        why_not: params.why_not,
                        limit: params.limit,
                    },
                })
            }
            "drops" => Request::Switch(SwitchRequest::Drops(read::<BridgeParams>(params)?.bridge)),
            "drops.last" => Request::Switch(SwitchRequest::LastDropped(
                read::<BridgeParams>(params)?.bridge,
            )),
            "trace" => {
                let TraceParams {
                    bridge,
                    in_port,
                    frame,
                } = read(params)?;
                let frame = parse_hex(&frame)
                    .ok_or_else(|| RpcError::invalid("frame is not hex digits in pairs"))?;
                Request::Switch(SwitchRequest::Trace {
                    bridge,
                    in_port,
                    frame,
                })
            }
            "events.subscribe" => Request::Subscribe,
            "pidfile.hold" => {
                let HoldPidFilesParams { programs } = read(params)?;
                if let Some(name) = programs.iter().find(|name| !is_program_name(name)) {
                    return Err(RpcError::invalid(format!(
                        "{name:?} is no name of a program"
                    )));
                }
                Request::HoldPidFiles(programs)
            }
            "log.level" => {
                let LogLevelParams { level } = read(params)?;
                if !LEVELS.contains(&level.as_str()) {
                    return Err(RpcError::invalid(format!(
                        "level is none of {}",
                        LEVELS.join(", ")
                    )));
                }
                Request::SetLogLevel(level)
            }
            "shutdown" => Request::Shutdown {
                keep_interfaces: read_or_none::<ShutdownParams>(params)?.keep_interfaces,
            },
            _ => return Err(RpcError::unknown_method(method)),
        };
        Ok(request)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FastPathFlowsParams {
    bridge: String,
    #[serde(default)]
    in_port: Option<u32>,
    #[serde(default)]
    in_kernel: Option<bool>,
    #[serde(default)]
    why_not: Option<String>,
    #[serde(default = "default_flow_limit")]
    limit: usize,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct FastPathShowParams {
    #[serde(default)]
    bridge: Option<String>,
}

fn default_flow_limit() -> usize {
    1000
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    serde_json::from_value(params).map_err(|error| RpcError::invalid(error.to_string()))
}

/// Parameters that may be left out altogether.
fn read_or_none<T: DeserializeOwned + Default>(params: Value) -> Result<T, RpcError> {
    if params.is_null() {
        return Ok(T::default());
    }
    read(params)
}

fn bridge_spec(params: EnsureBridgeParams) -> Result<BridgeSpec, RpcError> {
    let name = cli::bridge_name(&params.name).map_err(RpcError::invalid)?;
    let datapath_id = cli::parse_datapath_id(&params.datapath_id).map_err(RpcError::invalid)?;
    let parse = |texts: &[String], passive: bool| -> Result<Vec<Target>, RpcError> {
        texts
            .iter()
            .map(|text| {
                let target: Target = text
                    .parse()
                    .map_err(|error| RpcError::invalid(format!("{error}")))?;
                if target.is_passive() == passive {
                    return Ok(target);
                }
                let (list, other) = if passive {
                    ("listeners", "controllers")
                } else {
                    ("controllers", "listeners")
                };
                Err(RpcError::invalid(format!(
                    "{text} belongs to {other}, not to {list}"
                )))
            })
            .collect()
    };
    let limit = |table: FlowTableParams| {
        let limit = TableLimit {
            max_flows: table.flow_limit,
            evicts: table.overflow_policy == OverflowWord::Evict,
        };
        (table.id, limit)
    };
    let table_limits = params.flow_tables.into_iter().map(limit).collect();
    Ok(BridgeSpec {
        name,
        datapath_id,
        fail_mode: match params.fail_mode {
            FailModeWord::Standalone => FailMode::Standalone,
            FailModeWord::Secure => FailMode::Secure,
        },
        controllers: parse(&params.controllers, false)?,
        listeners: parse(&params.listeners, true)?,
        program_table: params.program_table,
        description: params.description.unwrap_or_default(),
        ports: Vec::new(),
        table_limits,
    })
}

fn check_device_name(name: &str) -> Result<(), RpcError> {
    if name.is_empty() || name.len() > 15 {
        return Err(RpcError::invalid(format!(
            "{name:?}: the name of a device has 1 to 15 bytes"
        )));
    }
    Ok(())
}

fn port_spec(params: EnsurePortParams) -> Result<PortSpec, RpcError> {
    check_device_name(&params.name)?;
    if let Some(number) = params.ofport
        && !(1..=OFPP_MAX).contains(&number)
        && number != OFPP_LOCAL
    {
        return Err(RpcError::invalid(format!(
            "ofport {number} is not 1 to {OFPP_MAX} or {OFPP_LOCAL}"
        )));
    }
    let mac = match &params.mac {
        None => None,
        Some(text) => match parse_mac(text) {
            Some(mac) if mac[0] & 1 == 0 && mac != [0; 6] => Some(mac),
            _ => {
                return Err(RpcError::invalid(format!(
                    "mac {text:?} is not the address of one interface"
                )));
            }
        },
    };
    if params.mtu.is_some_and(|mtu| !(68..=65535).contains(&mtu)) {
        return Err(RpcError::invalid("mtu is not 68 to 65535"));
    }
    if params
        .policing
        .is_some_and(|policing| policing.rate_kbps == 0)
    {
        return Err(RpcError::invalid("policing: rateKbps is zero"));
    }
    match &params.peer {
        Some(_) if params.device_type != DeviceType::Patch => {
            return Err(RpcError::invalid("only a patch port has a peer"));
        }
        Some(peer) if *peer == params.name => {
            return Err(RpcError::invalid("a patch port is not its own peer"));
        }
        Some(peer) => check_device_name(peer)?,
        None if params.device_type == DeviceType::Patch => {
            return Err(RpcError::invalid("a patch port needs a peer"));
        }
        None => {}
    }
    Ok(PortSpec {
        mac,
        peer: params.peer,
        mtu: params.mtu,
        qos: params.qos.map(qos).transpose()?,
        policing: params.policing,
        ..PortSpec::new(params.name, params.device_type, params.ofport)
    })
}

fn qos(params: QosParams) -> Result<Qos, RpcError> {
    let mut ids = BTreeSet::new();
    for queue in &params.queues {
        if queue.id >= QUEUE_LIMIT {
            let message = format!("queue {} is not 0 to {}", queue.id, QUEUE_LIMIT - 1);
            return Err(RpcError::invalid(message));
        }
        if !ids.insert(queue.id) {
            return Err(RpcError::invalid(format!(
                "queue {} is there twice",
                queue.id
            )));
        }
    }
    let shape = |queue: QueueParams| QueueShape {
        id: queue.id,
        min_rate: queue.min_rate,
        max_rate: queue.max_rate,
        burst: queue.burst,
        priority: queue.priority,
    };
    Ok(Qos {
        max_rate: params.max_rate,
        queues: params.queues.into_iter().map(shape).collect(),
    })
}

/// A word that makes a file's name and nothing else.
fn is_program_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !name.is_empty() && name.len() <= 64 && name.chars().all(fits)
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| Some((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_as_weftd_asks_for_it() {
        let params = json!({ "name": "sw0", "datapathId": "0000000000000001", "failMode": "standalone",
            "controllers": ["tcp:127.0.0.1:6653"], "listeners": [], "programTable": 64 });
        let Ok(Request::EnsureBridge(spec)) = Request::parse("bridge.ensure", params) else {
            panic!()
        };
        assert_eq!(spec.program_table, Some(64));
        assert_eq!(spec.controllers.len(), 1);
    }

    #[test]
    fn bad_parameters_are_told_apart() {
        for (method, params, word) in [
            ("bridge.ensure", json!({ "datapathId": "1" }), "name"),
            (
                "bridge.ensure",
                json!({ "name": "../x", "datapathId": "1" }),
                "../x",
            ),
            (
                "bridge.ensure",
                json!({ "name": "b", "datapathId": "0" }),
                "datapath id",
            ),
            (
                "bridge.ensure",
                json!({ "name": "b", "datapathId": "1", "controllers": ["ptcp:1"] }),
                "listeners",
            ),
            (
                "bridge.ensure",
                json!({ "name": "b", "datapathId": "1", "colour": 1 }),
                "colour",
            ),
            (
                "port.ensure",
                json!({ "bridge": "b", "name": "p", "type": "vxlan" }),
                "vxlan",
            ),
            (
                "port.ensure",
                json!({ "bridge": "b", "name": "p", "type": "patch" }),
                "needs a peer",
            ),
            (
                "port.ensure",
                json!({ "bridge": "b", "name": "p", "type": "patch", "peer": "p" }),
                "its own peer",
            ),
            (
                "port.ensure",
                json!({ "bridge": "b", "name": "p", "type": "system", "peer": "q" }),
                "only a patch port",
            ),
            (
                "port.ensure",
                json!({ "bridge": "b", "name": "p", "type": "system", "ofport": 0 }),
                "ofport",
            ),
            (
                "port.ensure",
                json!({ "bridge": "b", "name": "p", "type": "internal", "mac": "01:00:00:00:00:01" }),
                "mac",
            ),
            (
                "trace",
                json!({ "bridge": "b", "inPort": 1, "frame": "abc" }),
                "hex",
            ),
        ] {
            let error = Request::parse(method, params).unwrap_err();
            assert_eq!(error.code, "invalid-params");
            assert!(error.message.contains(word), "{}", error.message);
        }
        assert_eq!(
            Request::parse("bridge.destroy", Value::Null)
                .unwrap_err()
                .number,
            -32601
        );
    }

    #[test]
    fn hex_in_pairs() {
        assert_eq!(parse_hex("00fFa0"), Some(vec![0, 0xff, 0xa0]));
        assert_eq!(parse_hex("0"), None);
        assert_eq!(parse_hex("0g"), None);
        assert_eq!(parse_hex("é"), None);
    }
}
