//! Observers: Weft's own messages (experimenter [`WEFT_EXPERIMENTER`]) about sampling and accounting.
//!
//! Rules name an observer by the `collector_set_id` of [`crate::NxAction::Sample`]; these messages say what an observer
//! does with the packets that it is shown, and carry what it has seen.

use crate::consts::WEFT_EXPERIMENTER;
use crate::error::{ErrorCode, Fault};
use crate::multipart::ExperimenterMultipart;
use crate::wire::{Reader, Wire, open_enum, wire_struct, wire_union};
use crate::{MacAddr, port_no};

open_enum! {
    /// What to do with an observer.
    pub enum ObserverCommand: u16 {
        /// Add it, or replace the one with its id.
        Set = 0,
        /// Delete it. That there is none is no error.
        Delete = 1,
    }
}

open_enum! {
    /// What an observer does with packets.
    pub enum ObserverKind: u16 {
        /// Picks one in `interval` at random and sends its first bytes.
        Sample = 1,
        /// Counts them by flow and sends records of flows.
        Account = 2,
    }
}

open_enum! {
    /// Why a flow record was made (IANA IPFIX information element 136, flowEndReason).
    pub enum FlowEndReason: u8 {
        /// No packet for the idle timeout.
        IdleTimeout = 1,
        /// It has gone on for the active timeout.
        ActiveTimeout = 2,
        /// The flow itself has ended.
        EndOfFlow = 3,
        /// It was asked for, or the observer, a port or the datapath goes away.
        ForcedEnd = 4,
        /// Another flow needed its room.
        LackOfResources = 5,
    }
}

wire_struct! {
    /// Adds, replaces or deletes an observer. Setting one as it is already changes nothing but who is sent what it sees.
    pub struct ObserverMod {
        /// What.
        pub command: ObserverCommand,
        /// What it does.
        pub kind: ObserverKind,
        /// Its id.
        pub observer_id: u32,
        /// One packet in so many is picked; for accounting: looked at. At least 1.
        pub interval: u32,
        /// Bytes of a sampled packet to send.
        pub header_bytes: u16 [pad 2],
        /// A flow that goes on for so long is reported; 0: never.
        pub active_timeout_ms: u32,
        /// A flow without packets for so long is reported and forgotten; 0: never.
        pub idle_timeout_ms: u32,
        /// Most flows accounted for at once.
        pub max_flows: u32,
        /// Most samples or flow records sent in a second; 0: as many as there are.
        pub max_records_per_second: u32,
    }
}

wire_struct! {
    /// Asks for a report of all open flows, now. What a barrier asks for after it comes after the records.
    pub struct ObserverFlush {
        /// Which observer.
        pub observer_id: u32,
        /// Only flows that came in by this port; [`port_no::ANY`]: all.
        pub port: u32,
    }
}

wire_struct! {
    /// A sampled packet.
    pub struct Sample [sized at 0] {
        [length]
        /// How many ports it went to.
        pub outputs: u16,
        /// Port it came in by.
        pub in_port: u32,
        /// The first port it went to; [`port_no::ANY`]: none.
        pub out_port: u32,
        /// `obs_domain_id` of the action.
        pub domain_id: u32,
        /// `obs_point_id` of the action.
        pub point_id: u32,
        /// Bytes of the frame as it came in, without the frame check sequence.
        pub frame_length: u32,
        /// Outermost VLAN tag as it came in: TCI with 0x1000 set; 0: none.
        pub vlan_in: u16,
        /// The same where the rules showed it to the observer.
        pub vlan: u16,
        /// The same as it went to `out_port`.
        pub vlan_out: u16,
        /// Bytes of the frame before `header` that are left out.
        pub stripped: u16,
        /// When: Unix time in ms.
        pub time_ms: u64,
        /// First bytes of the frame as it came in.
        pub header: Vec<u8>,
    }
}

wire_struct! {
    /// Sampled packets.
    pub struct Samples {
        /// Whose.
        pub observer_id: u32,
        /// Samples lost since the observer was set, for want of room or beyond the rate.
        pub drops: u32,
        /// Packets that could have been picked since the observer was set.
        pub pool: u64,
        /// The samples.
        pub entries: Vec<Sample>,
    }
}

