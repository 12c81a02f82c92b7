//! Connection targets in Open vSwitch's words (`ovs-vsctl(8)`, "Connection methods").

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// The port IANA assigned to OpenFlow, used where a target names none.
pub const OPENFLOW_PORT: u16 = 6653;

/// Where to connect to, or to listen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// `tcp:HOST[:PORT]` or, with `tls`, `ssl:HOST[:PORT]`
    Tcp {
        /// Address or name.
        host: String,
        /// TCP port.
        port: u16,
        /// TLS on top.
        tls: bool,
    },
    /// `unix:PATH`
    Unix(PathBuf),
    /// `ptcp:[PORT][:ADDRESS]` or, with `tls`, `pssl:…`
    PassiveTcp {
        /// Address to listen on. If none is given: for `pssl:`, whose peers show certificates, all of IPv4, as in Open
        /// vSwitch; for `ptcp:`, which lets in whoever comes, this machine only.
        address: IpAddr,
        /// TCP port.
        port: u16,
        /// TLS on top.
        tls: bool,
    },
    /// `punix:PATH`
    PassiveUnix(PathBuf),
}

impl Target {
    /// Whether this waits for peers instead of going to one.
    pub fn is_passive(&self) -> bool {
        matches!(self, Target::PassiveTcp { .. } | Target::PassiveUnix(_))
    }

    /// Whether it needs a key and certificates.
    pub fn needs_tls(&self) -> bool {
        matches!(
            self,
            Target::Tcp { tls: true, .. } | Target::PassiveTcp { tls: true, .. }
        )
    }
}

/// A target nobody can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a connection target (tcp:HOST:PORT, ssl:HOST:PORT, unix:PATH, ptcp:PORT:HOST, pssl:PORT:HOST, punix:PATH)"
)]
pub struct BadTarget(String);

impl FromStr for Target {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<Self, BadTarget> {
        let bad = || BadTarget(text.to_owned());
        let (method, rest) = text.split_once(':').ok_or_else(bad)?;
        let target = match method {
            "tcp" | "ssl" => {
                let (host, port) = split_host(rest).ok_or_else(bad)?;
                Target::Tcp {
                    host,
                    port: port.unwrap_or(OPENFLOW_PORT),
                    tls: method == "ssl",
                }
            }
            "ptcp" | "pssl" => {
                let (port, address) = rest.split_once(':').unwrap_or((rest, ""));
                let port = if port.is_empty() {
                    OPENFLOW_PORT
                } else {
                    port.parse().map_err(|_| bad())?
                };
                let address = match address.trim_start_matches('[').trim_end_matches(']') {
                    "" if method == "ptcp" => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    text => text.parse().map_err(|_| bad())?,
                };
                Target::PassiveTcp {
                    address,
                    port,
                    tls: method == "pssl",
                }
            }
            "unix" if !rest.is_empty() => Target::Unix(rest.into()),
            "punix" if !rest.is_empty() => Target::PassiveUnix(rest.into()),
            _ => return Err(bad()),
        };
        Ok(target)
    }
}

/// Splits `HOST[:PORT]`, where an IPv6 address with a port stands in brackets.
fn split_host(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        match after {
            "" => (host, None),
            _ => (host, Some(after.strip_prefix(':')?)),
        }
    } else if text.parse::<Ipv6Addr>().is_ok() {
        (text, None)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if host.is_empty() || !host.chars().all(valid) {
        return None;
    }
    let port = match port {
        None => None,
        Some(digits) => Some(digits.parse().ok().filter(|&port: &u16| port != 0)?),
    };
    Some((host.to_owned(), port))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp { host, port, tls } => {
                let method = if *tls { "ssl" } else { "tcp" };
                if host.contains(':') {
                    write!(f, "{method}:[{host}]:{port}")
                } else {
                    write!(f, "{method}:{host}:{port}")
                }
            }
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
            Target::PassiveTcp { address, port, tls } => {
                let method = if *tls { "pssl" } else { "ptcp" };
                match address {
                    IpAddr::V4(address) => write!(f, "{method}:{port}:{address}"),
                    IpAddr::V6(address) => write!(f, "{method}:{port}:[{address}]"),
                }
            }
            Target::PassiveUnix(path) => write!(f, "punix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_vswitchs_words_are_understood() {
        for (text, printed) in [
            ("tcp:127.0.0.1:6653", "tcp:127.0.0.1:6653"),
            ("tcp:controller.example", "tcp:controller.example:6653"),
            ("tcp:[::1]:6633", "tcp:[::1]:6633"),
            ("tcp:::1", "tcp:[::1]:6653"),
            ("ssl:10.0.0.1", "ssl:10.0.0.1:6653"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("ptcp:", "ptcp:6653:127.0.0.1"),
            ("ptcp:6654", "ptcp:6654:127.0.0.1"),
            ("ptcp:6654:0.0.0.0", "ptcp:6654:0.0.0.0"),
            ("ptcp:6654:127.0.0.1", "ptcp:6654:127.0.0.1"),
            ("ptcp:6654:[::1]", "ptcp:6654:[::1]"),
            ("pssl:6654", "pssl:6654:0.0.0.0"),
            ("punix:/run/y", "punix:/run/y"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), printed);
            assert_eq!(printed.parse::<Target>().unwrap(), target);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "tcp",
            "tcp:",
            "tcp::6653",
            "tcp:h:0",
            "tcp:h:65536",
            "tcp:h:x",
            "tcp:a b:1",
            "ptcp:x",
            "ptcp:1:nohost",
            "unix:",
            "udp:h:1",
            "tcp:[::1",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
