//! Messages (OF 1.3.5 §7.1): header and body.

use crate::asynchronous::{AsyncConfig, RoleMessage};
use crate::bundle::{BundleAdd, BundleControl};
use crate::check::check;
use crate::consts::{
    OFP_HEADER_SIZE, OFP_MAX_MESSAGE, OFP_VERSION, ONF_EXPERIMENTER, WEFT_EXPERIMENTER,
};
use crate::error::{DecodeError, EncodeError, ErrorCode, ErrorMessage, Fault};
use crate::experimenter::{Experimenter, NxMessage};
use crate::flow_mod::{FlowMod, FlowRemoved};
use crate::group::GroupMod;
use crate::hello::{Hello, HelloElement};
use crate::meter::MeterMod;
use crate::multipart::{MultipartReply, MultipartRequest};
use crate::observers::WeftMessage;
use crate::packet::{PacketIn, PacketOut};
use crate::port::{PortMod, PortStatus};
use crate::queue::QueueGetConfigReply;
use crate::switch::{FeaturesReply, SwitchConfig};
use crate::table::TableMod;
use crate::wire::{Reader, Wire, patch_length, wire_union};

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Transaction id; replies carry that of the request.
    pub xid: u32,
    /// Type and what follows the header.
    pub body: Body,
}

wire_union! {
    /// What follows the header, by type.
    pub enum Body: u8 {
        /// `OFPT_ECHO_REQUEST`, with any bytes.
        EchoRequest = 2 (Vec<u8>),
        /// `OFPT_ECHO_REPLY`, with those of the request.
        EchoReply = 3 (Vec<u8>),
        /// `OFPT_FEATURES_REQUEST`.
        FeaturesRequest = 5,
        /// `OFPT_FEATURES_REPLY`.
        FeaturesReply = 6 (FeaturesReply),
        /// `OFPT_GET_CONFIG_REQUEST`.
        GetConfigRequest = 7,
        /// `OFPT_GET_CONFIG_REPLY`.
        GetConfigReply = 8 (SwitchConfig),
        /// `OFPT_SET_CONFIG`.
        SetConfig = 9 (SwitchConfig),
        /// `OFPT_PACKET_IN`.
        PacketIn = 10 (PacketIn),
        /// `OFPT_FLOW_REMOVED`.
        FlowRemoved = 11 (FlowRemoved),
        /// `OFPT_PORT_STATUS`.
        PortStatus = 12 (PortStatus),
        /// `OFPT_PACKET_OUT`.
        PacketOut = 13 (PacketOut),
        /// `OFPT_FLOW_MOD`.
        FlowMod = 14 (FlowMod),
        /// `OFPT_GROUP_MOD`.
        GroupMod = 15 (GroupMod),
        /// `OFPT_PORT_MOD`.
        PortMod = 16 (PortMod),
        /// `OFPT_TABLE_MOD`.
        TableMod = 17 (TableMod),
        /// `OFPT_MULTIPART_REQUEST`.
        MultipartRequest = 18 (MultipartRequest),
        /// `OFPT_MULTIPART_REPLY`.
        MultipartReply = 19 (MultipartReply),
        /// `OFPT_BARRIER_REQUEST`.
        BarrierRequest = 20,
        /// `OFPT_BARRIER_REPLY`.
        BarrierReply = 21,
        /// `OFPT_QUEUE_GET_CONFIG_REQUEST`.
        QueueGetConfigRequest = 22 {
            /// Port, or [`crate::port_no::ANY`].
            port: u32 [pad 4],
        },
        /// `OFPT_QUEUE_GET_CONFIG_REPLY`.
        QueueGetConfigReply = 23 (QueueGetConfigReply),
        /// `OFPT_ROLE_REQUEST`.
        RoleRequest = 24 (RoleMessage),
        /// `OFPT_ROLE_REPLY`.
        RoleReply = 25 (RoleMessage),
        /// `OFPT_GET_ASYNC_REQUEST`.
        GetAsyncRequest = 26,
        /// `OFPT_GET_ASYNC_REPLY`.
        GetAsyncReply = 27 (AsyncConfig),
        /// `OFPT_SET_ASYNC`.
        SetAsync = 28 (AsyncConfig),
        /// `OFPT_METER_MOD`.
        MeterMod = 29 (MeterMod),
    }
    also {
        /// `OFPT_HELLO`.
        Hello(Hello),
        /// `OFPT_ERROR`.
        Error(ErrorMessage),
        /// `OFPT_EXPERIMENTER` with a bundle control message of ONF EXT-230.
        BundleControl(BundleControl),
        /// `OFPT_EXPERIMENTER` with a message for a bundle.
        BundleAdd(BundleAdd),
        /// `OFPT_EXPERIMENTER` of Nicira.
        Nicira(NxMessage),
        /// `OFPT_EXPERIMENTER` of Weft.
        Weft(WeftMessage),
        /// `OFPT_EXPERIMENTER` of others.
        Experimenter(Experimenter),
    }
}

