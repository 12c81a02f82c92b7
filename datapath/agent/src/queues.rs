//! Queues (OF 1.3.5 §7.2.2): which there are (§7.3.6) and what they have sent (§7.3.5.8). Setting them up is not
//! OpenFlow's; the shell has them.

use weft_openflow::{
    Body, ErrorCode, OfError, PacketQueue, QueueGetConfigReply, QueueProperty, QueueStats,
    QueueStatsRequest, port_no, queue_no,
};

use crate::agent::Agent;
use crate::dispatch::Outcome;
use crate::host::{Host, Nanos};

/// A rate that is not to be heeded: more than 1000 tenths of a percent (§7.2.2).
const DISABLED: u16 = 0xffff;

impl Agent {
    /// Numbers of the ports that a request for queues speaks of.
    fn ports_with_queues(&self, port: u32) -> Result<Vec<u32>, OfError> {
        if port == port_no::ANY {
            return Ok(self.ports().map(|port| port.port_no).collect());
        }
        match self.ports.get(port) {
            Some(_) => Ok(vec![port]),
            None => Err(OfError::new(
                ErrorCode::QueueOpFailedBadPort,
                format!("no port {port}"),
            )),
        }
    }

    /// §7.3.6.
    pub(crate) fn queue_config(&self, port: u32, host: &mut dyn Host) -> Outcome {
        let mut queues = Vec::new();
        for number in self.ports_with_queues(port)? {
            let speed = self
                .ports
                .get(number)
                .map_or(0, |entry| u64::from(entry.port.curr_speed) * 1000);
            for queue in host.port_queues(number) {
                let min = queue.min_rate.map(|rate| QueueProperty::MinRate {
                    rate: share(rate, speed),
                });
                let max = queue.max_rate.map(|rate| QueueProperty::MaxRate {
                    rate: share(rate, speed),
                });
                queues.push(PacketQueue {
                    queue_id: queue.id,
                    port: number,
                    properties: min.into_iter().chain(max).collect(),
                });
            }
        }
        Ok(vec![Body::QueueGetConfigReply(QueueGetConfigReply {
            port,
            queues,
        })])
    }

    /// §7.3.5.8. A queue that is asked for by number on all ports need not be on each of them.
    pub(crate) fn queue_stats(
        &self,
        request: &QueueStatsRequest,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Result<Vec<QueueStats>, OfError> {
        let mut stats = Vec::new();
        for port_no in self.ports_with_queues(request.port_no)? {
            for queue in host.port_queues(port_no) {
                if request.queue_id != queue_no::ALL && request.queue_id != queue.id {
                    continue;
                }
                let age = now.saturating_sub(queue.since);
                stats.push(QueueStats {
                    port_no,
                    queue_id: queue.id,
                    tx_bytes: queue.tx_bytes,
                    tx_packets: queue.tx_packets,
                    tx_errors: queue.tx_errors,
                    duration_sec: (age / 1_000_000_000) as u32,
                    duration_nsec: (age % 1_000_000_000) as u32,
                });
            }
        }
        if stats.is_empty() && request.queue_id != queue_no::ALL {
            return Err(OfError::new(
                ErrorCode::QueueOpFailedBadQueue,
                format!("no queue {}", request.queue_id),
            ));
        }
        Ok(stats)
    }
}

/// A rate in tenths of a percent of the port's; where that is not known nothing true can be said.
fn share(rate: u64, speed: u64) -> u16 {
    match (u128::from(rate) * 1000).checked_div(u128::from(speed)) {
        Some(share) => u16::try_from(share.min(1000)).unwrap_or(DISABLED),
        None => DISABLED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shares_of_the_ports() {
        assert_eq!(share(250_000_000, 1_000_000_000), 250);
        assert_eq!(share(2_000_000_000, 1_000_000_000), 1000);
        assert_eq!(share(u64::MAX, 1), 1000);
        assert_eq!(share(1, 0), DISABLED);
    }
}
