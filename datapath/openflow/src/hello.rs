//! HELLO and version negotiation (OF 1.3.5 §6.3.1, §7.5.1).

use crate::consts::OFP_VERSION;
use crate::error::{ErrorCode, OfError};
use crate::wire::{wire_tlv, wire_union};

wire_union! {
    /// `ofp_hello_elem_*`.
    pub enum HelloElement: u16 {
        /// Versions spoken: bit *n* of word *i* is wire version *32 i + n*.
        VersionBitmap = 1 (Vec<u32>),
    }
    also {
        /// An element that is not known.
        Unknown {
            /// Its type.
            code: u16,
            /// All after type and length.
            data: Vec<u8>,
        },
    }
}

wire_tlv!(HelloElement, padded);

/// `OFPT_HELLO`. The one message whose header may carry any version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version of the header: the highest one spoken.
    pub version: u8,
    /// Elements.
    pub elements: Vec<HelloElement>,
}

/// Versions spoken here, as a bitmap.
pub const VERSION_BITMAP: u32 = 1 << OFP_VERSION;

impl Hello {
    /// The HELLO of this side: OpenFlow 1.3 with a bitmap.
    pub fn ours() -> Self {
        Hello {
            version: OFP_VERSION,
            elements: vec![HelloElement::VersionBitmap(vec![VERSION_BITMAP])],
        }
    }

    /// The words of the version bitmap, if there is one.
    pub fn bitmap(&self) -> Option<&[u32]> {
        self.elements.iter().find_map(|element| match element {
            HelloElement::VersionBitmap(words) => Some(words.as_slice()),
            HelloElement::Unknown { .. } => None,
        })
    }

    /// Agrees on OpenFlow 1.3, or gives the error to answer before closing, with a text as data (§6.3.1).
    pub fn negotiate(&self) -> Result<u8, OfError> {
        let agreed = match self.bitmap() {
            Some(words) => words.first().is_some_and(|word| word & VERSION_BITMAP != 0),
            None => self.version >= OFP_VERSION,
        };
        if agreed {
            return Ok(OFP_VERSION);
        }
        let detail = format!(
            "only OpenFlow 1.3 is spoken here, the peer offered version {:#04x}",
            self.version
        );
        let mut error = OfError::new(ErrorCode::HelloFailedIncompatible, detail);
        error.data = error.detail.clone().into_bytes();
        Err(error)
    }
}
