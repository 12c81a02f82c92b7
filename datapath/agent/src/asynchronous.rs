//! Which asynchronous messages a connection wants, per role (OF 1.3.5 §7.3.10).

use crate::role::Role;

/// Kinds of asynchronous message that a controller can filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsyncKind {
    /// `OFPT_PACKET_IN`, reasons `OFPR_*`.
    PacketIn,
    /// `OFPT_PORT_STATUS`, reasons `OFPPR_*`.
    PortStatus,
    /// `OFPT_FLOW_REMOVED`, reasons `OFPRR_*`.
    FlowRemoved,
}

/// Reason bitmaps for one message kind: bit *n* set means that reason *n* is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReasonMask {
    /// While the connection is master or equal.
    pub master: u32,
    /// While the connection is slave.
    pub slave: u32,
}

/// The asynchronous configuration of one connection (`ofp_async_config`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncConfig {
    /// Packet-in reasons.
    pub packet_in: ReasonMask,
    /// Port-status reasons.
    pub port_status: ReasonMask,
    /// Flow-removed reasons.
    pub flow_removed: ReasonMask,
}

/// `OFPR_NO_MATCH`, `OFPR_ACTION`, but not `OFPR_INVALID_TTL`.
const PACKET_IN_DEFAULT: u32 = 0b011;
/// `OFPPR_ADD`, `OFPPR_DELETE`, `OFPPR_MODIFY`.
const PORT_STATUS_ALL: u32 = 0b111;
/// `OFPRR_IDLE_TIMEOUT`, `OFPRR_HARD_TIMEOUT`, `OFPRR_DELETE`, `OFPRR_GROUP_DELETE`, `OFPRR_EVICTION`.
const FLOW_REMOVED_ALL: u32 = 0b10_1111;

impl Default for AsyncConfig {
    /// What a controller gets until it asks otherwise (§7.3.10): as master or equal everything except
    /// `OFPR_INVALID_TTL`; as slave port status only.
    fn default() -> Self {
        AsyncConfig {
            packet_in: ReasonMask {
                master: PACKET_IN_DEFAULT,
                slave: 0,
            },
            port_status: ReasonMask {
                master: PORT_STATUS_ALL,
                slave: PORT_STATUS_ALL,
            },
            flow_removed: ReasonMask {
                master: FLOW_REMOVED_ALL,
                slave: 0,
            },
        }
    }
}

impl AsyncConfig {
    /// Whether a connection in `role` wants a message of this kind with this reason.
    pub fn wants(&self, kind: AsyncKind, reason: u8, role: Role) -> bool {
        let masks = match kind {
            AsyncKind::PacketIn => self.packet_in,
            AsyncKind::PortStatus => self.port_status,
            AsyncKind::FlowRemoved => self.flow_removed,
        };
        let mask = match role {
            Role::Master | Role::Equal => masks.master,
            Role::Slave => masks.slave,
        };
        reason < 32 && mask & (1 << reason) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_specification() {
        use AsyncKind::{FlowRemoved, PacketIn, PortStatus};
        let config = AsyncConfig::default();
        // (kind, reason, wanted as master or equal, wanted as slave)
        let table = [
            (PacketIn, 0, true, false),
            (PacketIn, 1, true, false),
            (PacketIn, 2, false, false),
            (PortStatus, 0, true, true),
            (PortStatus, 1, true, true),
            (PortStatus, 2, true, true),
            (FlowRemoved, 0, true, false),
            (FlowRemoved, 1, true, false),
            (FlowRemoved, 2, true, false),
            (FlowRemoved, 3, true, false),
            (FlowRemoved, 4, false, false),
            (FlowRemoved, 255, false, false),
        ];
        for (kind, reason, master, slave) in table {
            assert_eq!(
                config.wants(kind, reason, Role::Master),
                master,
                "{kind:?} {reason} master"
            );
            assert_eq!(
                config.wants(kind, reason, Role::Equal),
                master,
                "{kind:?} {reason} equal"
            );
            assert_eq!(
                config.wants(kind, reason, Role::Slave),
                slave,
                "{kind:?} {reason} slave"
            );
        }
    }

    #[test]
    fn each_kind_and_role_has_its_own_bit() {
        let config = AsyncConfig {
            packet_in: ReasonMask {
                master: 1 << 2,
                slave: 1,
            },
            port_status: ReasonMask {
                master: 0,
                slave: 1 << 31,
            },
            flow_removed: ReasonMask {
                master: 1 << 1,
                slave: 0,
            },
        };
        for kind in [
            AsyncKind::PacketIn,
            AsyncKind::PortStatus,
            AsyncKind::FlowRemoved,
        ] {
            for role in [Role::Master, Role::Equal, Role::Slave] {
                for reason in 0..=40u8 {
                    let expected = match (kind, role) {
                        (AsyncKind::PacketIn, Role::Slave) => reason == 0,
                        (AsyncKind::PacketIn, _) => reason == 2,
                        (AsyncKind::PortStatus, Role::Slave) => reason == 31,
                        (AsyncKind::PortStatus, _) => false,
                        (AsyncKind::FlowRemoved, Role::Slave) => false,
                        (AsyncKind::FlowRemoved, _) => reason == 1,
                    };
                    assert_eq!(config.wants(kind, reason, role), expected);
                }
            }
        }
    }
}
