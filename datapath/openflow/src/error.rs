//! Errors: what a switch answers (OF 1.3.5 §7.4.4), and what decoding and encoding report.

use std::fmt;

use crate::consts::{OFP_VERSION, ONF_EXPERIMENTER, WEFT_EXPERIMENTER};
use crate::wire::{Reader, Wire};

macro_rules! error_codes {
    ($( $(#[$meta:meta])* $name:ident = ($kind:literal, $code:literal) $text:literal, )*) => {
        /// Every error type and code of §7.4.4, the bundle errors of ONF EXT-230, and those of Weft's observers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $( #[doc = concat!("`", $text, "`, type ", stringify!($kind), ", code ", stringify!($code), ".")] $name, )*
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [ErrorCode] = &[$( ErrorCode::$name ),*];

            /// Type and code as on the wire. For experimenters' errors type 0xffff and the `exp_type`.
            pub const fn numbers(self) -> (u16, u16) {
                match self {
                    $( ErrorCode::$name => ($kind, $code), )*
                }
            }

            /// The code of these numbers (type 0xffff: of [`ErrorCode::experimenter`]'s errors).
            pub const fn from_numbers(kind: u16, code: u16) -> Option<ErrorCode> {
                match (kind, code) {
                    $( ($kind, $code) => Some(ErrorCode::$name), )*
                    _ => None,
                }
            }

            /// The specification's name of the code, such as `OFPBRC_BAD_LEN`.
            pub const fn name(self) -> &'static str {
                match self {
                    $( ErrorCode::$name => $text, )*
                }
            }
        }
    };
}

