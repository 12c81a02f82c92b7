//! The connections of a bridge: roles, filters, and who hears of what.

use std::collections::BTreeMap;

use crate::asynchronous::{AsyncConfig, AsyncKind};
use crate::config::{ConnId, ConnectionInfo, ConnectionKind};
use crate::role::{Generation, Role, StaleGeneration};

/// `miss_send_len` a connection starts with (`OFP_DEFAULT_MISS_SEND_LEN`).
const DEFAULT_MISS_SEND_LEN: u16 = 128;

/// State of one connection that outlives a message.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Who it is.
    pub info: ConnectionInfo,
    /// Its role; an auxiliary connection's is its main connection's.
    pub role: Role,
    /// Asynchronous messages it wants.
    pub asynchronous: AsyncConfig,
    /// Whether it asked for asynchronous messages at all (`OFPT_SET_ASYNC`).
    pub asked_for_async: bool,
    /// `miss_send_len` of its last `OFPT_SET_CONFIG`.
    pub miss_send_len: u16,
    /// Packet-ins for this controller id reach it (`NXT_SET_CONTROLLER_ID`).
    pub controller_id: u16,
}

impl Connection {
    fn new(info: ConnectionInfo) -> Self {
        // As in Open vSwitch, a management tool hears nothing until it sets a length.
        let miss_send_len = match info.kind {
            ConnectionKind::Management => 0,
            ConnectionKind::Controller | ConnectionKind::Program => DEFAULT_MISS_SEND_LEN,
        };
        Connection {
            info,
            role: Role::default(),
            asynchronous: AsyncConfig::default(),
            asked_for_async: false,
            miss_send_len,
            controller_id: 0,
        }
    }

    /// Whether asynchronous messages are for this connection at all, whatever their reason.
    fn listens(&self) -> bool {
        self.info.main.is_none()
            && (self.info.kind != ConnectionKind::Management
                || self.asked_for_async
                || self.miss_send_len != 0)
    }
}

/// Where an asynchronous message comes from, as far as it decides who hears of it.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Kind of message.
    pub kind: AsyncKind,
    /// Its reason.
    pub reason: u8,
    /// Whether it was raised by the bridge program's tables or by users'; `None`: it is for everyone.
    pub program: Option<bool>,
    /// The controller id it is addressed to, for packet-in.
    pub controller_id: u16,
}

/// All connections of a bridge, and the generation id they share.
#[derive(Debug, Default)]
pub struct Connections {
    by_id: BTreeMap<ConnId, Connection>,
    generation: Generation,
}

impl Connections {
    /// Takes in a connection that has been negotiated.
    pub fn open(&mut self, conn: ConnId, info: ConnectionInfo) {
        self.by_id.insert(conn, Connection::new(info));
    }

    /// Forgets a connection, and returns the auxiliary ones that must go with it (§6.3.6).
    pub fn close(&mut self, conn: ConnId) -> Vec<ConnId> {
        self.by_id.remove(&conn);
        let orphans: Vec<_> = self
            .by_id
            .iter()
            .filter(|(_, c)| c.info.main == Some(conn))
            .map(|(&id, _)| id)
            .collect();
        for orphan in &orphans {
            self.by_id.remove(orphan);
        }
        orphans
    }

    /// The connection itself, also for an auxiliary one.
    pub fn get(&self, conn: ConnId) -> Option<&Connection> {
        self.by_id.get(&conn)
    }

