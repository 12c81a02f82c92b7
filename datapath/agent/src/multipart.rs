//! Multipart requests (OF 1.3.5 §7.3.5). Whatever may be long is written entry by entry into parts of at most
//! 64 KB; what may be very long (flows, table features) is produced part by part: see `dump`.

use weft_openflow::multipart::MultipartEntry;
use weft_openflow::{
    AggregateStats, Body, BucketCounter, Desc, ErrorCode, FlowStatsRequest, GroupDesc, GroupStats,
    MeterBandStats, MeterConfig, MeterStats, MultipartReply, MultipartReplyBody, MultipartRequest,
    MultipartRequestBody, MultipartWriter, OfError, Port, PortStats, TableFeatures, group_no,
    table_no,
};
use weft_pipeline::{FlowCursor, FlowFilter, GroupView, MeterView};

use crate::agent::Agent;
use crate::config::ConnId;
use crate::dispatch::Outcome;
use crate::dump::Dump;
use crate::features;
use crate::host::{Host, Nanos};
use crate::ports::PortEntry;

/// Most table-features entries of one request in several parts: a few for each table.
const MAX_TABLE_FEATURES: usize = 1024;

/// Whether the request asks for a change (§6.3.5: refused to slaves).
pub(crate) fn is_change(request: &MultipartRequest) -> bool {
    matches!(&request.body, MultipartRequestBody::TableFeatures(tables) if !tables.is_empty())
}

/// Splits nanoseconds into `duration_sec` and `duration_nsec`.
pub(crate) fn duration(ns: Nanos) -> (u32, u32) {
    ((ns / 1_000_000_000) as u32, (ns % 1_000_000_000) as u32)
}

/// Sends a list as one reply, in as many parts as it takes.
fn send_list<T: MultipartEntry>(
    host: &mut dyn Host,
    conn: ConnId,
    xid: u32,
    entries: impl IntoIterator<Item = T>,
) -> Outcome {
    let mut bytes = Vec::new();
    let mut writer = MultipartWriter::new::<T>(&mut bytes, xid);
    for entry in entries {
        writer.push(&entry);
    }
    writer.finish();
    host.send_encoded(conn, bytes);
    Ok(Vec::new())
}

fn reply(body: MultipartReplyBody) -> Outcome {
    Ok(vec![Body::MultipartReply(MultipartReply::new(body))])
}

