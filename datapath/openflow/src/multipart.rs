//! Multipart requests and replies (OF 1.3.5 §7.3.5), and how to send long ones.

use crate::consts::{OFP_MAX_MESSAGE, OFP_VERSION, multipart_flags};
use crate::error::Fault;
use crate::port::Port;
use crate::stats::*;
use crate::table::TableFeatures;
use crate::wire::{Reader, Wire, patch_length, wire_struct, wire_union};

wire_struct! {
    /// `ofp_experimenter_multipart_header` and what follows.
    pub struct ExperimenterMultipart {
        /// Whose.
        pub experimenter: u32,
        /// Its type.
        pub exp_type: u32,
        /// The rest.
        pub data: Vec<u8>,
    }
}

wire_union! {
    /// What is asked for.
    pub enum MultipartRequestBody: u16 {
        /// Description of the switch.
        Desc = 0,
        /// Flows.
        Flow = 1 (FlowStatsRequest),
        /// Sums over flows.
        Aggregate = 2 (FlowStatsRequest),
        /// Tables' counters.
        Table = 3,
        /// Ports' counters.
        PortStats = 4 (PortStatsRequest),
        /// Queues' counters.
        Queue = 5 (QueueStatsRequest),
        /// Groups' counters.
        Group = 6 (GroupStatsRequest),
        /// Groups.
        GroupDesc = 7,
        /// What groups can do.
        GroupFeatures = 8,
        /// Meters' counters.
        Meter = 9 (MeterMultipartRequest),
        /// Meters.
        MeterConfig = 10 (MeterMultipartRequest),
        /// What meters can do.
        MeterFeatures = 11,
        /// What tables can do; with entries: what they shall do.
        TableFeatures = 12 (Vec<TableFeatures>),
        /// Ports.
        PortDesc = 13,
        /// An experimenter's.
        Experimenter = 0xffff (ExperimenterMultipart),
    }
    also {
        /// A type that is not known.
        Unknown {
            /// The type.
            code: u16,
            /// The body.
            data: Vec<u8>,
        },
    }
}

wire_union! {
    /// What is answered.
    pub enum MultipartReplyBody: u16 {
        /// Description of the switch.
        Desc = 0 (Box<Desc>),
        /// Flows.
        Flow = 1 (Vec<FlowStats>),
        /// Sums over flows.
        Aggregate = 2 (AggregateStats),
        /// Tables' counters.
        Table = 3 (Vec<TableStats>),
        /// Ports' counters.
        PortStats = 4 (Vec<PortStats>),
        /// Queues' counters.
        Queue = 5 (Vec<QueueStats>),
        /// Groups' counters.
        Group = 6 (Vec<GroupStats>),
        /// Groups.
        GroupDesc = 7 (Vec<GroupDesc>),
        /// What groups can do.
        GroupFeatures = 8 (GroupFeatures),
        /// Meters' counters.
        Meter = 9 (Vec<MeterStats>),
        /// Meters.
        MeterConfig = 10 (Vec<MeterConfig>),
        /// What meters can do.
        MeterFeatures = 11 (MeterFeatures),
        /// What tables can do.
        TableFeatures = 12 (Vec<TableFeatures>),
        /// Ports.
        PortDesc = 13 (Vec<Port>),
        /// An experimenter's.
        Experimenter = 0xffff (ExperimenterMultipart),
    }
    also {
        /// A type that is not known.
        Unknown {
            /// The type.
            code: u16,
            /// The body.
            data: Vec<u8>,
        },
    }
}

macro_rules! multipart {
    ($(#[$meta:meta])* $message:ident, $body:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $message {
            /// [`multipart_flags`].
            pub flags: u16,
            /// The rest, by type.
            pub body: $body,
        }

        impl $message {
            /// A message of one part.
            pub fn new(body: $body) -> Self {
                $message { flags: 0, body }
            }

            /// Whether more parts follow.
            pub fn more(&self) -> bool {
                self.flags & multipart_flags::MORE != 0
            }
        }

        impl $body {
            /// The type on the wire (`OFPMP_*`).
            pub fn code(&self) -> u16 {
                match self {
                    $body::Unknown { code, .. } => *code,
                    _ => self.known_code().unwrap_or_default(),
                }
            }
        }

        impl Wire for $message {
            fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
                let code = u16::read(r)?;
                let flags = u16::read(r)?;
                r.skip(4)?;
                let body = match $body::read_known(code, r).map_err(|fault| fault.within("body"))? {
                    Some(body) => body,
                    None => $body::Unknown { code, data: r.take_all().to_vec() },
                };
                Ok($message { flags, body })
            }

            fn write(&self, w: &mut Vec<u8>) {
                self.body.code().write(w);
                self.flags.write(w);
                0u32.write(w);
                match &self.body {
                    $body::Unknown { data, .. } => data.write(w),
                    body => body.write_known(w),
                }
            }
        }
    };
}