error_codes! {
    HelloFailedIncompatible = (0, 0) "OFPHFC_INCOMPATIBLE",
    HelloFailedEperm = (0, 1) "OFPHFC_EPERM",
    BadRequestBadVersion = (1, 0) "OFPBRC_BAD_VERSION",
    BadRequestBadType = (1, 1) "OFPBRC_BAD_TYPE",
    BadRequestBadMultipart = (1, 2) "OFPBRC_BAD_MULTIPART",
    BadRequestBadExperimenter = (1, 3) "OFPBRC_BAD_EXPERIMENTER",
    BadRequestBadExpType = (1, 4) "OFPBRC_BAD_EXP_TYPE",
    BadRequestEperm = (1, 5) "OFPBRC_EPERM",
    BadRequestBadLen = (1, 6) "OFPBRC_BAD_LEN",
    BadRequestBufferEmpty = (1, 7) "OFPBRC_BUFFER_EMPTY",
    BadRequestBufferUnknown = (1, 8) "OFPBRC_BUFFER_UNKNOWN",
    BadRequestBadTableId = (1, 9) "OFPBRC_BAD_TABLE_ID",
    BadRequestIsSlave = (1, 10) "OFPBRC_IS_SLAVE",
    BadRequestBadPort = (1, 11) "OFPBRC_BAD_PORT",
    BadRequestBadPacket = (1, 12) "OFPBRC_BAD_PACKET",
    BadRequestMultipartBufferOverflow = (1, 13) "OFPBRC_MULTIPART_BUFFER_OVERFLOW",
    BadActionBadType = (2, 0) "OFPBAC_BAD_TYPE",
    BadActionBadLen = (2, 1) "OFPBAC_BAD_LEN",
    BadActionBadExperimenter = (2, 2) "OFPBAC_BAD_EXPERIMENTER",
    BadActionBadExpType = (2, 3) "OFPBAC_BAD_EXP_TYPE",
    BadActionBadOutPort = (2, 4) "OFPBAC_BAD_OUT_PORT",
    BadActionBadArgument = (2, 5) "OFPBAC_BAD_ARGUMENT",
    BadActionEperm = (2, 6) "OFPBAC_EPERM",
    BadActionTooMany = (2, 7) "OFPBAC_TOO_MANY",
    BadActionBadQueue = (2, 8) "OFPBAC_BAD_QUEUE",
    BadActionBadOutGroup = (2, 9) "OFPBAC_BAD_OUT_GROUP",
    BadActionMatchInconsistent = (2, 10) "OFPBAC_MATCH_INCONSISTENT",
    BadActionUnsupportedOrder = (2, 11) "OFPBAC_UNSUPPORTED_ORDER",
    BadActionBadTag = (2, 12) "OFPBAC_BAD_TAG",
    BadActionBadSetType = (2, 13) "OFPBAC_BAD_SET_TYPE",
    BadActionBadSetLen = (2, 14) "OFPBAC_BAD_SET_LEN",
    BadActionBadSetArgument = (2, 15) "OFPBAC_BAD_SET_ARGUMENT",
    BadInstructionUnknownInst = (3, 0) "OFPBIC_UNKNOWN_INST",
    BadInstructionUnsupInst = (3, 1) "OFPBIC_UNSUP_INST",
    BadInstructionBadTableId = (3, 2) "OFPBIC_BAD_TABLE_ID",
    BadInstructionUnsupMetadata = (3, 3) "OFPBIC_UNSUP_METADATA",
    BadInstructionUnsupMetadataMask = (3, 4) "OFPBIC_UNSUP_METADATA_MASK",
    BadInstructionBadExperimenter = (3, 5) "OFPBIC_BAD_EXPERIMENTER",
    BadInstructionBadExpType = (3, 6) "OFPBIC_BAD_EXP_TYPE",
    BadInstructionBadLen = (3, 7) "OFPBIC_BAD_LEN",
    BadInstructionEperm = (3, 8) "OFPBIC_EPERM",
    BadInstructionDupInst = (3, 9) "OFPBIC_DUP_INST",
    BadMatchBadType = (4, 0) "OFPBMC_BAD_TYPE",
    BadMatchBadLen = (4, 1) "OFPBMC_BAD_LEN",
    BadMatchBadTag = (4, 2) "OFPBMC_BAD_TAG",
    BadMatchBadDlAddrMask = (4, 3) "OFPBMC_BAD_DL_ADDR_MASK",
    BadMatchBadNwAddrMask = (4, 4) "OFPBMC_BAD_NW_ADDR_MASK",
    BadMatchBadWildcards = (4, 5) "OFPBMC_BAD_WILDCARDS",
    BadMatchBadField = (4, 6) "OFPBMC_BAD_FIELD",
    BadMatchBadValue = (4, 7) "OFPBMC_BAD_VALUE",
    BadMatchBadMask = (4, 8) "OFPBMC_BAD_MASK",
    BadMatchBadPrereq = (4, 9) "OFPBMC_BAD_PREREQ",
    BadMatchDupField = (4, 10) "OFPBMC_DUP_FIELD",
    BadMatchEperm = (4, 11) "OFPBMC_EPERM",
    FlowModFailedUnknown = (5, 0) "OFPFMFC_UNKNOWN",
    FlowModFailedTableFull = (5, 1) "OFPFMFC_TABLE_FULL",
    FlowModFailedBadTableId = (5, 2) "OFPFMFC_BAD_TABLE_ID",
    FlowModFailedOverlap = (5, 3) "OFPFMFC_OVERLAP",
    FlowModFailedEperm = (5, 4) "OFPFMFC_EPERM",
    FlowModFailedBadTimeout = (5, 5) "OFPFMFC_BAD_TIMEOUT",
    FlowModFailedBadCommand = (5, 6) "OFPFMFC_BAD_COMMAND",
    FlowModFailedBadFlags = (5, 7) "OFPFMFC_BAD_FLAGS",
    GroupModFailedGroupExists = (6, 0) "OFPGMFC_GROUP_EXISTS",
    GroupModFailedInvalidGroup = (6, 1) "OFPGMFC_INVALID_GROUP",
    GroupModFailedWeightUnsupported = (6, 2) "OFPGMFC_WEIGHT_UNSUPPORTED",
    GroupModFailedOutOfGroups = (6, 3) "OFPGMFC_OUT_OF_GROUPS",
    GroupModFailedOutOfBuckets = (6, 4) "OFPGMFC_OUT_OF_BUCKETS",
    GroupModFailedChainingUnsupported = (6, 5) "OFPGMFC_CHAINING_UNSUPPORTED",
    GroupModFailedWatchUnsupported = (6, 6) "OFPGMFC_WATCH_UNSUPPORTED",
    GroupModFailedLoop = (6, 7) "OFPGMFC_LOOP",
    GroupModFailedUnknownGroup = (6, 8) "OFPGMFC_UNKNOWN_GROUP",
    GroupModFailedChainedGroup = (6, 9) "OFPGMFC_CHAINED_GROUP",
    GroupModFailedBadType = (6, 10) "OFPGMFC_BAD_TYPE",
    GroupModFailedBadCommand = (6, 11) "OFPGMFC_BAD_COMMAND",
    GroupModFailedBadBucket = (6, 12) "OFPGMFC_BAD_BUCKET",
    GroupModFailedBadWatch = (6, 13) "OFPGMFC_BAD_WATCH",
    GroupModFailedEperm = (6, 14) "OFPGMFC_EPERM",
    PortModFailedBadPort = (7, 0) "OFPPMFC_BAD_PORT",
    PortModFailedBadHwAddr = (7, 1) "OFPPMFC_BAD_HW_ADDR",
    PortModFailedBadConfig = (7, 2) "OFPPMFC_BAD_CONFIG",
    PortModFailedBadAdvertise = (7, 3) "OFPPMFC_BAD_ADVERTISE",
    PortModFailedEperm = (7, 4) "OFPPMFC_EPERM",
    TableModFailedBadTable = (8, 0) "OFPTMFC_BAD_TABLE",
    TableModFailedBadConfig = (8, 1) "OFPTMFC_BAD_CONFIG",
    TableModFailedEperm = (8, 2) "OFPTMFC_EPERM",
    QueueOpFailedBadPort = (9, 0) "OFPQOFC_BAD_PORT",
    QueueOpFailedBadQueue = (9, 1) "OFPQOFC_BAD_QUEUE",
    QueueOpFailedEperm = (9, 2) "OFPQOFC_EPERM",
    SwitchConfigFailedBadFlags = (10, 0) "OFPSCFC_BAD_FLAGS",
    SwitchConfigFailedBadLen = (10, 1) "OFPSCFC_BAD_LEN",
    SwitchConfigFailedEperm = (10, 2) "OFPSCFC_EPERM",
    RoleRequestFailedStale = (11, 0) "OFPRRFC_STALE",
    RoleRequestFailedUnsup = (11, 1) "OFPRRFC_UNSUP",
    RoleRequestFailedBadRole = (11, 2) "OFPRRFC_BAD_ROLE",
    MeterModFailedUnknown = (12, 0) "OFPMMFC_UNKNOWN",
    MeterModFailedMeterExists = (12, 1) "OFPMMFC_METER_EXISTS",
    MeterModFailedInvalidMeter = (12, 2) "OFPMMFC_INVALID_METER",
    MeterModFailedUnknownMeter = (12, 3) "OFPMMFC_UNKNOWN_METER",
    MeterModFailedBadCommand = (12, 4) "OFPMMFC_BAD_COMMAND",
    MeterModFailedBadFlags = (12, 5) "OFPMMFC_BAD_FLAGS",
    MeterModFailedBadRate = (12, 6) "OFPMMFC_BAD_RATE",
    MeterModFailedBadBurst = (12, 7) "OFPMMFC_BAD_BURST",
    MeterModFailedBadBand = (12, 8) "OFPMMFC_BAD_BAND",
    MeterModFailedBadBandValue = (12, 9) "OFPMMFC_BAD_BAND_VALUE",
    MeterModFailedOutOfMeters = (12, 10) "OFPMMFC_OUT_OF_METERS",
    MeterModFailedOutOfBands = (12, 11) "OFPMMFC_OUT_OF_BANDS",
    TableFeaturesFailedBadTable = (13, 0) "OFPTFFC_BAD_TABLE",
    TableFeaturesFailedBadMetadata = (13, 1) "OFPTFFC_BAD_METADATA",
    TableFeaturesFailedBadType = (13, 2) "OFPTFFC_BAD_TYPE",
    TableFeaturesFailedBadLen = (13, 3) "OFPTFFC_BAD_LEN",
    TableFeaturesFailedBadArgument = (13, 4) "OFPTFFC_BAD_ARGUMENT",
    TableFeaturesFailedEperm = (13, 5) "OFPTFFC_EPERM",
    BundleFailedUnknown = (0xffff, 2300) "ONFBFC_UNKNOWN",
    BundleFailedEperm = (0xffff, 2301) "ONFBFC_EPERM",
    BundleFailedBadId = (0xffff, 2302) "ONFBFC_BAD_ID",
    BundleFailedBundleExist = (0xffff, 2303) "ONFBFC_BUNDLE_EXIST",
    BundleFailedBundleClosed = (0xffff, 2304) "ONFBFC_BUNDLE_CLOSED",
    BundleFailedOutOfBundles = (0xffff, 2305) "ONFBFC_OUT_OF_BUNDLES",
    BundleFailedBadType = (0xffff, 2306) "ONFBFC_BAD_TYPE",
    BundleFailedBadFlags = (0xffff, 2307) "ONFBFC_BAD_FLAGS",
    BundleFailedMsgBadLen = (0xffff, 2308) "ONFBFC_MSG_BAD_LEN",
    BundleFailedMsgBadXid = (0xffff, 2309) "ONFBFC_MSG_BAD_XID",
    BundleFailedMsgUnsup = (0xffff, 2310) "ONFBFC_MSG_UNSUP",
    BundleFailedMsgConflict = (0xffff, 2311) "ONFBFC_MSG_CONFLICT",
    BundleFailedMsgTooMany = (0xffff, 2312) "ONFBFC_MSG_TOO_MANY",
    BundleFailedMsgFailed = (0xffff, 2313) "ONFBFC_MSG_FAILED",
    BundleFailedTimeout = (0xffff, 2314) "ONFBFC_TIMEOUT",
    BundleFailedBundleInProgress = (0xffff, 2315) "ONFBFC_BUNDLE_IN_PROGRESS",
    ObserverBadArgument = (0xffff, 1) "WEFTOC_BAD_ARGUMENT",
    ObserverTooMany = (0xffff, 2) "WEFTOC_TOO_MANY",
}

