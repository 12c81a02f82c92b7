//! Controller roles and the generation id that guards them (OF 1.3.5 §6.3.5, §7.3.9).

use std::fmt;

/// Role of one controller connection (`OFPCR_ROLE_*`). A connection starts as [`Role::Equal`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Full access, shared with other equals.
    #[default]
    Equal,
    /// Full access; at most one connection of a bridge is master.
    Master,
    /// Read-only, and by default told only of ports.
    Slave,
}

impl Role {
    /// The word used in status output, as in Open vSwitch's `Controller` table (`role` column).
    pub fn name(self) -> &'static str {
        match self {
            Role::Equal => "other",
            Role::Master => "master",
            Role::Slave => "slave",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The generation id of a switch: the last one a controller used to become master or slave.
///
/// Ids are compared in sequence space (§6.3.5): a request is stale when the signed distance from the cached id
/// is negative, so the id may wrap around.
#[derive(Clone, Copy, Debug, Default)]
pub struct Generation(Option<u64>);

impl Generation {
    /// Value reported while no controller has set a generation id (all ones, as Open vSwitch does).
    pub const UNDEFINED: u64 = u64::MAX;

    /// Takes `id` as the newest generation, unless it is stale.
    pub fn advance(&mut self, id: u64) -> Result<(), StaleGeneration> {
        if let Some(cached) = self.0
            && (id.wrapping_sub(cached) as i64) < 0
        {
            return Err(StaleGeneration);
        }
        self.0 = Some(id);
        Ok(())
    }

    /// The id to report in a role reply.
    pub fn reported(&self) -> u64 {
        self.0.unwrap_or(Self::UNDEFINED)
    }
}

/// The generation id of a role request lies before the one already seen (`OFPRRFC_STALE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleGeneration;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_generation_is_always_accepted() {
        for id in [0, 1, u64::MAX / 2, u64::MAX] {
            let mut generation = Generation::default();
            assert_eq!(generation.reported(), Generation::UNDEFINED);
            assert_eq!(generation.advance(id), Ok(()));
            assert_eq!(generation.reported(), id);
        }
    }

    #[test]
    fn generations_compare_in_sequence_space() {
        // (cached, requested, accepted)
        let table = [
            (5, 5, true),
            (5, 6, true),
            (5, 4, false),
            (u64::MAX, 0, true),
            (0, u64::MAX, false),
            (0, i64::MAX as u64, true),
            (0, i64::MAX as u64 + 1, false),
        ];
        for (cached, requested, accepted) in table {
            let mut generation = Generation(Some(cached));
            assert_eq!(
                generation.advance(requested).is_ok(),
                accepted,
                "{cached} -> {requested}"
            );
            assert_eq!(
                generation.reported(),
                if accepted { requested } else { cached }
            );
        }
    }
}
