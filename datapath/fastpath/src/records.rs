//! Numbers of records that are used again only when no program run can still be at them.

use std::collections::VecDeque;
use std::time::Instant;

use crate::masks::GRACE;

/// Numbers from 0 on.
#[derive(Debug)]
pub struct Records {
    fresh: u32,
    limit: u32,
    freed: VecDeque<(u32, Instant)>,
}

impl Records {
    pub fn new(limit: u32) -> Records {
        Records {
            fresh: 0,
            limit,
            freed: VecDeque::new(),
        }
    }

    /// Numbers of which some are in use already; the others may have been until a moment ago.
    pub fn adopt(limit: u32, used: impl Fn(u32) -> bool, now: Instant) -> Records {
        Records {
            fresh: limit,
            limit,
            freed: (0..limit)
                .filter(|number| !used(*number))
                .map(|number| (number, now))
                .collect(),
        }
    }

    /// How many numbers there are.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// A number; those not used for the longest time first.
    pub fn take(&mut self, now: Instant) -> Option<u32> {
        if self.fresh < self.limit {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        let (_, at) = self.freed.front()?;
        if now < *at + GRACE {
            return None;
        }
        self.freed.pop_front().map(|(number, _)| number)
    }

    pub fn free(&mut self, number: u32, now: Instant) {
        self.freed.push_back((number, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rest_before_they_are_used_again() {
        let start = Instant::now();
        let mut records = Records::new(2);
        assert_eq!(records.take(start), Some(0));
        assert_eq!(records.take(start), Some(1));
        records.free(0, start);
        assert_eq!(records.take(start), None);
        assert_eq!(records.take(start + GRACE), Some(0));
        assert_eq!(records.take(start + GRACE), None);
    }
}
