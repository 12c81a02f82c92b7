//! HELLO and version negotiation (OF 1.3.5 §6.3.1, §7.5.1).

use crate::consts::OFP_VERSION;
use crate::error::{ErrorCode, Fault, OfError};
use crate::wire::{Reader, Wire, pad8, padding8, patch_length, wire_union};

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

impl Wire for HelloElement {
    fn read(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut own = r.sized(2)?;
        let padding = padding8(own.len());
        let code = u16::read(&mut own)?;
        own.skip(2)?;
        let element = match Self::read_known(code, &mut own)? {
            Some(element) => element,
            None => HelloElement::Unknown {
                code,
                data: own.take_all().to_vec(),
            },
        };
        r.skip(padding)?;
        Ok(element)
    }

    fn write(&self, w: &mut Vec<u8>) {
        let start = w.len();
        let code = match self {
            HelloElement::Unknown { code, .. } => *code,
            _ => self.known_code().unwrap_or_default(),
        };
        code.write(w);
        0u16.write(w);
        match self {
            HelloElement::Unknown { data, .. } => data.write(w),
            _ => self.write_known(w),
        }
        patch_length(w, start, start + 2);
        pad8(w, start);
    }
}

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