multipart! {
    /// `OFPT_MULTIPART_REQUEST`.
    MultipartRequest, MultipartRequestBody
}
multipart! {
    /// `OFPT_MULTIPART_REPLY`.
    MultipartReply, MultipartReplyBody
}

impl MultipartReplyBody {
    /// Whether there is nothing in it. False for bodies that are not lists.
    pub fn is_empty_list(&self) -> bool {
        use MultipartReplyBody as B;
        match self {
            B::Flow(list) => list.is_empty(),
            B::Table(list) => list.is_empty(),
            B::PortStats(list) => list.is_empty(),
            B::Queue(list) => list.is_empty(),
            B::Group(list) => list.is_empty(),
            B::GroupDesc(list) => list.is_empty(),
            B::Meter(list) => list.is_empty(),
            B::MeterConfig(list) => list.is_empty(),
            B::TableFeatures(list) => list.is_empty(),
            B::PortDesc(list) => list.is_empty(),
            _ => false,
        }
    }
}

/// An entry of a multipart reply that is a list.
#[allow(private_bounds)]
pub trait MultipartEntry: Wire {
    /// `OFPMP_*` of the reply.
    const CODE: u16;
}

macro_rules! entries {
    ($($entry:ident $code:literal)*) => { $( impl MultipartEntry for $entry { const CODE: u16 = $code; } )* };
}
entries! {
    FlowStats 1 TableStats 3 PortStats 4 QueueStats 5 GroupStats 6 GroupDesc 7 MeterStats 9 MeterConfig 10
    TableFeatures 12 Port 13
}

/// Writes a reply entry by entry into one buffer, starting a new part whenever the next entry would make a message
/// longer than 64 KB. All parts but the last carry the MORE flag.
///
/// ```
/// # use weft_openflow::{MultipartWriter, TableStats};
/// let mut bytes = Vec::new();
/// let mut reply = MultipartWriter::new::<TableStats>(&mut bytes, 7);
/// for table_id in 0..254 {
///     reply.push(&TableStats { table_id, active_count: 0, lookup_count: 0, matched_count: 0 });
/// }
/// reply.finish();
/// ```
#[derive(Debug)]
pub struct MultipartWriter<'a> {
    out: &'a mut Vec<u8>,
    xid: u32,
    code: u16,
    /// Where the part being written starts.
    start: usize,
}

/// Bytes of header, type, flags and padding.
const PART_HEADER: usize = 16;
/// `OFPT_MULTIPART_REPLY`.
const REPLY: u8 = 19;

impl<'a> MultipartWriter<'a> {
    /// Starts a reply with entries of type `T`, appended to `out`.
    pub fn new<T: MultipartEntry>(out: &'a mut Vec<u8>, xid: u32) -> Self {
        let mut writer = MultipartWriter {
            start: 0,
            out,
            xid,
            code: T::CODE,
        };
        writer.open();
        writer
    }

    fn open(&mut self) {
        self.start = self.out.len();
        self.out.extend_from_slice(&[OFP_VERSION, REPLY, 0, 0]);
        self.xid.write(self.out);
        self.code.write(self.out);
        [0u8; 6].write(self.out);
    }

    fn close(&mut self, flags: u16) {
        patch_length(self.out, self.start, self.start + 2);
        if let Some(place) = self.out.get_mut(self.start + 10..self.start + 12) {
            place.copy_from_slice(&flags.to_be_bytes());
        }
    }

    /// Appends an entry; `false`: it is too long for any message and was left out.
    pub fn push<T: MultipartEntry>(&mut self, entry: &T) -> bool {
        debug_assert_eq!(T::CODE, self.code);
        let entry_at = self.out.len();
        entry.write(self.out);
        let entry_len = self.out.len() - entry_at;
        if PART_HEADER + entry_len > OFP_MAX_MESSAGE {
            self.out.truncate(entry_at);
            return false;
        }
        if self.out.len() - self.start > OFP_MAX_MESSAGE {
            // Close the part without the entry, and move the entry behind a new header.
            let next = self.out.split_off(entry_at);
            self.close(multipart_flags::MORE);
            self.open();
            self.out.extend_from_slice(&next);
        }
        true
    }

    /// Bytes in the part being written.
    pub fn part_len(&self) -> usize {
        self.out.len() - self.start
    }

    /// Ends the last part.
    pub fn finish(mut self) {
        self.close(0);
    }

    /// Ends the part, saying that more follow (from a new writer, into another buffer).
    pub fn finish_with_more(mut self) {
        self.close(multipart_flags::MORE);
    }
}