    /// The connection itself, to be changed.
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.by_id.get_mut(&conn)
    }

    /// The id whose state decides: an auxiliary connection's main one.
    fn main_id(&self, conn: ConnId) -> ConnId {
        self.by_id
            .get(&conn)
            .and_then(|c| c.info.main)
            .unwrap_or(conn)
    }

    /// The state that decides for `conn`: its main connection's.
    pub fn main(&self, conn: ConnId) -> Option<&Connection> {
        self.by_id.get(&self.main_id(conn))
    }

    /// The state that decides for `conn`, to be changed.
    pub fn main_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let id = self.main_id(conn);
        self.by_id.get_mut(&id)
    }

    /// Role of the connection, `None` if there is no such connection.
    pub fn role(&self, conn: ConnId) -> Option<Role> {
        self.main(conn).map(|c| c.role)
    }

    /// The generation id to report.
    pub fn generation(&self) -> u64 {
        self.generation.reported()
    }

    /// Changes a role (§6.3.5): a new master makes the old one slave. `generation` counts for master and slave
    /// only.
    pub fn set_role(
        &mut self,
        conn: ConnId,
        role: Role,
        generation: u64,
    ) -> Result<(), StaleGeneration> {
        let id = self.main_id(conn);
        if role != Role::Equal {
            self.generation.advance(generation)?;
        }
        if role == Role::Master {
            for (_, other) in self
                .by_id
                .iter_mut()
                .filter(|(other, c)| **other != id && c.role == Role::Master)
            {
                other.role = Role::Slave;
            }
        }
        if let Some(connection) = self.by_id.get_mut(&id) {
            connection.role = role;
        }
        Ok(())
    }

    /// Who hears of it. With a bridge program, what its tables raise is for program connections only, and what
    /// users' tables raise is for all others.
    pub fn recipients(&self, origin: Origin) -> impl Iterator<Item = ConnId> + '_ {
        self.by_id.iter().filter_map(move |(&id, connection)| {
            let is_program = connection.info.kind == ConnectionKind::Program;
            let heard = connection.listens()
                && origin
                    .program
                    .is_none_or(|from_program| from_program == is_program)
                && (origin.kind != AsyncKind::PacketIn
                    || origin.controller_id == connection.controller_id)
                && connection
                    .asynchronous
                    .wants(origin.kind, origin.reason, connection.role);
            heard.then_some(id)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConnectionKind::{Controller, Management, Program};

    fn with(kinds: &[ConnectionKind]) -> Connections {
        let mut connections = Connections::default();
        for (index, &kind) in kinds.iter().enumerate() {
            connections.open(ConnId(index as u64), ConnectionInfo::new(kind));
        }
        connections
    }

    fn heard(
        connections: &Connections,
        kind: AsyncKind,
        reason: u8,
        program: Option<bool>,
        id: u16,
    ) -> Vec<u64> {
        let origin = Origin {
            kind,
            reason,
            program,
            controller_id: id,
        };
        connections.recipients(origin).map(|conn| conn.0).collect()
    }

    #[test]
    fn role_transitions() {
        use Role::{Equal, Master, Slave};
        // Roles of three connections before, which one asks for what, roles after.
        let table = [
            ([Equal, Equal, Equal], 0, Master, [Master, Equal, Equal]),
            ([Master, Equal, Slave], 1, Master, [Slave, Master, Slave]),
            ([Master, Slave, Slave], 2, Master, [Slave, Slave, Master]),
            ([Master, Slave, Slave], 0, Master, [Master, Slave, Slave]),
            ([Master, Slave, Equal], 0, Slave, [Slave, Slave, Equal]),
            ([Master, Slave, Equal], 0, Equal, [Equal, Slave, Equal]),
            ([Master, Slave, Equal], 1, Equal, [Master, Equal, Equal]),
            ([Master, Equal, Equal], 2, Slave, [Master, Equal, Slave]),
        ];
        for (before, asking, role, after) in table {
            let mut connections = with(&[Controller; 3]);
            for (index, role) in before.into_iter().enumerate() {
                connections
                    .by_id
                    .get_mut(&ConnId(index as u64))
                    .unwrap()
                    .role = role;
            }
            connections.set_role(ConnId(asking), role, 7).unwrap();
            let roles: Vec<_> = connections.by_id.values().map(|c| c.role).collect();
            assert_eq!(roles, after, "{before:?}: {asking} becomes {role}");
        }
    }

    #[test]
    fn a_stale_generation_changes_nothing() {
        let mut connections = with(&[Controller; 2]);
        connections.set_role(ConnId(0), Role::Master, 10).unwrap();
        assert_eq!(
            connections.set_role(ConnId(1), Role::Master, 9),
            Err(StaleGeneration)
        );
        assert_eq!(
            connections.set_role(ConnId(1), Role::Slave, 9),
            Err(StaleGeneration)
        );
        assert_eq!(connections.role(ConnId(0)), Some(Role::Master));
        assert_eq!(connections.role(ConnId(1)), Some(Role::Equal));
        // Equal needs no generation, and does not set it.
        connections.set_role(ConnId(0), Role::Equal, 3).unwrap();
        assert_eq!(connections.generation(), 10);
    }

    #[test]
    fn packet_ins_go_to_the_owner_of_the_table() {
        let connections = with(&[Controller, Program, Controller]);
        assert_eq!(
            heard(&connections, AsyncKind::PacketIn, 1, Some(false), 0),
            [0, 2]
        );
        assert_eq!(
            heard(&connections, AsyncKind::PacketIn, 1, Some(true), 0),
            [1]
        );
        assert_eq!(
            heard(&connections, AsyncKind::FlowRemoved, 0, Some(true), 0),
            [1]
        );
        assert_eq!(
            heard(&connections, AsyncKind::PortStatus, 2, None, 0),
            [0, 1, 2]
        );
    }

    #[test]
    fn without_a_program_everyone_hears_of_every_table() {
        let connections = with(&[Controller, Program]);
        assert_eq!(heard(&connections, AsyncKind::PacketIn, 0, None, 0), [0, 1]);
    }

    #[test]
    fn management_hears_nothing_until_it_asks() {
        let mut connections = with(&[Management, Management, Management]);
        assert_eq!(
            heard(&connections, AsyncKind::PortStatus, 0, None, 0),
            [0u64; 0]
        );
        connections.main_mut(ConnId(1)).unwrap().miss_send_len = 65535;
        connections.main_mut(ConnId(2)).unwrap().asked_for_async = true;
        assert_eq!(
            heard(&connections, AsyncKind::PortStatus, 0, None, 0),
            [1, 2]
        );
        assert_eq!(
            heard(&connections, AsyncKind::PacketIn, 1, Some(false), 0),
            [1, 2]
        );
    }

    #[test]
    fn a_controller_id_names_its_own_packet_ins() {
        let mut connections = with(&[Controller, Controller]);
        connections.main_mut(ConnId(1)).unwrap().controller_id = 5;
        assert_eq!(
            heard(&connections, AsyncKind::PacketIn, 1, Some(false), 0),
            [0]
        );
        assert_eq!(
            heard(&connections, AsyncKind::PacketIn, 1, Some(false), 5),
            [1]
        );
        assert_eq!(
            heard(&connections, AsyncKind::PortStatus, 1, None, 0),
            [0, 1]
        );
    }

    #[test]
    fn auxiliary_connections_share_state_and_go_with_their_main_one() {
        let mut connections = with(&[Controller]);
        let info = ConnectionInfo {
            auxiliary_id: 1,
            main: Some(ConnId(0)),
            ..ConnectionInfo::new(Controller)
        };
        connections.open(ConnId(9), info);
        connections.set_role(ConnId(9), Role::Slave, 1).unwrap();
        assert_eq!(connections.role(ConnId(0)), Some(Role::Slave));
        assert_eq!(connections.role(ConnId(9)), Some(Role::Slave));
        assert_eq!(heard(&connections, AsyncKind::PortStatus, 0, None, 0), [0]);
        assert_eq!(connections.close(ConnId(0)), [ConnId(9)]);
        assert!(connections.get(ConnId(9)).is_none());
    }
}
