//! Replies so long that they are produced part by part, so that packets are forwarded in between.
//!
//! A dump walks live state: a flow that is added or removed while it runs may be in it or not, all others are in
//! it once.

use weft_openflow::{FlowStats, MultipartWriter, TableFeatures};
use weft_pipeline::{FlowCursor, FlowFilter};

use crate::agent::Agent;
use crate::config::ConnId;
use crate::features;
use crate::host::{Host, Nanos};

/// A piece of work ends when its part has so many bytes; with the entries that come on top it stays, as a rule, one
/// message.
const PART_BYTES: usize = 48_000;
/// Flows looked at between two looks at the part's length.
const FLOWS_PER_STEP: usize = 32;
/// Steps of one piece of work: flows that the filter leaves out take time, too.
const STEPS: usize = 64;

/// A long reply under way.
pub(crate) struct Dump {
    xid: u32,
    source: Source,
}

enum Source {
    Flows {
        filter: Box<FlowFilter>,
        cursor: FlowCursor,
        hidden_from: u8,
    },
    TableFeatures {
        next: u8,
    },
}

impl Dump {
    /// The flows that a filter selects (§7.3.5.2) in the tables before `hidden_from`.
    pub fn flows(xid: u32, filter: FlowFilter, hidden_from: u8) -> Self {
        let (filter, cursor) = (Box::new(filter), FlowCursor::default());
        Dump {
            xid,
            source: Source::Flows {
                filter,
                cursor,
                hidden_from,
            },
        }
    }

    /// The features of all tables (§7.3.5.5).
    pub fn table_features(xid: u32) -> Self {
        Dump {
            xid,
            source: Source::TableFeatures { next: 0 },
        }
    }
}

impl Agent {
    /// Produces the first part of a long reply at once, and keeps the rest for [`Agent::resume`].
    pub(crate) fn start_dump(
        &mut self,
        conn: ConnId,
        mut dump: Dump,
        now: Nanos,
        host: &mut dyn Host,
    ) {
        if self.continue_dump(conn, &mut dump, now, host)
            && let Some(session) = self.sessions.get_mut(&conn)
        {
            session.dump = Some(dump);
        }
    }

    /// Produces the next part; returns whether there are more.
    pub(crate) fn continue_dump(
        &mut self,
        conn: ConnId,
        dump: &mut Dump,
        now: Nanos,
        host: &mut dyn Host,
    ) -> bool {
        let tables = self.n_tables();
        let mut bytes = Vec::with_capacity(PART_BYTES + 4096);
        let more = match &mut dump.source {
            Source::Flows {
                filter,
                cursor,
                hidden_from,
            } => {
                let mut writer = MultipartWriter::new::<FlowStats>(&mut bytes, dump.xid);
                let mut more = true;
                for _ in 0..STEPS {
                    let length = writer.part_len();
                    let outcome =
                        self.pipeline
                            .flows(filter, cursor, FLOWS_PER_STEP, now, |flow| {
                                if flow.table_id() < *hidden_from {
                                    writer.push(&flow.stats());
                                }
                            });
                    // The filter was good when the dump began.
                    more = outcome.unwrap_or(false);
                    // A part shorter than before is a new one.
                    if !more || writer.part_len() >= PART_BYTES || writer.part_len() < length {
                        break;
                    }
                }
                finish(writer, more)
            }
            Source::TableFeatures { next } => {
                let mut writer = MultipartWriter::new::<TableFeatures>(&mut bytes, dump.xid);
                while *next < tables && writer.part_len() < PART_BYTES {
                    writer.push(&features::table_features(
                        *next,
                        tables,
                        self.pipeline.max_flows(*next),
                        self.pipeline.table_config(*next).unwrap_or(0),
                        self.table_names.get(next),
                    ));
                    *next += 1;
                }
                finish(writer, *next < tables)
            }
        };
        host.send_encoded(conn, bytes);
        more
    }
}

fn finish(writer: MultipartWriter<'_>, more: bool) -> bool {
    if more {
        writer.finish_with_more();
    } else {
        writer.finish();
    }
    more
}