wire_struct! {
    /// What was accounted for: the packets of a flow since the last record of it. 112 bytes.
    pub struct FlowRecord {
        /// Source address; IPv4: in the last four bytes.
        pub source: [u8; 16],
        /// Destination address.
        pub destination: [u8; 16],
        /// Source MAC address of the last packet.
        pub eth_src: MacAddr,
        /// Destination MAC address of the last packet.
        pub eth_dst: MacAddr,
        /// 0x0800 or 0x86dd.
        pub eth_type: u16,
        /// VLAN where the rules showed it to the observer: id with 0x1000 set; 0: none.
        pub vlan: u16,
        /// IP protocol.
        pub protocol: u8,
        /// The whole octet: DSCP and ECN.
        pub tos: u8,
        /// All flags of all its packets.
        pub tcp_flags: u16,
        /// TCP, UDP, SCTP; others, and later fragments: 0.
        pub source_port: u16,
        /// The same; ICMP: type * 256 + code.
        pub destination_port: u16,
        /// Port it came in by.
        pub in_port: u32,
        /// The first port the last packet went to; [`port_no::ANY`]: none.
        pub out_port: u32,
        /// How many ports the last packet went to.
        pub outputs: u16,
        /// Why the record was made.
        pub end_reason: FlowEndReason [pad 5],
        /// `obs_domain_id` of the action.
        pub domain_id: u32,
        /// `obs_point_id` of the action.
        pub point_id: u32,
        /// Packets: each segment of a segmentation-offloaded one by itself.
        pub packets: u64,
        /// Octets of these IP packets, headers included.
        pub octets: u64,
        /// Time of the first packet: Unix time in ms.
        pub first_ms: u64,
        /// Time of the last packet.
        pub last_ms: u64,
    }
}

wire_struct! {
    /// Records of flows.
    pub struct FlowRecords {
        /// Whose.
        pub observer_id: u32 [pad 4],
        /// Packets that no record will tell of since the observer was set: their flows found no room.
        pub lost: u64,
        /// The records.
        pub entries: Vec<FlowRecord>,
    }
}

wire_union! {
    /// A message of Weft's own, by its type.
    pub enum WeftMessage: u32 {
        /// Sets or deletes an observer.
        ObserverMod = 1 (ObserverMod),
        /// Asks for what is open.
        ObserverFlush = 2 (ObserverFlush),
        /// Sampled packets, to the connection that set the observer.
        Samples = 3 (Samples),
        /// Records of flows, to the connection that set the observer.
        FlowRecords = 4 (FlowRecords),
    }
    also {}
}

impl WeftMessage {
    pub(crate) fn read_body(exp_type: u32, r: &mut Reader<'_>) -> Result<Option<Self>, Fault> {
        Self::read_known(exp_type, r)
    }

    pub(crate) fn write_body(&self, w: &mut Vec<u8>) {
        self.write_known(w);
    }
}

/// `exp_type` of the multipart request and reply for observers' counters.
const OBSERVER_STATS: u32 = 1;

wire_struct! {
    /// Body of the multipart request (experimenter [`WEFT_EXPERIMENTER`], type 1) for observers' counters.
    pub struct ObserverStatsRequest {
        /// Which; [`ObserverStatsRequest::ALL`]: all.
        pub observer_id: u32 [pad 4],
    }
}

impl ObserverStatsRequest {
    /// Stands for all observers.
    pub const ALL: u32 = port_no::ANY;

    /// The request, if it is one. The error of one that is malformed.
    pub fn read(body: &ExperimenterMultipart) -> Option<Result<Self, ErrorCode>> {
        if body.experimenter != WEFT_EXPERIMENTER || body.exp_type != OBSERVER_STATS {
            return None;
        }
        let mut r = Reader::new(&body.data, ErrorCode::BadRequestBadLen);
        let request = <Self as Wire>::read(&mut r).and_then(|request| r.finish().map(|()| request));
        Some(request.map_err(|_| ErrorCode::BadRequestBadLen))
    }
}

wire_struct! {
    /// An observer's counters since it was set. 64 bytes.
    pub struct ObserverStats {
        /// Which.
        pub observer_id: u32,
        /// What it does.
        pub kind: ObserverKind [pad 2],
        /// Packets it was shown; segments by themselves, when accounting.
        pub packets: u64,
        /// Samples or records made.
        pub records: u64,
        /// Samples, or packets of flows, that found no room or came beyond the rate, or that nobody took.
        pub lost: u64,
        /// Flows open.
        pub open_flows: u32 [pad 4],
        /// Records that wait to be sent.
        pub queued: u32 [pad 4],
        /// Octets accounted for.
        pub octets: u64,
        /// ms since it was set.
        pub age_ms: u64,
    }
}

impl ObserverStats {
    /// The body of the multipart reply with these counters.
    pub fn reply(entries: &[Self]) -> ExperimenterMultipart {
        let mut data = Vec::new();
        Wire::write_list(entries, &mut data);
        ExperimenterMultipart {
            experimenter: WEFT_EXPERIMENTER,
            exp_type: OBSERVER_STATS,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_counters_are_told_apart() {
        let mut body = ObserverStats::reply(&[]);
        assert_eq!(
            ObserverStatsRequest::read(&body),
            Some(Err(ErrorCode::BadRequestBadLen))
        );
        body.data = vec![0, 0, 0, 7, 0, 0, 0, 0];
        let request = ObserverStatsRequest::read(&body).unwrap().unwrap();
        assert_eq!(request.observer_id, 7);
        body.exp_type = 2;
        assert_eq!(ObserverStatsRequest::read(&body), None);
    }
}