impl ErrorCode {
    /// Whose error it is, for those of type 0xffff.
    pub const fn experimenter(self) -> Option<u32> {
        match self.numbers() {
            (ErrorMessage::EXPERIMENTER, 2300..) => Some(ONF_EXPERIMENTER),
            (ErrorMessage::EXPERIMENTER, _) => Some(WEFT_EXPERIMENTER),
            _ => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Bytes of the offending message that an error quotes: "at least 64" (§7.4.4).
pub const QUOTED_BYTES: usize = 64;

/// An error to answer a request with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct OfError {
    /// Type and code.
    pub code: ErrorCode,
    /// First bytes of the offending message, for [`ErrorCode::HelloFailedIncompatible`] a text.
    pub data: Vec<u8>,
    /// What is wrong, for logs; not sent.
    pub detail: String,
}

impl OfError {
    /// An error whose `data` the sender fills in (see [`OfError::quoting`]).
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        OfError {
            code,
            data: Vec::new(),
            detail: detail.into(),
        }
    }

    /// The same, quoting the start of the offending message.
    #[must_use]
    pub fn quoting(mut self, message: &[u8]) -> Self {
        self.data = message.get(..QUOTED_BYTES).unwrap_or(message).to_vec();
        self
    }

    /// The body of the `OFPT_ERROR` to send.
    pub fn to_message(&self) -> ErrorMessage {
        let (error_type, code) = self.code.numbers();
        let mut data = Vec::new();
        if let Some(experimenter) = self.code.experimenter() {
            data.extend_from_slice(&experimenter.to_be_bytes());
        }
        data.extend_from_slice(&self.data);
        ErrorMessage {
            version: OFP_VERSION,
            error_type,
            code,
            data,
        }
    }
}

impl From<ErrorCode> for OfError {
    fn from(code: ErrorCode) -> Self {
        OfError::new(code, "")
    }
}

/// `OFPT_ERROR` (§7.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorMessage {
    /// Version of the header: a peer that fails the HELLO may send its own.
    pub version: u8,
    /// `OFPET_*`.
    pub error_type: u16,
    /// Code within the type; for [`ErrorMessage::EXPERIMENTER`] the `exp_type`.
    pub code: u16,
    /// Start of the offending message, or a text; for [`ErrorMessage::EXPERIMENTER`] the experimenter id first.
    pub data: Vec<u8>,
}