const HELLO: u8 = 0;
const ERROR: u8 = 1;
const EXPERIMENTER: u8 = 4;
const BUNDLE_CONTROL: u32 = 2300;
const BUNDLE_ADD: u32 = 2301;

impl Body {
    /// The type on the wire (`OFPT_*`).
    pub fn code(&self) -> u8 {
        match self {
            Body::Hello(_) => HELLO,
            Body::Error(_) => ERROR,
            _ => self.known_code().unwrap_or(EXPERIMENTER),
        }
    }

    fn read_experimenter(r: &mut Reader<'_>) -> Result<Body, Fault> {
        let experimenter = u32::read(r)?;
        let exp_type = u32::read(r)?;
        match (experimenter, exp_type) {
            (ONF_EXPERIMENTER, BUNDLE_CONTROL) => {
                return BundleControl::read(r).map(Body::BundleControl);
            }
            (ONF_EXPERIMENTER, BUNDLE_ADD) => return BundleAdd::read(r).map(Body::BundleAdd),
            (NxMessage::EXPERIMENTER, subtype) => {
                if let Some(message) = NxMessage::read_body(subtype, r)? {
                    return Ok(Body::Nicira(message));
                }
            }
            (WEFT_EXPERIMENTER, exp_type) => {
                if let Some(message) = WeftMessage::read_body(exp_type, r)? {
                    return Ok(Body::Weft(message));
                }
            }
            _ => {}
        }
        Ok(Body::Experimenter(Experimenter {
            experimenter,
            exp_type,
            data: r.take_all().to_vec(),
        }))
    }

    fn write_body(&self, w: &mut Vec<u8>) {
        match self {
            Body::Hello(hello) => hello.elements.write(w),
            Body::Error(error) => error.write_body(w),
            Body::BundleControl(control) => {
                ONF_EXPERIMENTER.write(w);
                BUNDLE_CONTROL.write(w);
                control.write(w);
            }
            Body::BundleAdd(add) => {
                ONF_EXPERIMENTER.write(w);
                BUNDLE_ADD.write(w);
                add.write(w);
            }
            Body::Nicira(message) => {
                NxMessage::EXPERIMENTER.write(w);
                message.known_code().unwrap_or_default().write(w);
                message.write_body(w);
            }
            Body::Weft(message) => {
                WEFT_EXPERIMENTER.write(w);
                message.known_code().unwrap_or_default().write(w);
                message.write_body(w);
            }
            Body::Experimenter(message) => message.write(w),
            _ => self.write_known(w),
        }
    }

    fn write_message(&self, xid: u32, w: &mut Vec<u8>) {
        let start = w.len();
        let version = match self {
            Body::Hello(hello) => hello.version,
            Body::Error(error) => error.version,
            _ => OFP_VERSION,
        };
        w.extend_from_slice(&[version, self.code(), 0, 0]);
        xid.write(w);
        self.write_body(w);
        patch_length(w, start, start + 2);
    }

    /// The name of a type in snake case, as paths begin with it.
    fn name(code: u8) -> &'static str {
        const NAMES: [&str; 30] = [
            "hello",
            "error",
            "echo_request",
            "echo_reply",
            "experimenter",
            "features_request",
            "features_reply",
            "get_config_request",
            "get_config_reply",
            "set_config",
            "packet_in",
            "flow_removed",
            "port_status",
            "packet_out",
            "flow_mod",
            "group_mod",
            "port_mod",
            "table_mod",
            "multipart_request",
            "multipart_reply",
            "barrier_request",
            "barrier_reply",
            "queue_get_config_request",
            "queue_get_config_reply",
            "role_request",
            "role_reply",
            "get_async_request",
            "get_async_reply",
            "set_async",
            "meter_mod",
        ];
        NAMES.get(usize::from(code)).copied().unwrap_or("message")
    }
}