impl Agent {
    pub(crate) fn multipart(
        &mut self,
        conn: ConnId,
        xid: u32,
        request: &MultipartRequest,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Outcome {
        use MultipartRequestBody as Request;
        if let Request::TableFeatures(tables) = &request.body {
            return self.table_features(conn, xid, tables, request.more(), now, host);
        }
        if request.more() {
            return Err(OfError::new(
                ErrorCode::BadRequestBadMultipart,
                "this request is of one part",
            ));
        }
        match &request.body {
            Request::Desc => reply(MultipartReplyBody::Desc(Box::new(self.desc()))),
            Request::Flow(request) => {
                let filter = filter(request);
                // Refused now or never: a filter without room to show a flow is still checked.
                self.pipeline
                    .flows(&filter, &mut FlowCursor::default(), 0, now, |_| ())?;
                let hidden_from = self.hidden_from(request.table_id);
                self.start_dump(conn, Dump::flows(xid, filter, hidden_from), now, host);
                Ok(Vec::new())
            }
            Request::Aggregate(request) => {
                reply(MultipartReplyBody::Aggregate(self.aggregate(request)?))
            }
            Request::Table => {
                let seen = usize::from(self.n_tables());
                let tables = self.pipeline.table_stats();
                send_list(host, conn, xid, tables.into_iter().take(seen))
            }
            Request::PortStats(request) => {
                let entries = self.ports.select(request.port_no)?;
                let stats: Vec<_> = entries
                    .into_iter()
                    .map(|entry| port_stats(entry, now, host))
                    .collect();
                send_list(host, conn, xid, stats)
            }
            Request::PortDesc => {
                let ports: Vec<Port> = self.ports().cloned().collect();
                send_list(host, conn, xid, ports)
            }
            Request::Queue(request) => {
                let queues = self.queue_stats(request, now, host)?;
                send_list(host, conn, xid, queues)
            }
            Request::Group(request) => {
                let groups = self.pipeline.groups(request.group_id, now);
                send_list(host, conn, xid, groups.iter().map(group_stats))
            }
            Request::GroupDesc => {
                let groups = self.pipeline.groups(group_no::ALL, now);
                send_list(host, conn, xid, groups.iter().map(group_desc))
            }
            Request::GroupFeatures => {
                reply(MultipartReplyBody::GroupFeatures(features::group_features()))
            }
            Request::Meter(request) => {
                let meters = self.pipeline.meters(request.meter_id, now)?;
                send_list(host, conn, xid, meters.iter().map(meter_stats))
            }
            Request::MeterConfig(request) => {
                let meters = self.pipeline.meters(request.meter_id, now)?;
                send_list(host, conn, xid, meters.iter().map(meter_config))
            }
            Request::MeterFeatures => {
                reply(MultipartReplyBody::MeterFeatures(features::meter_features()))
            }
            Request::TableFeatures(_) => Ok(Vec::new()),
            Request::Experimenter(request) => {
                self.observer_stats(request, now).unwrap_or_else(|| {
                    Err(OfError::new(
                        ErrorCode::BadRequestBadExperimenter,
                        "experimenter not known",
                    ))
                })
            }
            Request::Unknown { code, .. } => Err(OfError::new(
                ErrorCode::BadRequestBadMultipart,
                format!("type {code} is not defined"),
            )),
        }
    }

    /// Where the tables begin that a request for all tables leaves out.
    fn hidden_from(&self, table_id: u8) -> u8 {
        if table_id == table_no::ALL {
            self.n_tables()
        } else {
            table_no::MAX
        }
    }

    /// §7.3.5.3.
    fn aggregate(&mut self, request: &FlowStatsRequest) -> Result<AggregateStats, OfError> {
        let mut filter = filter(request);
        let mut sums = self.pipeline.aggregate(&filter)?;
        for hidden in self.hidden_from(request.table_id)..table_no::MAX {
            filter.table_id = hidden;
            let part = self.pipeline.aggregate(&filter)?;
            sums.packet_count = sums.packet_count.saturating_sub(part.packet_count);
            sums.byte_count = sums.byte_count.saturating_sub(part.byte_count);
            sums.flow_count = sums.flow_count.saturating_sub(part.flow_count);
        }
        Ok(sums)
    }

    /// §7.3.5.1.
    fn desc(&self) -> Desc {
        let name = if self.config.description.is_empty() {
            &self.config.name
        } else {
            &self.config.description
        };
        Desc {
            mfr_desc: "Weft".into(),
            hw_desc: "weft-datapath".into(),
            sw_desc: self.config.software.as_str().into(),
            serial_num: "None".into(),
            dp_desc: name.as_str().into(),
        }
    }

    /// §7.3.5.5. An empty request asks; one with entries asks for changes and may come in several parts, of which
    /// only the last is answered.
    fn table_features(
        &mut self,
        conn: ConnId,
        xid: u32,
        tables: &[TableFeatures],
        more: bool,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Outcome {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return Ok(Vec::new());
        };
        let mut wanted = match session.table_features.take() {
            Some((begun, earlier)) if begun == xid => earlier,
            _ => Vec::new(),
        };
        if wanted.len() + tables.len() > MAX_TABLE_FEATURES {
            let detail = "more table features than there can be tables";
            return Err(OfError::new(
                ErrorCode::BadRequestMultipartBufferOverflow,
                detail,
            ));
        }
        wanted.extend_from_slice(tables);
        if more {
            session.table_features = Some((xid, wanted));
            return Ok(Vec::new());
        }
        let owner = self.owner(conn);
        let max_entries = self.pipeline.config().max_flows;
        features::check_request(
            &wanted,
            |table_id| self.pipeline.may_change(owner, table_id),
            max_entries,
        )?;
        for table in wanted {
            self.pipeline
                .table_mod(owner, table.table_id, table.config)?;
            self.table_names.insert(table.table_id, table.name);
        }
        self.start_dump(conn, Dump::table_features(xid), now, host);
        Ok(Vec::new())
    }
}

/// §7.3.5.6. The counters of a port without device are zero.
fn port_stats(entry: &PortEntry, now: Nanos, host: &dyn Host) -> PortStats {
    let counters = host.port_counters(entry.port.port_no).unwrap_or_default();
    let (duration_sec, duration_nsec) = duration(now.saturating_sub(entry.since));
    PortStats {
        port_no: entry.port.port_no,
        rx_packets: counters.rx_packets,
        tx_packets: counters.tx_packets,
        rx_bytes: counters.rx_bytes,
        tx_bytes: counters.tx_bytes,
        rx_dropped: counters.rx_dropped,
        tx_dropped: counters.tx_dropped,
        rx_errors: counters.rx_errors,
        tx_errors: counters.tx_errors,
        rx_frame_err: counters.rx_frame_errors,
        rx_over_err: counters.rx_over_errors,
        rx_crc_err: counters.rx_crc_errors,
        collisions: counters.collisions,
        duration_sec,
        duration_nsec,
    }
}

/// Which flows a statistics request selects.
fn filter(request: &FlowStatsRequest) -> FlowFilter {
    FlowFilter {
        table_id: request.table_id,
        out_port: request.out_port,
        out_group: request.out_group,
        cookie: request.cookie,
        cookie_mask: request.cookie_mask,
        match_: request.match_.clone(),
    }
}

/// §7.3.5.9.
fn group_stats(group: &GroupView<'_>) -> GroupStats {
    let (duration_sec, duration_nsec) = duration(group.duration_ns);
    let counters = group.bucket_counters.iter();
    GroupStats {
        group_id: group.group_id,
        ref_count: group.ref_count,
        packet_count: group.packets,
        byte_count: group.bytes,
        duration_sec,
        duration_nsec,
        bucket_stats: counters
            .map(|&(packet_count, byte_count)| BucketCounter {
                packet_count,
                byte_count,
            })
            .collect(),
    }
}

/// §7.3.5.10.
fn group_desc(group: &GroupView<'_>) -> GroupDesc {
    GroupDesc {
        group_type: group.group_type,
        group_id: group.group_id,
        buckets: group.buckets.to_vec(),
    }
}

/// §7.3.5.12.
fn meter_stats(meter: &MeterView<'_>) -> MeterStats {
    let (duration_sec, duration_nsec) = duration(meter.duration_ns);
    let counters = meter.band_counters.iter();
    MeterStats {
        meter_id: meter.meter_id,
        flow_count: meter.flow_count,
        packet_in_count: meter.packets,
        byte_in_count: meter.bytes,
        duration_sec,
        duration_nsec,
        band_stats: counters
            .map(|&(packet_band_count, byte_band_count)| MeterBandStats {
                packet_band_count,
                byte_band_count,
            })
            .collect(),
    }
}

/// §7.3.5.13.
fn meter_config(meter: &MeterView<'_>) -> MeterConfig {
    MeterConfig {
        flags: meter.flags,
        meter_id: meter.meter_id,
        bands: meter.bands.to_vec(),
    }
}
