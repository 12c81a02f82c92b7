//! The OpenFlow codec as the connections use it.

use weft_openflow as of;
use weft_openflow::{Body, Hello};
pub use weft_openflow::{DecodeError, Frame, Message, next_frame};

/// A message as it came in: read, or malformed, in which case the agent answers with the error that it calls for.
pub type Incoming = Result<Message, DecodeError>;

/// What goes out.
#[derive(Debug)]
pub enum Outgoing {
    /// Still to be encoded.
    Message(Message),
    /// Whole messages, as parts of long replies are made.
    Encoded(Vec<u8>),
}

impl Outgoing {
    /// Appends the bytes.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), of::EncodeError> {
        match self {
            Outgoing::Message(message) => of::encode(message, out),
            Outgoing::Encoded(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// Reads a request.
pub fn read(bytes: &[u8]) -> Incoming {
    of::decode_request(bytes)
}

fn bytes_of(xid: u32, body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Neither a hello nor a short error can be too long to be encoded.
    let _ = of::encode(&Message::new(xid, body), &mut bytes);
    bytes
}

/// This side's HELLO.
pub fn our_hello() -> Vec<u8> {
    bytes_of(0, Body::Hello(Hello::ours()))
}

/// `OFPT_ECHO_REQUEST` without data.
pub fn echo_request() -> Outgoing {
    Outgoing::Message(Message::new(0, Body::EchoRequest(Vec::new())))
}

/// A handshake that failed.
#[derive(Debug)]
pub struct Refusal {
    /// What to tell the peer; may be empty.
    pub answer: Vec<u8>,
    /// What to log.
    pub reason: String,
}

/// Agrees on a version with the sender of this first message (OF 1.3.5 §6.3.1).
pub fn judge_hello(bytes: &[u8]) -> Result<(), Refusal> {
    match of::decode(bytes) {
        Ok(Message {
            xid,
            body: Body::Hello(hello),
        }) => hello.negotiate().map(drop).map_err(|error| {
            let reason = error.detail.clone();
            Refusal {
                answer: bytes_of(xid, Body::Error(error.to_message())),
                reason,
            }
        }),
        Ok(Message {
            body: Body::Error(error),
            ..
        }) => {
            let reason = format!(
                "the peer refused: error type {} code {}",
                error.error_type, error.code
            );
            Err(Refusal {
                answer: Vec::new(),
                reason,
            })
        }
        Ok(_) => Err(Refusal {
            answer: Vec::new(),
            reason: "the peer's first message is no hello".to_owned(),
        }),
        Err(error) => Err(Refusal {
            answer: Vec::new(),
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hellos_are_judged() {
        assert!(judge_hello(&our_hello()).is_ok());
        // A plain hello of version 1.3, 1.5 and 1.0.
        assert!(judge_hello(&[4, 0, 0, 8, 0, 0, 0, 1]).is_ok());
        assert!(judge_hello(&[6, 0, 0, 8, 0, 0, 0, 1]).is_ok());
        let refusal = judge_hello(&[1, 0, 0, 8, 0, 0, 0, 9]).unwrap_err();
        // OFPT_ERROR, xid of the hello, OFPET_HELLO_FAILED, OFPHFC_INCOMPATIBLE.
        assert_eq!(refusal.answer[1], 1);
        assert_eq!(refusal.answer[4..12], [0, 0, 0, 9, 0, 0, 0, 0]);
        assert!(
            judge_hello(&[4, 5, 0, 8, 0, 0, 0, 1])
                .unwrap_err()
                .answer
                .is_empty()
        );
    }
}