impl Message {
    /// A message.
    pub fn new(xid: u32, body: Body) -> Self {
        Message { xid, body }
    }

    fn read_body(version: u8, code: u8, r: &mut Reader<'_>) -> Result<Body, Fault> {
        let body = match code {
            HELLO => {
                let elements =
                    HelloElement::read_list(r).map_err(|fault| fault.within("elements"))?;
                Body::Hello(Hello { version, elements })
            }
            ERROR => Body::Error(ErrorMessage::read_body(version, r)?),
            EXPERIMENTER => Body::read_experimenter(r)?,
            _ => match Body::read_known(code, r)? {
                Some(body) => body,
                None => {
                    let detail = format!("message type {code} is not defined");
                    let at = r.offset() - OFP_HEADER_SIZE + 1;
                    return Err(Fault::new(ErrorCode::BadRequestBadType, at, detail).within("type"));
                }
            },
        };
        // Lists end in the code of what they hold; bytes after a body are the message's fault.
        r.bad_len = ErrorCode::BadRequestBadLen;
        r.finish()?;
        Ok(body)
    }
}

impl Wire for Message {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let start = r.offset();
        let version = u8::read(r)?;
        let code = u8::read(r)?;
        let length = usize::from(u16::read(r)?);
        let xid = u32::read(r)?;
        if version != OFP_VERSION && code != HELLO && code != ERROR {
            let fault = Fault::new(
                ErrorCode::BadRequestBadVersion,
                start,
                format!("version {version:#04x}"),
            );
            return Err(fault.within("version").within(Body::name(code)));
        }
        let size = r.len() + OFP_HEADER_SIZE;
        if length != size {
            let detail = format!("length {length}, but there are {size} bytes");
            let beyond = (OFP_HEADER_SIZE..size).contains(&length);
            let fault = if beyond {
                Fault::new(ErrorCode::BadRequestBadLen, start + length, detail)
            } else {
                Fault::new(ErrorCode::BadRequestBadLen, start + 2, detail).within("length")
            };
            return Err(fault.within(Body::name(code)));
        }
        let body =
            Self::read_body(version, code, r).map_err(|fault| fault.within(Body::name(code)))?;
        Ok(Message { xid, body })
    }

    fn write(&self, w: &mut Vec<u8>) {
        self.body.write_message(self.xid, w);
    }
}

#[cold]
fn to_error(fault: Fault, bytes: &[u8]) -> DecodeError {
    let xid = match bytes.first_chunk::<8>() {
        Some([_, _, _, _, xid @ ..]) => u32::from_be_bytes(*xid),
        None => 0,
    };
    fault.into_error(xid, bytes)
}

/// Reads one whole message (see [`crate::next_frame`]). Bytes beyond its length, or missing, are an error.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    let mut r = Reader::new(bytes, ErrorCode::BadRequestBadLen);
    Message::read(&mut r).map_err(|fault| to_error(fault, bytes))
}

/// Reads one whole message as a switch does: [`decode`], then [`check()`].
pub fn decode_request(bytes: &[u8]) -> Result<Message, DecodeError> {
    let message = decode(bytes)?;
    match check(&message) {
        Ok(()) => Ok(message),
        Err(error) => Err(DecodeError {
            xid: message.xid,
            path: Body::name(message.body.code()).to_owned(),
            offset: 0,
            error: error.quoting(bytes),
        }),
    }
}

/// Appends a message. If it would be too long, nothing is appended.
pub fn encode(message: &Message, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    encode_body(message.xid, &message.body, out)
}

/// Appends the message of a body, as [`encode`] does.
pub fn encode_body(xid: u32, body: &Body, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    body.write_message(xid, out);
    let length = out.len() - start;
    if length > OFP_MAX_MESSAGE {
        out.truncate(start);
        return Err(EncodeError::TooLong(length));
    }
    Ok(())
}