impl ErrorMessage {
    pub(crate) fn read_body(version: u8, r: &mut Reader<'_>) -> Result<Self, Fault> {
        let error_type = u16::read(r)?;
        let code = u16::read(r)?;
        Ok(ErrorMessage {
            version,
            error_type,
            code,
            data: r.take_all().to_vec(),
        })
    }

    pub(crate) fn write_body(&self, w: &mut Vec<u8>) {
        self.error_type.write(w);
        self.code.write(w);
        self.data.write(w);
    }

    /// `OFPET_EXPERIMENTER`.
    pub const EXPERIMENTER: u16 = 0xffff;

    /// Experimenter id of an [`ErrorMessage::EXPERIMENTER`] error.
    pub fn experimenter(&self) -> Option<u32> {
        let id = self
            .data
            .first_chunk::<4>()
            .filter(|_| self.error_type == Self::EXPERIMENTER)?;
        Some(u32::from_be_bytes(*id))
    }

    /// The error, if it is one that this library names.
    pub fn error_code(&self) -> Option<ErrorCode> {
        ErrorCode::from_numbers(self.error_type, self.code)
            .filter(|code| code.experimenter() == self.experimenter())
    }
}

/// One step of the path to a malformed field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Name(&'static str),
    Index(usize),
}

/// A malformed field, while the decoder unwinds. Boxed, as the good path should not carry it.
#[derive(Debug)]
pub(crate) struct Fault(Box<FaultBody>);

#[derive(Debug)]
struct FaultBody {
    code: ErrorCode,
    offset: usize,
    detail: String,
    /// Innermost first.
    path: Vec<Segment>,
}

impl Fault {
    #[cold]
    pub fn new(code: ErrorCode, offset: usize, detail: impl Into<String>) -> Self {
        Fault(Box::new(FaultBody {
            code,
            offset,
            detail: detail.into(),
            path: Vec::new(),
        }))
    }

    /// The same fault, seen from the structure around it.
    #[cold]
    pub fn within(mut self, name: &'static str) -> Self {
        self.0.path.push(Segment::Name(name));
        self
    }

    /// The same fault, seen from the list around it.
    #[cold]
    pub fn at_index(mut self, index: usize) -> Self {
        self.0.path.push(Segment::Index(index));
        self
    }

    /// The error to report for the message that starts with `message`.
    #[cold]
    pub fn into_error(self, xid: u32, message: &[u8]) -> DecodeError {
        let mut path = String::new();
        for segment in self.0.path.iter().rev() {
            match segment {
                Segment::Index(index) => path.push_str(&format!("[{index}]")),
                Segment::Name(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name.trim_end_matches('_'));
                }
            }
        }
        let error = OfError::new(self.0.code, self.0.detail).quoting(message);
        DecodeError {
            xid,
            path,
            offset: self.0.offset,
            error,
        }
    }
}

/// Bytes that break the specification, or ask for what it tells a switch to refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} at byte {offset}: {error}")]
pub struct DecodeError {
    /// Transaction id of the message, 0 if not even the header was there.
    pub xid: u32,
    /// The field at fault, from the message down: `flow_mod.instructions[1].actions[0]`.
    pub path: String,
    /// Offset of the byte at fault from the start of the message.
    pub offset: usize,
    /// What to answer.
    pub error: OfError,
}

/// A value that no message can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The message would be longer than its 16-bit length can say.
    #[error("the message would take {0} bytes, more than the 65535 that OpenFlow allows")]
    TooLong(usize),
}
